"""Does one story, told in every source's format, give one and the same log?

Each folder of tests/data/rosetta is the story as one format tells it, with a mapping where the
format does not say it all. The story: `rosetta_story`. Here also: the same records in another
order, the same files in another order, and packed with gzip, are the same log; the fixtures leave
nothing refused; and a fact that is changed changes the log.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.parquet as pq
import pytest
from improvement.command_line import in_process
from mining.rosetta_story import reference

from process_mining.errors import CodedError
from process_mining.sources import ReadOptions, open_log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FIXTURES = Path(__file__).parents[1] / "data" / "rosetta"
OBJECTS = "Incident"
# folder → the source that reads it
FOLDERS = {
    "csv": "csv_mapped",
    "github": "github",
    "jira": "jira",
    "jira_fivetran": "jira",
    "jira_pages": "jira",
    "jira_server": "jira",
    "ndjson": "ndjson+own_cases",
    "ocel_json": "ocel",
    "ocel_xml": "ocel",
    "parquet": "parquet",
    "servicenow_csv": "servicenow",
    "servicenow_display": "servicenow",
    "servicenow_json": "servicenow",
    "xes": "xes",
    "zendesk": "zendesk",
    "zendesk_fivetran": "zendesk",
}
# built here, for they are databases: folder that they are made of → their source
BUILT = {"ocel_sqlite": "ocel", "duckdb": "warehouse"}
NAMES = sorted({**FOLDERS, **BUILT})


@dataclass(frozen=True)
class Told:
    """The story as one format tells it."""

    paths: list[Path]
    mapping: Path | None
    source: str

    def options(self) -> ReadOptions:
        types = (OBJECTS,) if self.source == "ocel" else ()
        return ReadOptions(mapping=self.mapping, object_types=types)

    def arguments(self) -> list[str]:
        mapping = ["--mapping", str(self.mapping)] if self.mapping else []
        types = ["--object-type", OBJECTS] if self.source == "ocel" else []
        return [*map(str, self.paths), *mapping, *types]


def told(name: str, folder: Path) -> Told:
    """Return the files of a format; databases are built in `folder`."""
    if name == "duckdb":
        return Told([as_duckdb(folder)], None, BUILT[name])
    if name == "ocel_sqlite":
        return Told([as_sqlite(folder)], FIXTURES / "ocel_json" / "mapping.toml", BUILT[name])
    here = FIXTURES / name
    mapping = here / "mapping.toml"
    paths = sorted(path for path in here.iterdir() if path != mapping)
    return Told(paths, mapping if mapping.exists() else None, FOLDERS[name])


def as_duckdb(folder: Path) -> Path:
    """Put the table of the Parquet fixture into a database; its mapping asks for it by a query."""
    database = folder / "desk.duckdb"
    with duckdb.connect(str(database)) as connection:
        updates = pq.read_table(FIXTURES / "parquet" / "updates.parquet")
        connection.register("given", updates)
        connection.execute("CREATE TABLE updates AS SELECT * FROM given")
    mapping = (FIXTURES / "parquet" / "mapping.toml").read_text(encoding="utf-8")
    path = folder / "desk.toml"
    asked = '[warehouse]\nurl = "duckdb:///FILE"\nquery = "SELECT * FROM updates"\n\n[time]'
    path.write_text(
        mapping.replace("[time]", asked.replace("FILE", str(database))), encoding="utf-8"
    )
    return path


def as_sqlite(folder: Path) -> Path:
    """Write the OCEL story as the SQLite format's specification says: a table for each type."""
    story = json.loads((FIXTURES / "ocel_json" / "story.json").read_text(encoding="utf-8"))
    path = folder / "story.sqlite"
    with closing(sqlite3.connect(path)) as database:
        for what, other in (("event", "ocel_object_id"), ("object", "ocel_target_id")):
            items = story[f"{what}s"]
            fill(database, what, ["ocel_id", "ocel_type"], [[i["id"], i["type"]] for i in items])
            kinds = story[f"{what}Types"]
            short = [[kind["name"], f"T{n}"] for n, kind in enumerate(kinds)]
            fill(database, f"{what}_map_type", ["ocel_type", "ocel_type_map"], short)
            own = "ocel_event_id" if what == "event" else "ocel_source_id"
            related = [
                [item["id"], relation["objectId"], relation["qualifier"]]
                for item in items
                for relation in item.get("relationships", [])
            ]
            fill(database, f"{what}_object", [own, other, "ocel_qualifier"], related)
            for n, kind in enumerate(kinds):
                names = [attribute["name"] for attribute in kind["attributes"]]
                fixed = ["ocel_id", "ocel_time", *["ocel_changed_field"] * (what == "object")]
                found = [
                    row for i in items if i["type"] == kind["name"] for row in rows_of(i, names)
                ]
                fill(database, f"{what}_T{n}", [*fixed, *names], found)
        database.commit()
    return path


def rows_of(item: dict[str, Any], names: Sequence[str]) -> list[list[str | None]]:
    """An event is a row; an object a row for its first values and one for each later one."""
    values = item.get("attributes", [])
    if "time" in item:
        given = {a["name"]: a["value"] for a in values}
        return [[item["id"], item["time"], *(given.get(name) for name in names)]]
    begin = "1970-01-01T00:00:00Z"
    first = {a["name"]: a["value"] for a in values if a["time"].startswith("1970-01-01T00:00:00")}
    out: list[list[str | None]] = [[item["id"], begin, None, *(first.get(n) for n in names)]]
    for a in values:
        if not a["time"].startswith("1970-01-01T00:00:00"):
            later = (a["value"] if name == a["name"] else None for name in names)
            out.append([item["id"], a["time"], a["name"], *later])
    return out


def fill(
    database: sqlite3.Connection,
    table: str,
    names: Sequence[str],
    rows: Sequence[Sequence[str | None]],
) -> None:
    quoted = ", ".join(f'"{name}"' for name in names)
    database.execute(f'CREATE TABLE "{table}" ({quoted})')
    marks = ", ".join("?" * len(names))
    database.executemany(f'INSERT INTO "{table}" VALUES ({marks})', rows)  # noqa: S608 - names of the fixture


def sha256(paths: Sequence[Path], options: ReadOptions) -> str:
    return open_log(paths, options).meta.sha256


# --- one story, one log


def test_every_folder_is_told() -> None:
    assert {path.name for path in FIXTURES.iterdir()} == set(FOLDERS)


@pytest.mark.parametrize("name", NAMES)
def test_every_format_tells_one_log(tmp_path: Path, name: str) -> None:
    story = told(name, tmp_path)
    log = open_log(story.paths, story.options())
    assert log.meta.source == story.source
    assert log.meta.rejects.num_rows == 0
    assert (log.n_cases, log.n_events, log.links.num_rows) == (1, 9, 0)
    whole = reference()
    for column in whole.events.column_names:  # what differs is shown by name
        if column != "actor":
            assert log.events[column].to_pylist() == whole.events[column].to_pylist(), column
    assert log.cases.to_pylist() == whole.cases.to_pylist()
    assert log.meta.sha256 == whole.meta.sha256
    assert log.events["actor"].to_pylist() == whole.events["actor"].to_pylist()


@pytest.mark.parametrize("name", NAMES)
def test_inspect_refuses_nothing_of_it(tmp_path: Path, name: str) -> None:
    done = in_process("inspect", "--json", *told(name, tmp_path).arguments())
    assert done.code == 0, done.err
    found = done.json()
    assert found["rejects"] == []
    assert found["log"]["sha256"] == reference().meta.sha256


# --- the same told otherwise


def shuffled_csv(path: Path, delimiter: str, encoding: str, seed: random.Random) -> bytes:
    with path.open(newline="", encoding=encoding) as file:
        header, *rows = csv.reader(file, delimiter=delimiter)
    seed.shuffle(rows)
    lines = (delimiter.join('"' + c.replace('"', '""') + '"' for c in r) for r in [header, *rows])
    return ("\r\n".join(lines) + "\r\n").encode(encoding)


def shuffled_json(data: bytes, seed: random.Random) -> bytes:
    """Shuffle the records: the list at the top, or the lists right below it."""
    value = json.loads(data)
    for found in [value] if isinstance(value, list) else value.values():
        if isinstance(found, list):
            seed.shuffle(found)
    return json.dumps(value).encode()


def shuffled(path: Path, seed: random.Random) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".csv":
        german = path.parent.name == "csv"
        encoding = "cp1252" if path.parent.name == "servicenow_display" else "utf-8"
        return shuffled_csv(path, ";" if german else ",", encoding, seed)
    if path.suffix == ".ndjson":
        lines = data.splitlines(keepends=True)
        seed.shuffle(lines)
        return b"".join(lines)
    return shuffled_json(data, seed) if path.suffix == ".json" else data


@pytest.mark.parametrize(
    "name", [name for name in FOLDERS if name not in {"parquet", "xes", "ocel_xml"}]
)
@pytest.mark.parametrize("seed", range(3))
def test_records_and_files_in_another_order_are_the_same_log(
    tmp_path: Path, name: str, seed: int
) -> None:
    story, chance = told(name, tmp_path), random.Random(seed)  # noqa: S311 - a shuffle
    paths = []
    for path in story.paths:
        paths.append(tmp_path / path.name)
        paths[-1].write_bytes(shuffled(path, chance))
    chance.shuffle(paths)
    assert sha256(paths, story.options()) == reference().meta.sha256


def test_rows_of_a_parquet_file_in_another_order_are_the_same_log(tmp_path: Path) -> None:
    story = told("parquet", tmp_path)
    table = pq.read_table(story.paths[0])
    order = random.Random(1).sample(range(table.num_rows), table.num_rows)  # noqa: S311 - a shuffle
    pq.write_table(table.take(order), tmp_path / "log", compression="none", row_group_size=2)
    assert sha256([tmp_path / "log"], story.options()) == reference().meta.sha256


@pytest.mark.parametrize("name", [name for name in FOLDERS if name != "parquet"])
def test_packed_under_any_name_it_is_the_same_log(tmp_path: Path, name: str) -> None:
    story = told(name, tmp_path)
    paths = [tmp_path / f"{number}.bin" for number in range(len(story.paths))]
    for path, stored in zip(paths, story.paths, strict=True):
        path.write_bytes(gzip.compress(stored.read_bytes(), mtime=0))
    assert sha256(paths, story.options()) == reference().meta.sha256


# --- another story is another log

CHANGES: dict[str, Callable[[str], str]] = {
    "csv": lambda text: text.replace("31.03.2024 08:15", "31.03.2024 07:15"),  # as if no DST
    "ndjson": lambda text: text.replace("cora", "dora"),
    "xes": lambda text: text.replace('value="VPN"', 'value="LAN"'),
    "jira": lambda text: text.replace("2024-03-31T08:15:00", "2024-03-31T07:15:00"),
    "zendesk": lambda text: text.replace("2024-03-31T06:15:00Z", "2024-03-31T06:15:01Z"),
    "servicenow_csv": lambda text: text.replace("2024-03-31 06:15:00", "2024-03-31 07:15:00"),
    "ocel_xml": lambda text: text.replace("Network access", "Network"),
    "github": lambda text: text.replace("2024-03-30T22:30:00Z", "2024-03-30T23:30:00Z"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_one_fact_that_differs_makes_another_log(tmp_path: Path, name: str) -> None:
    story = told(name, tmp_path)
    paths, differs = [], False
    for path in story.paths:
        paths.append(tmp_path / path.name)
        text = path.read_bytes().decode()
        differs |= CHANGES[name](text) != text
        paths[-1].write_bytes(CHANGES[name](text).encode())
    assert differs
    try:
        found = sha256(paths, story.options())
    except CodedError:
        return
    assert found != reference().meta.sha256
