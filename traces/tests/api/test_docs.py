"""The docs flow in; every limit, filter, event and address is named, and every address that is named is there."""

import re
from pathlib import Path
from typing import get_args, get_type_hints

from django.urls import resolve

from traces.bundle.events import Event
from traces.bundle.limits import DEFAULT_LIMITS, PREFIX, Limits
from traces.pages.api.answers import nothing_here
from traces.pages.api.asking import FILTER_NAMES

DOCS = Path(__file__).resolve().parents[3] / "docs"
OPERATING = (DOCS / "operating.md").read_text()
FORMAT = (DOCS / "format.md").read_text()


def test_every_limit_is_named_with_its_value() -> None:
    for name in Limits.__struct_fields__:
        assert f"| `{PREFIX}{name.upper()}` | {getattr(DEFAULT_LIMITS, name):,} |" in OPERATING, name


def test_every_address_of_the_api_is_there() -> None:
    addresses = set(re.findall(r"/api/v1/[\w./]*", OPERATING))
    assert len(addresses) >= 7
    for address in addresses:
        assert resolve(address).func is not nothing_here, address


def test_every_filter_is_named() -> None:
    for name in FILTER_NAMES:
        assert f"`{name}`" in OPERATING, name


def test_every_event_is_named() -> None:
    events = get_args(get_type_hints(Event)["payload"])
    assert len(events) > 25
    for event in events:
        assert f"`{event.__struct_config__.tag}`" in FORMAT, event
