"""How does a whole cycle run without a person? Four notebooks through papermill, then the report.

One run at a time on one register and in one folder (`csi.locks`). What the cycle file asks for is
checked before the first kernel starts (`Loop.check`, at the price of one audit more), and the
snapshot is pinned in the manifest (`csi.manifest`). Each notebook runs in a kernel of its own and
hands on through the cycle folder (`csi.stages`). The executed notebooks are kept.

A run that failed or was killed goes on where it ended: a notebook whose step the manifest vouches
for and whose executed notebook is whole is not run again. A complete cycle has nothing to do. Where
the register no longer holds the entry (another register, a copy put back), the steps that write to
it are done again.

That there is nothing to measure is an outcome, not an error: `results.json` then has `outcome` "no
data" and says what is missing. Nothing is registered.

`results.json` and `report.html` depend on the snapshot, the register and the earlier cycles alone;
they are replaced together or not at all. `failed.json` says why the last run failed, and is gone
when another one has begun.

Exit code: 1 where a verdict is "worse" or "guardrail breached", else 0.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from csi.cycle import NO_DATA, Cycle, load_cycle
from csi.cycle_compare import compare, side_of
from csi.cycle_history import (
    add_to_history,
    definitions_of,
    earlier_than,
    place_of,
    read_history,
    turn_of,
)
from csi.cycle_status import FAILED
from csi.locks import Holder, folder_lock, register_lock
from csi.manifest import RESULTS, Manifest, sha256_of
from csi.outputs import clear_unfinished, read_json, to_json, whole_set, write_json
from csi.register import Register
from csi.report.cycle_page import cycle_page
from csi.report.no_data_page import no_data_page
from csi.runner import NOTEBOOKS, checked, is_whole, run_notebook
from csi.stages import Loop
from process_mining.errors import CodedError, ManyCodedErrors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from csi.runner import NotebookParameters

    Step = Callable[[str], None]


class Execute(Protocol):
    """Runs a notebook with its parameters and writes it, executed, whole or not at all."""

    def __call__(
        self,
        notebook: str,
        parameters: NotebookParameters,
        out: Path,
        *,
        on_cell: Callable[[int, int], None] | None,
    ) -> None:
        """Raise RunError where it does not come to its end."""


NOTHING: Final = "no data"
ALARMING: Final = ("worse", "guardrail breached")
WRITES_REGISTER: Final = ("3_improve", "4_evaluate")


@dataclass(frozen=True)
class CycleOutcome:
    """What a cycle found, where it lies, and which notebooks an earlier run had done already."""

    out: Path
    results: dict[str, Any]
    kept: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 where things got worse, by the verdict on any improvement."""
        judged = self.results["evaluate"].get("improvements", [])
        return int(any(one["verdict"] in ALARMING for one in judged))


@dataclass(frozen=True)
class _Run:
    """One run: its cycle, folder, pinned manifest, and how it tells what it is doing."""

    cycle: Cycle
    out: Path
    step: Step
    execute: Execute

    def notebook(self, name: str) -> Path:
        return self.out / "notebooks" / f"{name}.ipynb"

    def loop(self, snapshot: str = "") -> Loop:
        return Loop(self.cycle, self.out, snapshot)


def run(  # noqa: PLR0913 - where, what stands in for the file's words, and how a notebook runs
    path: Path,
    out: Path | None,
    step: Step = lambda _: None,
    *,
    report_date: str = "",
    register_place: str = "",
    execute: Execute = run_notebook,
) -> CycleOutcome:
    """Check the cycle, run what is left of the four notebooks, and write results and report.

    `report_date` (ISO 8601) and `register_place` (an absolute path or a URL) stand in for those of
    the cycle file. `execute` is how a notebook runs.
    Raises CodedError for what the file cannot have, RunError where the run fails.
    """
    cycle = load_cycle(path.resolve(), report_date, register_place)
    folder = (out or cycle.default_out).resolve()
    Register.preflight(cycle.register)
    read_history(place_of(cycle))  # a damaged one is told before anything runs
    holder = Holder.me(cycle.path)
    with ExitStack() as held:
        held.enter_context(register_lock(cycle.register, holder))
        held.enter_context(folder_lock(folder, holder))
        for name in ("", "notebooks", *NOTEBOOKS):
            clear_unfinished(folder / name)
        return _run(_Run(cycle, folder, step, execute))


def _run(this: _Run) -> CycleOutcome:
    manifest = Manifest.open(this.out, this.cycle)
    if not _registered(this):
        for name in WRITES_REGISTER:
            manifest.steps.pop(name, None)
            manifest.results = {}
    if manifest.finished():
        this.step("nothing to do: it is complete")
        results = read_json(this.out / RESULTS[0])
        _remember(this, results)
        return CycleOutcome(this.out, results, NOTEBOOKS)
    if not manifest.log:
        this.step("checking the cycle")
        missing = _checked(this, manifest)
        if missing:
            return _no_data(this, manifest, missing)
    manifest.pin()
    (this.out / FAILED).unlink(missing_ok=True)
    kept = tuple(name for name in NOTEBOOKS if not _done(this, name, manifest.snapshot))
    return _finished(this, manifest.snapshot, kept)


def _checked(this: _Run, manifest: Manifest) -> list[CodedError]:
    """Refuse what cannot be, pin the log; return what is missing where there are no data."""
    loop = this.loop()
    try:
        loop.check()
    except CodedError as error:
        found = list(error.errors) if isinstance(error, ManyCodedErrors) else [error]
        if all(one.code in NO_DATA for one in found):
            return found
        raise
    manifest.pin_log(loop.manifest.log)
    return []


def _done(this: _Run, name: str, snapshot: str) -> bool:
    """Run a notebook, unless an earlier run has done it; tell whether this one did."""
    target = this.notebook(name)
    if Manifest.open(this.out, this.cycle, snapshot).done(name) and is_whole(target, snapshot):
        this.step(f"notebook {name}: done already")
        return False

    def told(done: int, total: int) -> None:
        this.step(f"notebook {name}, cell {done} of {total}")

    this.step(f"notebook {name}")
    values = {
        "cycle": str(this.cycle.path),
        "out": str(this.out),
        "report_date": this.cycle.settings.report_date.isoformat(),
        "register_place": this.cycle.register_given,
        "snapshot": snapshot,
    }
    try:
        this.execute(name, checked(name, values), target, on_cell=told)
    except CodedError as error:
        with suppress(CodedError):  # what failed is to be told, even where the disk is full
            write_json(this.out / FAILED, {"notebook": name, "error": str(error)})
        raise
    return True


def _finished(this: _Run, snapshot: str, kept: tuple[str, ...]) -> CycleOutcome:
    this.step("report")
    loop = this.loop(snapshot)
    results = results_of(loop)
    results["earlier"] = earlier_of(this.cycle, results)
    _write(this, results, cycle_page(results, this.out))
    _remember(this, results)
    loop.manifest.finish()
    return CycleOutcome(this.out, results, kept)


def _no_data(this: _Run, manifest: Manifest, missing: list[CodedError]) -> CycleOutcome:
    """Say what is missing and what to do, as a result of its own."""
    this.step("no data")
    results = no_data_results(manifest, missing)
    _write(this, results, no_data_page(results))
    _remember(this, results)
    manifest.finish()
    return CycleOutcome(this.out, results)


def _write(this: _Run, results: dict[str, Any], page: str) -> None:
    with whole_set(this.out, RESULTS) as aside:
        (aside / RESULTS[0]).write_text(to_json(results), encoding="utf-8", newline="")
        (aside / RESULTS[1]).write_text(page, encoding="utf-8", newline="")
    (this.out / FAILED).unlink(missing_ok=True)


def _remember(this: _Run, results: dict[str, Any]) -> None:
    """Enter the cycle where later ones find it."""
    written = sha256_of(this.out / RESULTS[0])
    turn = turn_of(results, name=this.cycle.path.name, results_sha256=written)
    add_to_history(place_of(this.cycle), turn)


def earlier_of(cycle: Cycle, results: dict[str, Any]) -> dict[str, Any]:
    """Return what earlier cycles of the register found, and this one against the newest of them."""
    this = turn_of(results, name=cycle.path.name, results_sha256="")
    earlier = earlier_than(this.current.end, read_history(place_of(cycle)))
    newest = next((one for one in earlier if one.outcome != NOTHING), None)
    against = None if newest is None else compare(newest, this).to_dict()
    if against is not None:
        del against["b"]  # it is this cycle
    return {"cycles": [side_of(one) for one in earlier], "against": against}


def _registered(this: _Run) -> bool:
    """Tell whether the register holds the entry that an earlier run has left, if it left one."""
    try:
        entry = read_json(this.out / "3_improve" / "plan.json").get("entry")
    except (OSError, ValueError, AttributeError):
        return True
    if not entry:
        return True
    try:
        Register.open(this.cycle.register, create=False).show(str(entry))
    except CodedError as error:
        if error.code in {"RG101", "RG110"}:
            return False
        raise
    return True


def no_data_results(manifest: Manifest, missing: list[CodedError]) -> dict[str, Any]:
    """Put together results.json of a cycle that had nothing to measure."""
    cycle = manifest.cycle
    return {
        "outcome": NOTHING,
        "pinned": manifest.snapshot,
        "window": cycle.window_days,
        "report_date": cycle.settings.report_date.isoformat(),
        "cycle_sha256": cycle.sha256,
        "missing": [{"code": e.code, "what": e.what, "to_do": e.fix} for e in missing],
        "kpis": {name: [] for name in cycle.windows},
        "rules": [],
        "definitions": definitions_of(cycle, [], []),
        "evaluate": {"verdict": None, "sentence": "There was nothing to measure."},
    }


def results_of(loop: Loop) -> dict[str, Any]:
    """Put together what results.json holds, from what the four steps left."""
    out, settings = loop.out, loop.cycle.settings
    found = read_json(out / "4_evaluate" / "evaluation.json")
    kpis = read_json(out / "1_measure" / "kpis.json")
    rules = read_json(out / "1_measure" / "rules.json")
    return {
        "outcome": "evaluated" if found["verdict"] else "measured",
        "pinned": loop.manifest.snapshot,
        "window": loop.cycle.window_days,
        "report_date": settings.report_date.isoformat(),
        "cycle_sha256": loop.cycle.sha256,
        "snapshot": read_json(out / "1_measure" / "snapshot.json"),
        "kpis": kpis,
        "rules": rules,
        "definitions": definitions_of(
            loop.cycle,
            [row["kpi"] for row in kpis["current"]],
            [row["code"] for row in rules],
        ),
        "opportunities": read_json(out / "2_analyse" / "opportunities.json"),
        "register": read_json(out / "4_evaluate" / "register.json"),
        "sentences": {
            "measure": read_json(out / "1_measure" / "sentences.json"),
            "analyse": read_json(out / "2_analyse" / "sentences.json"),
        },
        "others": read_json(out / "4_evaluate" / "others.json"),
        "evaluate": found,
    }
