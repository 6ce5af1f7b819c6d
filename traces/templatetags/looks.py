"""Statuses and kinds flow in, their icons, words and bars flow out: one place for how a thing looks."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from traces.models import Rollout

register = template.Library()

WORDS = {
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "aborted": "Aborted",
    "running": "Running",
    "stale": "Stale",
}
# The quiet ones carry a plain bar, the loud ones a pattern: colour is never the only sign.
PATTERNS = {"failed", "cancelled", "aborted"}
KIND_ICONS = {
    "thread": "agent",
    "codex_turn": "turn",
    "inference_call": "inference",
    "tool_call": "tool",
    "terminal_operation": "terminal",
    "code_cell": "cell",
    "compaction": "compact",
}


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """One symbol of the page's sprite."""
    return format_html('<svg class="i {}" aria-hidden="true"><use href="#i-{}"/></svg>', classes, name)


@register.simple_tag
def kind_icon(kind: str) -> SafeString:
    """The symbol of a kind of object."""
    return icon(KIND_ICONS.get(kind, "file"), "kind")


@register.simple_tag
def status(value: str) -> SafeString:
    """Icon and word, in a sentence."""
    return format_html('<span class="st {}">{}{}</span>', value, icon(value), WORDS.get(value, value))


@register.simple_tag
def status_icon(value: str) -> SafeString:
    """The icon alone for the eye, the word for who listens."""
    word = WORDS.get(value, value)
    return format_html(
        '<span class="st {}" title="{}">{}<span class="vh">{}</span></span>', value, word, icon(value), word
    )


@register.simple_tag
def chip(value: str, evidence: str = "observed") -> SafeString:
    """A status standing alone; dashed when it was inferred at the turn's end."""
    return _chip(value, WORDS.get(value, value), inferred=evidence == "turn_end")


@register.simple_tag
def tally(value: str, count: int) -> SafeString | str:
    """13 completed; zero is left out."""
    return _chip(value, f"{count:,} {WORDS[value].lower()}", inferred=False) if count else ""


def _chip(value: str, words: str, inferred: bool) -> SafeString:
    dashed = "inferred" if inferred else ""
    return format_html('<span class="st {} chip {}">{}{}</span>', value, dashed, icon(value), words)


@register.simple_tag
def tallies(counts: dict[str, int]) -> SafeString:
    """All counts of a rollout, the ordinary first."""
    chips = [str(tally(value, counts.get(value, 0))) for value in WORDS if counts.get(value)]
    return format_html('<span class="chips">{}</span>', SafeString("".join(chips)))


VERDICTS = {
    "new": "New",
    "same": "Already here",
    "continued": "Continued",
    "other_content": "Same trace, other content",
}


@register.simple_tag
def verdict_word(verdict: str) -> str:
    """What came of a bundle, in a word or two."""
    return VERDICTS.get(verdict, verdict)


@register.simple_tag
def tokens(rollout: Rollout) -> SafeString:
    """All tokens of a rollout; what was never counted is said to be missing."""
    total = rollout.tokens_in + rollout.tokens_out
    if not rollout.calls_without_usage:
        return format_html("{}", f"{total:,}")
    if rollout.calls_without_usage >= rollout.inferences:
        return format_html('<span class="dim">{}</span>', "unknown")
    title = f"{rollout.calls_without_usage:,} of {rollout.inferences:,} calls have no usage"
    return format_html('<span class="guess" title="{}">≥ {}</span>', title, f"{total:,}")


FATES = {"carried on": "completed", "not carried on": "cancelled", "no later request": "stale"}


@register.simple_tag
def fate(word: str) -> SafeString:
    """What became of a partial item."""
    look = FATES[word]
    symbol = {"completed": "next", "cancelled": "cancelled", "stale": "clock"}[look]
    return format_html('<span class="st {}">{}{}</span>', look, icon(symbol), word.capitalize())


@register.simple_tag
def at_least(count: int, missing: int) -> SafeString:
    """A sum, marked where some calls are missing from it."""
    if not missing:
        return format_html("<b>{}</b>", f"{count:,}")
    return format_html('<b class="guess" title="Calls without usage are left out">≥ {}</b>', f"{count:,}")


@register.simple_tag
def bar_fill(value: str) -> SafeString | str:
    """The pattern of a loud bar, as an SVG attribute."""
    return format_html('fill="url(#hatch-{})"', value) if value in PATTERNS else ""


@register.simple_tag
def bar_class(value: str) -> str:
    """The classes of a bar."""
    return f"b {value} hatched" if value in PATTERNS else f"b {value}"
