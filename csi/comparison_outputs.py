"""What does a comparison leave behind? The files that scripts and people read.

`differences.parquet` has one row a feature or time, in the order of the page:
    kind        step, succession, start, end (shares of ended cases); time (hours)
    activity    the step, the first of a succession, the last of a case; null for a start and for
                the case time
    next        the second of a succession, the first of a case; else null
    unit        "share of cases" or "h"
    n_a, n_b    cases compared; k_a, k_b those that have the feature (null for times); open_a,
                open_b those still running (times)
    a, b        shares, or medians; difference b - a with low, high at `confidence`
    p           adjusted for all features (null for times and for features too rare to test)
    verdict     differs, differs little, no difference shown, inconclusive, too rare
`summary.json` and `compare.html` say the same to scripts and to people. All depend on the content
of the logs alone; `provenance.json` names the files that were read, and the SHA-256 of every file
that was written.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from csi.audit_outputs import log_row
from csi.comparison import MOST_OPEN, ended_words
from csi.comparison_flow import FLOW_METHOD, SHARE_METHOD, Verdict
from csi.manifest import sha256_of
from csi.outputs import whole_set, write_json, write_parquet, write_text
from csi.report.compare_page import compare_page
from csi.report.words import number, percent, plural
from csi.statistics.estimate import CONFIDENCE
from csi.statistics.medians import METHOD as TIME_METHOD
from process_mining import schema as s
from process_mining.quality import inspect

if TYPE_CHECKING:
    from pathlib import Path

    from csi.comparison import Compared
    from csi.comparison_flow import Feature
    from csi.comparison_sides import Side
    from csi.comparison_times import TimeDifference

FILES: Final = ("summary.json", "differences.parquet", "compare.html")
PROVENANCE: Final = "provenance.json"
SHARE_UNIT: Final = "share of cases"
OPEN_WORTH_SAYING: Final = 0.05
ALIKE: Final = (
    "Cases are taken as independent: tickets of one requester, one outage or one day are alike, "
    "and then p is too small and intervals too narrow."
)
NO_CAUSE: Final = (
    "A difference says that there is one, not what made it: the groups may differ in more than "
    "what defines them (season, staff, kinds of tickets)."
)
CUT_SHORT: Final = (
    "{} of the cases of B would be open yet if they took as long as those of A, and none is: if "
    "the log holds closed cases only, B lacks its long ones (over {}, nothing is decided)."
)
DIFFERENCES: Final = pa.schema(
    [
        ("kind", pa.string()),
        ("activity", pa.string()),
        ("next", pa.string()),
        ("unit", pa.string()),
        *((name, pa.int64()) for name in ("n_a", "n_b", "k_a", "k_b", "open_a", "open_b")),
        *((name, pa.float64()) for name in ("a", "b", "difference", "low", "high", "confidence")),
        ("p", pa.float64()),
        ("verdict", pa.string()),
    ]
)


def summary_of(found: Compared) -> dict[str, Any]:
    """Return what summary.json holds, and what the page shows."""
    flow, request = found.flow, found.request
    return {
        "logs": [log_row(log, inspect(log)) for log in found.logs],
        "split": found.split,
        "a": _side(found.a),
        "b": _side(found.b),
        "apart": asdict(found.apart),
        "practice": request.practice,
        "ended_by": ended_words(found),
        "expected_open": found.expected_open,
        "least": asdict(request.least),
        "sentence": f"{sentence(found)}{_times_sentence(found)}",
        "flow": {
            "verdict": flow.verdict.value,
            "obstacle": flow.obstacle,
            "n_a": flow.n_a,
            "n_b": flow.n_b,
            "p": flow.test.p,
            "p_low": flow.test.low,
            "p_high": flow.test.high,
            "statistic": flow.test.statistic,
            "permutations": flow.test.permutations,
            "seed": flow.test.seed,
            "tested": int(flow.test.testable.sum()),
            "features": len(flow.features),
            "differing": len(flow.of(Verdict.DIFFERS)),
            "variants": None if flow.variation is None else asdict(flow.variation),
            "method": FLOW_METHOD,
            "interval_method": SHARE_METHOD,
        },
        "features": [_feature(one) for one in flow.features],
        "times": [_time(one) for one in found.times],
        "time_method": TIME_METHOD,
        "remarks": remarks(found),
        "exit_code": 0,
    }


def _side(side: Side) -> dict[str, Any]:
    ended = int(side.complete.sum())
    words = side.words
    return {
        "label": side.label,
        "log_sha256": side.log.meta.sha256,
        "cases": side.log.n_cases,
        "events": side.log.n_events,
        "ended": ended,
        "open": side.log.n_cases - ended,
        "order_unknown": int((~side.log.cases[s.ORDER_KNOWN].to_numpy()).sum()),
        "vocabulary": None if words is None else words.vocabulary.name,
        "unobserved": [] if words is None else list(words.unobserved),
        "unmapped": {} if words is None else dict(words.unmapped),
    }


def _feature(one: Feature) -> dict[str, Any]:
    has = (one.k_a, one.n_a), (one.k_b, one.n_b)
    shares = [k / n if n else None for k, n in has]
    return {
        "kind": one.kind,
        "activity": one.source,
        "next": one.target,
        "unit": SHARE_UNIT,
        "n_a": one.n_a,
        "n_b": one.n_b,
        "k_a": one.k_a,
        "k_b": one.k_b,
        "open_a": None,
        "open_b": None,
        "a": shares[0],
        "b": shares[1],
        "difference": one.value,
        "low": one.low,
        "high": one.high,
        "confidence": CONFIDENCE,
        "p": one.adjusted_p,
        "verdict": one.verdict.value,
    }


def _time(one: TimeDifference) -> dict[str, Any]:
    found = one.found
    return {
        "kind": "time",
        "activity": one.activity,
        "next": None,
        "unit": "h",
        "n_a": one.n_a,
        "n_b": one.n_b,
        "k_a": None,
        "k_b": None,
        "open_a": one.open_a,
        "open_b": one.open_b,
        "a": None if found is None else found.a.value,
        "b": None if found is None else found.b.value,
        "difference": None if found is None else found.value,
        "low": None if found is None else found.low,
        "high": None if found is None else found.high,
        "confidence": None if found is None else found.confidence,
        "p": None,
        "verdict": one.verdict.value,
    }


def sentence(found: Compared) -> str:
    """Say the verdict on the control flow in one or two sentences."""
    flow = found.flow
    least = f"{100 * flow.least:g} percentage points"
    if flow.obstacle:
        return f"Inconclusive: {flow.obstacle}."
    sure = f"p = {flow.test.p:.4f}, {number(flow.test.permutations)} permutations"
    tested = f"{number(int(flow.test.testable.sum()))} steps and successions that could be tested"
    many = len(flow.of(Verdict.DIFFERS))
    if flow.verdict is Verdict.DIFFERS:
        which = f"{number(many)} of {tested} differ by {least} or more"
        return f"A and B go different ways ({sure}). {which}."
    if flow.verdict is Verdict.LITTLE:
        return f"A and B go different ways ({sure}), but none of {tested} differs by {least}."
    if flow.verdict is Verdict.NONE:
        return f"No difference shown ({sure}): each of {tested} differs by less than {least}."
    rest = f"the data show no difference, but do not rule out one of {least}"
    return f"Inconclusive ({sure}): {rest}."


def _times_sentence(found: Compared) -> str:
    judged = [one for one in found.times if one.found is not None]
    many = sum(one.verdict is Verdict.DIFFERS for one in judged)
    if not judged or (found.flow.obstacle and not many):
        return ""
    least = percent(found.request.least.change)
    return f" Of {plural(len(judged), 'median time')}, {number(many)} differ by {least} or more."


def remarks(found: Compared) -> list[str]:
    """Say what a reader must know before believing the verdict."""
    said = [
        ALIKE,
        NO_CAUSE,
    ]
    if found.ended_by == "assumed":
        said.append("Every case is taken as ended; say --practice or --ends where some are open.")
    return [*said, *_open_remarks(found), *_apart_remarks(found), *_word_remarks(found)]


def _open_remarks(found: Compared) -> list[str]:
    said = [
        f"{percent(side.open_share)} of the cases of {name} have not ended: their ways are left "
        f"out (over {percent(MOST_OPEN)}, nothing is decided), their times are at least so long."
        for name, side in zip("AB", found.sides, strict=True)
        if side.open_share > OPEN_WORTH_SAYING
    ]
    missing = found.expected_open
    if missing is not None and missing > OPEN_WORTH_SAYING and found.b.complete.all():
        said.append(CUT_SHORT.format(percent(missing), percent(MOST_OPEN)))
    return said


def _apart_remarks(found: Compared) -> list[str]:
    apart = found.apart
    counted = (
        (apart.across_the_split, "began before the date and went on after it; each belongs to A"),
        (apart.in_both, "stand in both logs, on both sides"),
        (apart.other_value, "have another value and are in neither group"),
        (apart.no_value, "have no value (or no event) and are in neither group"),
        (apart.other_practice, "are of other practices and are left out"),
    )
    return [f"{plural(n, 'case')} {what}." for n, what in counted if n]


def _word_remarks(found: Compared) -> list[str]:
    said = []
    a, b = (frozenset(side.words.unobserved if side.words else ()) for side in found.sides)
    for name, mine, other in (("A", a, b), ("B", b, a)):
        if mine - other:
            words = ", ".join(f"'{word}'" for word in sorted(mine - other))
            said.append(f"The source of {name} cannot record {words}: a difference there is its.")
    for name, side in zip("AB", found.sides, strict=True):
        foreign = sum(side.words.unmapped.values()) if side.words else 0
        if foreign and (name == "A" or len(found.logs) > 1):
            many = plural(foreign, "event")
            said.append(f"{many} of the log have words that the vocabulary lacks; they stay as is.")
        unsure = int((~side.log.cases[s.ORDER_KNOWN].to_numpy()).sum())
        if unsure:
            cases = plural(unsure, "case")
            said.append(
                f"{cases} of {name} have events at one time whose order is not declared: they "
                "stand in an order by their content, so successions there may not be real."
            )
    return said


def differences_of(found: Compared) -> pa.Table:
    """Return differences.parquet."""
    rows = [*map(_feature, found.flow.features), *map(_time, found.times)]
    return pa.Table.from_pylist(rows, schema=DIFFERENCES)


def write_comparison(found: Compared, summary: dict[str, Any], out: Path) -> None:
    """Write every file of a comparison: all of them, or, where one cannot be written, none."""
    with whole_set(out, (*FILES, PROVENANCE)) as aside:
        write_json(aside / "summary.json", summary)
        write_parquet(aside / "differences.parquet", differences_of(found))
        write_text(aside / "compare.html", compare_page(found, summary))
        written = {name: sha256_of(aside / name) for name in FILES}
        write_json(aside / PROVENANCE, {"read": _read_files(found), "written": written})


def _read_files(found: Compared) -> list[dict[str, Any]]:
    logs = [
        {"role": "log"} | asdict(file)
        for log in found.logs
        for file in sorted(log.meta.files, key=lambda file: (file.sha256, file.name))
    ]
    mapping = found.request.read.mapping
    if mapping is None:
        return logs
    facts = {"name": mapping.name, "sha256": sha256_of(mapping), "size": mapping.stat().st_size}
    return [*logs, {"role": "mapping"} | facts]
