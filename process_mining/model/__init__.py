"""What should happen: which runs does a reference model allow?

A `ReferenceModel` is a BPMN 2.0 process (`from_bpmn`, see `bpmn.py` for what is read) or a Petri
net (`from_net`), with its reachability graph as `automaton` (see `automaton.py`). `hide` makes
activities silent that a log cannot record. A model from BPMN is refused when it is unsound: a run
that cannot end, a step that cannot happen, or tokens that gather without end.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from process_mining.errors import CodedError
from process_mining.model.automaton import (
    SILENT_LABEL,
    TOO_MANY_STATES,
    Automaton,
    automaton_of,
    explore,
    require_sound,
)
from process_mining.model.bpmn import read_process, to_net
from process_mining.model.diagram import Diagram, Edge, Shape
from process_mining.model.net import Marking, Net, Transition

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

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
]


@dataclass(frozen=True)
class ReferenceModel:
    """The process as it should be: its net, and its drawing where the source has one."""

    name: str
    net: Net
    version: str = ""
    diagram: Diagram = field(default_factory=Diagram)

    @classmethod
    def from_bpmn(
        cls, source: Path | bytes, *, name: str | None = None, version: str | None = None
    ) -> ReferenceModel:
        """Read a BPMN 2.0 file; name and version default to the process's own.

        Raises CodedError MO100-MO116 for what cannot be read, all mistakes at once, and
        MO201-MO205 for a model that is not sound, with a run as witness.
        """
        data, place = (source, "the model") if isinstance(source, bytes) else _read(source)
        process = read_process(data, place=place)
        net = to_net(process)
        model = cls(
            name=name or process.name,
            net=net,
            version=process.version if version is None else version,
            diagram=process.diagram,
        )
        graph = explore(net)
        require_sound(graph)
        # cached_property keeps its value in __dict__: the graph need not be explored twice
        model.__dict__["automaton"] = automaton_of(graph)
        return model

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
        return automaton_of(explore(self.net))

    @property
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


def _read(path: Path) -> tuple[bytes, str]:
    try:
        return path.read_bytes(), path.name
    except OSError as error:
        reason = error.strerror or str(error)
        raise CodedError(
            "MO100", f"{path} cannot be read: {reason}", fix="Check --model"
        ) from error
