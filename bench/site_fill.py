"""One real rollout in a database flows in, ten thousand of them flow out: `python -m bench.site_fill HOW_MANY`.

Every row that hangs on the real one is copied for each, by the database itself; what the list filters by differs.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeAlias

import django
from django.db import connection, models, transaction

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tracesite.settings")
django.setup()

from traces.models import ConversationItem, InteractionEdge, Node, Payload, RequestItems, Rollout  # noqa: E402

COPIED: tuple[type[models.Model], ...] = (Node, ConversationItem, RequestItems, Payload, InteractionEdge)
WORDS = ("fix", "add", "login", "parser", "cache", "slow", "page", "upload", "retry", "token", "docs", "release")
MODELS = ("gpt-5.5", "gpt-5.5-codex", "gpt-5.4", "gpt-5.4-mini", "")
CLIENTS = ("0.164.0", "0.165.0", "0.167.1", "0.169.0", "")
NEWEST = datetime(2026, 11, 1, tzinfo=UTC)
SESSION = 3  # recordings of one session, at most
Field: TypeAlias = "models.Field[Any, Any]"


def main(many: int) -> None:
    """Copies the first rollout until there are so many."""
    real = Rollout.objects.order_by("pk")[0]
    random = Random(many)
    with transaction.atomic():
        Rollout.objects.bulk_create((_copy(real, number, random) for number in range(1, many)), batch_size=500)
        for model in COPIED:
            _copy_rows(model, real.pk)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE" if connection.vendor == "postgresql" else "PRAGMA wal_checkpoint(TRUNCATE)")
    print(Rollout.objects.count(), *(model._base_manager.count() for model in COPIED))


def _copy(real: Rollout, number: int, random: Random) -> Rollout:
    """Another session with other words, statuses and dates."""
    skipped = {"id", "public_id", "created_at", "updated_at"}
    names = [field.attname for field in Rollout._meta.concrete_fields if field.name not in skipped]
    copy = Rollout(**{name: getattr(real, name) for name in names})
    took = timedelta(seconds=random.randint(5, 5000))
    copy.trace_id, copy.rollout_id = f"trace-{number:06}", f"session-{number // SESSION:06}"
    copy.title = f"{' '.join(random.choices(WORDS, k=5))} {number}"
    copy.status = random.choices(Rollout.Status.values, (1, 90, 5, 4))[0]
    copy.model, copy.client_version = random.choice(MODELS), random.choice(CLIENTS)
    copy.started_at = NEWEST - timedelta(minutes=random.randint(0, 300 * 24 * 60))
    copy.ended_at = None if copy.status == Rollout.Status.RUNNING else copy.started_at + took
    copy.tokens_in, copy.tokens_out = random.randint(1000, 10**7), random.randint(100, 10**5)
    copy.agents = random.randint(1, 6)
    copy.counts = {**real.counts, "failed": int(random.random() < 0.1), "cancelled": int(random.random() < 0.05)}
    return copy


def _copy_rows(model: type[models.Model], real: int) -> None:
    """Ids are moved by one stride for each rollout, and so is what points to them."""
    quote = connection.ops.quote_name
    fields = model._meta.concrete_fields
    table, rollouts = quote(model._meta.db_table), quote(Rollout._meta.db_table)
    said = ", ".join(_moved(field, quote(_column(field))) for field in fields)
    columns = ", ".join(quote(_column(field)) for field in fields)
    source = f"from {table} old cross join {rollouts} r where old.rollout_id = {real} and r.id <> {real}"
    with connection.cursor() as cursor:
        cursor.execute(f"insert into {table} ({columns}) select {said} {source}")


def _moved(field: Field, column: str) -> str:
    """A column of the copy, in the database's words."""
    target = field.related_model if field.is_relation else None
    if target is Rollout:
        return "r.id"
    if field.primary_key or target in COPIED:
        model = target if isinstance(target, type) and target in COPIED else field.model
        return f"old.{column} + (r.id * {_stride(model)})"
    return f"old.{column}"


def _column(field: Field) -> str:
    return str(field.column)


def _stride(model: type[models.Model]) -> int:
    last = model._base_manager.filter(rollout=Rollout.objects.order_by("pk")[0]).order_by("-pk").first()
    return int(last.pk) + 1 if last else 1


if __name__ == "__main__":
    main(int(sys.argv[1]))
