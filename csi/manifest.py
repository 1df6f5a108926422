"""Which results in a cycle folder may be trusted?

`manifest.json` names the version of trueloop (whose own rules, KPIs and models are not listed), the
cycle file and every input by SHA-256, rule folders and the mapping included, and for each step the
files that it left, by SHA-256. A step counts as done only while the version is the same, and the
cycle file, the inputs and its own files are the same bytes; otherwise it is done anew. Nothing in
it depends on when it was written.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from csi.outputs import write_json
from process_mining.errors import CodedError, raise_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from csi.cycle import Cycle

NAME = "manifest.json"
CHUNK = 1 << 20


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
    """The manifest of one cycle folder."""

    out: Path
    cycle_sha256: str
    inputs: dict[str, str]
    steps: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def open(cls, out: Path, cycle: Cycle) -> Manifest:
        """Read the folder's manifest; steps of another version, cycle or input are forgotten."""
        manifest = cls(out, cycle.sha256, _hashes(cycle.inputs))
        before = _read(out / NAME)
        if all(before.get(name) == value for name, value in manifest.basis.items()):
            manifest.steps = before["steps"]
        return manifest

    @property
    def basis(self) -> dict[str, object]:
        """What every step rests on."""
        return {
            "trueloop": version("trueloop"),
            "cycle": self.cycle_sha256,
            "inputs": self.inputs,
        }

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
        write_json(self.out / NAME, self.basis | {"steps": self.steps})


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


def _read(path: Path) -> dict[str, Any]:
    """Return the manifest, or nothing where there is none or it is damaged: then all is redone."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
