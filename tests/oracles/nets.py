"""Random block-structured nets, random runs of them, and noise: all from a seed.

A net here is plain data and knows nothing of our product. A block is an activity, a silent step, a
sequence, a choice, a parallel or a loop of blocks (as in a process tree), so every net is sound.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random


@dataclass
class PlainNet:
    """Places 0..n_places-1; transitions as (label or None, consumed places, produced places)."""

    n_places: int = 0
    transitions: list[tuple[str | None, tuple[int, ...], tuple[int, ...]]] = field(
        default_factory=list
    )
    initial: tuple[int, ...] = ()
    final: tuple[int, ...] = ()

    def place(self) -> int:
        self.n_places += 1
        return self.n_places - 1

    def add(self, label: str | None, consumed: Sequence[int], produced: Sequence[int]) -> None:
        self.transitions.append((label, tuple(consumed), tuple(produced)))

    def enabled(self, marking: tuple[int, ...]) -> list[int]:
        return [
            i
            for i, (_, consumed, _) in enumerate(self.transitions)
            if all(marking[p] >= consumed.count(p) for p in consumed)
        ]

    def fire(self, marking: tuple[int, ...], transition: int) -> tuple[int, ...]:
        tokens = list(marking)
        _, consumed, produced = self.transitions[transition]
        for place in consumed:
            tokens[place] -= 1
        for place in produced:
            tokens[place] += 1
        return tuple(tokens)


def random_net(random: Random, *, size: int, labels: Sequence[str]) -> PlainNet:
    """Return a net with about `size` activities; labels are drawn with replacement."""
    net = PlainNet()
    source, sink = net.place(), net.place()
    _block(net, random, source, sink, size, labels)
    net.initial = tuple(int(p == source) for p in range(net.n_places))
    net.final = tuple(int(p == sink) for p in range(net.n_places))
    return net


def _block(  # noqa: PLR0913, PLR0917 - recursion over one block
    net: PlainNet, random: Random, source: int, sink: int, size: int, labels: Sequence[str]
) -> None:
    if size <= 1:
        label = None if random.random() < 0.1 else random.choice(labels)
        net.add(label, [source], [sink])
        return
    left = random.randint(1, size - 1)
    kind = random.choice(["sequence", "sequence", "choice", "parallel", "loop"])
    if kind == "sequence":
        middle = net.place()
        _block(net, random, source, middle, left, labels)
        _block(net, random, middle, sink, size - left, labels)
    elif kind == "choice":
        for part in (left, size - left):
            begin, end = net.place(), net.place()
            net.add(None, [source], [begin])
            _block(net, random, begin, end, part, labels)
            net.add(None, [end], [sink])
    elif kind == "parallel":
        begins, ends = [net.place(), net.place()], [net.place(), net.place()]
        net.add(None, [source], begins)
        _block(net, random, begins[0], ends[0], left, labels)
        _block(net, random, begins[1], ends[1], size - left, labels)
        net.add(None, ends, [sink])
    else:
        begin, end = net.place(), net.place()
        net.add(None, [source], [begin])
        _block(net, random, begin, end, left, labels)
        _block(net, random, end, begin, size - left, labels)
        net.add(None, [end], [sink])


def random_run(net: PlainNet, random: Random, *, steps: int = 200) -> list[str]:
    """Return the labels of a random run; cut after `steps` firings if it has not ended."""
    marking, trace = net.initial, []
    for _ in range(steps):
        enabled = net.enabled(marking)
        if marking == net.final or not enabled:
            break
        chosen = random.choice(enabled)
        marking = net.fire(marking, chosen)
        label = net.transitions[chosen][0]
        if label is not None:
            trace.append(label)
    return trace


def perturbed(trace: Sequence[str], random: Random, words: Sequence[str]) -> tuple[str, ...]:
    """Delete, insert, swap and replace a few events."""
    noisy = list(trace)
    for _ in range(random.choice([0, 1, 1, 2, 3, 5])):
        at = random.randrange(len(noisy) + 1)
        kind = random.choice(["insert", "delete", "swap", "replace"])
        if kind == "insert":
            noisy.insert(at, random.choice(words))
        elif at < len(noisy) and kind == "delete":
            del noisy[at]
        elif at < len(noisy) and kind == "replace":
            noisy[at] = random.choice(words)
        elif at + 1 < len(noisy):
            noisy[at], noisy[at + 1] = noisy[at + 1], noisy[at]
    return tuple(noisy)
