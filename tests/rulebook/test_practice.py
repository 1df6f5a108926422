"""Practice files are read strictly, and logs are said in the practice's words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from csi.audit import split_by_practice
from process_mining import schema as s
from process_mining.errors import CodedError, ManyCodedErrors
from process_mining.eventlog import EventLog, LogMeta
from process_mining.sources import ReadOptions, open_log
from rules.catalogue import load_catalogue
from rules.practice import (
    ENOUGH,
    choose_vocabulary,
    coverage,
    load_practices,
    prepare_desk,
    translate,
    words_known,
)
from rules.service_level import load_service_levels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
UCI = DATA / "uci_servicenow" / "incident_event_log_opened_before_2016-04-15.csv.gz"
BPIC13 = DATA / "bpic13" / "BPIC13_closed_problems.xes.gz"
MAPPING = ROOT / "process_mining" / "sources" / "mappings" / "uci_servicenow.toml"

GOOD = """
name = "upkeep"
title = "Upkeep"
itil = "Infrastructure and platform management"
owner = "Keeper"
version = 1
valid_from = 2024-01-01
activities = ["Plan", "Do", "End"]
ends = ["End"]
outside_model = ["Thank"]

[[vocabularies]]
name = "tool"
title = "A tool"
keys = ["activity", "lifecycle"]
repeats = "updates"
implied = ["Plan"]

[vocabularies.words]
"open+new" = "Plan"
"open+busy" = "Do"
"open+busier" = "Do"
"shut" = "End"
"""


def log_of(cases: Mapping[str, Sequence[str]]) -> EventLog:
    """Words of a case in order; `a+b` gives activity a with lifecycle b."""
    rows = [
        (case, *word.partition("+")[::2], i)
        for case, ws in cases.items()
        for i, word in enumerate(ws)
    ]
    table = pa.table(
        {
            s.CASE_ID: pa.array([row[0] for row in rows], pa.string()),
            s.ACTIVITY: pa.array([row[1] for row in rows], pa.string()),
            s.LIFECYCLE: pa.array([row[2] or None for row in rows], pa.string()),
            s.AT: pa.array([row[3] for row in rows], pa.int64()),
        }
    )
    return EventLog.build(table, meta=LogMeta("test"))


def practice_in(folder: Path, text: str = GOOD) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "practice.toml").write_text(text)
    return folder


def words(log: EventLog) -> list[str | None]:
    found: list[str | None] = log.events[s.ACTIVITY].to_pylist()
    return found


# --- the files


def test_our_own_practices() -> None:
    practices = load_practices()
    assert list(practices) == sorted(practices)
    assert list(practices) == [
        *("change", "continual_improvement", "emergency_change", "feedback", "incident"),
        *("knowledge", "major_incident", "normal_change", "problem", "release"),
        *("service_level", "service_request", "standard_change"),
    ]
    incident, problem = practices["incident"], practices["problem"]
    assert set(incident.ends) == set(problem.ends) == {"Close", "Cancel"}
    assert set(practices["feedback"].activities) > set(incident.outside_model)
    for one in practices.values():
        assert set(one.fitsm) == set(one.activities), one.name
        assert {cited.norm for cited in one.references} == {"FitSM", "ISO/IEC 20000-1"}


@pytest.mark.parametrize("name", ["incident", "major_incident", "problem", "service_request"])
def test_practices_with_service_levels_say_of_every_activity_what_its_time_is(name: str) -> None:
    practice = load_practices()[name]
    assert set(practice.time_in) == set(practice.activities)
    assert practice.time_in["Register"] == "queue"
    assert {practice.time_in[word] for word in practice.ends} == {"done"}


def test_a_kind_of_a_practice_may_say_otherwise_what_a_time_is(tmp_path: Path) -> None:
    text = (load_practices()["major_incident"].path).read_text()
    text = text.replace('work = ["Inform', 'others = ["Escalate"]\nwork = ["Inform')
    text = text.replace('"major_incident"', '"great"', 1).replace("model.bpmn", "m.bpmn")
    folder = practice_in(tmp_path, text)
    (folder / "m.bpmn").write_text("")
    practices = load_practices([folder])
    assert practices["great"].time_in["Escalate"] == "others"
    assert practices["major_incident"].time_in["Escalate"] == "hand_over"
    assert practices["great"].time_in["Await evidence"] == "others"


def test_a_further_practice_is_found_by_lying_there(tmp_path: Path) -> None:
    practices = load_practices([practice_in(tmp_path / "mine" / "upkeep").parent])
    assert practices["upkeep"].words == {"Plan", "Do", "End", "Thank"}
    assert practices["upkeep"].model_path is None


BAD = [
    ("name =", "nam =", "RU202", "Did you mean 'name'?"),
    ('itil = "Infrastructure and platform management"', "", "RU203", "'itil' is missing"),
    ("version = 1", 'version = "1"', "RU204", "version"),
    ("valid_from = 2024-01-01", 'valid_from = "2024-01-01"', "RU204", "valid_from"),
    ('ends = ["End"]', 'ends = ["Ende"]', "RU205", "Did you mean 'End'?"),
    ('["Thank"]', '["Do"]', "RU205", "'Do' stands twice"),
    ('"open+busy" = "Do"', '"open+busy" = "Doo"', "RU205", "Did you mean 'Do'?"),
    ('implied = ["Plan"]', 'implied = ["Plam"]', "RU205", "Did you mean 'Plan'?"),
    ("version = 1", 'version = 1\nmodel = "none.bpmn"', "RU206", "none.bpmn"),
    ('"Thank"]', '"Thank"]\n[fitsm]\n"Plam" = "CHM.A2 step 2"', "RU217", "Did you mean 'Plan'?"),
    ('"Thank"]', '"Thank"]\n[fitsm]\n"Do" = "CHM.A2"', "RU204", "fitsm.Do"),
    ('"Thank"]', '"Thank"]\n[time_in]\nwork = ["Plam"]', "RU218", "Did you mean 'Plan'?"),
    ('"Thank"]', '"Thank"]\n[time_in]\nwork = ["Do"]\nqueue = ["Do"]', "RU219", "stands twice"),
    ('"Thank"]', '"Thank"]\n[time_in]\nwork = ["Do"]\ndone = ["End"]', "RU220", "out: Plan."),
    ('"Thank"]', '"Thank"]\n[time_in]\nworking = ["Do"]', "RU204", "time_in.working"),
    ('["activity", "lifecycle"]', '["lifecycle"]', "RU207", "keys"),
    ('name = "tool"', 'name = "own"', "RU207", "is taken"),
    ("repeats =", "repeat =", "RU202", "Did you mean 'repeats'?"),
    ('"updates"', '"update"', "RU204", "repeats"),
    ('name = "upkeep"', 'name = "incident"', "RU208", "stands in"),
    ('title = "Upkeep', 'title = = "Upkeep', "RU201", "cannot be read"),
]


@pytest.mark.parametrize(("old", "new", "code", "says"), BAD)
def test_one_mistake_is_one_coded_error(
    tmp_path: Path, old: str, new: str, code: str, says: str
) -> None:
    assert old in GOOD
    folder = practice_in(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(CodedError) as caught:
        load_practices([folder])
    errors = getattr(caught.value, "errors", (caught.value,))
    assert code in [error.code for error in errors]
    assert says in str(caught.value)
    assert "practice.toml" in str(caught.value)
    assert caught.value.exit_code == 2


def test_all_mistakes_of_all_files_come_at_once(tmp_path: Path) -> None:
    practice_in(tmp_path / "one", GOOD.replace('["End"]', '["Ende"]').replace('"Do"\n', '"Du"\n'))
    practice_in(tmp_path / "two", GOOD.replace("owner", "ovner"))
    with pytest.raises(ManyCodedErrors) as caught:
        load_practices([tmp_path])
    assert sorted(e.code for e in caught.value.errors) == ["RU202", "RU203", *["RU205"] * 3]


# --- choosing a vocabulary


def test_the_vocabulary_that_knows_most_is_taken(tmp_path: Path) -> None:
    upkeep = load_practices([practice_in(tmp_path)])["upkeep"]
    tool = log_of({"c1": ["open+new", "open+busy", "shut"]})
    own = log_of({"c1": ["Plan", "Do", "Thank"]})
    assert choose_vocabulary(upkeep, tool).name == "tool"
    assert choose_vocabulary(upkeep, own).name == "own"
    assert choose_vocabulary(upkeep, own, "tool").name == "tool"
    assert words_known(upkeep, tool) >= ENOUGH


def test_half_of_the_words_are_enough_and_less_is_refused(tmp_path: Path) -> None:
    upkeep = load_practices([practice_in(tmp_path)])["upkeep"]
    half = log_of({"c1": ["Plan", "Do", "x", "y"]})
    less = log_of({"c1": ["Plan", "x", "y"]})
    assert choose_vocabulary(upkeep, half).name == "own"
    assert coverage(choose_vocabulary(upkeep, half), half) * 2 == 1
    assert words_known(upkeep, less) < ENOUGH
    with pytest.raises(CodedError, match=r"RU212.*'Plan', 'x', 'y'.*own, tool"):
        choose_vocabulary(upkeep, less)
    with pytest.raises(CodedError, match=r"RU211.*Did you mean 'tool'"):
        choose_vocabulary(upkeep, less, "tol")


# --- translating


def test_translate_by_hand(tmp_path: Path) -> None:
    upkeep = load_practices([practice_in(tmp_path)])["upkeep"]
    log = log_of(
        {
            "c1": ["open+new", "open+new", "open+busy", "open+busier", "shut", "Thank"],
            "c2": ["open+busy", "odd+word", "odd+word", "open+busy"],
            "c3": ["shut"],
        }
    )
    found = translate(log, upkeep, "tool")
    assert words(found.log) == [
        *["Plan", None, "Do", None, "End", "Thank"],  # busy and busier are one word
        *["Do", "odd+word", None, "Do"],
        "End",
    ]
    assert found.log.events[s.RAW_ACTIVITY].to_pylist()[3] == "open+busier"
    assert (found.steps, found.updates) == (8, 3)
    assert found.unmapped == {"odd+word": 2}
    assert found.complete.tolist() == [True, False, True]
    assert found.has_unmapped.tolist() == [False, True, False]
    assert found.unobserved == ()  # "Thank" is a practice's word, and the log has it


def test_with_its_own_words_nothing_is_unobserved_and_nothing_is_an_update(tmp_path: Path) -> None:
    upkeep = load_practices([practice_in(tmp_path)])["upkeep"]
    found = translate(log_of({"c1": ["Do", "Do"]}), upkeep)
    assert words(found.log) == ["Do", "Do"]
    assert (found.updates, found.unobserved) == (0, ())


def test_a_word_that_the_vocabulary_cannot_say_is_unobserved(tmp_path: Path) -> None:
    upkeep = load_practices([practice_in(tmp_path)])["upkeep"]
    found = translate(log_of({"c1": ["open+busy", "shut"]}), upkeep)
    assert found.unobserved == ("Thank",)
    desk = prepare_desk(found, service_levels=load_service_levels(), as_of_us=0).desk
    assert desk.unobserved == {
        "Thank",
        "Plan",
    }  # "Plan" is implied: that it is missing says nothing
    assert desk.alignment is None


def test_an_implied_step_may_leave_no_event() -> None:
    incident = load_practices()["incident"]
    log = log_of(
        {
            "c1": ["New", "Active", "Resolved", "Closed"],
            "c2": ["Active", "Resolved", "Closed"],
            "c3": ["Active", "New", "Resolved", "Closed"],
            "c4": ["New", "Resolved", "Closed"],
            "c5": ["Active", "Active", "-100", "Resolved", "Closed"],
        }
    )
    found = translate(log, incident)
    assert found.vocabulary.name == "uci_servicenow"
    prepared = prepare_desk(found, service_levels=load_service_levels(), as_of_us=0)
    assert prepared.desk.alignment is not None
    assert prepared.desk.alignment.lower.tolist() == [0, 0, 1, 1, 1]
    assert prepared.desk.unmapped is not None
    assert prepared.desk.unmapped.tolist() == [False] * 4 + [True]


def test_an_empty_log_and_a_case_without_events(tmp_path: Path) -> None:
    upkeep = load_practices([practice_in(tmp_path)])["upkeep"]
    empty = translate(log_of({}), upkeep)
    assert (empty.steps, len(empty.complete)) == (0, 0)
    table = log_of({"c1": ["Do"]}).events.select([s.CASE_ID, s.ACTIVITY, s.AT])
    cases = pa.table({s.CASE_ID: ["c0", "c1", "c2"]})
    found = translate(EventLog.build(table, cases=cases, meta=LogMeta("test")), upkeep)
    assert found.complete.tolist() == [False] * 3


# --- real logs


@pytest.mark.skipif(not UCI.exists(), reason="../shared/data/uci_servicenow is missing")
def test_uci_in_the_words_of_incident_management() -> None:
    log = open_log([UCI], ReadOptions(mapping=MAPPING))
    found = translate(log, load_practices()["incident"])
    assert found.vocabulary.name == "uci_servicenow"
    assert (found.log.n_cases, found.steps + found.updates) == (13_302, 81_519)
    assert found.steps == 48_184
    assert found.unmapped == {}
    assert found.complete.all()
    assert {"Classify", "Assign", "Escalate", "Reopen", "Cancel"} <= set(found.unobserved)
    raw = log.events[s.ACTIVITY].to_pylist()
    steps = [w is not None for w in words(found.log)]
    case_of = log.arrays.case_of
    for i in range(1, 20_000):  # an update is a row with the state of the row before it
        same = raw[i] == raw[i - 1] and case_of[i] == case_of[i - 1]
        assert steps[i] != same


@pytest.mark.skipif(not BPIC13.exists(), reason="../shared/data/bpic13 is missing")
def test_bpic13_in_the_words_of_problem_management() -> None:
    log = open_log([BPIC13], ReadOptions())
    practices = load_practices()
    assert [p.name for p in practices.values() if words_known(p, log) >= ENOUGH] == ["problem"]
    found = translate(log, practices["problem"])
    assert found.vocabulary.name == "bpic13"
    assert (found.log.n_cases, found.steps + found.updates) == (1_487, 6_660)
    assert found.unmapped == {"Unmatched+Unmatched": 10}
    assert np.count_nonzero(found.has_unmapped) == 10
    assert set(found.unobserved) >= {"Register", "Classify", "Resolve", "Identify root cause"}


URGENT = """
name = "urgent"
title = "Urgent incidents"
itil = "Incident management"
owner = "Incident manager"
version = 1
valid_from = 2026-01-01
model = "model.bpmn"
refines = "incident"
activities = ["Call the minister"]

[when]
column = "attr.kind"
values = ["Urgent ", "vip"]

[[vocabularies]]
name = "jira"
title = "Jira statuses, and one of our own"
repeats = "updates"
updates = ["Pending"]

[vocabularies.words]
"Minister" = "Call the minister"
"""


@pytest.fixture
def kinds(tmp_path: Path) -> Path:
    folder = tmp_path / "urgent"
    folder.mkdir()
    (folder / "practice.toml").write_text(URGENT)
    source = ROOT / "rules" / "itil" / "incident" / "model.bpmn"
    (folder / "model.bpmn").write_bytes(source.read_bytes())
    return tmp_path


def test_a_kind_of_a_practice_has_its_words_and_its_rules_but_a_model_of_its_own(
    kinds: Path,
) -> None:
    catalogue = load_catalogue((kinds,))
    base, kind = catalogue.practices["incident"], catalogue.practices["urgent"]
    assert kind.words == base.words | {"Call the minister"}
    assert kind.case_type == "incident"
    jira = {one.name: one for one in kind.vocabularies}["jira"]
    assert jira.words["Minister"] == "Call the minister"
    assert jira.words["Done"] == "Resolve"
    assert "Pending" not in jira.words
    codes = {rule.code for rule in catalogue.for_cases("urgent")}
    assert codes == {rule.code for rule in catalogue.for_cases("incident")} - {"INC006"}


def test_cases_of_a_kind_are_parted_from_the_practice(kinds: Path) -> None:
    practices = load_catalogue((kinds,)).practices
    cases = pa.table(
        {
            "case_id": ["A", "B", "C", "D"],
            "practice": ["incident"] * 4,
            "attr.kind": ["URGENT", " vip", "usual", None],
        }
    )
    events = pa.table({"case_id": list("ABCD"), "activity": ["Register"] * 4, "at": [1, 2, 3, 4]})
    log = EventLog.build(events, cases=cases, meta=LogMeta("test"))
    for chosen in (None, "incident"):
        shares = split_by_practice(log, practices, chosen)
        found = {one.name: part.cases["case_id"].to_pylist() for one, part in shares}
        assert found == {"incident": ["C", "D"], "urgent": ["A", "B"]}
    ((only, part),) = split_by_practice(log, practices, "urgent")
    assert (only.name, part.cases["case_id"].to_pylist()) == ("urgent", ["A", "B"])
    usual = log.select(np.array([False, False, True, True]))
    assert [one.name for one, _ in split_by_practice(usual, practices, None)] == ["incident"]


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ('refines = "incident"', "", "RU213"),
        ('refines = "incident"', 'refines = "incidents"', "RU214"),
        ('refines = "incident"', 'refines = "urgent"', "RU215"),
        ('model = "model.bpmn"', "", "RU216"),
        ('updates = ["Pending"]', 'updates = ["Minister"]', "RU207"),
        ('column = "attr.kind"', 'colum = "attr.kind"', "RU202"),
    ],
)
def test_mistakes_about_kinds(kinds: Path, before: str, after: str, code: str) -> None:
    file = kinds / "urgent" / "practice.toml"
    file.write_text(file.read_text().replace(before, after, 1))
    with pytest.raises(CodedError) as error:
        load_practices((kinds,))
    assert code in str(error.value)


def test_declared_updates_are_no_steps_and_hide_no_repetition() -> None:
    practice = load_practices()["incident"]
    words = ["Open", "Assignment", "Impact Change", "Reassignment", "Resolved", "Closed"]
    events = pa.table({"case_id": ["A"] * 6, "activity": words, "at": list(range(6))})
    log = EventLog.build(events, meta=LogMeta("test"))
    found = translate(log, practice, "bpic14")
    steps = found.log.events["activity"].to_pylist()
    assert steps == ["Register", "Assign", None, None, "Resolve", "Close"]
    assert (found.steps, found.updates, dict(found.unmapped)) == (4, 2, {})


def test_updates_in_the_practices_own_words_are_no_steps(tmp_path: Path) -> None:
    text = GOOD.replace(
        'outside_model = ["Thank"]', 'outside_model = ["Thank"]\nupdates = ["Note"]'
    )
    practice = load_practices((practice_in(tmp_path, text),))["upkeep"]
    found = translate(log_of({"c": ["Plan", "Note", "Do", "End", "Note"]}), practice, "own")
    assert words(found.log) == ["Plan", None, "Do", "End", None]
    assert (found.steps, found.updates, dict(found.unmapped)) == (3, 2, {})
    assert found.complete.tolist() == [True]
    assert "Note" not in practice.words
    twice = text.replace('updates = ["Note"]', 'updates = ["Do"]')
    with pytest.raises(CodedError, match="RU205 'Do' stands twice"):
        load_practices((practice_in(tmp_path, twice),))


def test_a_kind_of_a_practice_has_its_updates() -> None:
    practices = load_practices()
    assert "Customer replied" in practices["incident"].updates
    assert set(practices["major_incident"].updates) == set(practices["incident"].updates)
