"""What the environment says flows in, limits or one sentence flow out."""

import msgspec
import pytest

from traces.bundle.errors import BundleError
from traces.bundle.limits import DEFAULT_LIMITS, Limits, limits_from


def test_nothing_said_is_the_defaults() -> None:
    assert limits_from({}) == DEFAULT_LIMITS == limits_from({"TRACESITE_MAX_FILES": ""})


@pytest.mark.parametrize("name", Limits.__struct_fields__)
def test_every_limit_is_a_setting(name: str) -> None:
    limits = limits_from({f"TRACESITE_MAX_{name.upper()}": "1_00"})
    assert limits == msgspec.structs.replace(DEFAULT_LIMITS, **{name: 100})


@pytest.mark.parametrize("text", ["0", "-1", "many", "1e9", "9" * 30, "²", " "])
def test_nonsense_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(BundleError, match=r"TRACESITE_MAX_FILES is .*; give a whole number from 1 to"):
        limits_from({"TRACESITE_MAX_FILES": text})


def test_no_depth_beyond_the_reference() -> None:
    with pytest.raises(BundleError, match="whole number from 1 to 127"):
        limits_from({"TRACESITE_MAX_JSON_DEPTH": "128"})


def test_a_refusal_names_the_limit_and_what_to_do() -> None:
    said = str(DEFAULT_LIMITS.refusal("files", "it holds more than 7 files"))
    assert said == (
        "it holds more than 7 files, the limit of TRACESITE_MAX_FILES; "
        "raise it and try again if you trust where this comes from"
    )
