"""How do alignments lie in a file?

One row a variant, in the order of the variants: variant (list of activities), n (cases), cost (null
where only bounds are known), fitness, status (optimal | bounded), lower, upper, moves (list of kind
and activity: sync, log, model or silent, and null for a silent one). Built from arrays, without an
object for each move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from process_mining.alignment.kernel import MoveKind

if TYPE_CHECKING:
    import numpy.typing as npt

    from process_mining.alignment import Alignments
    from process_mining.eventlog import Codes, Ints

    Bools = npt.NDArray[np.bool_]

KINDS = tuple(kind.name.lower() for kind in MoveKind)


def arrow_table(alignments: Alignments) -> pa.Table:
    """Return the table of the module's head."""
    variants = alignments.variants
    proven = alignments.lower == alignments.upper
    return pa.table(
        {
            "variant": _lists(variants.offsets, _names(variants.activities, variants.codes)),
            "n": pa.array(variants.counts, pa.int64()),
            "cost": pa.array(alignments.upper, pa.int64(), mask=~proven),
            "fitness": pa.array(alignments.fitness, pa.float64()),
            "status": pa.array(np.where(proven, "optimal", "bounded"), pa.string()),
            "lower": pa.array(alignments.lower, pa.int64()),
            "upper": pa.array(alignments.upper, pa.int64()),
            "moves": _lists(alignments.move_offsets, _moves(alignments)),
        }
    )


def _moves(alignments: Alignments) -> pa.Array:
    kind, word = alignments.moves & 3, alignments.moves >> 2
    activity = _names(alignments.words, word, kind == MoveKind.SILENT)
    return pa.StructArray.from_arrays([_names(KINDS, kind), activity], ["kind", "activity"])


def _names(words: tuple[str, ...], index: Ints | Codes, null: Bools | None = None) -> pa.Array:
    places = pa.array(index, pa.int64(), mask=null)
    return pa.array(words, pa.string()).take(places)


def _lists(offsets: Ints, values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
