"""What did earlier cycles find? One record a finished cycle, kept beside its register.

`REGISTER.cycles.json` (for a register in a server `cycles-<hash of its URL>.json` beside the cycle
file) holds one record for each cycle file and snapshot that a run has finished: windows, outcome,
verdicts, every KPI of the current window with n and interval, every rule's tally, which version of
each KPI and rule that was, and the SHA-256 of the cycle file, of the log and of results.json. It is
written whole, by the run that holds the register's lock; the same run again changes nothing. It is
a convenience: what is proven stands in the register and in the cycle folders.

*Earlier* than a cycle are the cycles whose current window ended before its own ends. Of several
snapshots of one cycle file the one that was finished last counts, an outcome before "no data".

Errors: RunError CY310 a history that cannot be read, CodedError CY311 something that is no cycle's
result.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict

from csi.kpi import load_kpis
from csi.manifest import RESULTS, sha256_of
from csi.outputs import write_json
from csi.rulebook.pages import as_data
from process_mining.errors import CodedError, RunError
from rules.catalogue import load_catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from csi.cycle import Cycle

CURRENT: Final = "current"
NO_DATA: Final = "no data"
MAX_BYTES: Final = 256 << 20
SHORT: Final = 16


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Span(_Read):
    """A window, [start, end), ISO 8601 days."""

    start: str
    end: str

    def overlaps(self, other: Span) -> bool:
        """Tell whether a ticket can be in both."""
        return self.start < other.end and other.start < self.end


class KpiRow(_Read):
    """A KPI in the current window; None where it was not measured or not bounded."""

    kpi: str
    title: str
    unit: str
    better: str
    value: float | None
    low: float | None
    high: float | None
    n: int


class RuleRow(_Read):
    """A rule's tally in the current window; `rate` is conforms / (conforms + violates)."""

    code: str
    title: str
    severity: str
    conforms: int
    violates: int
    pending: int
    vacuous: int
    unknown: int
    rate: float | None
    low: float | None
    high: float | None

    @property
    def n(self) -> int:
        """On how many cases it was decided."""
        return self.conforms + self.violates


class VerdictRow(_Read):
    """A verdict on one improvement."""

    entry: str
    improvement: str
    metric: str
    verdict: str


class Definitions(_Read):
    """Which version of each KPI and rule was used, by a hash of what it says."""

    trueloop: str
    kpis: dict[str, str]
    rules: dict[str, str]


class Turn(_Read):
    """A finished cycle, as later ones read it."""

    name: str
    window: dict[str, Span]
    report_date: str
    outcome: str
    verdicts: list[VerdictRow]
    kpis: list[KpiRow]
    rules: list[RuleRow]
    definitions: Definitions
    cycle_sha256: str
    log_sha256: str
    snapshot: str
    results_sha256: str

    @property
    def current(self) -> Span:
        """Its current window."""
        return self.window[CURRENT]

    @property
    def key(self) -> tuple[str, str]:
        """What makes two records the same: the cycle file and the snapshot."""
        return self.cycle_sha256, self.snapshot


class _File(_Read):
    cycles: list[Turn]


def place_of(cycle: Cycle) -> Path:
    """Return where the history of a cycle's register is kept."""
    register = cycle.register
    if isinstance(register, Path):
        return register.with_name(f"{register.name}.cycles.json")
    if register.startswith("sqlite:"):
        path = Path(register.partition("///")[2])
        return path.with_name(f"{path.name}.cycles.json")
    name = hashlib.sha256(_without_login(register).encode()).hexdigest()[:SHORT]
    return cycle.path.parent / f"cycles-{name}.json"


def read_history(place: Path) -> list[Turn]:
    """Return every record, in the order in which the cycles were first finished."""
    try:
        if not place.is_file():
            return []
        if place.stat().st_size > MAX_BYTES:
            raise _damaged(place, f"it has more than {MAX_BYTES} bytes")
        return _File.model_validate_json(place.read_bytes()).cycles
    except (OSError, ValueError) as error:
        raise _damaged(place, str(error).splitlines()[0]) from error


def add_to_history(place: Path, turn: Turn) -> None:
    """Enter a finished cycle; the same cycle file and snapshot take their old place."""
    known = read_history(place)
    if turn in known:
        return
    if turn.key in {one.key for one in known}:
        entered = [turn if one.key == turn.key else one for one in known]
    else:
        entered = [*known, turn]
    write_json(place, {"cycles": [one.model_dump(mode="json") for one in entered]})


def earlier_than(end: str, known: Iterable[Turn]) -> list[Turn]:
    """Return the cycles whose current window ended before a day, the newest window first."""
    counted: dict[str, Turn] = {}
    for one in known:
        before = counted.get(one.cycle_sha256)
        if one.current.end < end and not (before and one.outcome == NO_DATA != before.outcome):
            counted[one.cycle_sha256] = one
    ordered = sorted(counted.values(), key=lambda one: (one.current.end, one.report_date))
    return ordered[::-1]


def turn_of(results: Mapping[str, Any], *, name: str, results_sha256: str) -> Turn:
    """Read a cycle's results.json as later cycles do; CY311 where it is none."""
    try:
        found = results["evaluate"]
        verdicts = found.get("improvements") or ([found] if found.get("entry") else [])
        return Turn.model_validate(
            {
                **results,
                "name": name,
                "verdicts": [row for row in verdicts if row.get("verdict")],
                "kpis": results["kpis"][CURRENT],
                "rules": [row for row in results["rules"] if row["window"] == CURRENT],
                "log_sha256": results.get("snapshot", {}).get("sha256", ""),
                "snapshot": results["pinned"],
                "results_sha256": results_sha256,
            }
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = str(error).splitlines()[0]
        msg = f"{name} holds no results of a cycle of this version ({said})"
        raise CodedError(
            "CY311", msg, fix="Name a folder that trueloop cycle run has left"
        ) from error


def turn_at(place: Path) -> Turn:
    """Read the results of a cycle folder, or a results.json."""
    path = place / RESULTS[0] if place.is_dir() else place
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        said = getattr(error, "strerror", None) or "it is no JSON"
        msg = f"{path}: {said}"
        raise CodedError(
            "CY311", msg, fix="Name a folder that trueloop cycle run has left"
        ) from error
    return turn_of(results, name=str(place), results_sha256=sha256_of(path))


def definitions_of(cycle: Cycle, kpis: Sequence[str], rules: Sequence[str]) -> dict[str, Any]:
    """Return which version of each KPI and rule a cycle has used, by a hash of what it says."""
    known = load_kpis()
    catalogue = load_catalogue([cycle.file(name) for name in cycle.settings.rules])
    return {
        "trueloop": version("trueloop"),
        "kpis": {code: _hash(asdict(known[code])) for code in sorted(set(kpis)) if code in known},
        "rules": {
            code: _hash([as_data(rule) for rule in catalogue.versions(code)])
            for code in sorted(set(rules))
        },
    }


def _hash(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:SHORT]


def _without_login(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _damaged(place: Path, why: str) -> RunError:
    msg = f"the history of cycles {place} cannot be read: {why}"
    fix = "Put a copy back, or move it away: the next cycle begins a new one"
    return RunError("CY310", msg, fix=fix)
