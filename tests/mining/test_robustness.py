"""Does every awkward, broken or malicious file give the right log or one coded error?

Through the public interface only. Four proofs: the table of hostile files; bombs, which are refused
in little memory and time; logs that are cut at any byte, which are never a shorter log; texts that
break other programs, which come out as they went in.
"""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mining import bombs

from csi.inspection import InspectRequest, inspect_log, quality_of, write_inspection
from process_mining.errors import CodedError
from process_mining.sources import ReadOptions, open_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from process_mining.eventlog import EventLog

DATA = Path(__file__).parents[1] / "data"
HOSTILE = Path(__file__).parents[2].parent / "shared" / "data" / "hostile"
needs_data = pytest.mark.skipif(not HOSTILE.exists(), reason="shared/data is missing")
MOST_SECONDS = 2.0
MOST_MIB = 512
MOST_SECONDS_OF_A_BOMB = 20.0  # on a machine that does other things too

Outcome = str | tuple[int, int, int]
ORDERS = ("Purchase Requisition",)
SPECTRUM = (
    "comma_in_quotes", "empty", "empty_crlf", "escaped_quotes", "json", "location_coordinates",
    "newlines", "newlines_crlf", "quotes_and_newlines", "simple", "simple_crlf", "utf8",
)  # fmt: skip

# file → cases, events and rejects, or the code of the one error. Object types of an OCEL log where
# the table of `TYPES` names them, else the log says that they are to be named (LG095).
OUTCOMES: dict[str, Outcome] = {
    "blns/LICENSE": "LG030",
    "blns/blns.json": "LG030",  # texts, and no log; see the texts below
    # tables with columns of their own; test_sources_csv reads them with a mapping, cell by cell
    **{f"csv-spectrum/csvs/{name}.csv": "LG042" for name in SPECTRUM},
    **{f"csv-spectrum/json/{name}.json": "LG030" for name in SPECTRUM},
    "ocel/attr_named_like_internal_column.json": (1, 3, 0),
    "ocel/bad_time.json": (1, 2, 1),
    "ocel/duplicate_event_id.json": (1, 2, 2),
    "ocel/duplicate_object_id.json": "LG097",
    "ocel/empty_obj.json": "LG030",
    "ocel/event_without_relationships.json": (1, 2, 0),
    "ocel/good.json": (1, 3, 0),
    "ocel/mixed_zones.json": (1, 2, 1),
    "ocel/no_types_declared.json": (1, 3, 0),
    "ocel/rt.json": (1, 3, 0),
    "ocel/truncated.json": "LG064",
    "ocel/undeclared_event_type.json": (1, 3, 0),
    "xes/00_good.xes": (5, 10, 0),
    "xes/01_truncated_mid_event.xes": "LG071",
    "xes/03_truncated.xes.gz": "LG020",
    "xes/04_plain_named_gz.xes.gz": (5, 10, 0),
    "xes/06_empty.xes": "LG014",
    "xes/07_no_traces.xes": "LG034",
    "xes/09_no_timestamps_at_all_levelA.xes": (2, 3, 0),
    "xes/10_bad_timestamp.xes": (1, 1, 2),
    "xes/12_equal_timestamps.xes": (1, 5, 0),
    "xes/13_out_of_order_in_trace.xes": (1, 3, 0),
    "xes/15_trace_without_name.xes": (1, 1, 2),
    "xes/16_event_without_name.xes": (1, 2, 1),
    "xes/18_duplicate_key_event.xes": "LG035",  # its only event is a reject
    "xes/19_entities_in_value.xes": (1, 1, 0),
    "xes/21_single_quoted_attrs.xes": (5, 10, 0),
    "xes/22_value_before_key.xes": (1, 1, 0),
    "xes/24_namespace_prefix.xes": (1, 1, 0),
    "xes/25_nested_list.xes": (1, 1, 0),
    "xes/27_container.xes": (1, 1, 0),
    "xes/28_nested_attribute.xes": (1, 1, 0),
    "xes/30_id_and_boolean.xes": (1, 1, 0),
    "xes/31_bigint_float.xes": (1, 1, 0),
    "xes/33_latin1_undeclared.xes": "LG072",
    "xes/34_utf16.xes": (1, 1, 0),
    "xes/36_comment_and_cdata.xes": (1, 1, 0),
    "xes/37_multibyte_at_4096.xes": (1, 12, 0),
    "xes/39_two_logs.xes": "LG074",
    "xes/40_event_outside_trace.xes": "LG073",
    "xes/42_xxe_file.xes": "LG070",
    "xes/43_quadratic_blowup.xes": "LG070",
    "xes/45_long_value_11MB.xes.gz": (1, 2, 0),
    "xes/46_float_epoch_ts_string.xes": (1, 1, 0),
    "xes/48_year_0001_and_9999.xes": (1, 3, 0),
    "xes/49_case_attr_collides_event_attr.xes": (1, 1, 0),
    "xes/51_missing_key_attr.xes": (1, 1, 1),
    "xes/52_lifecycle.xes": (1, 2, 0),
    **{
        f"xes_certification/Level{n}.xes.gz": (1_104, 11_855, 0)
        for n in ("A1", "A2", "B1", "B2", "C1", "C2")
    },
    # models are no logs
    "xml/bomb.pnml": "LG070",
    "xml/bomb_value_1GB.xes.gz": "LG022",
    "xml/guard_rce.pnml": "LG030",
    "xml/xxe.bpmn": "LG070",
}
FILES = sorted(OUTCOMES)
# names under which a file may come to us: what it is is told by its content
NAMES = ("log.csv", "log.json", "log.xes.gz", "log", "log.parquet", "ütf-8 'log' \".xml")


def outcome(path: Path, *types: str) -> Outcome:
    """Return what the reading gives; anything that is not coded is raised, and fails the test."""
    try:
        log = open_log([path], ReadOptions(allow_rejects=True, object_types=types))
    except CodedError as error:
        return error.code
    assert log.meta.rows_in == log.n_events + log.meta.rejects.num_rows
    return log.n_cases, log.n_events, log.meta.rejects.num_rows


def types_of(name: str) -> tuple[str, ...]:
    return ORDERS if name.startswith("ocel/") else ()


@needs_data
def test_the_table_names_every_hostile_file() -> None:
    found = {str(path.relative_to(HOSTILE)) for path in HOSTILE.rglob("*") if path.is_file()}
    assert found == set(OUTCOMES)


@needs_data
@pytest.mark.parametrize("name", FILES)
def test_every_hostile_file_has_its_outcome(name: str) -> None:
    begin = time.monotonic()
    assert outcome(HOSTILE / name, *types_of(name)) == OUTCOMES[name]
    assert time.monotonic() - begin < MOST_SECONDS


@needs_data
@pytest.mark.parametrize("name", [name for name in FILES if "csv-spectrum" not in name])
def test_a_wrong_name_changes_nothing(tmp_path: Path, name: str) -> None:
    number = FILES.index(name)
    path = tmp_path / NAMES[number % len(NAMES)]
    shutil.copyfile(HOSTILE / name, path)
    assert outcome(path, *types_of(name)) == OUTCOMES[name]


@needs_data
@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith(".gz")])
def test_packed_it_is_the_same(tmp_path: Path, name: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(gzip.compress((HOSTILE / name).read_bytes(), mtime=0))
    assert outcome(path, *types_of(name)) == OUTCOMES[name]


@needs_data
def test_an_object_log_whose_cases_are_not_chosen_says_so() -> None:
    chosen = {
        name for name in FILES if name.startswith("ocel/") and outcome(HOSTILE / name) != "LG095"
    }
    assert {OUTCOMES[name] for name in chosen} == {"LG097", "LG030", "LG064"}


# --- bombs

# maker → the codes of its error, or what the log is
BOMBS: dict[str, str] = {
    "zeros_1_gb": "LG030",  # the first bytes show that it is no log: it is not unpacked
    "zeros_10_gb_by_members": "LG030",
    "gzip_in_gzip": "LG030",
    "zip_named_csv": "LG017",
    "xlsx": "LG017",
    "blank_lines_10_gb_by_members": "LG022",
    "one_xes_value": "LG022",
    "xes_of_blanks": "LG022",
    "one_event_many_times": "LG022",
    "one_row_many_times": "LG022",
    "one_line_many_times": "LG022",
    "deep_xml": "LG076",
    "many_xml_attributes": "LG035",
    "brackets": "LG064",
    "nested_objects": "LG064",
    "nested_line": "LG035",  # a reject, and there is no other event
    "one_json_string": "LG062",
    "one_json_string_packed": "LG022",
    "empty_objects": "LG022",
    "ocel_of_empty_objects": "LG022",
    "one_line_of_ndjson": "LG061",
    "many_keys": "LG077",
    "one_csv_line": "LG061",
    "one_csv_cell": "LG067",
    "many_columns": "LG077",
    "many_short_columns": "LG077",
    "one_parquet_value_less": "LG068",
    "long_parquet_value": "LG069",
    "long_parquet_time": "LG068",
    "parquet_page_of_zeros": "LG068",
    "parquet_columns": "LG077",
    "parquet_footer": "LG065",
    "parquet_lengths": "LG065",
    "sqlite_view": "LG081",
    "sqlite_generated_column": "LG081",
    "sqlite_blob": "LG099",
    "sqlite_text": "LG099",
    "sqlite_page_size": "LG099",
    "sqlite_plain": "1 cases, 1 events",
    "sqlite_view_beside": "1 cases, 1 events",
    "sqlite_cross": "1 cases, 1 events",
}
# these take seconds to write or to read, and are left to the trial
SLOW = {"blank_lines_10_gb_by_members", "one_row_many_times"}
DOCTYPES = (
    bombs.billion_laughs,
    bombs.quadratic_blowup,
    bombs.external_entity,
    bombs.external_subset,
    bombs.doctype_in_utf16,
    bombs.doctype_far_away,
)


@pytest.fixture(scope="module")
def reader() -> Iterator[bombs.Reader]:
    process = bombs.Reader()
    yield process
    process.end()


@pytest.mark.parametrize("name", [name for name in BOMBS if name not in SLOW])
def test_a_bomb_is_refused_in_little_memory_and_time(
    tmp_path: Path, reader: bombs.Reader, name: str
) -> None:
    path = getattr(bombs, name)(tmp_path)
    found = reader.read(path)
    path.unlink()
    assert found.said.startswith(BOMBS[name])
    assert found.peak_mib < MOST_MIB
    assert found.seconds < MOST_SECONDS_OF_A_BOMB


@pytest.mark.trial
@pytest.mark.parametrize("name", [*BOMBS, "one_parquet_value"])
def test_the_command_refuses_a_bomb_in_little_memory(tmp_path: Path, name: str) -> None:
    found = bombs.measured("inspect", str(getattr(bombs, name)(tmp_path)))
    assert found.said.startswith(BOMBS.get(name, "LG068"))
    assert found.exit_code in ((2, 3) if found.said.startswith("LG") else (0,))
    assert found.peak_mib < MOST_MIB
    print(f"{name}: {found.seconds:.1f} s, {found.peak_mib:.0f} MiB")  # noqa: T201 - what was measured


@pytest.mark.parametrize("root", ["log", "ocel:log"])
@pytest.mark.parametrize("maker", DOCTYPES, ids=lambda maker: maker.__name__)
def test_a_doctype_is_refused_at_once(
    tmp_path: Path, maker: Callable[[Path, str], Path], root: str
) -> None:
    path = maker(tmp_path, root)
    for source in (None, "xes", "ocel"):
        begin = time.monotonic()
        with pytest.raises(CodedError, match=r"LG030|LG070|LG083|DOCTYPE"):
            open_log([path], ReadOptions(source=source))
        assert time.monotonic() - begin < 1.0


# --- cut files

STORY = DATA / "rosetta" / "ocel_json"


def rows(n: int) -> list[dict[str, str]]:
    return [
        {
            "case_id": f"INC{k // 4}",
            "activity": ("New", "Assigned", "Resolved", "Closed")[k % 4],
            "at": f"2024-03-{1 + k // 24 % 28:02}T{k % 24:02}:{k * 7 % 60:02}:00+01:00",
            "actor": f"agent {k * 13 % 7}",
            "team": "desk, 1st",
        }
        for k in range(n)
    ]


def as_csv(n: int) -> bytes:
    lines = ["case_id,activity,at,actor,team"]
    lines += [",".join(f'"{value}"' for value in row.values()) for row in rows(n)]
    return ("\n".join(lines) + "\n").encode()


def as_ndjson(n: int) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows(n)).encode()


def as_xes(n: int) -> bytes:
    keys = {"activity": "concept:name", "actor": "org:resource", "team": "org:group"}
    out = ['<?xml version="1.0" encoding="UTF-8"?>\n<log xes.version="2.0">\n']
    for first in range(0, n, 4):
        group = rows(n)[first : first + 4]
        out.append(f'<trace><string key="concept:name" value="{group[0]["case_id"]}"/>\n')
        for row in group:
            texts = "".join(f'<string key="{keys[k]}" value="{row[k]}"/>' for k in keys)
            out.append(f'<event>{texts}<date key="time:timestamp" value="{row["at"]}"/></event>\n')
        out.append("</trace>\n")
    return ("".join(out) + "</log>\n").encode()


def as_parquet(n: int, folder: Path) -> bytes:
    path = folder / "whole.parquet"
    pq.write_table(pa.Table.from_pylist(rows(n)), path)
    return path.read_bytes()


def as_sqlite(folder: Path) -> bytes:
    return bombs.sqlite_plain(folder).read_bytes()


def cut_logs(folder: Path) -> dict[str, tuple[bytes, ReadOptions]]:
    """Return a whole log in each format that has an end mark."""
    plain, ocel = (
        ReadOptions(),
        ReadOptions(mapping=STORY / "mapping.toml", object_types=("Incident",)),
    )
    xml = DATA / "rosetta" / "ocel_xml"
    jira = DATA / "rosetta" / "jira"

    def packed(data: bytes) -> bytes:
        return gzip.compress(data, mtime=0)

    return {
        "log.xes": (as_xes(40), plain),
        "log.xes.gz": (packed(as_xes(40)), plain),
        "log.csv.gz": (packed(as_csv(200)), plain),
        "log.ndjson.gz": (packed(as_ndjson(200)), plain),
        "log.parquet": (as_parquet(100, folder), plain),
        "ocel.json": ((STORY / "story.json").read_bytes(), ocel),
        "ocel.xml": ((xml / "story.xml").read_bytes(), ocel),
        "ocel.sqlite": (as_sqlite(folder), plain),
        "jira.json": (
            (jira / "search.json").read_bytes(),
            ReadOptions(mapping=jira / "mapping.toml"),
        ),
    }


CUT = (
    "log.xes", "log.xes.gz", "log.csv.gz", "log.ndjson.gz", "log.parquet", "ocel.json", "ocel.xml",
    "ocel.sqlite", "jira.json",
)  # fmt: skip


def cuts(data: bytes, n: int) -> list[int]:
    """Return up to n lengths below the whole one, the shortest and the longest among them."""
    whole = len(data.rstrip()) if data[:1] in b"<{[" else len(data)
    step = max((whole - 1) / n, 1.0)
    return sorted({round(k * step) for k in range(n) if k * step < whole} | {whole - 1})


def check_cuts(folder: Path, name: str, n: int) -> None:
    data, options = cut_logs(folder)[name]
    path = folder / name
    path.write_bytes(data)
    open_log([path], options)
    survived = []
    for length in cuts(data, n):
        path.write_bytes(data[:length])
        try:
            open_log([path], options)
        except CodedError:
            continue
        survived.append(length)
    assert survived == []


@pytest.mark.parametrize("name", CUT)
def test_a_file_that_is_cut_is_an_error(tmp_path: Path, name: str) -> None:
    check_cuts(tmp_path, name, 1_000)


def test_a_csv_cut_inside_a_line_is_an_error_and_at_a_line_end_a_suspicion(tmp_path: Path) -> None:
    """A CSV has no end mark: a cut at a line end is a shorter CSV, and only the gate can doubt it.

    It does where the last case stops short of where the others end (QG152), in a log of enough
    cases to tell. A cut inside the last cell leaves a shorter cell: a time that is cut is a reject.
    """
    data, path = as_csv(400), tmp_path / "log.csv"
    path.write_bytes(data)
    assert not open_log([path]).meta.seen
    ends = [at for at, byte in enumerate(data) if byte == ord("\n")]
    last = range(ends[-3] + 2, ends[-2])  # within the last line but one
    for length in last:
        path.write_bytes(data[:length])
        try:
            log = open_log([path])
        except CodedError:
            continue
        # behind its last comma the line has all its cells, the last of them empty
        assert data[:length].endswith(b",")
        assert [(seen.code, seen.cases) for seen in log.meta.seen] == [("QG152", ("INC99",))]
    path.write_bytes(data[: ends[-3] + 1])  # two events of the last case are missing
    log = open_log([path])
    assert log.n_events == 398
    assert [(seen.code, seen.count, seen.cases) for seen in log.meta.seen] == [
        ("QG152", 1, ("INC99",))
    ]


# --- texts that break other programs

AT = "2024-03-04T09:00:00Z"
# what no text of an XML 1.0 document can be (section 2.2)
NOT_XML = {chr(n) for n in range(32)} - set("\t\n\r") | {"\ufffe", "\uffff"}


def naughty() -> list[str]:
    """The Big List of Naughty Strings, and some that break tables, pages and terminals."""
    path = HOSTILE / "blns" / "blns.json"
    listed = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    own = [
        " leading and trailing ", "line\nbreak", "carriage\rreturn", "\r\n", "tab\there", '"', "'",
        "=1+1", "</script><script>alert(1)</script>", "{{7*7}}", "{0}", "%s", "a,b;c|d", "?", "-",
        "NULL", "nan", "None", "true", "1e400", "\ufeffmark", "\u202eright", "e\u0301", "é", "\x7f",
        "\x1b[31m", "]]>", "<!--", "&amp;", "a" * 70_000,
    ]  # fmt: skip
    return list(dict.fromkeys(text for text in (*listed, *own) if text))


def in_xml(text: str) -> bool:
    return not set(text) & NOT_XML


def told(texts: list[str]) -> list[dict[str, str]]:
    """An event for each text: its case, activity, actor, team and note are the text."""
    names = ("case_id", "activity", "actor", "team", "note")
    return [dict.fromkeys(names, text) | {"at": AT} for text in texts]


def told_in_csv(path: Path, texts: list[str]) -> ReadOptions:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(told(["a"])[0]), quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(told(texts))
    return ReadOptions()


def told_in_parquet(path: Path, texts: list[str]) -> ReadOptions:
    pq.write_table(pa.Table.from_pylist(told(texts)), path)
    return ReadOptions()


def told_in_ndjson(path: Path, texts: list[str]) -> ReadOptions:
    rows = (row | {"attributes": {"note": row.pop("note")}} for row in told(texts))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return ReadOptions()


def told_in_xes(path: Path, texts: list[str]) -> ReadOptions:
    entities = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}

    def string(key: str, text: str) -> str:
        return f'<string key="{key}" value={quoteattr(text, entities)}/>'

    keys = ("concept:name", "org:resource", "org:group", "note")
    traces = (
        f"<trace>{string('concept:name', text)}<event>{''.join(string(key, text) for key in keys)}"
        f'<date key="time:timestamp" value="{AT}"/></event></trace>'
        for text in texts
    )
    path.write_bytes(f'<?xml version="1.0"?><log>{"".join(traces)}</log>'.encode())
    return ReadOptions()


def told_in_ocel(path: Path, texts: list[str]) -> ReadOptions:
    keys = ("resource", "group", "note")
    log = {
        "objectTypes": [{"name": "Incident", "attributes": []}],
        "eventTypes": [
            {"name": text, "attributes": [{"name": key, "type": "string"} for key in keys]}
            for text in texts
        ],
        "objects": [{"id": text, "type": "Incident", "attributes": []} for text in texts],
        "events": [
            {
                "id": f"e{number}",
                "type": text,
                "time": AT,
                "attributes": [{"name": key, "value": text} for key in keys],
                "relationships": [{"objectId": text, "qualifier": ""}],
            }
            for number, text in enumerate(texts)
        ],
    }
    path.write_text(json.dumps(log), encoding="utf-8")
    return ReadOptions()


def told_in_zendesk(path: Path, texts: list[str]) -> ReadOptions:
    """States are the texts, one ticket each; actors and cases are numbers at Zendesk."""
    stamps = {"created_at": AT, "updated_at": AT}
    lists = {"type": None, "priority": None, "group_id": None, "requester_id": 5, "submitter_id": 5}
    tickets = [{"id": n, "status": text} | lists | stamps for n, text in enumerate(texts, 1)]
    create = {"type": "Create", "field_name": "status"}
    audits = [
        {
            "id": n,
            "ticket_id": n,
            "created_at": AT,
            "author_id": 7,
            "events": [create | {"value": text}],
        }
        for n, text in enumerate(texts, 1)
    ]
    path.write_text(json.dumps({"tickets": tickets, "audits": audits}), encoding="utf-8")
    return ReadOptions()


WRITERS = (told_in_csv, told_in_parquet, told_in_ndjson, told_in_xes, told_in_ocel)


def opened(path: Path, options: ReadOptions) -> EventLog:
    return open_log([path], replace(options, clear_names=True, clear_contacts=True))


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_any_text_comes_out_as_it_went_in(
    tmp_path: Path, write: Callable[[Path, list[str]], ReadOptions]
) -> None:
    texts = [text for text in naughty() if in_xml(text) or write is not told_in_xes]
    assert len(texts) > 400 or not HOSTILE.exists()
    path = tmp_path / "log"
    log = opened(path, write(path, texts))
    assert log.meta.rejects.num_rows == 0
    for name in ("case_id", "activity", "actor", "team", "attr.note"):
        assert sorted(log.events[name].to_pylist()) == sorted(texts), name
        assert log.events[name].to_pylist() == log.events["case_id"].to_pylist(), name


def test_any_state_of_a_tool_comes_out_as_it_went_in(tmp_path: Path) -> None:
    texts, path = naughty(), tmp_path / "log"
    log = opened(path, told_in_zendesk(path, texts))
    assert log.meta.rejects.num_rows == 0
    assert sorted(log.events["activity"].to_pylist()) == sorted(texts)


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_what_is_no_text_is_refused_in_words(
    tmp_path: Path, write: Callable[[Path, list[str]], ReadOptions]
) -> None:
    path = tmp_path / "log"
    for text in ("nul \0 inside", "half \ud800 of a character"):
        try:
            options = write(path, ["good", text])
        except UnicodeEncodeError:
            continue  # the format itself cannot say it
        try:
            log = opened(path, options)
        except CodedError:
            continue
        # documents are mended, not refused: U+FFFD stands where a character was lost; Parquet's
        # texts may hold NUL, and come out with it
        mended = text.replace("\0", "\ufffd").replace("\ud800", "\ufffd")
        kept = text if write is told_in_parquet else mended
        assert sorted(log.events["activity"].to_pylist()) == sorted(["good", kept])


def test_the_page_of_the_gate_is_inert(tmp_path: Path) -> None:
    texts, path = naughty(), tmp_path / "log.csv"
    options = replace(told_in_csv(path, texts), clear_names=True, clear_contacts=True)
    with path.open("a", encoding="utf-8") as file:  # and rejects that quote the texts
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([text, text, text, text, text, text] for text in texts)
    found = inspect_log(InspectRequest(logs=(path,), read=options))
    assert found.log.meta.rejects.num_rows == len(texts)
    out = tmp_path / "out"
    write_inspection(found, quality_of(found), out)
    page = Page()
    page.feed((out / "inspect.html").read_text(encoding="utf-8"))
    assert page.foreign == []


class Page(HTMLParser):
    """Collects what a page could run or load."""

    def __init__(self) -> None:
        super().__init__()
        self.foreign: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        loads = {"script", "iframe", "object", "embed", "link", "base", "form", "audio", "video"}
        if tag in loads or (tag == "img" and "src" in dict(attrs)):
            self.foreign.append(tag)
        for name, value in attrs:
            far = (
                str(value)
                .strip()
                .lower()
                .startswith(("http:", "https:", "//", "javascript:", "data:"))
            )
            if name.startswith("on") or (name in {"href", "src", "action", "style"} and far):
                self.foreign.append(f"{tag} {name}")
