"""Environment variables flow in, Django's settings flow out; every one of them has a default that works."""

import errno
import os
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

import dj_database_url

from traces.bundle.errors import BundleError, reason
from traces.bundle.limits import Limits, limits_from

BASE_DIR = Path(__file__).resolve().parent.parent

# Everything the site writes lies in this one folder: it can be backed up, moved or thrown away as a whole.
TRACESITE_DATA = Path(os.environ.get("TRACESITE_DATA") or BASE_DIR / "var").resolve()


def prepare(data: Path) -> None:
    """Makes the data folder; where nothing can be written, one sentence is better than what would fail later."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, probe = tempfile.mkstemp(prefix="probe-", dir=data)
        os.close(handle)
        os.unlink(probe)
    except OSError as error:
        # A full disk is no reason not to start: somebody may want to delete something.
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            sys.exit(
                f"The data folder {data} cannot be used: {reason(error)}. "
                "Let this user write to it, or name another one in TRACESITE_DATA."
            )


def limits() -> Limits:
    """How large anything foreign may be."""
    try:
        return limits_from(os.environ)
    except BundleError as error:
        sys.exit(f"The site cannot start: {error}.")


prepare(TRACESITE_DATA)
TRACESITE_LIMITS = limits()


def secret_key(path: Path) -> str:
    """The key in this file; the first start makes it, readable by the owner alone."""
    if not path.exists():
        # Two processes may start at once: link() lets exactly one of them win, and only with a complete file.
        handle, fresh = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(64))
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(fresh)
    return path.read_text().strip()


def database(url: str, data: Path) -> dict[str, Any]:
    """PostgreSQL or whatever the URL names; without one, SQLite in the data folder."""
    if url:
        return dict(dj_database_url.parse(url))
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": data / "traces.sqlite3",
        "OPTIONS": {
            # A transaction that reads first and writes later cannot wait for a lock in WAL: take the lock at once.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32000; "
                "PRAGMA mmap_size=134217728; PRAGMA journal_size_limit=67108864"
            ),
        },
    }


def channel_layer(url: str) -> dict[str, Any]:
    """How processes tell each other that rows have changed: through Redis, or, without one, not at all."""
    if not url:
        return {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    # Published and forgotten: nothing of a killed process stays behind in Redis.
    return {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [url]}}


SECRET_KEY = os.environ.get("TRACESITE_SECRET_KEY") or secret_key(TRACESITE_DATA / "secret_key")
DEBUG = os.environ.get("TRACESITE_DEBUG", "") not in ("", "0")

# There are no accounts yet, so the site answers to its own machine only (see tracesite/guard.py).
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

INSTALLED_APPS = ["django.contrib.staticfiles", "django_htmx", "drf_spectacular_sidecar", "traces"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "tracesite.csp.security_headers",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "tracesite.urls"
ASGI_APPLICATION = "tracesite.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]

DATABASES = {"default": database(os.environ.get("DATABASE_URL", ""), TRACESITE_DATA)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CHANNEL_LAYERS = {"default": channel_layer(os.environ.get("REDIS_URL", ""))}

STATIC_URL = "/static/"
MEDIA_ROOT = TRACESITE_DATA / "media"
MEDIA_URL = "/media/"
# What is larger, compressed, lies in a file below MEDIA_ROOT instead of in the database.
TRACESITE_LARGE_BYTES = int(os.environ.get("TRACESITE_LARGE_BYTES") or 1_000_000)
# What a larger archive holds is reduced by a process of its own.
TRACESITE_APART_BYTES = int(os.environ.get("TRACESITE_APART_BYTES") or 500_000)
# Folders whose recordings are followed while they grow, separated as in PATH; by default where the client records.
_WATCHED = os.environ.get("TRACESITE_WATCH") or os.environ.get("CODEX_ROLLOUT_TRACE_ROOT") or ""
TRACESITE_WATCH = [part for part in _WATCHED.split(os.pathsep) if part]
# How long a recording that is followed may be silent before it counts as stale.
TRACESITE_STALE_SECONDS = int(os.environ.get("TRACESITE_STALE_SECONDS") or 3600)

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False

SECURE_CONTENT_TYPE_NOSNIFF = True
# "no-referrer" would make browsers send "Origin: null" with our own forms, and the guard would refuse them.
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_NAME = "tracesite_csrf"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        # Django's own default would mail errors to administrators who do not exist and print nothing.
        "django": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        "traces": {"handlers": ["console"], "level": "INFO", "propagate": False},
        # A Redis that is away would be a traceback each second; traces.live says it once.
        "channels_redis": {"handlers": ["console"], "level": "CRITICAL", "propagate": False},
    },
}
