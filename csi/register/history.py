"""Has any record been changed, removed or put in between? Records, and the chain of their hashes.

Each record holds hash = SHA-256(prev_hash + canonical JSON of the record's other fields), so that
a changed, removed or inserted record breaks the chain; `walk` names the first break, O(records).
The chain cannot show that the newest records were cut off, nor a register that was rewritten as
a whole: keep `head` outside (a cycle's results do), and beside an SQLite file its seal
(`csi.register.seal`). Not checked here: bytes that hold no record.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from process_mining.errors import CodedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Kind = Literal["add", "assess", "baseline", "start", "implement", "evaluate", "close", "note"]
# What vouches for the bytes besides the chain: a seal that fits, one that the register is ahead
# of, none (a copied or an old file), or a server.
SealState = Literal["sealed", "ahead", "none", "server"]

GENESIS: Final = "0" * 64
FIELDS: Final = ("seq", "at", "actor", "entry_id", "kind", "key", "payload", "prev_hash")


@dataclass(frozen=True)
class Record:
    """One record of the history."""

    seq: int
    at: str
    actor: str
    entry_id: str
    kind: str
    key: str | None
    payload: str
    prev_hash: str
    hash: str

    @property
    def content(self) -> dict[str, Any]:
        """The payload as JSON types."""
        found: dict[str, Any] = json.loads(self.payload)
        return found


@dataclass(frozen=True)
class Verification:
    """Whether the register is whole; `why` it is not, `said` what else is to be known.

    `broken_seq` is the first record at which the chain does not hold. `head` is the hash of the
    last record that does.
    """

    ok: bool
    records: int
    head: str
    broken_seq: int | None = None
    why: str = ""
    seal: SealState = "none"
    said: str = ""


def canonical(value: Mapping[str, Any]) -> str:
    """Return JSON with sorted keys and no spaces: one text for one content.

    CodedError RG111 for what JSON or UTF-8 cannot hold: NaN, infinities, half characters.
    """
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        text.encode()
    except (ValueError, TypeError) as error:
        msg = f"a record cannot hold this: {error}"
        raise CodedError("RG111", msg, fix="Give texts and finite numbers") from error
    return text


def hash_of(record: Mapping[str, Any]) -> str:
    """Return the hash of a record, given by FIELDS."""
    return hashlib.sha256((record["prev_hash"] + canonical(record)).encode()).hexdigest()


def walk(rows: Sequence[tuple[Any, ...]]) -> Verification:
    """Check rows of (seq, then the other FIELDS and the hash as UTF-8 bytes or None) in order."""
    prev = GENESIS
    for index, row in enumerate(rows):
        why = _broken(row, index + 1, prev)
        if why:
            return Verification(
                ok=False, records=len(rows), head=prev, broken_seq=index + 1, why=why
            )
        prev = row[-1].decode()
    return Verification(ok=True, records=len(rows), head=prev)


def _broken(row: tuple[Any, ...], seq: int, prev: str) -> str:
    if row[0] != seq:
        return f"record {seq} is missing: {row[0]} follows"
    try:
        texts = [None if cell is None else cell.decode() for cell in row[1:]]
    except UnicodeDecodeError:
        return f"record {seq} holds bytes that are no text"
    record = dict(zip((*FIELDS, "hash"), (seq, *texts), strict=True))
    stored = record.pop("hash")
    if record["prev_hash"] != prev:
        return f"record {seq} does not follow on the one before it"
    return "" if stored == hash_of(record) else f"record {seq} was changed: its hash does not match"
