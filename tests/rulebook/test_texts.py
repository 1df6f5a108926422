"""Texts of files and of logs are compared in one way, wherever rules compare them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rulebook.test_check import PRECEDES, ROWS, desk_of, run, words_of

from process_mining import schema as s
from rules.check import CheckResult, merge
from rules.practice import When
from rules.spec import Scope
from rules.templates import templates
from rules.texts import plain, says_one_of, text_codes

SAID = [" Straße", "STRASSE ", "", None]


def test_a_column_is_read_as_texts_are_compared() -> None:
    codes, texts = text_codes(pa.table({"x": pa.array(SAID, pa.string())}), "x")
    assert (codes.tolist(), texts) == ([0, 0, -1, -1], ("strasse",))
    assert text_codes(pa.table({"y": SAID}), "x")[0].tolist() == [-1] * 4


@given(st.lists(st.none() | st.text(max_size=4)), st.lists(st.text(min_size=1, max_size=4)))
def test_a_row_says_what_a_plain_comparison_says(said: list[str | None], listed: list[str]) -> None:
    table = pa.table({"x": pa.array(said, pa.string())})
    wanted = {plain(text) for text in listed} - {""}
    holds, known = says_one_of(table, "x", wanted)
    assert known.tolist() == [bool(text and text.strip()) for text in said]
    assert holds.tolist() == [text is not None and plain(text) in wanted for text in said]


def test_a_blank_value_does_not_say_that_a_case_is_out_of_scope() -> None:
    """It is missing: the rule may be about the case or not. And a kind of cases is none by it."""
    desk = desk_of(ROWS)
    log = desk.log.with_columns(cases={s.PRIORITY: pa.array(SAID, pa.string())})
    desk = replace(desk, log=log)
    assert words_of(run(desk, [PRECEDES])) == ["conforms", "violates", "pending", "vacuous"]
    only = replace(PRECEDES, scope=(Scope(s.PRIORITY, one_of=frozenset({plain("straße")})),))
    but = replace(PRECEDES, scope=(Scope(s.PRIORITY, none_of=frozenset({plain("x")})),))
    for rule in (only, but):
        assert words_of(run(desk, [rule])) == ["conforms", "violates", "unknown", "vacuous"]
    kind = When(s.PRIORITY, frozenset({plain("STRASSE")}))
    assert kind.holds(log).tolist() == [True, True, False, False]


@pytest.mark.parametrize("template", ["four_eyes", "different_team", "not_coexists", "succeeds"])
def test_two_activities_are_two(template: str) -> None:
    with pytest.raises(ValueError, match="first and second are the same activity"):
        templates()[template].Params(first="a", second="a")


def caused(cause: str, case: str) -> CheckResult:
    desk = desk_of([(case, "Register", 0, None)])
    return replace(run(desk, [PRECEDES]), causes={"INC002": cause} if cause else {})


def test_what_several_practices_cannot_tell_is_said_once_each() -> None:
    """An incident rule judges majors too: why it was unknown there was lost, or stood alone."""
    both = merge([caused("no team", "A"), caused("no actor", "B"), caused("", "C")])
    assert both.causes == {"INC002": "no team; no actor"}
    twice = merge(
        [caused("no team", "A"), caused("no actor; no team", "B"), caused("no team", "C")]
    )
    assert twice.causes == {"INC002": "no actor; no team"}
    assert np.array_equal(both.verdicts, twice.verdicts)
