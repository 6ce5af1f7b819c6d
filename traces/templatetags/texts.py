"""A model's or a terminal's text flows in, safe markup flows out: everything is escaped or passes the sanitiser."""

import re

import nh3
from django import template
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

from traces.templatetags.sgr import runs

register = template.Library()

# A message is read, not laid out: no headings that would break the page's outline, no images that would load,
# no HTML of its own. Beyond this length parsing costs more than it gives.
MARKDOWN = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table").disable("image")
MARKDOWN_LIMIT = 100_000
TAGS = {"p", "br", "em", "strong", "code", "pre", "ul", "ol", "li", "blockquote", "hr", "a", "del"}
TAGS |= {"table", "thead", "tbody", "tr", "th", "td"}
LINKS = {"http", "https", "mailto"}
HEADING = re.compile(r"<(/?)h[1-6]>")


@register.filter
def markdown(text: str) -> SafeString:
    """A sanitised subset of Markdown; very long texts stay plain."""
    if len(text) > MARKDOWN_LIMIT:
        return plain(text)
    html = MARKDOWN.render(text)
    html = HEADING.sub(lambda tag: "</strong></p>" if tag[1] else "<p><strong>", html)
    clean = nh3.clean(html, tags=TAGS, attributes={"a": {"href"}, "ol": {"start"}}, url_schemes=LINKS)
    return mark_safe(clean)  # noqa: S308 - nh3 has just cleaned it


@register.filter
def plain(text: str) -> SafeString:
    """Text as it stands, with its line breaks."""
    return format_html("<pre>{}</pre>", text)


CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]")


@register.filter
def ansi(text: str) -> SafeString:
    """A terminal's output: colours become classes, other escapes go, control characters become visible."""
    pieces = (_run(run, classes) for classes, run in runs(text.replace("\r\n", "\n")))
    return mark_safe("".join(pieces))  # noqa: S308 - every run is escaped


@register.filter
def visible(text: str) -> str:
    """Text with its control characters as pictures; it is still to be escaped."""
    return CONTROLS.sub(_visible, text.replace("\x1b", "␛"))


def _run(text: str, classes: str) -> str:
    shown = escape(visible(text.replace("\r", "␍")))
    return f'<span class="{classes}">{shown}</span>' if classes and shown else shown


def _visible(character: re.Match[str]) -> str:
    code = ord(character[0])
    return "␡" if code == 0x7F else chr(0x2400 + code)


@register.filter
def patch(text: str) -> SafeString:
    """A patch: added and removed lines are marked by their + and -, by elements that say so, and by colour."""
    return mark_safe("\n".join(_patch_line(line) for line in text.split("\n")))  # noqa: S308 - lines are escaped


def _patch_line(line: str) -> str:
    shown = escape(visible(line))
    if line.startswith("+"):
        return f'<ins class="line">{shown}</ins>'
    if line.startswith("-"):
        return f'<del class="line">{shown}</del>'
    return f'<span class="ansi-dim">{shown}</span>' if line.startswith(("***", "@@")) else shown


# Strings with the colon that makes them keys, other strings, and literals, in formatted JSON.
JSON_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|(?<![\w."-])(-?\d[\d.eE+-]*|true|false|null)\b')


@register.filter
def json_colours(text: str) -> SafeString:
    """Formatted JSON with its keys, strings and values told apart."""
    pieces: list[str] = []
    end = 0
    for token in JSON_TOKEN.finditer(text):
        pieces += [escape(text[end : token.start()]), _json_token(token)]
        end = token.end()
    return mark_safe("".join([*pieces, escape(text[end:])]))  # noqa: S308 - every piece is escaped


def _json_token(token: re.Match[str]) -> str:
    string, colon, literal = token.groups()
    if string is None:
        return f'<span class="v">{escape(literal)}</span>'
    return f'<span class="{"k" if colon else "s"}">{escape(string)}</span>{colon or ""}'
