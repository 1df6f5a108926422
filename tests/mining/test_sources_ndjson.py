"""Is our own event schema read strictly, and is every bad line located?"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_mining.errors import RunError
from process_mining.sources import ReadOptions, open_log

if TYPE_CHECKING:
    from process_mining.eventlog import EventLog

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
GOOD = b'{"case_id":"A","activity":"x","at":"2024-01-01T10:00:00Z"}\n'


def read(folder: Path, data: bytes, *, allow: bool = False) -> EventLog:
    path = folder / "events.ndjson"
    path.write_bytes(data)
    return open_log([path], ReadOptions(clear_names=True, allow_rejects=allow))


def test_every_key_becomes_its_column(tmp_path: Path) -> None:
    line = {
        "case_id": "A", "practice": "incident", "activity": "Register",
        "at": "2024-01-01T10:00:00.25+01:00", "seq": 4, "actor": "Eve", "team": "T1",
        "attributes": {"score": "5", "n": 3, "f": 1.50, "ok": True, "none": None},
    }  # fmt: skip
    log = read(tmp_path, json.dumps(line).encode())
    (event,) = log.events.to_pylist()
    assert event == {
        "case_id": "A", "seq": 0, "activity": "Register", "at": 1_704_099_600_250_000,
        "lifecycle": None, "actor": "Eve", "team": "T1",
        "attr.score": "5", "attr.n": "3", "attr.f": "1.5", "attr.ok": "true",
    }  # fmt: skip
    assert log.cases["practice"].to_pylist() == ["incident"]


def test_an_empty_text_is_no_team_and_nobody(tmp_path: Path) -> None:
    nobody = b',"actor":"","team":"","practice":""}'
    log = read(tmp_path, GOOD.replace(b"}", nobody))
    (event,) = log.events.to_pylist()
    assert (event["actor"], event["team"]) == (None, None)
    assert log.arrays.teams == log.arrays.actors == ()
    assert log.cases["practice"].to_pylist() == [None]


def test_numbers_keep_their_own_digits(tmp_path: Path) -> None:
    data = GOOD.replace(b"}", b',"attributes":{"f":1.500,"n":12345678901234567890123}}')
    (event,) = read(tmp_path, data).events.to_pylist()
    assert (event["attr.f"], event["attr.n"]) == ("1.500", "12345678901234567890123")


def test_seq_orders_events_of_one_time(tmp_path: Path) -> None:
    lines = b"".join(
        GOOD.replace(b'"x"', f'"{word}","seq":{seq}'.encode()) for word, seq in (("a", 2), ("b", 1))
    )
    assert read(tmp_path, lines).events["activity"].to_pylist() == ["b", "a"]


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        (b'{"case_id":"A","activty":"x","at":"2024-01-01T10:00:00Z"}', "LG121",
         "unknown key 'activty'. Did you mean 'activity'?"),
        (GOOD.replace(b"Z", b""), "LG105", "has no offset"),
        (GOOD.replace(b"T10", b"T25"), "LG104", "is no date and time"),
        (GOOD.replace(b"{", b'{"case_id":"B",'), "LG122", "key 'case_id' stands twice"),
        (GOOD.replace(b"}", b',"attributes":{"a":"1","a":"2"}}'), "LG122", "key 'a' stands"),
        (b'{"activity":"x","at":"2024-01-01T10:00:00Z"}', "LG123", "has no case_id"),
        (GOOD.replace(b'"x"', b'""'), "LG123", "has no activity"),
        (GOOD.replace(b'"x"', b"null"), "LG123", "has no activity"),
        (GOOD.replace(b'"A"', b"7"), "LG124", "case_id is no text"),
        (GOOD.replace(b'"A"', b"7.5"), "LG124", "case_id is no text"),
        (GOOD.replace(b"}", b',"seq":"1"}'), "LG124", "seq is no whole number"),
        (GOOD.replace(b"}", b',"seq":1.0}'), "LG124", "seq is no whole number"),
        (GOOD.replace(b"}", b',"seq":true}'), "LG124", "seq is no whole number"),
        (GOOD.replace(b"}", b',"seq":9223372036854775808}'), "LG124", "seq is no whole number"),
        (GOOD.replace(b"}", b',"attributes":["a"]}'), "LG124", "attributes is no object"),
        (GOOD.replace(b"}", b',"attributes":{"a":{}}}'), "LG124", "attribute 'a' holds"),
        (GOOD.replace(b"}", b',"attributes":{"a":NaN}}'), "LG120", "NaN is no JSON"),
        (b"[1, 2]", "LG120", "is no JSON object"),
        (b'{"case_id" "A"}', "LG120", "Expecting ':'"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "LG120", "recursion"),
        (GOOD.replace(b'"x"', b'"\xff"'), "LG125", "byte 28 of the line is no UTF-8"),
        (GOOD.replace(b'"x"', b'"\\ud800"'), "LG125", "half of a character"),
        (GOOD.replace(b'"x"', b'"\\u0000"'), "LG125", "NUL"),
    ],
)  # fmt: skip
def test_a_bad_line_is_a_reject_with_its_number(
    tmp_path: Path, line: bytes, code: str, reason: str
) -> None:
    data = GOOD + b"\n" + line.rstrip() + b"\n" + GOOD
    log = read(tmp_path, data, allow=True)
    assert (log.n_events, log.meta.rows_in) == (2, 3)
    (found,) = log.meta.rejects.to_pylist()
    assert (found["place"], found["code"]) == ("line 3", code)
    assert reason in found["reason"]
    with pytest.raises(RunError, match=f"LG035 1 of 3 .* line 3: {code}"):
        read(tmp_path, data)


@pytest.mark.parametrize("cut", [-2, -20, len(GOOD) + 1])
def test_a_cut_last_line_is_an_error_even_when_rejects_are_allowed(
    tmp_path: Path, cut: int
) -> None:
    with pytest.raises(RunError, match=r"LG060 events\.ndjson ends in the middle of line 2"):
        read(tmp_path, (GOOD * 2)[:cut], allow=True)


def test_a_whole_last_line_needs_no_line_break(tmp_path: Path) -> None:
    assert read(tmp_path, (b"\xef\xbb\xbf" + GOOD * 2).rstrip()).n_events == 2


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(values=st.lists(TEXT.filter(bool), min_size=1, max_size=5), keys=st.lists(TEXT, max_size=3))
def test_any_text_comes_back(
    tmp_path_factory: pytest.TempPathFactory, values: list[str], keys: list[str]
) -> None:
    lines = [
        {
            "case_id": v,
            "activity": v,
            "at": "2024-01-01T10:00:00Z",
            "attributes": dict.fromkeys(keys, v),
        }
        for v in values
    ]
    data = "\n".join(json.dumps(line, ensure_ascii=i % 2 == 0) for i, line in enumerate(lines))
    log = read(tmp_path_factory.mktemp("n"), data.encode())
    assert sorted(log.events["activity"].to_pylist()) == sorted(values)
    for key in keys:
        assert sorted(log.events[f"attr.{key}"].to_pylist()) == sorted(values)


def test_naughty_strings_are_only_text(tmp_path: Path) -> None:
    path = SHARED / "hostile" / "blns" / "blns.json"
    if not path.exists():
        pytest.skip("shared/data is missing")
    naughty = [s for s in json.loads(path.read_text("utf-8")) if s and "\0" not in s]
    lines = [
        json.dumps({"case_id": s, "activity": s, "at": "2024-01-01T10:00:00Z"}) for s in naughty
    ]
    log = read(tmp_path, gzip.compress("\n".join(lines).encode()))
    assert sorted(log.events["activity"].to_pylist()) == sorted(naughty)
    assert log.n_cases == len(set(naughty))
