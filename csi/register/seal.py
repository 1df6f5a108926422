"""Is every byte of the register's file as trueloop left it? A seal beside an SQLite register.

The chain of hashes sees what happens to records; the file also holds a header, b-trees, counters
and unused space. `register.sqlite.seal` is JSON: how many `records`, the `head` of the chain, the
`sha256` of the whole file, and a `checksum` of the seal's own other fields. It is written after
each commit, when all of the write-ahead log is in the file. What it can say (`Seal.judge`):

    the file has the sealed bytes                     every single bit is vouched for
    more records than sealed, the sealed head among   a crash between commit and seal: the register
    them, and the chain whole                         is ahead of its seal, which is no damage; the
                                                      chain alone vouches until the next write
    the sealed head, other bytes                      damage
    fewer records, or the sealed head not there       damage: the end was cut off, or another file

Without a seal (a copied file, one of before there were seals) the chain alone vouches. A seal is no
signature: who can write both files can seal anything. Errors: those of csi.outputs (CY001).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from csi.outputs import write_json
from csi.register.history import GENESIS, Verification, canonical

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SUFFIX: Final = ".seal"
MAX_BYTES: Final = 4096
UNSEALED: Final = (
    "There is no seal beside it: the chain vouches for the records, and nothing for unused bytes "
    "of the file"
)


@dataclass(frozen=True)
class Seal:
    """What stood in the file when it was last written: records, head of the chain, SHA-256."""

    records: int
    head: str
    sha256: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the other fields, so that a flipped bit in the seal is not taken for one."""
        return hashlib.sha256(canonical(asdict(self)).encode()).hexdigest()

    def judge(self, found: Verification, heads: Sequence[str], sha256: str) -> Verification:
        """Say what the seal adds to an intact chain with these hashes, in a file with this hash."""
        if sha256 == self.sha256 and (found.records, found.head) == (self.records, self.head):
            return replace(found, seal="sealed", said="The seal holds: every byte is as written")
        if found.records < self.records:
            why = f"it has {found.records} records, its seal vouches for {self.records}"
            return replace(found, ok=False, why=why)
        if self.head != (heads[self.records - 1] if self.records else GENESIS):
            return replace(found, ok=False, why="it is not the file that its seal vouches for")
        ahead = found.records - self.records
        if not ahead:
            why = "the records are whole, but other bytes of the file are not as written"
            return replace(found, ok=False, why=why)
        said = (
            f"It is {ahead} record{'s' * (ahead > 1)} ahead of its seal (a write was cut short "
            "after its commit): the chain holds from there; the next write seals it"
        )
        return replace(found, seal="ahead", said=said)


def seal_path(register: Path) -> Path:
    """Return where the seal of a register is."""
    return register.with_name(f"{register.name}{SUFFIX}")


def write_seal(register: Path, records: int, head: str) -> Seal:
    """Seal a file that no longer changes; RunError CY001 where the disk refuses."""
    found = Seal(records, head, sha256_of(register))
    write_json(seal_path(register), asdict(found) | {"checksum": found.checksum})
    return found


def read_seal(register: Path) -> Seal | None:
    """Return the seal, or None where there is none; ValueError where it is damaged."""
    try:
        with seal_path(register).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    try:
        plain: dict[str, Any] = json.loads(data)
        checksum = plain.pop("checksum")
        found = Seal(**plain)
        good = checksum == found.checksum and type(found.records) is int
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        good = False
    if not good:
        msg = "its seal is damaged"
        raise ValueError(msg)
    return found


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
