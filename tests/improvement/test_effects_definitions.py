"""Which violations are by definition part of an outcome? The whole rulebook, told beforehand."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest

from csi.effects.definitions import needs_time, part_of
from csi.effects.outcomes import BREACH, OUTCOMES, REOPENING, SATISFACTION, TIME
from rules.catalogue import Catalogue, load_catalogue

if TYPE_CHECKING:
    from rules.spec import Rule

# Reasoned from the rules' wording: a time within the ticket, a reopening, a score.
TIMES_THEMSELVES = {
    *("INC007", "INC009", "INC021", "MAJ002", "MAJ003", "MAJ006", "MAJ007", "PRB005", "PRB007"),
    *("PRB008", "PRB010", "REQ005", "REQ006", "REQ008", "SLM001", "SLM002", "CHG012", "CHG013"),
    *("CSI005", "CSI006", "FBK006", "FBK009", "FBK010", "KNW004", "KNW006", "SLM005", "SLM006"),
}
TAKEN_BACK = {"INC005", "INC013", "PRB011"}
RESOLVED_AT_ALL = {"INC001", "PRB006", "REQ007"}
TOO_LATE = {"FBK001", "FBK002", "FBK003", "FBK007", "INC008", "INC014", "INC020"}
OF_REOPENING = {
    *("INC005", "INC008", "INC013", "INC014", "INC018", "INC020"),
    *("PRB008", "PRB011", "PRB014", "REQ005", "SLM002"),
}
# the models of these practices know no Reopen
WITHOUT_REOPEN = {
    *("CHG001", "CHG002", "CHG003", "CSI001", "FBK004", "KNW001", "REL001", "SLM004"),
}
OF_FEEDBACK = [f"FBK{i:03d}" for i in range(1, 15)]


@cache
def book() -> Catalogue:
    return load_catalogue(())


def left_out(outcome: str) -> set[str]:
    return {r.code for r in book().newest if part_of(r, outcome, book().practices)}


@pytest.mark.parametrize("outcome", [TIME, BREACH])
def test_rules_that_measure_the_time_are_left_out_of_time_and_breach(outcome: str) -> None:
    assert left_out(outcome) == TIMES_THEMSELVES | TAKEN_BACK | RESOLVED_AT_ALL | TOO_LATE


def test_rules_about_reopening_are_left_out_of_reopening() -> None:
    assert left_out(REOPENING) == {*OF_REOPENING, *RESOLVED_AT_ALL, *WITHOUT_REOPEN}


def test_rules_about_feedback_are_left_out_of_satisfaction() -> None:
    assert left_out(SATISFACTION) == set(OF_FEEDBACK)


def changed(code: str, **params: object) -> Rule:
    rule = book().rule(code)
    return replace(rule, params=rule.params.model_copy(update=params))


def test_it_follows_from_template_and_parameters_alone() -> None:
    for rule in book().newest:
        other = replace(rule, code="XYZ001", name="other", title="Other", why="", remedy="")
        for outcome in OUTCOMES:
            same = part_of(rule, outcome, book().practices)
            assert part_of(other, outcome, book().practices) == same


def test_a_time_that_begins_when_the_ticket_is_done_comes_too_late_to_change_its_time() -> None:
    for code, activity, why in (
        ("INC021", "Resolve", "too late"),
        ("INC021", "Receive feedback", "too late"),
        ("INC021", "Assign", "part of the time"),
        ("INC008", "Assign", "part of the time"),
        ("INC016", "Close", "too late"),
        ("SLM008", "Ask feedback", "too late"),
    ):
        assert why in part_of(changed(code, activity=activity), TIME, book().practices)
    assert part_of(changed("INC002", activity="Close"), TIME, book().practices) == ""


def test_a_rule_of_ones_own_that_counts_resolutions_is_about_reopening() -> None:
    twice = changed("SLM008", activity="Resolve")
    assert part_of(twice, REOPENING, book().practices) != ""
    assert part_of(twice, TIME, book().practices) != ""
    assert part_of(book().rule("SLM008"), REOPENING, book().practices) == ""


def test_a_rule_that_names_reopen_anywhere_is_about_reopening() -> None:
    assert part_of(changed("INC002", or_else="Reopen"), REOPENING, book().practices) != ""
    assert part_of(book().rule("INC002"), REOPENING, book().practices) == ""


def test_a_rule_that_names_feedback_is_about_satisfaction_whosever_it_is() -> None:
    asks = changed("INC002", before="Ask feedback")
    assert asks.practice == "incident"
    assert part_of(asks, SATISFACTION, book().practices) != ""
    scored = changed("INC021", where=book().rule("FBK002").params.where)
    assert part_of(scored, SATISFACTION, book().practices) != ""


def test_a_kind_of_ticket_that_no_practice_knows_is_asked_without_it() -> None:
    for outcome in OUTCOMES:
        assert part_of(book().rule("INC004"), outcome, {}) == ""


def test_rules_that_count_or_measure_need_time() -> None:
    assert needs_time(book().rule("INC004"))
    assert needs_time(book().rule("INC007"))
    assert not needs_time(book().rule("INC002"))
