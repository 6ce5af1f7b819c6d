"""A request flows in, what it may see flows out, or a 404: the only way a view gets a rollout."""

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone

from traces.models import Rollout, Upload
from traces.models.rollouts import UNDO, RolloutQuerySet


def rollouts_for(request: HttpRequest) -> RolloutQuerySet:
    """The rollouts that this request may see."""
    return Rollout.objects.visible()


def undoable_for(request: HttpRequest) -> RolloutQuerySet:
    """The rollouts that this request may bring back: deleted a moment ago."""
    return Rollout.objects.filter(deleted_at__gte=timezone.now() - UNDO)


def rollout_for(request: HttpRequest, public_id: str) -> Rollout:
    """The rollout that this request may see.

    There are no accounts yet and the site answers to its own machine only, so that is every rollout there is.
    """
    return get_object_or_404(rollouts_for(request), public_id=public_id)


def upload_for(request: HttpRequest, public_id: str) -> Upload:
    """The upload that this request may see: its sender's, who is alone here as long as there are no accounts."""
    return get_object_or_404(Upload, public_id=public_id)
