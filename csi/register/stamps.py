"""When, by which role, and under which key is a record written?

Errors: RG111 no role, or a role or a key that cannot be kept; RG115 a time without a zone.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from process_mining.errors import CodedError

MAX_KEY: Final = 500  # characters; PostgreSQL indexes up to some 2,700 bytes


@dataclass(frozen=True)
class Stamp:
    """`at` in ISO 8601 UTC, the role that acts, and the caller's key or None."""

    at: str
    actor: str
    key: str | None

    @classmethod
    def of(cls, at: dt.datetime, actor: str, key: str | None) -> Stamp:
        """Check and put them together."""
        if key is not None and (len(key) > MAX_KEY or not key.isprintable()):
            msg = f"a key of {len(key)} characters is too long or holds a control character"
            raise CodedError("RG111", msg, fix=f"Use up to {MAX_KEY} printable characters")
        role = said(actor, "no actor is named", "Name the role that acts")
        if not role.isprintable():
            msg = f"the role {role!r} holds a control character"
            raise CodedError("RG111", msg, fix="Name the role in one line")
        return cls(_iso(at), role, key)


def said(text: str, missing: str, fix: str) -> str:
    """Return a text that says something; RG111 with `missing` for one that does not.

    Control characters are refused: they say nothing to people and much to terminals.
    """
    if not text.strip():
        raise CodedError("RG111", missing, fix=fix)
    if any(one < " " and one not in "\n\t" for one in text):
        msg = f"{text[:40]!r} holds a control character"
        raise CodedError("RG111", msg, fix="Leave it out")
    return text


def _iso(at: dt.datetime) -> str:
    if at.tzinfo is None:
        raise CodedError("RG115", f"time {at.isoformat()} has no zone", fix="Give it in UTC")
    return at.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
