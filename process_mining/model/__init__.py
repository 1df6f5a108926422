"""What should happen: which runs does a reference model allow?

A `ReferenceModel` is a BPMN 2.0 process (`from_bpmn`; `bpmn_reader.py` says what is read and
`bpmn_net.py` what it means), a Petri net in PNML (`from_pnml`, see `pnml.py`) or a net
(`from_net`), with its reachability graph as `automaton` (see `automaton.py`). `read_model` tells
the formats apart by their root element. `hide` makes activities silent that a log cannot record.

Soundness. A model from BPMN is refused when it is unsound: a run that cannot end, a step that
cannot happen, or tokens that gather without end. Where it has more states than can be explored
its soundness stays unproven: the model is accepted, `soundness` says so, and `automaton` raises
MO202. Nets from elsewhere (mined ones) need not be sound: what cannot end is left out of the
automaton.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from process_mining.errors import CodedError
from process_mining.model.automaton import (
    SILENT_LABEL,
    STATE_BUDGET,
    TOO_MANY_STATES,
    Automaton,
    automaton_of,
    explore,
    reachable,
    require_sound,
    too_many_states,
)
from process_mining.model.bpmn_diagram import read_diagram
from process_mining.model.bpmn_net import to_net
from process_mining.model.bpmn_reader import read_process
from process_mining.model.diagram import Diagram, Edge, Shape
from process_mining.model.net import Marking, Net, Transition
from process_mining.model.pnml import net_of
from process_mining.model.xml import parse

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from process_mining.model.bpmn import Process
    from process_mining.model.reach import Reachability
    from process_mining.model.xml import Element

__all__ = [
    "SILENT_LABEL",
    "Automaton",
    "Diagram",
    "Edge",
    "Marking",
    "Net",
    "ReferenceModel",
    "Shape",
    "Transition",
    "read_model",
]

SOUND: Final = "sound"
NOT_CHECKED: Final = "not checked"
UNPROVEN: Final = "unproven"


@dataclass(frozen=True)
class ReferenceModel:
    """The process as it should be: its net, and its drawing where the source has one.

    `soundness` is "sound", "unproven beyond N states" or "not checked".
    """

    name: str
    net: Net
    version: str = ""
    diagram: Diagram = field(default_factory=Diagram)
    soundness: str = NOT_CHECKED

    @classmethod
    def from_bpmn(
        cls,
        source: Path | bytes,
        *,
        name: str | None = None,
        version: str | None = None,
        process: str | None = None,
        budget: int = STATE_BUDGET,
    ) -> ReferenceModel:
        """Read a BPMN 2.0 file; name and version default to the process's own.

        `process` names one of several processes of a file, by id, name or pool. Raises CodedError
        MO100-MO122 for what cannot be read, all mistakes at once, and MO201-MO205 for a model that
        is not sound, with a run as witness. More than `budget` states leave soundness unproven.
        """
        root, place = _parsed(source)
        chosen = read_process(root, place=place, process=process)
        return _sound(chosen, name=name, version=version, budget=budget)

    @classmethod
    def from_pnml(
        cls, source: Path | bytes, *, name: str | None = None, version: str | None = None
    ) -> ReferenceModel:
        """Read a place/transition net; its name defaults to the net's own.

        Raises CodedError MO100-MO103 and MO140-MO159 for what cannot be read, MO201 and MO203 for
        a net that is unbounded or has no run to its end.
        """
        root, place = _parsed(source)
        return _ending(root, place, name=name, version=version)

    @classmethod
    def from_net(cls, net: Net, *, name: str = "model", version: str = "") -> ReferenceModel:
        """Take a net as it is; dead ends are allowed and left out of the automaton."""
        return cls(name=name, net=net, version=version)

    @property
    def activities(self) -> tuple[str, ...]:
        """The activities that the model's runs can show, sorted."""
        return self.net.activities

    @cached_property
    def automaton(self) -> Automaton:
        """The states from which the end can be reached; MO201-MO203 where there is no such set."""
        if self.soundness.startswith(UNPROVEN):
            raise too_many_states(f"can be explored (soundness {self.soundness})")
        return automaton_of(self.net, explore(self.net))

    @cached_property
    def explorable(self) -> bool:
        """Tell whether the automaton can be built: false where it has too many states (MO202)."""
        try:
            return self.automaton.n_states > 0
        except CodedError as error:
            if error.code == TOO_MANY_STATES:
                return False
            raise

    def hide(self, activities: Collection[str]) -> ReferenceModel:
        """Return the model in which these activities leave no event; unknown ones are ignored."""
        if not set(activities) & set(self.activities):
            return self
        return replace(self, net=self.net.hide(activities))


def read_model(
    path: Path | bytes,
    *,
    name: str | None = None,
    version: str | None = None,
    process: str | None = None,
) -> ReferenceModel:
    """Read a model of either format, told apart by its root element; `process` as in `from_bpmn`.

    MO104 when it is neither; MO141 when `process` is given for a net, which has none.
    """
    root, place = _parsed(path)
    if root.tag != "pnml":
        chosen = read_process(root, place=place, process=process)
        return _sound(chosen, name=name, version=version, budget=STATE_BUDGET)
    if process is not None:
        raise CodedError(
            "MO141",
            f"{place} is a Petri net, in which there is no process '{process}' to choose",
            fix="Leave --process out",
        )
    return _ending(root, place, name=name, version=version)


def _sound(
    process: Process, *, name: str | None, version: str | None, budget: int
) -> ReferenceModel:
    """Return a model from BPMN; it must be sound as far as it can be explored."""
    net = to_net(process)
    graph = reachable(net, budget=budget)
    require_sound(net, graph)
    model = ReferenceModel(
        name=name or process.name,
        net=net,
        version=process.version if version is None else version,
        diagram=read_diagram(process),
        soundness=SOUND if graph.complete else f"{UNPROVEN} beyond {graph.limit:,} states",
    )
    return _explored(model, graph)


def _ending(root: Element, place: str, *, name: str | None, version: str | None) -> ReferenceModel:
    """Return a model from PNML; it must be bounded and have a run to its end."""
    net, called = net_of(root, place=place)
    model = ReferenceModel(name=name or called, net=net, version=version or "")
    return _explored(model, reachable(net))


def _explored(model: ReferenceModel, graph: Reachability) -> ReferenceModel:
    """Keep what was explored: cached_property has its value in __dict__."""
    if graph.complete:
        model.__dict__["automaton"] = automaton_of(model.net, graph)
    return model


def _parsed(source: Path | bytes) -> tuple[Element, str]:
    if isinstance(source, bytes):
        return parse(source, place="the model"), "the model"
    try:
        data = source.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise CodedError(
            "MO100", f"{source} cannot be read: {reason}", fix="Check --model"
        ) from error
    return parse(data, place=source.name), source.name
