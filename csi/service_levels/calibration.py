"""How good are the probabilities of `at_risk`? Measured on months that were held back.

At the start of each of the last months (UTC) the log is cut and judged anew, so that the clocks are
those that were known then (`known_at`). From these alone come the probabilities of the
clocks that ran at that moment; what became of the clocks is read from the whole log:

    met, breached     decided; a clock that still runs past its limit is breached
    left out          counted by reason: due (as known then) after the end of the log, for of such
                      clocks only the quick ones are decided, and they are met; still running
                      within the limit because of later pauses; lapsed; superseded; unknown; gone
    Brier score       mean of (probability - outcome)², 0 is perfect (Brier 1950, Monthly Weather
                      Review 78, 1-3)
    reference         the score of the plain share of breaches, as known then, among the clocks that
                      the probability was drawn from
    skill             1 - Brier / reference; above 0: what has elapsed tells more than that share
    in the large      share of breaches less mean probability: below 0, these are too high
    reliability       share of breaches by bins of the probability, with the Wilson interval

Intervals of the scores are bootstrap intervals of whole cases, for one case may be asked about at
several months and by several clocks; those of the bins treat clocks as independent, and are
somewhat short. With fewer than `ENOUGH` decided clocks there are too few to tell.

Not cut away: what a source fills in afterwards and does not date (the last priority, where the log
has no history of it). Limits are those of the targets file; `log.until` says what a cut leaves.
Error: SL260 for no month to look back to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from csi.audit import clocks_of, make_ready
from csi.service_levels.at_risk import KEYS, NEVER, codes, predictions
from csi.service_levels.paused_clocks import ints
from csi.statistics import Estimate, bootstrap, mean, proportion
from csi.statistics.estimate import CONFIDENCE, REPLICATES
from process_mining import schema as s
from process_mining.errors import CodedError
from rules.service_level import CLOCKS, PAUSES, pauses

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from csi.audit import AuditRequest, Share
    from process_mining.eventlog import EventLog, Ints
    from rules.catalogue import Catalogue

    Floats = npt.NDArray[np.float64]

MONTHS: Final = 6
ENOUGH: Final = 50
BINS: Final = 5
SEED: Final = 20_240_101
TOO_FEW_DECIDED: Final = "too few to tell"
BETTER: Final = "better than the plain share"
WORSE: Final = "worse than the plain share"
NOT_SHOWN: Final = "not shown to be better than the plain share"
MET: Final = "met"
BREACHED: Final = "breached"
UNTOLD: Final = "no probability"
AFTER_END: Final = "due after the end"
GONE: Final = "gone"

PREDICTED: Final = pa.schema(
    [
        ("at", s.UTC_US),
        ("case_id", pa.string()),
        ("agreement", pa.string()),
        ("party", pa.string()),
        ("metric", pa.string()),
        ("cycle", pa.int64()),
        ("target", pa.string()),
        ("probability", pa.float64()),
        ("reference", pa.float64()),
        ("became", pa.string()),
    ]
)
RELIABILITY: Final = pa.schema(
    [
        ("from", pa.float64()),
        ("to", pa.float64()),
        ("n", pa.int64()),
        ("predicted", pa.float64()),
        ("breached", pa.int64()),
        ("observed", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
    ]
)


@dataclass(frozen=True, eq=False)
class Known:
    """The CLOCKS and PAUSES of a desk as they were known at a moment (µs UTC)."""

    at_us: int
    clocks: pa.Table
    pauses: pa.Table | None = None


@dataclass(frozen=True, eq=False)
class Calibration:
    """How good the probabilities were at some earlier moments (µs UTC).

    `predicted` has one row a clock that ran at one of them (see PREDICTED); `became` met, breached,
    or why it is left out, which `left_out` counts. `reliability` see RELIABILITY: bins from `from`
    on and below `to`, the last one with its end. n of the estimates is of decided clocks.
    """

    moments: tuple[int, ...]
    predicted: pa.Table
    left_out: Mapping[str, int]
    cases: int
    verdict: str
    brier: Estimate
    reference: Estimate
    skill: Estimate
    in_the_large: Estimate
    reliability: pa.Table

    @property
    def n(self) -> int:
        """Number of decided clocks."""
        return self.brier.n

    def to_pandas(self) -> pd.DataFrame:
        """Return the reliability by bins."""
        frame: pd.DataFrame = self.reliability.to_pandas()
        return frame


def calibrate(
    known: Sequence[Known],
    final: pa.Table,
    as_of_us: int,
    *,
    case_types: Mapping[str, str] = MappingProxyType({}),
    seed: int = SEED,
) -> Calibration:
    """Measure the probabilities of earlier moments by what became of the clocks.

    `known` holds what was known at each, `final` the CLOCKS of the whole log, judged at `as_of_us`;
    `case_types` as in `at_risk`.
    """
    parts = [_predicted(one, final, as_of_us, case_types) for one in known]
    predicted = pa.concat_tables([PREDICTED.empty_table(), *parts]).combine_chunks()
    became = predicted["became"].to_numpy(zero_copy_only=False)
    decided = np.isin(became, (MET, BREACHED))
    words, counts = np.unique(became[~decided].astype(str), return_counts=True)
    mine = predicted.filter(pa.array(decided))
    outcome = (became[decided] == BREACHED).astype(np.float64)
    scores = _Scores.of(mine, outcome, seed=seed)
    return Calibration(
        moments=tuple(one.at_us for one in known),
        predicted=predicted,
        left_out=dict(zip(words.tolist(), counts.tolist(), strict=True)),
        cases=scores.cases,
        verdict=scores.verdict,
        brier=scores.brier,
        reference=scores.reference,
        skill=scores.skill,
        in_the_large=scores.in_the_large,
        reliability=_reliability(_floats(mine["probability"]), outcome),
    )


# --- what was known


def month_starts(clocks: pa.Table, months: int = MONTHS) -> tuple[int, ...]:
    """Return the last starts of a month (UTC) that have a month behind them, and clocks before.

    The first clock began at least a month earlier, for with less history few clocks have had the
    time to break their promise. The last one began later: after it a log tells of ever fewer open
    tickets, which are not like those of a desk at work.
    """
    if months < 1:
        msg = f"{months} months to measure the probabilities on"
        raise CodedError("SL260", msg, fix="Give 1 or more")
    begun = ints(clocks["start"].drop_null())
    if not len(begun):
        return ()
    first, last = (x.astype("datetime64[us]") for x in (begun.min(), begun.max() - 1))
    starts = last.astype("datetime64[M]") - np.arange(months)[::-1]
    kept = starts[(starts - 1).astype("datetime64[us]") >= first]
    return tuple(kept.astype("datetime64[us]").astype(np.int64).tolist())


def known_at(
    log: EventLog,
    request: AuditRequest,
    shares: Sequence[Share],
    catalogue: Catalogue,
    moments: Iterable[int],
) -> list[Known]:
    """Return what was known at each moment of the clocks of some practices' shares of a log.

    `shares` are those of the whole log: their words stay as they are. A moment before the first
    case of the log is left out.
    """
    vocabularies = {one.practice.name: one.translation.vocabulary for one in shares}
    if len(shares) == 1:  # a part of the log need not tell its practice by itself
        request = replace(request, practice=shares[0].practice.name)
    found = []
    for moment in moments:
        cut = log.until(moment)
        if not cut.n_cases:
            continue
        ready = make_ready(
            cut,
            request,
            catalogue.practices,
            as_of_us=moment,
            vocabularies=vocabularies,
            with_model=False,
        )
        mine = [one for one in ready.shares if one.practice.name in vocabularies]
        tables = [clocks_of(one, catalogue, ready.doubts, request.allow)[0] for one in mine]
        held = [pauses(one.prepared.desk, practice=one.practice.case_type) for one in mine]
        found.append(
            Known(
                moment,
                pa.concat_tables([CLOCKS.empty_table(), *tables]).combine_chunks(),
                pa.concat_tables([PAUSES.empty_table(), *held]).combine_chunks(),
            )
        )
    return found


# --- what became of it


def _predicted(
    known: Known, final: pa.Table, as_of_us: int, case_types: Mapping[str, str]
) -> pa.Table:
    """The clocks that ran at a moment, what was said of them then, and what became of them."""
    found = predictions(known.clocks, known.at_us, pauses=known.pauses, case_types=case_types)
    running = known.clocks.take(pa.array(found.row))
    became = _fate(known.clocks, final)[found.row]
    became[ints(running["due"]) > as_of_us] = AFTER_END
    became[found.level == NEVER] = UNTOLD
    said = {name: running[name] for name in KEYS} | {
        "at": pa.array(np.full(len(found.row), known.at_us)).cast(s.UTC_US),
        "probability": pa.array(found.probability, mask=found.level == NEVER),
        "reference": pa.array(found.base, mask=found.level == NEVER),
        "became": pa.array(became.tolist(), pa.string()),
    }
    return pa.table(said, schema=PREDICTED)


def _fate(known: pa.Table, final: pa.Table) -> npt.NDArray[np.object_]:
    """The final status of each clock that was known.

    A target may be in force twice in a cycle: its first clock then is its first clock now.
    """
    code = codes(pa.concat_tables([known.select(KEYS), final.select(KEYS)]), KEYS)
    then, now = code[: known.num_rows], code[known.num_rows :]
    width = max(known.num_rows, final.num_rows) + 1
    then, now = then * width + _rank(then), now * width + _rank(now)
    status = np.array([*final["status"].to_pylist(), GONE], dtype=object)
    order = np.argsort(now)
    place = np.searchsorted(now, then, sorter=order)
    place = np.append(order, final.num_rows)[place]
    hit = np.append(now, NEVER)[place] == then
    fate: npt.NDArray[np.object_] = status[np.where(hit, place, final.num_rows)]
    return fate


def _rank(code: Ints) -> Ints:
    """How many rows before it have the same code."""
    order = np.argsort(code, kind="stable")
    ordered = code[order]
    first = np.searchsorted(ordered, ordered)
    rank = np.empty(len(code), np.int64)
    rank[order] = np.arange(len(code)) - first
    return rank


# --- how good it was


@dataclass(frozen=True, eq=False)
class _Scores:
    cases: int
    verdict: str
    brier: Estimate
    reference: Estimate
    skill: Estimate
    in_the_large: Estimate

    @classmethod
    def of(cls, decided: pa.Table, outcome: Floats, *, seed: int) -> _Scores:
        """Score decided predictions; no values where they are too few."""
        n = len(outcome)
        said, plain = (_floats(decided[name]) for name in ("probability", "reference"))
        case = codes(decided, ("case_id",))
        if n < ENOUGH:
            none = Estimate(None, None, None, n, TOO_FEW_DECIDED, "mean squared error")
            skill, large = replace(none, unit="share of the reference"), replace(none, unit="share")
            return cls(len(np.unique(case)), TOO_FEW_DECIDED, none, none, skill, large)
        wrong, base = (said - outcome) ** 2, (plain - outcome) ** 2
        skill = _skill(wrong, base, decided["case_id"], seed=seed)

        def of(values: Floats, unit: str) -> Estimate:
            return mean(values, unit=unit, seed=seed, clusters=case)

        return cls(
            cases=len(np.unique(case)),
            verdict=_verdict(skill),
            brier=of(wrong, "mean squared error"),
            reference=of(base, "mean squared error"),
            skill=skill,
            in_the_large=of(outcome - said, "share"),
        )


def _skill(wrong: Floats, base: Floats, case_id: pa.ChunkedArray, *, seed: int) -> Estimate:
    """1 less the ratio of two sums, over cases drawn with replacement."""
    case = bootstrap.cluster_codes(np.array(case_id.to_pylist()))
    # rows stand by moment and case whatever the order of the log, so sums are the same
    ours, theirs = np.bincount(case, wrong), np.bincount(case, base)
    method, unit = "1 - Brier / reference, percentile bootstrap of cases", "share of the reference"
    if theirs.sum() == 0:
        return Estimate(None, None, None, len(wrong), method, unit)
    value = 1.0 - float(ours.sum() / theirs.sum())
    if len(ours) == 1:
        return Estimate(value, None, None, len(wrong), method, unit)

    def ratio(weights: Floats) -> Floats:
        over, under = (weights * ours).sum(axis=1), (weights * theirs).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Floats = 1.0 - over / under
        return found

    drawn = bootstrap.replicate(
        ratio,
        n=len(ours),
        clusters=None,
        replicates=REPLICATES,
        rng=np.random.default_rng(seed),
    )
    limits = bootstrap.percentile_interval(drawn, confidence=CONFIDENCE, units=len(ours))
    low, high = (x if np.isfinite(x) else None for x in limits)
    return Estimate(value, low, high, len(wrong), method, unit)


def _verdict(skill: Estimate) -> str:
    """Whether what has elapsed tells more than the plain share."""
    if skill.low is not None and skill.low > 0:
        return BETTER
    return WORSE if skill.high is not None and skill.high < 0 else NOT_SHOWN


def _reliability(said: Floats, outcome: Floats) -> pa.Table:
    """Count breaches by bins of equal width; no row where a bin is empty, none where too few."""
    if len(said) < ENOUGH:
        return RELIABILITY.empty_table()
    place = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    rows = []
    for one in np.unique(place).tolist():
        mine = place == one
        k, n = int(outcome[mine].sum()), int(mine.sum())
        share = proportion(k, n)
        rows.append(
            {
                "from": one / BINS,
                "to": (one + 1) / BINS,
                "n": n,
                "predicted": float(said[mine].mean()),
                "breached": k,
                "observed": share.value,
                "low": share.low,
                "high": share.high,
            }
        )
    return pa.Table.from_pylist(rows, schema=RELIABILITY)


def _floats(column: pa.ChunkedArray) -> Floats:
    found: Floats = column.cast(pa.float64()).combine_chunks().to_numpy(zero_copy_only=False)
    return found
