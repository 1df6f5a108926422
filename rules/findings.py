"""On what evidence does each finding rest?

A finding is one violating (rule version, case). Its `seqs` are the distinct events that the
template names, ascending, and empty where the offence is that something never happened; `at`,
`actor` and `team` are those of the decisive event (the template's last named one), else of the
case's last event. `measured` and `limit` are in `unit` ("us" = microseconds). `expected` says what
the rule demands, `seen` what was measured and the events concerned, in words; `evidence` has those
events as data. Names in them are as pseudonymous as in the log.

The fingerprint is the first 16 hex digits of the SHA-256 of [rule, rule version, case, verdict,
[[seq, activity, at in us] ...]] as JSON: it is stable over reruns and the order of rows, and
changes with the rule's version.

Cost: whole columns; Python runs once a finding for its fingerprint, and once a distinct number or
activity for its words.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining import schema as s
from rules.durations import duration_words
from rules.spec import NO_EVENT, Verdict
from rules.templates import NOT_MEASURED, templates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_mining.eventlog import Ints
    from rules.measuring import Measured
    from rules.spec import Rule
    from rules.templates import Desk

EVIDENCE: Final = pa.struct(
    [
        ("seq", pa.int64()),
        ("activity", pa.string()),
        ("at", s.UTC_US),
        ("actor", pa.string()),
        ("team", pa.string()),
    ]
)
FINDINGS_SCHEMA: Final = pa.schema(
    [
        ("rule", pa.string()),
        ("rule_version", pa.int64()),
        ("case_id", pa.string()),
        ("verdict", pa.string()),
        ("severity", pa.string()),
        ("seqs", pa.list_(pa.int64())),
        ("at", s.UTC_US),
        ("actor", pa.string()),
        ("team", pa.string()),
        ("measured", pa.int64()),
        ("limit", pa.int64()),
        ("unit", pa.string()),
        ("message", pa.string()),
        ("fingerprint", pa.string()),
        ("waived_by", pa.string()),
        ("expected", pa.string()),
        ("seen", pa.string()),
        ("evidence", pa.list_(EVIDENCE)),
    ]
)
FINGERPRINT_DIGITS: Final = 16
MICROSECONDS: Final = "us"
UNTIL_THE_END: Final = "the case ended unanswered after "
PLURAL: Final = re.compile(r"\b(time|step|metric|level|change|value|ticket|link)s\b")
NEVER_HAPPENED: Final = "no such event"


@dataclass(frozen=True, eq=False)
class _Evidence:
    """The events behind each finding: finding i names positions[offsets[i]:offsets[i + 1]]."""

    positions: Ints
    offsets: Ints
    decisive: Ints


def findings(desk: Desk, one: Measured, cases: Ints) -> pa.Table:
    """Build the findings of one version of a rule for the violating cases, in case order."""
    rule, n, found = one.rule, len(cases), one.of(cases)
    evidence = _evidence(desk, found.events, cases)
    case_ids = desk.log.cases[s.CASE_ID].take(pa.array(cases)).combine_chunks()
    measured, limit = (
        pa.nulls(n, pa.int64()) if values is None else pa.array(values, mask=values == NOT_MEASURED)
        for values in (found.measured, found.limit)
    )
    decisive = pa.array(evidence.decisive, mask=evidence.decisive == NO_EVENT)
    events, offsets = desk.log.events, pa.array(evidence.offsets, pa.int32())
    named = _named(events, evidence)
    columns = {
        "rule": _repeat(rule.code, n),
        "rule_version": pa.array(np.full(n, rule.version, dtype=np.int64)),
        "case_id": case_ids,
        "verdict": _repeat(Verdict.VIOLATES.word, n),
        "severity": _repeat(rule.severity.word, n),
        "seqs": pa.ListArray.from_arrays(offsets, named.field("seq")),
        "at": events[s.AT].take(decisive).cast(s.UTC_US),
        "actor": events[s.ACTOR].take(decisive),
        "team": events[s.TEAM].take(decisive),
        "measured": measured,
        "limit": limit,
        "unit": _repeat(found.unit, n),
        "message": _with_told(
            _messages(rule.title, measured, limit, found.unit),
            None if found.told is None else found.told(cases),
        ),
        "fingerprint": _fingerprints(rule, case_ids.to_pylist(), events, evidence),
        "waived_by": pa.nulls(n, pa.string()),
        "expected": _repeat(templates()[rule.template].describe(rule.params), n),
        "seen": _seen(measured, found.unit, named, offsets),
        "evidence": pa.ListArray.from_arrays(offsets, named),
    }
    return pa.table(columns, schema=FINDINGS_SCHEMA)


def _repeat(text: str, n: int) -> pa.Array:
    return pa.repeat(pa.scalar(text, pa.string()), n)


def _evidence(desk: Desk, events: Sequence[Ints], cases: Ints) -> _Evidence:
    """Collect each case's distinct named events in log order, and the decisive one.

    `events` and `cases` have one entry a finding.
    """
    bounds = desk.log.arrays.offsets
    decisive = np.where(bounds[cases + 1] > bounds[cases], bounds[cases + 1] - 1, NO_EVENT)
    if not events:
        return _Evidence(np.empty(0, np.int64), np.zeros(len(cases) + 1, np.int64), decisive)
    named = np.stack(events, axis=1)
    for column in named.T:  # the last event that a template names for a case is the decisive one
        decisive = np.where(column == NO_EVENT, decisive, column)
    named = np.sort(named, axis=1)
    keep = named != NO_EVENT
    keep[:, 1:] &= named[:, 1:] != named[:, :-1]
    return _Evidence(named[keep], np.append(0, np.cumsum(keep.sum(axis=1))), decisive)


def _named(events: pa.Table, evidence: _Evidence) -> pa.StructArray:
    """Return the events behind all findings, one after another."""
    names = [field.name for field in EVIDENCE]
    taken = events.select(names).take(pa.array(evidence.positions)).combine_chunks()
    columns = [
        pa.concat_arrays(taken[field.name].cast(field.type).chunks or [pa.array([], field.type)])
        for field in EVIDENCE
    ]
    return pa.StructArray.from_arrays(columns, names)


def _fingerprints(
    rule: Rule, case_ids: Sequence[str], events: pa.Table, evidence: _Evidence
) -> pa.Array:
    """Hash what makes a finding itself: the rule's version, the case, the events concerned."""
    taken = events.select([s.SEQ, s.ACTIVITY, s.AT]).take(pa.array(evidence.positions))
    columns = [_as_json(column) for column in taken.columns]
    listed = pc.binary_join_element_wise("[", pc.binary_join_element_wise(*columns, ", "), "]", "")
    by_finding = pa.ListArray.from_arrays(pa.array(evidence.offsets, pa.int32()), listed)
    named = pc.binary_join(by_finding, ", ").to_pylist()
    head, verdict = json.dumps([rule.code, rule.version])[:-1], json.dumps(Verdict.VIOLATES.word)
    texts = (
        f"{head}, {json.dumps(case_id)}, {verdict}, [{what}]]"
        for case_id, what in zip(case_ids, named, strict=True)
    )
    digests = [hashlib.sha256(t.encode()).hexdigest()[:FINGERPRINT_DIGITS] for t in texts]
    return pa.array(digests, pa.string())


def _as_json(column: pa.ChunkedArray) -> pa.Array:
    """Write whole numbers or texts as JSON has them, each distinct text once."""
    whole = column.combine_chunks()
    if pa.types.is_integer(whole.type):
        return whole.cast(pa.string()).fill_null("null")
    coded = whole.cast(pa.string()).dictionary_encode()
    written = pa.array([json.dumps(text) for text in coded.dictionary.to_pylist()], pa.string())
    return written.take(coded.indices).fill_null("null")


# --- words


def _seen(measured: pa.Array, unit: str, named: pa.StructArray, offsets: pa.Array) -> pa.Array:
    """Say what was measured, and which events show it: "52 h: Resolve (seq 3, 2024-01-08 ...)"."""
    to_seconds = named.field("at").cast(pa.timestamp("s", tz="UTC"), safe=False)
    moments = pc.strftime(to_seconds, format="%Y-%m-%d %H:%M:%S UTC")
    seq = named.field("seq").cast(pa.string())
    words = pc.binary_join_element_wise(
        pc.coalesce(named.field("activity"), "(update)"), " (seq ", seq, ", ", moments, ")", "",
        null_handling="replace", null_replacement="without time",
    )  # fmt: skip
    listed = pc.binary_join(pa.ListArray.from_arrays(offsets, words), "; ")
    listed = pc.if_else(pc.equal(listed, ""), NEVER_HAPPENED, listed)
    value = _in_words(measured, unit)
    if unit not in ("", MICROSECONDS):
        one = pc.fill_null(pc.equal(measured, 1), fill_value=False)
        value = pc.binary_join_element_wise(value, pc.if_else(one, _singular(unit), unit), " ")
    return pc.coalesce(pc.binary_join_element_wise(value, listed, ": "), listed)


def _singular(unit: str) -> str:
    """Return a unit as one of it is called: "steps off the model" is "step off the model"."""
    return PLURAL.sub(r"\1", unit, count=1)


def _messages(title: str, measured: pa.Array, limit: pa.Array, unit: str) -> pa.Array:
    """Say in one line what was found: the title, then what was measured and what is allowed.

    A time can be within its limit and yet violate: the case ended, so that no answer can come.
    """
    name = "" if unit in ("", MICROSECONDS) else f"{unit}: "
    start, value = pa.scalar(f"{title} ({name}"), _in_words(measured, unit)
    if unit == MICROSECONDS:
        within = pc.fill_null(pc.less_equal(measured, limit), fill_value=False)
        value = pc.if_else(within, pc.binary_join_element_wise(UNTIL_THE_END, value, ""), value)
    with_value = pc.binary_join_element_wise(start, value, ")", "")
    with_limit = pc.binary_join_element_wise(
        start, value, "; limit ", _in_words(limit, unit), ")", ""
    )
    return pc.coalesce(with_limit, with_value, pa.scalar(title))


def _with_told(messages: pa.Array, told: pa.Array | None) -> pa.Array:
    """Add what a template tells of each case besides."""
    if told is None:
        return messages
    longer = pc.binary_join_element_wise(messages, told, ": ")
    return pc.coalesce(longer, messages)


def _in_words(values: pa.Array, unit: str) -> pa.Array:
    """Write numbers, times as times; each distinct number is written once."""
    coded = values.dictionary_encode()
    write = duration_words if unit == MICROSECONDS else str
    words = [write(value) for value in coded.dictionary.to_pylist()]
    return pa.array(words, pa.string()).take(coded.indices)
