"""Block-structured plain nets put together by hand: tasks, sequences, choices, branches, loops."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from oracles.nets import PlainNet

if TYPE_CHECKING:
    from collections.abc import Callable

    Block = Callable[[int, int], None]


class Blocks:
    """Each block, given the place before and the place after it, adds itself to one net."""

    def __init__(self) -> None:
        self._net = PlainNet()

    def net(self, block: Block) -> PlainNet:
        net = self._net
        source, sink = net.place(), net.place()
        block(source, sink)
        net.initial = tuple(int(p == source) for p in range(net.n_places))
        net.final = tuple(int(p == sink) for p in range(net.n_places))
        return net

    def task(self, label: str | None) -> Block:
        return lambda before, after: self._net.add(label, [before], [after])

    def sequence(self, *parts: Block) -> Block:
        def build(before: int, after: int) -> None:
            places = [before, *(self._net.place() for _ in parts[1:]), after]
            for part, (source, sink) in zip(parts, pairwise(places), strict=True):
                part(source, sink)

        return build

    def choice(self, *parts: Block) -> Block:
        def build(before: int, after: int) -> None:
            for part in parts:
                part(before, after)

        return build

    def optional(self, part: Block) -> Block:
        return self.choice(part, self.task(None))

    def parallel(self, *parts: Block) -> Block:
        def build(before: int, after: int) -> None:
            begins = [self._net.place() for _ in parts]
            ends = [self._net.place() for _ in parts]
            self._net.add(None, [before], begins)
            self._net.add(None, ends, [after])
            for part, source, sink in zip(parts, begins, ends, strict=True):
                part(source, sink)

        return build

    def loop(self, body: Block, again: Block) -> Block:
        def build(before: int, after: int) -> None:
            begin, end = self._net.place(), self._net.place()
            self._net.add(None, [before], [begin])
            body(begin, end)
            again(end, begin)
            self._net.add(None, [end], [after])

        return build
