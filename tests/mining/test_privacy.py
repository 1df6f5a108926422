"""Names become pseudonyms, addresses are masked, and what is neither stays as it is."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_mining.eventlog import EventLog, LogMeta
from process_mining.privacy import mask_contacts, pseudonym, pseudonyms
from process_mining.sources import ReadOptions, open_log

if TYPE_CHECKING:
    from pathlib import Path

KEY = b"0123456789abcdef"


def masked(text: str) -> str:
    column, _ = mask_contacts(pa.chunked_array([[text]]), KEY)
    found: str = column[0].as_py()
    return found


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("write to ana.b+c@desk.example.org now", "write to [email] now"),
        ("from 192.168.10.1 and 2001:db8::8a2e:370:7334", "from [ip] and [ip]"),
        ("call +49 30 1234567 or (555) 123-4567", "call [phone] or [phone]"),
        ("tel 030/1234 5678", "tel [phone]"),
        ("555-123-4567", pseudonym("555-123-4567", KEY)),
        ("a@b.io", pseudonym("a@b.io", KEY)),
    ],
)
def test_addresses_are_masked(text: str, left: str) -> None:
    assert masked(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "2016-12-14 02:46:44",
        "29/02/2016 01:16",
        "01.02.2024",
        "03-04-2024 10:00",
        "INC0000045",
        "1c741bd70b2322007518478d83673af3",
        "version 10.2.3",
        "1.2.3.4.5",
        "Group 70",
        "00:14:22:01:23:45:67",
        "12:30",
        "P1",
        "1,234,567",
        "user@localhost",
        "jira:JiraIssue:2:10063",
        "V2.3.4-beta",
        "caf\u00e9 :: bar",
        "3 - Low",
        "",
    ],
)
def test_what_only_looks_like_an_address_stays(text: str) -> None:
    assert masked(text) == text


@given(
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="@:+0123456789"), max_size=80)
)
def test_text_without_digits_or_signs_of_an_address_is_never_touched(text: str) -> None:
    assert masked(text) == text


def test_a_pseudonym_is_a_keyed_hmac_and_null_stays_null() -> None:
    names = pa.chunked_array([["ana", None, "ben", "ana"]])
    found = pseudonyms(names, KEY).to_pylist()
    assert found[0] == "p-" + hmac.new(KEY, b"ana", hashlib.sha256).hexdigest()[:12]
    assert (found[1], found[3]) == (None, found[0])
    assert found[2] != found[0]


EVENT = {"case_id": "1", "activity": "New", "at": "2024-01-01T10:00:00Z", "actor": "Ana Meyer"}
MORE = EVENT | {
    "activity": "Closed",
    "at": "2024-01-02T10:00:00Z",
    "team": "desk@example.org",
    "attributes": {"note": "ask ben@example.org, 10.0.0.7"},
}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "events.ndjson"
    path.write_text("".join(json.dumps(event) + "\n" for event in (EVENT, MORE)))
    return path


def test_a_log_shows_neither_names_nor_addresses_unless_asked(log: Path) -> None:
    found = open_log([log])
    text = str(found.events.to_pylist())
    assert "Ana" not in text
    assert "example.org" not in text
    assert found.events["attr.note"][1].as_py() == "ask [email], [ip]"
    assert found.meta.masked == (("email", 2), ("ip", 1))
    clear = open_log([log], ReadOptions(clear_names=True, clear_contacts=True))
    assert clear.events["actor"][0].as_py() == "Ana Meyer"
    assert clear.events["team"][1].as_py() == "desk@example.org"
    assert clear.meta.masked == ()
    assert clear.meta.sha256 == found.meta.sha256


def test_two_mailboxes_stay_two_teams() -> None:
    events = pa.table(
        {
            "case_id": ["1", "1"],
            "activity": ["a", "b"],
            "at": [1, 2],
            "team": ["x@desk.org", "y@desk.org"],
        }
    )
    teams = EventLog.build(events, meta=LogMeta(source="t")).events["team"].to_pylist()
    assert len(set(teams)) == 2
    assert all(team.startswith("p-") for team in teams)


def test_columns_of_people_become_pseudonyms_like_the_actor() -> None:
    events = pa.table(
        {
            "case_id": ["1"],
            "activity": ["a"],
            "at": [1],
            "actor": ["Ana"],
            "attr.caller": ["Ana"],
        }
    )
    found = EventLog.build(events, meta=LogMeta(source="t"), people=frozenset({"attr.caller"}))
    row = found.events.to_pylist()[0]
    assert row["attr.caller"] == row["actor"] != "Ana"
