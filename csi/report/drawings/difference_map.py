"""Where do the ways of two groups part? One process map with the shares of both on it, as SVG.

A box is a step, a line a succession; the filled circle is the start of cases, the ring their end.
What differs (as the comparison decided) is labelled with both shares of cases and drawn in the
colour and the stroke of the group that has more of it: A blue and dashed, B ochre and solid; the
rest is thin and grey. A line's width grows with the size of the difference. Pointing at a part
shows its numbers in words.

What is shown: the `MOST_STEPS` steps that most cases have; among these the successions that differ
(at most `MOST_MARKED`, the largest differences), the most frequent way into and out of each step,
and the most frequent others until `KEEP_SHARE` of all successions' cases are on the map. What is
left out is counted. Layout: Graphviz's `dot` (see `layout`). Order: by falling cases, then names.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, sqrt
from typing import TYPE_CHECKING, Final

from csi.report.drawings import layout, pen, svg
from csi.report.words import percent, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csi.report.drawings.pen import Point

MOST_STEPS: Final = 24
MOST_MARKED: Final = 24
KEEP_SHARE: Final = 0.8
A_COLOUR, B_COLOUR = "#1d5fa8", "#8a5a00"
_A_FILL, _B_FILL, _PLAIN = "#dbe8f7", "#f8e7c8", "#f4f6f9"
_GREY: Final = "#a3aebb"
_A_DASHES: Final = "7 4"
_NAME_EMS: Final = 15.0
_NAME_SIZE: Final = 14.0
_SMALL: Final = 12.0
_DOT: Final = 26.0
_MARGIN: Final = 14.0
_LEGEND: Final = 56.0
_ARROW: Final = ((0.0, 0.0), (-1.0, 0.45), (-1.0, -0.45))


@dataclass(frozen=True)
class Part:
    """A box (`is_step`, its name in `source`), or a line between two steps.

    The start of cases is `source` None, their end is `target` None. Shares of the cases of A and B
    that have it, `cases` of both; `differs` as it was decided.
    """

    is_step: bool
    source: str | None
    target: str | None
    share_a: float
    share_b: float
    cases: int
    differs: bool

    @property
    def more_in_b(self) -> bool:
        """Whether a larger share of B has it."""
        return self.share_b > self.share_a

    @property
    def gap(self) -> float:
        """The size of the difference."""
        return abs(self.share_b - self.share_a)


def draw_difference_map(
    steps: Sequence[Part], lines: Sequence[Part], *, name: str, title: str
) -> str:
    """Return the map as one SVG element; `name` makes its ids unique in a page.

    Raises RunError CY911 where Graphviz fails.
    """
    boxes = sorted(steps, key=_by_cases)[:MOST_STEPS]
    place = {one.source: i + 1 for i, one in enumerate(boxes)}
    shown = _shown([one for one in lines if _inside(one, place)])
    texts = [_text(box) for box in boxes]
    sizes = [layout.Box(_DOT, _DOT), *map(_size, texts), layout.Box(_DOT, _DOT)]
    ends = [(place.get(one.source, 0), place.get(one.target, len(sizes) - 1)) for one in shown]
    arcs = [_arc(one, *pair) for one, pair in zip(shown, ends, strict=True)]
    placed = layout.arranged(sizes, arcs, first=0, last=len(sizes) - 1)
    wide = max(placed.width, 460.0)
    view = (
        (placed.width - wide) / 2 - _MARGIN,
        -_MARGIN,
        wide + 2 * _MARGIN,
        placed.height + 2 * _MARGIN + _LEGEND,
    )
    gone = _left_out(len(steps) - len(boxes), len(lines) - len(shown))
    body = [
        *(_line(one, placed, i) for i, one in enumerate(shown)),
        *(
            _box(*parts)
            for parts in zip(boxes, texts, sizes[1:-1], placed.nodes[1:-1], strict=True)
        ),
        *_terminals(placed),
        *(_label(one, placed.labels[i]) for i, one in enumerate(shown)),
        _legend(view, gone),
    ]
    said = "; ".join(_told(one) for one in [*boxes, *shown] if one.differs)
    return svg.document(
        "".join(body),
        box=view,
        name=name,
        title=title,
        desc=f"{said or 'No difference is shown'}. {gone}",
        role="img",
    )


def _by_cases(one: Part) -> tuple[int, str, str]:
    return (-one.cases, one.source or "", one.target or "")


def _inside(one: Part, place: dict[str | None, int]) -> bool:
    known = {None, *place}
    return one.source in known and one.target in known


def _shown(lines: Sequence[Part]) -> list[Part]:
    """Choose the lines that the head-note names, by falling cases."""
    ordered = sorted(lines, key=_by_cases)
    marked = sorted((one for one in ordered if one.differs), key=lambda one: -one.gap)
    keep = set(marked[:MOST_MARKED])
    into: dict[str, Part] = {}
    out: dict[str, Part] = {}
    for one in ordered:
        if one.source != one.target:
            into.setdefault(one.target or "", one)
            out.setdefault(one.source or "", one)
    keep |= {*into.values(), *out.values()}
    total, held = sum(one.cases for one in ordered), sum(one.cases for one in keep)
    for one in ordered:
        if held >= KEEP_SHARE * total:
            break
        held += 0 if one in keep else one.cases
        keep.add(one)
    return [one for one in ordered if one in keep]


def _shares(one: Part) -> str:
    return f"A {percent(one.share_a)} · B {percent(one.share_b)}"


def _told(one: Part) -> str:
    named = one.source if one.is_step else f"{one.source or 'start'} → {one.target or 'end'}"
    return f"{named}: {_shares(one)} of cases ({plural(one.cases, 'case')} in all)"


def _text(one: Part) -> tuple[str, ...]:
    return (*(svg.wrapped(one.source or "", _NAME_EMS, 3) or ("(blank)",)), _shares(one))


def _size(lines: tuple[str, ...]) -> layout.Box:
    *names, facts = lines
    wide = max([svg.width(facts) * _SMALL, *(svg.width(one) * _NAME_SIZE * 1.12 for one in names)])
    return layout.Box(max(wide + 20, 110), _NAME_SIZE * 1.2 * len(names) + _SMALL * 1.2 + 16)


def _arc(one: Part, source: int, target: int) -> layout.Arc:
    room = layout.Box(svg.width(_shares(one)) * _SMALL + 12, _SMALL * 1.5) if one.differs else None
    weight = 1 + round(9 * max(one.share_a, one.share_b))
    return layout.Arc(source, target, label=room, weight=weight)


def _look(one: Part) -> pen.Look:
    if not one.differs:
        return pen.Look(pen.NONE, _GREY, 1.2)
    wide = 2 + 10 * sqrt(one.gap) / 2
    if one.more_in_b:
        return pen.Look(pen.NONE, B_COLOUR, wide)
    return pen.Look(pen.NONE, A_COLOUR, wide, _A_DASHES)


def _line(one: Part, placed: layout.Layout, i: int) -> str:
    path, tip, look = placed.edges[i], placed.tips[i], _look(one)
    start, rest = path[0], path[1:]
    curve = f"M{_pair(start)}C{' '.join(map(_pair, rest))}"
    return (
        f"<g><title>{svg.escape(_told(one), 1000)}</title>"
        f'<path d="{curve}"{look.attributes}/>{_arrow(path[-1], tip, look)}</g>\n'
    )


def _pair(point: Point) -> str:
    return f"{svg.num(point[0])},{svg.num(point[1])}"


def _arrow(base: Point, tip: Point, look: pen.Look) -> str:
    dx, dy = tip[0] - base[0], tip[1] - base[1]
    long = max(hypot(dx, dy), 0.1)
    size = 8 + 1.5 * look.width
    turned = [((x * dx - y * dy) / long, (x * dy + y * dx) / long) for x, y in _ARROW]
    return pen.polygon(*tip, size, turned, pen.Look(look.stroke, pen.NONE))


def _label(one: Part, place: Point | None) -> str:
    if place is None:
        return ""
    fill = B_COLOUR if one.more_in_b else A_COLOUR
    return svg.text(place[0], place[1] + 4, _shares(one), size=_SMALL, fill=fill, halo=True) + "\n"


def _box(one: Part, lines: tuple[str, ...], size: layout.Box, at: Point) -> str:
    fill, edge = _PLAIN, pen.Look(_PLAIN, _GREY, 1.2)
    if one.differs:
        fill = _B_FILL if one.more_in_b else _A_FILL
        look = _look(one)
        edge = pen.Look(fill, look.stroke, 2.5, look.dashes)
    x, y = at[0] - size.width / 2, at[1] - size.height / 2
    *names, facts = lines
    return (
        f"<g><title>{svg.escape(_told(one), 1000)}</title>"
        f"{pen.box(x, y, size.width, size.height, edge, corner=8)}"
        f"{svg.lines(at[0], at[1] - _SMALL * 0.6, tuple(names), size=_NAME_SIZE, weight='600')}"
        f"{svg.text(at[0], y + size.height - 8, facts, size=_SMALL)}</g>\n"
    )


def _terminals(placed: layout.Layout) -> list[str]:
    first, last = placed.nodes[0], placed.nodes[-1]
    return [
        f"<g><title>start</title>{pen.circle(*first, 12, pen.FILLED)}</g>\n",
        f"<g><title>end</title>{pen.circle(*last, 11, pen.Look(width=4))}</g>\n",
    ]


def _left_out(steps: int, lines: int) -> str:
    if not steps and not lines:
        return "Nothing is left out."
    parts = [plural(steps, "rare step")] * bool(steps) + [plural(lines, "rare line")] * bool(lines)
    return f"Left out: {' and '.join(parts)}."


def _legend(view: tuple[float, float, float, float], gone: str) -> str:
    x, y = view[0] + _MARGIN, view[1] + view[3] - _LEGEND + 14
    rows = (
        (pen.Look(pen.NONE, A_COLOUR, 3, _A_DASHES), "a larger share of A has it"),
        (pen.Look(pen.NONE, B_COLOUR, 3), "a larger share of B has it (wider: by more)"),
        (pen.Look(pen.NONE, _GREY, 1.2), f"no difference shown, or too little. {gone}"),
    )
    return "".join(
        pen.strokes(x, y + 16 * i, 1, [[(0, 0), (34, 0)]], look)
        + svg.text(x + 42, y + 16 * i + 4, said, size=11, fill=svg.SOFT, anchor="start")
        for i, (look, said) in enumerate(rows)
    )
