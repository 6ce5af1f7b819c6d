"""A model's or a terminal's text flows in, safe markup flows out: everything is escaped or passes the sanitiser."""

import re
from collections.abc import Iterator

import nh3
from django import template
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

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


# Select Graphic Rendition is kept as classes; every other escape sequence moves a cursor nobody has here.
SGR = re.compile(r"\x1b\[([0-9;:]*)m")
OTHER_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-ln-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]")
STYLES = {1: "ansi-b", 2: "ansi-dim", 4: "ansi-u"} | {code: f"ansi-{code}" for code in range(31, 37)}
STYLES |= {code + 60: f"ansi-{code}" for code in range(31, 37)}


@register.filter
def ansi(text: str) -> SafeString:
    """A terminal's output: colours become classes, other escapes go, control characters become visible."""
    text = OTHER_ESCAPES.sub("", text.replace("\r\n", "\n"))
    return mark_safe("".join(_runs(text)))  # noqa: S308 - every run is escaped


def _runs(text: str) -> Iterator[str]:
    styles: list[str] = []
    pieces = SGR.split(text)
    yield _run(pieces[0], styles)
    for codes, run in zip(pieces[1::2], pieces[2::2], strict=True):
        styles = _restyled(styles, codes)
        yield _run(run, styles)


def _run(text: str, styles: list[str]) -> str:
    shown = escape(CONTROLS.sub(_visible, text.replace("\r", "␍").replace("\x1b", "␛")))
    return f'<span class="{" ".join(styles)}">{shown}</span>' if styles and shown else shown


def _visible(character: re.Match[str]) -> str:
    code = ord(character[0])
    return "␡" if code == 0x7F else chr(0x2400 + code)


def _restyled(styles: list[str], codes: str) -> list[str]:
    for code in re.split("[;:]", codes):
        number = int(code[:4] or 0) if code.isascii() and (code.isdigit() or not code) else -1
        if number in (0, -1):
            styles = []
        elif number == 39:
            styles = [style for style in styles if not style[5:].isdigit()]
        elif number in STYLES and STYLES[number] not in styles:
            styles = [*styles, STYLES[number]]
    return styles


@register.filter
def patch(text: str) -> SafeString:
    """A patch with its added and removed lines coloured."""
    return mark_safe("\n".join(_patch_line(line) for line in text.split("\n")))  # noqa: S308 - lines are escaped


def _patch_line(line: str) -> str:
    if line.startswith("+"):
        return f'<span class="ansi-32">{escape(line)}</span>'
    if line.startswith("-"):
        return f'<span class="ansi-31">{escape(line)}</span>'
    return f'<span class="ansi-dim">{escape(line)}</span>' if line.startswith(("***", "@@")) else str(escape(line))


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
