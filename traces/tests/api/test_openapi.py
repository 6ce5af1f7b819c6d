"""The API's own description flows in; it names every address and every field, and a real browser shows it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Page, expect

from traces.models import Rollout
from traces.pages.api.urls import urlpatterns
from traces.tests.api.conftest import ROLLOUTS
from traces.tests.fixtures.site import LiveSite

Ask = Callable[..., Any]
DOCUMENT = "/api/v1/openapi.json"


def test_every_address_is_described(ask: Ask) -> None:
    described = set(ask(DOCUMENT)["paths"])
    there = {re.sub(r"<slug:\w+>", "{}", f"/api/{pattern.pattern}") for pattern in urlpatterns}
    own = {"/api/v1/", DOCUMENT, "/api/", "/api/<path:rest>"}
    assert {re.sub(r"\{\w+\}", "{}", path) for path in described} == there - own


def test_every_reference_leads_somewhere(ask: Ask) -> None:
    document = ask(DOCUMENT)
    assert document["openapi"] == "3.1.0"
    named = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert named <= set(document["components"]["schemas"])
    assert {"Rollout", "RolloutDetail", "Inference", "Problem"} <= set(document["components"]["schemas"])


@pytest.mark.django_db
def test_what_is_sent_is_what_is_described(ask: Ask, ingested: Callable[[str], Rollout]) -> None:
    schemas = ask(DOCUMENT)["components"]["schemas"]
    rollout = ingested("0.169.0/story")
    detail = ask(f"{ROLLOUTS}{rollout.public_id}/")
    assert set(detail) == set(schemas["RolloutDetail"]["properties"])
    call = ask(f"{ROLLOUTS}{rollout.public_id}/inferences/")["results"][0]
    assert set(call) == set(schemas["Inference"]["properties"])


def test_the_page_has_no_inline_script(client: Client) -> None:
    answer = client.get("/api/v1/")
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert re.findall(r"<script(?![^>]*\bsrc=)", answer.content.decode()) == []


def test_the_page_works_in_a_browser(live_site: LiveSite, page: Page) -> None:
    """Any console error and any violation of the policy fails the test."""
    page.goto(f"{live_site.url}/api/v1/")
    expect(page.get_by_role("heading", name="Rollout traces")).to_be_visible()
    operation = page.locator(".opblock", has_text="One rollout, counted")
    operation.locator(".opblock-summary-control").click()
    expect(operation.get_by_text("rollout").first).to_be_visible()
    listing = page.locator(".opblock-get", has_text="Rollouts").first
    listing.locator(".opblock-summary-control").click()
    listing.get_by_role("button", name="Try it out").click()
    listing.get_by_role("button", name="Execute").click()
    expect(listing.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
