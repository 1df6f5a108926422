from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from csi.feedback.channels import file_channels, log_channels
from csi.feedback.declared import Declared, load_declared
from csi.feedback.study import FeedbackRequest, Study, study
from process_mining import schema as s
from process_mining.errors import CodedError, ManyCodedErrors, RunError
from process_mining.eventlog import EventLog, LogMeta
from process_mining.sources import ReadOptions, open_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csi.feedback.responses import Reading

ROOT = Path(__file__).parents[2]
CSAT = ROOT.parent / "shared/data/csat/technical_support_dataset.csv"
EMAIL = """
[[survey]]
channel = "email"
scale = "0-10"
time = { timezone = "Europe/Berlin", format = "%d.%m.%Y %H:%M" }
csv = { delimiter = ";", missing = ["n/a"] }
[survey.columns]
ticket = "Vorgang"
asked_at = "Gesendet"
answered_at = "Beantwortet"
score = "Empfehlung"
comment = "Bemerkung"
respondent = "Person"
delivered = { column = "Zustellung", values = { ok = "yes", bounced = "no" } }
"""
HEAD = "Vorgang;Gesendet;Beantwortet;Empfehlung;Bemerkung;Person;Zustellung"


def run(tmp_path: Path, mapping: str, *lines: str, **further: Any) -> Study:  # noqa: ANN401
    path, toml = tmp_path / "answers.csv", tmp_path / "mapping.toml"
    path.write_bytes(("\n".join(lines) + "\n").encode())
    toml.write_text(mapping, encoding="utf-8")
    return study(FeedbackRequest(surveys=(path,), survey_mapping=toml, **further))


def rows(found: Study) -> list[dict[str, Any]]:
    table = pa.concat_tables(one.responses for one in found.readings)
    return list(table.to_pylist())


def email(tmp_path: Path, *lines: str, allow: bool = False) -> Study:
    read = ReadOptions(allow_rejects=allow)
    return run(tmp_path, EMAIL, HEAD, *lines, read=read)


def codes(found: Study) -> list[tuple[str, str]]:
    return [(r["place"], r["code"]) for one in found.readings for r in one.rejects.to_pylist()]


def test_an_email_survey_in_its_own_words(tmp_path: Path) -> None:
    found = email(
        tmp_path,
        "T1;05.07.2024 10:00;06.07.2024 09:30;9;Danke, Tel. 030 1234567;Eva Muster;ok",
        "T2;05.07.2024 10:00;;n/a;;;bounced",
        "T3;05.07.2024 10:00;06.07.2024 08:00;;;;ok",
    )
    first, second, third = rows(found)
    assert first["asked_at"].isoformat() == "2024-07-05T08:00:00+00:00"
    assert first["answered_at"].isoformat() == "2024-07-06T07:30:00+00:00"
    assert (first["channel"], first["scale"], first["score"]) == ("email", "0-10", 9)
    assert first["comment"] == "Danke, Tel. [phone]"
    assert (second["delivered"], second["score"]) == (False, None)
    assert third["score"] is None
    assert (first["file"], first["place"]) == ("answers.csv", "line 2")
    assert any("1 answers left the score out" in note for note in found.notes)
    assert found.screening.counts["undelivered"] == 1


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (";05.07.2024 10:00;;;;;ok", "ST511"),
        ("T1;05.07.2024 10:00;06.07.2024 09:30;11;;;ok", "ST515"),
        ("T1;05.07.2024 10:00;06.07.2024 09:30;9.5;;;ok", "ST515"),
        ("T1;05.07.2024 10:00;06.07.2024 09:30;٩;;;ok", "ST515"),
        ("T1;05.07.2024 10:00;;9;;;ok", "ST514"),
        ("T1;05.07.2024 10:00;04.07.2024 09:30;9;;;ok", "ST513"),
        ("T1;07/05/2024 10:00;;;;;ok", "LG104"),
        ("T1;27.10.2024 02:30;;;;;ok", "LG106"),
        ("T1;31.03.2024 02:30;;;;;ok", "LG107"),
        ("T1;05.07.2024 10:00;;;;;perhaps", "ST541"),
        ("T1;05.07.2024 10:00;;;;ok", "LG110"),
        ('T1;05.07.2024 10:00;;;"a"b;;ok', "LG111"),
    ],
)
def test_rows_that_cannot_be_read_stop_the_run_or_are_kept(
    tmp_path: Path, row: str, code: str
) -> None:
    good = "T0;05.07.2024 10:00;06.07.2024 09:30;9.0;;;ok"
    with pytest.raises(RunError, match=f"ST506 1 of 2 survey rows .*line 3: {code}"):
        email(tmp_path, good, row)
    found = email(tmp_path, good, row, allow=True)
    assert codes(found) == [("line 3", code)]
    assert sum(one.rows_in for one in found.readings) == len(rows(found)) + found.rejected == 2


def test_reasons_of_rejects_hold_no_addresses(tmp_path: Path) -> None:
    found = email(tmp_path, "T1;05.07.2024 10:00;;eva@example.org;;;ok", allow=True)
    [reject] = found.readings[0].rejects.to_pylist()
    assert "[email]" in reject["reason"]
    assert "eva" not in reject["reason"]


def test_a_telephone_survey_answers_when_it_asks(tmp_path: Path) -> None:
    mapping = """
[[survey]]
channel = "telephone"
scale = "1-5"
time = { timezone = "UTC", format = "%Y-%m-%d %H:%M" }
[survey.columns]
ticket = "Ticket"
asked_at = "Call"
score = { column = "Mood", values = { "very satisfied" = "5", "so so" = "3" } }
delivered = "Reached"
self_rated = "Colleague"
"""
    found = run(
        tmp_path,
        mapping,
        "Ticket,Call,Mood,Reached,Colleague",
        "T1,2024-07-05 10:00,very satisfied,yes,no",
        "T2,2024-07-05 11:00,,no,",
        "T3,2024-07-05 12:00,so so,yes,yes",
        "T4,2024-07-05 13:00,,yes,no",
    )
    first, _, _, last = rows(found)
    assert first["answered_at"] == first["asked_at"]
    assert (first["score"], last["answered_at"]) == (5, None)
    assert found.screening.counts["self-rating"] == 1
    assert found.screening.counts["undelivered"] == 1
    assert (found.rates[0].asked, found.rates[0].answered) == (2, 1)


def test_one_file_may_ask_several_questions_and_each_keeps_its_scale(tmp_path: Path) -> None:
    form = """
[[survey]]
channel = "web"
scale = "{scale}"
time = {{ format = "iso" }}
columns = {{ ticket = "id", answered_at = "at", score = "{score}" }}
"""
    mapping = "".join(
        form.format(scale=scale, score=score)
        for scale, score in (("1-7", "happy"), ("ces 1-7", "easy"), ("good/bad", "thumb"))
    )
    line = "T{},2024-07-05T10:00:00Z,{},{},{}"
    given = [(7, 5, "good"), (6, 4, "good"), (5, 7, "bad"), (4, 5, "good"), (3, 1, "bad")]
    lines = [line.format(i, *cells) for i, cells in enumerate(given)]
    found = run(tmp_path, mapping, "id,at,happy,easy,thumb", *lines)
    told = {(f.what, f.scale): f.score.value for f in found.figures if f.by is None}
    assert told == {
        ("satisfied share", "1-7"): 2 / 5,
        ("mean score", "1-7"): 5.0,
        ("satisfied share", "good/bad"): 3 / 5,
        ("mean agreement", "ces 1-7"): 22 / 5,
        ("share that agrees", "ces 1-7"): 3 / 5,
        ("satisfied share, scales pooled", "1-7 + good/bad"): 5 / 10,
    }
    # whom the web survey reached is not known: no rate, no bounds, and never 100 %
    assert found.rates[0].asked is None
    assert found.rates[0].rate.value is None
    assert all(f.asked_bounds.low is None for f in found.figures)


def test_the_same_file_in_other_clothes(tmp_path: Path) -> None:
    plain = email(tmp_path, "T1;05.07.2024 10:00;06.07.2024 09:30;9;ä;;ok")
    path, toml = tmp_path / "answers.csv", tmp_path / "mapping.toml"
    text = path.read_text(encoding="utf-8")
    for content in (gzip.compress(text.encode()), b"\xef\xbb\xbf" + text.encode()):
        path.write_bytes(content)
        again = study(FeedbackRequest(surveys=(path,), survey_mapping=toml))
        assert rows(again) == rows(plain)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "LG014"),
        (HEAD.encode() + b'\nT1;05.07.2024 10:00;;;"open', "LG044"),
        (HEAD.encode() + b"\nT1;05.07", "LG044"),
        (HEAD.encode() + b"\nT1;\0;;;;;ok\n", "LG043"),
        (HEAD.encode() + b"\nT1;\xff;;;;;ok\n", "LG043"),
        (b"PK\x03\x04rest", "LG017"),
        (HEAD.encode() + b"\n", "ST543"),
    ],
)
def test_files_that_are_no_survey(tmp_path: Path, content: bytes, code: str) -> None:
    path, toml = tmp_path / "answers.csv", tmp_path / "mapping.toml"
    path.write_bytes(content)
    toml.write_text(EMAIL, encoding="utf-8")
    with pytest.raises(CodedError, match=code):
        study(FeedbackRequest(surveys=(path,), survey_mapping=toml))


def test_columns_that_are_missing_or_stand_twice_are_named_together(tmp_path: Path) -> None:
    head = HEAD.replace("Empfehlung", "Empfehlun").replace("Person", "Vorgang")
    with pytest.raises(ManyCodedErrors) as caught:
        run(tmp_path, EMAIL, head)
    assert [error.code for error in caught.value.errors] == ["ST537"] * 3
    assert "Did you mean 'Empfehlun'?" in str(caught.value)


def test_which_declaration_reads_a_file_is_never_a_guess(tmp_path: Path) -> None:
    other = EMAIL.replace('"email"', '"telephone"')
    line = "T1;05.07.2024 10:00;06.07.2024 09:30;9;;;ok"
    with pytest.raises(CodedError, match=r"ST536 .*email, telephone.*--channel"):
        run(tmp_path, EMAIL + other, HEAD, line)
    found = run(tmp_path, EMAIL + other, HEAD, line, channel="telephone")
    assert [row["channel"] for row in rows(found)] == ["telephone"]
    with pytest.raises(CodedError, match=r"ST538 .*no channel 'zendesk'.*name the log alone"):
        run(tmp_path, EMAIL, HEAD, line, channel="zendesk")
    path = tmp_path / "answers.csv"
    with pytest.raises(CodedError, match="ST536 no declaration"):
        study(FeedbackRequest(surveys=(path,)))
    with pytest.raises(CodedError, match="ST545"):
        study(FeedbackRequest(surveys=(path, path), survey_mapping=tmp_path / "mapping.toml"))
    with pytest.raises(CodedError, match="ST543"):
        study(FeedbackRequest())


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ('"0-10"', '"0-11"', "ST535", "there is no scale '0-11'. Did you mean '0-10'?"),
        ("ticket =", "tickets =", "ST535", "Did you mean 'ticket'?"),
        ('"Europe/Berlin"', '"Europe/Berlinn"', "ST535", "time.timezone"),
        ("%d.%m.%Y %H:%M", "%d.%m.%y %H:%M", "ST535", "%y"),
        (', format = "%d.%m.%Y %H:%M"', "", "ST535", "no format is declared"),
        ('score = "Empfehlung"', 'score = { constant = "9" }', "ST535", "never a constant"),
        ('asked_at = "Gesendet"', "", "ST535", "needs asked_at"),
        ('"email"', '"emial"', "ST538", "Did you mean 'email'?"),
        ("[[survey]]", "[[survey]", "ST534", "no TOML"),
        ("[[survey]]", "x = " + "[" * 5000 + "]" * 5000 + "\n[[survey]]", "ST534", "no TOML"),
        ("[[survey]]", "x = " + "9" * 5000 + "\n[[survey]]", "ST534", "no TOML"),
    ],
)
def test_mistakes_in_a_declaration(
    tmp_path: Path, old: str, new: str, code: str, said: str
) -> None:
    assert old in EMAIL
    with pytest.raises(CodedError) as caught:
        run(tmp_path, EMAIL.replace(old, new), HEAD)
    assert code in str(caught.value)
    assert said in str(caught.value)


def test_own_surveys_may_mix_scales_that_each_row_names(tmp_path: Path) -> None:
    path = tmp_path / "surveys.csv"
    path.write_text(
        "ticket,asked_at,answered_at,channel,scale,score,comment\n"
        "T1,2024-01-01T10:00Z,2024-01-01T11:00Z,mail,1-5,4,\n"
        "T1,2024-01-01T10:00Z,2024-01-01T11:00Z,mail,0-10,9,\n"
        "T2,2024-01-01T10:00Z,,mail,good/bad,,\n",
        encoding="utf-8",
    )
    found = study(FeedbackRequest(surveys=(path,)))
    told = [(r["scale"], r["score"]) for r in rows(found)]
    assert told == [("0-10", 9), ("1-5", 4), ("good/bad", None)]
    # two questions of one mail are one ask
    assert (found.rates[0].asked, found.rates[0].answered) == (2, 1)


# --- what the log itself holds


def log_of(source: str, **attributes: Sequence[str | None]) -> EventLog:
    n = len(next(iter(attributes.values())))
    ids = [f"T{i}" for i in range(n)]
    events = {
        s.CASE_ID: ids,
        s.ACTIVITY: ["Register"] * n,
        s.AT: pa.array(range(n), pa.int64()),
        f"{s.ATTRIBUTE_PREFIX}changed": ["satisfaction,status"] * n,
        s.ACTOR: [f"p-{i:012x}" for i in range(n)],
    }
    columns: dict[str, Any] = {s.CASE_ID: ids}
    columns |= {name: pa.array(cells, pa.string()) for name, cells in attributes.items()}
    return EventLog.build(
        pa.table(events), cases=pa.table(columns), meta=LogMeta(source, clear_names=True)
    )


def of_log(channel: str, log: EventLog, toml: str = "", folder: Path | None = None) -> Reading:
    forms = Declared()
    if folder is not None:
        (folder / "m.toml").write_text(toml, encoding="utf-8")
        forms = load_declared(folder / "m.toml")
    found = log_channels()[channel].read_log(log, forms.log)
    assert found is not None
    return found


def test_servicenow_surveys_of_a_case(tmp_path: Path) -> None:
    stem = "attr.survey:Satisfaction"
    columns: dict[str, list[str | None]] = {
        f"{stem}:state": ["Complete", "Ready to take", "Canceled", None],
        f"{stem}:asked": ["2024-03-04T10:00:00Z", "2024-03-05T10:00:00Z", None, None],
        f"{stem}:answered": ["2024-03-04T12:20:00Z", None, None, None],
        f"{stem}:score:Overall": ["4", None, None, None],
        f"{stem}#2:asked": ["2024-03-06T10:00:00Z", None, None, None],
        f"{stem}#2:score:Overall": ["7", None, None, None],
        f"{stem}:score:Speed": ["3", None, None, None],
    }
    log = log_of("servicenow", **columns)
    none = of_log("servicenow", log)
    assert none.responses.num_rows == 0
    assert "question Overall" in none.notes[0]
    toml = '[[log]]\nchannel="servicenow"\nscale="1-5"\nsurvey="Satisfaction"\nquestion="Overall"'
    found = of_log("servicenow", log, toml, tmp_path)
    told = [(r["ticket"], r["score"], r["delivered"]) for r in found.responses.to_pylist()]
    assert told == [("T0", 4, True), ("T1", None, True), ("T2", None, False)]
    [reject] = found.rejects.to_pylist()  # 7 is on no scale 1-5
    assert (reject["place"], reject["code"]) == ("case T0, survey Satisfaction#2", "ST515")
    assert found.rows_in == 4


def test_servicenow_reads_every_instance(tmp_path: Path) -> None:
    stem = "attr.survey:Satisfaction"
    log = log_of(
        "servicenow",
        **{
            f"{stem}:asked": ["2024-03-04T10:00:00Z"],
            f"{stem}:answered": ["2024-03-04T12:20:00Z"],
            f"{stem}:score:Overall": ["4"],
            f"{stem}#2:asked": ["2024-03-06T10:00:00Z"],
            f"{stem}#2:score:Overall": ["2.0"],
        },
    )
    toml = '[[log]]\nchannel="servicenow"\nscale="1-5"\nsurvey="Satisfaction"\nquestion="Overall"'
    found = of_log("servicenow", log, toml, tmp_path).responses.to_pylist()
    assert [r["score"] for r in found] == [4, 2]
    assert found[0]["answered_at"].isoformat() == "2024-03-04T12:20:00+00:00"


def test_jira_ratings_have_a_scale_and_no_asks() -> None:
    log = log_of(
        "jira",
        **{
            "attr.satisfaction": ["5", None, "9"],
            "attr.satisfaction_date": ["2024-03-04T12:20:00.000+0100", None, None],
        },
    )
    found = of_log("jira", log)
    [row] = found.responses.to_pylist()
    assert (row["score"], row["scale"], row["ask_known"]) == (5, "1-5", False)
    assert row["answered_at"].isoformat() == "2024-03-04T11:20:00+00:00"
    assert found.rejects["code"].to_pylist() == ["ST515"]
    assert log_channels()["jira"].read_log(log_of("ours", x=["1"]), []) is None


def test_zendesk_ratings_are_offered_good_or_bad() -> None:
    said = ["good", "bad_with_comment", "offered", None, "great"]
    log = log_of("zendesk", **{"attr.satisfaction": said})
    found = of_log("zendesk", log)
    told = [
        (r["ticket"], r["score"], r["asked_at"] is None, r["answered_at"] is None, r["respondent"])
        for r in found.responses.to_pylist()
    ]
    assert told == [
        ("T0", 1, True, False, "p-000000000000"),
        ("T1", 0, True, False, "p-000000000001"),
        ("T2", None, False, True, None),
    ]
    assert [r["place"] for r in found.rejects.to_pylist()] == ["case T4"]


def test_a_zendesk_export_is_read_through_its_log() -> None:
    folder = ROOT / "tests/data/zendesk"
    log = open_log(tuple(sorted(folder.iterdir())), ReadOptions(timezone="UTC"))
    found = of_log("zendesk", log).responses.to_pylist()
    by_ticket = dict(
        zip(
            log.cases[s.CASE_ID].to_pylist(),
            log.cases["attr.satisfaction"].to_pylist(),
            strict=True,
        )
    )
    rated = {ticket: word for ticket, word in by_ticket.items() if word}
    assert {r["ticket"]: r["score"] for r in found} == {
        ticket: {"good": 1, "bad": 0, "offered": None}[word] for ticket, word in rated.items()
    }
    assert rated


def test_a_score_kept_with_the_case(tmp_path: Path) -> None:
    log = log_of("ours", **{"attr.Survey results": ["3.0", None, "-"]})
    toml = '[[log]]\nchannel="attribute"\nattribute="Survey results"\nscale="1-5"\nmissing=["-"]\n'
    found = of_log("attribute", log, toml, tmp_path)
    assert [(r["ticket"], r["score"]) for r in found.responses.to_pylist()] == [("T0", 3)]
    assert "response rate is not known" in found.notes[0]
    found = of_log("attribute", log, toml + 'asks = "rows"', tmp_path)
    assert [r["score"] for r in found.responses.to_pylist()] == [3, None, None]
    with pytest.raises(CodedError, match=r"ST539 .*Did you mean 'Survey results'"):
        of_log("attribute", log, toml.replace("results", "result"), tmp_path)


def test_every_channel_has_a_name_of_its_own() -> None:
    assert set(file_channels()) == {"web", "email", "telephone"}
    assert set(log_channels()) == {"servicenow", "jira", "zendesk", "attribute"}


@pytest.mark.skipif(not CSAT.exists(), reason="shared/data/csat is not here")
def test_a_real_table_of_tickets_with_survey_results(tmp_path: Path) -> None:
    """2,330 tickets, 1,173 scores, no times of the surveys: none are made up."""
    toml = tmp_path / "m.toml"
    toml.write_text(
        '[[survey]]\nchannel = "web"\nscale = "1-5"\nasks = "rows"\n'
        'columns = { ticket = "Ticket ID", score = "Survey results" }\n',
        encoding="utf-8",
    )
    found = study(FeedbackRequest(surveys=(CSAT,), survey_mapping=toml))
    assert (found.rates[0].asked, found.rates[0].answered) == (2330, 1173)
    table = found.readings[0].responses
    assert table["asked_at"].null_count == table["answered_at"].null_count == 2330
    [share, average] = [f for f in found.figures if f.by is None]
    scores = [v for v in table["score"].to_pylist() if v is not None]
    assert share.score.value == sum(v >= 4 for v in scores) / 1173
    assert average.score.value == pytest.approx(sum(scores) / 1173)
    silent = 2330 - 1173
    assert share.asked_bounds.low == pytest.approx(sum(v >= 4 for v in scores) / 2330)
    assert share.asked_bounds.high == pytest.approx((sum(v >= 4 for v in scores) + silent) / 2330)
