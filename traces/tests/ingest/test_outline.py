"""The outline of real recordings, read as the page shows it."""

import pytest

from traces.ingest import ingest_bundle
from traces.ingest.outline import Place, is_below, sort_key, sortable
from traces.models import Node, Rollout
from traces.tests.fixtures.recordings import recording_folder
from traces.tests.ingest.recordings import ALL, Bundle

STORY = """\
thread 1 completed: /root
  codex_turn 1 completed: One of the tests in this folder fails since we moved to Decimal. Find out why and fix it.
    inference_call 1 completed: gpt-5.5
      tool_call 1 completed: ls -la && cat README.md
        terminal_operation 1 completed: ls -la && cat README.md
"""


def ingested(name: str) -> Rollout:
    """A recording as rows."""
    return ingest_bundle(Bundle(recording_folder(name))).rollout


def outline(rollout: Rollout) -> str:
    """The outline as text."""
    rows = Node.objects.filter(rollout=rollout).outline()
    return "".join(f"{'  ' * row.depth}{row.kind} {row.number} {row.status}: {row.title}\n" for row in rows)


@pytest.mark.django_db
def test_the_story_reads_as_it_happened() -> None:
    assert outline(ingested("0.169.0/story")).startswith(STORY)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ALL)
def test_every_outline_is_a_tree_in_depth_first_order(name: str) -> None:
    rows = list(Node.objects.filter(rollout=ingested(name)).outline().select_related("parent"))
    path: list[Node] = []
    for row in rows:
        del path[row.depth :]
        assert row.parent == (path[-1] if path else None)
        assert row.depth == len(path)
        path.append(row)
    starts: dict[int | None, list[int]] = {}
    for row in rows:
        starts.setdefault(row.parent_id, []).append(row.started_seq)
    assert all(siblings == sorted(siblings) for siblings in starts.values())
    for row in rows:
        below = [other for other in rows if other.position.startswith(row.position) and other != row]
        assert list(Node.objects.all().under(row)) == below


def test_positions_sort_as_their_numbers_do() -> None:
    numbers = [0, 1, 9, 10, 15, 16, 255, 256, 4095, 10**6, 2**63, 2**64 - 1]
    assert sorted(map(sortable, numbers)) == [sortable(number) for number in numbers]
    keys = [sort_key("tool_call", seq, 1) for seq in numbers]
    below = [key + sort_key("terminal_operation", 10**9, 7) for key in keys]
    mixed = [text for pair in zip(keys, below, strict=True) for text in pair]
    assert sorted(mixed) == mixed


def test_an_outline_never_goes_in_circles() -> None:
    first, second = Place("thread", "a", 1, 1), Place("thread", "b", 2, 2)
    second.move_below(first)
    assert is_below(second, first)
    assert not is_below(first, second)


def test_nesting_without_end_still_fits_into_its_column() -> None:
    place = None
    for number in range(1, 500):
        inner = Place("thread", str(number), number, number)
        inner.move_below(place)
        inner.settle()
        assert len(inner.position) <= 1000
        assert place is None or inner.position > place.position
        place = inner
