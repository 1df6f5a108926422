"""Who hands over to whom? Teams on a circle, their hand-overs as arrows.

Teams of one community stand beside each other and have one shape and one colour; a team's size
grows with the square root of its events. An arrow's width grows with the square root of its
hand-overs, each arrow bends to its right, so that the way there and the way back are two. A bridge
(the only connection between two parts) is dashed. Only the `MOST_TEAMS` teams with the most
hand-overs and the `MOST_ARROWS` most frequent hand-overs among them are drawn; the legend says how
many are not. The group of small teams is drawn in grey, for it is no team.

Inline SVG without script; units: pixels. Order: as in the network, so that equal networks give
equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, hypot, pi, sin, sqrt
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from csi.report.drawings import pen, svg
from csi.report.words import duration, number, plural

if TYPE_CHECKING:
    from process_mining.organisation import Network

    Point = tuple[float, float]

MOST_TEAMS: Final = 24
MOST_ARROWS: Final = 60
RADIUS: Final = 250.0
MARGIN: Final = 190.0
FOOT: Final = 82.0
_NAME_EMS: Final = 13.0
_TEXT: Final = 12.0
_POOLED: Final = "#8b95a1"
_UPRIGHT: Final = 0.2  # cosine of the angles at which a name stands above or below its team


def _regular(n: int) -> tuple[Point, ...]:
    return tuple((sin(2 * pi * k / n), -cos(2 * pi * k / n)) for k in range(n))


_STAR: Final = tuple(
    (
        (1.15 if k % 2 == 0 else 0.55) * sin(pi * k / 5),
        (-1.15 if k % 2 == 0 else -0.55) * cos(pi * k / 5),
    )
    for k in range(10)
)
# a shape and a colour for each community; beyond them all are white circles
_LOOKS: Final = (
    ((), "#1d5fa8"),
    (((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)), "#b3261e"),
    (_regular(3), "#1b7a4b"),
    (((0.0, -1.15), (1.15, 0.0), (0.0, 1.15), (-1.15, 0.0)), "#6a3d9a"),
    (_regular(5), "#8a5a00"),
    (_STAR, "#00695c"),
)


@dataclass(frozen=True)
class _Team:
    name: str
    n: int
    community: int
    pooled: bool
    angle: float
    size: float
    told: str

    @property
    def at(self) -> Point:
        return RADIUS * cos(self.angle), RADIUS * sin(self.angle)


def draw_network(found: Network, *, name: str = "network") -> str:
    """Return the network as one SVG element; "" where nobody hands over."""
    if not len(found.edges):
        return ""
    teams = _teams(found)
    rows = found.edges[found.edges["source"].isin(teams) & found.edges["target"].isin(teams)]
    arrows = rows.head(MOST_ARROWS).to_dict("records")
    top = max(int(row["n"]) for row in arrows) if arrows else 1
    drawn = [_arrow(row, teams, top) for row in reversed(arrows)]
    drawn += [_node(team) for team in teams.values()]
    side = RADIUS + MARGIN
    high = RADIUS + 70.0
    return svg.document(
        "".join([*drawn, _legend(found, len(teams), arrows, (-side, high))]),
        box=(-side, -high, 2 * side, 2 * high + FOOT),
        name=name,
        title="Hand-overs between teams",
        desc=_told(found),
        role="img",
    )


def _teams(found: Network) -> dict[str, _Team]:
    """Choose the teams with the most hand-overs; they stand by community, then by name."""
    frame = found.teams.assign(moved=found.teams["received"] + found.teams["given"])
    frame = frame.sort_values(["moved", "team"], ascending=[False, True]).head(MOST_TEAMS)
    frame = frame.sort_values(["community", "team"])
    most = max(int(frame["n"].max()), 1)
    rows = frame.to_dict("records")
    return {
        row["team"]: _Team(
            name=row["team"],
            n=int(row["n"]),
            community=int(row["community"]),
            pooled=bool(row["pooled"]),
            angle=2 * pi * i / len(rows) - pi / 2,
            size=7 + 11 * sqrt(int(row["n"]) / most),
            told=_team_told(row),
        )
        for i, row in enumerate(rows)
    }


def _team_told(row: dict[Any, Any]) -> str:
    moved = f"received {number(int(row['received']))}, gave away {number(int(row['given']))}"
    return f"{row['team']}: {plural(int(row['n']), 'event')}, {moved}"


def _arrow(row: dict[Any, Any], teams: dict[str, _Team], top: int) -> str:
    source, target, n = teams[row["source"]], teams[row["target"]], int(row["n"])
    share = n / top
    wide, colour = 0.8 + 5 * sqrt(share), svg.mixed("#b9c2cc", "#3d4f63", sqrt(share))
    (x0, y0), (x1, y1) = source.at, target.at
    long = max(hypot(x1 - x0, y1 - y0), 1e-9)
    # the bend: to the right of the way, and towards the middle of the circle
    bend = 0.12 * long
    middle = (
        (x0 + x1) / 2 * 0.8 - (y1 - y0) / long * bend,
        (y0 + y1) / 2 * 0.8 + (x1 - x0) / long * bend,
    )
    start = _towards(source.at, middle, source.size + 2)
    tip = _towards(target.at, middle, target.size + 3)
    head = 6 + wide
    neck = _towards(tip, middle, head)
    ux, uy = (tip[0] - neck[0]) / head, (tip[1] - neck[1]) / head
    half = 2.5 + wide * 0.8
    corners = [
        tip,
        (neck[0] - uy * half, neck[1] + ux * half),
        (neck[0] + uy * half, neck[1] - ux * half),
    ]
    dashes = ' stroke-dasharray="7 4"' if row["bridge"] else ""
    return (
        f"<g><title>{svg.escape(_arrow_told(row))}</title>"
        f'<path d="M{_pair(start)}Q{_pair(middle)} {_pair(neck)}" fill="none" stroke="{colour}" '
        f'stroke-width="{svg.num(wide)}"{dashes}/>'
        f'<polygon points="{svg.points(corners)}" fill="{colour}"/></g>\n'
    )


def _arrow_told(row: dict[Any, Any]) -> str:
    median = row["median_us"]
    waited = "" if pd.isna(median) else f", median {duration(int(median))}"
    often = plural(int(row["n"]), "hand-over")
    bridge = "; the only connection of two parts" if row["bridge"] else ""
    cases = plural(int(row["cases"]), "case")
    return f"{row['source']} to {row['target']}: {often} in {cases}{waited}{bridge}"


def _towards(start: Point, end: Point, by: float) -> Point:
    dx, dy = end[0] - start[0], end[1] - start[1]
    part = by / max(hypot(dx, dy), 1e-9)
    return start[0] + dx * part, start[1] + dy * part


def _pair(point: Point) -> str:
    return f"{svg.num(point[0])},{svg.num(point[1])}"


def _node(team: _Team) -> str:
    x, y = team.at
    shape = _shape(team.community, x, y, team.size, pooled=team.pooled)
    right = cos(team.angle)
    side = "start" if right > 0 else "end"
    anchor = "middle" if abs(right) < _UPRIGHT else side
    out = (RADIUS + team.size + 8) / RADIUS
    lines = svg.wrapped(team.name or "(blank)", _NAME_EMS, 2)
    down = {True: 12.0, False: -4.0 - 14 * (len(lines) - 1)}[sin(team.angle) > 0]
    top = y * out + (down if anchor == "middle" else 4 - 7 * (len(lines) - 1))
    words = [
        svg.text(x * out, top + 14 * i, line, size=_TEXT, anchor=anchor, halo=True)
        for i, line in enumerate(lines)
    ]
    return f"<g><title>{svg.escape(team.told)}</title>{shape}{''.join(words)}</g>\n"


def _shape(community: int, x: float, y: float, size: float, *, pooled: bool) -> str:
    if pooled:
        return pen.circle(x, y, size, pen.Look(_POOLED, svg.INK, 1))
    if community >= len(_LOOKS):
        return pen.circle(x, y, size, pen.Look(pen.WHITE, svg.INK, 2))
    corners, colour = _LOOKS[community]
    look = pen.Look(colour, svg.INK, 1)
    return pen.polygon(x, y, size, corners, look) if corners else pen.circle(x, y, size, look)


def _legend(found: Network, n_teams: int, arrows: list[dict[Any, Any]], at: Point) -> str:
    hidden = len(found.teams) - n_teams
    shown = sum(int(row["n"]) for row in arrows)
    whole = int(found.edges["n"].sum()) + found.between_small
    drawn = f"Drawn: {number(shown)} of {plural(whole, 'hand-over')}"
    said = [
        "Arrow: hand-overs, wider: more. Size of a team: its events. Dashed: the only connection.",
        "One shape and colour: teams that hand over to each other more than to others.",
        f"{drawn}; {plural(hidden, 'team')} with fewer hand-overs not drawn.",
    ]
    if found.between_small:
        said.append(f"{number(found.between_small)} of them lie between teams of under 5 people.")
    x, y = at
    return "".join(
        svg.text(x + 10, y + 16 + 16 * i, line, size=11, fill=svg.SOFT, anchor="start")
        for i, line in enumerate(said)
    )


def _told(found: Network) -> str:
    rows = found.edges.head(12).to_dict("records")
    return "; ".join(_arrow_told(row) for row in rows)
