"""How fast are a million cases judged by the whole rulebook?

The incidents of a simulated desk of 20,000 tickets (`csi.simulate`, in it all kinds of offence),
60 times over with new ids, and every rule on incidents. Reading, translating and aligning them is
outside the timing, as the loading of the tables is for DuckDB; the last trial times it all.

- ours, verdicts: measure every rule, let durable-rules judge the distinct signatures in a worker
  process that is started for it, let the independent evaluator judge every case. Nothing is kept
  from turn to turn.
- ours, `check`: the same, what is in doubt, and the findings with their evidence.
- hand-written SQL (`incident_verdicts.sql`) in DuckDB as it comes, on a table of the same events;
  alignment costs are given to it. Meant as the upper bound: a query that knows these rules and no
  others. It spreads over all cores, which ours does not. Ours can be faster still, for rules on the
  order of steps are measured once a distinct trace, and nothing is sorted that lies in order.
- one fact a case and rule, asserted to durable-rules in a process of its own (measured before,
  outside the timing), on a sample of the cases. The process start is timed on both sides.

Verdicts are equal for every case and rule, which is asserted. Turn by turn, medians of the turns;
CPU seconds include those of the worker process.

Growth: verdicts from 10,000 to 10 million events, once with the same desk tiled, so that distinct
signatures stay as they are, once with ever more simulated tickets. What durable-rules takes grows
with distinct facts alone; measuring, and the independent evaluator, with the events.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pytest
from benchmarks.rule_desks import (
    Incidents,
    fresh,
    incidents,
    joined,
    load,
    of_practice,
    simulated,
    tiled,
    write_parquet,
)
from benchmarks.turns import seconds
from matplotlib.figure import Figure

from rules import engine
from rules.check import check
from rules.measuring import measure
from rules.spec import decide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt
    from benchmarks.conftest import Tell

    from process_mining.eventlog import EventLog
    from rules.measuring import Measured
    from rules.spec import DecisionTable
    from rules.templates import Desk

pytestmark = [pytest.mark.benchmark, pytest.mark.filterwarnings("ignore")]

SQL = Path(__file__).with_name("incident_verdicts.sql")
TICKETS = 20_000
SEED = 3
COPIES = 60  # of the 16,937 incidents of the desk: a million
AUDITED = 45  # of its 22,796 tickets of all practices: a million
A_MILLION, N_FRESH = 134_000, 10  # so many simulated tickets have a million events of incidents
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
TURNS = 3
SAMPLE = 2_000
COLOURS = ("#00579e", "#b35900")

# One fact a case, each row of the table a rule of its own, in a process of its own.
DIRECT = """
import json, sys
from durable import engine
Host = type("QuietHost", (engine.Host,), {"_run": lambda _: None})
host, answers = Host(), []
for number, sheet in enumerate(json.load(sys.stdin)):
    fired = []
    def rule(row, tests):
        return {"all": [{"m": {"$and": tests} if len(tests) > 1 else tests[0]}],
                "run": lambda _: fired.append(row)}
    name = f"t{number}"
    host.register_rulesets({name: {f"r{i}": rule(i, t) for i, t in enumerate(sheet["rows"])}})
    verdicts = []
    for case, values in enumerate(sheet["facts"]):
        fact = {"id": case + 1, "k": 0} | dict(zip(sheet["names"], values))
        fired.clear()
        for do in (host.assert_fact, host.retract_fact):
            try:
                do(name, dict(fact))
            except engine.MessageNotHandledException:
                pass
        (row,) = fired
        verdicts.append(sheet["verdicts"][row])
    answers.append(verdicts)
json.dump(answers, sys.stdout)
"""

# An audit as `trueloop audit` runs it, with the seconds of its parts, in a process of its own.
AUDIT = """
import json, sys, time
from collections import defaultdict
from pathlib import Path
import csi.audit, rules.check
from csi.audit_outputs import summary_of, write_audit
from process_mining.sources import ReadOptions
parts = defaultdict(float)
def timed(module, name, part):
    do = getattr(module, name)
    def run(*args, **options):
        start = time.perf_counter()
        try:
            return do(*args, **options)
        finally:
            parts[part] += time.perf_counter() - start
    setattr(module, name, run)
for name, part in (("open_log", "reading"), ("inspect", "quality gate"),
                   ("split_by_practice", "translating"), ("translate", "translating"),
                   ("prepare_desk", "alignment")):
    timed(csi.audit, name, part)
timed(rules.check, "judge_versions", "verdicts")
timed(rules.check, "findings", "findings")
log, mapping, targets, out = map(Path, sys.argv[1:])
start = time.perf_counter()
request = csi.audit.AuditRequest((log,), read=ReadOptions(mapping=mapping), targets=targets)
audit = csi.audit.audit(request)
audited = time.perf_counter()
write_audit(audit, summary_of(audit), out, None)
end = time.perf_counter()
# not ru_maxrss: a child starts with the peak of the process that started it
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) << 10
verdicts = int((audit.result.verdicts >= 0).sum())
parts["writing and the page"] = end - audited
parts["the rest"] = end - start - sum(parts.values())
print(json.dumps({"parts": parts, "total": end - start, "peak": peak, "cases": audit.log.n_cases,
                  "events": audit.log.n_events, "rules": len(audit.result.rules),
                  "findings": audit.result.findings.num_rows, "verdicts": verdicts,
                  "practices": len(audit.practices)}))
"""


@dataclass(frozen=True)
class Spent:
    """Seconds of each turn, by the wall clock and of all CPUs."""

    wall: list[float]
    cpu: list[float]

    def words(self) -> str:
        return f"{median(self.wall):.2f} s ({median(self.cpu):.2f} CPU s)"


def timed(do: Callable[[], object], into: Spent) -> None:
    cpu = sum(os.times()[:4])  # of the processes it waited for, too
    into.wall.append(seconds(do))
    into.cpu.append(sum(os.times()[:4]) - cpu)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[EventLog, Path]:
    folder = tmp_path_factory.mktemp("desk")
    return simulated(folder, TICKETS, SEED), folder / "targets.toml"


@pytest.fixture(scope="module")
def million(base: tuple[EventLog, Path]) -> Incidents:
    return incidents(base[0], COPIES, base[1])


def measured(desk: Desk, given: Incidents) -> list[Measured]:
    return [measure(desk, rule) for rule in given.rules]


def verdicts(given: Incidents) -> list[npt.NDArray[np.int8]]:
    """Every verdict by both engines, from nothing."""
    found = measured(given.afresh(), given)
    judged = engine.judge([one.question for one in found])
    for one, by_durable in zip(found, judged, strict=True):
        again = one.of_cases(decide(one.table, one.found.facts, one.rule.code))
        assert np.array_equal(by_durable, again)
    return judged


@contextmanager
def tables(given: Incidents) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        load(connection, given)
        yield connection


def by_sql(connection: duckdb.DuckDBPyConnection) -> dict[str, npt.NDArray[np.int8]]:
    """Run the statements anew; the verdicts by rule and case."""
    connection.execute(SQL.read_text("utf-8").replace("TEMP TABLE", "OR REPLACE TEMP TABLE"))
    found = connection.sql("SELECT * FROM verdicts").to_arrow_table()
    return {
        name: column.to_numpy()
        for name, column in zip(found.column_names, found.columns, strict=True)
    }


def test_verdicts_against_hand_written_sql(million: Incidents, tell: Tell) -> None:
    given = million
    with tables(given) as connection:
        theirs = by_sql(connection)
        place = np.argsort(theirs.pop("case_no"))
        ours = dict(zip((rule.code for rule in given.rules), verdicts(given), strict=True))
        for code, judged in theirs.items():
            assert np.array_equal(judged[place], ours[code]), code
        both = Incidents(
            given.desk, tuple(rule for rule in given.rules if rule.code in theirs), given.changes
        )
        ways: dict[str, Callable[[], object]] = {
            "ours": partial(verdicts, both),
            "sql": partial(by_sql, connection),
            "check": lambda: check(given.afresh(), given.rules, log_sha256=""),
        }
        spent = {name: Spent([], []) for name in ways}
        for _ in range(TURNS):
            for name, do in ways.items():
                timed(do, spent[name])
        threads = connection.sql("SELECT current_setting('threads')").fetchall()[0][0]
    n = len(theirs) * given.desk.log.n_cases
    wall, cpu = (
        median(getattr(spent["ours"], clock)) / median(getattr(spent["sql"], clock))
        for clock in ("wall", "cpu")
    )
    without = sorted(ours.keys() - theirs.keys())
    tell(
        f"verdicts against hand-written SQL: ours takes {wall:.2f} times as long (CPU {cpu:.2f}); "
        f"goal: at most 3; equal verdicts\n"
        f"ours, both engines: {spent['ours'].words()}, "
        f"{n / median(spent['ours'].wall):,.0f} verdicts/s\n"
        f"SQL in DuckDB: {spent['sql'].words()}, {n / median(spent['sql'].wall):,.0f} verdicts/s; "
        f"were its {threads} cores its own, it could not take less than "
        f"{median(spent['sql'].cpu) / threads:.2f} s\n"
        f"n = {len(theirs)} rules on {given.size}, "
        f"{len(given.desk.traces.representative):,} distinct traces; median of {TURNS} turns"
        + (f"; without SQL: {', '.join(without)}" if without else "")
    )
    found = check(given.afresh(), given.rules, log_sha256="").findings.num_rows
    tell(
        f"`check`, findings and their evidence included: {spent['check'].words()} for {found:,} "
        f"findings; n = {len(given.rules)} rules on {given.size}; median of {TURNS} turns"
    )


def raw_tests(table: DecisionTable) -> list[list[dict[str, dict[str, int | None]]]]:
    """The rows of a table as durable-rules reads them, with the bounds as they stand."""
    rows = []
    for row in table:
        tests: list[dict[str, dict[str, int | None]]] = []
        for name, interval in row.when.items():
            tests += [{"$gte": {name: interval.lo}}] * (interval.lo is not None)
            tests += [{"$lte": {name: interval.hi}}] * (interval.hi is not None)
        rows.append(tests or [{"$gte": {"k": 0}}])
    return rows


def one_fact_a_case(found: Sequence[Measured], cases: npt.NDArray[np.int64]) -> list[list[int]]:
    sheets = [
        {
            "rows": raw_tests(one.table),
            "verdicts": [int(row.verdict) for row in one.table],
            "names": list(one.found.facts),
            "facts": list(zip(*(v.tolist() for v in one.of(cases).facts.values()), strict=True)),
        }
        for one in found
    ]
    done = subprocess.run(
        [sys.executable, "-c", DIRECT],
        input=json.dumps(sheets),
        check=True,
        capture_output=True,
        text=True,
    )
    answers: list[list[int]] = json.loads(done.stdout)
    return answers


def test_verdicts_against_one_fact_a_case(million: Incidents, tell: Tell) -> None:
    desk = million.afresh()
    found = measured(desk, million)
    cases = np.linspace(0, desk.log.n_cases - 1, SAMPLE).astype(np.int64)
    direct = one_fact_a_case(found, cases)
    judged = verdicts(million)
    assert [row[cases].tolist() for row in judged] == direct
    ours, theirs = Spent([], []), Spent([], [])
    for _ in range(TURNS):
        timed(partial(verdicts, million), ours)
        timed(partial(one_fact_a_case, found, cases), theirs)
    n, few = len(found) * desk.log.n_cases, len(found) * SAMPLE
    rate, slow = n / median(ours.wall), few / median(theirs.wall)
    tell(
        f"verdicts against one durable-rules fact for each case and rule: {rate / slow:,.0f} times "
        f"as fast; goal: 100; equal verdicts\n"
        f"ours: {rate:,.0f} verdicts/s ({median(ours.wall):.2f} s for {n:,} verdicts)\n"
        f"one fact each: {slow:,.0f} verdicts/s ({median(theirs.wall):.2f} s for {few:,} verdicts "
        f"on {SAMPLE:,} of the cases; scaled, all would take {n / slow:,.0f} s)\n"
        f"n = {len(found)} rules on {million.size}; median of {TURNS} turns"
    )


def asserted(found: Sequence[Measured]) -> int:
    """How many facts durable-rules gets: rules with equal tables share theirs."""
    questions = [one.question for one in found]
    sheets = engine._sheets(questions, [engine._signatures(one) for one in questions])
    return sum(len(sheet.vectors) for sheet in sheets.values())


def test_signatures_that_durable_rules_judges(million: Incidents, tell: Tell) -> None:
    found = measured(million.afresh(), million)
    counts = [len(engine._signatures(one.question).vectors) for one in found]
    most = max(zip(counts, (one.rule.code for one in found), strict=True))
    tell(
        f"durable-rules judges {asserted(found):,} facts for "
        f"{len(found) * million.desk.log.n_cases:,} verdicts: {sum(counts):,} distinct signatures "
        f"of {len(found)} rules (median {median(counts):.0f} a rule, most {most[0]} of {most[1]}), "
        f"fewer where rules have equal tables; n = {million.size}"
    )


@dataclass(frozen=True)
class Point:
    """One desk of a series: its size, what is distinct in it, and the median seconds."""

    events: int
    verdicts: int
    traces: int
    signatures: int
    seconds: float
    in_engine: float


def point(given: Incidents) -> Point:
    desk = given.afresh()
    found = measured(desk, given)
    few = [one_case_each(one.question) for one in found]
    return Point(
        events=desk.log.n_events,
        verdicts=len(found) * desk.log.n_cases,
        traces=len(desk.traces.representative),
        signatures=asserted(found),
        seconds=median(seconds(partial(verdicts, given)) for _ in range(TURNS)),
        in_engine=median(seconds(partial(engine.judge, few)) for _ in range(TURNS)),
    )


def one_case_each(question: engine.Question) -> engine.Question:
    """The same question about one case of each signature."""
    rows = np.unique(engine._signatures(question).of_case, return_index=True)[1]
    facts = {name: values[rows] for name, values in question.facts.items()}
    return replace(question, facts=facts, of_case=None)


def part_of(log: EventLog, n_events: int) -> EventLog:
    """The first tickets of a log that have about so many events."""
    offsets = log.arrays.offsets
    kept = int(np.argmin(np.abs(offsets - n_events)))
    return log.select(np.arange(log.n_cases) < kept)


def test_growth(base: tuple[EventLog, Path], tell: Tell) -> None:
    log, targets = base
    small = part_of(of_practice(log), SIZES[0])
    series: dict[str, list[Point]] = {
        "the same tickets, tiled": [point(incidents(small, n // SIZES[0], targets)) for n in SIZES]
    }
    many = joined([tiled(fresh(A_MILLION, seed), 1, first=seed) for seed in range(N_FRESH)])
    series["ever more tickets"] = [point(incidents(part_of(many, n), 1, targets)) for n in SIZES]
    for name, points in series.items():
        rows = "\n".join(
            f"{p.events:,} events: {p.seconds:.2f} s for {p.verdicts:,} verdicts, of it "
            f"{p.in_engine:.2f} s in durable-rules' process, which judges {p.signatures} facts; "
            f"{p.traces:,} distinct traces"
            for p in points
        )
        tell(f"growth, {name}: slope {slope(points):.2f} from 1 to 10 million events\n{rows}")
    tell.picture(draw(series), "rules", "Verdicts: time and what is distinct, against events")


def slope(points: Sequence[Point]) -> float:
    """Of the last line on the log-log picture, where the worker's start matters least."""
    x, y = np.diff(np.log([(p.events, p.seconds) for p in points[-2:]]), axis=0)[0]
    return float(y / x)


def draw(series: dict[str, list[Point]]) -> Figure:
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for (name, points), colour, mark in zip(series.items(), COLOURS, "os", strict=True):
        events = [p.events for p in points]
        left.loglog(
            events, [p.seconds for p in points], marker=mark, color=colour,
            label=f"{name}, slope at the end {slope(points):.2f}",
        )  # fmt: skip
        left.loglog(
            events, [p.in_engine for p in points], marker=mark, color=colour, linestyle=":",
            label="of it durable-rules' process",
        )  # fmt: skip
        right.loglog(
            events, [p.traces for p in points], marker=mark, color=colour, linestyle="--",
            label=f"distinct traces, {name}",
        )  # fmt: skip
        right.loglog(
            events, [p.signatures for p in points], marker=mark, color=colour,
            label=f"facts that durable-rules judges, {name}",
        )  # fmt: skip
    left.set(xlabel="events", ylabel="seconds of all verdicts", title="Time")
    right.set(xlabel="events", ylabel="distinct", title="What is distinct")
    for axes in (left, right):
        axes.grid(visible=True, which="major", color="#dddddd")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize="small")
    return figure


def test_audit_of_a_million_cases(tmp_path: Path, tell: Tell) -> None:
    paths = write_parquet(tmp_path, TICKETS, SEED, AUDITED)
    done = subprocess.run(
        [sys.executable, "-c", AUDIT, *map(str, paths), str(tmp_path / "out")],
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    parts = ", ".join(f"{part} {spent:.1f} s" for part, spent in found["parts"].items())
    rate = found["verdicts"] / found["parts"]["verdicts"]
    tell(
        f"audit from a Parquet file to the report, all practices, the whole rulebook: "
        f"{found['total']:.0f} s, peak of {found['peak'] / 1e9:.1f} GB resident\n"
        f"{parts}\n"
        f"{found['verdicts']:,} verdicts ({rate:,.0f} a second in their own part), "
        f"{found['findings']:,} findings\n"
        f"n = {found['cases']:,} cases, {found['events']:,} events, {found['practices']} practices "
        f"and kinds, {found['rules']} rules; one turn"
    )
    assert found["cases"] >= 1_000_000
