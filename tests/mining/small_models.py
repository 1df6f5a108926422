"""Plain nets and traces of tests as the product's models and variants, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from oracles.nets import PlainNet

from process_mining.model import Net, ReferenceModel, Transition
from process_mining.variants import Variants

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def model_of(plain: PlainNet) -> ReferenceModel:
    net = Net(
        places=tuple(f"p{i}" for i in range(plain.n_places)),
        transitions=tuple(
            Transition(f"t{i}", label, tuple(consumed), tuple(produced))
            for i, (label, consumed, produced) in enumerate(plain.transitions)
        ),
        initial=plain.initial,
        final=plain.final,
    )
    return ReferenceModel.from_net(net)


def plain_of(model: ReferenceModel) -> PlainNet:
    transitions = [(t.label, t.consumes, t.produces) for t in model.net.transitions]
    return PlainNet(len(model.net.places), transitions, model.net.initial, model.net.final)


def variants_of(traces: Iterable[Sequence[str]]) -> Variants:
    """One case a trace; variants in the order in which they first come."""
    rows = [tuple(trace) for trace in traces]
    distinct = list(dict.fromkeys(rows))
    activities = tuple(sorted({word for trace in distinct for word in trace}))
    lengths = [len(trace) for trace in distinct]
    number = {trace: i for i, trace in enumerate(distinct)}
    of_case = np.array([number[row] for row in rows], dtype=np.int64)
    flat = [activities.index(word) for trace in distinct for word in trace]
    return Variants(
        activities=activities,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        codes=np.array(flat, dtype=np.int32),
        counts=np.bincount(of_case, minlength=len(distinct)).astype(np.int64),
        variant_of_case=of_case,
    )
