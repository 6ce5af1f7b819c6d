"""Values as recordings hold them flow in; words and safe markup flow out."""

from datetime import UTC, datetime

import pytest

from traces.models import Rollout
from traces.templatetags.looks import tokens
from traces.templatetags.texts import ansi, json_colours, markdown, patch
from traces.templatetags.words import duration, full_moment, moment, number, offset, plural, short_id, shorten, size


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [
        (0, "0 ms"),
        (88, "88 ms"),
        (999, "999 ms"),
        (1_964, "1.96 s"),
        (9_994, "9.99 s"),
        (9_996, "10.0 s"),
        (48_130, "48.1 s"),
        (59_960, "1 m 00 s"),
        (182_000, "3 m 02 s"),
        (7_860_000, "2 h 11 m"),
        (266_400_000, "3 d 02 h"),
        (None, "unknown"),
    ],
)
def test_durations_as_people_say_them(milliseconds: int | None, said: str) -> None:
    assert duration(milliseconds) == said


def test_times_carry_the_exact_moment() -> None:
    past = datetime(2021, 5, 4, 13, 7, 9, 250_000, tzinfo=UTC)
    assert ">May 4, 2021<" in moment(past)
    assert 'title="2021-05-04 13:07:09.250 UTC"' in moment(past)
    assert ">May 4, 2021, 13:07:09<" in full_moment(past)
    assert f">{datetime.now(UTC):%H}:" in moment(datetime.now(UTC))
    assert offset(5_486) == "+5.486 s"


def test_numbers_sizes_and_names() -> None:
    assert (number(1_204_551), number(None)) == ("1,204,551", "unknown")
    assert [size(count) for count in (1, 999, 265_000, 3_100_000, 41_300_000)] == [
        "1 byte",
        "999 bytes",
        "265 KB",
        "3.1 MB",
        "41 MB",
    ]
    assert (plural(1, "item"), plural(2_000, "item"), plural(2, "is,are")) == ("1 item", "2,000 items", "2 are")
    assert short_id("01a20477-f982-7281-9491-f900f546d75a") == "01a20477-f982"
    assert short_id("my-own-session") == "my-own-session"
    assert shorten("one  two\nthree", 8) == "one two…"


def test_tokens_that_were_never_counted_are_no_zeros() -> None:
    counts = {"completed": 1, "failed": 1}
    some = Rollout(tokens_in=100, tokens_out=5, calls_without_usage=1, counts=counts)
    assert "≥ 105" in tokens(some)
    assert "unknown" in tokens(Rollout(calls_without_usage=2, counts=counts))
    assert tokens(Rollout(tokens_in=100, tokens_out=5, counts=counts)) == "105"


HOSTILE = [
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    '<img src=x onerror="alert(1)">',
    "![x](http://example.org/pixel.png)",
    '[x](http://example.org "onmouseover=alert(1)")',
    "<a href='data:text/html,x'>x</a>",
    "```\n</code></pre><script>alert(1)</script>\n```",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_loads_and_runs_nothing(text: str) -> None:
    html = markdown(text)
    assert "<script" not in html
    assert "<img" not in html
    assert 'href="javascript' not in html
    assert 'href="data' not in html
    assert " onmouseover=" not in html.replace('"onmouseover', "")


def test_markdown_keeps_what_is_read() -> None:
    html = markdown("## Title\n\nA **bold** `code`.\n\n- one\n- two\n\n| a |\n|---|\n| b |\n")
    assert "<p><strong>Title</strong></p>" in html
    assert "<strong>bold</strong> <code>code</code>" in html
    assert "<li>one</li>" in html
    assert "<td>b</td>" in html
    assert "<h2" not in html


def test_terminal_escapes_become_classes() -> None:
    html = ansi("\x1b[32mgot <ping>\x1b[0m\r\n\x1b[1;31mred\x1b[m \x1b]0;title\x07\x1b[2Kdone\x07")
    assert html == ('<span class="ansi-32">got &lt;ping&gt;</span>\n<span class="ansi-b ansi-31">red</span> done␇')


@pytest.mark.parametrize(
    ("codes", "classes"),
    [
        ("1;4;31", "ansi-b ansi-u ansi-31"),
        ("91", "ansi-31"),
        ("3;9;7", "ansi-i ansi-inv ansi-s"),
        ("44", "ansi-44"),
        ("103", "ansi-43"),
        ("38;5;196", "ansi-31"),
        ("38;5;2", "ansi-32"),
        ("38;5;250", "ansi-37"),
        ("48;2;10;10;200", "ansi-44"),
        ("38:2::200:0:200", "ansi-35"),
        ("38:2:0:200:200", "ansi-36"),
        ("38;2;1", ""),
        ("38;9;1;32", "ansi-b ansi-32"),
        ("31;39", ""),
        ("42;49;1;22", ""),
        ("1;0", ""),
        ("777", ""),
    ],
)
def test_every_colour_becomes_one_of_eight(codes: str, classes: str) -> None:
    expected = f'<span class="{classes}">x</span>' if classes else "x"
    assert ansi(f"\x1b[{codes}mx") == expected


@pytest.mark.parametrize(
    "escape",
    ["\x1b[2J", "\x1b[10;3H", "\x1b]8;;https://example.org\x07", "\x1b]0;title\x1b\\", "\x1bPq#0\x1b\\", "\x1b(B"],
)
def test_every_other_escape_is_dropped(escape: str) -> None:
    assert ansi(f"a{escape}b") == "ab"


@pytest.mark.parametrize("escape", ["\x1b[?25l", "\x1b[>4;2m", "\x1b7", "\x1bc", "\x1b="])
def test_private_escapes_are_dropped(escape: str) -> None:
    assert ansi(f"a{escape}b") == "ab"


def test_what_is_no_escape_is_seen() -> None:
    assert ansi("a\x1b") == "a␛"
    assert ansi("a\x00\x08b\rc") == "a␀␈b␍c"


def test_monstrous_escapes_do_no_harm() -> None:
    assert ansi(f"\x1b[{'9' * 10_000}mx") == "x"
    assert ansi("\x1b[²mx").endswith("x")


def test_json_and_patches_are_escaped() -> None:
    html = json_colours('{\n  "a<b": "<script>",\n  "n": -1.5e3\n}')
    assert '<span class="k">&quot;a&lt;b&quot;</span>: <span class="s">&quot;&lt;script&gt;&quot;</span>' in html
    assert '<span class="v">-1.5e3</span>' in html
    assert patch("+<b>\n-c\n d").startswith('<ins class="line">+&lt;b&gt;</ins>\n<del class="line">-c</del>')
