"""Does a GitHub export tell what each issue went through, its opening and its labels included?"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mining.rosetta_story import reference

from process_mining.errors import CodedError, RunError
from process_mining.sources import ReadOptions, open_log, sources
from process_mining.sources._files import head_of
from rules.practice import load_practices, translate

if TYPE_CHECKING:
    from process_mining.eventlog import EventLog

DATA = Path(__file__).parents[1] / "data"
DESK = DATA / "github"
DEVLAKE = Path(__file__).parents[2].parent / "shared" / "data" / "exports" / "devlake_github"
EVENTS = DEVLAKE / "_raw_github_api_events.csv"
ISSUES = DEVLAKE / "_raw_github_api_issues.csv"
TABLE = DEVLAKE / "_tool_github_issues.csv"
needs_exports = pytest.mark.skipif(not DEVLAKE.is_dir(), reason="no ../shared/data/exports")
API = "https://api.github.com/repos/acme/helpdesk"


def read(*paths: Path, mapping: Path | None = None, allow: bool = False) -> EventLog:
    options = ReadOptions(mapping=mapping, clear_names=True, allow_rejects=allow)
    return open_log(list(paths), options)


def read_records(folder: Path, *records: object, **more: Any) -> EventLog:  # noqa: ANN401
    path = folder / "records.ndjson"
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return read(path, **more)


def desk(mapping: Path | None = None) -> EventLog:
    return read(*sorted(DESK.iterdir()), mapping=mapping)


def case(log: EventLog, number: int) -> dict[str, Any]:
    ends = f"#{number}"
    (row,) = (row for row in log.cases.to_pylist() if row["case_id"].endswith(ends))
    return {key: value for key, value in row.items() if value is not None}


def events(log: EventLog, number: int, *columns: str) -> list[tuple[Any, ...]]:
    ends = f"#{number}"
    rows = (row for row in log.events.to_pylist() if row["case_id"].endswith(ends))
    return [tuple(row.get(column) for column in columns) for row in rows]


def us(stamp: str) -> int:
    moment = datetime.fromisoformat(stamp).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000


def issue(number: int = 1, state: str = "open", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    stamp = "2024-05-06T08:00:00Z"
    return {
        "url": f"{API}/issues/{number}", "repository_url": API, "labels_url": "x", "number": number,
        "state": state, "user": {"login": "eve"}, "labels": [], "created_at": stamp,
        "updated_at": stamp, "closed_at": None, **more,
    }  # fmt: skip


def event(
    name: str,
    at: str,
    number: int = 1,
    actor: str | None = "bo",
    **more: Any,  # noqa: ANN401
) -> dict[str, Any]:
    who = {"login": actor} if actor else None
    return {
        "id": number, "node_id": "E", "commit_id": None, "event": name, "actor": who,
        "created_at": f"2024-05-06T{at}Z", **more,
    }  # fmt: skip


def label(name: str) -> dict[str, Any]:
    return {"label": {"name": name, "color": "fff"}}


def states(folder: Path) -> Path:
    path = folder / "states.toml"
    path.write_text(
        'name = "states"\n[practices]\nissue = "incident"\n'
        '[fields]\nstate = "status: "\nteam = "team: "\n'
    )
    return path


def test_the_story_is_the_same_log() -> None:
    here = DATA / "rosetta" / "github"
    log = read(here / "events.json", here / "issues.json", mapping=here / "mapping.toml")
    assert log.meta.sha256 == reference().meta.sha256
    assert log.meta.source == "github"
    assert (log.meta.seen, log.meta.notes) == ((), ())


@needs_exports
@pytest.mark.parametrize(
    ("paths", "cases", "found", "rows_in", "gate"),
    [
        ([EVENTS], 18, 44, 50, {"QG147": 2}),
        ([ISSUES], 41, 82, 42, {"QG148": 41}),
        ([TABLE], 26, 52, 26, {"QG148": 26}),
        ([EVENTS, ISSUES, TABLE], 59, 126, 118, {"QG147": 2, "QG148": 41}),
    ],
)
def test_tables_of_devlake_are_read(
    paths: list[Path], cases: int, found: int, rows_in: int, gate: dict[str, int]
) -> None:
    log = read(*paths)
    assert (log.n_cases, log.n_events, log.meta.rows_in) == (cases, found, rows_in)
    assert {seen.code: seen.count for seen in log.meta.seen} == gate


@needs_exports
def test_an_issue_of_devlake_is_opened_assigned_and_closed() -> None:
    log = read(EVENTS)
    assert events(log, 226, "activity", "actor", "attr.changed") == [
        ("open", "fufuok", None),  # with its labels, set in the same second by its author
        ("open", "fufuok", "assignee"),  # the assigner, not the assignee
        ("closed", "fufuok", "state"),
    ]
    assert case(log, 226)["practice"] == "issue"
    assert case(log, 206)["practice"] == "pull_request"
    assert case(log, 226)["case_id"] == "panjf2000/ants#226"


@needs_exports
def test_issues_and_table_of_one_collection_agree() -> None:
    for_both = read(ISSUES).cases.to_pylist()
    issues = [row for row in for_both if row["practice"] == "issue"]
    assert issues == read(TABLE).cases.to_pylist()


def test_opening_reopening_and_closing() -> None:
    assert events(desk(), 11, "activity", "actor", "attr.changed") == [
        ("open", "eve", None),
        ("open", "bo", "assignee"),
        ("closed", "bo", "state"),
        ("reopened", "eve", "state,subscribed"),
        ("closed", None, "state"),  # the account is deleted: nobody is named
    ]
    assert events(desk(), 13, "activity", "attr.changed")[-1] == ("closed", "merged,state")
    known = case(desk(), 11)
    assert known["closed"] == us("2024-05-14 09:00:00")
    assert "resolved" not in known  # GitHub knows no such time


def test_labels_with_a_prefix_are_states(tmp_path: Path) -> None:
    log = desk(states(tmp_path))
    assert events(log, 12, "activity", "team", "attr.changed") == [
        ("open", None, None),
        ("In Progress", "Web", "state,team"),
        ("Resolved", "Web", "state"),
        ("closed", "Web", "state"),
        ("reopened", "Web", "state"),
    ]
    assert case(log, 12)["practice"] == "incident"
    assert "resolved" not in case(log, 12)  # reopened since
    assert {seen.code for seen in log.meta.seen} == {"QG148"}


def test_resolved_is_the_last_time_that_still_holds(tmp_path: Path) -> None:
    mapping = states(tmp_path)
    told = [
        event("labeled", "09:00:00", 1, **label("status: Resolved")),
        event("unlabeled", "10:00:00", 2, **label("status: Resolved")),
        event("labeled", "11:00:00", 3, **label("status: Resolved")),
        event("labeled", "11:30:00", 4, **label("team: Web")),
        event("closed", "12:00:00", 5),
    ]
    whole = issue(state="closed", closed_at="2024-05-06T12:00:00Z", events=told)
    log = read_records(tmp_path, whole, mapping=mapping)
    assert case(log, 1)["resolved"] == us("2024-05-06 11:00:00")
    assert [state for (state,) in events(log, 1, "activity")] == [
        "open", "Resolved", "open", "Resolved", "Resolved", "closed",
    ]  # fmt: skip


def test_a_label_of_a_closed_issue_does_not_change_its_state(tmp_path: Path) -> None:
    told = [event("closed", "09:00:00", 1), event("labeled", "10:00:00", 2, **label("status: X"))]
    whole = issue(state="closed", closed_at="2024-05-06T09:00:00Z", events=told)
    mapping = tmp_path / "m.toml"
    mapping.write_text('name = "m"\n[fields]\nstate = "status: "\n')
    log = read_records(tmp_path, whole, mapping=mapping)
    assert events(log, 1, "activity", "attr.changed")[1:] == [
        ("closed", "state"),
        ("closed", "label"),
    ]


def test_events_of_one_second_by_others_are_updates_of_their_own(tmp_path: Path) -> None:
    told = [
        event("labeled", "09:00:00", 1, "bo", **label("a")),
        event("closed", "09:00:00", 2, "cy"),
        event("labeled", "09:00:00", 3, "bo", **label("b")),
        event("renamed", "09:00:00", 4, "bo"),
    ]
    whole = issue(state="closed", closed_at="2024-05-06T09:00:00Z", timeline=told[::-1])
    log = read_records(tmp_path, whole)
    assert events(log, 1, "actor", "attr.changed")[1:] == [
        ("bo", "label"),
        ("cy", "state"),
        ("bo", "label,title"),
    ]
    assert log.cases["order_known"].to_pylist() == [True]


def test_an_event_names_its_issue_or_is_refused(tmp_path: Path) -> None:
    named = event("labeled", "09:00:00", 1, issue_url=f"{API}/issues/1", **label("a"))
    assert read_records(tmp_path, issue(), named).n_events == 2
    lost = event("labeled", "09:00:00", 1, url=f"{API}/issues/events/1", **label("a"))
    with pytest.raises(RunError, match=r"LG035 1 of 2 rows .* line 2: LG170 "):
        read_records(tmp_path, issue(), lost)
    log = read_records(tmp_path, issue(), lost, allow=True)
    assert (log.meta.rows_in, log.meta.rejects.num_rows) == (2, 1)


BAD = {
    "LG103": event("closed", "09:00:00", 7, issue=issue(), created_at=None),
    "LG104": issue(created_at="soon"),
    "LG105": issue(updated_at="2024-05-06T08:00:00"),
    "LG166": {"number_of": 3},
    "LG167": issue(None),  # type: ignore[arg-type]
    "LG168": issue(state="half open"),
}


@pytest.mark.parametrize("code", sorted(BAD))
def test_a_record_that_cannot_be_used_is_refused(tmp_path: Path, code: str) -> None:
    with pytest.raises(RunError, match=rf"LG035 1 of 2 rows .* line 2: {code} "):
        read_records(tmp_path, issue(9), BAD[code])


def test_the_latest_state_of_an_issue_counts(tmp_path: Path) -> None:
    old = issue(labels=[{"name": "p: low"}])
    new = issue(labels=[{"name": "p: high"}], updated_at="2024-05-07T08:00:00Z")
    mapping = tmp_path / "m.toml"
    mapping.write_text('name = "m"\n[priorities]\nhigh = "P2"\n[fields]\npriority = "p: "\n')
    for pair in ([old, new], [new, old]):
        assert case(read_records(tmp_path, *pair, mapping=mapping), 1)["priority"] == "P2"
    with pytest.raises(RunError, match=r"LG080 .* differ in priority"):
        read_records(tmp_path, old, issue(labels=[{"name": "p: high"}]), mapping=mapping)


def test_a_prefix_that_no_label_has_is_an_error(tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text('name = "m"\n[fields]\nstate = "stauts: "\n')
    with pytest.raises(CodedError, match=r"LG089 .*fields\.state: no label or issue"):
        desk(mapping)


def test_a_table_mapping_is_refused() -> None:
    with pytest.raises(CodedError, match="LG033"):
        open_log(
            [DESK / "issues.json"],
            ReadOptions(source="github", mapping=Path("uci_servicenow")),
        )


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 59), st.sampled_from("ab"), st.booleans()), max_size=12),
    st.integers(0, 9),
)
def test_the_order_of_records_plays_no_part(
    tmp_path_factory: pytest.TempPathFactory, found: list[tuple[int, str, bool]], seed: int
) -> None:
    records = [
        event("closed" if shut else "labeled", f"09:00:{at:02}", n, who, issue=issue())
        for n, (at, who, shut) in enumerate(found, start=1)
    ]
    mixed = [*records, issue()]
    random.Random(seed).shuffle(mixed)  # noqa: S311 - a shuffle
    folder = tmp_path_factory.mktemp("g")
    log = read_records(folder, *mixed)
    assert log.meta.sha256 == read_records(folder, issue(), *records).meta.sha256
    assert log.meta.rows_in == len(mixed)
    runs = groupby(sorted(enumerate(found), key=lambda item: (item[1][0], item[0])), key=_save)
    assert log.n_events == 1 + sum(1 for _ in runs)


def _save(item: tuple[int, tuple[int, str, bool]]) -> tuple[int, str]:
    """Who did it, and when: what one update has in common."""
    return item[1][:2]


def test_a_text_that_ends_early_is_never_a_shorter_log(tmp_path: Path) -> None:
    whole = (DESK / "issues.json").read_bytes().rstrip()
    path = tmp_path / "cut.json"
    for length in random.Random(2).sample(range(1, len(whole)), 60):  # noqa: S311 - a sample
        path.write_bytes(whole[:length])
        with pytest.raises(CodedError):
            read(path)


def test_the_practice_knows_githubs_words(tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text('name = "m"\n[practices]\nissue = "incident"\n')
    log = desk(mapping)
    translated = translate(log, load_practices()["incident"])
    assert translated.vocabulary.name == "github"
    words = set(translated.log.events["activity"].to_pylist())
    assert words == {"Register", "Reopen", "Close", None}


def test_only_github_takes_these_files() -> None:
    files = [*DESK.iterdir(), *(DATA / "rosetta" / "github").glob("*.json")]
    known = {n: s for n, s in sources().items() if not getattr(s, "FALLBACK", False)}
    takers = [[n for n, s in known.items() if s.sniff(path, head_of(path))] for path in files]
    assert takers == [["github"]] * 5
