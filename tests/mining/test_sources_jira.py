"""Does every form of a Jira export tell the same story, and is nothing of it lost or guessed?"""

from __future__ import annotations

import copy
import csv
import io
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from improvement.command_line import in_process
from mining.rosetta_story import reference

from process_mining.errors import CodedError, RunError
from process_mining.sources import ReadOptions, jira, open_log, sources
from process_mining.sources._files import head_of

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from process_mining.eventlog import EventLog, Seen

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "exports"
DATA = Path(__file__).parents[1] / "data"
JSM = DATA / "jira" / "jsm_search.json"
OWN_CSV = DATA / "jira" / "issues.csv"
OWN_MAPPING = DATA / "jira" / "issues_mapping.toml"
ROSETTA = sorted((DATA / "rosetta").glob("jira*"))
RAW = "devlake_jira/_raw_jira_api_"

needs_exports = pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is missing")


def read(*paths: Path, **options: Any) -> EventLog:  # noqa: ANN401 - fields of ReadOptions
    return open_log(paths, ReadOptions(clear_names=True, **options))


def shared(*names: str) -> list[Path]:
    return [SHARED / name for name in names]


def stored(folder: Path, name: str, value: object) -> Path:
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def seen(log: EventLog, code: str) -> list[Seen]:
    return [one for one in log.meta.seen if one.code == code]


def column(log: EventLog, name: str, case: str | None = None) -> list[Any]:
    rows = log.events.to_pylist()
    return [row.get(name) for row in rows if case is None or row["case_id"] == case]


def case(log: EventLog, ident: str) -> dict[str, Any]:
    return next(row for row in log.cases.to_pylist() if row["case_id"] == ident)


def jsm() -> dict[str, Any]:
    value: dict[str, Any] = json.loads(JSM.read_text(encoding="utf-8"))
    return value


def issue_of(search: dict[str, Any], key: str) -> dict[str, Any]:
    found: dict[str, Any] = next(issue for issue in search["issues"] if issue["key"] == key)
    return found


# --- the story that every form tells


@pytest.mark.parametrize("folder", ROSETTA, ids=lambda folder: folder.name)
def test_every_form_tells_the_rosetta_story(folder: Path) -> None:
    files = sorted(path for path in folder.iterdir() if path.suffix != ".toml")
    options = ReadOptions(mapping=folder / "mapping.toml")
    log = open_log(files, options)
    assert log.meta.sha256 == reference().meta.sha256
    assert log.meta.seen == ()
    assert open_log(files[::-1], options).meta.sha256 == log.meta.sha256


def test_there_are_four_forms_of_the_story() -> None:
    names = [folder.name for folder in ROSETTA]
    assert names == ["jira", "jira_fivetran", "jira_pages", "jira_server"]


@pytest.mark.parametrize(
    "path",
    [path for folder in ROSETTA for path in sorted(folder.iterdir()) if path.suffix != ".toml"]
    + [JSM, OWN_CSV],
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_our_fixtures_are_ours_alone(path: Path) -> None:
    head = head_of(path)
    fits = [
        name
        for name, source in sources().items()
        if source.sniff(path, head) and not getattr(source, "FALLBACK", False)
    ]
    assert fits == ["jira"]


@needs_exports
def test_no_file_of_another_tool_is_taken() -> None:
    others = [p for p in SHARED.rglob("*") if p.is_file() and "jira" not in str(p)]
    others = [p for p in others if "issue_trace" not in str(p)]
    assert len(others) > 50
    assert [p.name for p in others if jira.sniff(p, head_of(p))] == []


# --- the exports


@needs_exports
def test_devlake_raw_issues() -> None:
    log = read(*shared(RAW + "issues.csv"))
    # 33 issues, 511 entries, 19 comments: counted from the file by another program
    assert log.meta.rows_in == 33 + 511 + 19
    assert (log.n_cases, log.n_events) == (33, 563)
    assert column(log, "activity", "EE-1")[0] == "Inbox"
    assert log.meta.seen == ()
    assert any("'In Development' before and is 'In Progress'" in note for note in log.meta.notes)
    assert log.links.num_rows == 15
    assert set(log.links["kind"].to_pylist()) == {"parent"}


@needs_exports
def test_devlake_raw_changelogs_know_their_issue_by_their_address() -> None:
    log = read(*shared(RAW + "issue_changelogs.csv"))
    assert (log.meta.rows_in, log.n_events) == (279, 279)
    assert Counter(column(log, "case_id")) == {"13383": 100, "13954": 100, "13491": 79}
    [cut] = seen(log, "QG149")
    assert (cut.count, cut.of, cut.cases) == (2, 3, ("13383", "13954"))
    assert seen(log, "QG145")[0].count == 3
    assert column(log, "actor", "13383")[0] is None  # the author of 57278 is anonymised


@needs_exports
def test_devlake_raw_tables_together() -> None:
    names = ("issues", "issue_changelogs", "issue_fields", "issue_types", "status")
    log = read(*shared(*(f"{RAW}{name}.csv" for name in names)))
    assert log.meta.rows_in == 563 + 279 + 2 + 7 + 53
    assert (log.n_cases, log.n_events) == (36, 842)
    assert case(log, "EE-1")["practice"] == "story"
    assert any("issue_fields.csv (field) was needed" in note for note in log.meta.notes)


@needs_exports
def test_devlake_domain_layer() -> None:
    folder = "devlake_issue_trace/"
    names = [f"{folder}{name}.csv" for name in ("issues", "issue_changelogs", "board_issues")]
    log = read(*shared(*names))
    assert log.meta.rows_in == 32 + 693 + 32
    with (SHARED / names[1]).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    saves = {(row["issue_id"], row["id"].removesuffix(row["field_name"])) for row in rows}
    created = 32 - 1  # one issue's first change is its creation
    assert log.n_events == len(saves) + created
    assert case(log, "EE-5")["practice"] == "incident"
    assert case(log, "1149308060001017333")["closed"] == 1_685_539_140_000_000
    assert any("board_issues.csv (board) was needed" in note for note in log.meta.notes)
    only = read(*shared(names[0]))
    assert seen(only, "QG148")[0].count == only.n_cases == 32
    alone = read(*shared(names[1]))
    assert seen(alone, "QG145")[0].count == alone.n_cases == 32


@needs_exports
@pytest.mark.parametrize(
    ("folder", "n_files", "rows"), [("jira_dbt", 13, 60), ("fivetran_dbt_jira", 22, 87)]
)
def test_fivetran_tables(folder: str, n_files: int, rows: int) -> None:
    paths = sorted((SHARED / folder).rglob("*.csv"))
    assert len(paths) == n_files
    log = read(*paths)
    assert log.meta.rows_in == rows == sum(len(data_rows(path)) for path in paths)
    keys = {key for key in log.cases["case_id"].to_pylist() if "-" in key}
    assert keys == {"TP-8", "TP-12", "TCP-1", "TP-10"}
    assert case(log, "TP-8")["opened"] == microseconds("2020-04-01T08:33:58+00:00")
    assert case(log, "TCP-1")["priority"] == "P3"
    assert column(log, "activity", "TP-8") == ["In Progress"] * len(column(log, "at", "TP-8"))
    assert any("user.csv (user) was needed" in note for note in log.meta.notes)
    assert any("status 10003" in note for note in log.meta.notes)
    assert {row["kind"] for row in log.links.to_pylist()} == {"duplicates"}


def data_rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.reader(file) if row][1:]


@needs_exports
def test_every_file_alone_is_a_log_or_a_coded_error() -> None:
    paths = [*SHARED.glob("*jira*/**/*.csv"), *SHARED.glob("devlake_issue_trace/*.csv")]
    assert len(paths) == 13 + 22 + 5 + 3
    outcomes = Counter(outcome(path) for path in paths)
    assert set(outcomes) == {"log", "LG086"}
    assert outcomes["log"] == 13


def outcome(path: Path) -> str:
    try:
        read(path)
    except RunError as error:
        # links alone hold no event, and that is for `open_log` to say
        return "log" if error.code == "LG034" else error.code
    except CodedError as error:
        return error.code
    return "log"


# --- Jira Service Management


def test_states_people_and_comments() -> None:
    log = read(JSM)
    assert column(log, "activity", "SD-1") == [
        *("Open", "Open", "Work in progress", "Waiting for customer", "Waiting for customer"),
        *("Work in progress", "Work in progress", "Resolved", "Closed"),
    ]
    changed = ["assignee", "state", "comment,state", "comment", "state", "comment"]
    assert column(log, "attr.changed", "SD-1") == [None, *changed, "resolution,state", "state"]
    public = [None, None, None, "true", "true", None, "false", None, None]
    assert column(log, "attr.public", "SD-1") == public
    # the second save is anonymised, the last is automation's: nobody is named
    assert [who is None for who in column(log, "actor", "SD-1")].count(True) == 2
    assert log.meta.rows_in == 4 + 17 + 3
    assert log.meta.seen == ()
    assert log.meta.notes == ()


def test_cases_say_practice_priority_times_and_category() -> None:
    log = read(JSM)
    first, problem = case(log, "SD-1"), case(log, "SD-4")
    assert (first["practice"], first["priority"], first["category"]) == (
        "incident",
        "P2",
        "Clients",
    )
    assert first["resolved"] == microseconds("2024-05-06T12:00:00.417+00:00")
    assert first["closed"] == microseconds("2024-05-09T12:00:00.417+00:00")
    assert (problem["practice"], problem["priority"]) == ("problem", "P4")
    assert case(log, "SD-2")["closed"] is None
    assert column(log, "activity", "SD-3") == ["Open"]


def test_service_levels_are_told_of_the_last_cycle() -> None:
    log = read(JSM)
    level = {
        key.removeprefix("attr.sla:Time to resolution:"): value
        for key, value in case(log, "SD-2").items()
        if key.startswith("attr.sla:Time to resolution:") and value is not None
    }
    assert level == {
        "state": "running",
        "breached": "false",
        "ever_breached": "true",
        "cycles": "2",
        "start": "2024-05-08T09:00:00+0100",
        "due": "2024-05-08T13:00:00+0100",
        "goal_ms": "14400000",
        "elapsed_ms": "600000",
        "remaining_ms": "13800000",
    }
    assert case(log, "SD-3")["attr.sla:Time to first response:state"] == "paused"
    assert case(log, "SD-1")["attr.sla:Time to resolution:state"] == "completed"
    assert case(log, "SD-1")["attr.satisfaction"] == "5"
    assert case(log, "SD-1")["attr.satisfaction_date"] == "2024-05-10T08:00:00.000+0100"


def test_service_levels_may_come_in_pages_of_their_own(tmp_path: Path) -> None:
    search = jsm()
    level = issue_of(search, "SD-1")["fields"].pop("customfield_10031")
    address = "https://desk.example.net/rest/servicedeskapi/request/10001/sla"
    page = {"size": 1, "start": 0, "limit": 50, "_links": {"self": address}, "values": [level]}
    level.pop("_links")
    log = read(stored(tmp_path, "a.json", search), stored(tmp_path, "b.json", page))
    assert log.meta.sha256 == read(JSM).meta.sha256
    assert log.meta.rows_in == read(JSM).meta.rows_in + 1


def test_links_say_kind_direction_and_time() -> None:
    links = [tuple(row.values()) for row in read(JSM).links.to_pylist()]
    assert links == [
        ("SD-1", "SD-4", "problem_incident_inward", None),
        ("SD-2", "SD-1", "relates", None),
        ("SD-4", "SD-1", "problem_incident", microseconds("2024-05-06T13:30:00.417+00:00")),
    ]


def test_names_and_addresses_of_people_stay_out() -> None:
    log = read(JSM)
    everything = str(log.events.to_pydict()) + str(log.cases.to_pydict())
    assert "Person" not in everything
    assert "@" not in everything
    hidden = open_log([JSM])
    assert "712020" not in str(hidden.events.to_pydict())


def test_an_audit_runs_end_to_end(tmp_path: Path) -> None:
    ran = in_process("audit", JSM, "--out", tmp_path / "out", "--json")
    assert ran.code == 0, ran.err
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["log"]["cases"] == 4
    models = {row["practice"]: row for row in summary["conformance"]}
    assert {"incident", "problem"} == set(models)
    assert models["incident"]["fitting_cases"] == models["incident"]["cases"] == 1
    codes = {row["code"] for row in summary["rules"]}
    assert {"INC001", "PRB004"} <= codes


# --- what is missing


def test_a_cut_changelog_is_told_and_its_pages_make_it_whole(tmp_path: Path) -> None:
    search = jsm()
    changelog = issue_of(search, "SD-1")["changelog"]
    older = changelog["histories"][3:]
    changelog["histories"] = changelog["histories"][:3]
    cut = stored(tmp_path, "cut.json", search)
    [found] = seen(read(cut), "QG149")
    assert (found.count, found.of, found.subject) == (1, 4, "jira changelog")
    assert found.cases == ("SD-1",)
    address = "https://desk.example.net/rest/api/3/issue/SD-1/changelog?startAt=0"
    page = {"self": address, "startAt": 0, "maxResults": 100, "total": 6, "values": older[::-1]}
    whole = read(cut, stored(tmp_path, "page.json", page))
    assert seen(whole, "QG149") == []
    assert whole.meta.sha256 == read(JSM).meta.sha256


def test_overlapping_pages_count_once(tmp_path: Path) -> None:
    entries = issue_of(jsm(), "SD-1")["changelog"]["histories"]
    address = "https://desk.example.net/rest/api/2/issue/10001/changelog"
    log = read(JSM, stored(tmp_path, "p.json", {"self": address, "total": 6, "values": entries}))
    assert log.meta.sha256 == read(JSM).meta.sha256
    assert log.meta.notes == ("6 records stand in the export more than once",)


def test_a_search_that_counts_more_than_it_gives(tmp_path: Path) -> None:
    search = jsm() | {"total": 250}
    [found] = seen(read(stored(tmp_path, "s.json", search)), "QG149")
    assert (found.count, found.of, found.subject, found.cases) == (246, 250, "jira search", ())


def test_the_pages_of_a_search_count_together(tmp_path: Path) -> None:
    search = jsm()
    one, two = copy.deepcopy(search), copy.deepcopy(search)
    one["issues"], two["issues"], two["startAt"] = search["issues"][:3], search["issues"][3:], 3
    paths = [stored(tmp_path, "1.json", one), stored(tmp_path, "2.json", two)]
    log = read(*paths)
    assert log.meta.seen == ()
    assert log.meta.sha256 == read(JSM).meta.sha256
    assert seen(read(paths[0]), "QG149")[0].count == 1


def test_a_search_by_token_that_goes_on(tmp_path: Path) -> None:
    search = {key: value for key, value in jsm().items() if key in {"issues", "names"}}
    more = stored(tmp_path, "a.json", search | {"nextPageToken": "CAEaAggD", "isLast": False})
    assert seen(read(more), "QG149")[0].subject == "jira search goes on"
    last = stored(tmp_path, "b.json", {"issues": [], "isLast": True})
    assert read(more, last).meta.seen == ()
    done = stored(tmp_path, "c.json", search | {"isLast": True})
    assert read(done).meta.seen == ()


def test_comments_that_are_not_given_are_told(tmp_path: Path) -> None:
    search = jsm()
    issue_of(search, "SD-1")["fields"]["comment"]["total"] = 7
    [note] = read(stored(tmp_path, "s.json", search)).meta.notes
    assert note == "jira: 1 issues have more comments than are given"


def test_an_issue_without_changelog_shows_its_milestones(tmp_path: Path) -> None:
    search = jsm()
    for issue in search["issues"]:
        del issue["changelog"]
        issue["fields"]["comment"]["comments"] = []
    log = read(stored(tmp_path, "s.json", search))
    assert column(log, "activity", "SD-1") == ["Opened", "Resolved"]
    assert seen(log, "QG148")[0].count == 4


def test_an_untouched_issue_stays_one_when_it_is_only_commented(tmp_path: Path) -> None:
    search = jsm()
    issue_of(search, "SD-3")["fields"]["updated"] = "2024-05-09T00:00:00.000+0100"
    assert read(stored(tmp_path, "s.json", search)).meta.sha256 == read(JSM).meta.sha256
    del issue_of(search, "SD-3")["changelog"]
    log = read(stored(tmp_path, "s.json", search))
    assert seen(log, "QG148")[0].cases == ("SD-3",)


# --- states


def test_a_renamed_status_is_one_state(tmp_path: Path) -> None:
    search = jsm()
    for entry in issue_of(search, "SD-1")["changelog"]["histories"]:
        for item in entry["items"]:
            for name in ("fromString", "toString"):
                if item[name] == "Work in progress":
                    item[name] = "In Bearbeitung"  # called so until SD-2 was opened
    log = read(stored(tmp_path, "s.json", search))
    assert log.meta.sha256 == read(JSM).meta.sha256
    assert log.meta.notes == (
        "jira: the status 10101 was called 'In Bearbeitung' before and is 'Work in progress' here",
    )


def test_a_translated_present_status_is_no_other_state(tmp_path: Path) -> None:
    search = jsm()
    for issue in search["issues"]:
        if issue["fields"]["status"]["name"] == "Closed":
            issue["fields"]["status"]["name"] = "Geschlossen"
    assert read(stored(tmp_path, "s.json", search)).meta.sha256 == read(JSM).meta.sha256


def test_an_id_that_means_two_states_is_left_as_it_reads(tmp_path: Path) -> None:
    search = jsm()
    for entry in issue_of(search, "SD-4")["changelog"]["histories"]:
        for item in entry["items"]:
            if item["to"] == "10106":
                item["to"] = "10101"  # another site's id of "Under investigation"
            if item["from"] == "10106":
                item["from"] = "10101"
    log = read(stored(tmp_path, "s.json", search))
    assert log.meta.sha256 == read(JSM).meta.sha256


def test_a_change_that_starts_elsewhere_is_a_gap(tmp_path: Path) -> None:
    search = jsm()
    entries = issue_of(search, "SD-1")["changelog"]["histories"]
    entry = next(e for e in entries if e["items"][0].get("toString") == "Waiting for customer")
    entries.remove(entry)
    issue_of(search, "SD-1")["changelog"]["total"] -= 1
    log = read(stored(tmp_path, "s.json", search))
    assert seen(log, "QG146")[0].cases == ("SD-1",)


# --- other forms


def test_bulk_changelogs_count_seconds_or_milliseconds(tmp_path: Path) -> None:
    search = jsm()
    logs = []
    for issue in search["issues"]:
        entries = issue.pop("changelog")["histories"]
        for entry in entries:
            moment = datetime.strptime(entry["created"], "%Y-%m-%dT%H:%M:%S.%f%z")
            entry["created"] = round(moment.timestamp() * 1_000)
        logs.append({"issueId": issue["id"], "changeHistories": entries})
        if not entries:
            issue["fields"]["updated"] = issue["fields"]["created"]
    bulk = stored(tmp_path, "b.json", {"issueChangeLogs": logs, "nextPageToken": None})
    log = read(stored(tmp_path, "s.json", search), bulk)
    assert log.meta.sha256 == read(JSM).meta.sha256
    for entry in (entry for one in logs for entry in one["changeHistories"]):
        entry["created"] //= 1_000
    seconds = stored(tmp_path, "c.json", {"issueChangeLogs": logs})
    coarse = read(stored(tmp_path, "s.json", search), seconds)
    at = column(coarse, "at", "SD-4")[1:]
    assert at == [us // 1_000_000 * 1_000_000 for us in column(log, "at", "SD-4")[1:]]


@pytest.mark.parametrize("form", ["lines", "list", "single", "raw"])
def test_answers_kept_otherwise_are_the_same(tmp_path: Path, form: str) -> None:
    issues = jsm()["issues"]
    names = {"names": jsm()["names"]}
    if form == "lines":
        text = "".join(json.dumps(issue | names) + "\n" for issue in issues)
        paths = [stored(tmp_path, "i.ndjson", text)]
    elif form == "list":
        paths = [stored(tmp_path, "i.json", [issue | names for issue in issues])]
    elif form == "single":
        paths = [stored(tmp_path, f"{n}.json", issue | names) for n, issue in enumerate(issues)]
    else:
        out = io.StringIO()
        rows = csv.writer(out)
        rows.writerow(["id", "params", "data", "url", "input", "created_at"])
        rows.writerows(
            [n, "{}", json.dumps(i | names), "u", "null", "t"] for n, i in enumerate(issues)
        )
        paths = [stored(tmp_path, "raw.csv", out.getvalue())]
    assert read(*paths).meta.sha256 == read(JSM).meta.sha256


def test_jiras_own_csv_shows_milestones() -> None:
    log = read(OWN_CSV, mapping=OWN_MAPPING)
    assert log.meta.rows_in == 2
    assert seen(log, "QG148")[0].count == 2
    first = case(log, "SD-7")
    assert first["opened"] == microseconds("2024-03-29T15:00:00+00:00")
    assert first["resolved"] == microseconds("2024-04-02T11:45:00+00:00")
    assert first["closed"] == microseconds("2024-04-05T12:00:00+00:00")
    assert (first["priority"], first["category"], first["attr.Labels"]) == ("P2", "Clients", "vpn")
    assert [tuple(row.values())[:3] for row in log.links.to_pylist()] == [
        ("SD-7", "SD-4", "problem_incident_inward"),
        ("SD-7", "SD-8", "blocks"),
        ("SD-7", "SD-9", "blocks"),
    ]
    assert "Person" not in str(log.events.to_pydict())


def test_jiras_own_csv_may_have_semicolons(tmp_path: Path) -> None:
    with OWN_CSV.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows(rows)
    log = read(stored(tmp_path, "issues.csv", out.getvalue()), mapping=OWN_MAPPING)
    assert log.meta.sha256 == read(OWN_CSV, mapping=OWN_MAPPING).meta.sha256


@pytest.mark.parametrize(
    "time", ["", '[time]\nformat = "%d/%b/%Y %H:%M"\n', '[time]\ntimezone = "Europe/Berlin"\n']
)
def test_the_users_own_format_and_zone_must_be_declared(tmp_path: Path, time: str) -> None:
    mapping = stored(tmp_path, "m.toml", f'name = "m"\n{time}')
    with pytest.raises(CodedError, match="LG054"):
        read(OWN_CSV, mapping=mapping)


def test_issues_deleted_in_jira_are_left_out_and_told(tmp_path: Path) -> None:
    folder = DATA / "rosetta" / "jira_fivetran"
    text = (folder / "issue.csv").read_text()
    row = text.splitlines()[1].replace("1,FALSE", "2,TRUE").replace("ITSM-1", "ITSM-2")
    issues = stored(tmp_path, "issue.csv", text + row + "\n")
    rest = [path for path in folder.glob("*.csv") if path.name != "issue.csv"]
    log = read(issues, *rest, mapping=folder / "mapping.toml")
    assert log.meta.sha256 == reference().meta.sha256
    assert "jira: 1 issues were deleted in Jira and are left out" in log.meta.notes


# --- fields and mappings


def mapping_of(folder: Path, text: str) -> Path:
    return stored(folder, "m.toml", f'name = "m"\n{text}')


def test_a_field_is_meant_by_its_name_or_its_id(tmp_path: Path) -> None:
    story = DATA / "rosetta" / "jira" / "search.json"
    words = {
        mapping_of(tmp_path, f'[fields]\nteam = "{word}"\n')
        and tuple(column(read(story, mapping=tmp_path / "m.toml"), "team"))
        for word in ("Support team", "customfield_10060")
    }
    assert words == {("Service desk",) * 2 + ("Network",) * 7}


def test_a_field_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    mapping = mapping_of(tmp_path, '[fields]\nteam = "Suport team"\n')
    with pytest.raises(CodedError, match=r"LG087 .*Did you mean 'Support team'\?"):
        read(DATA / "rosetta" / "jira" / "search.json", mapping=mapping)
    mapping = mapping_of(tmp_path, '[fields]\nactor = "displayName"\n')
    with pytest.raises(CodedError, match="LG087"):
        read(JSM, mapping=mapping)


def test_attributes_of_people_become_pseudonyms_unasked(tmp_path: Path) -> None:
    mapping = mapping_of(tmp_path, '[fields]\nattributes = ["reporter", "labels", "description"]\n')
    story = DATA / "rosetta" / "jira" / "search.json"
    row = open_log([story], ReadOptions(mapping=mapping)).cases.to_pylist()[0]
    assert row["attr.reporter"].startswith("p-")
    assert row["attr.labels"] == "vpn"
    assert row["attr.description"] == "Drops every ten minutes, call [phone]"


def test_a_mapping_translates_types_priorities_and_states(tmp_path: Path) -> None:
    mapping = mapping_of(
        tmp_path,
        '[practices]\n"[System] Incident" = "problem"\n[priorities]\nHigh = "urgent"\n'
        '[words]\n"Completed" = "Closed"\n',
    )
    log = read(JSM, mapping=mapping)
    assert case(log, "SD-1")["practice"] == "problem"
    assert case(log, "SD-1")["priority"] == "urgent"
    assert "Completed" not in column(log, "activity")
    # closed is the change into what the log calls Closed, and SD-4 was in it from here on
    assert case(log, "SD-4")["closed"] == microseconds("2024-05-10T10:00:00.417+00:00")


def test_a_mapping_of_columns_is_refused(tmp_path: Path) -> None:
    event = '[time]\nformat = "iso"\n[event]\ncase_id = "a"\nactivity = "b"\nat = "c"\n'
    with pytest.raises(CodedError, match="LG033"):
        read(JSM, mapping=mapping_of(tmp_path, event), source="jira")


# --- refused rows


def broken(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    search = jsm()
    change(issue_of(search, "SD-1"))
    return search


def set_entry(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda issue: issue["changelog"]["histories"][0].update({key: value})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda issue: [issue.pop("key"), issue.pop("id"), issue["changelog"].clear()], "LG160"),
        (lambda issue: issue.update(fields=None, changelog={}), "LG161"),
        (lambda issue: issue["fields"].update(created="2024-05-06 08:00"), "LG105"),
        (lambda issue: issue["fields"].update(created="06/05/2024"), "LG104"),
        (lambda issue: issue["changelog"]["histories"].append("entry"), "LG161"),
        (lambda issue: issue["fields"]["comment"]["comments"].append([]), "LG161"),
        (lambda issue: issue["fields"]["status"].update(id=[6]), "LG164"),
        (set_entry("id", None), "LG163"),
        (set_entry("items", None), "LG163"),
        (set_entry("items", [{"toString": "Closed"}]), "LG163"),
        (set_entry("items", [{"field": "status", "to": {}}]), "LG164"),
        (set_entry("created", None), "LG103"),
        (set_entry("created", "yesterday"), "LG104"),
        (set_entry("created", "2024-05-09T12:00:00"), "LG105"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_and_counted(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], code: str
) -> None:
    path = stored(tmp_path, "s.json", broken(change))
    with pytest.raises(RunError, match=f"LG035 .*{code}"):
        read(path)
    log = read(path, allow_rejects=True)
    rejects = log.meta.rejects.to_pylist()
    assert [reject["code"] for reject in rejects][:1] == [code]
    assert all("issue 4" in reject["place"] for reject in rejects)
    assert log.meta.rows_in >= log.n_events - log.n_cases + len(rejects)


def test_entries_that_name_no_issue_are_refused(tmp_path: Path) -> None:
    entries = issue_of(jsm(), "SD-1")["changelog"]["histories"]
    page = stored(tmp_path, "p.json", {"startAt": 0, "total": 6, "values": entries})
    log = read(JSM, page, allow_rejects=True)
    assert log.meta.rejects["code"].to_pylist() == ["LG162"] * 6
    assert log.meta.rows_in == read(JSM).meta.rows_in + 6


def test_a_declared_zone_reads_stamps_without_offset(tmp_path: Path) -> None:
    search = jsm()
    for issue in search["issues"]:
        issue["fields"]["created"] = issue["fields"]["created"].removesuffix("+0100")
    log = read(stored(tmp_path, "s.json", search), timezone="Europe/London")
    assert log.meta.sha256 == read(JSM).meta.sha256


def test_one_issue_in_two_versions_is_an_error(tmp_path: Path) -> None:
    search = jsm()
    issue_of(search, "SD-1")["fields"]["priority"]["name"] = "Low"
    with pytest.raises(RunError, match=r"LG080 case 'SD-1' .* differ in priority"):
        read(JSM, stored(tmp_path, "s.json", search))


def test_lookups_alone_are_no_log() -> None:
    with pytest.raises(CodedError, match="LG086"):
        read(DATA / "rosetta" / "jira_fivetran" / "status.csv")


def test_a_table_of_somebody_else_is_not_read_by_force(tmp_path: Path) -> None:
    with pytest.raises(CodedError, match="LG064"):
        read(stored(tmp_path, "t.csv", "a,b\n1,2\n"), source="jira")


def test_a_text_that_ends_early_is_never_a_shorter_log(tmp_path: Path) -> None:
    data = JSM.read_bytes()
    path = tmp_path / "cut.json"
    for end in range(1, len(data.rstrip()), 509):
        path.write_bytes(data[:end])
        with pytest.raises(CodedError) as caught:
            read(path, source="jira")
        assert caught.value.exit_code == 3


# --- any history


def microseconds(stamp: str) -> int:
    moment = datetime.fromisoformat(stamp) - datetime(1970, 1, 1, tzinfo=UTC)
    return moment // timedelta(microseconds=1)


STATES = ("Open", "In Progress", "Pending", "Resolved", "Closed")
saves = st.lists(
    st.tuples(
        st.integers(0, 2),  # minutes since the save before; saves of one time go by their ids
        st.sampled_from([None, "ann", "bob"]),
        st.sampled_from([*STATES, None, None]),  # the new state, or only a label
    ),
    max_size=6,
)


def told(number: int, story: Sequence[tuple[int, str | None, str | None]]) -> dict[str, Any]:
    """One issue as Jira answers, newest entry first."""
    moment, state, entries = datetime(2024, 5, 1, tzinfo=UTC) + timedelta(hours=number), "Open", []
    created = moment
    for index, (minutes, who, word) in enumerate(story):
        moment += timedelta(minutes=minutes)
        item = {"field": "labels", "fieldtype": "jira", "from": None, "to": None}
        item |= {"fromString": "a", "toString": "b"}
        if word is not None:
            ids = {"from": str(STATES.index(state)), "to": str(STATES.index(word))}
            item = {"field": "status", "fieldtype": "jira", "fromString": state, "toString": word}
            item |= ids
            state = word
        author = {"accountId": who} if who else None
        stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
        ident = str(100 * number + index)
        entries.append({"id": ident, "author": author, "created": stamp, "items": [item]})
    changelog = {"startAt": 0, "total": len(entries), "histories": entries[::-1]}
    status = {"id": str(STATES.index(state)), "name": state}
    fields = {"created": created.strftime("%Y-%m-%dT%H:%M:%S.000+0000"), "status": status}
    fields |= {"issuetype": {"id": "1", "name": "Incident"}}
    return {"id": str(number), "key": f"X-{number}", "changelog": changelog, "fields": fields}


def closing(number: int, story: Sequence[tuple[int, str | None, str | None]]) -> int | None:
    """When the issue was last closed, if it is closed."""
    moment, state, closed = datetime(2024, 5, 1, tzinfo=UTC) + timedelta(hours=number), "Open", None
    for minutes, _, word in story:
        moment += timedelta(minutes=minutes)
        if word == "Closed" != state:
            closed = microseconds(moment.isoformat())
        state = word or state
    return closed if state == "Closed" else None


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(stories=st.lists(saves, min_size=1, max_size=4), seed=st.randoms(use_true_random=False))
def test_any_history_in_any_form_and_order_is_the_same_log(
    tmp_path: Path, stories: list[Any], seed: random.Random
) -> None:
    issues = [told(number, story) for number, story in enumerate(stories, start=1)]
    whole = read(stored(tmp_path, "whole.json", {"issues": issues, "total": len(issues)}))
    for number, story in enumerate(stories, start=1):
        words = ["Open"]
        for _, _, word in story:
            words.append(words[-1] if word is None else word)
        assert column(whole, "activity", f"X-{number}") == words
        assert case(whole, f"X-{number}")["closed"] == closing(number, story)
        assert column(whole, "actor", f"X-{number}")[1:] == [who for _, who, _ in story]
    assert whole.meta.rows_in == len(issues) + sum(map(len, stories))
    lines = []
    for issue in copy.deepcopy(issues):
        entries = issue.pop("changelog")["histories"]
        address = f"https://x.example.net/rest/api/3/issue/{issue['id']}/changelog"
        lines += [{"self": address, "total": len(entries), "values": entries}, issue]
    seed.shuffle(lines)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    pages = read(stored(tmp_path, "pages.ndjson", text), source="jira")
    if any(stories):
        assert pages.meta.sha256 == whole.meta.sha256
    assert pages.meta.rows_in == whole.meta.rows_in


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_rows_in_are_those_accepted_and_those_rejected(tmp_path: Path, data: st.DataObject) -> None:
    stories = data.draw(st.lists(saves, min_size=1, max_size=3))
    issues = [told(number, story) for number, story in enumerate(stories, start=1)]
    entries = [entry for issue in issues for entry in issue["changelog"]["histories"]]
    wrong = data.draw(st.lists(st.sampled_from(range(len(entries) + 1)), max_size=3, unique=True))
    bad = [entries[index] for index in wrong if index < len(entries)]
    for entry in bad:
        spoil = data.draw(st.sampled_from(["id", "created", "items"]))
        entry[spoil] = data.draw(st.sampled_from([None, {}, True]))
    path = stored(tmp_path, "s.json", {"issues": issues, "total": len(issues)})
    log = read(path, allow_rejects=True)
    assert log.meta.rejects.num_rows == len(bad)
    assert log.meta.rows_in == len(issues) + len(entries)
    assert log.n_events == len(issues) + len(entries) - len(bad)
