"""What did we set out to improve, what was agreed beforehand, and what came of it?

The improvement register (ITIL 4, continual improvement practice: continual improvement register)
is one append-only table, `history`, in SQLite. An entry is a fold over its records:

    add        proposed     the draft: hypothesis, KPI, scope, guardrails, decision rule, owner
    start      started      freezes the decision rule; again with a reason for a new version of it
    evaluate   evaluated    a verdict under the frozen rule; may be repeated for later windows
    close      closed       with a reason
    note       (no change)

Each record holds hash = SHA-256(prev_hash + canonical JSON of the record's other fields), so that
a changed, removed or inserted record breaks the chain; `verify` walks it and names the first break.
Triggers refuse UPDATE, DELETE and REPLACE. The chain cannot show that the newest records were cut
off, nor a register that was rewritten as a whole: keep `head` outside (a cycle's results do) and
give it to `verify`.

Ids are IMP-0001, IMP-0002, ... in order of adding. A record may carry a `key` of the caller (such
as a cycle's identity): the same key with the same content is written once, so a cycle that runs
twice adds nothing; with other content it is refused. Times are given by the caller.

Written with WAL and synchronous=FULL in BEGIN IMMEDIATE transactions: after `kill -9` every record
that was reported as written is there. WAL does not work on network file systems.

Errors: RG101 cannot be opened, RG102 not a register, RG103 busy, RG104 damaged, RG110 unknown
entry, RG111 a wrong draft, RG112 not in a state for that, RG113 the decision rule is frozen, RG114
a key with other content, RG115 a wrong time, RG116 the chain is broken.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
import os
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from csi.statistics import DecisionRule, Outcome
from process_mining.errors import CodedError, RunError, did_you_mean, raise_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd

    from csi.statistics import Comparison

State = Literal["proposed", "started", "evaluated", "closed"]
Kind = Literal["add", "start", "evaluate", "close", "note"]

GENESIS: Final = "0" * 64
BUSY_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 0.01
BUSY: Final = "RG103"
APPLICATION_ID: Final = 0x746C7267  # "tlrg", so that another SQLite file is not taken for ours
# Fields that came later; where they say nothing they are not written.
LATER_FIELDS: Final = frozenset(
    {"comparison", "guardrail_margins", "also", "plan"}
    | {"design", "p_value", "n_needed", "weeks_needed"}
)
FIELDS: Final = ("seq", "at", "actor", "entry_id", "kind", "key", "payload", "prev_hash")

METADATA: Final = sa.MetaData()
HISTORY: Final = sa.Table(
    "history",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("entry_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=True, unique=True),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("prev_hash", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)
# REPLACE deletes without firing delete triggers, so inserting over a record is refused as well.
GUARDS: Final = {
    "history_no_update": "BEFORE UPDATE ON history",
    "history_no_delete": "BEFORE DELETE ON history",
    "history_no_replace": (
        "BEFORE INSERT ON history WHEN EXISTS "
        "(SELECT 1 FROM history WHERE seq >= NEW.seq OR key = NEW.key)"
    ),
}


@dataclass(frozen=True)
class Improvement:
    """A proposed improvement. The decision rule may still change until it is started.

    `owner` is a role. `scope` is a `csi.evidence.Scope` as a mapping. `comparison_group` says in
    words what it is compared with, `comparison` (a scope too) names the cases that are not touched.
    `also` are further KPI codes, judged together with `kpi` (Holm). `guardrail_margins`: the
    smallest harm that matters by guardrail, in the unit of its effect, where it is not the KPI's
    own. `source_findings` are fingerprints or rule codes, or `feedback:` and the id of a ticket
    whose customer's answer led to it (`csi.feedback.links`). `planned_start` and
    `planned_evaluation` are dates (ISO 8601) or empty.
    """

    title: str
    opportunity: str
    hypothesis: str
    kpi: str
    owner: str
    decision_rule: DecisionRule
    scope: Mapping[str, Sequence[str]] = field(default_factory=dict)
    comparison_group: str = ""
    guardrails: tuple[str, ...] = ()
    source_findings: tuple[str, ...] = ()
    planned_start: str = ""
    planned_evaluation: str = ""
    comparison: Mapping[str, Sequence[str]] = field(default_factory=dict)
    guardrail_margins: Mapping[str, float] = field(default_factory=dict)
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what would make the entry useless, all at once."""
        needed = ("title", "opportunity", "hypothesis", "kpi", "owner")
        wrong = [f"{name} is empty" for name in needed if not getattr(self, name).strip()]
        dates = ("planned_start", "planned_evaluation")
        wrong += [f"{name} is no date" for name in dates if not _is_date(getattr(self, name))]
        if self.kpi in self.guardrails:
            wrong.append(f"{self.kpi} is the KPI and a guardrail too")
        for code in sorted({self.kpi, *self.guardrails} & set(self.also)):
            wrong.append(f"{code} is a further KPI and the KPI or a guardrail too")
        wrong += [
            f"the margin of {code} is {margin}, not a number above 0"
            for code, margin in self.guardrail_margins.items()
            if not 0 < margin < math.inf
        ]
        strangers = sorted(set(self.guardrail_margins) - set(self.guardrails))
        wrong += [f"{code} has a margin and is no guardrail" for code in strangers]
        fix = "Mend it in the improvement that you add"
        raise_all([CodedError("RG111", f"improvement: {one}", fix=fix) for one in wrong])

    @property
    def minimum_effect(self) -> float:
        """The smallest effect that matters."""
        return self.decision_rule.minimum_effect


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found, by which design, and by which rule it was judged.

    `n_needed` (cases a side) and `weeks_needed` would settle it where it is inconclusive. `also`
    are the outcomes of the further KPIs by code.
    """

    verdict: Outcome
    kpi: str
    effect: float | None
    low: float | None
    high: float | None
    unit: str
    n: int
    method: str
    decision_rule: DecisionRule
    sentence: str = ""
    guardrails: Mapping[str, str] = field(default_factory=dict)
    baseline: tuple[str, str] = ("", "")
    current: tuple[str, str] = ("", "")
    log_sha256: str = ""
    design: str = ""
    p_value: float | None = None
    n_needed: int | None = None
    weeks_needed: float | None = None
    also: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        comparison: Comparison,
        *,
        kpi: str,
        verdict: Outcome | None = None,
        guardrails: Mapping[str, str] | None = None,
    ) -> Evaluation:
        """Take over a comparison; `verdict` where guardrails overruled it."""
        return cls(
            verdict=comparison.verdict if verdict is None else verdict,
            kpi=kpi,
            effect=comparison.effect,
            low=comparison.low,
            high=comparison.high,
            unit=comparison.unit,
            n=comparison.n,
            method=comparison.method,
            decision_rule=comparison.rule,
            sentence=comparison.sentence,
            guardrails=dict(guardrails or {}),
            p_value=comparison.p_value,
            n_needed=comparison.n_needed,
        )


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
class Entry:
    """An improvement as it stands: the fold over its records.

    `plan` is how it is to be evaluated (design, needed n and weeks, baseline), frozen together with
    `rule_version`; empty where nothing was planned.
    """

    id: str
    improvement: Improvement
    state: State
    rule_version: int
    verdict: Outcome | None
    evaluations: tuple[Evaluation, ...]
    added_at: str
    started_at: str
    evaluated_at: str
    closed_at: str
    history: tuple[Record, ...]
    plan: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verification:
    """Whether the chain holds; `broken_seq` is the first record that does not, `why` the reason."""

    ok: bool
    records: int
    head: str
    broken_seq: int | None = None
    why: str = ""


@dataclass(frozen=True)
class _Stamp:
    """When, by which role, and under which key a record is written."""

    at: str
    actor: str
    key: str | None


class Register:
    """An improvement register in one SQLite file."""

    def __init__(self, engine: sa.Engine, place: str, busy_seconds: float) -> None:
        """Use `Register.open`."""
        self._engine, self._place, self._busy_seconds = engine, place, busy_seconds

    @classmethod
    def open(
        cls, place: str | Path, *, create: bool = True, busy_seconds: float = BUSY_SECONDS
    ) -> Register:
        """Open the register at a path or an sqlite:/// URL; it is made where there is none."""
        path = _path(place)
        if not create and not path.is_file():
            fix = "Name a register, or add an improvement to make one"
            raise CodedError("RG101", f"there is no register at {path}", fix=fix)

        engine = sa.create_engine(
            "sqlite://", creator=lambda: _connect(path, busy_seconds), poolclass=NullPool
        )
        register = cls(engine, str(path), busy_seconds)
        with register._writing() as connection:
            _make(connection, str(path))
        return register

    @classmethod
    def preflight(cls, place: str | Path) -> None:
        """Refuse a place where no intact register is and none could be made; make nothing."""
        path = _path(place)
        if path.exists():
            cls.open(path, create=False).require_intact()
        elif not os.access(path.parent, os.W_OK):
            msg = f"no register can be made in {path.parent}"
            raise CodedError("RG101", msg, fix="Check the path and its rights")

    def add(
        self, improvement: Improvement, *, at: dt.datetime, actor: str, key: str | None = None
    ) -> str:
        """Add an improvement and return its id; the same key and content again: the same id."""

        def fresh(connection: sa.Connection) -> str:
            adds = sa.select(sa.func.count()).where(HISTORY.c.kind == "add")
            return f"IMP-{connection.execute(adds).scalar_one() + 1:04d}"

        stamp = _Stamp(_iso(at), _role(actor), key)
        return self._append("add", fresh, _draft(improvement), _nothing_more, stamp)

    def start(  # noqa: PLR0913 - which, when, who, under which key, and a new rule with its reason
        self,
        entry_id: str,
        *,
        at: dt.datetime,
        actor: str,
        key: str | None = None,
        decision_rule: DecisionRule | None = None,
        reason: str = "",
        plan: Mapping[str, Any] | None = None,
    ) -> None:
        """Start an improvement: its decision rule and its plan are frozen as version 1.

        Starting it again under another rule needs a reason and gives the next version (RG113).
        `plan` is JSON: which design, how many cases and weeks, the baseline.
        """

        def frozen(entry: Entry) -> Mapping[str, Any]:
            rule = decision_rule or entry.improvement.decision_rule
            _may_start(entry, rule, reason)
            return {"decision_rule": rule.to_dict(), "version": entry.rule_version + 1}

        content: dict[str, Any] = {"reason": reason}
        if decision_rule is not None:
            content["decision_rule"] = decision_rule.to_dict()
        if plan:
            content["plan"] = dict(plan)
        self._append("start", entry_id, content, frozen, _Stamp(_iso(at), _role(actor), key))

    def record_evaluation(
        self,
        entry_id: str,
        evaluation: Evaluation,
        *,
        at: dt.datetime,
        actor: str,
        key: str | None = None,
    ) -> None:
        """Record a verdict; it must have been judged by the rule that was frozen (RG113)."""

        def judged(entry: Entry) -> Mapping[str, Any]:
            _require_state(entry, ("started", "evaluated"), "evaluated", "Start it first")
            if evaluation.decision_rule != entry.improvement.decision_rule:
                raise CodedError(
                    "RG113",
                    f"{entry_id} was evaluated by another decision rule than the frozen one",
                    why="A rule that is chosen after looking proves nothing",
                    fix="Evaluate by the entry's rule, or start a new version of it with a reason",
                )
            return {"rule_version": entry.rule_version}

        content = _told(asdict(evaluation) | {"verdict": evaluation.verdict.value})
        self._append("evaluate", entry_id, content, judged, _Stamp(_iso(at), _role(actor), key))

    def close(
        self, entry_id: str, reason: str, *, at: dt.datetime, actor: str, key: str | None = None
    ) -> None:
        """Close an improvement with a reason; nothing but notes follows."""

        def closable(entry: Entry) -> Mapping[str, Any]:
            _require_state(entry, ("proposed", "started", "evaluated"), "closed", "It is over")
            return {}

        stamp = _Stamp(_iso(at), _role(actor), key)
        self._append("close", entry_id, {"reason": reason}, closable, stamp)

    def note(
        self, entry_id: str, text: str, *, at: dt.datetime, actor: str, key: str | None = None
    ) -> None:
        """Add a note to an improvement in any state."""
        stamp = _Stamp(_iso(at), _role(actor), key)
        self._append("note", entry_id, {"text": text}, _nothing_more, stamp)

    def list(self) -> tuple[Entry, ...]:
        """Return every entry, by id."""
        with self._reading() as connection:
            records = _records(connection)
        ordered = sorted(records, key=lambda one: (one.entry_id, one.seq))
        groups = groupby(ordered, key=lambda one: one.entry_id)
        return tuple(_fold(list(mine), entry_id) for entry_id, mine in groups)

    def show(self, entry_id: str) -> Entry:
        """Return one entry with its history."""
        with self._reading() as connection:
            records = _records(connection, entry_id)
            known = [] if records else _ids(connection)
        return _fold(records, entry_id, known)

    def find(self, key: str) -> str | None:
        """Return the id of the entry that has a record with this key."""
        query = sa.select(HISTORY.c.entry_id).where(HISTORY.c.key == key)
        with self._reading() as connection:
            return connection.execute(query).scalar_one_or_none()

    def head(self) -> str:
        """Return the hash of the newest record, to be kept outside the register."""
        with self._reading() as connection:
            return _head(connection)[1]

    def verify(self, *, head: str | None = None) -> Verification:
        """Walk the chain and report the first break.

        With a `head` that was kept outside, records that were cut off are found too.
        """
        try:
            with self._reading() as connection:
                rows = connection.exec_driver_sql(_RAW).all()
                guards = {str(row[0]) for row in connection.exec_driver_sql(_TRIGGERS)}
        except CodedError as error:
            if error.code == BUSY:
                raise
            return Verification(ok=False, records=0, head="", why=str(error))
        found = _walk([tuple(row) for row in rows])
        if not found.ok:
            return found
        lost = sorted(set(GUARDS) - guards)
        if lost:
            return replace(found, ok=False, why=f"the guards {', '.join(lost)} are missing")
        if head is not None and head not in {GENESIS, *(row[-1].decode() for row in rows)}:
            return replace(found, ok=False, why="the record with the given head is not there")
        return found

    def require_intact(self) -> None:
        """Raise RunError RG116 where the chain is broken."""
        found = self.verify()
        if not found.ok:
            raise RunError(
                "RG116",
                f"register {self._place} is damaged: {found.why}",
                why="What stands in it can no longer be trusted",
                fix="Restore a copy that trueloop register verify finds whole",
            )

    def to_pandas(self) -> pd.DataFrame:
        """Return one row an entry."""
        import pandas as pd  # noqa: PLC0415 - the register itself needs no pandas

        rows = [
            {
                "id": entry.id,
                "title": entry.improvement.title,
                "kpi": entry.improvement.kpi,
                "owner": entry.improvement.owner,
                "state": entry.state,
                "minimum_effect": entry.improvement.minimum_effect,
                "rule_version": entry.rule_version,
                "verdict": entry.verdict.value if entry.verdict else None,
                "added_at": entry.added_at,
                "started_at": entry.started_at or None,
                "evaluated_at": entry.evaluated_at or None,
                "closed_at": entry.closed_at or None,
            }
            for entry in self.list()
        ]
        return pd.DataFrame(rows)

    def _append(
        self,
        kind: Kind,
        entry: str | Callable[[sa.Connection], str],
        content: Mapping[str, Any],
        more: Callable[[Entry], Mapping[str, Any]],
        stamp: _Stamp,
    ) -> str:
        """Write one record, or find that its key was written with the same content.

        `entry` is an id or makes a new one; `more` checks the entry as it stands and adds to the
        content what follows from it.
        """
        with self._writing() as connection:
            known = _by_key(connection, stamp.key)
            if known is not None:
                return _same(known, kind, entry, content)
            if isinstance(entry, str):
                records = _records(connection, entry)
                whole = {**content, **more(_fold(records, entry, _ids(connection)))}
            else:
                whole = dict(content)
            seq, prev_hash = _head(connection)
            record = {
                "seq": seq + 1,
                "at": stamp.at,
                "actor": stamp.actor,
                "entry_id": entry if isinstance(entry, str) else entry(connection),
                "kind": kind,
                "key": stamp.key,
                "payload": _canonical(whole),
                "prev_hash": prev_hash,
            }
            connection.execute(HISTORY.insert(), record | {"hash": _hash(record)})
            return str(record["entry_id"])

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """One transaction that holds the write lock from its start, so reads in it are current."""
        with _coded(self._place), self._begun("BEGIN IMMEDIATE") as connection:
            yield connection
            connection.commit()

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with _coded(self._place), self._begun("BEGIN") as connection:
            yield connection

    def _begun(self, statement: str) -> sa.Connection:
        """Connect and begin, again and again until the patience ends.

        SQLite's own waiting does not cover the moments at which another process turns WAL on or,
        closing the last connection, clears the WAL away.
        """
        until = time.monotonic() + self._busy_seconds
        while True:
            try:
                return self._begin(statement)
            except (sqlite3.OperationalError, sa.exc.OperationalError) as error:
                if "locked" not in str(error) or time.monotonic() >= until:
                    raise
                time.sleep(RETRY_SECONDS)

    def _begin(self, statement: str) -> sa.Connection:
        connection = self._engine.connect()
        try:
            connection.exec_driver_sql(statement)
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
        except BaseException:
            connection.close()
            raise
        return connection


# As bytes: a flipped bit may leave no valid text. The columns are FIELDS and the hash.
_RAW: Final = (
    "SELECT seq, CAST(at AS BLOB), CAST(actor AS BLOB), CAST(entry_id AS BLOB), "
    "CAST(kind AS BLOB), CAST(key AS BLOB), CAST(payload AS BLOB), CAST(prev_hash AS BLOB), "
    "CAST(hash AS BLOB) FROM history ORDER BY seq"
)
_TRIGGERS: Final = "SELECT name FROM sqlite_master WHERE type = 'trigger'"


def _walk(rows: Sequence[tuple[Any, ...]]) -> Verification:
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
    return "" if stored == _hash(record) else f"record {seq} was changed: its hash does not match"


def _hash(record: Mapping[str, Any]) -> str:
    return hashlib.sha256((record["prev_hash"] + _canonical(record)).encode()).hexdigest()


def _canonical(value: Mapping[str, Any]) -> str:
    """JSON with sorted keys and no spaces: one text for one content (NaN is no JSON)."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _draft(improvement: Improvement) -> dict[str, Any]:
    plain = asdict(improvement)
    for name in ("scope", "comparison"):
        plain[name] = {key: sorted(words) for key, words in plain[name].items()}
    return _told(plain | {"decision_rule": improvement.decision_rule.to_dict()})


def _told(content: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out later fields that say nothing: records of before they were there stay the same."""
    return {
        name: value
        for name, value in content.items()
        if name not in LATER_FIELDS or value not in ("", None, {}, (), [])
    }


def _improvement(plain: Mapping[str, Any]) -> Improvement:
    known = dict(plain)
    known["decision_rule"] = DecisionRule.from_dict(known["decision_rule"])
    for name in ("guardrails", "source_findings", "also"):
        known[name] = tuple(known.get(name, ()))
    return Improvement(**known)


def _evaluation(plain: Mapping[str, Any]) -> Evaluation:
    known = {name: value for name, value in plain.items() if name != "rule_version"}
    known["decision_rule"] = DecisionRule.from_dict(known["decision_rule"])
    known["verdict"] = Outcome(known["verdict"])
    for name in ("baseline", "current"):
        known[name] = tuple(known[name])
    return Evaluation(**known)


def _fold(records: Sequence[Record], entry_id: str, known: Sequence[str] = ()) -> Entry:
    """Replay the records of one entry, oldest first; RG104 where one cannot be read."""
    try:
        return _replay(records, entry_id, known)
    except (KeyError, TypeError, ValueError) as error:
        msg = f"the records of {entry_id} cannot be read ({error!r})"
        raise RunError("RG104", msg, fix="Run verify, restore a copy") from error


def _replay(records: Sequence[Record], entry_id: str, known: Sequence[str]) -> Entry:
    if not records:
        fix = did_you_mean(entry_id, known) or "List the register"
        raise CodedError("RG110", f"there is no improvement '{entry_id}'", fix=fix)
    first = records[0]
    entry = Entry(
        id=entry_id,
        improvement=_improvement(first.content),
        state="proposed",
        rule_version=0,
        verdict=None,
        evaluations=(),
        added_at=first.at,
        started_at="",
        evaluated_at="",
        closed_at="",
        history=tuple(records),
    )
    for record in records[1:]:
        entry = _step(entry, record)
    return entry


def _step(entry: Entry, record: Record) -> Entry:
    content = record.content
    match record.kind:
        case "start":
            rule = DecisionRule.from_dict(content["decision_rule"])
            return replace(
                entry,
                improvement=replace(entry.improvement, decision_rule=rule),
                state="started",
                rule_version=content["version"],
                verdict=None,
                started_at=record.at,
                plan=content.get("plan", {}),
            )
        case "evaluate":
            found = _evaluation(content)
            return replace(
                entry,
                state="evaluated",
                verdict=found.verdict,
                evaluations=(*entry.evaluations, found),
                evaluated_at=record.at,
            )
        case "close":
            return replace(entry, state="closed", closed_at=record.at)
        case _:
            return entry


def _may_start(entry: Entry, rule: DecisionRule, reason: str) -> None:
    _require_state(entry, ("proposed", "started", "evaluated"), "started", "Add a new one")
    if entry.state == "proposed":
        return
    if rule == entry.improvement.decision_rule:
        msg = f"{entry.id} was started on {entry.started_at} under this rule"
        raise CodedError("RG112", msg, fix="Evaluate it, or give a new rule with a reason")
    if not reason.strip():
        raise CodedError(
            "RG113",
            f"the decision rule of {entry.id} was frozen on {entry.started_at}",
            why="A rule that is changed after looking proves nothing",
            fix="Give a reason: it is kept beside the new version",
        )


def _require_state(entry: Entry, states: Sequence[State], done: str, fix: str) -> None:
    if entry.state not in states:
        raise CodedError("RG112", f"{entry.id} is {entry.state} and cannot be {done}", fix=fix)


def _records(connection: sa.Connection, entry_id: str | None = None) -> list[Record]:
    query = sa.select(HISTORY).order_by(HISTORY.c.seq)
    if entry_id is not None:
        query = query.where(HISTORY.c.entry_id == entry_id)
    return [Record(**row) for row in connection.execute(query).mappings()]


def _ids(connection: sa.Connection) -> list[str]:
    query = sa.select(HISTORY.c.entry_id).where(HISTORY.c.kind == "add")
    return list(connection.execute(query).scalars())


def _head(connection: sa.Connection) -> tuple[int, str]:
    query = sa.select(HISTORY.c.seq, HISTORY.c.hash).order_by(HISTORY.c.seq.desc()).limit(1)
    newest = connection.execute(query).one_or_none()
    return (newest.seq, newest.hash) if newest is not None else (0, GENESIS)


def _by_key(connection: sa.Connection, key: str | None) -> Record | None:
    if key is None:
        return None
    row = connection.execute(sa.select(HISTORY).where(HISTORY.c.key == key)).mappings().first()
    return None if row is None else Record(**row)


def _make(connection: sa.Connection, place: str) -> None:
    """Make the table and its guards in an empty file; refuse a file that is something else."""
    mark = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    if mark == APPLICATION_ID:
        return
    if connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one():
        msg = f"{place} is an SQLite file, but no improvement register"
        raise CodedError("RG102", msg, fix="Name another file")
    METADATA.create_all(connection)
    for name, when in GUARDS.items():
        action = "BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END"
        connection.exec_driver_sql(f"CREATE TRIGGER {name} {when} {action}")
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")


def _connect(path: Path, busy_seconds: float) -> sqlite3.Connection:
    # isolation_level=None: the driver starts no transactions of its own, we do
    connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
    try:
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _path(place: str | Path) -> Path:
    """Read a path or an SQLite URL."""
    if isinstance(place, Path) or "://" not in place:
        path = Path(place)
    else:
        url = sa.make_url(place)
        if url.get_backend_name() != "sqlite" or not url.database:
            msg = f"{url.render_as_string()} is no register that can be opened"
            raise CodedError("RG101", msg, fix="Give a path or sqlite:///path")
        path = Path(url.database)
    if not path.parent.is_dir():
        raise CodedError("RG101", f"there is no folder {path.parent}", fix="Make it first")
    return path


@contextmanager
def _coded(place: str) -> Iterator[None]:
    """Turn what SQLite says into coded errors."""
    try:
        yield
    except (sqlite3.Error, sa.exc.DBAPIError) as error:
        cause = getattr(error, "orig", error)
        raise _translated(str(cause), place) from error


def _translated(said: str, place: str) -> CodedError:
    if "locked" in said or "busy" in said:
        why = "Another process is writing to it"
        return RunError(BUSY, f"register {place} is busy", why=why, fix="Try again")
    if "not a database" in said:
        return CodedError("RG102", f"{place} is no improvement register", fix="Name another file")
    if "unable to open" in said or "readonly" in said:
        return CodedError("RG101", f"register {place}: {said}", fix="Check the path and its rights")
    return RunError("RG104", f"register {place}: {said}", fix="Run verify, restore a copy")


def _same(
    known: Record,
    kind: Kind,
    entry: str | Callable[[sa.Connection], str],
    content: Mapping[str, Any],
) -> str:
    """Return the entry of a record whose key is used again with the same content, else refuse."""
    stored = known.content
    given = json.loads(_canonical(content))
    names = {*given, *LATER_FIELDS}
    same = known.kind == kind and all(stored.get(name) == given.get(name) for name in names)
    if not same or (isinstance(entry, str) and known.entry_id != entry):
        raise CodedError(
            "RG114",
            f"key '{known.key}' was used for {known.kind} of {known.entry_id} on {known.at}",
            why="The same key must mean the same content",
            fix="Use a key that changes with the content",
        )
    return known.entry_id


def _nothing_more(_entry: Entry) -> Mapping[str, Any]:
    return {}


def _role(actor: str) -> str:
    if not actor.strip():
        raise CodedError("RG111", "no actor is named", fix="Name the role that acts")
    return actor


def _iso(at: dt.datetime) -> str:
    if at.tzinfo is None:
        raise CodedError("RG115", f"time {at.isoformat()} has no zone", fix="Give it in UTC")
    return at.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _is_date(text: str) -> bool:
    if not text:
        return True
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True
