"""How far can this log be trusted, before anything is judged by it? The quality gate alone.

Reads the log as an audit would, but goes on where rows are refused, to show all of them. Each
finding of the gate names the rules whose verdicts it would make UNKNOWN, and which verdicts; the
audit then says on how many tickets it did.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from csi.audit import require_codes, split_by_practice, with_words
from csi.audit_outputs import defect_row, log_row
from csi.outputs import whole_set, write_json, write_text
from csi.report.inspect_page import inspect_page
from process_mining import schema as s
from process_mining.errors import CodedError
from process_mining.quality import inspect
from process_mining.sources import open_log
from rules.catalogue import load_catalogue
from rules.doubts import hanging_verdicts
from rules.practice import translate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from process_mining.eventlog import EventLog
    from process_mining.quality import Quality
    from process_mining.sources import ReadOptions
    from rules.catalogue import Catalogue
    from rules.practice import Translation
    from rules.spec import Rule

FILES: Final = ("quality.json", "inspect.html")


@dataclass(frozen=True)
class InspectRequest:
    """What to inspect; every field is an option of `trueloop inspect`."""

    logs: tuple[Path, ...]
    read: ReadOptions
    rules: tuple[Path, ...] = ()
    practice: str | None = None
    allow: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Inspection:
    """The log, what the gate found in it, and the rules that would judge it."""

    request: InspectRequest
    log: EventLog
    quality: Quality
    rules: tuple[Rule, ...]

    @property
    def exit_code(self) -> int:
        """1 where rows were refused without leave, else 0."""
        return int(bool(self.quality.rejected) and not self.request.read.allow_rejects)


def inspect_log(
    request: InspectRequest, step: Callable[[str], None] = lambda _: None
) -> Inspection:
    """Read and inspect; raises CodedError where the files hold no log at all."""
    require_codes(request.allow)
    step("reading")
    log = open_log(request.logs, replace(request.read, allow_rejects=True))
    step("inspecting")
    catalogue = load_catalogue(request.rules)
    quality = inspect(log)
    told: list[Translation] = []
    try:
        shares = split_by_practice(log, catalogue.practices, request.practice)
        told = [translate(part, known) for known, part in shares]
    except CodedError as error:
        # No mistake of this command: whose words they are must be told to the audit only.
        if request.practice is not None:
            raise
        unjudged = f"whether the practice's vocabulary knows the words was not judged: {error}"
        quality = replace(quality, notes=(*quality.notes, unjudged))
    practices = {one.practice.name for one in told}
    return Inspection(request, log, with_words(quality, told), _judging(log, catalogue, practices))


def _judging(log: EventLog, catalogue: Catalogue, known: set[str]) -> tuple[Rule, ...]:
    """Return the rules that judge the practices of the log; all rules where it tells none."""
    named = known or set(log.cases[s.PRACTICE].unique().to_pylist()) - {None}
    about = {rule.code: rule for name in named for rule in catalogue.for_cases(name)}
    return tuple(about[code] for code in sorted(about)) or tuple(catalogue.rules)


def quality_of(found: Inspection) -> dict[str, Any]:
    """Return what quality.json holds, and what the page shows."""
    log, quality = found.log, found.quality
    return {
        "log": log_row(log, quality)
        | {
            "files": [asdict(file) for file in log.meta.files],
            "timezone": log.meta.timezone,
            "time_resolution_us": log.meta.time_resolution_us,
        },
        "quality": [
            defect_row(defect)
            | {
                "hangs_on_it": {
                    rule.code: [verdict.word for verdict in verdicts]
                    for rule in found.rules
                    if (verdicts := hanging_verdicts(rule, defect.makes_unknown))
                },
                "allowed": defect.code in found.request.allow,
            }
            for defect in quality.defects
        ],
        "rejects": log.meta.rejects.to_pylist(),
        "allowed": sorted(found.request.allow),
        "exit_code": found.exit_code,
    }


def write_inspection(found: Inspection, result: dict[str, Any], out: Path) -> None:
    """Write quality.json and inspect.html: both, or, where one cannot be written, none."""
    with whole_set(out, FILES) as aside:
        write_json(aside / "quality.json", result)
        write_text(aside / "inspect.html", inspect_page(found.log, result))
