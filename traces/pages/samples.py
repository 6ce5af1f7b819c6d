"""The recordings that ship with the site flow in, uploads as if somebody had dropped them flow out."""

from collections.abc import Iterator
from pathlib import Path

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from traces.pages.answers import Request
from traces.uploads import receive

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
CHUNK = 1 << 20


@require_POST
def open_samples(request: Request) -> HttpResponse:
    """Receives every sample, and shows the list with their uploads at work."""
    uploads = [receive(name_of(path), chunks(path)) for path in samples()]
    query = urlencode({"upload": [upload.public_id for upload in uploads]}, doseq=True)
    return HttpResponseRedirect(f"{reverse('rollouts')}?{query}")


def samples() -> list[Path]:
    """In the order in which they are best read; each name begins with its place."""
    return sorted(SAMPLES.glob("*.tar.zst"))


def name_of(path: Path) -> str:
    """The name without its place."""
    return path.name.partition("-")[2]


def chunks(path: Path) -> Iterator[bytes]:
    """The content, piece by piece."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
