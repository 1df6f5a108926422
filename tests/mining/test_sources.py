"""Which files make which log, and what is said about those that do not?"""

from __future__ import annotations

import gzip
import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import process_mining.sources
from process_mining.errors import CodedError, RunError
from process_mining.eventlog import SourceFile
from process_mining.sources import ReadOptions, find_mapping, open_log, sources

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from process_mining.sources import Parts

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
CSV = "case_id,activity,at\nA,start,2024-01-01T10:00:00Z\nA,end,2024-01-01T11:00:00Z\n"
NDJSON = '{"case_id":"A","activity":"start","at":"2024-01-01T10:00:00Z"}\n'
XES = (
    '<log><trace><string key="concept:name" value="A"/><event>'
    '<string key="concept:name" value="start"/>'
    '<date key="time:timestamp" value="2024-01-01T10:00:00Z"/></event></trace></log>'
)


def stored(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_source_is_a_module_that_lies_in_the_folder() -> None:
    tables, own = ["csv_mapped", "parquet", "warehouse"], ["ndjson", "own_cases"]
    tools = ["github", "jira", "opsgenie", "pagerduty", "servicenow", "zendesk"]
    assert list(sources()) == sorted([*tables, *own, *tools, "ocel", "xes"])


@pytest.mark.parametrize(
    ("content", "source"), [(CSV, "csv_mapped"), (NDJSON, "ndjson"), (XES, "xes")]
)
@pytest.mark.parametrize("packed", [False, True])
def test_the_content_decides_and_not_the_name(
    tmp_path: Path, content: str, source: str, *, packed: bool
) -> None:
    data = gzip.compress(content.encode()) if packed else content.encode()
    log = open_log([stored(tmp_path, "log.bin", data)])
    assert log.meta.source == source
    assert log.events["activity"][0].as_py() == "start"


def test_each_file_is_remembered_without_its_folder(tmp_path: Path) -> None:
    path = stored(tmp_path, "log.csv", CSV)
    digest = hashlib.sha256(CSV.encode()).hexdigest()
    assert open_log([path]).meta.files == (SourceFile("log.csv", digest, len(CSV)),)


def test_events_and_case_table_make_one_log(tmp_path: Path) -> None:
    events = stored(tmp_path, "events.ndjson", NDJSON)
    cases = stored(
        tmp_path,
        "tickets.csv",
        "case_id,practice,priority,opened,channel\n"
        "A,incident,P2,2024-01-01T09:00:00+01:00,phone\nB,incident,P3,,mail\n",
    )
    log = open_log([cases, events])
    assert log.meta.source == "ndjson+own_cases"
    assert log.cases.to_pydict()["case_id"] == ["A", "B"]
    assert log.cases.to_pydict()["priority"] == ["P2", "P3"]
    assert log.cases.to_pydict()["attr.channel"] == ["phone", "mail"]
    assert log.cases["opened"].to_pylist() == [1_704_096_000_000_000, None]
    assert log.meta.rows_in == 3


def test_the_order_of_the_files_changes_no_row(tmp_path: Path) -> None:
    one = stored(tmp_path, "one.csv", CSV)
    two = stored(tmp_path, "two.csv", CSV.replace("A,", "B,"))
    assert open_log([one, two]).meta.sha256 == open_log([two, one]).meta.sha256


def test_a_ticket_may_stand_once_in_a_case_table(tmp_path: Path) -> None:
    events = stored(tmp_path, "events.ndjson", NDJSON)
    cases = stored(tmp_path, "t.csv", "case_id,priority\nA,P1\nB,P1\nA,P2\n")
    with pytest.raises(RunError, match=r"LG080 case 'A' stands in t\.csv line 2 and .* line 4"):
        open_log([events, cases])


def test_a_case_table_alone_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="LG034"):
        open_log([stored(tmp_path, "t.csv", "case_id,priority\nA,P1\n")])


def test_a_case_table_needs_the_case_id(tmp_path: Path) -> None:
    path = stored(tmp_path, "t.csv", "caseid,priority\nA,P1\n")
    with pytest.raises(CodedError, match=r"LG041 .*Did you mean 'caseid'\?"):
        open_log([path], ReadOptions(source="own_cases"))


@pytest.mark.parametrize(
    ("make", "code", "exit_code"),
    [
        (lambda folder: folder / "absent.csv", "LG011", 2),
        (lambda folder: folder, "LG012", 2),
        (lambda folder: stored(folder, "empty.csv", ""), "LG014", 3),
        (lambda folder: stored(folder, "empty.csv.gz", gzip.compress(b"")), "LG014", 3),
        (lambda folder: stored(folder, "log.zip", b"PK\x03\x04rest"), "LG017", 2),
        (lambda folder: stored(folder, "prose.txt", "Dear colleagues"), "LG030", 2),
    ],
)
def test_a_file_that_holds_no_log_gives_one_coded_error(
    tmp_path: Path, make: Callable[[Path], Path], code: str, exit_code: int
) -> None:
    with pytest.raises(CodedError, match=code) as caught:
        open_log([make(tmp_path)])
    assert caught.value.exit_code == exit_code
    assert caught.value.fix


def test_no_file_and_one_file_twice_are_refused(tmp_path: Path) -> None:
    path = stored(tmp_path, "log.csv", CSV)
    with pytest.raises(CodedError, match="LG010"):
        open_log([])
    with pytest.raises(CodedError, match="LG015"):
        open_log([path, tmp_path / "." / "log.csv"])


def test_an_unknown_source_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(CodedError, match=r"LG032 .*Did you mean 'parquet'\?"):
        open_log([stored(tmp_path, "log.csv", CSV)], ReadOptions(source="parket"))


class Greedy:
    """A source that takes every file; reading one can change it."""

    NAME = "greedy"

    def sniff(self, path: Path, head: bytes) -> bool:
        return bool(path and head)

    def read(self, paths: Sequence[Path], options: ReadOptions) -> Parts:
        parts = sources()["csv_mapped"].read(paths, options)
        with paths[0].open("a") as file:
            file.write("A,more,2024-01-01T12:00:00Z\n")
        return parts


def test_a_file_that_two_sources_know_is_ambiguous(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = {"greedier": Greedy(), "greedy": Greedy(), "csv_mapped": sources()["csv_mapped"]}
    monkeypatch.setattr(process_mining.sources, "sources", lambda: two)
    with pytest.raises(CodedError, match=r"LG031 log\.csv .*by greedier or greedy\..*--source"):
        open_log([stored(tmp_path, "log.csv", CSV)])


def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = sources()
    monkeypatch.setattr(process_mining.sources, "sources", lambda: known | {"greedy": Greedy()})
    with pytest.raises(RunError, match="LG016"):
        open_log([stored(tmp_path, "log.csv", CSV)], ReadOptions(source="greedy"))


def test_a_named_source_overrides_the_content(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="LG072"):
        open_log([stored(tmp_path, "log.csv", CSV)], ReadOptions(source="xes"))


def test_a_mapping_that_would_not_be_used_is_refused(tmp_path: Path) -> None:
    options = ReadOptions(mapping=find_mapping("uci_servicenow"))
    with pytest.raises(CodedError, match="LG033"):
        open_log([stored(tmp_path, "a.ndjson", NDJSON)], options)
    with pytest.raises(CodedError, match=r"LG041 a\.xes has no column 'number'"):
        open_log([stored(tmp_path, "a.xes", XES)], options)


@pytest.mark.parametrize("cut", [12, 20, -9, -1])
def test_a_cut_gzip_is_an_error_and_never_a_shorter_log(tmp_path: Path, cut: int) -> None:
    data = gzip.compress(CSV.encode() * 50)
    with pytest.raises(RunError, match="LG020"):
        open_log([stored(tmp_path, "log.csv.gz", data[:cut])])


def test_a_damaged_gzip_is_an_error(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(CSV.encode()))
    data[-6] ^= 1  # the check sum
    with pytest.raises(RunError, match="LG021"):
        open_log([stored(tmp_path, "log.csv.gz", bytes(data))])
    with pytest.raises(RunError, match="LG021"):
        open_log([stored(tmp_path, "b.csv.gz", gzip.compress(CSV.encode()) + b"tail")])


def test_gzip_of_several_members_and_with_padding_is_whole(tmp_path: Path) -> None:
    head, tail = CSV.split("A,end")
    data = gzip.compress(head.encode()) + gzip.compress(f"A,end{tail}".encode()) + b"\0" * 512
    assert open_log([stored(tmp_path, "log.csv.gz", data)]).n_events == 2


def test_a_bomb_is_refused_before_it_fills_the_memory() -> None:
    path = SHARED / "hostile" / "xml" / "bomb_value_1GB.xes.gz"
    if not path.exists():
        pytest.skip("shared/data is missing")
    start = time.perf_counter()
    with pytest.raises(RunError, match="LG022"):
        open_log([path])
    assert time.perf_counter() - start < 20


def test_rejects_stop_the_reading_unless_allowed(tmp_path: Path) -> None:
    rows = "".join(f"A,late,{n}\n" for n in range(5))
    path = stored(tmp_path, "log.csv", CSV + rows)
    with pytest.raises(RunError) as caught:
        open_log([path])
    message = str(caught.value)
    assert message.startswith("LG035 5 of 7 rows cannot be read: log.csv line 4: LG104 at '0'")
    assert "line 6" in message
    assert "line 7" not in message
    assert "and 2 more" in message
    assert "--allow-rejects" in message
    meta = open_log([path], ReadOptions(allow_rejects=True)).meta
    assert (meta.rows_in, meta.rejects.num_rows) == (7, 5)
    assert meta.rejects.to_pylist()[0] == {
        "file": "log.csv",
        "place": "line 4",
        "code": "LG104",
        "reason": "at '0' does not follow the declared format 'iso'",
    }


def test_names_are_pseudonyms_unless_clear_names_are_wanted(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.csv", "case_id,activity,at,actor\nA,x,2024-01-01T10:00:00Z,Eve\n")
    clear = open_log([path], ReadOptions(clear_names=True))
    keyed = open_log([path], ReadOptions(pseudonym_key=b"key"))
    assert clear.events["actor"].to_pylist() == ["Eve"]
    assert keyed.events["actor"][0].as_py().startswith("p-")


def test_a_mapping_that_ships_is_found_by_name_and_any_other_by_path(tmp_path: Path) -> None:
    own = stored(tmp_path, "own.toml", "")
    assert find_mapping("uci_servicenow").name == "uci_servicenow.toml"
    assert find_mapping(str(own)) == own
    with pytest.raises(CodedError, match=r"LG050 .*Did you mean 'uci_servicenow'\?"):
        find_mapping("uci_servicenov")
