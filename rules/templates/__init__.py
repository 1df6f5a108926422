"""Which kinds of constraint are there? One module each; a module is found by lying in this folder.

A template module is named after its kind and holds

    Params     the parameters: a frozen pydantic model, unknown names refused
    FORMULA    the constraint as a finite-trace LTL formula (De Giacomo & Vardi 2013)
    measure    (Desk, Params) -> Measure: whole columns, no Python loop over cases
    decide     (Params) -> DecisionTable over the facts of `measure`
    describe   (Params) -> one plain sentence: what must hold

and a head-note that says what it does not check. `Desk` is everything that a template may read.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Protocol, cast

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from process_mining.alignment import CaseAlignment

    from process_mining.eventlog import EventLog
    from rules.service_level import ServiceLevels
    from rules.spec import DecisionTable, Measure


class _ActivityMark:
    """Marks a parameter as an activity of the practice's vocabulary, so the catalogue checks it."""


Activity = Annotated[str, Field(min_length=1), _ActivityMark()]


class TemplateParams(BaseModel):
    """Base of every template's parameters: frozen, strict, unknown names refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def activities(self) -> dict[str, str]:
        """Return the activity named by each parameter that holds one."""
        return {
            name: getattr(self, name)
            for name, info in type(self).model_fields.items()
            if getattr(self, name) is not None
            and any(isinstance(mark, _ActivityMark) for mark in info.metadata)
        }


@dataclass(frozen=True, eq=False)
class Desk:
    """What a template reads: one practice's cases, in that practice's words.

    `log.events.activity` is null where an event is an update and no step. `complete` says for
    each case whether it has ended; `as_of_us` is the moment at which open cases are judged.
    `alignment` holds each case's exact cost against the practice's reference model.
    """

    log: EventLog
    complete: npt.NDArray[np.bool_]
    as_of_us: int
    service_levels: ServiceLevels
    alignment: CaseAlignment | None = None


class Template(Protocol):
    """The face of a template module."""

    Params: type[TemplateParams]
    FORMULA: str

    def measure(self, desk: Desk, params: Any) -> Measure:  # noqa: ANN401 - each kind has its own Params
        """Read the facts off every case."""

    def decide(self, params: Any) -> DecisionTable:  # noqa: ANN401 - the same
        """State the decision table."""

    def describe(self, params: Any) -> str:  # noqa: ANN401 - the same
        """Say what must hold."""


@cache
def templates() -> dict[str, Template]:
    """Every template by name, found by its place in this folder."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {n: cast("Template", importlib.import_module(f"{__name__}.{n}")) for n in names}
