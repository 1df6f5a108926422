"""The figures of docs/service-level-reconciliation.md are those of a run."""

from __future__ import annotations

import pytest
from improvement import reconciled_logs as study

from csi.service_levels import difference_causes as causes
from process_mining import schema as s

needs_csat = pytest.mark.skipif(not study.CSAT.is_file(), reason="the csat table is missing")
needs_uci = pytest.mark.skipif(not study.UCI.is_file(), reason="the UCI log is missing")


@pytest.mark.parametrize("name", sorted(study.BLOCKS))
def test_the_document_is_fresh(name: str) -> None:
    path, _ = study.BLOCKS[name]
    if not path.is_file():
        pytest.skip(f"{path.name} is missing: the real logs are not part of this project")
    text = study.DOC.read_text(encoding="utf-8")
    assert study.rewritten(text, [name]) == text, "make docs"


@needs_csat
def test_csat_outcomes_by_plain_comparison_of_its_columns() -> None:
    """The same counts from the columns alone, with no clock: due time against stamp."""
    now = max(study.us(row[name]) for row in study.csat_rows() for name in study.STEPS if row[name])
    wanted = {
        "first response": ("First response time", "SLA For first response", "respond"),
        "resolution": ("Resolution time", "SLA For Resolution", "resolve"),
    }
    found = {one.name: one for one in study.csat().agreements}
    for name, (stamp, outcome, metric) in wanted.items():
        counts = {(a, b): 0 for a in (False, True) for b in (False, True)}
        for row in study.csat_rows():
            due, created = study.us(row[study.DUE[metric]]), study.us(row["Created time"])
            seen = bool(row[stamp]) and study.us(row[stamp]) >= created
            late = (study.us(row[stamp]) if seen else now) > due
            counts[late, row[outcome] == "SLA Violated"] += 1
        one = found[name]
        assert counts == {
            (False, False): one.both_met,
            (True, True): one.both_breached,
            (True, False): one.only_ours_breached,
            (False, True): one.only_tool_breached,
        }
    rows = study.csat().differences.to_pylist()
    assert not any("due" in row["fields"] for row in rows)
    created = {row["Ticket ID"]: row["Created time"][:10] for row in study.csat_rows()}
    early = [row for row in rows if row["detail"] == "stopped by its due time, and breached"]
    days = {created[row["case_id"]] for row in early}
    assert days == {"2023-02-18", "2023-02-19", "2023-02-20"}
    assert study.csat().unexplained == 0
    assert {one.cause for one in study.csat().causes} == {causes.CONTRADICTS}


@needs_csat
def test_limits_of_csat_hang_on_the_channel_alone() -> None:
    for column in study.DUE.values():
        limits = {(source, minutes) for source, _, minutes in study.limits_of(column)}
        assert len(limits) == 3
        assert all(minutes > 0 for _, minutes in limits)


@needs_uci
def test_made_sla_follows_the_time_to_closing() -> None:
    by_name = {one.name: one for one in study.fits()}
    to_resolve = [one.share for name, one in by_name.items() if "Resolve" in name]
    to_close = [one.share for name, one in by_name.items() if "Close" in name]
    assert max(to_resolve) < 0.87
    assert min(to_close) > 0.95
    assert by_name["opened to last Close, business-hours-new-york"].share > 0.998
    assert max(study.flips().items(), key=lambda item: item[1])[0] == "Closed"
    assert sum(study.flips().values()) - study.flips()["Closed"] <= 1
    first, second = study.tickets().halves()
    assert not set(first.number) & set(second.number)
    assert len(first.number) + len(second.number) == len(study.tickets().number)


@needs_uci
def test_the_fitted_limit_is_the_best_of_all_tried_one_by_one() -> None:
    half = study.tickets().halves()[0]
    mine = half.priority == "P4"
    spent, late = half.closed[mine] - half.opened[mine], half.breached[mine]
    right = {int(limit): int(((spent > limit) == late).sum()) for limit in spent}
    most = max(right.values())
    assert study.best_limit(spent, late) == min(x for x, n in right.items() if n == most)
    assert study.hours(s.US_PER_HOUR) == "1.00 h"
