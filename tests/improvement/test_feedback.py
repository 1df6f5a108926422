from __future__ import annotations

import csv
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest

from csi.feedback import COLUMNS, Feedback, join, read_surveys, summarise
from process_mining import schema as s
from process_mining.errors import CodedError, ManyCodedErrors, RunError
from process_mining.eventlog import EventLog, LogMeta

CSAT = Path(__file__).parents[2].parent / "shared/data/csat/technical_support_dataset.csv"
HEADER = ",".join(COLUMNS)
GOOD = "T1,2024-01-01T10:00:00Z,2024-01-02T10:00:00+01:00,mail,1-5,4,fine"
SILENT = "T2,2024-01-01T11:00:00Z,,mail,1-5,,"


def write(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "surveys.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def scores(folder: Path, given: list[int | None]) -> Feedback:
    """One ask a ticket, asked a minute apart from 2024-01-01T00:00Z."""
    lines = [
        f"T{i:05d},2024-01-01T{i // 60 % 24:02d}:{i % 60:02d}Z,"
        + (",mail,1-5,," if score is None else f"2024-01-09T00:00Z,mail,1-5,{score},")
        for i, score in enumerate(given)
    ]
    return read_surveys(write(folder, *lines))


def test_rows_are_read(tmp_path: Path) -> None:
    found = read_surveys(write(tmp_path, SILENT, GOOD))
    assert found.rejects.num_rows == 0
    first, second = found.responses.to_pylist()
    assert (first["ticket"], first["score"], first["comment"]) == ("T1", 4, "fine")
    assert first["answered_at"].isoformat() == "2024-01-02T09:00:00+00:00"
    assert (second["ticket"], second["answered_at"], second["score"]) == ("T2", None, None)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("T1,2024-01-01T10:00:00Z,,mail,1-5", "ST510"),
        (GOOD + ",more", "ST510"),
        (GOOD.replace("T1", " ", 1), "ST511"),
        (GOOD.replace("00:00Z", "00:00"), "ST512"),
        (GOOD.replace("2024-01-01T10:00:00Z", "01/02/2024 10:00"), "ST512"),
        (GOOD.replace("2024-01-01T10:00:00Z", ""), "ST512"),
        (GOOD.replace("2024-01-02", "2023-01-02"), "ST513"),
        (GOOD.replace(",4,", ",,"), "ST514"),
        (SILENT.replace("1-5,", "1-5,4"), "ST514"),
        (GOOD.replace(",4,", ",6,"), "ST515"),
        (GOOD.replace(",4,", ",0,"), "ST515"),
        (GOOD.replace(",4,", ",4.5,"), "ST515"),
        (GOOD.replace(",4,", ",٤,"), "ST515"),
    ],
)
def test_refused_rows_are_kept_with_their_line(tmp_path: Path, row: str, code: str) -> None:
    found = read_surveys(write(tmp_path, SILENT, row))
    assert [(r["place"], r["code"]) for r in found.rejects.to_pylist()] == [("line 3", code)]
    assert found.rows_in == found.responses.num_rows + 1 == 2


def test_the_place_of_a_row_after_a_comment_of_several_lines(tmp_path: Path) -> None:
    found = read_surveys(write(tmp_path, GOOD.replace("fine", '"fi\nne"'), GOOD + ",x"))
    assert found.rejects["place"].to_pylist() == ["line 4"]


def test_repeated_rows_count_once_and_contradicting_rows_not_at_all(tmp_path: Path) -> None:
    other = SILENT.replace("T2", "T3")
    against = "T3,2024-01-01T11:00:00Z,2024-01-05T11:00:00Z,mail,1-5,1,"
    lines = [GOOD, other, GOOD, against, SILENT]
    found = read_surveys(write(tmp_path, *lines))
    assert found.responses["ticket"].to_pylist() == ["T1", "T2"]
    assert [(r["place"], r["code"]) for r in found.rejects.to_pylist()] == [
        ("line 3", "ST517"),
        ("line 4", "ST516"),
        ("line 5", "ST517"),
    ]
    random.Random(1).shuffle(lines)  # noqa: S311 - a seeded test
    assert read_surveys(write(tmp_path, *lines)).responses.equals(found.responses)


def test_scales_are_not_mixed(tmp_path: Path) -> None:
    with pytest.raises(CodedError, match=r"ST503.*line 3.*'0-10'"):
        read_surveys(write(tmp_path, GOOD, SILENT.replace("1-5", "0-10")))


def test_headers_are_strict_and_all_mistakes_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(ManyCodedErrors) as caught:
        read_surveys(write(tmp_path, GOOD, header=HEADER.replace("score", "scoer") + ",mood"))
    assert [error.code for error in caught.value.errors] == ["ST502"] * 3
    assert "Did you mean 'score'?" in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CodedError, match="ST501"):
        read_surveys(tmp_path / "none.csv")
    path = write(tmp_path, GOOD, GOOD.replace("fine", '"cut off'))
    with pytest.raises(RunError, match="ST505"):
        read_surveys(path)
    path.write_bytes(HEADER.encode() + b"\n\xff")
    with pytest.raises(RunError, match="ST504"):
        read_surveys(path)
    path.write_bytes(b"")
    with pytest.raises(CodedError, match="ST502"):
        read_surveys(path)


def test_figures(tmp_path: Path) -> None:
    [one] = summarise(scores(tmp_path, [5, 4, 4, 2, 1, *[None] * 3]).responses)
    assert (one.asked, one.answered) == (8, 5)
    assert one.response_rate.value == 5 / 8
    assert (one.csat.value, one.csat.n) == (16 / 5, 5)
    assert one.csat.low is not None
    assert one.csat.high is not None
    assert 1 <= one.csat.low < 16 / 5 < one.csat.high <= 5
    assert one.satisfied.value == 3 / 5
    interval = binomtest(3, 5).proportion_ci(0.95, method="wilson")
    assert (one.satisfied.low, one.satisfied.high) == pytest.approx((interval.low, interval.high))
    assert (one.csat_bounds.low, one.csat_bounds.high) == ((16 + 3) / 8, (16 + 15) / 8)
    assert (one.satisfied_bounds.low, one.satisfied_bounds.high) == (3 / 8, 6 / 8)


def test_answers_that_are_all_equal_bound_nothing(tmp_path: Path) -> None:
    [one] = summarise(scores(tmp_path, [4] * 20).responses)
    assert (one.csat.value, one.csat.low, one.csat.high) == (4, None, None)


def test_nobody_asked_and_nobody_answered(tmp_path: Path) -> None:
    [none] = summarise(scores(tmp_path, []).responses)
    assert (none.asked, none.response_rate.value, none.csat_bounds.low) == (0, None, None)
    [silent] = summarise(scores(tmp_path, [None, None]).responses)
    assert (silent.response_rate.value, silent.csat.value) == (0, None)
    assert (silent.csat_bounds.low, silent.csat_bounds.high) == (1, 5)


def test_a_window_holds_its_start_and_not_its_end(tmp_path: Path) -> None:
    responses = scores(tmp_path, [1, 2, 3, 4]).responses
    start = 1_704_067_200 * s.US_PER_SECOND
    window = (start + s.US_PER_MINUTE, start + 3 * s.US_PER_MINUTE)
    [one] = summarise(responses, window=window)
    assert (one.asked, one.csat.value, one.window) == (2, 2.5, window)


def test_several_answers_to_one_ticket_are_drawn_together(tmp_path: Path) -> None:
    given: list[int | None] = [5, 5, 1, 1, 4, 4, 2, 2] * 4
    apart = scores(tmp_path, given).responses
    same = pa.array([f"T{i // 2}" for i in range(len(given))])
    together = apart.set_column(0, "ticket", same)
    [one], [two] = summarise(apart), summarise(together)
    assert one.csat.value == two.csat.value
    assert two.csat.low is not None
    assert one.csat.low is not None
    assert two.csat.low < one.csat.low


def log_of(tickets: list[str], priorities: list[str | None]) -> EventLog:
    events = {
        s.CASE_ID: tickets,
        s.ACTIVITY: ["Register"] * len(tickets),
        s.AT: pa.array([0] * len(tickets), pa.int64()),
    }
    cases = {s.CASE_ID: tickets, s.PRIORITY: pa.array(priorities, pa.string())}
    return EventLog.build(pa.table(events), cases=pa.table(cases), meta=LogMeta("test"))


def test_what_does_not_join_is_counted(tmp_path: Path) -> None:
    found = read_surveys(write(tmp_path, GOOD, SILENT, SILENT.replace("T2", "T9")))
    joined = join(found, log_of(["T1", "T2", "T3"], ["P1", "P2", "P3"]))
    assert joined.responses.select(["ticket", "priority"]).to_pylist() == [
        {"ticket": "T1", "priority": "P1"},
        {"ticket": "T2", "priority": "P2"},
    ]
    assert joined.unmatched["ticket"].to_pylist() == ["T9"]
    assert joined.never_asked == 1


def test_only_eligible_cases_count_as_never_asked(tmp_path: Path) -> None:
    found = read_surveys(write(tmp_path, GOOD, SILENT))  # about T1 and T2
    log = log_of(["T1", "T2", "T3", "T4"], ["P1"] * 4)
    ended = np.array([True, True, False, True])
    assert [join(found, log).never_asked, join(found, log, eligible=ended).never_asked] == [2, 1]
    assert ended.tolist() == [True, True, False, True]
    assert join(found, log, eligible=np.zeros(4, bool)).never_asked == 0


def test_segments_are_sorted_and_small_ones_show_no_scores(tmp_path: Path) -> None:
    found = scores(tmp_path, [1, 2, 3, 4, 5, 5, 5, None])
    tickets = found.responses["ticket"].to_pylist()
    joined = join(found, log_of(tickets, ["P2"] * 5 + ["P1", "P1", None]))
    p1, p2, rest = summarise(joined.responses, segment="priority")
    assert (p1.segment, p2.segment, rest.segment) == ("P1", "P2", None)
    assert (p1.answered, p1.suppressed, p1.csat.value, p1.satisfied_bounds.low) == (
        2,
        True,
        None,
        None,
    )
    assert (p2.answered, p2.suppressed, p2.csat.value) == (5, False, 3)
    with pytest.raises(CodedError, match=r"ST520.*Did you mean 'priority'"):
        summarise(joined.responses, segment="priorty")


@pytest.mark.skipif(not CSAT.exists(), reason="shared/data/csat is not here")
def test_a_real_help_desk(tmp_path: Path) -> None:
    """2,330 tickets, each asked once when it was created, 1,173 scores."""
    path, count = tmp_path / "surveys.csv", 0
    with CSAT.open(encoding="utf-8", newline="") as source, path.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        for row in csv.DictReader(source):
            asked = row["Created time"].replace(" ", "T") + "Z"
            score = row["Survey results"].removesuffix(".0")
            answered = (row["Close time"].replace(" ", "T") + "Z") if score else ""
            writer.writerow([row["Ticket ID"], asked, answered, row["Source"], "1-5", score, ""])
            count += 1
    found = read_surveys(path)
    assert (found.rows_in, found.rejects.num_rows, count) == (2330, 0, 2330)
    [one] = summarise(found.responses)
    assert (one.asked, one.answered) == (2330, 1173)
    values = [v for v in found.responses["score"].to_pylist() if v is not None]
    assert one.csat.value == pytest.approx(sum(values) / 1173)
    assert one.satisfied.value == sum(v > 3 for v in values) / 1173
    assert one.csat.low is not None
    assert one.csat.high is not None
    assert one.csat.high - one.csat.low < 0.25
    by_channel = summarise(found.responses, segment="channel")
    assert sum(part.answered for part in by_channel) == 1173
