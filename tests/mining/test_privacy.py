"""Names become pseudonyms, addresses are masked, and what is neither stays as it is."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_mining.errors import RunError
from process_mining.eventlog import EventLog, LogMeta
from process_mining.privacy import mask_contacts, pseudonym, pseudonyms, without_contacts
from process_mining.schema import LINK_SCHEMA
from process_mining.sources import ReadOptions, find_mapping, open_log
from process_mining.sources._rejects import RejectList

KEY = b"0123456789abcdef"
DATA = Path(__file__).parents[2].parent / "shared" / "data"
REAL = {
    "uci_servicenow/incident_event_log_opened_before_2016-04-15.csv.gz": "uci_servicenow",
    "bpic13/BPIC13_closed_problems.xes.gz": "",
}


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
        ("Tel:+491711234567", "Tel:[phone]"),
        ("Mobil:0171 1113337", "Mobil:[phone]"),
        ("B\u00fcro/+49 171 1234567", "B\u00fcro/[phone]"),
        ("+49 (0) 171 1234567/B\u00fcro", "[phone]/B\u00fcro"),
        ("IP:2001:db8::77", "IP:[ip]"),
        ("device:2001:db8::77: down", "device:[ip]: down"),
        ("ruf 0171\u00a01113337 an", "ruf [phone] an"),
        ("ruf +49\u202f171\u20111234567 an", "ruf [phone] an"),
        ("an x@firma.xn--p1ai.", "an [email]."),
        (
            "an \u0438\u0432\u0430\u043d@\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444!",
            "an [email]!",
        ),
        ("mailto:eve%40corp.example", "mailto:[email]"),
        ("to eve\uff20corp\uff0eexample", "to [email]"),
        ('to "eve three"@corp.example', "to [email]"),
        ("'eve@corp.example'", "'[email]'"),
        ("eve@10.0.0.7 or (.eve@corp.example)", "[email] or ([email])"),
        ("10.20.30.41_eth0", "[ip]_eth0"),
        ("10.20.30.42.Reboot", "[ip].Reboot"),
        ("call 0171-1113336x12", "call [phone]"),
        ("1-800-867-5309", pseudonym("1-800-867-5309", KEY)),
        ("00491719876543", pseudonym("00491719876543", KEY)),
        ("on 01-02-2024 0171 1113337 12:30", "on 01-02-2024 [phone] 12:30"),
        ("0171 1113337 123456", "[phone] 123456"),
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
        "01 02 2024 10:00:00",
        "01-02-2024 08-00",
        "00-14-22-01-23-45",
        "00-14-22-01-AB-CD",
        "00:14:22:01:23:45:67:89",
        "2024-03-31T02:30:00.5+02:00",
        "2024-03-31 02:30:00 +0200",
        "00:00:00.000000",
        "3.14159265",
        "+0.12345678",
        "-1,05",
        "000200000123",
        "0000000045",
        "INC-0171-1113337",
        "REQ0010001 / RITM0010002",
        "550e8400-e29b-41d4-a716-446655440000",
        "01234567-89ab-cdef-0123-456789abcdef",
        "1700000000000",
        "std::vector::at",
        "100%40 done",
        "Queued+Awaiting Assignment",
        "2nd line @ 3.2.1",
    ],
)
def test_what_only_looks_like_an_address_stays(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "'a",
        "a@",
        '"',
        '"a\\\\',
        "0",
        "01 ",
        "0 ",
        "+1",
        "+1(",
        "1.",
        ":",
        "a:",
        "ag",
        "ag:",
        "%41",
        "a.",
    ],
)
@pytest.mark.parametrize("end", ["", "@", ":", "@a.b1", "x"])
def test_a_hostile_text_takes_no_long_time(piece: str, end: str) -> None:
    text = (piece * 100_000)[:100_000] + end
    start = time.process_time()
    masked(text)
    without_contacts("a@b.io " + text)
    assert time.process_time() - start < 2, "two texts of 100 kB, less than 1 s each"


@given(st.text(max_size=40), st.sampled_from(["eve@corp.example", "10.20.30.40", "+491711234567"]))
def test_an_address_is_found_wherever_it_stands(around: str, address: str) -> None:
    assert address not in masked(f"{around} {address} {around}")


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


@pytest.mark.parametrize("name", list(REAL))
def test_real_logs_without_addresses_are_left_alone(name: str) -> None:
    path = DATA / name
    if not path.exists():
        pytest.skip("../shared/data is not there")
    mapping = REAL[name] and find_mapping(REAL[name])
    assert open_log([path], ReadOptions(mapping=mapping or None)).meta.masked == ()


def test_reasons_of_rejects_show_no_addresses(tmp_path: Path) -> None:
    long = "x" * 30 + " eve.three@corp.example"
    stamps = ("eve@corp.example", "Tel:+491711234567", "IP:2001:db8::77", long, "29/02/2016 01:16")
    path = tmp_path / "events.ndjson"
    lines = [EVENT, *(EVENT | {"at": stamp} for stamp in stamps)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = open_log([path], ReadOptions(allow_rejects=True)).meta.rejects["reason"].to_pylist()
    assert len(found) == len(stamps)
    for reason, left in zip(
        found, ("[email]", "Tel:[phone]", "IP:[ip]", "x [email]"), strict=False
    ):
        assert f"{left}'" in reason
    assert "29/02/2016 01:16" in found[4]
    with pytest.raises(RunError, match="LG035") as error:
        open_log([path])
    assert "corp" not in str(error.value)
    assert "1234567" not in str(error.value)


def test_reasons_that_quote_without_care_are_masked_in_the_table() -> None:
    rejects = RejectList()
    rejects.add(file="a", number=1, place="line 1", code="LG124", reason="no: eve@corp.example")
    assert rejects.table()["reason"].to_pylist() == ["no: [email]"]


def test_links_to_addresses_are_masked_and_stay_in_order() -> None:
    events = pa.table({"case_id": ["1"], "activity": ["a"], "at": [1]})
    names = ["z@corp.example", "ask a@corp.example", "ask b@corp.example", "PRB1"]
    links = pa.table(
        {"case_id": ["1"] * 4, "linked_to": names, "kind": ["x"] * 4, "at": [None] * 4},
        schema=LINK_SCHEMA,
    )
    log = EventLog.build(events, links=links, meta=LogMeta(source="t"), pseudonym_key=KEY)
    left = log.links["linked_to"].to_pylist()
    assert left == sorted(["PRB1", "ask [email]", pseudonym("z@corp.example", KEY)])
    assert log.meta.masked == (("email", 3),)
    clear = EventLog.build(events, links=links, meta=LogMeta(source="t", clear_contacts=True))
    assert clear.links["linked_to"].to_pylist() == sorted(names)
    assert clear.meta.sha256 == log.meta.sha256


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
