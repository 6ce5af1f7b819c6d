"""A response flows in, the same response with its security headers flows out."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

# A bundle is somebody else's file and a model's text: if anything of it ever slipped into a page as markup,
# it could still load, run, embed or send nothing. No "unsafe-*", so no inline style or script anywhere.
POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


def protect(response: HttpResponseBase) -> None:
    """Adds the headers; a view that has set a stricter policy of its own keeps it."""
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")


def security_headers(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """The middleware: every answer of Django's is protected, error pages too."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        protect(response)
        return response

    return middleware
