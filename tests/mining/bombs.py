"""Which small files unfold to more than a machine holds, and what does reading one cost?

Each maker writes one file. `measured` runs `trueloop` on it in a process of its own and returns
what it said, how long it took and its peak of resident memory; `Reader` measures the reading alone,
many files in one process.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
import struct
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterable

MIB: Final = 1 << 20
ROW: Final = b"1,Open,2024-01-01T00:00:00Z\n"
HEADER: Final = b"case_id,activity,at\n"
EVENT: Final = (
    b'<event><string key="concept:name" value="Open"/>'
    b'<date key="time:timestamp" value="2024-01-01T00:00:00Z"/></event>'
)
ISSUE: Final = (
    b'{"issues": [{"id": "1", "key": "A-1", "self": "https://a/rest/api/3/issue/1", '
    b'"fields": {"created": "2024-01-01T00:00:00.000+0000", "summary": "'
)
XES: Final = b'<?xml version="1.0"?><log><trace><string key="concept:name" value="'

# Linux counts the pages that a process had before it was exec'ed, so a small process starts it.
_MEASURE: Final = """
import json, os, resource, subprocess, sys, time
limit = int(sys.argv[1])
begin = time.monotonic()
child = subprocess.Popen(
    sys.argv[2:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
)
said = child.stdout.read().decode("utf-8", "replace")
_, status, usage = os.wait4(child.pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), said, time.monotonic() - begin,
                  usage.ru_maxrss / 1024]))
"""
_MOST: Final = 6 << 30  # so that a bomb that goes off kills its own process only
_LIMIT: Final = f"resource.setrlimit(resource.RLIMIT_DATA, ({_MOST}, {_MOST}))\n"


@dataclass(frozen=True)
class Outcome:
    """What a run of the command said and cost."""

    exit_code: int
    said: str
    seconds: float
    peak_mib: float


def measured(*arguments: str) -> Outcome:
    """Run `trueloop` with the arguments and measure it."""
    command = [str(Path(sys.executable).with_name("trueloop")), *arguments]
    done = subprocess.run(
        [sys.executable, "-S", "-c", _MEASURE, str(_MOST), *command],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Outcome(*json.loads(done.stdout))


# Reads one file a line of its input, and tells code, seconds and peak after each.
_READER: Final = """
import json, sys, time, warnings
from pathlib import Path
from process_mining.errors import CodedError
from process_mining.sources import ReadOptions, open_log
warnings.simplefilter("error")
for line in sys.stdin:
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts anew
    begin = time.monotonic()
    try:
        log = open_log([Path(line.strip())], ReadOptions(allow_rejects=True))
        said = f"{log.n_cases} cases, {log.n_events} events"
    except CodedError as error:
        said = str(error)
    except Exception as error:
        said = f"not coded: {error!r}"
    seconds = time.monotonic() - begin
    status = Path("/proc/self/status").read_text()
    peak = next(row.split()[1] for row in status.splitlines() if row.startswith("VmHWM"))
    print(json.dumps([0, said, seconds, int(peak) / 1024]), flush=True)
"""


class Reader:
    """A process that reads one file after the other, with a peak of memory for each."""

    def __init__(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"import resource\n{_LIMIT}{_READER}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    def read(self, path: Path) -> Outcome:
        """Return what reading the file said and cost."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        return Outcome(*json.loads(self._process.stdout.readline()))

    def end(self) -> None:
        """End it."""
        self._process.communicate()


# --- packed


def _packed(path: Path, pieces: Iterable[bytes | tuple[bytes, int]]) -> Path:
    """Write one gzip member; (bytes, n) stands n times and is packed once."""
    packer, check, size = zlib.compressobj(9, wbits=-15), 0, 0
    with path.open("wb") as file:
        file.write(b"\x1f\x8b\x08\0\0\0\0\0\0\xff")
        for piece in pieces:
            data, times = (piece, 1) if isinstance(piece, bytes) else piece
            # after a full flush a block refers to nothing before it, so it may be repeated
            block = packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)
            for _ in range(times):
                file.write(block)
                check = zlib.crc32(data, check)
            size += len(data) * times
        file.write(packer.flush() + struct.pack("<LL", check, size % (1 << 32)))
    return path


def _members(path: Path, content: bytes, times: int) -> Path:
    path.write_bytes(gzip.compress(content, mtime=0) * times)
    return path


def zeros_1_gb(folder: Path) -> Path:
    """One member of 1 GiB of zero bytes."""
    return _packed(folder / "log.csv.gz", [(bytes(MIB), 1024)])


def zeros_10_gb_by_members(folder: Path) -> Path:
    """10 GiB of zero bytes as 1,024 members."""
    return _members(folder / "log.gz", bytes(10 * MIB), 1024)


def blank_lines_10_gb_by_members(folder: Path) -> Path:
    """A CSV whose rows are followed by 10 GiB of blank lines."""
    path = folder / "log.csv.gz"
    start = gzip.compress(HEADER + ROW, mtime=0)
    path.write_bytes(start + gzip.compress(b"\n" * 10 * MIB, mtime=0) * 1024)
    return path


def one_xes_value(folder: Path) -> Path:
    """One name of 1 GiB in an XES log."""
    pieces = (XES, (b"A" * MIB, 1024), b'"/>', EVENT, b"</trace></log>")
    return _packed(folder / "log.xes.gz", pieces)


def xes_of_blanks(folder: Path) -> Path:
    """1 GiB of white space between two tags."""
    pieces = (XES, b'1"/>', (b" " * MIB, 1024), EVENT, b"</trace></log>")
    return _packed(folder / "log.xes.gz", pieces)


def one_event_many_times(folder: Path) -> Path:
    """One trace with one event 10 million times, 1 GiB of XES."""
    pieces = (XES, b'1"/>', (EVENT * 10_000, 1_000), b"</trace></log>")
    return _packed(folder / "log.xes.gz", pieces)


def one_row_many_times(folder: Path) -> Path:
    """One row of a CSV 100 million times, 2.7 GiB."""
    return _packed(folder / "log.csv.gz", [HEADER, (ROW * 100_000, 1_000)])


def one_line_many_times(folder: Path) -> Path:
    """One event of our own schema 20 million times."""
    line = b'{"case_id":"1","activity":"Open","at":"2024-01-01T00:00:00Z"}\n'
    return _packed(folder / "log.ndjson.gz", [(line * 100_000, 200)])


def gzip_in_gzip(folder: Path) -> Path:
    """1 GiB of zeros, packed twice."""
    inner = zeros_1_gb(folder).read_bytes()
    path = folder / "log.csv.gz.gz"
    path.write_bytes(gzip.compress(inner, mtime=0))
    return path


def zip_named_csv(folder: Path) -> Path:
    """A zip archive of 256 MiB of zeros that calls itself a CSV."""
    return _zip(folder / "log.csv", "log.csv")


def xlsx(folder: Path) -> Path:
    """A workbook with a sheet of 256 MiB of zeros."""
    return _zip(folder / "log.xlsx", "xl/worksheets/sheet1.xml")


def _zip(path: Path, name: str) -> Path:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(name, "w", force_zip64=True) as member,
    ):
        for _ in range(256):
            member.write(bytes(MIB))
    return path


# --- XML


def _doctype(path: Path, root: str, doctype: str, text: str) -> Path:
    path.write_text(
        f'<?xml version="1.0"?>\n<!DOCTYPE {root} [{doctype}]>\n<{root}>{text}</{root}>',
        encoding="utf-8",
    )
    return path


def billion_laughs(folder: Path, root: str = "log") -> Path:
    """Entities of ten entities of ten entities, nine deep."""
    levels = (f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    doctype = '<!ENTITY l0 "lol">' + "".join(levels)
    return _doctype(folder / "log.xml", root, doctype, "&l9;")


def quadratic_blowup(folder: Path, root: str = "log") -> Path:
    """One entity of 100 kB, 100,000 times."""
    return _doctype(folder / "log.xml", root, f'<!ENTITY a "{"a" * 100_000}">', "&a;" * 100_000)


def external_entity(folder: Path, root: str = "log") -> Path:
    """An entity that stands in another file."""
    return _doctype(folder / "log.xml", root, '<!ENTITY a SYSTEM "file:///etc/hostname">', "&a;")


def external_subset(folder: Path, root: str = "log") -> Path:
    """A DOCTYPE whose declarations stand in another file."""
    path = folder / "log.xml"
    path.write_text(
        f'<?xml version="1.0"?><!DOCTYPE {root} SYSTEM "file:///etc/passwd"><{root}/>',
        encoding="utf-8",
    )
    return path


def doctype_far_away(folder: Path, root: str = "log") -> Path:
    """A DOCTYPE behind a comment longer than what is looked at to recognise a file."""
    path = folder / "log.xml"
    text = f"<?xml version='1.0'?><!--{'x' * 100_000}--><!DOCTYPE {root} ["
    path.write_text(text + f'<!ENTITY a "b">]><{root}>&a;</{root}>', encoding="utf-8")
    return path


def doctype_in_utf16(folder: Path, root: str = "log") -> Path:
    """Ten entities of ten entities in UTF-16."""
    path = billion_laughs(folder, root)
    path.write_bytes(path.read_text(encoding="utf-8").encode("utf-16"))
    return path


def deep_xml(folder: Path) -> Path:
    """A million attributes, each inside the one before."""
    tag = b'<string key="a" value="b">'
    pieces = (XES, b'1"/>', b"<event>", (tag * 10_000, 100))
    return _packed(folder / "log.xes.gz", pieces)


def many_xml_attributes(folder: Path) -> Path:
    """An event tag with 400,000 XML attributes."""
    path = folder / "log.xes"
    names = b" ".join(b'a%d="b"' % n for n in range(400_000))
    path.write_bytes(XES + b'1"/><event ' + names + b"></event></trace></log>")
    return path


# --- JSON


def brackets(folder: Path) -> Path:
    """100,000 lists, each inside the one before."""
    path = folder / "log.json"
    path.write_bytes(ISSUE + b'", "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}]}")
    return path


def nested_objects(folder: Path) -> Path:
    """100,000 objects, each inside the one before, with keys of an OCEL log."""
    path = folder / "log.json"
    start = '{"objectTypes": [], "eventTypes": [], "objects": [], "events": '
    path.write_text(start + '{"a":' * 100_000 + "1" + "}" * 100_001, encoding="utf-8")
    return path


def nested_line(folder: Path) -> Path:
    """100,000 lists inside an event of our own schema."""
    path = folder / "log.ndjson"
    start = '{"case_id":"1","activity":"A","at":"2024-01-01T00:00:00Z","attributes":'
    path.write_text(start + "[" * 100_000 + "]" * 100_000 + "}\n", encoding="utf-8")
    return path


def one_json_string(folder: Path) -> Path:
    """One text of 300 MB in a ticket of Zendesk."""
    pieces = (ISSUE, *[b"a" * MIB] * 300, b'"}}]}')
    return _written(folder / "log.json", pieces)


def one_json_string_packed(folder: Path) -> Path:
    """One text of 250 MB, just below the limit of one JSON text, packed."""
    pieces = (ISSUE, (b"a" * MIB, 250), b'"}}]}')
    return _packed(folder / "log.json.gz", pieces)


def empty_objects(folder: Path) -> Path:
    """70 million empty objects, 200 MB of JSON, packed."""
    start = ISSUE + b'"}}'
    return _packed(folder / "log.json.gz", (start, (b",{}" * 100_000, 700), b"]}"))


def ocel_of_empty_objects(folder: Path) -> Path:
    """The same in an object-centric log."""
    start = b'{"objectTypes": [], "eventTypes": [], "objects": [], "events": [{}'
    return _packed(folder / "log.json.gz", (start, (b",{}" * 100_000, 700), b"]}"))


def one_line_of_ndjson(folder: Path) -> Path:
    """One line of 300 MB in our own schema."""
    start = b'{"case_id":"1","activity":"A","at":"2024-01-01T00:00:00Z","attributes":{"a":"'
    return _written(folder / "log.ndjson", (start, *[b"a" * MIB] * 300, b'"}}\n'))


def many_keys(folder: Path) -> Path:
    """An event with a million attributes."""
    path = folder / "log.ndjson"
    event = {"case_id": "1", "activity": "A", "at": "2024-01-01T00:00:00Z"}
    keys = {f"k{n}": n for n in range(700_000)}
    path.write_text(json.dumps(event | {"attributes": keys}) + "\n", encoding="utf-8")
    return path


def _written(path: Path, pieces: Iterable[bytes]) -> Path:
    with path.open("wb") as file:
        file.writelines(pieces)
    return path


# --- tables


def one_csv_line(folder: Path) -> Path:
    """A CSV whose second line has 1 GB."""
    return _written(folder / "log.csv", (HEADER, b"1,", *[b"a" * MIB] * 1024))


def one_csv_cell(folder: Path) -> Path:
    """A CSV with a quoted cell of 1 GB of short lines."""
    return _written(folder / "log.csv", (HEADER, b'1,"', *[b"aaaaaaa\n" * (MIB >> 3)] * 1024))


def many_columns(folder: Path) -> Path:
    """A CSV with a million columns."""
    names = b",".join(b"c%d" % n for n in range(1_000_000))
    cells = b",".join([b"1"] * 1_000_000)
    header = HEADER.rstrip() + b"," + names + b"\n"
    return _written(folder / "log.csv", (header, ROW.rstrip() + b"," + cells + b"\n"))


def many_short_columns(folder: Path) -> Path:
    """A CSV whose header has eight million empty names."""
    return _written(folder / "log.csv", (HEADER.rstrip() + b"," * 8_000_000 + b"\n", ROW))


def one_parquet_value(folder: Path) -> Path:
    """1,000 million rows of one event, run-length encoded."""
    return _run_lengths(folder, rows=50_000_000, groups=20)


def one_parquet_value_less(folder: Path) -> Path:
    """The same with 20 million rows, which takes less time to write."""
    return _run_lengths(folder, rows=20_000_000)


def long_parquet_value(folder: Path) -> Path:
    """A million rows with one text of 1 MB in each, stored once."""
    return _run_lengths(folder, note="a" * MIB)


def long_parquet_time(folder: Path) -> Path:
    """A million rows whose time is one text of 1 MB, stored once."""
    return _run_lengths(folder, at="2" * MIB)


def _run_lengths(
    folder: Path,
    *,
    rows: int = 1_000_000,
    groups: int = 1,
    at: str = "2024-01-01T00:00:00Z",
    note: str = "",
) -> Path:
    zeros = pa.Array.from_buffers(pa.int8(), rows, [None, pa.py_buffer(bytes(rows))])
    words = {"case_id": "1", "activity": "Open", "at": at, "note": note}
    table = pa.table(
        {name: pa.DictionaryArray.from_arrays(zeros, pa.array([w])) for name, w in words.items()}
    )
    path = folder / "log.parquet"
    with pq.ParquetWriter(path, table.schema, compression="zstd", store_schema=False) as writer:
        for _ in range(groups):
            writer.write_table(table, row_group_size=rows)
    return path


def parquet_page_of_zeros(folder: Path) -> Path:
    """One text of 256 MiB, packed by zstandard inside the file."""
    path = folder / "log.parquet"
    table = pa.table(
        {
            "case_id": ["1"],
            "activity": ["Open"],
            "at": ["2024-01-01T00:00:00Z"],
            "note": pa.array(["a" * (256 * MIB)], pa.large_string()),
        }
    )
    pq.write_table(table, path, compression="zstd", use_dictionary=False, write_statistics=False)
    return path


def parquet_columns(folder: Path) -> Path:
    """A table of 20,000 columns without a row."""
    path = folder / "log.parquet"
    names = ["case_id", "activity", "at", *(f"c{n}" for n in range(20_000))]
    pq.write_table(pa.table({name: pa.array([], pa.string()) for name in names}), path)
    return path


def parquet_footer(folder: Path) -> Path:
    """A file whose footer says that it is 2 GB long."""
    path = folder / "log.parquet"
    path.write_bytes(b"PAR1" + bytes(100) + (2_000_000_000).to_bytes(4, "little") + b"PAR1")
    return path


def parquet_lengths(folder: Path) -> Path:
    """A footer whose first list claims two thousand million elements."""
    path = folder / "log.parquet"
    footer = b"\x15\x04\x19\xfc\xff\xff\xff\xff\x07"
    path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    return path


# --- SQLite


def _ocel(path: Path, *statements: str) -> Path:
    """An object-centric log with one incident and one event, then the statements."""
    base = (
        "CREATE TABLE event_map_type (ocel_type TEXT PRIMARY KEY, ocel_type_map TEXT)",
        "CREATE TABLE object_map_type (ocel_type TEXT PRIMARY KEY, ocel_type_map TEXT)",
        "CREATE TABLE event (ocel_id TEXT PRIMARY KEY, ocel_type TEXT)",
        "CREATE TABLE object (ocel_id TEXT PRIMARY KEY, ocel_type TEXT)",
        "CREATE TABLE event_object (ocel_event_id TEXT, ocel_object_id TEXT, ocel_qualifier TEXT)",
        "CREATE TABLE object_object (ocel_source_id, ocel_target_id, ocel_qualifier)",
        "CREATE TABLE event_Open (ocel_id TEXT PRIMARY KEY, ocel_time TIMESTAMP, note TEXT)",
        "CREATE TABLE object_Incident (ocel_id, ocel_time, ocel_changed_field, text TEXT)",
        "INSERT INTO event_map_type VALUES ('Open', 'Open')",
        "INSERT INTO object_map_type VALUES ('Incident', 'Incident')",
        "INSERT INTO event VALUES ('e1', 'Open')",
        "INSERT INTO object VALUES ('1', 'Incident')",
        "INSERT INTO event_object VALUES ('e1', '1', '')",
        "INSERT INTO event_Open VALUES ('e1', '2024-01-01T00:00:00Z', NULL)",
        "INSERT INTO object_Incident VALUES ('1', '1970-01-01T00:00:00Z', NULL, NULL)",
    )
    with sqlite3.connect(path, isolation_level=None) as database:
        for statement in (*base, *statements):
            database.execute(statement)
    database.close()
    return path


def sqlite_plain(folder: Path) -> Path:
    """The log without anything hostile: it is read."""
    return _ocel(folder / "log.sqlite")


_COUNT: Final = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000000) "
)


def sqlite_view(folder: Path) -> Path:
    """A table of events that is a view over a hundred thousand million numbers."""
    view = f"CREATE VIEW event_Open AS {_COUNT} SELECT 'e' || i AS ocel_id, '2024' AS ocel_time"
    return _ocel(folder / "log.sqlite", "DROP TABLE event_Open", view + ", '' AS note FROM n")


def sqlite_view_beside(folder: Path) -> Path:
    """Such a view that nobody asked for."""
    numbers = "SELECT 1 AS i UNION ALL SELECT i + 1 FROM n"
    view = "CREATE VIEW sums AS WITH RECURSIVE n AS ({}) SELECT count(*) FROM n"
    return _ocel(folder / "log.sqlite", view.format(numbers))


def sqlite_generated_column(folder: Path) -> Path:
    """A column that is computed: 100 MB for each row."""
    return _ocel(
        folder / "log.sqlite",
        "DROP TABLE event_Open",
        "CREATE TABLE event_Open (ocel_id TEXT PRIMARY KEY, ocel_time TIMESTAMP, "
        "note TEXT AS (replace(hex(zeroblob(50000000)), '0', 'a')))",
        "INSERT INTO event_Open VALUES ('e1', '2024-01-01T00:00:00Z')",
    )


def sqlite_blob(folder: Path) -> Path:
    """A value of 300 MB."""
    return _ocel(folder / "log.sqlite", "UPDATE event_Open SET note = zeroblob(300000000)")


def sqlite_text(folder: Path) -> Path:
    """A text of 300 MB."""
    return _ocel(
        folder / "log.sqlite", "UPDATE event_Open SET note = CAST(zeroblob(300000000) AS TEXT)"
    )


def sqlite_cross(folder: Path) -> Path:
    """An index on an expression that computes 500 MB."""
    return _ocel(
        folder / "log.sqlite",
        "CREATE TABLE more (a TEXT, CHECK (length(hex(zeroblob(1))) > 0))",
        "CREATE TRIGGER t AFTER INSERT ON event BEGIN SELECT hex(zeroblob(250000000)); END",
    )


def sqlite_page_size(folder: Path) -> Path:
    """A header that claims 4 thousand million pages."""
    path = _ocel(folder / "log.sqlite")
    data = bytearray(path.read_bytes())
    data[28:32] = b"\xff\xff\xff\xfe"
    path.write_bytes(data)
    return path
