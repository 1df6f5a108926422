"""What does a comparison with a model leave behind? The files that scripts and people read.

`alignments.parquet` has one row a variant, the most frequent first: the columns of
`process_mining.alignment.tables` (variant, n, cost, fitness, status, lower, upper, moves), and
    judged, open  its cases that were compared, and those that were as the beginning of a run
    prefix_cost   of the cheapest alignment of the variant as the beginning of a run (lower bound)
    deviations    list of {kind, activity, instead}, in the order of the alignment
`cases.parquet` has one row a case: case_id, variant (row of alignments.parquet, from 0), complete,
judged, apart (why it was not compared), cost, lower, upper, fitness, and for open cases prefix_cost
and still_open (the activities of a cheapest way to the end). Figures of cases set apart are null.
`deviations.csv` is the table of the page, whole. `summary.json` and `conform.html` say the same to
scripts and to people. All depend on the content of the log and the model alone; `provenance.json`
beside them names the files that were read and the SHA-256 of every file that was written.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from csi.audit_outputs import defect_row, log_row
from csi.conformance import ENDED_BY, activity_rows, deviation_rows
from csi.manifest import sha256_of
from csi.outputs import whole_set, write_csv, write_json, write_parquet, write_text
from csi.report.causes_section import causes_json
from csi.report.conform_page import conform_page
from csi.report.words import moment
from csi.statistics.estimate import proportion
from process_mining import schema as s
from process_mining.alignment import PrefixAlignment
from process_mining.alignment.deviations import NOTHING, DeviationKind
from process_mining.alignment.precision import model_quality

if TYPE_CHECKING:
    from pathlib import Path

    from csi.conformance import Conformance
    from process_mining.eventlog import Ints

FILES: Final = (
    "summary.json",
    "alignments.parquet",
    "cases.parquet",
    "deviations.csv",
    "conform.html",
)
PROVENANCE: Final = "provenance.json"
FITNESS: Final = "1 - sum of costs / sum of highest costs, over the judged cases"
PRECISION: Final = "escaping edges of one optimal alignment a case (align-based, weighted)"
GENERALISATION: Final = "probability that a next visit of a state shows nothing new, mean of visits"
FIT: Final = "cases with an alignment of cost 0 over judged cases of which that is settled"


def summary_of(found: Conformance) -> dict[str, Any]:
    """Return what summary.json holds, and what the page shows."""
    judged = found.weights(found.standing.judged)
    quality = model_quality(found.alignments, judged)
    fitness = _fitness(found, judged)
    return {
        "log": log_row(found.log, found.quality),
        "as_of": moment(found.as_of_us) if found.log.timed else None,
        "model": _model(found),
        "words": _words(found),
        "ended_by": ENDED_BY[found.ended_by],
        "ends": _ends(found),
        "cases": _cases(found),
        "variants": len(found.alignments),
        "fitting_cases": _fit(found, judged)["fitting"],
        "fit": _fit(found, judged),
        "cost": _cost(found, judged),
        "costs": _costs_by_activity(found),
        "fitness": fitness,
        "precision": {"value": quality.precision, "n": quality.cases, "method": PRECISION},
        "generalisation": {
            "value": quality.generalisation,
            "n": quality.cases,
            "method": GENERALISATION,
        },
        "bounded": _bounded(found, judged),
        "deviations": deviation_rows(
            found.alignments, found.deviations, found.standing, found.cases_log.cases[s.CASE_ID]
        ),
        "activities": activity_rows(found.alignments, found.deviations, judged),
        "goes_with": [causes_json(one) for one in found.causes],
        "open": _open(found),
        "quality": [_defect(defect, found) for defect in found.quality.defects],
        "allowed": sorted(found.request.allow),
        "fail_under": found.request.fail_under,
        "exit_code": _exit_code(found, fitness["low"]),
    }


def _exit_code(found: Conformance, fitness: float | None) -> int:
    """1 where the fitness is, or because of bounds may be, under the gate."""
    limit = found.request.fail_under
    return int(limit is not None and fitness is not None and fitness < limit)


def _ends(found: Conformance) -> list[str]:
    """The activities that end a case, as declared or by the practice; none where it is assumed."""
    if found.request.ends or found.translation is None:
        return sorted(set(found.request.ends))
    return sorted(found.translation.practice.ends)


def _model(found: Conformance) -> dict[str, Any]:
    model = found.model
    return {
        "name": model.name,
        "version": model.version,
        "file": found.model_file.name,
        "sha256": sha256_of(found.model_file),
        "activities": list(model.activities),
        "states": model.automaton.n_states if model.explorable else None,
        "soundness": model.soundness,
    }


def _words(found: Conformance) -> dict[str, Any]:
    """Say in whose words the log was compared, and which words had no counterpart."""
    known, said = set(found.model.activities), found.alignments.variants
    n = np.bincount(
        said.codes,
        np.repeat(said.counts, np.diff(said.offsets)),
        minlength=len(said.activities),
    )
    foreign = {a: int(n[i]) for i, a in enumerate(said.activities) if a not in known and n[i]}
    one = found.translation
    if one is None:
        return {
            "practice": None,
            "vocabulary": None,
            "unmapped": {},
            "unobserved": [],
            "not_in_model": foreign,
        }
    return {
        "practice": one.practice.name,
        "vocabulary": one.vocabulary.name,
        "unmapped": dict(one.unmapped),
        "unobserved": list(one.unobserved),
        "not_in_model": {a: k for a, k in foreign.items() if a not in one.unmapped},
    }


def _cases(found: Conformance) -> dict[str, int]:
    standing, n = found.standing, found.cases_log.n_cases
    return {
        "compared_with": n,
        "of_other_practices": found.log.n_cases - n,
        "judged": int(standing.judged.sum()),
        "open": int(standing.open.sum()),
        **standing.counts(),
    }


def _fit(found: Conformance, judged: Ints) -> dict[str, Any]:
    """The share of cases that follow the model; those of which it is not settled are left out."""
    fits, misses = found.alignments.upper == 0, found.alignments.lower > 0
    fitting, missing = int(judged[fits].sum()), int(judged[misses].sum())
    unsettled = int(judged.sum()) - fitting - missing
    share = asdict(proportion(fitting, fitting + missing)) | {"method": f"{FIT}; Wilson interval"}
    return {"fitting": fitting, "unsettled": unsettled, **share}


def _cost(found: Conformance, judged: Ints) -> dict[str, Any]:
    lower, upper = (int((judged * cost).sum()) for cost in _costs(found))
    return {"lower": lower, "upper": upper, "unit": "cost of moves"}


def _costs_by_activity(found: Conformance) -> dict[str, Any]:
    costs = found.alignments.costs
    return {
        "log": dict(costs.log),
        "model": dict(costs.model),
        "default_log": costs.default_log,
        "default_model": costs.default_model,
    }


def _costs(found: Conformance) -> tuple[Ints, Ints]:
    return found.alignments.lower, found.alignments.upper


def _fitness(found: Conformance, judged: Ints) -> dict[str, Any]:
    """The fitness of the log; low and high differ only where alignments are bounded."""
    n, worst = int(judged.sum()), int((judged * found.alignments.most).sum())
    low = high = None
    if n:
        high, low = (1.0 - int((judged * cost).sum()) / max(worst, 1) for cost in _costs(found))
    value = low if low == high else None
    return {"value": value, "low": low, "high": high, "n": n, "method": FITNESS}


def _bounded(found: Conformance, judged: Ints) -> dict[str, int]:
    bounded = found.alignments.lower < found.alignments.upper
    return {"variants": int(bounded.sum()), "cases": int(judged[bounded].sum())}


def _open(found: Conformance) -> dict[str, Any]:
    """How far the open cases went along, and for how many each activity is still to come."""
    waiting, one = found.weights(found.standing.open), found.alignments
    to_come: Counter[str] = Counter()
    for variant, way in found.beginnings.items():
        if isinstance(way, PrefixAlignment):
            to_come.update(dict.fromkeys(way.completion, int(waiting[variant])))
    return {
        "cases": int(waiting.sum()),
        "already_off": int(waiting[one.prefix > 0].sum()),
        "unsettled": int(waiting[(one.prefix == 0) & (one.prefix_upper > 0)].sum()),
        "still_to_come": [
            {"activity": activity, "cases": n}
            for activity, n in sorted(to_come.items(), key=lambda pair: (-pair[1], pair[0]))
        ],
    }


def _defect(defect: Any, found: Conformance) -> dict[str, Any]:  # noqa: ANN401 - typed below
    return defect_row(defect) | {"allowed": defect.code in found.request.allow}


# --- tables


def alignments_table(found: Conformance) -> pa.Table:
    """One row a variant; see the head of this module."""
    further = {
        "judged": pa.array(found.weights(found.standing.judged)),
        "open": pa.array(found.weights(found.standing.open)),
        "prefix_cost": pa.array(found.alignments.prefix),
        "deviations": _deviation_lists(found),
    }
    table = found.alignments.to_arrow()
    for name, column in further.items():
        table = table.append_column(name, column)
    return table


def _deviation_lists(found: Conformance) -> pa.ListArray:
    one = found.deviations
    kinds = pa.array([kind.word for kind in sorted(DeviationKind)], pa.string())
    struct = pa.StructArray.from_arrays(
        [kinds.take(pa.array(one.kind)), _named(found, one.word), _named(found, one.instead)],
        ["kind", "activity", "instead"],
    )
    return pa.ListArray.from_arrays(pa.array(one.offsets.astype(np.int32)), struct)


def _named(found: Conformance, words: Ints) -> pa.Array:
    """The activities that these indices stand for; null for NOTHING."""
    names = pa.array(found.alignments.words, pa.string())
    return names.take(pa.array(words, mask=words == NOTHING))


def cases_table(found: Conformance) -> pa.Table:
    """One row a case; see the head of this module."""
    one, standing = found.alignments, found.standing
    of_case = one.variants.variant_of_case
    over, settled = standing.judged, (one.lower == one.upper)[of_case]
    return pa.table(
        {
            "case_id": found.cases_log.cases[s.CASE_ID].combine_chunks(),
            "variant": pa.array(of_case.astype(np.int64)),
            "complete": pa.array(standing.complete),
            "judged": pa.array(over),
            "apart": _apart(found),
            "cost": pa.array(one.upper[of_case], mask=~(over & settled)),
            "lower": pa.array(one.lower[of_case], mask=~over),
            "upper": pa.array(one.upper[of_case], mask=~over),
            "fitness": pa.array(one.fitness[of_case], mask=~over),
            "prefix_cost": pa.array(one.prefix[of_case], mask=~standing.open),
            "still_open": _still_open(found),
        }
    )


def _still_open(found: Conformance) -> pa.Array:
    """The activities of a cheapest way from an open case to the end; null where not known."""
    ways: list[list[str] | None] = [None] * (len(found.alignments) + 1)
    for variant, way in found.beginnings.items():
        ways[variant] = list(way.completion) if isinstance(way, PrefixAlignment) else None
    of_case = found.alignments.variants.variant_of_case
    mine = np.where(found.standing.open, of_case, len(ways) - 1)
    return pa.array(ways, pa.list_(pa.string())).take(pa.array(mine))


def _apart(found: Conformance) -> pa.Array:
    """Why a case is not compared; null where it is."""
    standing = found.standing
    reasons = (
        (standing.order_known, "order unknown"),
        (standing.words_known, "words unknown"),
        (standing.trace_known, "trace in doubt"),
    )
    column: list[str | None] = [None] * found.cases_log.n_cases
    for case in np.flatnonzero(~standing.known).tolist():
        column[case] = "; ".join(word for known, word in reasons if not known[case])
    return pa.array(column, pa.string())


def deviations_table(summary: dict[str, Any]) -> pa.Table:
    """The table of deviations as a spreadsheet gets it."""
    kinds = {
        "kind": pa.string(),
        "activity": pa.string(),
        "instead": pa.string(),
        "text": pa.string(),
        "n": pa.int64(),
        "cases": pa.int64(),
        "of": pa.int64(),
        "share": pa.float64(),
        "low": pa.float64(),
        "high": pa.float64(),
        "examples": pa.list_(pa.string()),
    }
    rows = summary["deviations"]
    return pa.table({name: pa.array([r[name] for r in rows], t) for name, t in kinds.items()})


# --- files


def write_conformance(found: Conformance, summary: dict[str, Any], out: Path) -> None:
    """Write every file: all of them, or, where one cannot be written, none."""
    with whole_set(out, (*FILES, PROVENANCE)) as aside:
        write_json(aside / "summary.json", summary)
        write_parquet(aside / "alignments.parquet", alignments_table(found))
        write_parquet(aside / "cases.parquet", cases_table(found))
        write_csv(aside / "deviations.csv", deviations_table(summary))
        write_text(aside / "conform.html", conform_page(found, summary))
        written = {name: sha256_of(aside / name) for name in FILES}
        write_json(aside / PROVENANCE, {"read": _read_files(found), "written": written})


def _read_files(found: Conformance) -> list[dict[str, Any]]:
    request = found.request
    files = sorted(found.log.meta.files, key=lambda file: (file.sha256, file.name))
    named = [
        ("mapping", request.read.mapping),
        ("model", found.model_file),
        ("costs", request.costs),
    ]
    return [{"role": "log"} | asdict(file) for file in files] + [
        {"role": role, "name": path.name, "sha256": sha256_of(path), "size": path.stat().st_size}
        for role, path in named
        if path is not None
    ]
