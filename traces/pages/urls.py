"""A path flows in, the view of its page flows out; a name is a view is a template is a partial."""

from django.urls import include, path, register_converter
from django.urls.converters import StringConverter

from traces.pages import (
    changes,
    deletion,
    demo,
    events,
    inference,
    live_page,
    objects,
    payloads,
    rollout,
    rollouts,
    samples,
    uploads,
)


class KeyConverter(StringConverter):
    """An object's id: anything a recording may call it, slashes included, but no NUL, which PostgreSQL refuses."""

    regex = "[^\x00]+"


register_converter(KeyConverter, "key")

urlpatterns = [
    path("", rollouts.rollouts, name="rollouts"),
    path("api/", include("traces.pages.api.urls")),
    path("uploads/", uploads.receive, name="uploads"),
    path("uploads/<slug:public_id>/", uploads.upload, name="upload"),
    path("uploads/<slug:public_id>/retry/", uploads.retry, name="upload_retry"),
    path("uploads/<slug:public_id>/delete/", uploads.delete, name="upload_delete"),
    path("live/", live_page.live, name="live"),
    path("samples/", samples.open_samples, name="samples"),
    path("demo/", demo.play, name="demo"),
    path("deleted/", deletion.deleted, name="deleted"),
    path("rollouts/<slug:public_id>/", rollout.rollout, name="rollout"),
    path("rollouts/<slug:public_id>/changes/", changes.changes, name="changes"),
    path("rollouts/<slug:public_id>/delete/", deletion.delete, name="delete"),
    path("rollouts/<slug:public_id>/restore/", deletion.restore, name="restore"),
    path("rollouts/<slug:public_id>/inferences/<key:key>/", inference.inference, name="inference"),
    path("rollouts/<slug:public_id>/events/", events.events, name="events"),
    path("rollouts/<slug:public_id>/events/<int:seq>/", events.event, name="event"),
    path("rollouts/<slug:public_id>/lines/<int:line>/", events.line, name="line"),
    path("rollouts/<slug:public_id>/payloads/<key:key>/raw", payloads.raw, name="payload_raw"),
    path("rollouts/<slug:public_id>/payloads/<key:key>/", payloads.payload, name="payload"),
    path("rollouts/<slug:public_id>/<slug:slug>/<key:object_id>/", objects.thing, name="object"),
]
