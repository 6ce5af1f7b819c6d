"""What somebody dropped on the page: where its bytes lie, how far its reduction is, what came of it."""

from pathlib import Path
from typing import Self

from django.conf import settings
from django.db import models
from django.urls import reverse

from traces.models.fields import JsonText
from traces.models.rollouts import Rollout, public_id


class UploadQuerySet(models.QuerySet["Upload"]):
    """Verbs on many uploads."""

    def waiting(self) -> Self:
        """Received and not looked at yet, oldest first."""
        return self.filter(state=Upload.State.WAITING).order_by("created_at", "pk")

    def take(self) -> "Upload | None":
        """The oldest waiting upload, for this caller alone."""
        for upload in self.waiting()[:10]:
            mine = self.filter(pk=upload.pk, state=Upload.State.WAITING).update(state=Upload.State.REDUCING)
            if mine:
                upload.state = Upload.State.REDUCING
                return upload
        return None

    def put_back(self) -> int:
        """Uploads whose reduction was interrupted wait again."""
        return self.filter(state=Upload.State.REDUCING).update(state=Upload.State.WAITING, events_done=0)


class Upload(models.Model):
    """One archive on its way into rows."""

    class State(models.TextChoices):
        """What is happening to it."""

        RECEIVING = "receiving"
        WAITING = "waiting"
        REDUCING = "reducing"
        DONE = "done"
        FAILED = "failed"

    public_id = models.CharField(max_length=32, unique=True, default=public_id)
    name = models.TextField()
    size = models.PositiveBigIntegerField(default=0)
    received = models.PositiveBigIntegerField(default=0)
    state = models.CharField(max_length=16, choices=State, default=State.RECEIVING)
    events_done = models.PositiveBigIntegerField(default=0)
    events_total = models.PositiveBigIntegerField(null=True)
    error = models.TextField(default="")
    rollouts = models.ManyToManyField(Rollout, related_name="uploads")
    # One for each rollout: {"rollout": public_id, "verdict": "new|same|continued|other_content", "sentence": …}
    verdicts = JsonText(default=list)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = UploadQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["state", "created_at"], name="upload_state")]

    def __str__(self) -> str:
        return f"{self.name}: {self.state}"

    def get_absolute_url(self) -> str:
        """Where its progress is shown."""
        return reverse("upload", args=[self.public_id])

    def retry(self) -> bool:
        """Lets a failed upload wait again; false where its bytes are not there any more."""
        if self.state != self.State.FAILED or not self.path.is_file():
            return False
        self.state, self.error, self.events_done, self.events_total = self.State.WAITING, "", 0, None
        self.save(update_fields=["state", "error", "events_done", "events_total"])
        return True

    def discard(self) -> None:
        """Forgets it, and its bytes; rollouts that came of it stay."""
        self.path.unlink(missing_ok=True)
        self.delete()

    @property
    def path(self) -> Path:
        """Where its bytes lie until they are rows."""
        return Path(settings.TRACESITE_DATA) / "uploads" / self.public_id

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in (self.State.DONE, self.State.FAILED)
