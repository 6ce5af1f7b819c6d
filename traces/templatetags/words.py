"""Numbers, moments and ids flow in, the words people use for them flow out."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def duration(milliseconds: float | None) -> str:
    """88 ms, 7.48 s, 48.1 s, 3 m 02 s, 2 h 11 m; nothing known is said as such."""
    if milliseconds is None:
        return "unknown"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    return _long_duration(round(seconds))


def _long_duration(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} m {seconds:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} m"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours:02d} h"


@register.filter
def offset(milliseconds: float | None) -> str:
    """Time since the rollout began, as +1.628 s: three digits, so that neighbours stay apart."""
    if milliseconds is None:
        return ""
    sign = "−" if milliseconds < 0 else "+"
    return f"{sign}{abs(milliseconds) / 1000:,.3f} s"


@register.filter
def milliseconds(span: timedelta | None) -> float | None:
    """A span of time as the other filters want it."""
    return None if span is None else span.total_seconds() * 1000


@register.filter
def since(milliseconds: int | None, start: int) -> int | None:
    """How long after the start."""
    return None if milliseconds is None else milliseconds - start


@register.filter
def exact_ms(milliseconds: float | None) -> str:
    """The exact value for the hover."""
    return "" if milliseconds is None else f"{milliseconds:,.0f} ms"


@register.filter
def unix_ms(milliseconds: int | None) -> datetime | None:
    """A time of a recording as a moment; what lies outside the calendar is nobody's time."""
    if milliseconds is None:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return None


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """18:15:01 today, Nov 21 this year, Nov 21, 2025 before; the exact moment on hover."""
    if value is None:
        return "unknown"
    return _time_element(value, _near(value))


@register.filter
def full_moment(value: datetime | None) -> SafeString | str:
    """Nov 22, 18:15:01 with the exact moment on hover."""
    if value is None:
        return "unknown"
    local = timezone.localtime(value)
    this_year = local.year == timezone.localtime().year
    day = f"{local:%b} {local.day}" if this_year else f"{local:%b} {local.day}, {local.year}"
    return _time_element(value, f"{day}, {local:%H:%M:%S}")


@register.filter
def clock(value: datetime | None) -> SafeString | str:
    """18:15:03.568 with the date on hover."""
    if value is None:
        return "unknown"
    local = timezone.localtime(value)
    return _time_element(value, f"{local:%H:%M:%S}.{local.microsecond // 1000:03d}")


def _near(value: datetime) -> str:
    local, now = timezone.localtime(value), timezone.localtime()
    if local.date() == now.date():
        return f"{local:%H:%M:%S}"
    if local.year == now.year:
        return f"{local:%b} {local.day}"
    return f"{local:%b} {local.day}, {local.year}"


def _time_element(value: datetime, words: str) -> SafeString:
    utc = value.astimezone(UTC)
    exact = f"{utc:%Y-%m-%d %H:%M:%S}.{utc.microsecond // 1000:03d} UTC"
    return format_html('<time datetime="{}" title="{}">{}</time>', utc.isoformat(), exact, words)


@register.filter
def number(value: int | None) -> str:
    """1,204,551; what was never recorded is "unknown", never 0."""
    return "unknown" if value is None else f"{value:,}"


@register.filter
def size(count: int | None) -> str:
    """265 KB, 3.1 MB: bytes as people say them."""
    if count is None:
        return "unknown"
    if count < 1000:
        return f"{count} bytes" if count != 1 else "1 byte"
    for unit, scale in (("KB", 1e3), ("MB", 1e6)):
        if count < scale * 999.5:
            return _scaled(count / scale, unit)
    return _scaled(count / 1e9, "GB")


def _scaled(value: float, unit: str) -> str:
    return f"{value:.1f} {unit}" if value < 10 else f"{value:,.0f} {unit}"


@register.filter
def short_id(value: str) -> str:
    """The first two groups of a uuid, enough to tell neighbours apart; other ids stay whole."""
    parts = value.split("-")
    return "-".join(parts[:2]) if len(parts) == 5 and len(value) == 36 else value


@register.filter
def plural(count: int, word: str) -> str:
    """3 items, 1 item; "agent,agents" names both forms."""
    one, _, many = word.partition(",")
    return f"{count:,} {one if count == 1 else many or one + 's'}"


@register.filter
def shorten(text: str, length: int) -> str:
    """The beginning of a text on one line; whoever uses it gives the whole one step away."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


@register.filter
def human(name: str) -> str:
    """inference_request as "inference request"."""
    return name.replace("_", " ")


@register.filter
def total(counts: Iterable[int]) -> int:
    """The sum of some counts."""
    return sum(counts)
