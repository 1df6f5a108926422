"""Does the quick way of reading XES give the same log, rejects and errors as reading tag by tag?"""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from process_mining.errors import CodedError
from process_mining.sources import Parts, ReadOptions, xes
from process_mining.sources.xes.plain import scan

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
XES = SHARED / "hostile" / "xes"
REAL = [
    *sorted((SHARED / "hostile" / "xes_certification").glob("*.xes.gz")),
    SHARED / "bpic13" / "BPIC13_closed_problems.xes.gz",
]
needs_data = pytest.mark.skipif(not XES.exists(), reason="shared/data is missing")
MAPPING = """
name = "m"
same_name = "separate"
[csv]
missing = ["-"]
[time]
format = "iso"
timezone = "Europe/Berlin"
[event]
case_id = "concept:name"
activity = ["concept:name", "a"]
at = "time:timestamp"
attributes = "all"
[case]
category = "b"
priority = { column = "a", values = { "1" = "P1", "x" = "P2", "" = "P3" } }
"""


def told(parts: Parts) -> dict[str, object]:
    """Everything that a source says, rows in the order of cases and places."""
    events = sorted(parts.events.to_pylist(), key=repr)
    cases = sorted(parts.cases.to_pylist(), key=repr) if parts.cases is not None else []
    bare = [[{k: v for k, v in row.items() if v is not None} for row in t] for t in (events, cases)]
    return {
        "columns": sorted(parts.events.column_names),
        "events": sorted(bare[0], key=lambda row: sorted(map(str, row.items()))),
        "cases": sorted(bare[1], key=lambda row: sorted(map(str, row.items()))),
        "rejects": parts.rejects.to_pylist(),
        "rest": (parts.rows_in, parts.timezone, parts.notes, parts.seen),
    }


def both(paths: list[Path], options: ReadOptions) -> list[object]:
    """What each of the two ways of reading tells, or how it fails."""
    found: list[object] = []
    for read in (xes.read, xes.read_by_tags):
        try:
            found.append(told(read(paths, options)))
        except CodedError as error:
            found.append(str(error))
    return found


@needs_data
@pytest.mark.parametrize("block", [1, 700, 1 << 22])
def test_the_hostile_files_are_read_alike(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xes, "BLOCK", block)
    for path in sorted(XES.iterdir()):
        small = "11MB" not in path.name and path.stat().st_size < 5_000
        if path.stat().st_size and (small or block == 1 << 22):
            quick, slow = both([path], ReadOptions())
            assert quick == slow, path.name


@needs_data
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_real_logs_are_plain_and_read_alike(path: Path) -> None:
    quick, slow = both([path], ReadOptions())
    assert quick == slow
    data = gzip.decompress(path.read_bytes())
    body = data[data.index(b"<trace>") : data.rindex(b"</trace>") + len("</trace>")]
    block = scan(body)
    assert block is not None
    assert not block.doubtful.any()


# --- generated logs

KEYS = ("concept:name", "time:timestamp", "org:resource", "a", "b", "ü", "a b", "")
TAGS = ("string", "date", "int", "float", "boolean", "id")
STAMPS = ("2024-01-01T10:00:00Z", "2024-03-31T02:30:00", "2024-02-30T10:00:00Z", "nonsense")
VALUES = (
    "",
    "1",
    "x",
    "-",
    "c1",
    "1.5",
    "true",
    "é&amp;&#10;",
    "a\nb",
    "a&#x3c;b",
    "]]>",
    "'",
    ">",
)
ODD = (
    "<!-- <trace> -->",
    "<![CDATA[<event>]]>",
    "<?pi </trace>?>",
    "text",
    "<unknown/>",
    "<global scope='event'><string key='a' value=''/></global>",
    '<list key="l"><values><int key="i" value="x"/><list key="m"/></values></list>',
    '<list key="l"><string key="i" value="1"><id key="j" value="2"/></string></list>',
    '<container key="c"><string key="a" value="1"/></container>',
    '<string key="a" value="1"><date key="n" value="2"/></string>',
    "<string key='a' value='1'/>",
    '<string value="1" key="b"/>',
    '<string key="b"/>',
    '<string value="b"/>',
    '<x:string key="b" value="1"/>',
    '<string key="b" value="&undeclared;"/>',
    '<string key="b" value="a<b"/>',
    '<string key="b" value="</trace><trace>"/>',
    '<trace x="1">',
    "</trace>",
    "</event>",
    "<event>",
    "&amp;",
    "<",
    "\ufffe",
)
space = st.sampled_from(["", " ", "\n", "\r\n\t", "\r"])


@st.composite
def attributes(draw: st.DrawFn, key: str | None = None, value: str | None = None) -> str:
    tag = "date" if key == "time:timestamp" else draw(st.sampled_from(TAGS))
    key = draw(st.sampled_from(KEYS)) if key is None else key
    value = draw(st.sampled_from(VALUES + STAMPS[:1])) if value is None else value
    gap, after = draw(st.sampled_from(["", " ", "\n"])), draw(space)
    return f'<{tag} key="{key}" {gap}value="{value}"{gap}/>{after}'


@st.composite
def events(draw: st.DrawFn) -> str:
    inside = [draw(attributes("concept:name", draw(st.sampled_from(["A", "B", "é&lt;"]))))]
    if draw(st.integers(0, 9)):
        inside.append(draw(attributes("time:timestamp", STAMPS[draw(st.integers(0, 40)) // 38])))
    keys = draw(st.lists(st.sampled_from(KEYS[2:]), max_size=3, unique=True))
    inside += [draw(attributes(key)) for key in keys]
    return f"<event>{draw(space)}{''.join(draw(st.permutations(inside)))}</event>{draw(space)}"


@st.composite
def traces(draw: st.DrawFn, number: int) -> str:
    name = f"c{number}" if draw(st.integers(0, 20)) else "c1"
    inside = [draw(attributes("concept:name", name))]
    inside += [
        draw(attributes(key)) for key in draw(st.sets(st.sampled_from(KEYS[2:]), max_size=2))
    ]
    inside += draw(st.lists(events(), max_size=4))
    if not draw(st.integers(0, 3)):
        inside.insert(draw(st.integers(0, len(inside))), draw(st.sampled_from(ODD)))
    return f"<trace>{draw(space)}{''.join(inside)}</trace>{draw(space)}"


@st.composite
def logs(draw: st.DrawFn) -> bytes:
    head = draw(st.sampled_from(["", "<?xml version='1.0'?>\n<!-- <trace> -->", "\ufeff"]))
    body = [draw(traces(number)) for number in range(draw(st.integers(1, 6)))]
    if not draw(st.integers(0, 5)):
        body.insert(draw(st.integers(0, len(body))), draw(st.sampled_from(ODD)))
    data = f"{head}<log>{draw(space)}{''.join(body)}</log>".encode()
    if not draw(st.integers(0, 5)):
        place = draw(st.integers(0, len(data)))
        data = data[:place] + draw(st.sampled_from([b"", b"\xff", b'"', b"<"])) + data[place + 1 :]
    return data


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    data=logs(),
    block=st.sampled_from([1, 60, 500, xes.BLOCK]),
    mapped=st.booleans(),
    zone=st.sampled_from([None, "Europe/Berlin"]),
)
def test_generated_logs_are_read_alike(
    tmp_path: Path, data: bytes, block: int, zone: str | None, *, mapped: bool
) -> None:
    path, mapping = tmp_path / "log.xes", tmp_path / "m.toml"
    path.write_bytes(data)
    mapping.write_text(MAPPING, encoding="utf-8")
    options = ReadOptions(mapping=mapping if mapped else None, timezone=zone)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xes, "BLOCK", block)
        quick, slow = both([path], options)
    assert quick == slow
    if isinstance(slow, dict):
        assert slow["rest"][0] == len(slow["events"]) + len(slow["rejects"])
