"""Names of measures flow in, SQL that both databases understand flows out: counts inside JSON text, spans, sums."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BigIntegerField, Expression, F, FloatField, Func
from django.db.models.sql.compiler import SQLCompiler

CALL_STATUSES = ("completed", "failed", "cancelled", "aborted", "running")
Sql = tuple[str, Any]


class Calls(Func):
    """How many calls of a rollout have one status: a number inside `counts`."""

    arity = 1
    output_field = BigIntegerField()

    def __init__(self, status: str) -> None:
        if status not in CALL_STATUSES:
            raise ValueError(status)  # it becomes a part of the SQL
        super().__init__(F("counts"), status=status)

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any) -> Sql:
        """SQLite keeps the last text that it parsed, so the next status of the same row costs little."""
        return self.as_sql(compiler, connection, template="json_extract(%(expressions)s, '$.%(status)s')", **extra)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any) -> Sql:
        """Counts hold plain numbers, so `json` reads them."""
        template = "((%(expressions)s)::json->>'%(status)s')::bigint"
        return self.as_sql(compiler, connection, template=template, **extra)


class Seconds(Func):
    """How long a rollout took; nothing where it has no end. In SQL of its own, because SQLite has no intervals."""

    arity = 2
    output_field = FloatField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any) -> Sql:
        """Days, as SQLite counts them."""
        template = "((julianday(%(expressions)s)) * 86400.0)"
        return self.as_sql(compiler, connection, template=template, arg_joiner=") - julianday(", **extra)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any) -> Sql:
        """The seconds of an interval."""
        template = "extract(epoch from (%(expressions)s))::float"
        return self.as_sql(compiler, connection, template=template, arg_joiner=" - ", **extra)


def all_calls() -> Expression:
    """How many calls a rollout has, whatever became of them."""
    first, *others = (Calls(status) for status in CALL_STATUSES)
    total: Expression = first
    for other in others:
        total = total + other
    return total


def seconds() -> Seconds:
    """How long a rollout took."""
    return Seconds(F("ended_at"), F("started_at"))
