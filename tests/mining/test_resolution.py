"""Reopenings and first contacts equal counting by hand, and find what was planted."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mining.small_logs import HOUR, NAMES, a_desk, case_lists, log_of, ordered, quick
from oracles import naive_mining as naive

from csi.simulate import Request, simulate
from csi.simulate.trail import UPDATES
from process_mining import resolution
from process_mining.errors import CodedError
from process_mining.eventlog import EventLog, LogMeta

words = st.sets(st.sampled_from(NAMES), max_size=3)
CRITERIA: list[resolution.Criterion] = ["first team", "not reopened", "no wait"]


@quick
@given(cases=case_lists, resolve=words, closing=words, timed=st.booleans())
def test_reopenings_are_those_of_counting(
    cases: list[list[naive.Event]], resolve: set[str], closing: set[str], *, timed: bool
) -> None:
    desk = ordered(cases, timed=timed)
    found = resolution.reopenings(log_of(desk), resolve=resolve, closing=closing)
    known = {case[0]: naive.reopened(case, resolve, closing) for case in desk}
    resolved = {case: times for case, (ever, times) in known.items() if ever}
    assert found.cases["case_id"].tolist() == list(resolved)
    assert found.cases["reopenings"].tolist() == [len(times) for times in resolved.values()]
    assert (found.resolved, found.reopenings) == (len(resolved), sum(map(len, resolved.values())))
    assert found.reopened == sum(map(bool, resolved.values()))
    waits = sorted(t for times in resolved.values() for t in times if t is not None)
    assert (found.median_us, found.p90_us) == (
        naive.quantile(waits, 50),
        naive.quantile(waits, 90),
    )


@quick
@given(cases=case_lists, resolve=words, closing=words, waiting=words.filter(bool),
       criteria=st.sets(st.sampled_from(CRITERIA)))  # fmt: skip
def test_first_contacts_are_those_of_counting(
    cases: list[list[naive.Event]], resolve: set[str], closing: set[str], waiting: set[str],
    criteria: set[resolution.Criterion],
) -> None:  # fmt: skip
    desk = ordered(cases)
    found = resolution.first_contact(
        log_of(desk), resolve=resolve, closing=closing, waiting=waiting, criteria=criteria
    )
    known = {
        case[0]: naive.first_contact(case, resolve, closing, waiting, criteria)
        for case in desk
        if naive.reopened(case, resolve, closing)[0]
    }
    rows = zip(found.cases["case_id"], found.cases["first_contact"], strict=True)
    assert {case: None if pd.isna(value) else bool(value) for case, value in rows} == known
    said = list(known.values())
    assert (found.first_contact, found.undecided) == (said.count(True), said.count(None))
    assert found.n == len(said) - said.count(None)
    assert found.criteria == tuple(one for one in CRITERIA if one in criteria)


def test_a_desk_resolves_one_of_two_at_first_contact() -> None:
    log = log_of(a_desk())
    back = resolution.reopenings(log, resolve=["Resolve"], closing=["Close"])
    assert (back.resolved, back.reopened, back.median_us, back.rate) == (2, 1, 5 * HOUR, 0.5)
    assert back.cases["open_again"].tolist() == [False, False]
    assert back.cases["resolved_at"].tolist() == [6 * HOUR, 4 * HOUR]
    assert back.cases["reopened_at"].tolist() == [pd.NA, 9 * HOUR]
    found = resolution.first_contact(log, resolve=["Resolve"], closing=["Close"])
    assert (found.first_contact, found.n, found.rate) == (1, 2, 0.5)
    strict = resolution.first_contact(
        log, resolve=["Resolve"], waiting=["Await customer"], criteria=CRITERIA
    )
    assert strict.first_contact == 0


def test_a_case_that_was_reopened_last_is_open_again() -> None:
    log = log_of([("a", [("Resolve", 0, None, None), ("Work", HOUR, None, None)])])
    found = resolution.reopenings(log, resolve=["Resolve"])
    assert found.cases["open_again"].item()
    undecided = resolution.first_contact(log, resolve=["Resolve"], criteria=["first team"])
    assert (undecided.undecided, undecided.n, undecided.rate) == (1, 0, None)


def test_criteria_are_known_words() -> None:
    with pytest.raises(CodedError, match=r"LG321 unknown criterion 'first tem' .*first team"):
        resolution.first_contact(log_of([]), resolve=[], criteria=["first tem"])  # type: ignore[list-item]
    with pytest.raises(CodedError, match=r"LG321 .*waiting"):
        resolution.first_contact(log_of([]), resolve=[], criteria=["no wait"])


def test_the_planted_reopenings_are_found_and_no_others() -> None:
    """INC005 is broken by the cases that are reopened more than once.

    Work after closure (INC013) is a reopening that nobody has called so.
    """
    desk = simulate(Request(seed=11, tickets=600, other_practices=False))
    log = EventLog.build(desk.events.drop_columns(["practice"]), meta=LogMeta("simulated"))
    found = resolution.reopenings(
        log,
        resolve=["Resolve"],
        closing=["Close", "Cancel"],
        leave_out=["Ask feedback", "Receive feedback", "Contact customer", *UPDATES],
    ).cases
    incidents = found[found["case_id"].str.startswith("INC")]
    truth = desk.truth.to_pandas()
    planted = set(truth[truth["rule"] == "INC005"]["case_id"])
    assert planted == set(incidents[incidents["reopenings"] > 1]["case_id"])
    assert planted
    said = desk.events.to_pandas().query("activity == 'Reopen'").groupby("case_id").size()
    counts = found[found["reopenings"] > 0].set_index("case_id")["reopenings"]
    unsaid = dict.fromkeys(truth[truth["rule"] == "INC013"]["case_id"], 1)
    assert unsaid
    assert counts.to_dict() == said.to_dict() | unsaid
