"""What did we set out to improve, what was agreed beforehand, and what came of it?

The improvement register (ITIL 4, continual improvement practice: continual improvement register)
is one append-only table of records; an entry is a fold over its records (`states`). The records are
chained by hashes (`history`), in an SQLite file with a seal beside it or in PostgreSQL (`store`,
`sqlite`, `seal`, `postgresql`). `Register` is all that others need:

    register = Register.open("register.sqlite")        or postgresql://user@host/database
    entry_id = register.add(Improvement(...), at=..., actor="Improvement manager")
    register.assess, record_baseline, start, implement, record_evaluation, close, note
    register.list(), show(entry_id), verify(head=...)

Errors are RG101 to RG116; each module names its own.
"""

from __future__ import annotations

from csi.register.book import Register
from csi.register.entries import (
    TERMS,
    Baseline,
    Entry,
    Evaluation,
    Improvement,
    Version,
)
from csi.register.history import GENESIS, Record, Verification
from csi.register.sqlite import GUARDS

__all__ = [
    "GENESIS",
    "GUARDS",
    "TERMS",
    "Baseline",
    "Entry",
    "Evaluation",
    "Improvement",
    "Record",
    "Register",
    "Verification",
    "Version",
]
