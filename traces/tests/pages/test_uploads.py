"""Archives flow in as forms and as bodies; rows of the queue, links and sentences flow out."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from traces.models import Rollout, Upload
from traces.tests.pages.conftest import HTMX, words
from traces.uploads import queue

pytestmark = pytest.mark.django_db
Zipped = Callable[[str], Path]


def as_file(path: Path) -> SimpleUploadedFile:
    return SimpleUploadedFile(path.name, path.read_bytes())


def test_a_body_is_an_archive(zipped: Zipped, client: Client) -> None:
    archive = zipped("0.169.0/retried")
    answer = client.post(
        "/uploads/?name=retried.zip", archive.read_bytes(), content_type="application/octet-stream", headers=HTMX
    )
    upload = Upload.objects.get()
    assert (upload.name, upload.size, upload.state) == ("retried.zip", archive.stat().st_size, "waiting")
    assert f'hx-get="/uploads/{upload.public_id}/" hx-trigger="every 300ms"' in answer.content.decode()
    assert "waits for its turn" in words(answer)

    queue.work()
    done = client.get(f"/uploads/{upload.public_id}/", headers=HTMX)
    assert "hx-get" not in done.content.decode()
    assert f'href="{Rollout.objects.get().get_absolute_url()}"' in done.content.decode()
    assert "New" in words(done)
    told = json.loads(done["HX-Trigger"])
    assert told["upload-finished"]["opened"]
    assert "rollouts-changed" in told


def test_the_same_again_is_already_here(zipped: Zipped, client: Client) -> None:
    for _ in range(2):
        client.post("/uploads/?name=a.zip", zipped("0.169.0/retried").read_bytes(), content_type="application/zip")
        queue.work()
    again = Upload.objects.order_by("pk")[1]
    assert "Already here" in words(client.get(f"/uploads/{again.public_id}/"))
    assert Rollout.objects.count() == 1


def test_a_form_works_without_a_script(zipped: Zipped, client: Client) -> None:
    answer = client.post("/uploads/", {"files": [as_file(zipped("0.169.0/killed"))]})
    upload = Upload.objects.get()
    assert answer.status_code == 302
    assert answer["Location"] == upload.get_absolute_url()
    waiting = client.get(answer["Location"]).content.decode()
    assert '<noscript><meta http-equiv="refresh" content="1"></noscript>' in waiting
    queue.work()
    assert 'http-equiv="refresh"' not in client.get(answer["Location"]).content.decode()


def test_a_form_takes_several_archives(zipped: Zipped, client: Client) -> None:
    files = [as_file(zipped(name)) for name in ("0.169.0/killed", "0.128.0/retried")]
    answer = client.post("/uploads/", {"files": files}, follow=True)
    assert answer.redirect_chain
    for file in files:
        assert str(file.name) in words(answer)
    queue.work()
    assert Rollout.objects.count() == 2


def test_what_is_no_trace_is_said_in_a_sentence(client: Client) -> None:
    client.post("/uploads/?name=notes.zip", b"no archive", content_type="application/octet-stream")
    queue.work()
    upload = Upload.objects.get()
    page = words(client.get(upload.get_absolute_url()))
    assert upload.state == "failed"
    assert "Not opened" in page
    assert upload.error in page


def test_nothing_chosen(client: Client) -> None:
    answer = client.post("/uploads/", {})
    assert answer.status_code == 400
    assert "Choose at least one archive." in words(answer)
    assert answer["X-Sentence"] == "Choose at least one archive."


def test_foreign_forms_are_refused(zipped: Zipped) -> None:
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post("/uploads/?name=a.zip", zipped("0.169.0/killed").read_bytes(), content_type="application/zip")
    assert answer.status_code == 403
    assert "This form was too old." in words(answer)
    assert not Upload.objects.exists()


def test_names_are_bounded_and_escaped(client: Client) -> None:
    client.post(f"/uploads/?name=<b>{'x' * 500}", b"x", content_type="application/octet-stream")
    upload = Upload.objects.get()
    assert len(upload.name) == 200
    assert "<b>x" not in client.get(upload.get_absolute_url()).content.decode()


def test_unknown_uploads_and_wrong_verbs(client: Client) -> None:
    assert client.get("/uploads/nobody/").status_code == 404
    assert client.get("/uploads/").status_code == 405
    assert client.post("/").status_code == 405


def failed(client: Client) -> Upload:
    client.post("/uploads/?name=notes.zip", b"no archive", content_type="application/octet-stream")
    queue.work()
    return Upload.objects.get()


def test_what_failed_stays_on_the_list_with_its_reason(client: Client) -> None:
    upload = failed(client)
    page = words(client.get("/"))
    assert upload.error in page
    assert "Try again with notes.zip" in page
    assert "Delete notes.zip" in page


def test_what_failed_is_tried_again(zipped: Zipped, client: Client) -> None:
    upload = failed(client)
    upload.path.write_bytes(zipped("0.169.0/retried").read_bytes())
    answer = client.post(f"/uploads/{upload.public_id}/retry/", headers=HTMX)
    assert "waits for its turn" in words(answer)
    assert client.post(f"/uploads/{upload.public_id}/retry/")["Location"] == upload.get_absolute_url()
    queue.work()
    assert "New" in words(client.get(upload.get_absolute_url()))
    assert Rollout.objects.count() == 1


def test_what_cannot_be_tried_again_says_so(client: Client) -> None:
    upload = failed(client)
    upload.path.unlink()
    answer = client.post(f"/uploads/{upload.public_id}/retry/")
    assert answer.status_code == 400
    assert "Its file is not there any more. Drop it again." in words(answer)


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_what_failed_is_deleted_with_its_file(client: Client, headers: dict[str, str]) -> None:
    upload = failed(client)
    answer = client.post(f"/uploads/{upload.public_id}/delete/", headers=headers)
    assert (answer.status_code, answer.content) == ((200, b"") if headers else (302, b""))
    assert not upload.path.exists()
    assert not Upload.objects.exists()


def test_only_what_failed_is_deleted(zipped: Zipped, client: Client) -> None:
    client.post("/uploads/?name=a.zip", zipped("0.169.0/retried").read_bytes(), content_type="application/zip")
    upload = Upload.objects.get()
    answer = client.post(f"/uploads/{upload.public_id}/delete/")
    assert answer.status_code == 400
    assert upload.path.exists()
    assert client.get(f"/uploads/{upload.public_id}/delete/").status_code == 405
