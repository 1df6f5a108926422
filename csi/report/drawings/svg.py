"""How does text from a ticket get into a drawing without doing anything there?

Every piece of text goes through `clean` (characters that XML forbids, that are invisible or that
turn the direction of writing become U+FFFD; line ends become spaces) and `escape`. Widths are
estimated from character classes, not from a machine's fonts, so that the same input gives the same
bytes everywhere; estimates are generous, for a sans-serif at least as narrow as DejaVu Sans.
"""

from __future__ import annotations

import re
import unicodedata
from html import escape as escape_markup
from typing import Final

from process_mining.errors import CodedError

INK: Final = "#1c2430"
SOFT: Final = "#55606e"
LINE: Final = "#8b95a1"
WASH: Final = "#f4f6f9"
FONT: Final = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"
ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"
LONGEST: Final = 500

# Controls, surrogates, private use, unassigned (noncharacters among them) and format characters;
# the two joiners stay, because scripts need them.
_UNSAFE_KINDS: Final = frozenset({"Cc", "Cs", "Co", "Cn", "Cf"})
_JOINERS: Final = frozenset("\u200c\u200d")
_SPACES: Final = frozenset("\t\n\r\u2028\u2029\x0b\x0c\x85")
_ANCHOR: Final = re.compile(r"#[A-Za-z0-9_.:-]+")
_NARROW: Final = frozenset("ijltfrI.,:;'|!()[]/\\ -")
_BROAD: Final = frozenset("mwMW@%&<>=+~#\N{REPLACEMENT CHARACTER}")


def clean(text: str, limit: int = LONGEST) -> str:
    """Return text on one line without harmful characters, cut after `limit` characters."""
    safe = "".join(map(_safe, text[: limit + 1]))
    return safe if len(text) <= limit else safe[: max(limit - 1, 0)] + ELLIPSIS


def escape(text: str, limit: int = LONGEST) -> str:
    """Return cleaned text ready to stand in an element or between quotes."""
    return escape_markup(clean(text, limit), quote=True)


def width(text: str) -> float:
    """Estimate the width of text in ems."""
    return sum(map(_em, text))


def wrapped(text: str, ems: float, lines: int) -> tuple[str, ...]:
    """Break cleaned text into at most `lines` lines of about `ems`; a cut ends in an ellipsis.

    Breaks at spaces; a word longer than a line is broken inside.
    """
    words = [piece for word in clean(text).split() for piece in _pieces(word, ems)]
    found: list[str] = []
    for word in words:
        if found and width(f"{found[-1]} {word}") <= ems:
            found[-1] = f"{found[-1]} {word}"
        else:
            found.append(word)
    if len(found) > lines:
        found = [*found[: lines - 1], _shortened(f"{found[lines - 1]} {found[lines]}", ems)]
    return tuple(found)


def num(value: float) -> str:
    """Write a coordinate with at most one decimal."""
    shown = f"{value:.1f}"
    return "0" if shown in {"-0.0", "0.0"} else shown.removesuffix(".0")


def points(pairs: list[tuple[float, float]]) -> str:
    """Write points as SVG's `points` wants them."""
    return " ".join(f"{num(x)},{num(y)}" for x, y in pairs)


def text(  # noqa: PLR0913 - a text has a place and a look
    x: float,
    y: float,
    content: str,
    *,
    size: float = 12,
    fill: str = INK,
    anchor: str = "middle",
    weight: str = "",
    halo: bool = False,
) -> str:
    """Return one line of text; `halo` puts white behind it so that lines do not cut it."""
    bold = f' font-weight="{weight}"' if weight else ""
    ring = ' stroke="#fff" stroke-width="4" stroke-linejoin="round" paint-order="stroke"'
    return (
        f'<text x="{num(x)}" y="{num(y)}" font-size="{num(size)}" fill="{fill}" '
        f'text-anchor="{anchor}"{bold}{ring if halo else ""}>{escape(content)}</text>'
    )


def lines(  # noqa: PLR0913 - the same
    x: float,
    y: float,
    content: tuple[str, ...],
    *,
    size: float,
    fill: str = INK,
    weight: str = "",
    halo: bool = False,
) -> str:
    """Return several lines of text centred on (x, y)."""
    step = size * 1.2
    top = y - step * (len(content) - 1) / 2 + size * 0.35
    return "".join(
        text(x, top + step * i, line, size=size, fill=fill, weight=weight, halo=halo)
        for i, line in enumerate(content)
    )


def document(  # noqa: PLR0913 - what every drawing has
    body: str,
    *,
    box: tuple[float, float, float, float],
    name: str,
    title: str,
    desc: str,
    role: str,
) -> str:
    """Return the drawing as one SVG element that is as wide as its place, up to its own size.

    `box` is x, y, width, height. `name` makes ids unique in the page.
    """
    if not _ANCHOR.fullmatch(f"#{name}"):
        msg = f"drawing name '{clean(name, 60)}' is no id"
        raise CodedError("CY901", msg, fix="Use letters, digits, '_', '.', ':' and '-'")
    view = " ".join(map(num, box))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view}" width="100%" '
        f'style="max-width:{num(box[2])}px;height:auto" role="{role}" '
        f'aria-labelledby="{name}-title {name}-desc" font-family="{FONT}">\n'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(desc, 2000)}</desc>\n'
        f'<rect x="{num(box[0])}" y="{num(box[1])}" width="{num(box[2])}" '
        f'height="{num(box[3])}" fill="#fff"/>\n{body}</svg>\n'
    )


def linked(content: str, href: str | None) -> str:
    """Wrap content in a link to a place in the same page; anything else is refused (CY902)."""
    if href is None:
        return content
    if not _ANCHOR.fullmatch(href):
        msg = f"link '{clean(href, 60)}' leads out of the page"
        raise CodedError("CY902", msg, why="A drawing is inert", fix="Link to '#' and an id")
    return f'<a href="{href}">{content}</a>'


def mixed(low: str, high: str, share: float) -> str:
    """Return the colour at `share` (0..1) of the way between two #rrggbb colours."""
    part = min(max(share, 0.0), 1.0)
    ends = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in (low, high)]
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in zip(*ends, strict=True))


def _safe(char: str) -> str:
    if char in _SPACES:
        return " "
    unsafe = unicodedata.category(char) in _UNSAFE_KINDS and char not in _JOINERS
    return "\N{REPLACEMENT CHARACTER}" if unsafe else char


def _em(char: str) -> float:
    if unicodedata.combining(char) or char in _JOINERS:
        return 0.0
    if unicodedata.east_asian_width(char) in {"W", "F"}:
        return 1.05
    if char in _NARROW:
        return 0.38
    if char in _BROAD:
        return 0.95
    return 0.7 if char.isupper() else 0.6


def _pieces(word: str, ems: float) -> list[str]:
    """Break a word that is wider than a line; also one with more marks than a line can carry."""
    found, room = [""], ems
    for char in word:
        if room < _em(char) or len(found[-1]) >= ems * 4:
            found.append("")
            room = ems
        found[-1] += char
        room -= _em(char)
    return found


def _shortened(text: str, ems: float) -> str:
    while text and width(text) + 1 > ems:
        text = text[:-1]
    return text.rstrip() + ELLIPSIS
