"""Decisions to delete and to undo flow in, rollouts out of sight and back again flow out; and samples open."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from traces.models import Rollout, Upload
from traces.pages.samples import samples
from traces.tests.pages.conftest import HTMX, words
from traces.tests.pages.test_rollouts import rollout, titles
from traces.uploads import queue

pytestmark = pytest.mark.django_db


@pytest.fixture
def one(db: None) -> Rollout:
    one = rollout(1, rollout_id="one")
    one.save()
    rollout(2, rollout_id="one").save()
    return one


def test_deleting_asks_first(one: Rollout, client: Client) -> None:
    page = words(client.get(f"/rollouts/{one.public_id}/delete/?calls=failed&next=//elsewhere"))
    assert "Delete this rollout?" in page
    assert "The 1 other recording of this session stays." in page
    assert Rollout.objects.visible().count() == 2


def test_deleting_and_undoing(one: Rollout, client: Client) -> None:
    answer = client.post(f"/rollouts/{one.public_id}/delete/?sort=title&next=//elsewhere")
    assert (answer.status_code, answer["Location"]) == (302, "/?sort=title")
    assert titles(client, "/") == ["No 2."]
    assert client.get(one.get_absolute_url()).status_code == 404
    assert "Deleted “No 1.”" in words(client.get("/"))
    answer = client.post(f"/rollouts/{one.public_id}/restore/?sort=title")
    assert (answer.status_code, answer["Location"]) == (302, "/?sort=title")
    assert titles(client, "/?session=one") == ["No 1.", "No 2."]
    assert "Deleted" not in words(client.get("/"))


def test_after_a_minute_it_is_gone(one: Rollout, client: Client) -> None:
    client.post(f"/rollouts/{one.public_id}/delete/")
    Rollout.objects.filter(pk=one.pk).update(deleted_at=timezone.now() - timedelta(seconds=61))
    assert "Deleted" not in words(client.get("/"))
    answer = client.post(f"/rollouts/{one.public_id}/restore/")
    assert answer.status_code == 410
    assert "That minute is over." in words(answer)
    assert not Rollout.objects.visible().filter(pk=one.pk).exists()


def test_the_notice_goes_by_itself(one: Rollout, client: Client) -> None:
    client.post(f"/rollouts/{one.public_id}/delete/")
    assert 'hx-trigger="load delay:61s"' in client.get("/").content.decode()
    assert "Undo" in words(client.get("/deleted/", headers=HTMX))
    Rollout.objects.update(deleted_at=timezone.now() - timedelta(seconds=61))
    assert not client.get("/deleted/", headers=HTMX).content.strip()
    assert client.get("/deleted/?q=x")["Location"] == "/?q=x"


def test_only_forms_of_this_site_delete(one: Rollout) -> None:
    strict = Client(enforce_csrf_checks=True)
    for verb in ("delete", "restore"):
        assert strict.post(f"/rollouts/{one.public_id}/{verb}/").status_code == 403
    assert strict.post("/samples/").status_code == 403
    assert Rollout.objects.visible().count() == 2


def test_wrong_verbs_and_unknown_rollouts(one: Rollout, client: Client) -> None:
    assert client.get(f"/rollouts/{one.public_id}/restore/").status_code == 405
    assert client.get("/samples/").status_code == 405
    assert client.get("/rollouts/nobody/delete/").status_code == 404
    assert client.post("/rollouts/nobody/restore/").status_code == 410


def test_a_deleted_list_is_empty_again(client: Client) -> None:
    one = rollout(1)
    one.save()
    client.post(f"/rollouts/{one.public_id}/delete/")
    page = words(client.get("/"))
    assert "No rollouts yet." in page
    assert "Deleted “No 1.”" in page


def test_the_samples_open_story_first(client: Client, read: Callable[..., str]) -> None:
    answer = client.post("/samples/", follow=True)
    names = list(Upload.objects.order_by("pk").values_list("name", flat=True))
    assert names[0] == "story.tar.zst"
    assert len(names) == len(samples()) == len(set(names))
    assert all(name in words(answer) for name in names)
    assert '<noscript><meta http-equiv="refresh"' in answer.content.decode()
    queue.work()
    assert set(Upload.objects.values_list("state", "error")) == {("done", "")}
    page = read("/")
    assert page.count("One of the tests in this folder fails") >= 1
    assert "1 more recording of this session" in page
    assert "No rollouts yet" not in client.get("/").content.decode().split('id="list"')[1]
