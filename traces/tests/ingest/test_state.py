"""Rows against the reference: state.json rebuilt from rows alone is what the published client made of the recording."""

import pytest

from traces.ingest import ingest_bundle, state_of
from traces.models import Rollout
from traces.tests.fixtures.recordings import recording_folder
from traces.tests.ingest.dumps import dump, seqs
from traces.tests.ingest.recordings import ALL, Bundle, by, expected

pytestmark = pytest.mark.django_db


def test_there_are_recordings() -> None:
    assert len(ALL) >= 50


@pytest.mark.parametrize("batch_events", [1, 7, 500])
@pytest.mark.parametrize("name", ALL)
def test_rows_hold_the_reference_state(name: str, batch_events: int) -> None:
    ingested = ingest_bundle(Bundle(recording_folder(name)), build=by(batch_events))
    rollout = Rollout.objects.get()
    assert (ingested.verdict, ingested.rollout.pk, rollout.stopped_what) == ("new", rollout.pk, "")
    assert state_of(rollout) == expected(name)
    assert seqs(rollout) == list(range(1, rollout.events + 1))


@pytest.mark.parametrize("name", ["0.169.0/story", "0.152.0/agents_namespaced", "0.128.0/cancelled_late"])
def test_the_same_bundle_gives_the_same_rows(name: str) -> None:
    first = dump(ingest_bundle(Bundle(recording_folder(name)), build=by(20)).rollout)
    Rollout.objects.all().delete()
    assert dump(ingest_bundle(Bundle(recording_folder(name)), build=by(20)).rollout) == first


@pytest.mark.parametrize("name", ["0.169.0/story", "0.169.0/code_mode", "0.128.0/agents", "0.152.0/compacted_inline"])
def test_the_size_of_a_batch_leaves_no_trace(name: str) -> None:
    whole = dump(ingest_bundle(Bundle(recording_folder(name))).rollout, without=("revision",))
    Rollout.objects.all().delete()
    assert dump(ingest_bundle(Bundle(recording_folder(name)), build=by(1)).rollout, without=("revision",)) == whole
