"""One defect each: the gate finds it, and takes the verdicts that rest on it, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from improvement.command_line import in_process

if TYPE_CHECKING:
    from pathlib import Path

MAPPING = """
name = "desk"
[csv]
missing = [{missing}]
[time]
timezone = "{zone}"
format = "{format}"
{policy}
[event]
case_id = "ticket"
activity = "step"
at = "when"
order_by = "n"
actor = "who"
team = "team"
[case]
practice = {{ constant = "incident" }}
priority = "prio"
"""
STEPS = ("Register", "Classify", "Assign", "Diagnose", "Resolve", "Close")
Row = tuple[str, str, str, int]


def rows(cases: int = 40, *, clock: bool = True) -> list[Row]:
    """One incident a day, one step an hour, at a minute and second of its own."""
    return [
        (
            f"T{case:03d}",
            step,
            f"2024-{1 + case // 28:02d}-{1 + case % 28:02d} "
            + (f"{8 + n:02d}:{case % 60:02d}:{(7 * n + case) % 60:02d}" if clock else "00:00:00"),
            n,
        )
        for case in range(cases)
        for n, step in enumerate(STEPS)
    ]


def audited(folder: Path, table: list[Row], *words: str, **plan: str) -> dict[str, Any]:
    plan = {
        "zone": "Europe/Berlin",
        "format": "%Y-%m-%d %H:%M:%S",
        "missing": "",
        "policy": "",
    } | plan
    (folder / "m.toml").write_text(MAPPING.format(**plan))
    lines = [f"{case},{step},{when},{n},a{n % 3},desk,P1" for case, step, when, n in table]
    (folder / "log.csv").write_text("\n".join(["ticket,step,when,n,who,team,prio", *lines, ""]))
    mapping = ("--mapping", folder / "m.toml")
    ran = in_process(
        "audit", folder / "log.csv", *mapping, "--out", folder / "out", "--json", *words
    )
    return {"code": ran.code, "error": ran.err} | (ran.json() if ran.code == 0 else {})


def taken(found: dict[str, Any], code: str) -> dict[str, int]:
    assert found["code"] == 0, found["error"]
    hits = [row for row in found["quality"] if row["code"] == code]
    return dict(hits[0]["downgrades"]) if hits else {}


def tally(found: dict[str, Any], rule: str) -> tuple[int, int, int, int]:
    (row,) = [row for row in found["rules"] if row["code"] == rule]
    return row["conforms"], row["violates"], row["vacuous"], row["unknown"]


def test_a_clean_desk_is_judged(tmp_path: Path) -> None:
    found = audited(tmp_path, rows())
    assert tally(found, "INC001") == (40, 0, 0, 0)
    assert [row["code"] for row in found["quality"]] == []


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"])
def test_a_clock_is_as_coarse_as_people_read_it(tmp_path: Path, zone: str) -> None:
    """Midnights of any zone are days: a limit of hours cannot be told from them."""
    found = audited(tmp_path, rows(clock=False), zone=zone)
    assert [q["subject"] for q in found["quality"] if q["code"] == "QG120"] == ["1440 min"]
    assert taken(found, "QG120")["SLM002"] == 40
    assert tally(found, "SLM002")[:2] == (0, 0)


def test_dates_without_a_clock_take_limits_of_hours_too(tmp_path: Path) -> None:
    few = [(case, step, when[:10], n) for case, step, when, n in rows(5)]
    found = audited(tmp_path, few, format="%Y-%m-%d")
    codes = [row["code"] for row in found["quality"]]
    assert "QG123" in codes
    assert "QG120" in codes
    assert taken(found, "QG120")["SLM002"] == 5


def test_a_clock_change_that_a_policy_decided_takes_what_lies_within_an_hour(
    tmp_path: Path,
) -> None:
    table = rows()
    for n, stamp in enumerate(
        ("00:30:00", "00:40:11", "00:50:12", "01:00:13", "02:30:00", "04:45:14")
    ):
        table[n] = ("T000", STEPS[n], f"2024-10-27 {stamp}", n)
    found = audited(tmp_path, table, policy='ambiguous = "earlier"')
    later = audited(tmp_path, table, policy='ambiguous = "later"')
    assert taken(found, "QG111").keys() >= {"SLM002"} or taken(later, "QG111").keys() >= {"SLM002"}


def test_a_refused_row_leaves_no_offence_behind(tmp_path: Path) -> None:
    table = rows()
    table[4] = ("T000", "Resolve", "2024-13-01 10:00:00", 4)
    assert audited(tmp_path, table)["code"] == 3
    found = audited(tmp_path, table, "--allow-rejects")
    assert tally(found, "INC001") == (39, 0, 0, 1)
    assert taken(found, "QG154")["INC001"] == 1
    accepted = audited(tmp_path, table, "--allow-rejects", "--allow", "QG154")
    assert tally(accepted, "INC001") == (39, 1, 0, 0)


def test_a_placeholder_does_not_switch_rules_off(tmp_path: Path) -> None:
    for zone in ("UTC", "Europe/Berlin"):
        table = rows()
        table[0] = ("T000", "Register", "1970-01-01 00:00:00", 0)
        found = audited(tmp_path, table, zone=zone)
        assert [q["count"] for q in found["quality"] if q["code"] == "QG113"] == [1]
        assert tally(found, "INC001") == (39, 0, 0, 1)


def test_times_that_no_calendar_reaches_are_named_and_the_mend_mends(tmp_path: Path) -> None:
    table = rows()
    table[5] = ("T000", "Close", "9999-12-31 00:00:00", 5)
    found = audited(tmp_path, table)
    assert found["code"] == 2
    assert found["error"].startswith(
        "CL020 1 events have times that no calendar reaches: case 'T000'"
    )
    mended = audited(tmp_path, table, "--allow-rejects", missing='"9999-12-31 00:00:00"')
    assert mended["code"] == 0, mended["error"]
    assert tally(mended, "INC001")[1] == 0


def test_one_time_far_away_does_not_judge_the_open_cases(tmp_path: Path) -> None:
    table = [row for row in rows() if row[:2] != ("T039", "Close")]
    table[2] = ("T000", "Assign", "2042-02-10 10:00:00", 2)
    found = audited(tmp_path, table)
    assert found["as_of"].startswith("2024-02-")
    assert [q["count"] for q in found["quality"] if q["code"] == "QG155"] == [1]
    assert taken(found, "QG155")


def test_when_every_row_is_refused_the_rows_are_told(tmp_path: Path) -> None:
    found = audited(tmp_path, rows(), "--allow-rejects", format="%d/%m/%Y %H:%M")
    assert found["code"] == 3
    assert found["error"].startswith("LG035 240 of 240 rows cannot be read")
    assert "--allow-rejects" not in found["error"]


def test_a_mapping_is_heard_although_the_header_looks_like_our_tickets(tmp_path: Path) -> None:
    head = "case_id,priority,status,changed\n"
    body = "".join(f"1,P1,{s},2024-01-0{n + 1}T10:00:00Z\n" for n, s in enumerate(STEPS))
    (tmp_path / "log.csv").write_text(head + body)
    (tmp_path / "m.toml").write_text(
        'name = "m"\n[time]\nformat = "iso"\n[event]\ncase_id = "case_id"\nactivity = "status"\n'
        'at = "changed"\n[case]\npriority = "priority"\npractice = { constant = "incident" }\n'
    )
    ran = in_process("inspect", tmp_path / "log.csv", "--mapping", tmp_path / "m.toml", "--json")
    assert ran.code == 0, ran.err
    assert ran.json()["log"]["events"] == 6


def test_object_types_of_a_table_are_a_slip(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("case_id,activity,at\n1,x,2024-01-01T00:00:00Z\n")
    ran = in_process("inspect", tmp_path / "log.csv", "--object-type", "Incident")
    assert (ran.code, ran.err[:6]) == (2, "LG038 ")


def test_an_undeclared_order_takes_only_what_could_be_said(tmp_path: Path) -> None:
    """Where no team is named INC004 is unknown in any order, so the ties take nothing of it."""
    tied = [(case, step, f"{when[:11]}0{6 + n // 2}:10:11", 0) for case, step, when, n in rows()]
    (tmp_path / "named").mkdir()
    named = audited(tmp_path / "named", tied)
    assert taken(named, "QG124")["INC004"] == 40
    nameless = audited(tmp_path, tied, missing='"desk"')
    assert taken(nameless, "QG124")["INC001"] == 40
    assert "INC004" not in taken(nameless, "QG124")
    (row,) = [row for row in nameless["rules"] if row["code"] == "INC004"]
    assert (row["unknown"], row["unknown_because"]) == (40, "no event of the case names a team")
