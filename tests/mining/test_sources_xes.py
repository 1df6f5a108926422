"""Does each XES file, awkward, broken or malicious, come out as the table here says?"""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from process_mining.errors import RunError
from process_mining.sources import ReadOptions, open_log

if TYPE_CHECKING:
    from process_mining.eventlog import EventLog

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
XES = SHARED / "hostile" / "xes"
CERTIFIED = SHARED / "hostile" / "xes_certification"
BPIC13 = SHARED / "bpic13" / "BPIC13_closed_problems.xes.gz"
needs_data = pytest.mark.skipif(not XES.exists(), reason="shared/data is missing")

# file -> cases, events (read whole)
READ = {
    "00_good.xes": (5, 10),
    "04_plain_named_gz.xes.gz": (5, 10),
    "09_no_timestamps_at_all_levelA.xes": (2, 3),
    "12_equal_timestamps.xes": (1, 5),
    "13_out_of_order_in_trace.xes": (1, 3),
    "19_entities_in_value.xes": (1, 1),
    "21_single_quoted_attrs.xes": (5, 10),
    "22_value_before_key.xes": (1, 1),
    "24_namespace_prefix.xes": (1, 1),
    "25_nested_list.xes": (1, 1),
    "27_container.xes": (1, 1),
    "28_nested_attribute.xes": (1, 1),
    "30_id_and_boolean.xes": (1, 1),
    "31_bigint_float.xes": (1, 1),
    "34_utf16.xes": (1, 1),
    "36_comment_and_cdata.xes": (1, 1),
    "37_multibyte_at_4096.xes": (1, 12),
    "45_long_value_11MB.xes.gz": (1, 2),
    "46_float_epoch_ts_string.xes": (1, 1),
    "48_year_0001_and_9999.xes": (1, 3),
    "49_case_attr_collides_event_attr.xes": (1, 1),
    "52_lifecycle.xes": (1, 2),
}
# file -> code and place or reason of the error that stops the reading
STOPPED = {
    "01_truncated_mid_event.xes": ("LG071", "line 13"),
    "03_truncated.xes.gz": ("LG020", "ends in the middle of its gzip data"),
    "06_empty.xes": ("LG014", "empty"),
    "07_no_traces.xes": ("LG034", "no event"),
    "33_latin1_undeclared.xes": ("LG072", "line 4, column 44"),
    "39_two_logs.xes": ("LG074", "line 23"),
    "40_event_outside_trace.xes": ("LG073", "line 3"),
    "42_xxe_file.xes": ("LG070", "DOCTYPE"),
    "43_quadratic_blowup.xes": ("LG070", "DOCTYPE"),
}
# file -> events left, and place (line, trace, event) and code of each reject
REJECTED = {
    "10_bad_timestamp.xes": (1, [((5, 1, 2), "LG104"), ((6, 1, 3), "LG104")]),
    "15_trace_without_name.xes": (1, [((3, 1, 1), "LG140"), ((4, 2, 1), "LG140")]),
    "16_event_without_name.xes": (2, [((5, 1, 2), "LG141")]),
    "18_duplicate_key_event.xes": (0, [((4, 1, 1), "LG142")]),
    "51_missing_key_attr.xes": (1, [((4, 1, 1), "LG143")]),
}


def trace(*events: str, name: str = "c1") -> str:
    return f'<trace><string key="concept:name" value="{name}"/>{"".join(events)}</trace>'


def event(name: str, at: str | None = "2024-01-01T10:00:00Z", more: str = "") -> str:
    stamp = f'<date key="time:timestamp" value="{at}"/>' if at else ""
    return f'<event><string key="concept:name" value="{name}"/>{stamp}{more}</event>'


def read(folder: Path, *traces: str, allow: bool = False, zone: str | None = None) -> EventLog:
    path = folder / "log.xes"
    path.write_text(f"<log>{''.join(traces)}</log>", encoding="utf-8")
    options = ReadOptions(allow_rejects=allow, clear_names=True, timezone=zone)
    return open_log([path], options)


@needs_data
def test_the_tables_name_every_file() -> None:
    assert {p.name for p in XES.iterdir()} == {*READ, *STOPPED, *REJECTED}


@needs_data
@pytest.mark.parametrize("name", READ)
def test_awkward_files_are_read_whole(name: str) -> None:
    log = open_log([XES / name])
    assert (log.n_cases, log.n_events) == READ[name]
    assert (log.meta.rows_in, log.meta.rejects.num_rows) == (log.n_events, 0)


@needs_data
@pytest.mark.parametrize("name", STOPPED)
def test_broken_and_malicious_files_stop_the_reading(name: str) -> None:
    code, place = STOPPED[name]
    start = time.perf_counter()
    with pytest.raises(RunError, match=f"{code} .*{place}"):
        open_log([XES / name], ReadOptions(allow_rejects=True))
    assert time.perf_counter() - start < 1


@needs_data
@pytest.mark.parametrize("name", REJECTED)
def test_unreadable_events_are_rejects_with_their_place(name: str) -> None:
    kept, expected = REJECTED[name]
    with pytest.raises(RunError, match=f"LG035 {len(expected)} of {kept + len(expected)} ") as stop:
        open_log([XES / name])
    for (line, number, index), code in expected:
        place = f"line {line} (trace {number}, event {index}): {code}"
        assert place in str(stop.value)
    if kept:
        log = open_log([XES / name], ReadOptions(allow_rejects=True))
        assert (log.n_events, log.meta.rejects.num_rows) == (kept, len(expected))


@needs_data
@pytest.mark.parametrize("name", ["bomb.pnml", "xxe.bpmn"])
def test_any_doctype_is_refused_fast(name: str) -> None:
    start = time.perf_counter()
    with pytest.raises(RunError, match="LG070"):
        open_log([SHARED / "hostile" / "xml" / name])
    assert time.perf_counter() - start < 1


@needs_data
@pytest.mark.parametrize("level", ["A1", "A2", "B1", "B2", "C1", "C2"])
def test_the_certification_logs_are_read_whole(level: str) -> None:
    log = open_log([CERTIFIED / f"Level{level}.xes.gz"])
    assert (log.n_cases, log.n_events, log.meta.rows_in) == (1_104, 11_855, 11_855)
    assert log.timed == (level[0] == "B")
    assert (log.events["actor"].null_count == 0) == (level[0] == "C")
    assert (log.events["lifecycle"].null_count == 0) == (level not in {"A1", "C1"})


@needs_data
def test_bpi_2013_closed_problems_is_read_whole() -> None:
    log = open_log([BPIC13])
    assert (log.n_cases, log.n_events, log.meta.rows_in) == (1_487, 6_660, 6_660)
    assert log.meta.time_resolution_us == 1_000_000
    assert log.events["attr.org:role"].null_count == 6_660 - 4_582
    by_name, by_both = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    traces: dict[str, list[tuple[str, str]]] = {}
    columns = (log.events[name].to_pylist() for name in ("case_id", "activity", "lifecycle"))
    for case, activity, status in zip(*columns, strict=True):
        traces.setdefault(case, []).append((activity, status))
    for steps in traces.values():
        by_name[tuple(name for name, _ in steps)] += 1
        by_both["|".join("+".join(step) for step in steps),] += 1
    assert (len(by_name), len(by_both)) == (183, 327)


@needs_data
def test_values_are_the_text_that_stands_in_the_file() -> None:
    def first(name: str) -> dict[str, object]:
        row: dict[str, object] = (
            open_log([XES / name], ReadOptions(clear_names=True)).events.slice(0, 1).to_pylist()[0]
        )
        return row

    entities = first("19_entities_in_value.xes")
    assert (entities["case_id"], entities["activity"]) == ("c&1", 'Fix & test <b> "q"')
    assert entities["actor"] == "O'Neil ä\nline2"
    assert first("30_id_and_boolean.xes")["attr.b2"] == "TRUE"
    assert first("31_bigint_float.xes")["attr.huge"] == "123456789012345678901234567890"
    assert first("34_utf16.xes")["activity"] == "Störung"
    assert first("27_container.xes")["attr.c.a2"] == "2"
    assert first("28_nested_attribute.xes")["attr.concept:name.src"] == "form"
    assert first("48_year_0001_and_9999.xes")["at"] == -62_135_596_800_000_000
    collision = open_log([XES / "49_case_attr_collides_event_attr.xes"])
    assert collision.cases["case_id"].to_pylist() == ["c1"]
    assert collision.cases["attr.priority"].to_pylist() == ["P1"]
    assert collision.events["attr.priority"].to_pylist() == ["P3"]
    assert collision.events["attr.case:priority"].to_pylist() == ["EVIL"]


@needs_data
def test_lists_are_left_out_and_counted() -> None:
    log = open_log([XES / "25_nested_list.xes"])
    assert log.meta.notes == ("1 list attributes have no column form and were left out",)


@needs_data
def test_the_place_in_the_trace_orders_equal_times_and_times_order_the_rest() -> None:
    tied = open_log([XES / "12_equal_timestamps.xes"])
    assert tied.events["activity"].to_pylist() == ["D", "C", "B", "A", "E"]
    late = open_log([XES / "13_out_of_order_in_trace.xes"])
    assert late.events["activity"].to_pylist() == ["early", "mid", "late"]
    assert [(seen.code, seen.count, len(seen.cases or ())) for seen in late.meta.seen] == [
        ("QG110", 1, 1)
    ]


def test_a_missing_zone_is_refused_until_it_is_declared(tmp_path: Path) -> None:
    log = trace(event("A", "2024-07-01T10:00:00"))
    with pytest.raises(RunError, match=r"LG105 .* no zone .*--timezone"):
        read(tmp_path, log)
    assert (
        read(tmp_path, log, zone="Europe/Berlin").events["at"][0].as_py() == 1_719_820_800_000_000
    )


def test_an_event_without_time_among_timed_ones_is_a_reject(tmp_path: Path) -> None:
    log = read(tmp_path, trace(event("A"), event("B", None)), allow=True)
    assert log.events["activity"].to_pylist() == ["A"]
    assert log.meta.rejects["code"].to_pylist() == ["LG103"]


def test_two_traces_of_one_name_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"LG075 trace 'c1' stands in .*trace 1.* and in .*trace 2"):
        read(tmp_path, trace(event("A")), trace(event("B")), allow=True)


def test_a_trace_without_events_is_a_case(tmp_path: Path) -> None:
    log = read(tmp_path, trace(event("A")), trace(name="c2"))
    assert log.cases["case_id"].to_pylist() == ["c1", "c2"]
    assert log.arrays.offsets.tolist() == [0, 1, 1]


def test_attributes_of_the_log_and_defaults_of_globals_are_no_facts(tmp_path: Path) -> None:
    head = (
        '<global scope="event"><string key="org:resource" value="UNKNOWN"/></global>'
        '<string key="concept:name" value="the log"/>'
        '<float key="m"><int key="n" value="1"/></float>'
    )
    log = read(tmp_path, head, trace(event("A")))
    assert log.events["actor"].to_pylist() == [None]
    assert log.cases["case_id"].to_pylist() == ["c1"]


def test_a_trace_may_be_named_after_its_events(tmp_path: Path) -> None:
    named = f'<trace>{event("A")}<string key="concept:name" value="late"/></trace>'
    assert read(tmp_path, named).cases["case_id"].to_pylist() == ["late"]


def test_declared_latin_1_and_windows_1252_are_read(tmp_path: Path) -> None:
    for encoding, word in (("ISO-8859-1", "Störung"), ("windows-1252", "“Störung”")):
        path = tmp_path / "log.xes"
        text = f'<?xml version="1.0" encoding="{encoding}"?><log>{trace(event(word))}</log>'
        path.write_bytes(text.encode(encoding))
        assert open_log([path]).events["activity"].to_pylist() == [word]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("<log><log></log></log>", "LG074"),
        ("<log><trace><trace></trace></trace></log>", "LG073"),
        (f"<log><trace>{event('A', more=event('B'))}</trace></log>", "LG073"),
        (f"<log>{trace(event('A'))}</log><!-- more --><log/>", "LG074"),
        ('<log><trace><string key="a" value="&undeclared;"/></trace></log>', "LG072"),
        ('<log><trace><string key="a" key="b"/></trace></log>', "LG072"),
        ("<log>" + "<trace><string key='a' value='1'>" + "<int key='b' value='1'>" * 200, "LG076"),
    ],
)
def test_structures_that_no_log_has_stop_the_reading(tmp_path: Path, body: str, code: str) -> None:
    path = tmp_path / "log.xes"
    path.write_text(body, encoding="utf-8")
    with pytest.raises(RunError, match=code):
        open_log([path])


def test_keys_that_look_like_values_are_refused(tmp_path: Path) -> None:
    more = "".join(f'<int key="k{i}" value="1"/>' for i in range(5_001))
    with pytest.raises(RunError, match="LG077"):
        read(tmp_path, trace(event("A", more=more)))


@needs_data
def test_a_file_cut_anywhere_is_an_error(tmp_path: Path) -> None:
    data = (XES / "00_good.xes").read_bytes()
    path = tmp_path / "cut.xes"
    for cut in random.Random(3).sample(range(70, len(data) - 1), 40):  # noqa: S311 - no secret
        path.write_bytes(data[:cut])
        with pytest.raises(RunError, match="LG071"):
            open_log([path])
