"""What tools record, in the words of the practices: their usual ways fit, skipped gates do not."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pytest

from csi.audit import AuditRequest, audit
from process_mining import schema as s
from process_mining.eventlog import EventLog, LogMeta
from process_mining.sources import ReadOptions, open_log
from rules.practice import load_practices, prepare_desk, translate
from rules.service_level import load_service_levels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rules.practice import Practice

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
UCI = DATA / "uci_servicenow" / "incident_event_log_opened_before_2016-04-15.csv.gz"
BPIC13 = DATA / "bpic13" / "BPIC13_closed_problems.xes.gz"
BPIC14 = DATA / "bpic14"
MAPPINGS = ROOT / "process_mining" / "sources" / "mappings"

# Practice, vocabulary, then ways as the tool records them: "+" must fit the model, "-" must not.
WAYS: Final = """
incident uci_servicenow
+ New, Active, Awaiting User Info, Active, Resolved, Closed
- New, Resolved, Closed
incident servicenow
+ New, In Progress, On Hold, In Progress, Resolved, Closed
+ 2, 3, 2, 6, 7
- New, Closed
incident jira
+ Open, In Progress, Pending, Resolved, Closed
- Open, Closed
incident zendesk
+ new, open, pending, open, hold, solved, closed
- new, closed
incident github
+ open, closed
incident bpic14
+ Open, Assignment, Operator Update, Reassignment, Operator Update, Closed
+ Open, Assignment, Status Change, Caused By CI, Closed
- Open, Closed, Assignment, Closed
major_incident servicenow
+ New, In Progress, On Hold, In Progress, Resolved, Closed
- New, In Progress, Closed
problem bpic13
+ Accepted+In Progress, Queued+Awaiting Assignment, Accepted+In Progress, Completed+Closed
- Queued+Awaiting Assignment, Completed+Closed
problem servicenow
+ New, Assess, Root Cause Analysis, Fix in Progress, Resolved, Closed
- New, Assess, Fix in Progress, Resolved, Closed
problem jira
+ Open, Under investigation, Pending, Resolved, Closed
- Open, Closed
problem zendesk
+ new, open, hold, open, solved, closed
- new, solved, closed
service_request servicenow
+ Open, Work in Progress, Closed Complete
+ Open, Pending, Work in Progress, Pending, Closed Incomplete
+ 1, -5, 2, 3
- Open, Closed Complete, Work in Progress, Closed Complete
service_request jira
+ Waiting for support, In Progress, Resolved, Closed
+ Waiting for approval, Waiting for support, Waiting for customer, Resolved, Closed
+ Waiting for approval, Declined
- Waiting for support, Waiting for approval, Resolved
- Waiting for support, Resolved, Waiting for customer, Closed
service_request zendesk
+ new, pending, open, solved, closed
+ new, solved, closed
- new, solved, pending, closed
standard_change servicenow
+ New, Scheduled, Implement, Review, Closed
+ -5, -2, -1, 0, 3
- New, Assess, Scheduled, Implement, Review, Closed
- New, Authorize, Scheduled, Implement, Review, Closed
standard_change jira
+ Open, Awaiting implementation, Implementing, Completed
- Open, Awaiting CAB approval, Implementing, Completed
normal_change servicenow
+ New, Assess, Authorize, Scheduled, Implement, Review, Closed
+ New, Assess, New, Assess, Authorize, Scheduled, New, Canceled
+ -5, -4, -3, -2, -1, 0, 3
- New, Scheduled, Implement, Review, Closed
- New, Assess, Scheduled, Implement, Review, Closed
- New, Assess, Authorize, Scheduled, Implement, Closed
normal_change jira
+ Open, Under review, Planning, Awaiting CAB approval, Awaiting implementation, Implementing, Done
+ Review, Peer review / change manager approval, Planning, Awaiting CAB approval, Declined
- Open, Under review, Planning, Awaiting implementation, Implementing, Completed
emergency_change servicenow
+ New, Authorize, Scheduled, Implement, Review, Closed
- New, Scheduled, Implement, Review, Closed
- New, Authorize, Scheduled, Implement, Closed
emergency_change jira
+ Open, Awaiting CAB approval, Implementing, Completed
- Open, Implementing, Awaiting CAB approval, Completed
release servicenow
+ Open, Work in Progress, Closed Complete
+ Pending, Open, Work in Progress, Closed Incomplete
- Open, Closed Complete
release jira
+ To Do, In Progress, Done
- To Do, Done
feedback servicenow
+ Ready to take, Canceled
- Complete, Canceled
feedback zendesk
- good, offered
knowledge servicenow
+ Draft, Review, Published, Pending retirement, Published, Pending retirement, Retired
+ draft, review, draft, review, published, outdated
+ Draft, Review, Published, Draft, Review, Published, Retired
- Draft, Published, Retired
knowledge jira
+ To Do, In Progress, In Review, In Progress, Canceled
- To Do, In Progress, Done
- To Do, Done, Canceled
continual_improvement register
+ add, assess, start, measure baseline, implement, evaluate, evaluate, close
+ add, assess, start, measure baseline, implement, evaluate, restart, implement, evaluate, close
+ add, assess, postpone, assess, withdraw
+ add, assess, measure baseline, start, withdraw
- add, start, measure baseline, implement, evaluate, close
- add, assess, start, measure baseline, evaluate, close
- add, assess, start, implement, evaluate, close
- add, assess, start, measure baseline, implement, close
continual_improvement jira
+ To Do, In Progress, Done
- To Do, Done
"""


@cache
def practices() -> Mapping[str, Practice]:
    return load_practices()


def ways() -> list[tuple[str, str, bool, list[str]]]:
    found, head = [], ("", "")
    for line in filter(None, WAYS.splitlines()):
        if line[0] in "+-":
            found.append((*head, line[0] == "+", line[2:].split(", ")))
        else:
            head = (line.split()[0], line.split()[1])
    return found


def log_of(cases: Sequence[Sequence[str]], **columns: Sequence[str | None]) -> EventLog:
    """One case each; `a+b` gives activity a with lifecycle b."""
    rows = [
        (f"c{i}", *word.partition("+")[::2], at)
        for i, ws in enumerate(cases)
        for at, word in enumerate(ws)
    ]
    names = (s.CASE_ID, s.ACTIVITY, s.LIFECYCLE, s.AT)
    events = {name: [row[k] for row in rows] for k, name in enumerate(names)}
    events[s.LIFECYCLE] = pa.array([text or None for text in events[s.LIFECYCLE]], pa.string())
    known = {s.CASE_ID: [f"c{i}" for i in range(len(cases))]}
    more = {name: pa.array(texts, pa.string()) for name, texts in columns.items()}
    return EventLog.build(pa.table(events), cases=pa.table(known | more), meta=LogMeta("test"))


def test_every_vocabulary_is_tried() -> None:
    own = [
        (one.name, vocabulary.name)
        for one in practices().values()
        for vocabulary in one.vocabularies
        if one.model_path is not None and (one.refines is None or one.refines == "change")
    ]
    tried = {(practice, vocabulary) for practice, vocabulary, _, _ in ways()}
    assert tried == {*own, ("major_incident", "servicenow")}


@pytest.mark.parametrize(("practice", "vocabulary", "fits", "words"), ways())
def test_the_ways_of_a_tool(practice: str, vocabulary: str, fits: bool, words: list[str]) -> None:  # noqa: FBT001 - a column of the table
    found = translate(log_of([words]), practices()[practice], vocabulary)
    assert found.unmapped == {}
    prepared = prepare_desk(found, service_levels=load_service_levels(), as_of_us=100)
    assert prepared.desk.alignment is not None
    assert found.complete.all() or not fits
    assert (prepared.desk.alignment.upper.tolist() == [0]) == fits


def test_words_without_a_known_meaning_are_counted_and_stay() -> None:
    log = log_of([["New", "In Progress", "Mothballed", "Resolved", "Closed"]])
    found = translate(log, practices()["incident"], "servicenow")
    assert dict(found.unmapped) == {"Mothballed": 1}
    assert "Mothballed" in found.log.events[s.ACTIVITY].to_pylist()


def test_a_raw_word_that_means_another_word_does_not_show_that_the_source_records_it() -> None:
    """Jira's "Review" is the assessment of a change: whether one was reviewed it does not tell."""
    log = log_of([["Open", "Review", "Awaiting CAB approval", "Implementing", "Completed"]])
    assert "Review" in translate(log, practices()["normal_change"], "jira").unobserved
    log = log_of([["Draft", "Review", "Published"]])
    assert "Review" in translate(log, practices()["knowledge"], "servicenow").unobserved


# --- kinds of changes, from the file to the verdict


NORMAL = ["New", "Assess", "Authorize", "Scheduled", "Implement", "Review", "Closed"]
STANDARD = ["New", "Scheduled", "Implement", "Review", "Closed"]
COLUMNS = "case_id,activity,at,type\n"


def changes(folder: Path, cases: Sequence[tuple[str, Sequence[str]]]) -> AuditRequest:
    rows = [
        f"CHG{i},{word},2024-03-0{at + 1}T10:00:00Z,{kind}\n"
        for i, (kind, words) in enumerate(cases)
        for at, word in enumerate(words)
    ]
    (folder / "changes.csv").write_text(COLUMNS + "".join(rows))
    (folder / "changes.toml").write_text(
        'name = "changes"\ntitle = "Changes"\n'
        '[time]\nformat = "iso"\n'
        '[event]\ncase_id = "case_id"\nactivity = "activity"\nat = "at"\n'
        '[case]\npractice = { constant = "change" }\nattributes = ["type"]\n'
    )
    read = ReadOptions(mapping=folder / "changes.toml")
    return AuditRequest(logs=(folder / "changes.csv",), read=read)


def test_changes_are_compared_with_the_model_of_their_kind_and_never_with_another(
    tmp_path: Path,
) -> None:
    cases = [("normal", NORMAL), ("Standard", STANDARD), ("normal", STANDARD), ("", STANDARD)]
    found = {part.practice.name: part for part in audit(changes(tmp_path, cases)).practices}
    ids = {k: part.translation.log.cases[s.CASE_ID].to_pylist() for k, part in found.items()}
    assert ids == {
        "change": ["CHG3"],
        "normal_change": ["CHG0", "CHG2"],
        "standard_change": ["CHG1"],
    }
    assert found["change"].prepared.alignments is None
    fits = {
        k: part.prepared.desk.alignment.lower.tolist()
        for k, part in found.items()
        if part.prepared.desk.alignment is not None
    }
    assert fits["standard_change"] == [0]
    assert fits["normal_change"][0] == 0
    assert fits["normal_change"][1] > 0


# --- real logs


@pytest.mark.parametrize(
    ("files", "mapping", "practice", "vocabulary", "events", "unmapped"),
    [
        ([UCI], "uci_servicenow", "incident", "uci_servicenow", 81_519, {}),
        ([BPIC13], None, "problem", "bpic13", 6_660, {"Unmatched+Unmatched": 10}),
        (
            sorted(BPIC14.glob("*.csv.gz")),
            "bpic14_rabobank",
            "incident",
            "bpic14",
            39_911,
            {"Callback Request": 4, "Contact Change": 7, "OO Response": 2, "Referred": 1},
        ),
    ],
)
def test_real_logs_are_covered(  # noqa: PLR0913, PLR0917 - one row of the table
    files: list[Path],
    mapping: str | None,
    practice: str,
    vocabulary: str,
    events: int,
    unmapped: dict[str, int],
) -> None:
    if not files or not all(path.exists() for path in files):
        pytest.skip("../shared/data is missing")
    path = None if mapping is None else MAPPINGS / f"{mapping}.toml"
    found = translate(open_log(files, ReadOptions(mapping=path)), practices()[practice])
    assert (found.vocabulary.name, found.log.n_events) == (vocabulary, events)
    assert dict(found.unmapped) == unmapped
    said = Counter(found.log.events[s.RAW_ACTIVITY].to_pylist())
    assert sum(said.values()) == events  # nothing is dropped
