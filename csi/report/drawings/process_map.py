"""Which ways do tickets really take? A process map as inline SVG.

A box is an activity: its name, how often it was done, the share of cases that have it (also its
shade). A line is a succession: its width grows with the square root of how often it was taken, its
shade with the share of cases that take it; its label says how often, and the median time from the
one step to the next. The filled circle is the start of cases, the ring their end. A line that the
map holds to be slow is dashed and brown, with an hourglass before its label. A line of `places`
bears its number in a disc, which leads to a place of the same page. Pointing at a part shows its
numbers in words; a description lists the most frequent ways for those who cannot see the drawing.

Units: waits in int64 microseconds, elapsed time. The layout is Graphviz's `dot` (see `layout`).
Order: as in the map (most frequent first), so that equal maps give equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import TYPE_CHECKING, Final

from csi.report.drawings import layout, pen, svg
from csi.report.words import duration, number, percent, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from process_mining.discovery import Edge, Node, ProcessMap

_NAME_EMS: Final = 15.0
_NAME_SIZE: Final = 14.0
_BOLD: Final = _NAME_SIZE * 1.12
_SMALL: Final = 12.0
_DOT: Final = 26.0
_MARGIN: Final = 14.0
_LEGEND: Final = 54.0
_TOLD: Final = 12
_PALE_BOX, _DEEP_BOX = "#f2f6fb", "#a9c9ec"
_PALE_LINE, _DEEP_LINE = "#a3aebb", "#173f70"
_SLOW_LINE: Final = "#8a4b00"
_DASHES: Final = ' stroke-dasharray="9 4"'
_SIGN: Final = 16.0
_DISC: Final = 9.0
_HOURGLASS: Final = ((-0.75, -1.0), (0.75, -1.0), (-0.75, 1.0), (0.75, 1.0))


@dataclass(frozen=True)
class Place:
    """A line to point at: its number, and the anchor of the same page that it leads to."""

    number: int
    href: str


@dataclass(frozen=True)
class _Line:
    """An edge of the drawing: which nodes it joins, its label, its numbers."""

    edge: Edge
    source: int
    target: int
    label: str
    slow: bool = False
    place: Place | None = None

    @property
    def signs(self) -> int:
        """How many signs stand before the label."""
        return int(self.slow) + int(self.place is not None)


def draw_process_map(
    found: ProcessMap,
    *,
    name: str = "process-map",
    title: str = "",
    places: Mapping[tuple[str, str], Place] | None = None,
) -> str:
    """Return the map as one SVG element; `name` makes its ids unique in a page.

    `places` by (source, target); lines that the map does not show are passed over. Raises RunError
    CY911 where Graphviz fails, CodedError CY901 for a name that is no id.
    """
    return drawn_map(found, name=name, title=title, places=places)[0]


def drawn_map(
    found: ProcessMap,
    *,
    name: str = "process-map",
    title: str = "",
    places: Mapping[tuple[str, str], Place] | None = None,
) -> tuple[str, int]:
    """Return the map as `draw_process_map` does, and its width in pixels."""
    boxes = [_lines_of(node, found) for node in found.nodes]
    sizes = [layout.Box(_DOT, _DOT), *map(_size, boxes), layout.Box(_DOT, _DOT)]
    lines = _lines(found, places or {})
    top = max((line.edge.n for line in lines), default=1)
    arcs = [_arc(line, top) for line in lines]
    placed = layout.arranged(sizes, arcs, first=0, last=len(sizes) - 1)
    paths = [_drawn_line(line, placed, i, found.cases, top) for i, line in enumerate(lines)]
    labels = [_drawn_label(line, placed.labels[i]) for i, line in enumerate(lines)]
    linked = any(line.place for line in lines)
    nodes = [
        _drawn_node(node, text, size, placed.nodes[i + 1], found.cases)
        for i, (node, text, size) in enumerate(zip(found.nodes, boxes, sizes[1:-1], strict=True))
    ]
    ends = _terminals(found, placed)
    wide = max(placed.width, 420.0)
    view = (
        (placed.width - wide) / 2 - _MARGIN,
        -_MARGIN,
        wide + 2 * _MARGIN,
        placed.height + 2 * _MARGIN + _LEGEND,
    )
    drawing = svg.document(
        "".join([*paths, *nodes, *ends, *labels, _legend(found, view)]),
        box=view,
        name=name,
        title=title or f"Process map of {plural(found.cases, 'case')}",
        desc=describe(found),
        role="group" if linked else "img",
    )
    return drawing, ceil(view[2])


def describe(found: ProcessMap) -> str:
    """Say the map in words: its size, the most frequent ways, what is left out."""
    ways = sorted((*found.starts, *found.edges, *found.ends), key=lambda e: -e.n)[:_TOLD]
    said = "; ".join(f"{_ends_of(e)} {number(e.n)} times{_waited(e)}" for e in ways)
    return f"{plural(found.cases, 'case')}. Most frequent: {said}. {left_out(found)}"


def left_out(found: ProcessMap) -> str:
    """Say what the map's filters hide."""
    gone = found.left_out
    if not gone.edges and not gone.activities:
        return "Nothing is left out."
    parts = []
    if gone.activities:
        kinds = plural(gone.activities, "rare activity", "rare activities")
        parts.append(f"{kinds} ({plural(gone.steps, 'step')})")
    if gone.edges:
        kinds = plural(gone.edges, "rare line")
        parts.append(f"{kinds} ({plural(gone.successions, 'succession')})")
    return f"Left out: {' and '.join(parts)}."


def _slow_words(found: ProcessMap) -> str:
    if found.slower_than_us is None:
        return ""
    return f" Dashed, with an hourglass: slower than {duration(found.slower_than_us)}."


def _lines(found: ProcessMap, places: Mapping[tuple[str, str], Place]) -> list[_Line]:
    place = {node.activity: i + 1 for i, node in enumerate(found.nodes)}
    last = len(found.nodes) + 1
    return [
        _Line(
            edge=edge,
            source=0 if edge.source is None else place[edge.source],
            target=last if edge.target is None else place[edge.target],
            label=_label(edge),
            slow=found.is_slow(edge),
            place=places.get((edge.source or "", edge.target or "")),
        )
        for edge in (*found.starts, *found.edges, *found.ends)
    ]


def _label(edge: Edge) -> str:
    if edge.median_us is None:
        return number(edge.n)
    return f"{number(edge.n)} · {duration(edge.median_us)}"


def _lines_of(node: Node, found: ProcessMap) -> tuple[str, ...]:
    share = percent(node.cases / found.cases)
    names = svg.wrapped(node.activity, _NAME_EMS, 3) or ("(blank)",)
    return (*names, f"{number(node.n)} · {share} of cases")


def _size(lines: tuple[str, ...]) -> layout.Box:
    *names, facts = lines
    ems = max([svg.width(facts) * _SMALL, *(svg.width(line) * _BOLD for line in names)])
    return layout.Box(max(ems + 20, 110), _NAME_SIZE * 1.2 * len(names) + _SMALL * 1.2 + 16)


def _arc(line: _Line, top: int) -> layout.Arc:
    signs = _SIGN * line.signs
    room = layout.Box(svg.width(line.label) * _SMALL + 16 + signs, _SMALL * 1.5)
    weight = 1 + round(9 * line.edge.n / top)
    return layout.Arc(line.source, line.target, label=room, weight=weight)


def _ends_of(edge: Edge) -> str:
    return f"{edge.source or 'start'} → {edge.target or 'end'}"


def _waited(edge: Edge) -> str:
    return "" if edge.median_us is None else f", median {duration(edge.median_us)}"


def _told(edge: Edge, cases: int) -> str:
    share = percent(edge.cases / cases)
    often = plural(edge.n, "time")
    return f"{_ends_of(edge)}: {often} in {plural(edge.cases, 'case')} ({share}){_waited(edge)}"


def _drawn_line(line: _Line, placed: layout.Layout, i: int, cases: int, top: int) -> str:
    edge, path, tip = line.edge, placed.edges[i], placed.tips[i]
    wide = 1 + 6 * sqrt(edge.n / top)
    colour = _SLOW_LINE if line.slow else svg.mixed(_PALE_LINE, _DEEP_LINE, edge.cases / cases)
    dashes = _DASHES if line.slow else ""
    start, rest = path[0], path[1:]
    curve = f"M{_pair(start)}C{' '.join(map(_pair, rest))}"
    return (
        f"<g><title>{svg.escape(_told(edge, cases), 1000)}</title>"
        f'<path d="{curve}" fill="none" stroke="{colour}" stroke-width="{svg.num(wide)}"{dashes}/>'
        f"{_arrowhead(path[-1], tip, wide, colour)}</g>\n"
    )


def _pair(point: tuple[float, float]) -> str:
    return f"{svg.num(point[0])},{svg.num(point[1])}"


def _arrowhead(base: tuple[float, float], tip: tuple[float, float], wide: float, fill: str) -> str:
    dx, dy = tip[0] - base[0], tip[1] - base[1]
    half = (3 + wide * 0.8) / max(sqrt(dx * dx + dy * dy), 0.1)
    left, right = (
        (base[0] - dy * half, base[1] + dx * half),
        (base[0] + dy * half, base[1] - dx * half),
    )
    return f'<polygon points="{svg.points([left, tip, right])}" fill="{fill}"/>'


def _drawn_label(line: _Line, place: tuple[float, float] | None) -> str:
    if place is None:
        return ""
    x, y = place[0] + line.signs * _SIGN / 2, place[1]
    said = svg.text(x, y + _SMALL * 0.35, line.label, size=_SMALL, halo=True)
    left = x - svg.width(line.label) * _SMALL / 2 - _SIGN / 2
    signs = ""
    if line.slow:
        signs += pen.polygon(left, y, 6, _HOURGLASS, pen.Look(_SLOW_LINE, pen.WHITE, 1))
        left -= _SIGN
    if line.place is not None:
        signs += svg.linked(_disc(left, y, line.place, _told_short(line)), line.place.href)
    return f"{said}{signs}\n"


def _disc(x: float, y: float, place: Place, told: str) -> str:
    ring = pen.circle(x, y, _DISC, pen.Look(svg.INK, pen.WHITE))
    shown = svg.text(x, y + 4, str(place.number), size=11, fill=pen.WHITE, weight="bold")
    return f"<g><title>{svg.escape(told)}</title>{ring}{shown}</g>"


def _told_short(line: _Line) -> str:
    assert line.place is not None  # noqa: S101 - only lines with a place have a disc
    return f"{line.place.number}: {_ends_of(line.edge)}"


def _drawn_node(
    node: Node, lines: tuple[str, ...], size: layout.Box, at: tuple[float, float], cases: int
) -> str:
    x, y = at[0] - size.width / 2, at[1] - size.height / 2
    fill = svg.mixed(_PALE_BOX, _DEEP_BOX, node.cases / cases)
    *names, facts = lines
    told = f"{node.activity}: {plural(node.n, 'time')} in {plural(node.cases, 'case')}"
    middle = at[1] - _SMALL * 0.6
    return (
        f"<g><title>{svg.escape(told)}</title>"
        f'<rect x="{svg.num(x)}" y="{svg.num(y)}" width="{svg.num(size.width)}" '
        f'height="{svg.num(size.height)}" rx="8" fill="{fill}" stroke="{svg.SOFT}"/>'
        f"{svg.lines(at[0], middle, tuple(names), size=_NAME_SIZE, weight='600')}"
        f"{svg.text(at[0], y + size.height - 8, facts, size=_SMALL)}</g>\n"
    )


def _terminals(found: ProcessMap, placed: layout.Layout) -> list[str]:
    (x0, y0), (x1, y1) = placed.nodes[0], placed.nodes[-1]
    begun, ended = sum(e.n for e in found.starts), sum(e.n for e in found.ends)
    return [
        (
            f"<g><title>start; the lines drawn carry {plural(begun, 'case')}</title>"
            f'<circle cx="{svg.num(x0)}" cy="{svg.num(y0)}" r="12" fill="{svg.INK}"/></g>\n'
        ),
        (
            f"<g><title>end; the lines drawn carry {plural(ended, 'case')}</title>"
            f'<circle cx="{svg.num(x1)}" cy="{svg.num(y1)}" r="11" fill="#fff" stroke="{svg.INK}" '
            f'stroke-width="4"/></g>\n'
        ),
    ]


def _legend(found: ProcessMap, view: tuple[float, float, float, float]) -> str:
    x, y = view[0] + _MARGIN, view[1] + view[3] - _LEGEND + 12
    said = (
        "Line: times taken · median time to the next step. Wider: more often.",
        f"Darker: a larger share of cases. Dot: start. Ring: end.{_slow_words(found)}",
        left_out(found),
    )
    return "".join(
        svg.text(x, y + 15 * i, line, size=11, fill=svg.SOFT, anchor="start")
        for i, line in enumerate(said)
    )
