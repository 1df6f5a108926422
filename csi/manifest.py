"""Which results in a cycle folder may be trusted?

`manifest.json` names the cycle file and every input by SHA-256, and for each step the files that it
left, by SHA-256. A step counts as done only while the cycle file, the inputs and its own files are
the same bytes; otherwise it is done anew. Nothing in it depends on when it was written.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from csi.outputs import write_json
from process_mining.errors import CodedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from csi.cycle import Cycle

NAME = "manifest.json"
CHUNK = 1 << 20


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file; CodedError CY204 where it cannot be read."""
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
    """The manifest of one cycle folder."""

    out: Path
    cycle_sha256: str
    inputs: dict[str, str]
    steps: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def open(cls, out: Path, cycle: Cycle) -> Manifest:
        """Read the folder's manifest; steps of another cycle file or other inputs are forgotten."""
        inputs = {name: sha256_of(cycle.file(name)) for name in cycle.inputs}
        manifest = cls(out, cycle.sha256, inputs)
        before = _read(out / NAME)
        if before.get("cycle") == cycle.sha256 and before.get("inputs") == inputs:
            manifest.steps = before["steps"]
        return manifest

    def done(self, step: str) -> bool:
        """Tell whether a step's files are there, byte for byte as it left them."""
        files = self.steps.get(step)
        if not files:
            return False
        paths = {name: self.out / step / name for name in files}
        return all(p.is_file() and sha256_of(p) == files[name] for name, p in paths.items())

    @contextmanager
    def step(self, name: str) -> Iterator[Path]:
        """Give a step its folder; when it is left in peace, its files are entered."""
        folder = self.out / name
        self.steps.pop(name, None)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        files = sorted(path for path in folder.iterdir() if path.is_file())
        self.steps[name] = {path.name: sha256_of(path) for path in files}
        self._write()

    def _write(self) -> None:
        content = {"cycle": self.cycle_sha256, "inputs": self.inputs, "steps": self.steps}
        write_json(self.out / NAME, content)


def _read(path: Path) -> dict[str, Any]:
    """Return the manifest, or nothing where there is none or it is damaged: then all is redone."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
