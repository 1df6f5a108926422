"""Do later cycles read what earlier ones found, and are two of them compared without false claims?

The oracle for the limits of two shares is statsmodels' Newcombe interval.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from improvement.command_line import in_process
from statsmodels.stats.proportion import confint_proportions_2indep

from csi.cycle_compare import APART, CHANGED, NO_VALUE, ONE_SIDED, OVERLAP, compare
from csi.cycle_history import Turn, add_to_history, earlier_than, place_of, read_history, turn_of
from csi.cycle_words import compared_lines
from csi.report.earlier_section import earlier_section
from csi.statistics import proportion
from process_mining.errors import CodedError, RunError

if TYPE_CHECKING:
    from collections.abc import Mapping


def kpi(code: str, k: int, n: int, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    found = proportion(k, n)
    row = {"kpi": code, "title": f"Share {code}", "unit": "share", "better": "higher", "n": n}
    return row | {"value": found.value, "low": found.low, "high": found.high} | changes


def rule(code: str, conforms: int, violates: int) -> dict[str, Any]:
    rate = proportion(conforms, conforms + violates)
    row = {"code": code, "title": f"Rule {code}", "severity": "high", "window": "current"}
    counts = {"conforms": conforms, "violates": violates, "pending": 0, "vacuous": 1, "unknown": 0}
    return row | counts | {"rate": rate.value, "low": rate.low, "high": rate.high}


def results(
    start: str = "2025-04-07",
    end: str = "2025-07-07",
    **changes: Any,  # noqa: ANN401 - JSON
) -> dict[str, Any]:
    judged = {"entry": "IMP-0001", "improvement": "Route", "metric": "KPI01", "verdict": "improved"}
    found = {
        "outcome": "evaluated",
        "pinned": end * 6,
        "window": {
            "baseline": {"start": "2025-01-06", "end": start},
            "current": {"start": start, "end": end},
        },
        "report_date": end,
        "cycle_sha256": f"file {end}",
        "snapshot": {"sha256": "log"},
        "kpis": {"baseline": [], "current": [kpi("KPI03", 30, 40)]},
        "rules": [rule("INC001", 9, 1), rule("INC002", 5, 0)],
        "definitions": {"trueloop": "1", "kpis": {"KPI03": "a"}, "rules": {"INC001": "b"}},
        "evaluate": {"verdict": "improved", "improvements": [judged]},
    }
    return found | changes


def turn(start: str = "2025-04-07", end: str = "2025-07-07", **changes: Any) -> Turn:  # noqa: ANN401
    return turn_of(results(start, end, **changes), name=f"to {end}", results_sha256="r")


# --- the history


def test_a_record_is_entered_once_in_its_old_place(tmp_path: Path) -> None:
    place = tmp_path / "register.sqlite.cycles.json"
    first, second = turn(end="2025-05-01"), turn(end="2025-06-01")
    for one in (first, second, first):
        add_to_history(place, one)
    assert read_history(place) == [first, second]
    mended = first.model_copy(update={"outcome": "measured"})
    add_to_history(place, mended)
    assert read_history(place) == [mended, second]


def test_what_is_written_is_read_back_as_it_was(tmp_path: Path) -> None:
    place = tmp_path / "history.json"
    add_to_history(place, turn())
    before = place.read_bytes()
    add_to_history(place, turn())
    assert place.read_bytes() == before
    assert read_history(place) == [turn()]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cycles": [{}]}', '{"cycles": 1}', "\x00"])
def test_a_damaged_history_is_told(text: str, tmp_path: Path) -> None:
    place = tmp_path / "history.json"
    place.write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match="CY310"):
        read_history(place)


def test_earlier_is_whose_window_ended_before() -> None:
    ends = ("2025-05-01", "2025-07-07", "2025-06-01", "2025-08-01")
    known = [turn(end=end) for end in ends]
    found = [one.current.end for one in earlier_than("2025-07-07", known)]
    assert found == ["2025-06-01", "2025-05-01"]


def test_of_several_snapshots_the_last_counts_and_no_data_does_not_hide_a_verdict() -> None:
    first = turn(end="2025-05-01")
    second = first.model_copy(update={"snapshot": "2", "outcome": "measured"})
    empty = first.model_copy(update={"snapshot": "3", "outcome": "no data"})
    assert earlier_than("2025-07-07", [first, second, empty]) == [second]
    assert earlier_than("2025-07-07", [empty, first]) == [first]
    assert earlier_than("2025-07-07", [empty]) == [empty]


def test_each_register_has_a_history_of_its_own() -> None:
    class Cycle:
        path = Path("/desk/cycle.toml")

        def __init__(self, register: str | Path) -> None:
            self.register = register

    def place(register: str | Path) -> Path:
        return place_of(Cycle(register))  # type: ignore[arg-type]

    assert place(Path("/desk/a.sqlite")) == Path("/desk/a.sqlite.cycles.json")
    assert place("sqlite:////desk/a.sqlite") == Path("/desk/a.sqlite.cycles.json")
    server = place("postgresql://me:secret@host/one")
    assert server.parent == Path("/desk")
    assert server == place("postgresql://host/one") != place("postgresql://host/two")


# --- two cycles


shares = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(a=shares, b=shares)
def test_limits_of_two_shares_are_newcombe(a: tuple[int, int], b: tuple[int, int]) -> None:
    earlier = turn("2025-01-06", "2025-04-07", kpis={"current": [kpi("KPI03", *a)]})
    later = turn(kpis={"current": [kpi("KPI03", *b)]})
    (row,) = compare(earlier, later).kpis
    expected = confint_proportions_2indep(b[0], b[1], a[0], a[1], method="newcomb")
    assert row.difference.value == pytest.approx(b[0] / b[1] - a[0] / a[1])
    assert (row.difference.low, row.difference.high) == pytest.approx(expected, abs=1e-9)


def test_rules_are_compared_by_their_rate() -> None:
    found = compare(turn("2025-01-06", "2025-04-07"), turn(rules=[rule("INC001", 2, 8)]))
    first, second = found.rules
    assert (first.violates, first.n) == ((1, 8), (10, 10))
    assert first.difference.value == pytest.approx(-0.7)
    assert (second.code, second.note, second.violates) == ("INC002", ONE_SIDED, (0, 0))


def test_windows_that_overlap_give_no_interval() -> None:
    apart = compare(turn("2025-01-06", "2025-04-07"), turn("2025-04-07", "2025-07-07"))
    assert (apart.independent, apart.sentences[0]) == (True, APART)
    assert apart.kpis[0].difference.low is not None
    for start in ("2025-04-06", "2025-01-06"):
        found = compare(turn("2025-01-06", "2025-04-07"), turn(start))
        assert (found.independent, found.sentences[0]) == (False, OVERLAP)
        for row in (*found.kpis, *found.rules):
            assert (row.difference.low, row.difference.high) == (None, None)
        assert found.kpis[0].difference.value == 0


def test_what_says_something_else_is_named_and_not_compared() -> None:
    other = {"trueloop": "2", "kpis": {"KPI03": "z"}, "rules": {"INC001": "z"}}
    found = compare(turn("2025-01-06", "2025-04-07"), turn(definitions=other))
    assert found.changed == {"kpis": ("KPI03",), "rules": ("INC001",)}
    assert [row.note for row in (*found.kpis, *found.rules)] == [CHANGED, CHANGED, ""]
    assert found.kpis[0].difference.value is None
    said = " ".join(found.sentences)
    assert "KPIs KPI03" in said
    assert "rules INC001" in said
    assert "trueloop 1 and 2" in said


def test_without_a_value_there_is_no_difference() -> None:
    nothing = kpi("KPI03", 0, 0, value=None, low=None, high=None)
    found = compare(turn("2025-01-06", "2025-04-07"), turn(kpis={"current": [nothing]}))
    assert found.kpis[0].note == NO_VALUE
    assert found.to_dict()["kpis"][0]["difference"] == {"value": None, "low": None, "high": None}


def write(folder: Path, found: Mapping[str, Any]) -> Path:
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps(found), encoding="utf-8")
    return folder


def test_the_command_compares_folders_and_files(tmp_path: Path) -> None:
    a = write(tmp_path / "a", results("2025-01-06", "2025-04-07"))
    b = write(tmp_path / "b", results()) / "results.json"
    ran = in_process("cycle", "compare", a, b, "--json")
    assert (ran.code, ran.err, ran.json()["independent"]) == (0, "", True)
    said = in_process("cycle", "compare", a, b).out
    lines = compared_lines(compare(turn("2025-01-06", "2025-04-07"), turn()))
    assert [line for line in lines[7:] if line not in said] == []
    assert "IMP-0001 Route: improved" in said
    assert "75.0 % (59.8 to 85.8 %)" in said


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"evaluate": {}}', "null"])
def test_what_is_no_result_is_refused(text: str, tmp_path: Path) -> None:
    a = write(tmp_path / "a", results())
    (tmp_path / "b.json").write_text(text, encoding="utf-8")
    ran = in_process("cycle", "compare", a, tmp_path / "b.json")
    assert (ran.code, ran.err[:6]) == (2, "CY311 ")
    assert in_process("cycle", "compare", a, tmp_path / "none").err[:6] == "CY311 "


# --- on the page


def test_the_page_lists_earlier_cycles_and_what_is_open() -> None:
    evil = "<b>Route</b>"
    judged = [{"entry": "IMP-0001", "improvement": evil, "metric": "KPI01", "verdict": "worse"}]
    earlier = turn("2025-01-06", "2025-04-07", evaluate={"improvements": judged})
    against = compare(earlier, turn()).to_dict()
    row = {"id": "IMP-0002", "title": "Ask", "state": "started", "verdict": None}
    own = {"id": "IMP-0003", "title": "Own", "state": "started", "verdict": None}
    done = {"id": "IMP-0004", "title": "Done", "state": "closed", "verdict": "improved"}
    section = earlier_section(
        {
            "earlier": {"cycles": [against["a"]], "against": against},
            "register": [row, own, done],
            "evaluate": {"entry": "IMP-0003"},
        }
    )
    assert [one["window"] for one in section.cycles] == ["2025-01-06 to 2025-04-07"]
    assert section.cycles[0]["verdicts"] == f"IMP-0001 {evil}: worse"
    assert [one["id"] for one in section.open] == ["IMP-0002"]
    assert section.kpis[0]["difference"] == "+0.0 points (-18.6 to +18.6)"
    assert [one["code"] for one in section.rules] == ["INC001"]


def test_the_first_cycle_says_that_it_is_the_first() -> None:
    nothing = {"earlier": {"cycles": [], "against": None}, "register": [], "evaluate": {}}
    section = earlier_section(nothing)
    assert "this is the first" in section.note
    assert (section.kpis, section.rules, section.against) == ([], [], "")


def test_a_turn_without_its_parts_is_no_turn() -> None:
    for name in ("window", "kpis", "rules", "definitions", "evaluate", "pinned"):
        broken = results()
        del broken[name]
        with pytest.raises(CodedError, match="CY311"):
            turn_of(broken, name="x", results_sha256="")
