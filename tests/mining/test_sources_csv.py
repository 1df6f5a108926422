"""Is a CSV export read as its mapping says, and is every row that cannot be read located?"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_mining.errors import CodedError, ManyCodedErrors, RunError
from process_mining.sources import ReadOptions, find_mapping, open_log
from process_mining.sources._csv import records

if TYPE_CHECKING:
    from process_mining.eventlog import EventLog

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
UCI = SHARED / "uci_servicenow" / "incident_event_log_opened_before_2016-04-15.csv.gz"
SPECTRUM = sorted((SHARED / "hostile" / "csv-spectrum" / "csvs").glob("*.csv"))

MAPPING = """
name = "desk"
[csv]
delimiter = ";"
missing = ["?"]
[time]
timezone = "Europe/Berlin"
format = "%d.%m.%Y %H:%M"
[event]
case_id = "id"
activity = "state"
at = "when"
actor = "who"
attributes = ["note"]
[case]
practice = { constant = "incident" }
priority = { column = "prio", values = { "1" = "P1", "2" = "P2" } }
opened = { column = "born", format = "iso" }
"""
HEADER = "id;state;when;who;note;prio;born\n"
ROW = "A;Open;24.12.2024 10:00;Eve;hi;1;2024-12-24T08:00:00Z\n"


def read(
    folder: Path, text: str | bytes, mapping: str = MAPPING, *, allow: bool = False
) -> EventLog:
    path, plan = folder / "desk.csv", folder / "desk.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    plan.write_text(mapping, encoding="utf-8")
    return open_log([path], ReadOptions(mapping=plan, clear_names=True, allow_rejects=allow))


def reject(folder: Path, row: str, mapping: str = MAPPING) -> tuple[str, str, str]:
    """Return place, code and reason of the one reject that `row` becomes between good rows."""
    log = read(folder, HEADER + ROW + row + ROW, mapping, allow=True)
    assert (log.n_events, log.meta.rows_in) == (2, 3)
    (found,) = log.meta.rejects.to_pylist()
    return found["place"], found["code"], found["reason"]


@pytest.mark.parametrize("declared", ["", 'encoding = "utf-8"\n', 'encoding = "utf-8-sig"\n'])
@pytest.mark.parametrize("quoted", [False, True])
def test_a_byte_order_mark_is_no_part_of_the_first_column(
    tmp_path: Path, declared: str, *, quoted: bool
) -> None:
    header = HEADER.replace("id;", '"id";', 1) if quoted else HEADER
    text = f"\ufeff{header}{ROW}".encode()
    log = read(tmp_path, text, MAPPING.replace("[csv]\n", f"[csv]\n{declared}"))
    assert log.cases["case_id"].to_pylist() == ["A"]
    path = tmp_path / "desk.csv"
    (first, second) = records(path, delimiter=";", encoding="utf-8", width=None)
    assert (first.line, first.cells[0], second.line, second.cells[0]) == (1, "id", 2, "A")


def test_cells_become_what_the_mapping_declares(tmp_path: Path) -> None:
    log = read(tmp_path, HEADER + ROW + "A;Shut;24.12.2024 10:05;?;;2;?\n")
    assert log.events.drop_columns(["lifecycle", "team"]).to_pylist() == [
        {"case_id": "A", "seq": 0, "activity": "Open", "at": 1_735_030_800_000_000,
         "actor": "Eve", "attr.note": "hi", "attr.priority": "P1"},
        {"case_id": "A", "seq": 1, "activity": "Shut", "at": 1_735_031_100_000_000,
         "actor": None, "attr.note": None, "attr.priority": "P2"},
    ]  # fmt: skip
    (case,) = log.cases.to_pylist()
    assert (case["practice"], case["priority"]) == ("incident", "P2")
    assert case["opened"] == 1_735_027_200_000_000
    assert log.meta.timezone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("row", "code", "reason"),
    [
        (";Open;24.12.2024 10:00;;;1;\n", "LG101", "has no case id"),
        ("A;?;24.12.2024 10:00;;;1;\n", "LG102", "has no activity"),
        ("A;Open;;;;1;\n", "LG103", "has no time"),
        ("A;Open;12/24/2024 10:00;;;1;\n", "LG104", "when '12/24/2024 10:00' does not follow"),
        ("A;Open;31.11.2024 10:00;;;1;\n", "LG104", "is no date and time (day is out of range"),
        ("A;Open;24.12.2024 10:00;;;1;24.12.2024 10:00\n", "LG104", "born '24.12.2024 10:00'"),
        ("A;Open;27.10.2024 02:30;;;1;\n", "LG106", "happened twice in Europe/Berlin"),
        ("A;Open;31.03.2024 02:30;;;1;\n", "LG107", "never happened in Europe/Berlin"),
        ("A;Open;24.12.2024 10:00;;;7;\n", "LG108", "'7' in prio is not among its values"),
        ("A;Open;24.12.2024 10:00\n", "LG110", "has 3 cells, the header 7"),
        ("A;Open;24.12.2024 10:00;;;1;;;\n", "LG110", "has 9 cells, the header 7"),
        ('A;"Op"en;24.12.2024 10:00;;;1;\n', "LG111", "expected after"),
    ],
)
def test_a_row_that_cannot_be_read_is_a_reject_with_its_line(
    tmp_path: Path, row: str, code: str, reason: str
) -> None:
    place, found, why = reject(tmp_path, row)
    assert (place, found) == ("line 3", code)
    assert reason in why


def test_lines_are_physical_lines_of_the_start_of_the_record(tmp_path: Path) -> None:
    text = HEADER + ROW.replace("hi", '"one\r\ntwo\n\nthree"') + "\n" + ROW.replace("24.12", "x")
    log = read(tmp_path, text, allow=True)
    assert log.events["attr.note"].to_pylist() == ["one\r\ntwo\n\nthree"]
    assert log.meta.rejects["place"].to_pylist() == ["line 7"]


@pytest.mark.parametrize(
    ("policy", "stamp", "utc"),
    [
        ('ambiguous = "earlier"', "27.10.2024 02:30", 1_729_989_000_000_000),
        ('ambiguous = "later"', "27.10.2024 02:30", 1_729_992_600_000_000),
        ('nonexistent = "shift_forward"', "31.03.2024 02:30", 1_711_848_600_000_000),
    ],
)
def test_a_declared_policy_decides_and_is_counted(
    tmp_path: Path, policy: str, stamp: str, utc: int
) -> None:
    plan = MAPPING.replace("[event]", f"{policy}\n[event]")
    log = read(tmp_path, HEADER + ROW.replace("24.12.2024 10:00", stamp) * 2, plan)
    assert log.events["at"].to_pylist() == [utc, utc]
    assert [(s.code, s.count, s.subject) for s in log.meta.seen if s.code == "QG111"] == [
        ("QG111", 2, policy.replace('"', ""))
    ]


def test_order_by_orders_events_of_one_time(tmp_path: Path) -> None:
    rows = [f"A;{word};24.12.2024 10:00;;{n};1;\n" for n, word in (("10", "a"), ("9", "b"))]
    assert words(read(tmp_path, HEADER + "".join(rows))) == ["a", "b"]
    by_number = MAPPING.replace("[case]", 'order_by = "note"\n[case]')
    assert words(read(tmp_path, HEADER + "".join(rows), by_number)) == ["b", "a"]
    by_text = MAPPING.replace("[case]", 'order_by = { column = "note", type = "text" }\n[case]')
    assert words(read(tmp_path, HEADER + "".join(rows), by_text)) == ["a", "b"]


def test_order_by_several_columns_ranks_them_together(tmp_path: Path) -> None:
    rows = [
        f"A;{word};24.12.2024 10:00;{who};{n};1;\n"
        for word, who, n in (("c", "y", "2"), ("d", "y", "10"), ("b", "x", "9"), ("a", "x", "1"))
    ]
    order = 'order_by = [{ column = "who", type = "text" }, "note"]\n[case]'
    log = read(tmp_path, HEADER + "".join(rows), MAPPING.replace("[case]", order))
    assert words(log) == ["a", "b", "c", "d"]


def test_an_order_that_is_no_number_is_a_reject(tmp_path: Path) -> None:
    by_number = MAPPING.replace("[case]", 'order_by = "note"\n[case]')
    text = HEADER + ROW + ROW.replace(";hi;", ";;") + ROW.replace(";hi;", ";7;")
    rejects = read(tmp_path, text, by_number, allow=True).meta.rejects.to_pylist()
    assert [(r["place"], r["code"]) for r in rejects] == [("line 2", "LG109"), ("line 3", "LG109")]
    assert rejects[0]["reason"] == "note 'hi' is no whole number"
    assert rejects[1]["reason"] == "note is empty"


def test_several_activity_columns_are_joined(tmp_path: Path) -> None:
    plan = MAPPING.replace('activity = "state"', 'activity = ["state", "note"]')
    log = read(tmp_path, HEADER + ROW + ROW.replace(";hi;", ";;"), plan)
    assert sorted(words(log)) == ["Open", "Open+hi"]


def test_all_attributes_are_the_columns_that_nothing_else_uses(tmp_path: Path) -> None:
    plan = MAPPING.replace('attributes = ["note"]', 'attributes = "all"')
    text = HEADER.replace("\n", ";more\n") + ROW.replace("\n", ";x\n")
    names = [n for n in read(tmp_path, text, plan).events.column_names if n.startswith("attr.")]
    assert names == ["attr.more", "attr.note"]


def test_a_missing_column_names_the_column_the_file_and_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(CodedError) as caught:
        read(tmp_path, (HEADER + ROW).replace("when", "When"))
    assert str(caught.value) == (
        "LG041 desk.csv has no column 'when', which mapping 'desk' reads (event.at). "
        "Did you mean 'When'?"
    )
    assert caught.value.exit_code == 2


def test_all_missing_columns_are_named_together(tmp_path: Path) -> None:
    with pytest.raises(ManyCodedErrors) as caught:
        read(tmp_path, "id;state;x;y;z;prio;born\n")
    assert [error.what.split("'")[1] for error in caught.value.errors] == ["when", "who", "note"]


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CodedError, match=r"LG045 .*2 columns named 'who'"):
        read(tmp_path, (HEADER + ROW).replace("note", "who"), MAPPING.replace('["note"]', "[]"))


def test_all_mistakes_of_a_mapping_are_told_together(tmp_path: Path) -> None:
    plan = (
        MAPPING.replace("practice =", "practise =")
        .replace("Europe/Berlin", "Europe/Bärlin")
        .replace("%d.%m.%Y", "%d.%m.%y")
        .replace('actor = "who"', "actor = 3")
        .replace('case_id = "id"', "")
    )
    with pytest.raises(ManyCodedErrors) as caught:
        read(tmp_path, HEADER + ROW, plan)
    messages = {error.what.split(":")[0]: str(error) for error in caught.value.errors}
    assert {error.code for error in caught.value.errors} == {"LG052"}
    assert "Did you mean 'practice'?" in messages["desk.toml, case.practise"]
    assert "Did you mean 'Europe/Berlin'?" in messages["desk.toml, time.timezone"]
    assert "%y is not read" in messages["desk.toml, time.format"]
    assert "desk.toml, event.actor" in messages
    assert "is missing" in messages["desk.toml, event.case_id"]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('{ constant = "incident" }', "{}", "give either column or constant"),
        ('format = "%d.%m.%Y %H:%M"', "", "no format is declared for when"),
        ('delimiter = ";"', 'delimiter = ";;"', "csv.delimiter"),
        ('delimiter = ";"', 'delimiter = ";"\nencoding = "utf8000"', "no encoding"),
    ],
)
def test_a_mapping_that_leaves_something_open_is_refused(
    tmp_path: Path, old: str, new: str, what: str
) -> None:
    with pytest.raises(CodedError, match=f"LG052 .*{what}"):
        read(tmp_path, HEADER + ROW, MAPPING.replace(old, new))


def test_a_mapping_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CodedError, match=r"LG051 desk\.toml is no TOML.*line 2"):
        read(tmp_path, HEADER + ROW, "\nname = desk")


@pytest.mark.parametrize("value", ["[" * 5000 + "]" * 5000, "9" * 5000])
def test_a_mapping_that_no_parser_takes_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(CodedError, match=r"LG051 desk\.toml is no TOML"):
        read(tmp_path, HEADER + ROW, f"name = {value}")


def test_a_zone_must_be_declared_somewhere(tmp_path: Path) -> None:
    plan = MAPPING.replace('timezone = "Europe/Berlin"', "")
    with pytest.raises(CodedError, match="LG054 the stamps in when state no offset"):
        read(tmp_path, HEADER + ROW, plan)
    options = ReadOptions(mapping=tmp_path / "desk.toml", timezone="UTC")
    log = open_log([tmp_path / "desk.csv"], options)
    assert log.events["at"].to_pylist() == [1_735_034_400_000_000]


def test_a_table_with_our_own_names_needs_no_mapping(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text(
        "at,case_id,activity,seq,priority,attr.size,team\n"
        "2024-01-01T10:00:00+01:00,A,b,10,P1,big,T1\n2024-01-01T09:00:00Z,A,a,9,P2,,T1\n",
        encoding="utf-8",
    )
    log = open_log([path])
    assert words(log) == ["a", "b"]
    assert log.events["attr.size"].to_pylist() == [None, "big"]
    assert log.cases["priority"].to_pylist() == ["P1"]


def test_a_table_with_other_names_shows_them(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("number,state,sys_updated_on\nA,b,c\n", encoding="utf-8")
    with pytest.raises(CodedError, match=r"LG042 .*number, state, sys_updated_on.*--mapping"):
        open_log([path])


@pytest.mark.parametrize(
    ("data", "code", "line"),
    [
        ((HEADER + ROW).encode() + ROW.replace("hi", "Grüße").encode("cp1252"), "LG043", "line 3"),
        ((HEADER + ROW + ROW.replace("hi", "h\0i")).encode(), "LG043", "line 3"),
        ((HEADER + ROW + ROW[:20]).encode(), "LG044", "line 3"),
        ((HEADER + ROW + ROW.replace("hi", '"hi')).encode(), "LG044", "line 3"),
    ],
)
def test_damage_stops_the_reading_at_its_line(
    tmp_path: Path, data: bytes, code: str, line: str
) -> None:
    with pytest.raises(RunError, match=f"{code} .*{line}"):
        read(tmp_path, data, allow=True)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig", "utf-16"])
def test_a_declared_encoding_and_a_byte_order_mark_are_followed(
    tmp_path: Path, encoding: str
) -> None:
    plan = MAPPING
    if encoding == "cp1252":
        plan = MAPPING.replace("[csv]", '[csv]\nencoding = "cp1252"')
    data = (HEADER + ROW.replace("hi", "Grüße ü")).encode(encoding)
    assert read(tmp_path, data, plan).events["attr.note"].to_pylist() == ["Grüße ü"]


@pytest.mark.skipif(not SPECTRUM, reason="shared/data is missing")
@pytest.mark.parametrize("path", SPECTRUM, ids=lambda path: path.stem)
def test_the_csv_spectrum_is_read_as_its_authors_say(path: Path) -> None:
    header, *rows = [r.cells for r in records(path, delimiter=",", encoding=None, width=None)]
    expected = json.loads((path.parents[1] / "json" / f"{path.stem}.json").read_text("utf-8"))
    if path.stem == "location_coordinates":  # its JSON is one object with another phone number
        rows[0][0], expected = "1234567890", [expected]
    if b"\r" not in path.read_bytes():  # a copy whose line breaks were made plain
        expected = [{k: v.replace("\r\n", "\n") for k, v in row.items()} for row in expected]
    assert [dict(zip(header, row, strict=True)) for row in rows] == expected


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@given(rows=st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=6))
def test_what_a_writer_quotes_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows(rows)
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(buffer.getvalue().encode())
    found = list(records(path, delimiter=",", encoding="utf-8", width=2))
    assert [record.cells for record in found] == rows
    assert not any(record.problem for record in found)


@pytest.fixture(scope="module")
def uci() -> EventLog:
    if not UCI.exists():
        pytest.skip("shared/data is missing")
    return open_log([UCI], ReadOptions(mapping=find_mapping("uci_servicenow")))


def test_the_uci_log_is_read_whole(uci: EventLog) -> None:
    assert (uci.n_cases, uci.n_events, uci.meta.rows_in) == (13_302, 81_519, 81_519)
    assert uci.meta.rejects.num_rows == 0
    assert uci.meta.time_resolution_us == 60_000_000
    assert Counter(uci.events["activity"].to_pylist()) == {
        "Active": 24_273,
        "New": 19_494,
        "Resolved": 13_791,
        "Closed": 13_346,
        "Awaiting User Info": 9_953,
        "Awaiting Vendor": 345,
        "Awaiting Problem": 307,
        "Awaiting Evidence": 10,
    }
    assert set(uci.cases["priority"].to_pylist()) == {"P1", "P2", "P3", "P4"}
    assert uci.events["team"].null_count == 12_114
    first = uci.cases.slice(0, 1).to_pylist()[0]
    assert first["case_id"] == "INC0000045"
    assert first["opened"] == 1_456_708_560_000_000  # 29/2/2016 01:16, read as UTC


def test_the_uci_log_names_no_person(uci: EventLog) -> None:
    text = uci.to_pandas().to_csv()
    for word in ("Updated by", "Caller", "Resolver", "Opened by"):
        assert word not in text


def test_shuffled_rows_give_the_same_log(uci: EventLog, tmp_path: Path) -> None:
    header, *rows = gzip.decompress(UCI.read_bytes()).splitlines(keepends=True)
    random.Random(7).shuffle(rows)  # noqa: S311 - no secret
    path = tmp_path / "shuffled.csv"
    path.write_bytes(b"".join([header, *rows]))
    log = open_log([path], ReadOptions(mapping=find_mapping("uci_servicenow")))
    assert log.meta.sha256 == uci.meta.sha256
    assert log.events.equals(uci.events)
    assert log.cases.equals(uci.cases)
    assert log.meta.notes == uci.meta.notes


def words(log: EventLog) -> list[str]:
    found: list[str] = log.events["activity"].to_pylist()
    return found
