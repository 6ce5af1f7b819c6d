"""Plain tuples flow in, rows flow out: the one place where rows are written without going through model objects."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from django.db import connection, models

from traces.models.fields import pack

Values = tuple[Any, ...]


def insert(model: type[models.Model], names: Sequence[str], rows: Sequence[Values]) -> None:
    """New rows with these columns."""
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.cursor.copy(f"COPY {table(model)} ({quoted(model, names)}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            marks = ", ".join(["%s"] * len(names))
            cursor.executemany(f"INSERT INTO {table(model)} ({quoted(model, names)}) VALUES ({marks})", rows)


def update(model: type[models.Model], names: Sequence[str], rows: Sequence[Values]) -> None:
    """New values for these columns; each row's last value is its primary key."""
    if not rows:
        return
    columns = ", ".join(f"{column(model, name)} = %s" for name in names)
    with connection.cursor() as cursor:
        cursor.executemany(f"UPDATE {table(model)} SET {columns} WHERE {column(model, 'pk')} = %s", rows)


def without_waiting() -> None:
    """This transaction's commit need not reach the disk before the next begins: what a crash takes is written again."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit TO OFF")


def reserve(model: type[models.Model], count: int) -> Iterable[int]:
    """So many primary keys that nobody else gets."""
    if not count:
        return ()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            sequence = f"pg_get_serial_sequence('{table(model)}', 'id')"
            cursor.execute(f"SELECT nextval({sequence}) FROM generate_series(1, %s)", [count])
            return [number for (number,) in cursor.fetchall()]
        # Whoever writes holds SQLite's only lock, and the insert that follows moves the counter on.
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [model._meta.db_table])
        last = (cursor.fetchone() or (0,))[0]
        return range(last + 1, last + count + 1)


def table(model: type[models.Model]) -> str:
    """Its name as SQL has it."""
    return connection.ops.quote_name(model._meta.db_table)


def column(model: type[models.Model], name: str) -> str:
    """A field's column as SQL has it."""
    field = model._meta.pk if name == "pk" else model._meta.get_field(name)
    return connection.ops.quote_name(str(getattr(field, "column", name)))


def quoted(model: type[models.Model], names: Sequence[str]) -> str:
    """Columns as SQL has them."""
    return ", ".join(column(model, name) for name in names)


class Rows:
    """The rows of one table that belong to one rollout: those that are there already are changed, the others added."""

    def __init__(self, model: type[models.Model], *names: str, packed: str = "") -> None:
        self.model = model
        self.names = ("pk", "rollout", *names)
        # Where a column stands that is compressed only now: whoever makes the rows has enough to do.
        self.packed = names.index(packed) if packed else -1
        self.pks: dict[Hashable, int] = {}

    def reserve(self, keys: Iterable[Hashable]) -> set[Hashable]:
        """Gives new keys their primary keys; returns which were new."""
        fresh = [key for key in dict.fromkeys(keys) if key not in self.pks]
        self.pks.update(zip(fresh, reserve(self.model, len(fresh)), strict=True))
        return set(fresh)

    def write(self, rollout: int, rows: dict[Hashable, Values], fresh: set[Hashable] | None = None) -> None:
        """Rows by their keys; `fresh` are those that have a primary key, but no row yet."""
        if self.packed >= 0:
            rows = {key: self._pack(values) for key, values in rows.items()}
        new = (fresh or set()) | self.reserve(rows)
        added = [(self.pks[key], rollout, *values) for key, values in rows.items() if key in new]
        insert(self.model, self.names, added)
        changed = [(*values, self.pks[key]) for key, values in rows.items() if key not in new]
        update(self.model, self.names[2:], changed)

    def _pack(self, values: Values) -> Values:
        at = self.packed
        return (*values[:at], pack(values[at]), *values[at + 1 :])
