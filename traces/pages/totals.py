"""Rollouts that match flow in, the sums that stand above their table flow out, in one query."""

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Sum

from traces.models.rollouts import RolloutQuerySet, no_counts
from traces.pages.measures import CALL_STATUSES, Calls
from traces.pages.sessions import SESSION


@dataclass(frozen=True)
class Totals:
    """What a list holds, all its pages together."""

    recordings: int = 0
    sessions: int = 0
    counts: dict[str, int] = field(default_factory=no_counts)
    tokens_in: int = 0
    tokens_out: int = 0
    calls_without_usage: int = 0
    bytes_stored: int = 0

    @property
    def inferences(self) -> int:
        """How many calls to a model."""
        return sum(self.counts.values())


SUMMED = ("tokens_in", "tokens_out", "calls_without_usage", "bytes_stored")


def totals_of(rollouts: RolloutQuerySet) -> Totals:
    """Everything that can be added up."""
    asked: dict[str, Any] = {f"sum_{name}": Sum(name) for name in SUMMED}
    asked |= {f"calls_{status}": Sum(Calls(status)) for status in CALL_STATUSES}
    found = rollouts.aggregate(recordings=Count("pk"), sessions=Count(SESSION, distinct=True), **asked)
    counts = {status: int(found[f"calls_{status}"] or 0) for status in CALL_STATUSES}
    sums = {name: int(found[f"sum_{name}"] or 0) for name in SUMMED}
    return Totals(found["recordings"], found["sessions"], counts, **sums)
