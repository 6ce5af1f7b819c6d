"""Rollouts that match flow in, one row for each session flows out: its newest recording, with the others below it."""

from dataclasses import dataclass, field

from django.db.models import Count, F, IntegerField, Value, Window
from django.db.models.functions import Coalesce, NullIf, RowNumber

from traces.models import Rollout
from traces.models.rollouts import RolloutQuerySet
from traces.pages.filters import Filters

SIBLINGS_SHOWN = 20
# A recording that names no session stands for itself.
SESSION = Coalesce(NullIf(F("rollout_id"), Value("")), F("trace_id"))


@dataclass
class Session:
    """One row of the list."""

    rollout: Rollout
    others: int = 0
    shown: list[Rollout] = field(default_factory=list)

    @property
    def not_shown(self) -> int:
        """Older recordings that only the session's own list shows."""
        return self.others - len(self.shown)

    @property
    def address(self) -> str:
        """The list of this session's recordings."""
        return Filters(session=self.rollout.rollout_id).address()


def one_each(rollouts: RolloutQuerySet) -> RolloutQuerySet:
    """The newest recording of each session, with the number of its `others` that match too."""
    newest_first = [F("started_at").desc(), F("pk").desc()]
    numbered = rollouts.annotate(
        place=Window(RowNumber(), partition_by=[SESSION], order_by=newest_first),
        others=Window(Count("pk"), partition_by=[SESSION], output_field=IntegerField()) - 1,
    )
    return numbered.filter(place=1)


def with_siblings(sessions: list[Session], rollouts: RolloutQuerySet) -> list[Session]:
    """Adds the others that match, the newest of them at once."""
    folded = {session.rollout.rollout_id: session for session in sessions if session.others}
    if not folded:
        return sessions
    place = Window(RowNumber(), partition_by=[F("rollout_id")], order_by=[F("started_at").desc(), F("pk").desc()])
    others = rollouts.filter(rollout_id__in=list(folded)).annotate(place=place)
    for other in others.filter(place__gt=1, place__lte=SIBLINGS_SHOWN + 1).order_by("place"):
        folded[other.rollout_id].shown.append(other)
    return sessions
