"""Which verdict does durable-rules give on every case?

A question is a decision table and the integer facts that it reads, one value a case. Cases are
never sent one by one. Every field is binned by the bounds that the table compares it with: for
the closed interval lo..hi the cuts are lo and hi + 1, and a value's rank is the number of cuts
that are not above it. Ranks keep the order, so a row holds for a value exactly when its translated
bounds hold for the rank; the distinct rank vectors ("signatures") are judged once each and the
answers are gathered back. Tables that are equal after translation share one ruleset. The second
evaluator, `rules.spec.decide`, works on the raw integers: a mistake in binning shows as a
disagreement in `rules.check`.

Cost: O(cases x fields) to bin, and about 30 us for a signature. A signature has at most
(2 x rows + 1) ^ fields values, in practice tens.

durable-rules runs only in a worker process (`python -m rules.engine`), which this module starts,
feeds and checks: JSON lines on its standard input and output, one line a table. How each of the
library's traps is met:

- Host starts two endless threads: `_run`, which starts them, is replaced by nothing; one thread.
- One fact is asserted at a time, and retracted before the next: no 32-bit identity can meet
  another, no memory grows. Facts hold integers below the number of cuts, nothing else.
- A refused fact (MessageObservedException) or a broken retraction ends the worker: EN005.
- An error inside an action is swallowed into state['exception']: it ends the worker too.
- An unmatched fact is an answer without rows: EN003, as is an answer with several. All rows that
  fire are collected, not the first.
- More than about 64 conditions on one ruleset: rows are spread over rulesets of at most 50.
- Values are compared with constants only: no joins, no arithmetic, no strings, no timers.
- A worker that dies, hangs or says nonsense: EN005, EN006, EN007 with the rule concerned.

No text of a rule reaches the worker: fields are f0, f1 ..., rows and tables are numbers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from process_mining.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from rules.spec import DecisionTable, Interval

    Bound = tuple[int, int | None, int | None]  # field number, lowest rank, highest rank
    Ranks = tuple[tuple[Bound, ...], ...]
    Vector = tuple[int, ...]

MAX_CONDITIONS: Final = 50
TIMEOUT_S: Final = 60.0
SECONDS_PER_FACT: Final = 0.001
WORKER: Final = (sys.executable, "-P", "-m", "rules.engine")
_INT64: Final = np.iinfo(np.int64)
_DENSE: Final = 8  # up to so many possible codes a case, a look-up array beats sorting


@dataclass(frozen=True, eq=False)
class Question:
    """A rule's code (for messages only), its decision table, and the facts: one int64 a case."""

    rule: str
    table: DecisionTable
    facts: Mapping[str, Ints]


@dataclass(frozen=True, eq=False)
class _Signatures:
    """The distinct rank vectors of one question, and which of them each case has."""

    ranks: Ranks
    vectors: tuple[Vector, ...]
    of_case: Ints


@dataclass(frozen=True, eq=False)
class _Sheet:
    """One table as the worker gets it; `rule` is the first that asked (for messages)."""

    rule: str
    ranks: Ranks
    vectors: dict[Vector, int]


def judge(
    questions: Sequence[Question],
    *,
    timeout_s: float = TIMEOUT_S,
    command: Sequence[str] = WORKER,
) -> list[npt.NDArray[np.int8]]:
    """Answer every question in one worker process: a verdict number for each case.

    `timeout_s` is the worker's time to start; a millisecond for each signature is added.
    Raises RunError: EN003 not exactly one row fires, EN004 durable-rules cannot be loaded, EN005
    the worker ended early, EN006 it gave no answer in time, EN007 its answer makes no sense,
    EN008 the facts do not fit the table.
    """
    asked = [_signatures(question) for question in questions]
    sheets = _sheets(questions, asked)
    hits = _ask(tuple(sheets.values()), timeout_s=timeout_s, command=command) if sheets else {}
    return [
        _verdicts(question, one, [hits[one.ranks][vector] for vector in one.vectors])
        for question, one in zip(questions, asked, strict=True)
    ]


def _verdicts(
    question: Question, asked: _Signatures, hits: list[list[int]]
) -> npt.NDArray[np.int8]:
    """Turn the rows that fired into verdicts and gather them back to the cases."""
    for index, rows in enumerate(hits):
        if len(rows) != 1:
            case = int(np.flatnonzero(asked.of_case == index)[0])
            at = {name: int(values[case]) for name, values in question.facts.items()}
            msg = f"rule {question.rule}: durable-rules fires {len(rows)} rows for {at}"
            raise RunError("EN003", msg, why="The hit policy is UNIQUE", fix="Mend the template")
    verdicts = [question.table[rows[0]].verdict for rows in hits]
    return np.array(verdicts, dtype=np.int8)[asked.of_case]


# --- signatures


def _signatures(question: Question) -> _Signatures:
    """Bin the facts by the table's own bounds; keep the distinct rank vectors."""
    names = sorted({name for row in question.table for name in row.when})
    columns, size = _columns(question, names)
    cuts = {name: _cuts(question.table, name) for name in names}
    ranks = tuple(
        tuple(
            _bound(i, row.when[name], cuts[name])
            for i, name in enumerate(names)
            if name in row.when
        )
        for row in question.table
    )
    binned = [_rank(column, cuts[name]) for name, column in zip(names, columns, strict=True)]
    first, of_case = _distinct(binned, [len(cuts[name]) + 1 for name in names], size)
    table = np.stack([column[first] for column in binned]) if binned else np.empty((0, len(first)))
    return _Signatures(ranks, tuple(map(tuple, table.T.astype(int).tolist())), of_case)


def _columns(question: Question, names: Sequence[str]) -> tuple[list[Ints], int]:
    """Return the columns that the table reads and the number of cases."""
    lacking = [name for name in names if name not in question.facts]
    lengths = {len(values) for values in question.facts.values()}
    kinds = {values.dtype for values in question.facts.values()}
    if lacking or len(lengths) != 1 or kinds != {np.dtype(np.int64)}:
        msg = f"rule {question.rule}: the facts do not fit its decision table"
        why = f"lacking {lacking}, lengths {sorted(lengths)}, types {sorted(map(str, kinds))}"
        raise RunError("EN008", msg, why=why, fix="Mend the template")
    return [question.facts[name] for name in names], lengths.pop()


def _cuts(table: DecisionTable, name: str) -> list[int]:
    """Return where the verdict can change along one field: every lo and every hi + 1."""
    bounds = [row.when[name] for row in table if name in row.when]
    lows = {bound.lo for bound in bounds if bound.lo is not None}
    return sorted(lows | {bound.hi + 1 for bound in bounds if bound.hi is not None})


def _bound(field: int, interval: Interval, cuts: list[int]) -> Bound:
    """Translate an interval of values into an interval of ranks."""
    lo = None if interval.lo is None else bisect_left(cuts, interval.lo) + 1
    hi = None if interval.hi is None else bisect_left(cuts, interval.hi + 1)
    return field, lo, hi


def _rank(values: Ints, cuts: list[int]) -> Ints:
    """Count for each value the cuts that are not above it; cuts outside int64 are counted apart."""
    always = sum(cut <= _INT64.min for cut in cuts)
    inside = np.array([cut for cut in cuts if _INT64.min < cut <= _INT64.max], dtype=np.int64)
    return always + np.searchsorted(inside, values, side="right").astype(np.int64)


def _distinct(columns: Sequence[Ints], radices: Sequence[int], size: int) -> tuple[Ints, Ints]:
    """Return one case for each distinct vector, and each case's vector, by mixed-radix codes."""
    codes, n_codes = np.zeros(size, dtype=np.int64), min(size, 1)
    for column, radix in zip(columns, radices, strict=True):
        codes, n_codes = _compact(codes * radix + column, n_codes * radix)
    first = np.empty(n_codes, dtype=np.int64)
    first[codes[::-1]] = np.arange(size - 1, -1, -1)
    return first, codes


def _compact(codes: Ints, n_codes: int) -> tuple[Ints, int]:
    """Renumber codes from 0 without gaps, keeping their order."""
    if n_codes > _DENSE * len(codes):
        found, index = np.unique(codes, return_inverse=True)
        return index.astype(np.int64), len(found)
    seen = np.zeros(n_codes, dtype=bool)
    seen[codes] = True
    return (np.cumsum(seen) - 1)[codes], int(seen.sum())


def _sheets(questions: Sequence[Question], asked: Sequence[_Signatures]) -> dict[Ranks, _Sheet]:
    """Join the questions whose translated tables are equal; keep each distinct vector once."""
    sheets: dict[Ranks, _Sheet] = {}
    for question, one in zip(questions, asked, strict=True):
        if one.vectors:
            sheet = sheets.setdefault(one.ranks, _Sheet(question.rule, one.ranks, {}))
            for vector in one.vectors:
                sheet.vectors.setdefault(vector, len(sheet.vectors))
    return sheets


# --- the parent's side of the worker


def _ask(
    sheets: Sequence[_Sheet], *, timeout_s: float, command: Sequence[str]
) -> dict[Ranks, dict[Vector, list[int]]]:
    """Run the worker once over all sheets; return the rows that fired for every vector."""
    asked = [{"rows": sheet.ranks, "facts": list(sheet.vectors)} for sheet in sheets]
    text = "".join(json.dumps(line) + "\n" for line in asked)
    limit = timeout_s + SECONDS_PER_FACT * sum(len(sheet.vectors) for sheet in sheets)
    out, ending, late = _run(command, text, limit)
    lines = out.split("\n")[:-1]  # what follows the last newline was cut short
    hits = {
        sheet.ranks: dict(zip(sheet.vectors, _reply(line, sheet), strict=True))
        for sheet, line in zip(sheets, lines, strict=False)
    }
    if len(hits) < len(sheets):
        _raise_unanswered(sheets[len(hits)].rule, ending, late_s=limit if late else None)
    return hits


def _run(command: Sequence[str], text: str, limit_s: float) -> tuple[str, str, bool]:
    """Return the worker's output, how it ended in words, and whether it had to be stopped."""
    root = str(Path(__file__).parents[1])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8"}
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command,
            input=text.encode(),
            capture_output=True,
            timeout=limit_s,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as stopped:
        return (stopped.stdout or b"").decode(errors="replace"), "", True
    last = done.stderr.decode(errors="replace").strip().rsplit("\n", 1)[-1][:300]
    return done.stdout.decode(errors="replace"), f"exit code {done.returncode}: {last}", False


def _raise_unanswered(rule: str, ending: str, *, late_s: float | None) -> None:
    if late_s is not None:
        msg = f"durable-rules gave no answer for rule {rule} within {late_s:.0f} s"
        raise RunError("EN006", msg, fix="Run it again; if it stays, report the rule as a defect")
    msg = f"the durable-rules worker ended while it judged rule {rule}"
    raise RunError("EN005", msg, why=ending, fix="Run it again; if it stays, report it as a defect")


def _reply(line: str, sheet: _Sheet) -> list[list[int]]:
    """Check one answer: for every fact a list of row numbers."""
    answer = _parsed(line)
    if "load_error" in answer:
        _raise_unloadable(str(answer["load_error"]))
    hits = answer.get("hits")
    known = range(len(sheet.ranks))
    if (
        not isinstance(hits, list)
        or len(hits) != len(sheet.vectors)
        or not all(isinstance(rows, list) and all(_is_row(r, known) for r in rows) for rows in hits)
    ):
        msg = f"the durable-rules worker gave an unusable answer for rule {sheet.rule}"
        raise RunError("EN007", msg, why=line[:200], fix="Report it as a defect")
    return hits


def _parsed(line: str) -> dict[str, Any]:
    """Read one line; whatever is no JSON object becomes an empty answer."""
    try:
        answer = json.loads(line)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _is_row(value: object, known: range) -> bool:
    return type(value) is int and value in known


def _raise_unloadable(text: str) -> None:
    raise RunError(
        "EN004",
        "durable-rules cannot be loaded",
        why=text,
        fix="It is compiled when it is installed: that needs a C compiler and Python's headers, and"
        " on Python 3.13 CPPFLAGS=-DPyEval_CallObject=PyObject_CallObject while it builds. Install"
        " it anew with 'make setup'",
    )


# --- the worker's side


def main() -> None:
    """Answer the sheets on standard input, one JSON line each, in a process of its own."""
    # The answers get the real standard output; whatever a library prints goes to standard error.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        from durable import engine as durable  # noqa: PLC0415 - only in the worker
    except ImportError as error:
        print(json.dumps({"load_error": str(error)}), file=answers, flush=True)
        return
    # Without its two endless threads the host works in this thread alone.
    host = type("QuietHost", (durable.Host,), {"_run": lambda _: None})()
    for number, line in enumerate(sys.stdin):
        sheet = json.loads(line)
        judged = Judged(host, durable.MessageNotHandledException, number, sheet["rows"])
        hits = [judged.rows_for(vector) for vector in sheet["facts"]]
        print(json.dumps({"hits": hits}), file=answers, flush=True)


class Host(Protocol):
    """What is used of durable.engine.Host."""

    def register_rulesets(self, definitions: dict[str, dict[str, Any]]) -> object:
        """Compile rulesets; the library deletes keys from the definitions."""

    def assert_fact(self, ruleset: str, fact: dict[str, int]) -> dict[str, Any] | None:
        """Assert a fact, run all actions that it fires, return the session's state."""

    def retract_fact(self, ruleset: str, fact: dict[str, int]) -> object:
        """Take a fact back."""

    def get_facts(self, ruleset: str) -> list[dict[str, Any]]:
        """Return the facts that wait."""


class Judged:
    """One decision table as rulesets of durable-rules, in the worker."""

    def __init__(
        self, host: Host, unmatched: type[Exception], number: int, rows: list[list[list[int]]]
    ) -> None:
        """Register the table's rows; `unmatched` is what the library raises when none holds."""
        self._host, self._unmatched = host, unmatched
        self._fired: list[int] = []
        self._names = []
        for part, numbers in enumerate(_parts(rows)):
            name = f"t{number}p{part}"
            host.register_rulesets({name: {f"r{n}": self._rule(n, rows[n]) for n in numbers}})
            self._names.append(name)
        self._messages = 0

    def rows_for(self, vector: list[int]) -> list[int]:
        """Return the numbers of all rows that fire for one fact, in order."""
        self._fired.clear()
        for name in self._names:
            self._messages += 1
            fact = {"id": self._messages, "k": 0} | {f"f{i}": rank for i, rank in enumerate(vector)}
            self._assert_one(name, fact)
        return sorted(self._fired)

    def _assert_one(self, name: str, fact: dict[str, int]) -> None:
        """Assert one fact, let its rows fire, take it back, and notice every silent failure."""
        try:
            state = self._host.assert_fact(name, dict(fact))
        except self._unmatched:
            state = None
        if state is not None and "exception" in state:
            msg = f"an action failed: {state['exception']}"
            raise RuntimeError(msg)
        self._retract(name, fact)

    def _retract(self, name: str, fact: dict[str, int]) -> None:
        """Take the fact back; the library calls a retraction that fires nothing 'unmatched'."""
        with suppress(self._unmatched):
            self._host.retract_fact(name, dict(fact))
        if self._host.get_facts(name):
            msg = "a fact stayed after it was retracted"
            raise RuntimeError(msg)

    def _rule(self, row: int, bounds: list[list[int]]) -> dict[str, Any]:
        """Write one row as durable-rules reads it; one without conditions reads the constant k."""

        def run(_context: object) -> None:
            self._fired.append(row)

        tests = list(_tests(bounds)) or [{"$gte": {"k": 0}}]
        return {"all": [{"m": {"$and": tests} if len(tests) > 1 else tests[0]}], "run": run}


def _tests(bounds: list[list[int]]) -> Iterator[dict[str, dict[str, int]]]:
    for field, lo, hi in bounds:
        if lo is not None:
            yield {"$gte": {f"f{field}": lo}}
        if hi is not None:
            yield {"$lte": {f"f{field}": hi}}


def _parts(rows: list[list[list[int]]]) -> list[list[int]]:
    """Spread rows over rulesets of at most MAX_CONDITIONS conditions, in order."""
    parts: list[list[int]] = [[]]
    used = 0
    for number, bounds in enumerate(rows):
        size = max(1, len(list(_tests(bounds))))
        if parts[-1] and used + size > MAX_CONDITIONS:
            parts.append([])
            used = 0
        parts[-1].append(number)
        used += size
    return parts


if __name__ == "__main__":
    main()
