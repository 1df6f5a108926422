"""What can be done with an improvement register: write the next record, read, verify.

Ids are IMP-0001, IMP-0002, ... in order of adding. A record may carry a `key` of the caller (such
as a cycle's identity): the same key with the same content is written once, so a cycle that runs
twice adds nothing; with other content it is refused. Times are given by the caller and are not
compared with each other: the order of the records is the order of writing.

Errors: RG111 a wrong value, RG114 a key with other content, RG116 the register is damaged; those of
the states, stamps and stores.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from csi.register import payloads
from csi.register.history import GENESIS, Record, Verification, canonical, hash_of
from csi.register.postgresql import PostgresqlStore
from csi.register.sqlite import SqliteStore, damage
from csi.register.stamps import Stamp, said
from csi.register.states import (
    DECISIONS,
    fold,
    require_frozen,
    require_move,
    require_new_version,
)
from csi.register.store import (
    BUSY_SECONDS,
    HISTORY,
    append,
    by_key,
    head_of,
    ids_of,
    records_of,
)
from process_mining.errors import CodedError, did_you_mean

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    import pandas as pd

    from csi.register.entries import Baseline, Decision, Entry, Evaluation, Improvement
    from csi.register.history import Kind
    from csi.register.store import Store
    from csi.statistics import DecisionRule


class Register:
    """An improvement register in an SQLite file or a PostgreSQL database."""

    def __init__(self, store: Store) -> None:
        """Use `Register.open`."""
        self._store = store

    @classmethod
    def open(
        cls, place: str | Path, *, create: bool = True, busy_seconds: float = BUSY_SECONDS
    ) -> Register:
        """Open the register at a path or URL; it is made where there is none."""
        store = _store(place, busy_seconds)
        store.prepare(create=create)
        return cls(store)

    @classmethod
    def preflight(cls, place: str | Path) -> None:
        """Refuse a place where no intact register is and none could be made; make nothing."""
        store = _store(place, BUSY_SECONDS)
        store.preflight()
        if not isinstance(store, SqliteStore) or store.path.exists():
            _require_intact(store)

    @property
    def place(self) -> str:
        """Where it is, fit for messages: no user and no password."""
        return self._store.place

    @property
    def notice(self) -> str:
        """What the last write could not do although its record is safe; empty otherwise."""
        return self._store.notice

    # --- writing

    def add(
        self, improvement: Improvement, *, at: dt.datetime, actor: str, key: str | None = None
    ) -> str:
        """Add an improvement and return its id; the same key and content again: the same id."""

        def fresh(connection: sa.Connection) -> str:
            adds = sa.select(sa.func.count()).where(HISTORY.c.kind == "add")
            return f"IMP-{connection.execute(adds).scalar_one() + 1:04d}"

        content = payloads.draft(improvement)
        return self._append("add", fresh, content, _nothing_more, Stamp.of(at, actor, key))

    def assess(  # noqa: PLR0913 - which, what was decided and why, when, who, under which key
        self,
        entry_id: str,
        decision: Decision,
        reason: str,
        *,
        at: dt.datetime,
        actor: str,
        key: str | None = None,
    ) -> None:
        """Record that it was assessed: to be pursued, or postponed to be assessed again later.

        What is not worth it is closed with a reason.
        """
        if decision not in DECISIONS:
            fix = did_you_mean(decision, DECISIONS)
            raise CodedError("RG111", f"'{decision}' is no decision", fix=fix)
        why = said(reason, "the assessment has no reason", "Say why")
        content = {"decision": decision, "reason": why}
        self._append("assess", entry_id, content, _may("assess"), Stamp.of(at, actor, key))

    def record_baseline(
        self,
        entry_id: str,
        baseline: Baseline,
        *,
        at: dt.datetime,
        actor: str,
        key: str | None = None,
    ) -> None:
        """Record where it began: the KPI of the entry, measured in a window before the change."""

        def measured(entry: Entry) -> Mapping[str, Any]:
            require_move(entry, "baseline")
            if baseline.kpi != entry.improvement.kpi:
                msg = f"the baseline of {entry_id} is of {baseline.kpi}"
                fix = f"Measure {entry.improvement.kpi}, by which it will be judged"
                raise CodedError("RG111", msg, fix=fix)
            return {}

        stamp = Stamp.of(at, actor, key)
        self._append("baseline", entry_id, asdict(baseline), measured, stamp)

    def start(  # noqa: PLR0913 - which, when, who, under which key, and what decides from now on
        self,
        entry_id: str,
        *,
        at: dt.datetime,
        actor: str,
        key: str | None = None,
        decision_rule: DecisionRule | None = None,
        reason: str = "",
        plan: Mapping[str, Any] | None = None,
        changed: Improvement | None = None,
    ) -> None:
        """Start an improvement: all that decides, and its plan, are frozen as version 1.

        `plan` is JSON: which design, how many cases and weeks, the baseline. Starting it again
        needs another rule (`decision_rule`), other terms (`changed`: the improvement with other
        values of `TERMS`) or another plan, and a reason: the next version (RG113).
        """

        def frozen(entry: Entry) -> Mapping[str, Any]:
            judged = changed or entry.improvement
            judged = replace(judged, decision_rule=decision_rule or judged.decision_rule)
            require_new_version(entry, judged, plan or {}, reason)
            rule = judged.decision_rule.to_dict()
            return {"decision_rule": rule, "version": entry.rule_version + 1}

        content: dict[str, Any] = {"reason": reason}
        if changed is not None:
            content["terms"] = payloads.terms_of(changed)
        if decision_rule is not None:
            content["decision_rule"] = decision_rule.to_dict()
        if plan:
            content["plan"] = dict(plan)
        self._append("start", entry_id, content, frozen, Stamp.of(at, actor, key))

    def implement(
        self, entry_id: str, text: str, *, at: dt.datetime, actor: str, key: str | None = None
    ) -> None:
        """Record that it was carried out, and what was done; `actor` is who did it."""
        done = said(text, "it is not said what was done", "Say what was changed")
        stamp = Stamp.of(at, actor, key)
        self._append("implement", entry_id, {"text": done}, _may("implement"), stamp)

    def record_evaluation(
        self,
        entry_id: str,
        evaluation: Evaluation,
        *,
        at: dt.datetime,
        actor: str,
        key: str | None = None,
    ) -> None:
        """Record a verdict; it must have been judged by what was frozen (RG113)."""

        def judged(entry: Entry) -> Mapping[str, Any]:
            require_frozen(entry, evaluation)
            return {"rule_version": entry.rule_version}

        content = payloads.evaluation(evaluation)
        self._append("evaluate", entry_id, content, judged, Stamp.of(at, actor, key))

    def close(  # noqa: PLR0913 - which, why, when, who, under which key, and how it ended
        self,
        entry_id: str,
        reason: str,
        *,
        at: dt.datetime,
        actor: str,
        key: str | None = None,
        cancelled: bool = False,
    ) -> None:
        """Close an improvement with a reason; nothing but notes follows.

        `cancelled`: it is no longer wanted, so no evaluation is missed. What was never started is
        cancelled anyway.
        """
        content = {"reason": said(reason, "the end has no reason", "Say why it is closed")}
        whole = payloads.told(content | {"cancelled": cancelled})
        self._append("close", entry_id, whole, _may("close"), Stamp.of(at, actor, key))

    def note(
        self, entry_id: str, text: str, *, at: dt.datetime, actor: str, key: str | None = None
    ) -> None:
        """Add a note to an improvement in any state."""
        stamp = Stamp.of(at, actor, key)
        self._append("note", entry_id, {"text": text}, _nothing_more, stamp)

    # --- reading

    def list(self) -> tuple[Entry, ...]:
        """Return every entry, by id."""
        with self._store.reading() as connection:
            records = records_of(connection)
        ordered = sorted(records, key=lambda one: (_number(one.entry_id), one.seq))
        groups = groupby(ordered, key=lambda one: one.entry_id)
        return tuple(fold(list(mine), entry_id) for entry_id, mine in groups)

    def show(self, entry_id: str) -> Entry:
        """Return one entry with its history."""
        with self._store.reading() as connection:
            records = records_of(connection, entry_id)
            known = [] if records else ids_of(connection)
        return fold(records, entry_id, known)

    def find(self, key: str) -> str | None:
        """Return the id of the entry that has a record with this key."""
        with self._store.reading() as connection:
            found = by_key(connection, key)
        return None if found is None else found.entry_id

    def head(self) -> str:
        """Return the hash of the newest record, to be kept outside the register."""
        with self._store.reading() as connection:
            return head_of(connection)[1]

    def verify(self, *, head: str | None = None) -> Verification:
        """Walk the chain, compare file and seal, and report the first fault.

        With a `head` that was kept outside, records that were cut off are found too.
        """
        return _verified(self._store, head)

    def require_intact(self, *, head: str | None = None) -> Verification:
        """Return what `verify` found; RunError RG116 where that is damage."""
        return _require_intact(self._store, head)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row an entry."""
        import pandas as pd  # noqa: PLC0415 - the register itself needs no pandas

        return pd.DataFrame([_row(entry) for entry in self.list()])

    def _append(
        self,
        kind: Kind,
        entry: str | Callable[[sa.Connection], str],
        content: Mapping[str, Any],
        more: Callable[[Entry], Mapping[str, Any]],
        stamp: Stamp,
    ) -> str:
        """Write one record, or find that its key was written with the same content.

        `entry` is an id or makes a new one; `more` checks the entry as it stands and adds to the
        content what follows from it.
        """
        with self._store.writing() as connection:
            known = by_key(connection, stamp.key)
            if known is not None:
                return _same(known, kind, entry, content)
            whole = dict(content)
            if isinstance(entry, str):
                found = fold(records_of(connection, entry), entry, ids_of(connection))
                whole |= more(found)
            seq, prev_hash = head_of(connection)
            record = {
                "seq": seq + 1,
                "at": stamp.at,
                "actor": stamp.actor,
                "entry_id": entry if isinstance(entry, str) else entry(connection),
                "kind": kind,
                "key": stamp.key,
                "payload": canonical(whole),
                "prev_hash": prev_hash,
            }
            append(connection, record | {"hash": hash_of(record)})
            return str(record["entry_id"])


def _store(place: str | Path, busy_seconds: float) -> Store:
    """Return the store that a path or URL names."""
    if isinstance(place, Path) or "://" not in place:
        return SqliteStore(Path(place), busy_seconds)
    if not place.startswith("sqlite:"):
        return PostgresqlStore(place, busy_seconds)
    try:
        path = sa.make_url(place).database
    except (sa.exc.ArgumentError, ValueError):
        path = None
    if not path:
        msg = "the URL of the register names no file"
        raise CodedError("RG101", msg, fix="Give a path or sqlite:///path")
    return SqliteStore(Path(path), busy_seconds)


def _verified(store: Store, head: str | None) -> Verification:
    found, heads = store.examine()
    if found.ok and head is not None and head not in {GENESIS, *heads}:
        return replace(found, ok=False, why="the record with the given head is not there")
    return found


def _require_intact(store: Store, head: str | None = None) -> Verification:
    found = _verified(store, head)
    if not found.ok:
        raise damage(store.place, found.why)
    return found


def _same(
    known: Record,
    kind: Kind,
    entry: str | Callable[[sa.Connection], str],
    content: Mapping[str, Any],
) -> str:
    """Return the entry of a record whose key is used again with the same content, else refuse."""
    stored = known.content
    given = json.loads(canonical(content))
    names = {*given, *payloads.LATER_FIELDS}
    same = known.kind == kind and all(stored.get(name) == given.get(name) for name in names)
    if not same or (isinstance(entry, str) and known.entry_id != entry):
        raise CodedError(
            "RG114",
            f"key '{known.key}' was used for {known.kind} of {known.entry_id} on {known.at}",
            why="The same key must mean the same content",
            fix="Use a key that changes with the content",
        )
    return known.entry_id


def _row(entry: Entry) -> dict[str, Any]:
    plan, due = entry.improvement, entry.due
    return {
        "id": entry.id,
        "title": plan.title,
        "kpi": plan.kpi,
        "owner": plan.owner,
        "state": entry.state,
        "minimum_effect": plan.minimum_effect,
        "rule_version": entry.rule_version,
        "verdict": entry.verdict.value if entry.verdict else None,
        "due": due[0] if due else None,
        "due_on": due[1] if due else None,
        "added_at": entry.added_at,
        "assessed_at": entry.assessed_at or None,
        "started_at": entry.started_at or None,
        "implemented_at": entry.implemented_at or None,
        "evaluated_at": entry.evaluated_at or None,
        "closed_at": entry.closed_at or None,
    }


def _may(kind: Kind) -> Callable[[Entry], Mapping[str, Any]]:
    """Return a check that a record of this kind may follow; it adds nothing."""

    def check(entry: Entry) -> Mapping[str, Any]:
        require_move(entry, kind)
        return {}

    return check


def _nothing_more(_entry: Entry) -> Mapping[str, Any]:
    return {}


def _number(entry_id: str) -> tuple[int, str]:
    """Order ids by their number: IMP-10000 comes after IMP-9999."""
    return len(entry_id), entry_id
