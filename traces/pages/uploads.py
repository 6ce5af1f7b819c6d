"""Archives flow in, a queue of uploads flows out: received to disk piece by piece, reduced in the background."""

import json
from collections.abc import Iterable, Iterator

from django.db import OperationalError
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from traces.bundle.errors import reason
from traces.models import Upload
from traces.pages.answers import Request, answer
from traces.sharing import upload_for
from traces.uploads import receive as receive_archive
from traces.uploads import wake

CHUNK = 1 << 20
NAME_LENGTH = 200
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


@require_POST
def receive(request: Request) -> HttpResponse:
    """Takes the archives of a form, or the body as one archive; htmx gets the row, a form its progress page."""
    try:
        uploads = [receive_archive(name, chunks) for name, chunks in archives_of(request)]
    except (OSError, OperationalError) as error:
        return refused(request, not_written(error))
    if not uploads:
        return nothing_chosen(request)
    if request.htmx:
        return row(request, uploads[0])
    if len(uploads) == 1:
        return HttpResponseRedirect(uploads[0].get_absolute_url())
    query = urlencode({"upload": [upload.public_id for upload in uploads]}, doseq=True)
    return HttpResponseRedirect(f"{reverse('rollouts')}?{query}")


@require_safe
def upload(request: Request, public_id: str) -> HttpResponse:
    """How far it is."""
    found = upload_for(request, public_id)
    if request.htmx:
        return row(request, found)
    return answer(request, "traces/upload.html", {"upload": found})


@require_POST
def retry(request: Request, public_id: str) -> HttpResponse:
    """A failed upload waits again, with the bytes it came with."""
    found = upload_for(request, public_id)
    if found.state == Upload.State.FAILED and not found.retry():
        return refused(request, "Its file is not there any more. Drop it again.")
    wake()
    return row(request, found) if request.htmx else HttpResponseRedirect(found.get_absolute_url())


@require_POST
def delete(request: Request, public_id: str) -> HttpResponse:
    """A failed upload goes, with its file; what came of others stays where it is."""
    found = upload_for(request, public_id)
    gone, _ = Upload.objects.filter(pk=found.pk, state=Upload.State.FAILED).delete()
    if not gone:
        return refused(request, "Only uploads that failed are deleted here.")
    found.path.unlink(missing_ok=True)
    return HttpResponse() if request.htmx else HttpResponseRedirect(reverse("rollouts"))


def archives_of(request: Request) -> Iterator[tuple[str, Iterable[bytes]]]:
    """Name and content of everything that was sent, piece by piece."""
    if request.content_type not in FORMS:
        yield named(request.GET.get("name", "")), iter(lambda: request.read(CHUNK), b"")
        return
    for file in request.FILES.getlist("files"):
        yield named(file.name or ""), file.chunks(CHUNK)


def named(name: str) -> str:
    """What the row of an upload is called."""
    return name[:NAME_LENGTH].replace("\x00", "") or "an archive without a name"


def row(request: Request, found: Upload) -> HttpResponse:
    """The row of the queue; once it is done the page hears of it."""
    response = answer(request, "traces/uploads/row.html", {"upload": found})
    if found.finished:
        news = {
            "rollouts-changed": {},
            "upload-finished": {"sentence": sentence(found), "opened": bool(found.verdicts)},
        }
        response["HX-Trigger"] = json.dumps(news)
    return response


def sentence(found: Upload) -> str:
    """What came of it, for those who do not see the row."""
    said = " ".join(verdict["sentence"] for verdict in found.verdicts)
    return f"{found.name}: {' '.join(filter(None, (said, found.error)))}"


def not_written(error: OSError | OperationalError) -> str:
    """The disk is full, or broken."""
    why = reason(error) if isinstance(error, OSError) else str(error)
    return f"It could not be written to the disk of this site ({why}), and nothing was kept. Make room and try again."


def nothing_chosen(request: Request) -> HttpResponse:
    """A form without files."""
    return refused(request, "Choose at least one archive.")


def refused(request: Request, words: str) -> HttpResponse:
    """A sentence, as a page and for scripts."""
    response = answer(request, "400.html", {"said": words}, status=400)
    response["X-Sentence"] = words
    return response
