"""A terminal's text flows in, runs of text with the names of their styles flow out; other escapes are dropped."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

# Select Graphic Rendition is kept; every other escape sequence moves a cursor nobody has here, or names a window.
SGR = re.compile(r"\x1b\[([0-9;:]*)m")
OTHER_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-ln-~]|\[[<=>?][0-?]*[ -/]*m|\][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|[PX^_][^\x1b]*\x1b\\|[ -/]+[0-~]|[0-Z\\^_`-~])"
)
ON = {1: "b", 2: "dim", 3: "i", 4: "u", 7: "inv", 9: "s"}
OFF = {22: {"b", "dim"}, 23: {"i"}, 24: {"u"}, 27: {"inv"}, 29: {"s"}}
PLACES = {3: 38, 9: 38, 4: 48, 10: 48}  # tens of a code: before or behind
LONGEST = 400  # characters of one sequence: beyond that it styles nothing


@dataclass(frozen=True)
class Style:
    """How a run looks: one of eight colours before and behind, and what else is on."""

    colour: int | None = None
    behind: int | None = None
    on: frozenset[str] = frozenset()

    @property
    def classes(self) -> str:
        """The names of its classes; empty for plain text."""
        names = [f"ansi-{name}" for name in sorted(self.on)]
        if self.colour is not None:
            names.append(f"ansi-{30 + self.colour}")
        if self.behind is not None:
            names.append(f"ansi-{40 + self.behind}")
        return " ".join(names)


def runs(text: str) -> Iterator[tuple[str, str]]:
    """Pieces of the text, each with the names of its classes."""
    style = Style()
    pieces = SGR.split(OTHER_ESCAPES.sub("", text))
    yield "", pieces[0]
    for codes, run in zip(pieces[1::2], pieces[2::2], strict=True):
        style = restyled(style, codes)
        if run:
            yield style.classes, run


def restyled(style: Style, codes: str) -> Style:
    """The style after one sequence; what it does not understand changes nothing."""
    if len(codes) > LONGEST or not codes.isascii():
        return style
    # 38:2::1:2:3 has an empty place for a colour space, 38;2;1;2;3 has none.
    numbers = [int(code[:4] or 0) for code in re.sub(r"(?<=[34]8:2):(?=:)", "", codes).replace(":", ";").split(";")]
    while numbers:
        code = numbers.pop(0)
        if code in (38, 48):
            colour = _extended(numbers)
            style = style if colour is None else _coloured(style, code, colour)
        else:
            style = _plain(style, code)
    return style


def _plain(style: Style, code: int) -> Style:
    if code == 0:
        return Style()
    if code in ON:
        return replace(style, on=style.on | {ON[code]})
    if code in OFF:
        return replace(style, on=style.on - OFF[code])
    tens, colour = divmod(code, 10)
    if tens not in PLACES or (colour > 7 and code not in (39, 49)):
        return style
    return _coloured(style, PLACES[tens], colour if colour < 8 else None)


def _coloured(style: Style, code: int, colour: int | None) -> Style:
    return replace(style, colour=colour) if code == 38 else replace(style, behind=colour)


def _extended(numbers: list[int]) -> int | None:
    """One of 256 colours, or one of all of them, as the nearest of eight."""
    mode = numbers.pop(0) if numbers else 0
    if mode == 5 and numbers:
        return _of_256(numbers.pop(0))
    if mode == 2 and len(numbers) >= 3:
        red, green, blue = numbers[:3]
        del numbers[:3]
        return _nearest(red, green, blue)
    if mode == 2:
        numbers.clear()  # half a colour says nothing
    return None


def _of_256(number: int) -> int:
    if number < 16:
        return number % 8
    if number >= 232:
        return 7 if number >= 244 else 0
    red, rest = divmod(number - 16, 36)
    green, blue = divmod(rest, 6)
    return _nearest(red * 51, green * 51, blue * 51)


def _nearest(red: int, green: int, blue: int) -> int:
    strongest = max(red, green, blue)
    if strongest < 64:
        return 0
    return sum(bit for bit, part in ((1, red), (2, green), (4, blue)) if part * 2 > strongest)
