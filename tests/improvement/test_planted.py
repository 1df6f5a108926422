"""Every planted deviation is found, and nothing else: precision and recall 1.0, rule by rule."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest

from csi.simulate import Request, simulate, write
from process_mining import schema as s
from process_mining.sources import ReadOptions, open_log
from rules.catalogue import load_catalogue
from rules.check import check
from rules.practice import prepare_desk, translate
from rules.service_level import load_service_levels
from rules.spec import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from process_mining.eventlog import EventLog
    from rules.check import CheckResult

SEEDS = (1, 2, 3)
TICKETS = 600
CASE_TYPES = ("incident", "problem")
EFFECTS = {1: "none", 2: "improved", 3: "worse"}


@dataclass(frozen=True)
class Judged:
    """A simulated desk that went through files, readers, both engines and back."""

    truth: dict[str, set[str]]
    found: dict[str, set[str]]
    results: tuple[CheckResult, ...]
    log: EventLog


@pytest.fixture(scope="module", params=SEEDS)
def judged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    seed: int = request.param
    folder = tmp_path_factory.mktemp(f"desk{seed}")
    desk = simulate(Request(seed=seed, tickets=TICKETS, effect=EFFECTS[seed]))  # type: ignore[arg-type]
    write(desk, folder)
    return judge(folder)


def judge(folder: Path) -> Judged:
    catalogue = load_catalogue()
    log = open_log([folder / "events.ndjson", folder / "tickets.csv"], ReadOptions())
    levels = load_service_levels(folder / "targets.toml")
    now = int(log.arrays.at.max())
    practice_of = np.array(log.cases[s.PRACTICE].to_pylist())
    results = []
    for case_type in CASE_TYPES:
        part = log.select(practice_of == case_type)
        translation = translate(part, catalogue.practices[case_type])
        desk = prepare_desk(translation, service_levels=levels, as_of_us=now).desk
        rules = catalogue.for_cases(case_type)
        results.append(check(desk, rules, log_sha256=log.meta.sha256))
    return Judged(
        truth=by_rule(pq.read_table(folder / "truth.parquet").to_pylist()),
        found=by_rule([row for result in results for row in result.findings.to_pylist()]),
        results=tuple(results),
        log=log,
    )


def by_rule(rows: list[dict[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        found[row["rule"]].add(row["case_id"])
    return dict(found)


def test_every_planted_deviation_is_found_and_nothing_else(judged: Judged) -> None:
    for rule in sorted(set(judged.truth) | set(judged.found)):
        planted, found = judged.truth.get(rule, set()), judged.found.get(rule, set())
        assert sorted(found - planted) == [], f"{rule}: reported, but not planted"
        assert sorted(planted - found) == [], f"{rule}: planted, but not reported"


def test_no_verdict_is_unknown_on_a_desk_that_records_everything(judged: Judged) -> None:
    unknown = {t.rule.code: t.unknown for result in judged.results for t in result.tallies}
    assert {code for code, n in unknown.items() if n} == set()


def test_every_rule_has_been_put_to_use(judged: Judged) -> None:
    """A rule that is vacuous or pending for every case would find nothing whatever happened."""
    idle = {t.rule.code for result in judged.results for t in result.tallies if not t.n}
    assert idle == set()


def test_nothing_was_lost_on_the_way(judged: Judged) -> None:
    assert judged.log.n_cases == TICKETS
    assert judged.log.meta.rejects.num_rows == 0
    assert sum(result.verdicts.shape[1] for result in judged.results) == TICKETS


def test_a_clean_desk_has_no_finding(tmp_path: Path) -> None:
    clean = Request(tickets=200, deviation_share=0, late_share=0, late_response_share=0)
    write(simulate(clean), tmp_path)
    clean_desk = judge(tmp_path)
    assert clean_desk.found == clean_desk.truth == {}
    verdicts = np.concatenate([result.verdicts.ravel() for result in clean_desk.results])
    assert {Verdict(int(v)) for v in np.unique(verdicts)} == {
        Verdict.CONFORMS,
        Verdict.PENDING,
        Verdict.VACUOUS,
    }
