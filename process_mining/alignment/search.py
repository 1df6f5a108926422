"""Which way through the automaton: in numpy or compiled?

Both ways give the same results; which one is taken is a matter of time alone. Left to itself the
search begins in numpy, so that a small log pays for nothing that it does not need. Where that has
cost WORTH_US of work (an estimate from counts, not a clock) and numba is installed, the rest goes
to compiled code, which takes about a second to load and some seconds to compile the first time.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from process_mining.alignment import plain
from process_mining.alignment.kernel import MoveKind, Walked
from process_mining.errors import CodedError

if TYPE_CHECKING:
    from process_mining.alignment.kernel import Graph, Traces

__all__ = ["TABLE_BYTES", "MoveKind", "walk"]

TABLE_BYTES = 512 * 1024 * 1024
WORTH_US = 3_000_000


def walk(
    graph: Graph, traces: Traces, *, whole: bool, table_bytes: int, accelerate: bool | None
) -> Walked:
    """Find an optimal run for every trace; MO305 for `accelerate` without numba."""
    if accelerate:
        return _compiled(graph, traces, whole=whole, table_bytes=table_bytes)
    parts: list[Walked] = []
    done, n = 0, len(traces.offsets) - 1
    for part in plain.walk(graph, traces, whole=whole, table_bytes=table_bytes):
        parts.append(part.walked)
        done = part.high
        if accelerate is None and part.work > WORTH_US and find_spec("numba"):
            break
    if done < n:  # the table of the first way is gone by now
        rest = traces._replace(offsets=traces.offsets[done:])
        parts.append(_compiled(graph, rest, whole=whole, table_bytes=table_bytes))
    return _joined(parts)


def _compiled(graph: Graph, traces: Traces, *, whole: bool, table_bytes: int) -> Walked:
    if find_spec("numba") is None:
        raise CodedError(
            "MO305",
            "Compiled alignments were asked for, but numba is not installed",
            fix="Install trueloop[fast], or leave `accelerate` away: the results are the same",
        )
    from process_mining.alignment import compiled  # noqa: PLC0415 - lazy: it loads numba

    return compiled.walk(graph, traces, whole=whole, table_bytes=table_bytes)


def _joined(parts: list[Walked]) -> Walked:
    """Put the parts one after the other."""
    if len(parts) == 1:
        return parts[0]
    shifts = np.cumsum([0, *(part.offsets[-1] for part in parts)], dtype=np.int64)
    offsets = [part.offsets[:-1] + shift for part, shift in zip(parts, shifts, strict=False)]
    none, none_short = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32)
    return Walked(
        cost=np.concatenate([none, *(part.cost for part in parts)]),
        prefix=np.concatenate([none, *(part.prefix for part in parts)]),
        departure=np.concatenate([none, *(part.departure for part in parts)]),
        end=np.concatenate([none_short, *(part.end for part in parts)]),
        offsets=np.concatenate([*offsets, shifts[-1:]]),
        moves=np.concatenate([none, *(part.moves for part in parts)]),
        states=np.concatenate([none_short, *(part.states for part in parts)]),
    )
