"""Which model do the variants of a log suggest?

Two miners answer, both by pm4py from variants and successions (see `interop`), never from rows:

- inductive: a process tree. Its net is sound by construction, and it is drawn as a block-structured
  BPMN model without a crossing.
- heuristics: a net of the strongest dependencies. It may be unsound; then `unsound` says by which
  run, and there is no drawing, for such a model says nothing that could be relied on. A sound one
  is drawn where BPMN can say it (`model.flow_chart`); its drawing has no places on paper yet.

Both depend on the variants and their counts alone: not on the order of rows, nor on the hash seed.
Activities that the model does not have are named (`absent`). How well a model fits is asked of
`alignment.align` and `alignment.precision`, not of the miner.

Not checked: whether the model is right, only whether it can be run. It says what was done often.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from process_mining import interop
from process_mining.errors import CodedError, ManyCodedErrors
from process_mining.model import Diagram, ReferenceModel
from process_mining.model.automaton import reachable, require_sound
from process_mining.model.block_layout import drawn
from process_mining.model.flow_chart import chart_of, obstacle
from process_mining.model.tree import net_of, tidy

if TYPE_CHECKING:
    from process_mining.eventlog import Ints
    from process_mining.model import Net
    from process_mining.variants import Variants

Method = Literal["inductive", "heuristics"]
METHODS: Final[tuple[Method, ...]] = ("inductive", "heuristics")
NOISE: Final = 0.2


@dataclass(frozen=True, eq=False)
class MinedModel:
    """A discovered model; `cases` is how many it was discovered from.

    `model` has a diagram where it can be written as BPMN, else `not_bpmn` says why not. `unsound`
    says why the model cannot be relied on, "" where it is sound. `absent` are activities of these
    cases that it lacks, sorted.
    """

    model: ReferenceModel
    method: Method
    noise: float
    cases: int
    absent: tuple[str, ...]
    unsound: str = ""
    not_bpmn: str = ""


def discover_model(
    variants: Variants,
    *,
    method: Method = "inductive",
    noise: float = NOISE,
    weights: Ints | None = None,
    name: str = "Discovered model",
) -> MinedModel:
    """Discover a model; `weights` (one entry a variant) says how often each counts.

    Raises CodedError LG342 where no case counts, LG343 for a noise outside 0..1, LG341 where the
    Heuristics Miner finds nothing.
    """
    if not 0 <= noise <= 1:
        raise CodedError("LG343", f"noise is {noise}", fix="Give a share from 0 to 1")
    counts = variants.counts if weights is None else weights
    if not int(counts.sum()):
        msg = "there is no case to discover a model from"
        raise CodedError("LG342", msg, fix="Widen the filters")
    seen = _frequencies(variants, counts)
    unsound = not_bpmn = ""
    if method == "inductive":
        tree = tidy(interop.inductive_tree(variants, noise=noise, weights=counts), _ranks(seen))
        net, diagram = net_of(tree), drawn(tree)
    else:
        net = interop.heuristics_net(variants, noise=noise, weights=counts)
        unsound, not_bpmn = _unsound(net), obstacle(net)
        diagram = Diagram() if unsound or not_bpmn else chart_of(net)
    return MinedModel(
        model=ReferenceModel(name=name, net=net, diagram=diagram),
        method=method,
        noise=noise,
        cases=int(counts.sum()),
        absent=tuple(sorted({name for name, n in seen.items() if n} - set(net.activities))),
        unsound=unsound,
        not_bpmn=not_bpmn,
    )


def _frequencies(variants: Variants, counts: Ints) -> dict[str, int]:
    per_step = np.repeat(counts, np.diff(variants.offsets))
    seen = np.bincount(variants.codes, per_step, len(variants.activities))
    return {name: int(n) for name, n in zip(variants.activities, seen, strict=True)}


def _ranks(seen: dict[str, int]) -> dict[str, int]:
    """Rank the activities: the most frequent first, equal ones by name."""
    names = sorted(seen, key=lambda name: (-seen[name], name))
    return {name: rank for rank, name in enumerate(names)}


def _unsound(net: Net) -> str:
    """Say why a net is not sound, or not known to be; "" where it is."""
    try:
        graph = reachable(net)
        require_sound(net, graph)
    except CodedError as error:
        first = error.errors[0] if isinstance(error, ManyCodedErrors) else error
        return f"{first.what}. {first.why}".rstrip(". ")
    if not graph.complete:
        return f"it has more than {len(graph.states) - 1:,} states, too many to decide"
    return ""
