"""A path below /api/v1/ flows in, the view that answers it flows out."""

from django.urls import path

from traces.pages.api import files, openapi, rollouts, uploads
from traces.pages.api.answers import endpoint, nothing_here

urlpatterns = [
    path("v1/", openapi.page, name="api"),
    path("v1/openapi.json", endpoint(get=openapi.document), name="api_document"),
    path("v1/rollouts/", endpoint(get=rollouts.rollouts, post=uploads.create), name="api_rollouts"),
    path("v1/rollouts/<slug:public_id>/", endpoint(get=rollouts.rollout, delete=rollouts.delete), name="api_rollout"),
    path("v1/rollouts/<slug:public_id>/inferences/", endpoint(get=rollouts.inferences), name="api_inferences"),
    path("v1/rollouts/<slug:public_id>/state.json", endpoint(get=files.state), name="api_state"),
    path("v1/rollouts/<slug:public_id>/bundle.tar.zst", endpoint(get=files.bundle), name="api_bundle"),
    path("v1/rollouts/<slug:public_id>/bundle.zip", endpoint(get=files.bundle_zip), name="api_bundle_zip"),
    path("v1/uploads/<slug:public_id>/", endpoint(get=uploads.upload), name="api_upload"),
    path("", nothing_here),
    path("<path:rest>", nothing_here),
]
