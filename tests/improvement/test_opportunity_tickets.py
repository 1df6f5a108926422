"""What is known about each ticket of a window: resolved when, by whom, and how it ended."""

from __future__ import annotations

import csv
import datetime as dt
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from improvement.command_line import HOSTILE_TEXTS, event_line, write_lines
from improvement.opportunity_desk import NEAR_MISSES, PLANTED, REST, START, WINDOW, Kind, audited

from csi.audit import AuditRequest, audit
from csi.cycle import Window
from csi.opportunities import opportunities_of
from csi.opportunities.tickets import tickets_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from csi.audit import Audit
    from csi.opportunities.tickets import Tickets

Step = tuple[str, float, str | None]  # activity, hours after the opening, team


def made_of(
    folder: Path,
    stories: Mapping[str, Sequence[Step]],
    columns: Mapping[str, Mapping[str, str]],
    attributes: Mapping[tuple[str, int], Mapping[str, str]],
) -> Audit:
    """The audit of a log with these stories, and these columns of the table of tickets."""
    lines = []
    for case, steps in stories.items():
        for seq, (activity, hours, team) in enumerate(steps):
            at = (START + dt.timedelta(hours=hours)).isoformat()
            more: dict[str, Any] = {"seq": seq} | ({"team": team} if team else {})
            own = attributes.get((case, seq))
            more |= {"attributes": own} if own else {}
            lines.append(event_line(case, activity, at, **more))
    log = write_lines(folder / "events.ndjson", lines)
    text = io.StringIO(newline="")
    rows = [[case, "incident", *(one[case] for one in columns.values())] for case in stories]
    csv.writer(text).writerows([["case_id", "practice", *columns], *rows])
    table = folder / "tickets.csv"
    table.write_bytes(text.getvalue().encode())
    return audit(AuditRequest((log, table)))


LIVES: dict[str, list[Step]] = {
    "A": [("Register", 0, "D"), ("Diagnose", 1, "T"), ("Resolve", 5, "T"), ("Close", 30, "D")],
    "B": [("Register", 0, "D"), ("Diagnose", 1, None), ("Close", 7, "T")],
    "C": [("Register", 0, "D"), ("Diagnose", 1, "T"), ("Cancel", 9, "D")],
    "D": [
        *[("Register", 0, "D"), ("Diagnose", 1, "T"), ("Resolve", 2, "T"), ("Reopen", 3, "D")],
        *[("Diagnose", 4, "U"), ("Resolve", 6, "U"), ("Close", 40, "D")],
    ],
    "E": [("Register", 0, "D"), ("Diagnose", 1, "T"), ("Resolve", 2, "T"), ("Reopen", 3, "D")],
    "F": [
        *[("Register", 0, None), ("Diagnose", 1, None), ("Await customer", 2, None)],
        *[("Diagnose", 12, None), ("Resolve", 14, None), ("Ask feedback", 20, None)],
    ],
}


NAMES = list(LIVES)
CODES = dict(zip(NAMES, ["x", "y", "x", "", "y", "x"], strict=True))
PEOPLE = {case: f"p-{i:012x}" for i, case in enumerate(NAMES)}
COLUMNS = {
    "category": dict.fromkeys(NAMES, "net"),
    "service": dict.fromkeys(NAMES, "") | {"A": "vpn"},  # of one ticket in six: too few
    "marker": CODES,
    "story": {
        case: f"a story that no other ticket has, number {i}" for i, case in enumerate(NAMES)
    },
    "person": PEOPLE,
    "used": dict(zip(NAMES, ["true", "false", "KB12", "", "0", "No"], strict=True)),
}
SAID = {("A", 1): {"mark": "early"}, ("A", 2): {"mark": "late"}, ("B", 0): {"mark": "only"}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return made_of(tmp_path_factory.mktemp("lives"), LIVES, COLUMNS, SAID)


def told(made: Audit, **names: str) -> Tickets:
    """The tickets of that log where some of its columns have other names."""
    (part,) = made.practices
    log = part.translation.log
    new = {f"attr.{old}": f"attr.{name}" for old, name in names.items()}
    cases, events = (
        one.rename_columns([new.get(name, name) for name in one.column_names])
        for one in (log.cases, log.events)
    )
    translation = replace(part.translation, log=replace(log, cases=cases, events=events))
    named = replace(made, practices=(replace(part, translation=translation),))
    return tickets_of(named, WINDOW)


@pytest.fixture(scope="module")
def lives(made: Audit) -> pd.DataFrame:
    return told(made).frame.set_index("case_id")


@pytest.mark.parametrize(
    ("case", "hours", "running", "team"),
    [
        ("A", 5, False, "T"),  # the Resolve, not the Close after it; the team that had it then
        ("B", 7, False, "T"),  # closed without a Resolve
        ("C", 9, True, "D"),  # cancelled: had not been resolved by then
        ("D", 6, False, "U"),  # resolved a second time
        ("E", 40, True, "D"),  # work went on after the Resolve; the log ends after 40 h
        ("F", 14, False, None),
    ],
)
def test_when_and_by_whom(
    lives: pd.DataFrame, case: str, hours: float, team: str | None, *, running: bool
) -> None:
    row = lives.loc[case]
    assert row["hours"] == hours
    assert row["running"] == running
    assert ("none" if team is None else team) == lives["team"].fillna("none")[case]


def test_what_happened_on_the_way(lives: pd.DataFrame) -> None:
    assert lives["first_contact"].dropna().to_dict() == dict.fromkeys("ABDE", False)
    assert list(lives["reopened"]) == [False, False, False, True, True, False]
    assert lives.loc["A", "handovers"] == 2
    assert lives["handovers"].isna()["F"]  # it names no team: not known
    waits = lives.loc["F", ["waiting_h", "queue_h", "working_h", "net_h"]]
    assert list(waits) == [10, 1, 3, 4]
    assert list(lives["first_team"])[:5] == ["D"] * 5


@pytest.mark.parametrize(
    "name",
    [
        *("close_code", "closeCode", "Closure Code", "resolution", "resolution_category"),
        *("solution_type", "closed reason"),
    ],
)
def test_a_closure_code_is_told_by_its_name(made: Audit, name: str) -> None:
    found = told(made, marker=name).frame
    assert found["resolution"].fillna("").tolist() == list(CODES.values())


@pytest.mark.parametrize("name", ["closed_by", "resolved_flag", "reason", "code", "made_sla"])
def test_other_columns_are_none(made: Audit, name: str) -> None:
    found = told(made, marker=name)
    assert found.frame["resolution"].isna().all()
    assert any("how tickets ended" in line for line in found.untold)


def test_people_and_texts_are_no_codes(made: Audit) -> None:
    for name, column in (
        ("close_code", "resolution"),
        ("channel", "channel"),
        ("subcategory", "subject"),
    ):
        found = told(made, person=name).frame
        assert not found[column].astype(str).str.contains("p-0000").any()
    assert told(made, story="resolution").frame["resolution"].isna().all()


def test_a_code_of_events_is_the_last_that_is_not_null(made: Audit) -> None:
    found = told(made, mark="closed_code").frame.set_index("case_id")["resolution"]
    assert found.dropna().to_dict() == {"A": "late", "B": "only"}


def test_an_article_is_told_by_a_column(made: Audit) -> None:
    found = told(made, used="knowledge").frame
    assert found["article"].tolist() == [True, False, True, False, False, False]
    assert told(made).frame["article"].isna().all()


def test_what_a_ticket_is_about_is_named_by_what_most_tell(made: Audit) -> None:
    found = told(made, marker="subcategory").frame.set_index("case_id")["subject"]
    assert found["A"] == "net / x"
    assert found["D"] == "net / (not given)"


def test_a_window_is_half_open(made: Audit) -> None:
    day = dt.timedelta(days=1)
    assert len(told(made).frame) == len(NAMES)  # opened at the first moment of the window
    before = Window(start=WINDOW.start - day, end=WINDOW.start)
    assert tickets_of(made, before).frame.empty


# --- hostile words


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    kinds = [Kind(text, text, 24, 0.2, channel=text, article=0.5) for text in HOSTILE_TEXTS]
    made = audited(tmp_path, kinds)
    found = opportunities_of(made, WINDOW)
    assert len(found.candidates.found) > 10
    for line in found.sentences:
        assert "\x1b" not in line
        assert "\n" not in line
        assert "\u202e" not in line
    for title in found.ranked.frame.loc[found.ranked.frame["source"] == "candidate", "what"]:
        assert len(title) < 300


def test_order_of_rows_changes_nothing(tmp_path: Path) -> None:
    kinds = [*PLANTED, NEAR_MISSES[0], *REST[:3]]
    first = opportunities_of(audited(tmp_path / "a", kinds), WINDOW)
    for name in ("events.ndjson", "tickets.csv"):
        rows = (tmp_path / "a" / name).read_text("utf-8").splitlines()
        head = [rows.pop(0)] if name.endswith("csv") else []
        mixed = [rows[i] for i in np.random.default_rng(3).permutation(len(rows))]
        write_lines(tmp_path / "b" / name, [*head, *mixed])
    logs = (tmp_path / "b" / "events.ndjson", tmp_path / "b" / "tickets.csv")
    again = opportunities_of(audit(AuditRequest(logs)), WINDOW)
    assert again.sentences == first.sentences
    assert again.candidates.frame.equals(first.candidates.frame)
    assert again.teams.frame.equals(first.teams.frame)
