"""The API's shapes and a table of its addresses flow in; an OpenAPI document and a page that shows it flow out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from traces.models import Node, Rollout
from traces.pages.api import shapes
from traces.pages.api.answers import json
from traces.pages.api.asking import DEFAULT_LIMIT, MOST, SORTS
from traces.pages.measures import CALL_STATUSES

Json = dict[str, Any]

# The viewer draws its arrows from images inside its own style sheet; nothing else may come from elsewhere.
PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
SHAPES = (
    *(shapes.RolloutPage, shapes.RolloutDetail, shapes.InferencePage),
    *(shapes.Created, shapes.Upload, shapes.Problem),
)
TEXT: Json = {"type": "string"}
BINARY: Json = {"type": "string", "format": "binary"}
ABOUT = """The rollouts of this site for programs. Nothing is asked for but an address: there are no accounts yet, the
site answers to its own machine only, and a request that names another Origin is refused.

Every error is `{"error": sentence, "status": number}`. Lists are sent in pages: follow `next` until it is null."""


@dataclass(frozen=True)
class Answer:
    """One way in which an operation ends well."""

    status: int
    says: str
    shape: type[msgspec.Struct] | None = None
    kind: str = "application/json"


@dataclass(frozen=True)
class Operation:
    """One verb of one address."""

    path: str
    verb: str
    summary: str
    answers: tuple[Answer, ...]
    errors: tuple[int, ...] = ()
    asks: tuple[Json, ...] = ()
    body: Json | None = None


def asks(name: str, says: str, schema: Json, many: bool = False) -> Json:
    """A parameter of the query string."""
    whole = {"type": "array", "items": schema} if many else schema
    return {"name": name, "in": "query", "description": says, "schema": whole}


def one_of(values: Iterable[str]) -> Json:
    """One of some words."""
    return {"type": "string", "enum": list(values)}


PAGING = (
    asks("from", "how many to skip", {"type": "integer", "minimum": 0, "default": 0}),
    asks("limit", "how many to send", {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_LIMIT}),
)
FILTERS = (
    asks("q", "words of the title, or the beginning of a session or trace id", TEXT),
    asks("status", "of the rollout; several mean any of them", one_of(Rollout.Status.values), many=True),
    asks("calls", "holds calls that ended so; several mean any of them", one_of(CALL_STATUSES), many=True),
    asks("model", "the model; `unknown` where none is named", TEXT),
    asks("client", "the client's version; `unknown` where none is named", TEXT),
    asks("since", "started on this day (UTC) or later", {"type": "string", "format": "date"}),
    asks("until", "started on this day (UTC) or earlier", {"type": "string", "format": "date"}),
    asks("session", "belongs to this session (`rollout_id`)", TEXT),
    asks("sort", "a column; with `-` the greatest first", one_of(SORTS)),
)
SENT: Json = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"file": BINARY}, "required": ["file"]},
        },
        "application/octet-stream": {"schema": BINARY},
    },
}
LIST, ONE = "/api/v1/rollouts/", "/api/v1/rollouts/{key}/"
OPERATIONS = (
    Operation(
        LIST, "get", "Rollouts", (Answer(200, "a page of rollouts", shapes.RolloutPage),), (400,), (*FILTERS, *PAGING)
    ),
    Operation(
        LIST,
        "post",
        "Send an archive with one bundle or several",
        (
            Answer(201, "it is a rollout; `verdict` says whether it is new", shapes.Created),
            Answer(202, "it takes longer: ask `url` again", shapes.Upload),
        ),
        (400, 413, 507),
        (asks("name", "what to call an archive that is sent as the body", TEXT),),
        SENT,
    ),
    Operation(ONE, "get", "One rollout, counted", (Answer(200, "the rollout", shapes.RolloutDetail),), (404,)),
    Operation(
        ONE, "delete", "Delete it; the list of the pages can bring it back for a minute", (Answer(204, "gone"),), (404,)
    ),
    Operation(
        f"{ONE}inferences/",
        "get",
        "Its calls to the model: status, how it is known, error or reason",
        (Answer(200, "a page of calls", shapes.InferencePage),),
        (400, 404),
        (asks("status", "how they ended", one_of(Node.Status.values), many=True), *PAGING),
    ),
    Operation(
        f"{ONE}state.json",
        "get",
        "The reduced rollout, byte for byte as the published client writes it",
        (Answer(200, "state.json"),),
        (404, 409),
    ),
    Operation(
        f"{ONE}bundle.tar.zst",
        "get",
        "The recording: files equal to those that were sent",
        (Answer(200, "an archive", kind="application/zstd"),),
        (404,),
    ),
    Operation(
        f"{ONE}bundle.zip", "get", "The same as a .zip", (Answer(200, "an archive", kind="application/zip"),), (404,)
    ),
    Operation(
        "/api/v1/uploads/{id}/", "get", "How far an upload is", (Answer(200, "the upload", shapes.Upload),), (404,)
    ),
)
WRONG = {
    400: "The request makes no sense, or the archive cannot be read.",
    404: "There is no such thing here.",
    409: "The reference refuses this recording, so it has no state.json.",
    413: "The archive is larger than an upload may be.",
    500: "Something went wrong on the site's side.",
    507: "The disk of the site is full.",
}


def document(request: HttpRequest) -> HttpResponse:
    """OpenAPI 3.1."""
    _, components = msgspec.json.schema_components(SHAPES, ref_template="#/components/schemas/{name}")
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.verb] = described(operation)
    return json(
        {
            "openapi": "3.1.0",
            "info": {"title": "Rollout traces", "version": "1", "description": ABOUT},
            "paths": paths,
            "components": {"schemas": components},
        }
    )


def described(operation: Operation) -> Json:
    """An operation as the document says it."""
    named = operation.path.partition("{")[2].partition("}")[0]
    where = [{"name": named, "in": "path", "required": True, "schema": TEXT}] if named else []
    told: Json = {
        "tags": [operation.path.split("/")[3]],
        "summary": operation.summary,
        "operationId": f"{operation.verb} {operation.path}",
        "parameters": [*where, *operation.asks],
        "responses": {str(answer.status): _answer(answer) for answer in operation.answers}
        | {str(status): _error(status) for status in (*operation.errors, 500)},
    }
    return told | ({"requestBody": operation.body} if operation.body else {})


def _answer(answer: Answer) -> Json:
    if answer.status == 204:
        return {"description": answer.says}
    return {"description": answer.says, "content": {answer.kind: {"schema": _schema(answer)}}}


def _schema(answer: Answer) -> Json:
    if answer.shape is not None:
        return {"$ref": f"#/components/schemas/{answer.shape.__name__}"}
    return {"type": "object"} if answer.kind == "application/json" else BINARY


def _error(status: int) -> Json:
    schema = {"$ref": f"#/components/schemas/{shapes.Problem.__name__}"}
    return {"description": WRONG[status], "content": {"application/json": {"schema": schema}}}


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The document, to read and to try."""
    response = render(request, "traces/api.html")
    response["Content-Security-Policy"] = PAGE_POLICY
    return response
