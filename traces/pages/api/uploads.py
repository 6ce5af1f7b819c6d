"""An archive flows in; the rollout that came of it flows out, or where to look for it."""

from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import cast

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from traces.models import Upload
from traces.pages.api import shapes
from traces.pages.api.answers import Refusal, json
from traces.pages.api.rollouts import urls_of
from traces.pages.uploads import CHUNK, named
from traces.sharing import upload_for
from traces.uploads import UNEXPECTED, receive, wait_for

WAIT = 5.0  # seconds; most recordings are rollouts by then
# Anything else is the archive itself: curl calls a body "urlencoded" unless it is told otherwise.
FORM = "multipart/form-data"
NO_FILE = "Send one archive: as the form field “file”, or as the body of the request."
NO_UPLOAD = "There is no upload with this id."


def create(request: HttpRequest) -> HttpResponse:
    """Takes an archive and waits a little for its reduction."""
    refuse_too_large(int(request.META.get("CONTENT_LENGTH") or 0))
    name, content = sent_archive(request)
    upload = receive(name, bounded(content))
    wait_for(upload, WAIT)
    if not upload.finished:
        return _accepted(request, upload)
    if not upload.verdicts:
        raise _refusal(upload)
    return _created(request, upload)


def upload(request: HttpRequest, public_id: str) -> HttpResponse:
    """How far it is, and what came of it."""
    try:
        found = upload_for(request, public_id)
    except Http404 as error:
        raise Refusal(404, NO_UPLOAD) from error
    return json(_shape(request, found))


def sent_archive(request: HttpRequest) -> tuple[str, Iterable[bytes]]:
    """Its name and its content, piece by piece."""
    if request.content_type != FORM:
        content = iter(lambda: request.read(CHUNK), b"")
        first = next(content, b"")
        if not first:
            raise Refusal(400, NO_FILE)
        return named(PurePath(request.GET.get("name", "")).name), _with(first, content)
    files = request.FILES.getlist("file")
    if len(files) != 1:
        raise Refusal(400, NO_FILE)
    return named(files[0].name or ""), files[0].chunks(CHUNK)


def bounded(content: Iterable[bytes]) -> Iterator[bytes]:
    """The same pieces, as long as they are not too many: not every sender says beforehand how much it sends."""
    received = 0
    for piece in content:
        received += len(piece)
        refuse_too_large(received)
        yield piece


def refuse_too_large(size: int) -> None:
    """The limit is the one for uploads on the page."""
    limits = settings.TRACESITE_LIMITS
    if size > limits.upload_bytes:
        refusal = limits.refusal("upload_bytes", f"the archive is larger than {limits.upload_bytes:,} bytes")
        raise Refusal(413, f"{refusal}.")


def _with(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _accepted(request: HttpRequest, upload: Upload) -> HttpResponse:
    shape = _shape(request, upload)
    response = json(shape, 202)
    response["Location"] = shape.url
    response["Retry-After"] = "1"
    return response


def _created(request: HttpRequest, upload: Upload) -> HttpResponse:
    """201 even where it was here already: the archive is a rollout now; the verdict says which."""
    shape = _shape(request, upload)
    first = shape.rollouts[0]
    created = shapes.Created(first.key, first.url, first.api, first.verdict, first.sentence, shape)
    response = json(created, 201)
    response["Location"] = first.api
    return response


def _refusal(upload: Upload) -> Refusal:
    """The sender hears at once what is wrong and still has the file: nothing is kept, unless it was our fault."""
    error = upload.error
    if error == UNEXPECTED:
        return Refusal(500, error)
    upload.discard()
    return Refusal(400, error)


def _shape(request: HttpRequest, upload: Upload) -> shapes.Upload:
    return shapes.Upload(
        upload=upload.public_id,
        url=request.build_absolute_uri(reverse("api_upload", args=[upload.public_id])),
        name=upload.name,
        state=cast(shapes.UploadState, upload.state),
        size=upload.size,
        events_done=upload.events_done,
        events_total=upload.events_total,
        error=upload.error,
        rollouts=[_verdict(request, verdict) for verdict in upload.verdicts],
    )


def _verdict(request: HttpRequest, said: dict[str, str]) -> shapes.Verdict:
    urls = urls_of(request, said["rollout"])
    word = cast(shapes.VerdictWord, said["verdict"])
    return shapes.Verdict(said["rollout"], urls.page, urls.self, said["title"], word, said["sentence"])
