"""Does a Parquet file give the same log as the CSV of the same rows, and are its times honoured?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from process_mining.errors import CodedError, RunError
from process_mining.sources import ReadOptions, open_log

if TYPE_CHECKING:
    from pathlib import Path

    from process_mining.eventlog import EventLog

TEN = datetime(2024, 7, 1, 10, tzinfo=UTC)
TEN_US = 1_719_828_000_000_000
HOUR_US = 3_600_000_000


def read(folder: Path, columns: dict[str, object], **options: object) -> EventLog:
    path = folder / "log.parquet"
    pq.write_table(pa.table({"case_id": ["A"], "activity": ["x"], **columns}), path)
    return open_log([path], ReadOptions(**options))  # type: ignore[arg-type]


def test_zoned_timestamps_are_instants(tmp_path: Path) -> None:
    for unit in ("s", "ms", "us", "ns"):
        at = pa.array([TEN], pa.timestamp(unit, tz="Europe/Berlin"))
        log = read(tmp_path, {"at": at})
        assert log.meta.source == "parquet"
        assert log.events["at"].to_pylist() == [TEN_US]


def test_naive_timestamps_need_a_declared_zone(tmp_path: Path) -> None:
    at = pa.array([TEN.replace(tzinfo=None)], pa.timestamp("ms"))
    with pytest.raises(RunError, match=r"LG035 .*row 1: LG105 .*2024-07-01T10:00:00.* no zone"):
        read(tmp_path, {"at": at})
    log = read(tmp_path, {"at": at}, timezone="Europe/Berlin")
    assert log.events["at"].to_pylist() == [TEN_US - 2 * HOUR_US]


def test_numbers_flags_and_dictionaries_become_text(tmp_path: Path) -> None:
    columns = {
        "at": ["2024-07-01T10:00:00Z"],
        "case_id": pa.array([17]),
        "team": pa.array(["T"]).dictionary_encode(),
        "actor": pa.array(["Eve"], pa.large_string()),
        "flag": [True],
    }
    (event,) = read(tmp_path, columns, clear_names=True).events.to_pylist()
    assert (event["case_id"], event["team"], event["actor"]) == ("17", "T", "Eve")
    assert event["attr.flag"] == "true"


def test_the_mapping_of_a_csv_reads_the_same_rows_from_parquet(tmp_path: Path) -> None:
    rows = {
        "id": ["A", "A"],
        "what": ["a", "b"],
        "when": ["1.7.2024 10:00", "1.7.2024 10:00"],
        "n": ["2", "1"],
    }
    plan = tmp_path / "m.toml"
    plan.write_text(
        'name = "m"\n[time]\ntimezone = "UTC"\nformat = "%d.%m.%Y %H:%M"\n'
        '[event]\ncase_id = "id"\nactivity = "what"\nat = "when"\norder_by = "n"\n'
    )
    table, text = tmp_path / "a.parquet", tmp_path / "a.csv"
    pq.write_table(pa.table(rows | {"n": pa.array([2, 1])}), table)
    lines = [",".join(rows), *(",".join(cells) for cells in zip(*rows.values(), strict=True))]
    text.write_text("\n".join(lines))
    logs = [open_log([path], ReadOptions(mapping=plan)) for path in (table, text)]
    assert logs[0].meta.sha256 == logs[1].meta.sha256
    assert logs[0].events["activity"].to_pylist() == ["b", "a"]


def test_rejects_name_their_row(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    at = ["2024-07-01T10:00:00Z", "soon", None]
    pq.write_table(pa.table({"case_id": list("ABC"), "activity": list("xyz"), "at": at}), path)
    rejects = open_log([path], ReadOptions(allow_rejects=True)).meta.rejects.to_pylist()
    assert [(r["place"], r["code"]) for r in rejects] == [("row 2", "LG104"), ("row 3", "LG103")]


def test_a_column_that_is_no_text_and_a_table_without_our_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CodedError, match="LG066 column 'tags'"):
        read(tmp_path, {"at": ["2024-07-01T10:00:00Z"], "tags": [["a"]]})
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"number": ["A"]}), path)
    with pytest.raises(CodedError, match=r"LG042 other\.parquet has columns of its own: number"):
        open_log([path])


@pytest.mark.parametrize("cut", [20, -1, -200])
def test_a_cut_file_is_an_error(tmp_path: Path, cut: int) -> None:
    read(tmp_path, {"at": ["2024-07-01T10:00:00Z"]})
    path = tmp_path / "log.parquet"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(RunError, match="LG065"):
        open_log([path])


def test_row_groups_and_small_dictionaries_make_one_log(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    n = 50
    teams = pa.array(["T1", "T2", None] * n, pa.string())[:n]
    table = pa.table(
        {
            "case_id": [f"C{i % 7}" for i in range(n)],
            "activity": pa.array([f"a{i % 3}" for i in range(n)], pa.string_view()),
            "at": [f"2024-07-01T10:{i:02d}:00Z" for i in range(n)],
            "team": teams.cast(pa.dictionary(pa.int8(), pa.string())),
            "actor": pa.array(["Eve", None] * (n // 2), pa.large_string()),
        }
    )
    pq.write_table(table, path, row_group_size=8)
    log = open_log([path], ReadOptions(clear_names=True))
    rows = sorted(table.to_pylist(), key=lambda row: (row["case_id"], row["at"]))
    names = ["case_id", "activity", "team", "actor"]
    assert log.events.select(names).to_pylist() == [{n: row[n] for n in names} for row in rows]
