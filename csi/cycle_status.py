"""How far is a cycle? Which notebooks are done, which comes next or failed and why, who runs it.

Read only: nothing is locked for longer than a moment, nothing is written, nothing of the log is
read but its hash. Of a folder alone (without its cycle file) it cannot be told whether the inputs
have changed since; what its manifest vouches for is then taken as done.

Errors: CY320 where there is neither a cycle file nor a cycle folder.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from csi.cycle import load_cycle
from csi.locks import Holder, folder_holder
from csi.manifest import NAME, RESULTS, Manifest, intact, stored
from csi.outputs import read_json
from csi.runner import NOTEBOOKS, is_whole
from process_mining.errors import CodedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAILED: Final = "failed.json"
DEFAULT_FILES: Final = ("CYCLE.toml", "cycle.toml")

State = Literal["not begun", "running", "failed", "interrupted", "complete"]


@dataclass(frozen=True)
class Status:
    """Where a cycle stands. `changed` names the inputs that are not as the folder's run saw them.

    `next` is the notebook that a run would begin with, "" where none is left. `failed` is what the
    last run said when it failed. `holder` is the run that is at it now.
    """

    out: str
    state: State
    done: tuple[str, ...]
    next: str
    failed: str
    changed: tuple[str, ...]
    windows: dict[str, dict[str, str]]
    outcome: str
    verdicts: tuple[str, ...]
    holder: Holder | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)


def status_of(place: Path, out: Path | None = None) -> Status:
    """Look at a cycle file (and its folder, `out` or the default one) or at a cycle folder."""
    if place.is_dir():
        found = [place / name for name in DEFAULT_FILES if (place / name).is_file()]
        if not (place / NAME).is_file() and found:
            return _of_file(found[0], out)
        if not place.joinpath(NAME).is_file() and folder_holder(place) is None:
            msg = f"{place} holds neither a {' nor a '.join((*DEFAULT_FILES, NAME))}"
            raise CodedError("CY320", msg, fix="Name a CYCLE.toml or the folder of a cycle")
        return _of_folder(place)
    return _of_file(place, out)


def _of_file(path: Path, out: Path | None) -> Status:
    cycle = load_cycle(path.resolve())
    folder = (out or cycle.default_out).resolve()
    now, before = Manifest.open(folder, cycle), stored(folder)
    names = {**now.inputs, **(before.inputs if before else {})}
    changed = [n for n in names if before and before.inputs.get(n) != now.inputs.get(n)]
    if before and before.cycle != cycle.sha256:
        changed.append(path.name)

    def done(name: str) -> bool:
        return now.done(name) and is_whole(_notebook(folder, name), now.snapshot)

    return _status(folder, cycle.window_days, done, tuple(changed), complete=now.finished())


def _of_folder(folder: Path) -> Status:
    before = stored(folder)

    def done(name: str) -> bool:
        if before is None or not intact(folder / name, before.steps.get(name, {})):
            return False
        return is_whole(_notebook(folder, name), before.snapshot)

    complete = before is not None and intact(folder, before.results)
    windows = before.window if before else {}
    return _status(folder, windows, done, (), complete=complete)


def _status(
    folder: Path,
    windows: dict[str, dict[str, str]],
    done: Callable[[str], bool],
    changed: tuple[str, ...],
    *,
    complete: bool,
) -> Status:
    results = _read(folder / RESULTS[0]) if complete else {}
    finished = NOTEBOOKS if complete else tuple(name for name in NOTEBOOKS if done(name))
    if results.get("outcome") == "no data":
        finished = ()
    failed, holder = _read(folder / FAILED), folder_holder(folder)
    left = () if complete else tuple(name for name in NOTEBOOKS if name not in finished)
    state: State = "interrupted" if (folder / NAME).is_file() else "not begun"
    if holder:
        state = "running"
    elif complete:
        state = "complete"
    elif failed:
        state = "failed"
    return Status(
        out=str(folder),
        state=state,
        done=finished,
        next=left[0] if left else "",
        failed=str(failed.get("error", "")) if state == "failed" else "",
        changed=changed,
        windows=windows,
        outcome=results.get("outcome", ""),
        verdicts=tuple(
            f"{one['entry']} {one['improvement']}: {one['verdict']}"
            for one in results.get("evaluate", {}).get("improvements", [])
        ),
        holder=holder,
    )


def _notebook(folder: Path, name: str) -> Path:
    return folder / "notebooks" / f"{name}.ipynb"


def _read(path: Path) -> dict[str, Any]:
    """Return a small JSON file of ours, or nothing where there is none or it cannot be read."""
    try:
        found = read_json(path)
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
