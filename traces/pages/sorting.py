"""A column's name flows in, an order of the list that never wavers flows out."""

from dataclasses import dataclass

from django.db.models import Expression, F
from django.db.models.expressions import OrderBy
from django.db.models.functions import Lower

from traces.pages.measures import all_calls, seconds


@dataclass(frozen=True)
class Column:
    """One column of the table: its name in an address, its heading, what it is sorted by."""

    name: str
    heading: str
    by: Expression | F
    greatest_first: bool = False  # what the first click on it does
    numeric: bool = False  # stands on the right


COLUMNS = (
    Column("title", "Rollout", Lower("title")),
    Column("state", "State", F("status")),
    Column("inferences", "Inferences", all_calls(), greatest_first=True),
    Column("model", "Model", F("model")),
    Column("agents", "Agents", F("agents"), greatest_first=True, numeric=True),
    Column("started", "Started", F("started_at"), greatest_first=True, numeric=True),
    Column("duration", "Duration", seconds(), greatest_first=True, numeric=True),
    Column("tokens", "Tokens", F("tokens_in") + F("tokens_out"), greatest_first=True, numeric=True),
    Column("client", "Client", F("client_version"), greatest_first=True, numeric=True),
)
BY_NAME = {column.name: column for column in COLUMNS}


@dataclass(frozen=True)
class Sort:
    """A column and a direction; in an address "tokens", or "-tokens" for the greatest first."""

    name: str
    descending: bool

    def __str__(self) -> str:
        return f"-{self.name}" if self.descending else self.name

    @property
    def aria(self) -> str:
        """The direction, as `aria-sort` says it."""
        return "descending" if self.descending else "ascending"

    def clicked(self, column: Column) -> "Sort":
        """The order after a click on a heading: another column, or the other way round."""
        if column.name == self.name:
            return Sort(self.name, not self.descending)
        return Sort(column.name, column.greatest_first)

    def order(self) -> list[OrderBy]:
        """What is unknown stands last; equal rows stand newest first, so that no page shows a row twice."""
        # Only a rollout without an end has nothing to be sorted by.
        last = True if self.name == "duration" else None
        by = OrderBy(BY_NAME[self.name].by, descending=self.descending, nulls_last=last)
        if self.name == "started":
            return [by, OrderBy(F("pk"), descending=self.descending)]
        return [by, F("started_at").desc(), F("pk").desc()]


DEFAULT = Sort("started", descending=True)


def asked_sort(text: str) -> Sort:
    """An order from a query string; nonsense is the newest first."""
    name = text.removeprefix("-")
    return Sort(name, text.startswith("-")) if name in BY_NAME else DEFAULT
