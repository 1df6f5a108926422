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

A second kind of sheet is a chain (`rules.chain`): facts lead to facts, which durable-rules asserts
inside the actions, level by level, until nothing new fires. `chain` returns all facts and which
rule fired on which; `rules.chain.follow` is the independent evaluator. Besides the above:

- Here facts wait beside each other, with ids 1, 2 ... anew for each session. No two of the ids up
  to MAX_FACTS have the same 32-bit hash (tested); a session with more facts ends the worker.
- One session at a time; all its facts are retracted before the next, and none may stay.
- A derived fact on which nothing fires raises in the action ("unmatched"): that is no error there.
- A fact is derived once, however many rules lead to it; a rule that fires twice on one fact ends
  the worker. Rulesets that a program is spread over get every fact, the other ones from outside
  the action, so that no call nests deeper than one.
- Counts are kept by the actions: the library's own (count, cap) hand facts out in batches whose
  order is not defined.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from bisect import bisect_left, bisect_right
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeGuard

import numpy as np

from process_mining.columnar.distinct import compact, first_of
from process_mining.errors import RunError
from rules.chain import Chained, Firing, require_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from rules.chain import ChainProgram, ChainRule, Fact
    from rules.spec import DecisionTable, Interval

    Bound = tuple[int, int | None, int | None]  # field number, lowest rank, highest rank
    Ranks = tuple[tuple[Bound, ...], ...]
    Vector = tuple[int, ...]
    Rank = npt.NDArray[np.unsignedinteger[Any]]  # of the least width that holds the number of cuts

MAX_CONDITIONS: Final = 50
MAX_FACTS: Final = 20_000
MAX_FIELDS: Final = 250
TIMEOUT_S: Final = 60.0
SECONDS_PER_FACT: Final = 0.001
WORKER: Final = (sys.executable, "-P", "-m", "rules.engine")
_INT64: Final = np.iinfo(np.int64)
_FIRING_PARTS: Final = len(Firing._fields)
_NO: Final = (None, None)
_FEW: Final = 1 << 12  # so many possible codes are numbered anew only once all fields are read


@dataclass(frozen=True, eq=False)
class Question:
    """A rule's code (for messages only), its decision table, and the facts: one int64 a case.

    With `of_case` the facts have one entry a group of cases, and case c is of group of_case[c].
    """

    rule: str
    table: DecisionTable
    facts: Mapping[str, Ints]
    of_case: Ints | None = None


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


@dataclass(frozen=True, eq=False)
class _Task:
    """One line to the worker, how many facts it holds, what it is about, how its answer reads.

    `read` returns None where the answer makes no sense.
    """

    about: str
    line: Mapping[str, object]
    size: int
    read: Callable[[dict[str, Any]], Any]


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
    tasks = [_judging(sheet) for sheet in sheets.values()]
    rows = _ask(tasks, timeout_s=timeout_s, command=command) if tasks else []
    hits = {
        ranks: dict(zip(sheet.vectors, found, strict=True))
        for (ranks, sheet), found in zip(sheets.items(), rows, strict=True)
    }
    return [
        _verdicts(question, one, [hits[one.ranks][vector] for vector in one.vectors])
        for question, one in zip(questions, asked, strict=True)
    ]


def chain(
    program: ChainProgram,
    sessions: Sequence[Sequence[Fact]],
    *,
    about: str,
    timeout_s: float = TIMEOUT_S,
    command: Sequence[str] = WORKER,
) -> list[Chained]:
    """Let durable-rules draw every conclusion from the facts of each session, in one worker.

    Sessions know nothing of each other. Fields that are only compared are binned as `judge` bins
    facts, and sessions that are equal then (as sets of facts) are followed once. `about` names the
    chain in messages. Raises RunError: EN004 to EN008 as `judge` does.
    """
    _require_room(about, program.width)
    known = [frozenset(session) for session in sessions]
    for facts in set(known):
        require_facts(program, facts)
    bins = _Bins.of(program, known)
    asked = [tuple(sorted(map(bins.binned, facts))) for facts in known]
    distinct = list(dict.fromkeys(asked))
    if not distinct:
        return []
    task = _Task(
        about=about,
        line={"chain": [_chain_line(program, rule, bins) for rule in program.rules]}
        | {"facts": distinct},
        size=sum(map(len, distinct)),
        read=lambda answer: _chained(answer, program, distinct),
    )
    (found,) = _ask([task], timeout_s=timeout_s, command=command)
    by_session = dict(zip(distinct, found, strict=True))
    return [
        bins.unbinned(by_session[session], facts)
        for session, facts in zip(asked, known, strict=True)
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
    judged = np.array(verdicts, dtype=np.int8)[asked.of_case]
    return judged if question.of_case is None else judged[question.of_case]


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
    _require_room(f"rule {question.rule}", len(names))
    return [question.facts[name] for name in names], lengths.pop()


def _require_room(about: str, n_fields: int) -> None:
    """A message of durable-rules holds 255 properties: ours, its own, and three of ours besides."""
    if n_fields > MAX_FIELDS:
        msg = f"{about} reads {n_fields} fields, durable-rules takes {MAX_FIELDS}"
        raise RunError("EN008", msg, why="The facts would be lost", fix="Mend the template")


def _cuts(table: DecisionTable, name: str) -> list[int]:
    """Return where the verdict can change along one field."""
    return _cuts_of([row.when.get(name) for row in table])


def _cuts_of(intervals: Sequence[Interval | None]) -> list[int]:
    """Return every lo and every hi + 1."""
    bounds = [bound for bound in intervals if bound is not None]
    lows = {bound.lo for bound in bounds if bound.lo is not None}
    return sorted(lows | {bound.hi + 1 for bound in bounds if bound.hi is not None})


def _bound(field: int, interval: Interval, cuts: list[int]) -> Bound:
    """Translate an interval of values into an interval of ranks."""
    lo = None if interval.lo is None else bisect_left(cuts, interval.lo) + 1
    hi = None if interval.hi is None else bisect_left(cuts, interval.hi + 1)
    return field, lo, hi


def _rank(values: Ints, cuts: list[int]) -> Rank:
    """Count for each value the cuts that are not above it; cuts outside int64 are counted apart."""
    always = sum(cut <= _INT64.min for cut in cuts)
    rank = np.full(len(values), always, dtype=np.min_scalar_type(len(cuts)))
    for cut in cuts:
        if _INT64.min < cut <= _INT64.max:
            rank += values >= cut
    return rank


def _distinct(columns: Sequence[Rank], radices: Sequence[int], size: int) -> tuple[Ints, Ints]:
    """Return one case for each distinct vector, and each case's vector, by mixed-radix codes."""
    codes, n_codes = np.zeros(size, dtype=np.int64), min(size, 1)
    for column, radix in zip(columns, radices, strict=True):
        if n_codes * radix > max(size, _FEW):
            codes, n_codes = compact(codes, n_codes)
        codes, n_codes = codes * radix + column, n_codes * radix
    codes, n_codes = compact(codes, n_codes)
    return first_of(codes, n_codes), codes


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


def _ask(tasks: Sequence[_Task], *, timeout_s: float, command: Sequence[str]) -> list[Any]:
    """Run the worker once over all tasks; return its answers as each task reads them."""
    text = "".join(json.dumps(task.line) + "\n" for task in tasks)
    limit = timeout_s + SECONDS_PER_FACT * sum(task.size for task in tasks)
    out, ending, late = _run(command, text, limit)
    lines = out.split("\n")[:-1]  # what follows the last newline was cut short
    answers = [_reply(line, task) for task, line in zip(tasks, lines, strict=False)]
    if len(answers) < len(tasks):
        _raise_unanswered(tasks[len(answers)].about, ending, late_s=limit if late else None)
    return answers


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


def _raise_unanswered(about: str, ending: str, *, late_s: float | None) -> None:
    if late_s is not None:
        msg = f"durable-rules gave no answer for {about} within {late_s:.0f} s"
        raise RunError("EN006", msg, fix="Run it again; if it stays, report the rule as a defect")
    msg = f"the durable-rules worker ended while it judged {about}"
    raise RunError("EN005", msg, why=ending, fix="Run it again; if it stays, report it as a defect")


def _reply(line: str, task: _Task) -> Any:  # noqa: ANN401 - what the task makes of it
    """Read one answer, or say that it makes no sense."""
    answer = _parsed(line)
    if "load_error" in answer:
        _raise_unloadable(str(answer["load_error"]))
    found = task.read(answer)
    if found is None:
        msg = f"the durable-rules worker gave an unusable answer for {task.about}"
        raise RunError("EN007", msg, why=line[:200], fix="Report it as a defect")
    return found


def _judging(sheet: _Sheet) -> _Task:
    """Ask which rows of a table fire on each of its vectors."""
    vectors = list(sheet.vectors)
    line = {"rows": sheet.ranks, "facts": vectors}
    return _Task(f"rule {sheet.rule}", line, len(vectors), lambda answer: _hits(answer, sheet))


def _hits(answer: dict[str, Any], sheet: _Sheet) -> list[list[int]] | None:
    """Check one answer: for every fact a list of row numbers."""
    hits = answer.get("hits")
    known = range(len(sheet.ranks))
    if (
        not isinstance(hits, list)
        or len(hits) != len(sheet.vectors)
        or not all(isinstance(rows, list) and all(_is_row(r, known) for r in rows) for rows in hits)
    ):
        return None
    return hits


@dataclass(frozen=True, eq=False)
class _Bins:
    """The cuts of the fields that are only compared, by their place in a fact; none: no binning.

    Two facts of a session that would become one, or a given fact that would become one that
    follows, forbid it: then nothing is binned.
    """

    cuts: Mapping[int, list[int]]

    @classmethod
    def of(cls, program: ChainProgram, sessions: Sequence[frozenset[Fact]]) -> _Bins:
        """Find the cuts, if they keep all facts apart."""
        bins = cls(
            {
                program.place(name): _cuts_of([rule.when.get(name) for rule in program.rules])
                for name in program.compared_only
            }
        )
        follow = {rule.to for rule in program.rules}
        apart = all(
            len(set(map(bins.binned, facts))) == len(facts)
            and not any(fact[0] in follow and any(fact[at] for at in bins.cuts) for fact in facts)
            for facts in set(sessions)
        )
        return bins if apart else cls({})

    def binned(self, fact: Fact) -> Fact:
        """Replace values by ranks."""
        cuts = self.cuts
        return tuple(bisect_right(cuts[i], v) if i in cuts else v for i, v in enumerate(fact))

    def bound(self, place: int, interval: Interval) -> Bound:
        """Translate an interval of values into one of ranks."""
        if place not in self.cuts:
            return place, interval.lo, interval.hi
        return _bound(place, interval, self.cuts[place])

    def unbinned(self, found: Chained, given: frozenset[Fact]) -> Chained:
        """Return the answer in the facts that were given; what follows has 0 in binned fields."""
        if not self.cuts:
            return found
        raw = {self.binned(fact): fact for fact in given}
        raw |= {fact: self._empty(fact) for fact in found.facts - raw.keys()}
        firings = (
            Firing(one.rule, raw[one.fact], self._empty(one.derived)) for one in found.firings
        )
        return Chained(frozenset(raw[fact] for fact in found.facts), frozenset(firings))

    def _empty(self, fact: Fact) -> Fact:
        return tuple(0 if i in self.cuts else v for i, v in enumerate(fact))


def _chain_line(program: ChainProgram, rule: ChainRule, bins: _Bins) -> dict[str, object]:
    """Write one rule of a chain in numbers; a field's place is that in the fact, 0 its level."""
    then = [v if type(v := rule.then.get(name, 0)) is int else 0 for name in program.fields]
    return {
        "on": rule.on,
        "bounds": [bins.bound(program.place(name), x) for name, x in sorted(rule.when.items())],
        "to": bins.binned((rule.to, *then)),
        "copy": sorted(
            [program.place(name), program.place(v)]
            for name, v in rule.then.items()
            if isinstance(v, str)
        ),
        "tally": None if rule.tally is None else program.place(rule.tally),
    }


def _chained(
    answer: dict[str, Any], program: ChainProgram, sessions: Sequence[tuple[Fact, ...]]
) -> list[Chained] | None:
    """Check the answer to a chain: for every session the derived facts and the firings."""
    found = answer.get("chains")
    if not isinstance(found, list) or len(found) != len(sessions):
        return None
    chains = []
    for facts, one in zip(sessions, found, strict=True):
        derived, firings = (one.get("facts"), one.get("firings")) if isinstance(one, dict) else _NO
        if not _are_vectors(derived, program.width) or not _are_firings(firings, program):
            return None
        chains.append(
            Chained(
                frozenset(facts) | frozenset(map(tuple, derived)),
                frozenset(Firing(rule, tuple(on), tuple(to)) for rule, on, to in firings),
            )
        )
    return chains


def _are_vectors(value: object, width: int) -> TypeGuard[list[list[int]]]:
    return isinstance(value, list) and all(
        isinstance(one, list) and len(one) == width and all(type(x) is int for x in one)
        for one in value
    )


def _are_firings(value: object, program: ChainProgram) -> TypeGuard[list[tuple[int, Any, Any]]]:
    known = range(len(program.rules))
    return isinstance(value, list) and all(
        isinstance(one, list)
        and len(one) == _FIRING_PARTS
        and _is_row(one[0], known)
        and _are_vectors(one[1:], program.width)
        for one in value
    )


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
        answer: dict[str, object]
        if "chain" in sheet:
            following = Following(host, durable.MessageNotHandledException, number, sheet["chain"])
            answer = {"chains": [following.follow(facts) for facts in sheet["facts"]]}
        else:
            judged = Judged(host, durable.MessageNotHandledException, number, sheet["rows"])
            answer = {"hits": [judged.rows_for(vector) for vector in sheet["facts"]]}
        print(json.dumps(answer), file=answers, flush=True)


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
        sizes = [max(1, len(list(_tests(bounds)))) for bounds in rows]
        for part, numbers in enumerate(_parts(sizes)):
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


class Context(Protocol):
    """What is used of the context that an action gets; `m` is the fact that it fires on."""

    m: Mapping[str, int]

    def assert_fact(self, fact: dict[str, int]) -> None:
        """Assert a fact in the same ruleset; its rules fire after this action."""


class Following:
    """A chain program as rulesets of durable-rules, in the worker."""

    def __init__(
        self, host: Host, unmatched: type[Exception], number: int, rules: list[dict[str, Any]]
    ) -> None:
        """Register the rules; `unmatched` is what the library raises when none fires."""
        self._host, self._unmatched = host, unmatched
        self._names: list[str] = []
        tests = [list(_tests([[0, rule["on"], rule["on"]], *rule["bounds"]])) for rule in rules]
        for part, numbers in enumerate(_parts([len(one) for one in tests])):
            name = f"c{number}p{part}"
            definition = {f"r{n}": self._rule(n, name, rules[n], tests[n]) for n in numbers}
            host.register_rulesets({name: definition})
            self._names.append(name)
        self._begin()

    def _begin(self) -> None:
        """Forget the last session."""
        self._messages: dict[Vector, dict[str, int]] = {}
        self._waiting: list[tuple[str, dict[str, int]]] = []
        self._broken = ""
        self._firings: set[tuple[int, Vector, Vector]] = set()
        self._counted: dict[tuple[int, Vector], set[Vector]] = {}

    def follow(self, given: list[list[int]]) -> dict[str, object]:
        """Assert the facts of one session, one by one, with all that follows; take them back."""
        self._begin()
        for fact in map(tuple, given):
            self._stated(fact)
            while self._waiting:
                self._assert_one(*self._waiting.pop())
        self._retract_all()
        derived = sorted(self._messages.keys() - set(map(tuple, given)))
        return {"facts": derived, "firings": sorted(self._firings)}

    def _rule(
        self, number: int, name: str, rule: dict[str, Any], tests: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Write one rule as durable-rules reads it; its action asserts what follows."""

        def run(context: Context) -> None:
            try:
                fact = tuple(context.m[f"f{place}"] for place in range(len(rule["to"])))
                message = self._stated(self._noted(number, rule, fact), inside=name)
                if message is not None:
                    with suppress(self._unmatched):
                        context.assert_fact(dict(message))
            except Exception as error:
                self._broken = repr(error)  # the library's own words leave out what kind it was
                raise

        return {"all": [{"m": {"$and": tests} if len(tests) > 1 else tests[0]}], "run": run}

    def _noted(self, number: int, rule: dict[str, Any], fact: Vector) -> Vector:
        """Note that a rule fired, and return the fact that follows."""
        derived = list(rule["to"])
        for place, source in rule["copy"]:
            derived[place] = fact[source]
        firing = (number, fact, tuple(derived))
        if firing in self._firings:
            msg = f"rule {number} fired twice on {fact}"
            raise RuntimeError(msg)
        self._firings.add(firing)
        tally = rule["tally"]
        if tally is not None:
            led = self._counted.setdefault((tally, tuple(derived)), set())
            led.add(fact)
            derived[tally] = len(led)
        return tuple(derived)

    def _stated(self, fact: Vector, inside: str = "") -> dict[str, int] | None:
        """Return the message of a fact that is new, and let all other rulesets wait for it."""
        if fact in self._messages:
            return None
        if len(self._messages) >= MAX_FACTS:
            msg = f"a session holds more than {MAX_FACTS} facts"
            raise RuntimeError(msg)
        message = {"id": len(self._messages) + 1} | {f"f{i}": x for i, x in enumerate(fact)}
        self._messages[fact] = message
        self._waiting += [(name, message) for name in self._names if name != inside]
        return message

    def _assert_one(self, name: str, message: dict[str, int]) -> None:
        """Assert one fact from outside, let its rules and theirs fire, notice every failure."""
        try:
            state = self._host.assert_fact(name, dict(message))
        except self._unmatched:
            return
        if self._broken or (state is not None and "exception" in state):
            msg = f"an action failed: {self._broken or state}"
            raise RuntimeError(msg)

    def _retract_all(self) -> None:
        if not self._messages:
            return  # a session that never held a fact cannot be asked for its facts
        for name in self._names:
            for message in self._messages.values():
                with suppress(self._unmatched):
                    self._host.retract_fact(name, dict(message))
            if self._host.get_facts(name):
                msg = "a fact stayed after it was retracted"
                raise RuntimeError(msg)


def _tests(bounds: list[list[int]]) -> Iterator[dict[str, dict[str, int]]]:
    for field, lo, hi in bounds:
        if lo is not None:
            yield {"$gte": {f"f{field}": lo}}
        if hi is not None:
            yield {"$lte": {f"f{field}": hi}}


def _parts(sizes: list[int]) -> list[list[int]]:
    """Spread rows of so many conditions over rulesets of at most MAX_CONDITIONS, in order."""
    parts: list[list[int]] = [[]]
    used = 0
    for number, size in enumerate(sizes):
        if parts[-1] and used + size > MAX_CONDITIONS:
            parts.append([])
            used = 0
        parts[-1].append(number)
        used += size
    return parts


if __name__ == "__main__":
    main()
