"""Do the quick ways of reading tables see exactly what the slow, exact ways see?"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process_mining import _coded
from process_mining.errors import CodedError, RunError
from process_mining.eventlog import EventLog, LogMeta
from process_mining.sources import ReadOptions, _csv, _fast_csv, csv_mapped, find_mapping, open_log
from process_mining.sources._fast_csv import Doubt, QuickCsv
from process_mining.sources._fast_times import StampReader
from process_mining.sources._times import BadTimeError, TimeReader, load_zone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_mining.sources._times import GapPolicy, Policy

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
UCI = SHARED / "uci_servicenow" / "incident_event_log_opened_before_2016-04-15.csv.gz"
SPECTRUM = sorted((SHARED / "hostile" / "csv-spectrum" / "csvs").glob("*.csv"))
META = LogMeta(source="test", clear_names=True, clear_contacts=True)

# --- CSV: the quick parser against the strict one


def strict(path: Path, delimiter: str = ",", encoding: str | None = None) -> list[_csv.Record]:
    width = len(_csv.header_of(path, delimiter=delimiter, encoding=encoding))
    return list(_csv.records(path, delimiter=delimiter, encoding=encoding, width=width))[1:]


def quick(
    path: Path, *, delimiter: str = ",", encoding: str | None = None, block: int = 1 << 22
) -> tuple[list[tuple[str, ...]], list[int | None]]:
    """Return the rows and their lines (None: not known)."""
    header = _csv.header_of(path, delimiter=delimiter, encoding=encoding)
    names = [str(i) for i in range(len(header))]
    file = QuickCsv(path, names, delimiter, encoding, keep=names, plain=names[::2])
    rows: list[tuple[str, ...]] = []
    lines: list[int | None] = []
    simple = True
    with patch.object(_fast_csv, "BLOCK", block):
        for piece in file.pieces():
            found = file.block(piece)
            simple &= found.simple
            columns = [found.columns[name].to_pylist() for name in names] if found.rows else []
            lines += [2 + len(rows) + i if simple else None for i in range(found.rows)]
            rows += zip(*columns, strict=True)
    return rows, lines


def agree(path: Path, *, block: int = 1 << 22, encoding: str | None = None) -> bool:
    """Return whether the quick parser read the file; then it must have seen what the strict saw."""
    try:
        rows, lines = quick(path, block=block, encoding=encoding)
    except Doubt:
        return False
    expected = strict(path, encoding=encoding)
    assert not any(record.problem for record in expected)
    assert rows == [tuple(record.cells) for record in expected]
    for line, record in zip(lines, expected, strict=True):
        assert line in {None, record.line}
    return True


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_records_that_straddle_what_is_parsed_at_once_are_whole(folder: Path, newline: str) -> None:
    path = folder / "long.csv"
    cells = ["", "x", 'say ""no""', "two" + newline + "lines", "a,b", "é" * 40, newline * 3]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator=newline)
        writer.writerow(["x", "y", "z"])
        for i in range(4_000):
            writer.writerow([cells[i % 7], cells[i % 5] + str(i), cells[i % 3]])
    with patch.object(_fast_csv, "PARSED_AT_ONCE", 1 << 12):
        assert agree(path, block=1 << 15)
        assert agree(path)
        path.write_bytes(path.read_bytes().replace(b'"', b"").replace(b"a,b", b"ab"))
        plain = [
            line for line in path.read_bytes().splitlines(keepends=True) if line.count(b",") == 2
        ]
        path.write_bytes(b"".join(plain))
        assert agree(path, block=1 << 15)
        assert len(plain) > 1_000


NASTY = st.text(
    st.sampled_from("ab01 ,\";\n\r\t\\'NnulAé€\U0001f600\ufeff\u2028\x85\x1c\0"), max_size=7
)
WORDS = st.sampled_from(["", "NA", "null", "NaN", "007", "1e5", " x ", "true", "?", "-", "#N/A"])
CELLS = st.one_of(NASTY, WORDS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fast")


@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=8),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    newline=st.sampled_from(["\n", "\r\n"]),
    ended=st.booleans(),
    mark=st.booleans(),
    block=st.integers(8, 64),
)
def test_what_a_writer_wrote_is_read_alike(  # noqa: PLR0913 - each is a way to write a file
    folder: Path,
    rows: list[list[str]],
    quoting: Literal[0, 1],
    newline: str,
    block: int,
    *,
    ended: bool,
    mark: bool,
) -> None:
    rows = [[cell.replace("\0", "") for cell in row] for row in rows]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, quoting=quoting, lineterminator=newline)
    writer.writerows([["x", "y", "z"], *rows])
    text = buffer.getvalue() if ended else buffer.getvalue().removesuffix(newline)
    path = folder / "written.csv"
    path.write_bytes((b"\xef\xbb\xbf" if mark else b"") + text.encode())
    odd = "\r" in text.replace("\r\n", "") or "\ufeff" in text
    assert agree(path, block=block) or odd
    assert agree(path) or odd


@given(
    text=st.text(st.sampled_from('ab,"\n\r é\0\ufeff'), max_size=40),
    block=st.integers(1, 50),
)
def test_any_text_is_read_alike_or_left_to_the_strict_parser(
    folder: Path, text: str, block: int
) -> None:
    path = folder / "any.csv"
    path.write_bytes(b"a,b\n" + text.encode())
    agree_or_error(path, block)


@given(data=st.binary(max_size=30), cut=st.integers(0, 40))
def test_any_bytes_are_read_alike_or_left_to_the_strict_parser(
    folder: Path, data: bytes, cut: int
) -> None:
    path = folder / "bytes.csv"
    path.write_bytes(b'a,b\n1,"x"\n2,y\n' + data[:cut])
    agree_or_error(path, 16)


def agree_or_error(path: Path, block: int) -> None:
    """A file that the strict parser refuses as a whole must be in doubt."""
    try:
        strict(path)
    except RunError:
        with pytest.raises((Doubt, RunError)):  # RunError where it is the header that is refused
            quick(path, block=block)
        return
    agree(path, block=block)


@pytest.mark.parametrize(
    "body",
    [
        'a"b,c\n',
        '"a"b,c\n',
        '"a,b\n',
        'a,"b" \n',
        "a\n",
        "a,b,c\n",
        "a,b\0\n",
        "a,b\rc,d\n",
        "a," + "x" * 140_000 + "\n",
        'a,"' + "x\n" * 70_000 + '"\n',
    ],
)
def test_what_is_not_certain_is_left_to_the_strict_parser(folder: Path, body: str) -> None:
    path = folder / "doubt.csv"
    path.write_text("h,i\n1,2\n" + body + "3,4\n", encoding="utf-8")
    with pytest.raises(Doubt):
        quick(path)


@pytest.mark.parametrize("head", ['a"b,c', '"a"b,c', "\n\na,b", '"a\nb",c', "\ufeffa,b"])
def test_odd_headers(folder: Path, head: str) -> None:
    path = folder / "head.csv"
    path.write_text(head + '\n1,2\n"3",4\n', encoding="utf-8", newline="")
    try:
        agree(path)
    except RunError as error:
        assert error.code == "LG040"  # noqa: PT017 - the strict parser refuses this header


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8", "utf-8-sig", "iso-8859-1"])
def test_declared_encodings_are_read_alike(folder: Path, encoding: str) -> None:
    path = folder / "encoded.csv"
    path.write_bytes('a,b\n"ü\n",é\n1,ß\n'.encode(encoding))
    assert agree(path, encoding=encoding)
    assert agree(path, encoding=encoding, block=8) or encoding == "utf-16"


@pytest.mark.skipif(not SPECTRUM, reason="shared/data is missing")
@pytest.mark.parametrize("path", SPECTRUM, ids=lambda path: path.stem)
def test_the_csv_spectrum_is_read_alike(path: Path) -> None:
    # seconds of arc are written as quotes inside its cells
    assert agree(path) == (path.stem != "location_coordinates")


def test_most_ordinary_files_are_read_quickly(folder: Path) -> None:
    """The quick path must be taken, not only be right."""
    path = folder / "ordinary.csv"
    path.write_text(
        'case_id,activity,at\nA,"x, ""y""",2024-01-01T00:00:00Z\nB,z,2024-01-01T00:00:00+02:00\n',
        encoding="utf-8",
    )
    with patch.object(csv_mapped, "records", side_effect=AssertionError):
        assert open_log([path]).n_events == 2


MAPPING = """
name = "desk"
[csv]
missing = ["?", "01.01.1900 00:00"]
[time]
timezone = "Europe/Berlin"
format = "%d.%m.%Y %H:%M"
ambiguous = "earlier"
[event]
case_id = "id"
activity = ["state", "step"]
at = "when"
order_by = ["n", { column = "step", type = "text" }]
actor = "who"
attributes = "all"
[case]
priority = { column = "prio", values = { "1" = "P1", "2" = "P1", "3" = "P3" } }
opened = "born"
closed = { column = "done", format = "%Y-%m-%d" }
"""
STAMPS = st.sampled_from(
    [
        *("24.12.2024 10:00", "1.1.2024 1:05", "27.10.2024 02:30", "31.03.2024 02:30", "?"),
        *("01.01.1900 00:00", "", "30.2.2024 10:00", "soon", "24.12.2024 10:00 ", "é"),
    ]
)
DAYS = st.sampled_from(["2024-12-24", "2024-1-2", "2023-02-29", "?", ""])
ROW = st.tuples(
    st.sampled_from(["A", "B", "", "?", "Ä"]),
    st.sampled_from(["open", "", "shut"]),
    st.sampled_from(["", "a", "?", "b"]),
    STAMPS,
    st.sampled_from(["1", "+2", "-3", "x", ""]),
    st.sampled_from(["Eve", "", "eve@x.org"]),
    st.sampled_from(["1", "2", "3", "", "9"]),
    STAMPS,
    DAYS,
    st.sampled_from(["", "note", "call +49 30 1234567", "two\nlines", "NA"]),
)
GOOD = ("A", "open", "a", "24.12.2024 10:00", "1", "Eve", "1", "", "", "")


@settings(deadline=None)
@given(rows=st.lists(ROW, max_size=12), more=st.integers(0, 3))
def test_both_ways_give_the_same_log_and_the_same_rejects(
    folder: Path, rows: list[tuple[str, ...]], more: int
) -> None:
    path, plan = folder / "desk.csv", folder / "desk.toml"
    plan.write_text(MAPPING, encoding="utf-8")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "state", "step", "when", "n", "who", "prio", "born", "done", "note"])
        writer.writerows([GOOD, *rows, *[GOOD] * more])
    options = ReadOptions(mapping=plan, allow_rejects=True)
    with patch.object(_fast_csv, "BLOCK", 128):
        one = open_log([path], options)
    with patch.object(csv_mapped._File, "_quick", side_effect=Doubt):
        other = open_log([path], options)
    assert one.meta.rejects.to_pylist() == other.meta.rejects.to_pylist()
    assert one.meta == other.meta
    assert one.events.equals(other.events)
    assert one.cases.equals(other.cases)
    assert one.meta.rows_in == one.n_events + one.meta.rejects.num_rows == 1 + len(rows) + more


@pytest.mark.skipif(not UCI.exists(), reason="shared/data is missing")
def test_a_real_log_is_read_alike_by_both_ways_and_from_parquet(folder: Path) -> None:
    options = ReadOptions(mapping=find_mapping("uci_servicenow"))
    one = open_log([UCI], options)
    with patch.object(csv_mapped._File, "_quick", side_effect=Doubt):
        other = open_log([UCI], options)
    header, *rows = csv.reader(gzip.decompress(UCI.read_bytes()).decode().splitlines())
    path = folder / "uci.parquet"
    cells = zip(*rows, strict=True)
    pq.write_table(pa.table(dict(zip(header, map(list, cells), strict=True))), path)
    third = open_log([path], options)
    for log in (other, third):
        assert log.meta.sha256 == one.meta.sha256
        assert log.events.equals(one.events)
        assert log.cases.equals(one.cases)
        assert log.meta.seen == one.meta.seen


# --- stamps: whole columns against one at a time

PATTERNS = (
    *("iso", "iso_date", "epoch_s", "epoch_ms", "%d/%m/%Y %H:%M", "%Y-%m-%d", "%d%m%Y"),
    *("%d. %B %Y, %I:%M:%S %p", "%b %d %Y %I:%M%p", "%Y%m%d%H%M%S%f", "%m/%d/%Y %H:%M:%S.%f %z"),
    *("%z %d-%m-%Y %H:%M", "%%%Y %m %d %H:%M", "%dé%m→%Y %H:%M", "%d%m%Y%H%M"),
)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca")


def assert_alike(texts: Sequence[str | None], reader: TimeReader) -> int:
    """Return how many were read quickly; each of those as TimeReader reads it."""
    found = StampReader(reader).read(pa.array(texts, pa.string()))
    for row, text in enumerate(texts):
        if not found.done[row]:
            continue
        assert text is not None
        us, policy = reader.read(text)
        assert found.us[row] == us, (text, reader)
        assert {name for name, where in found.policies.items() if where[row]} == {policy} - {""}
    return int(found.done.sum())


def readable(text: str | None, reader: TimeReader) -> bool:
    try:
        return text is not None and reader.read(text) is not None
    except BadTimeError:
        return False


TEMPLATES = st.sampled_from(
    [
        "{Y:04d}-{m:02d}-{d:02d}T{H:02d}:{M:02d}:{S:02d}{z}",
        "{Y:04d}-{m:02d}-{d:02d} {H:02d}:{M:02d}:{S:02d}.{f}{z}",
        "{Y:04d}-{m:02d}-{d:02d} {H:02d}:{M:02d}:{S:02d},{f}{z}",
        "{Y:04d}-{m:02d}-{d:02d}T{H:02d}:{M:02d}{z}",
        "{Y:04d}-{m:02d}-{d:02d}",
        "{d}/{m}/{Y:04d} {H}:{M}",
        "{d}/{m:02d}/{Y:04d} {H:02d}:{M:02d}",
        "{d}{m}{Y:04d}{H}{M}",
        "{d}. {B} {Y:04d}, {I}:{M}:{S:02d} {p}",
        "{b} {d} {Y:04d} {I}:{M}{p}",
        "{Y:04d}{m:02d}{d:02d}{H:02d}{M:02d}{S:02d}{f}",
        "{m}/{d}/{Y:04d} {H}:{M}:{S}.{f} {z}",
        "{z} {d}-{m}-{Y:04d} {H}:{M}",
        "%{Y:04d} {m} {d} {H}:{M}",
        "{d}é{m}→{Y:04d} {H}:{M}",
        "{f}{f}",
        "-{f}",
    ]
)


@st.composite
def stamp(draw: st.DrawFn) -> str | None:
    if draw(st.integers(0, 12)) == 0:
        return draw(
            st.one_of(st.none(), st.text(st.sampled_from("0123456789-: T+Zé"), max_size=25))
        )
    month = draw(st.integers(1, 12))
    words = "January February March April May June July August September October November Decembre"
    word = words.split()[month - 1]
    return draw(TEMPLATES).format(
        Y=draw(st.sampled_from([2024, 2024, 2024, 1, 0, 9999, 1900, 2060, 1945])),
        m=draw(st.one_of(st.just(month), st.integers(0, 13))),
        d=draw(st.integers(0, 32)),
        H=draw(st.integers(0, 25)),
        I=draw(st.integers(0, 13)),
        M=draw(st.integers(0, 61)),
        S=draw(st.integers(0, 61)),
        f=draw(st.sampled_from(["5", "05", "123456", "123456789", "000001", "99999999999999"])),
        z=draw(st.sampled_from(["Z", "+02", "+0200", "-03:30", "+24:00", "-23:59", "", "+0160"])),
        B=draw(st.sampled_from([word, word.upper(), "Mai"])),
        b=word[:3],
        p=draw(st.sampled_from(["AM", "pm", "Pm", "xm"])),
    )


@given(
    texts=st.lists(stamp(), max_size=30),
    pattern=st.sampled_from(PATTERNS),
    zone=st.sampled_from([None, *ZONES]),
    ambiguous=st.sampled_from(["refuse", "earlier", "later"]),
    nonexistent=st.sampled_from(["refuse", "shift_forward"]),
)
def test_a_column_of_stamps_is_read_as_each_stamp_is(
    texts: list[str | None],
    pattern: str,
    zone: str | None,
    ambiguous: Policy,
    nonexistent: GapPolicy,
) -> None:
    reader = TimeReader(pattern, load_zone(zone) if zone else None, ambiguous, nonexistent)
    assert_alike(texts, reader)


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("iso", "%Y-%m-%dT%H:%M:%S.%f+05:30"),
        ("iso", "%Y-%m-%d %H:%M"),
        ("iso_date", "%Y-%m-%d"),
        ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S"),
        ("%d %b %Y %I:%M %p", "%d %b %Y %I:%M %p"),
        ("%B %d, %Y %H:%M:%S %z", "%B %d, %Y %H:%M:%S +0100"),
        ("epoch_s", "%s"),
    ],
)
@pytest.mark.parametrize("zone", ZONES)
def test_sound_stamps_are_all_read_quickly(pattern: str, written: str, zone: str) -> None:
    start = datetime(2023, 1, 1, tzinfo=UTC)
    moments = [start + timedelta(hours=37.3 * i) for i in range(500)]
    texts = [f"{m:{written}}" if written != "%s" else str(int(m.timestamp())) for m in moments]
    reader = TimeReader(pattern, load_zone(zone), "later", "shift_forward")
    assert assert_alike(texts, reader) == 500


def test_digits_of_any_number_are_read_quickly() -> None:
    texts = [
        f"{d}/{m}/2016 {h}:{h:02d}" for d in (1, 9, 10, 31) for m in (1, 12) for h in (0, 9, 23)
    ]
    assert assert_alike(texts, TimeReader("%d/%m/%Y %H:%M", load_zone("UTC"))) == len(texts)


def test_slices_and_nulls_keep_their_rows() -> None:
    texts = pa.array(["x", None, "2024-01-01T00:00:00Z", "", None, "2024-01-01T00:00:01Z", "y"])
    found = StampReader(TimeReader("iso", None)).read(texts[1:6])
    assert found.done.tolist() == [False, True, False, False, True]
    assert (found.us[4] - found.us[1]) == 1_000_000


@pytest.mark.parametrize("part", range(4))
def test_every_zone_is_read_alike_around_each_change_of_its_clock(part: int) -> None:
    names = files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    sample = [
        name for i, name in enumerate(names) if i % 24 == part * 6 or name in ZONES[part:][:1]
    ]
    for name in sample:
        reader = TimeReader("iso", load_zone(name), "later", "shift_forward")
        quick_reader = StampReader(reader)
        low, high = -2_208_988_800_000_000, 2_240_000_000_000_000  # 1900 to 2040
        clock = quick_reader._clock_between(low, high)
        assert clock is not None
        near = clock.starts[1:, None] + np.array([-3_600_000_000, -1, 0, 1, 3_599_999_999])
        # and moments of no interest, lest a change was missed
        walls = np.append(near.ravel(), np.arange(low, high, 11_111_111_111_111))
        found = quick_reader.read_wall(walls)
        assert found.done.all()
        for wall, us in zip(walls.tolist(), found.us.tolist(), strict=True):
            assert reader.local(wall, "").us == us, (name, wall)


# --- the log: order, fingerprint, coded columns


def fingerprint(tables: Sequence[pa.Table]) -> str:
    """The fingerprint of a log as it is defined, cell by cell."""
    whole = hashlib.sha256()
    for table in tables:
        digest = hashlib.sha256()
        for name in table.column_names:
            cells = table[name].to_pylist()
            nulls = sum(cell is None for cell in cells)
            digest.update(f"{name}\0{table[name].type}\0{len(cells)}\0{nulls}\0".encode())
            digest.update(bits([cell is not None for cell in cells]))
            if table[name].type == pa.string():
                texts = [(cell or "").encode() for cell in cells]
                digest.update(b"".join(len(text).to_bytes(8, "little") for text in texts))
                digest.update(b"".join(texts))
            elif table[name].type == pa.bool_():
                digest.update(bits([bool(cell) for cell in cells]))
            else:
                numbers = [(cell or 0).to_bytes(8, "little", signed=True) for cell in cells]
                digest.update(b"".join(numbers))
        whole.update(digest.digest())
    return whole.hexdigest()


def bits(flags: list[bool]) -> bytes:
    padded = "".join("01"[flag] for flag in flags).ljust(-(-len(flags) // 8) * 8, "0")
    return bytes(int(padded[i : i + 8], 2) for i in range(0, len(padded), 8))


WORD = st.one_of(st.none(), st.sampled_from(["", "a", "b", "é", "z\U0001f600", "z\uffff"]))
BIG = st.one_of(st.integers(0, 2), st.sampled_from([-(1 << 61), 1 << 61, 60_000_000, 10**15]))
EVENT = st.fixed_dictionaries(
    {
        "case_id": st.sampled_from(["c", "d", "C", "é"]),
        "activity": st.sampled_from(["x", "y", "z"]),
        "at": BIG,
        "actor": WORD,
        "team": WORD,
        "attr.x": WORD,
        "attr.n": st.one_of(st.none(), st.integers(0, 1)),
        "position": st.one_of(st.none(), BIG),
    }
)
TYPES = pa.schema(
    [
        *((name, pa.string()) for name in ("case_id", "activity", "actor", "team", "attr.x")),
        *((name, pa.int64()) for name in ("at", "attr.n", "position")),
    ]
)


@given(
    rows=st.lists(EVENT, max_size=14),
    order=st.sampled_from([(), ("y", "x"), ("z",)]),
    positions=st.booleans(),
)
def test_the_order_is_the_one_that_is_declared(
    rows: list[dict[str, str | int | None]], order: tuple[str, ...], *, positions: bool
) -> None:
    given_table = pa.Table.from_pylist(rows, schema=TYPES)
    if not positions:
        given_table = given_table.drop_columns(["position"])
    log = EventLog.build(given_table, meta=META, activity_order=order)

    def key(row: dict[str, str | int | None]) -> tuple[object, ...]:
        place, number = row["position"], row["attr.n"]
        words = [row["activity"], row["actor"], row["team"]]
        return (
            str(row["case_id"]).encode(),
            row["at"],
            *((place is None, place or 0) if positions else ()),
            order.index(str(row["activity"])) if row["activity"] in order else len(order),
            *((word is not None, str(word or "").encode()) for word in words),
            (number is None, number or 0),
            (row["attr.x"] is not None, str(row["attr.x"] or "").encode()),
        )

    names = [name for name in given_table.column_names if name != "position"]
    expected = [{name: row[name] for name in names} for row in sorted(rows, key=key)]
    assert log.events.select(names).to_pylist() == expected
    events = log.events.drop_columns(["seq"])
    assert log.meta.sha256 == fingerprint([events, log.cases, log.links])


def coded(table: pa.Table, sizes: Sequence[int]) -> pa.Table:
    """The same table in several chunks, its texts coded, each chunk with words of its own."""
    parts, start = [], 0
    for size in (*sizes, table.num_rows):
        part = table.slice(start, size).combine_chunks()
        start += part.num_rows
        columns = {
            name: part[name].cast(pa.dictionary(pa.int32(), pa.string()))
            if part[name].type == pa.string()
            else part[name]
            for name in part.column_names
        }
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)


@given(rows=st.lists(EVENT, max_size=14), sizes=st.lists(st.integers(0, 5), max_size=3))
def test_coded_columns_give_the_same_log(
    rows: list[dict[str, str | int | None]], sizes: list[int]
) -> None:
    plain = pa.Table.from_pylist(rows, schema=TYPES)
    names = ["attr.y" if name == "attr.x" else name for name in plain.column_names]
    plain = plain.append_column("case.attr.x", plain["attr.x"]).rename_columns(
        [*names, "case.attr.x"]
    )
    meta = LogMeta(source="test")
    one = EventLog.build(plain, meta=meta, people=frozenset({"attr.y"}))
    other = EventLog.build(coded(plain, sizes), meta=meta, people=frozenset({"attr.y"}))
    assert other.meta == one.meta
    assert other.events.equals(one.events)
    assert other.cases.equals(one.cases)


def test_two_words_of_one_meaning_are_one_word() -> None:
    words = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 2], pa.int32()), ["b", "b", "a"])
    found = _coded.ranked(words)
    assert found.codes.tolist() == [1, 1, -1, 0]
    assert found.words.to_pylist() == ["a", "b"]


def test_a_column_that_no_log_can_hold_is_a_coded_error() -> None:
    column = _coded.Coded(np.zeros(3, np.int32), pa.array(["x" * 100]))
    with patch.object(_coded, "MAX_TEXT", 299), pytest.raises(RunError, match="LG069 column 'n'"):
        _coded.decoded(column, "n")


# --- dates without a clock


@pytest.mark.parametrize("pattern", ["iso_date", "%Y-%m-%d"])
def test_dates_without_a_clock_are_midnight_in_the_zone_and_counted(
    tmp_path: Path, pattern: str
) -> None:
    plan, path = tmp_path / "m.toml", tmp_path / "a.csv"
    plan.write_text(
        f'name = "m"\n[time]\ntimezone = "Europe/Berlin"\nformat = "{pattern}"\n'
        '[event]\ncase_id = "c"\nactivity = "a"\nat = "day"\n[case]\nopened = "born"\n'
    )
    path.write_text("c,a,day,born\nA,x,2024-07-01,\nA,y,2024-01-01,2023-12-31\n")
    log = open_log([path], ReadOptions(mapping=plan))
    expected = [datetime(2023, 12, 31, 23, tzinfo=UTC), datetime(2024, 6, 30, 22, tzinfo=UTC)]
    assert log.events["at"].to_pylist() == [int(m.timestamp() * 1e6) for m in expected]
    seen = [(s.subject, s.count) for s in log.meta.seen if s.code == "QG123"]
    assert seen == [("born", 1), ("day", 2)]


def test_dates_without_a_clock_need_a_zone(tmp_path: Path) -> None:
    plan, path = tmp_path / "m.toml", tmp_path / "a.csv"
    plan.write_text(
        'name = "m"\n[time]\nformat = "iso_date"\n'
        '[event]\ncase_id = "c"\nactivity = "a"\nat = "day"\n'
    )
    path.write_text("c,a,day\nA,x,2024-07-01\n")
    with pytest.raises(CodedError, match="LG054"):
        open_log([path], ReadOptions(mapping=plan))
