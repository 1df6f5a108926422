"""Every planted deviation is found, and nothing else: precision and recall 1.0, rule by rule."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from csi.audit import AuditRequest, audit
from csi.simulate import Request, Simulation, simulate, write
from rules.catalogue import load_catalogue
from rules.spec import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from csi.audit import Audit

SEEDS = (1, 2, 3)
TICKETS = 600
CODES = {rule.code for rule in load_catalogue().rules}
EFFECTS = {1: "none", 2: "improved", 3: "worse"}


@dataclass(frozen=True)
class Judged:
    """A simulated desk that went through files, readers, gate, both engines and back."""

    truth: dict[str, set[str]]
    found: dict[str, set[str]]
    audit: Audit


@cache
def desk(seed: int) -> Simulation:
    return simulate(Request(seed=seed, tickets=TICKETS, effect=EFFECTS[seed]))  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=SEEDS)
def judged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    seed: int = request.param
    folder = tmp_path_factory.mktemp(f"desk{seed}")
    write(desk(seed), folder)
    return judge(folder)


def judge(folder: Path) -> Judged:
    logs = (folder / "events.ndjson", folder / "tickets.csv")
    found = audit(AuditRequest(logs=logs, targets=folder / "targets.toml"))
    return Judged(
        truth=by_rule(of_rules(pq.read_table(folder / "truth.parquet").to_pylist())),
        found=by_rule(found.result.findings.to_pylist()),
        audit=found,
    )


def of_rules(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Leave out what was done to clocks: that is no rule (see the tests of the audit of pauses)."""
    return [row for row in rows if not row["rule"].startswith("clock:")]


def by_rule(rows: list[dict[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        found[row["rule"]].add(row["case_id"])
    return dict(found)


def test_every_rule_of_the_catalogue_is_planted() -> None:
    rows = [row for seed in SEEDS for row in of_rules(desk(seed).truth.to_pylist())]
    assert {row["rule"] for row in rows} == CODES


def test_every_planted_deviation_is_found_and_nothing_else(judged: Judged) -> None:
    for rule in sorted(CODES | set(judged.truth)):
        planted, found = judged.truth.get(rule, set()), judged.found.get(rule, set())
        assert sorted(found - planted) == [], f"{rule}: reported, but not planted"
        assert sorted(planted - found) == [], f"{rule}: planted, but not reported"


def test_no_verdict_is_unknown_on_a_desk_that_records_everything(judged: Judged) -> None:
    unknown = {t.rule.code: t.unknown for t in judged.audit.result.tallies if t.unknown}
    assert unknown == {}, judged.audit.result.causes


def test_every_rule_has_been_put_to_use(judged: Judged) -> None:
    """A rule that is vacuous or pending for every case would find nothing whatever happened."""
    tallies = judged.audit.result.tallies
    assert [t.rule.code for t in tallies if not t.conforms or not t.violates] == []
    assert {t.rule.code for t in tallies} == CODES


def test_nothing_was_lost_on_the_way(judged: Judged) -> None:
    seed = next(seed for seed in SEEDS if judged.audit.log.n_events == desk(seed).events.num_rows)
    assert judged.audit.log.n_cases == desk(seed).tickets.num_rows > TICKETS
    assert judged.audit.log.meta.rejects.num_rows == 0
    judged_cases = [part.result.case_ids for part in judged.audit.practices]
    assert sum(len(ids) for ids in judged_cases) == desk(seed).tickets.num_rows
    assert len(judged.audit.practices) == 12


def test_a_clean_desk_has_no_finding(tmp_path: Path) -> None:
    clean = Request(tickets=300, deviation_share=0, late_share=0, late_response_share=0)
    write(simulate(clean), tmp_path)
    clean_desk = judge(tmp_path)
    assert clean_desk.found == clean_desk.truth == {}
    verdicts = {v for part in clean_desk.audit.practices for v in part.result.verdicts.ravel()}
    assert {Verdict(int(v)) for v in verdicts} == {
        Verdict.CONFORMS,
        Verdict.PENDING,
        Verdict.VACUOUS,
    }
