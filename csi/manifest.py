"""Which results in a cycle folder may be trusted, and what were they made from?

`manifest.json` pins the snapshot of a cycle: the version of trueloop (whose own rules, KPIs and
models are not listed), the report's date, the cycle file and every input by SHA-256, rule folders
and the mapping included; `log` is the SHA-256 of the log as it was read. `snapshot` is the SHA-256
of all that but the log. For each step, and for the results as a whole, it names the files that were
left, by SHA-256. A step counts as done only while the snapshot is the same and its own files are
the same bytes; otherwise it is done anew. Where a step leaves other files than before, the later
steps are forgotten. Nothing in it depends on when it was written.

A notebook that is run by `trueloop cycle run` gives the snapshot that the run has pinned. If it
finds another one, it stops and names what has changed: one run, one snapshot. A notebook that runs
alone gives none, and does anew what rests on a changed input.

Not checked: a file that changes and changes back within one step; for the log that shows from
`log`.

Errors: CY204 an input that cannot be read, RunError CY301 an input that has changed during a run.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pydantic import BaseModel, ConfigDict

from csi.outputs import write_json
from process_mining.errors import CodedError, RunError, raise_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from csi.cycle import Cycle

NAME: Final = "manifest.json"
RESULTS: Final = ("results.json", "report.html")
CHUNK: Final = 1 << 20
# What differs between two runs of the same snapshot. All else in the cycle folder is the same.
VOLATILE: Final = {
    "notebooks/*.ipynb": [
        "metadata.papermill: times, paths and the parameters of the run",
        "cells[].metadata.papermill and cells[].metadata.execution: times",
        "the cell tagged injected-parameters: its id and its source, which holds paths",
    ]
}


class _Stored(BaseModel):
    """What a manifest on the disk must look like to be believed."""

    model_config = ConfigDict(strict=True)

    trueloop: str
    cycle: str
    inputs: dict[str, str]
    report_date: str
    register_given: str
    snapshot: str
    window: dict[str, dict[str, str]]
    log: str
    steps: dict[str, dict[str, str]]
    results: dict[str, str]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file; CodedError CY204 where it cannot be read."""
    if path.exists() and not path.is_file():
        msg = f"the cycle's file {path.name}: it is no file"
        raise CodedError("CY204", msg, fix="Mend the name in the CYCLE.toml")
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except OSError as error:
        msg = f"the cycle's file {path.name}: {error.strerror}"
        raise CodedError("CY204", msg, fix="Mend the name in the CYCLE.toml") from error
    return digest.hexdigest()


@dataclass
class Manifest:
    """The manifest of one cycle folder; `pinned` where a run has fixed its snapshot."""

    out: Path
    cycle: Cycle
    inputs: dict[str, str]
    pinned: bool = False
    log: str = ""
    steps: dict[str, dict[str, str]] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, out: Path, cycle: Cycle, snapshot: str = "") -> Manifest:
        """Read the folder's manifest; what rests on another snapshot is forgotten.

        With the `snapshot` of a run, anything else than that snapshot is refused (CY301).
        """
        manifest = cls(out, cycle, _hashes(cycle.inputs), pinned=bool(snapshot))
        before = stored(out)
        if snapshot and snapshot != manifest.snapshot:
            manifest._refuse(before)
        if before is None or before.model_dump(include=set(manifest.basis)) != manifest.basis:
            if snapshot:
                manifest._refuse(None)
            return manifest
        manifest.log, manifest.steps, manifest.results = before.log, before.steps, before.results
        return manifest

    @property
    def basis(self) -> dict[str, Any]:
        """What every step rests on."""
        return {
            "trueloop": version("trueloop"),
            "cycle": self.cycle.sha256,
            "inputs": self.inputs,
            "report_date": self.cycle.settings.report_date.isoformat(),
            "register_given": self.cycle.register_given,
        }

    @property
    def snapshot(self) -> str:
        """One hash of all that every step rests on."""
        return hashlib.sha256(json.dumps(self.basis, sort_keys=True).encode()).hexdigest()

    def pin(self) -> None:
        """Write down the snapshot before anything rests on it."""
        self._write()

    def pin_log(self, sha256: str) -> None:
        """Write down what the log holds, or stop where it has been another one in this run."""
        if self.pinned and self.log != sha256:
            names = [name for name in self.cycle.settings.log if name in self.inputs]
            _changed(names or list(self.cycle.settings.log))
        self.log = sha256

    def done(self, step: str) -> bool:
        """Tell whether a step's files are there, byte for byte as it left them."""
        return intact(self.out / step, self.steps.get(step, {}))

    def finished(self) -> bool:
        """Tell whether the results are there, byte for byte as the run left them."""
        return set(self.results) == set(RESULTS) and intact(self.out, self.results)

    def forget(self, steps: Iterable[str]) -> None:
        """Trust the results of these steps, and the results as a whole, no longer."""
        for step in steps:
            self.steps.pop(step, None)
        self.results = {}
        self._write()

    @contextmanager
    def step(self, name: str) -> Iterator[Path]:
        """Give a step its folder; when it is left in peace, the files that it wrote are entered."""
        folder = self.out / name
        before = self.steps.pop(name, None)
        folder.mkdir(parents=True, exist_ok=True)
        there = _stamps(folder)
        yield folder
        written = [path for path, at in _stamps(folder).items() if there.get(path) != at]
        left = {path.name: sha256_of(path) for path in sorted(written)}
        if left != before:
            self.steps = {step: files for step, files in self.steps.items() if step < name}
            self.results = {}
        if not self._moved():
            self.steps[name] = left
        self._write()

    def finish(self) -> None:
        """Enter the results as a whole."""
        self.results = {name: sha256_of(self.out / name) for name in RESULTS}
        self._write()

    def _moved(self) -> bool:
        """Tell whether an input has changed since the manifest was opened; CY301 within a run."""
        now = _hashes(self.cycle.inputs)
        moved = [name for name in {**now, **self.inputs} if now.get(name) != self.inputs.get(name)]
        if moved and self.pinned:
            _changed(moved)
        return bool(moved)

    def _refuse(self, before: _Stored | None) -> NoReturn:
        """Say what is not as the run pinned it."""
        if before is None:
            _changed([NAME])
        names = {**self.inputs, **before.inputs}
        moved = [name for name in names if before.inputs.get(name) != self.inputs.get(name)]
        if before.cycle != self.cycle.sha256:
            moved.append(self.cycle.path.name)
        _changed(moved or ["the version of trueloop or the report's date"])

    def _write(self) -> None:
        content = {
            "snapshot": self.snapshot,
            "window": self.cycle.window_days,
            "log": self.log,
            "steps": dict(sorted(self.steps.items())),
            "results": self.results,
            "volatile": VOLATILE,
        }
        write_json(self.out / NAME, self.basis | content)


def stored(out: Path) -> _Stored | None:
    """Return the manifest on the disk; None where there is none or it is damaged: all is redone."""
    try:
        return _Stored.model_validate(json.loads((out / NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return None


def intact(folder: Path, files: Mapping[str, str]) -> bool:
    """Tell whether files are in a folder with these hashes; False where none are named."""
    paths = {name: folder / name for name in files}
    return bool(files) and all(p.is_file() and sha256_of(p) == files[n] for n, p in paths.items())


def _stamps(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return what a rewritten file cannot keep: its inode and time. Unfinished files are none."""
    paths = [p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")]
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


def _changed(names: Iterable[str]) -> NoReturn:
    raise RunError(
        "CY301",
        f"{', '.join(sorted(names))} changed while the cycle was running",
        why="All notebooks of one run must read the same snapshot",
        fix="Let the files rest, then run the cycle again",
    )


def _hashes(paths: Mapping[str, Path]) -> dict[str, str]:
    """Hash every file; all that cannot be read are named at once."""
    found: dict[str, str] = {}
    wrong: list[CodedError] = []
    for name, path in paths.items():
        try:
            found[name] = sha256_of(path)
        except CodedError as error:
            wrong.append(error)
    raise_all(wrong)
    return found
