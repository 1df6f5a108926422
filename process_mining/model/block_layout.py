"""How is a process tree drawn as BPMN? From left to right, without a crossing.

A tree is block-structured, so its drawing needs no search: every block is a box with a main line
through it, entered at the left and left at the right.

    sequence   the blocks one after the other on one main line
    choice     an exclusive gateway at both ends; the first branch on the main line, the others
               below it in order; a silent branch is a bare flow
    parallel   the same with parallel gateways
    loop       an exclusive gateway at both ends, the body on the main line, the way back below it,
               drawn from right to left

Flows run along rows and columns only; gateways are left through their right, lower or (going back)
lower corner and entered likewise. Units: pixels, as BPMN tools have them. The elements' ids are
numbered in reading order. Linear in the tree. Recursive: as deep as the tree.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from process_mining.model.diagram import Diagram, Edge, Shape
from process_mining.model.tree import Operator

if TYPE_CHECKING:
    from process_mining.model.tree import Tree

    Point = tuple[float, float]

TASK: Final = (120.0, 80.0)
GATEWAY: Final = 50.0
EVENT: Final = 36.0
GAP_X: Final = 40.0
GAP_Y: Final = 30.0
LEFT: Final = 60.0
TOP: Final = 60.0
_EXCLUSIVE, _PARALLEL = "exclusiveGateway", "parallelGateway"
SIZES: Final = {
    "startEvent": (EVENT, EVENT),
    "endEvent": (EVENT, EVENT),
    "task": TASK,
    _EXCLUSIVE: (GATEWAY, GATEWAY),
    _PARALLEL: (GATEWAY, GATEWAY),
}


def drawn(tree: Tree) -> Diagram:
    """Return the tree between a start and an end event, with its layout."""
    canvas = _Canvas()
    size = _size(tree)
    y = TOP + max(size.above, EVENT / 2)
    canvas.shape("startEvent", "", LEFT, y)
    begin = LEFT + EVENT
    line = canvas.draw(tree, begin + GAP_X, y, _leaving(canvas.shapes[-1]))
    end = begin + GAP_X + size.width + (GAP_X if size.width else 0.0)
    canvas.join(line, canvas.shape("endEvent", "", end, y), (end, y))
    return Diagram(shapes=tuple(canvas.shapes), edges=tuple(canvas.edges))


@dataclass(frozen=True)
class _Size:
    """A block's width, and how far it reaches above and below its main line."""

    width: float
    above: float
    below: float

    @property
    def height(self) -> float:
        return self.above + self.below


def _size(tree: Tree) -> _Size:
    if tree.operator is None:
        width, height = (0.0, 0.0) if tree.silent else TASK
        return _Size(width, height / 2, height / 2)
    parts = [_size(child) for child in tree.children]
    if tree.operator is Operator.SEQUENCE:
        width = sum(part.width for part in parts) + GAP_X * (len(parts) - 1)
        return _Size(width, max(p.above for p in parts), max(p.below for p in parts))
    first, *others = parts
    inner = max(part.width for part in parts)
    return _Size(
        width=2 * GATEWAY + (inner + 2 * GAP_X if inner else GAP_X),
        above=max(first.above, GATEWAY / 2),
        below=max(first.below, GATEWAY / 2) + sum(GAP_Y + part.height for part in others),
    )


@dataclass(frozen=True)
class _Line:
    """A flow under way: where it comes from, and the points that it has passed."""

    source: str
    passed: tuple[Point, ...]

    def via(self, *points: Point) -> _Line:
        return replace(self, passed=(*self.passed, *points))


def _leaving(shape: Shape) -> _Line:
    """Return a flow that leaves a shape to the right."""
    return _Line(shape.id, ((shape.x + shape.width, shape.y + shape.height / 2),))


@dataclass(eq=False)
class _Canvas:
    shapes: list[Shape] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    def shape(self, kind: str, name: str, x: float, y: float) -> Shape:
        """Put a shape with its left end at x on the main line y."""
        number, (width, height) = len(self.shapes), SIZES[kind]
        self.shapes.append(Shape(f"e{number}", kind, name, x, y - height / 2, width, height))
        return self.shapes[-1]

    def join(self, line: _Line, target: Shape, *points: Point) -> None:
        """Let a flow end at a shape, through the points given."""
        number = len(self.edges)
        self.edges.append(Edge(f"f{number}", line.source, target.id, (*line.passed, *points)))

    def draw(self, tree: Tree, x: float, y: float, line: _Line) -> _Line:
        """Draw a tree from x on along the main line y; a flow comes in, one is returned."""
        match tree.operator:
            case None if tree.silent:
                return line
            case None:
                task = self.shape("task", tree.label or "", x, y)
                self.join(line, task, (x, y))
                return _leaving(task)
            case Operator.SEQUENCE:
                for child in tree.children:
                    line = self.draw(child, x, y, line)
                    x += _size(child).width + GAP_X
                return line
            case Operator.LOOP:
                return self._loop(tree, x, y, line)
            case _:
                return self._branches(tree, x, y, line)

    def _branches(self, tree: Tree, x: float, y: float, line: _Line) -> _Line:
        """Draw a choice or a parallel."""
        kind = _PARALLEL if tree.operator is Operator.PARALLEL else _EXCLUSIVE
        split = self.shape(kind, "", x, y)
        self.join(line, split, (x, y))
        first, *others = tree.children
        inner, end = x + GATEWAY + GAP_X, x + _size(tree).width
        lines = [(y, self.draw(first, inner, y, _leaving(split)))]
        floor = y + max(_size(first).below, GATEWAY / 2)
        for child in others:
            row = floor + GAP_Y + _size(child).above
            down = _Line(split.id, _corner(split, y)).via((x + GATEWAY / 2, row))
            lines.append((row, self.draw(child, inner, row, down)))
            floor = row + _size(child).below
        meet = self.shape(kind, "", end - GATEWAY, y)
        for row, done in lines:
            way = ((meet.x, y),) if row == y else ((meet.x + GATEWAY / 2, row), *_corner(meet, y))
            self.join(done, meet, *way)
        return _leaving(meet)

    def _loop(self, tree: Tree, x: float, y: float, line: _Line) -> _Line:
        body, back = tree.children
        meet = self.shape(_EXCLUSIVE, "", x, y)
        self.join(line, meet, (x, y))
        end = x + _size(tree).width
        done = self.draw(body, x + GATEWAY + GAP_X, y, _leaving(meet))
        split = self.shape(_EXCLUSIVE, "", end - GATEWAY, y)
        self.join(done, split, (split.x, y))
        row = y + max(_size(body).below, GATEWAY / 2) + GAP_Y + _size(back).above
        around = x + end
        returning = _Line(split.id, _corner(split, y)).via((split.x + GATEWAY / 2, row))
        line = self._mirrored(back, around, row, returning)
        self.join(line, meet, (x + GATEWAY / 2, row), *_corner(meet, y))
        return _leaving(split)

    def _mirrored(self, tree: Tree, around: float, y: float, line: _Line) -> _Line:
        """Draw a tree from right to left: from left to right, and turned about around / 2."""
        n_shapes, n_edges = len(self.shapes), len(self.edges)
        x = around - line.passed[-1][0] + GATEWAY / 2 + GAP_X
        line = self.draw(tree, x, y, replace(line, passed=_turned(line.passed, around)))
        for i, shape in enumerate(self.shapes[n_shapes:], n_shapes):
            self.shapes[i] = replace(shape, x=around - shape.x - shape.width)
        for i, edge in enumerate(self.edges[n_edges:], n_edges):
            self.edges[i] = replace(edge, waypoints=_turned(edge.waypoints, around))
        return replace(line, passed=_turned(line.passed, around))


def _turned(points: tuple[Point, ...], around: float) -> tuple[Point, ...]:
    return tuple((around - x, y) for x, y in points)


def _corner(gateway: Shape, y: float) -> tuple[Point, ...]:
    """Return the lower corner of a gateway on the main line y."""
    return ((gateway.x + GATEWAY / 2, y + GATEWAY / 2),)
