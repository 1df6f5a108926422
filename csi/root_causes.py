"""What goes with a deviation: on which tickets does it happen more often than on the others?

A deviation is a yes or no for each case: it breaks a rule (`breaks_rule`), it has one deviation of
the reference model (`deviates_so`), or it does not fit the model at all (`does_not_fit`). The cases
fall into groups by what was known when they were opened (`csi.case_attributes`, which says what is
left out, and why); the share of deviating cases of each group is compared with that of all other
cases: lift and risk ratio with score limits, Fisher's exact p, adjusted for all groups that were
asked (Benjamini & Hochberg; see `csi.statistics.association`). A group *goes with* the deviation
where the adjusted p is at most 0.05. It goes with it: nothing here says that it makes it.

A small *tree* shows which groups go together: at most three questions deep (Breiman et al. 1984;
scikit-learn), chosen on one half of the cases and measured on the other (honest estimation: Athey &
Imbens 2016, PNAS 113, 7353-7360), so its shares are not flattered by the choice; a last question
whose answers do not differ there (Newcombe, 95 %) is taken back. It is for reading: it has no test
of the whole, and another half might choose other questions.

Cost: O(cases x attributes), then one table a group. Deterministic: halves by a fixed seed over the
cases in order of their ids. Fewer than `SMALLEST` deviating or other cases: inconclusive, nothing
is asked. Not checked: that cases are independent; attributes that the log does not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from csi.case_attributes import SMALLEST, attributes_of
from csi.statistics import Estimate, Share, proportion
from csi.statistics.association import (
    P_METHOD,
    RATIO_METHOD,
    Ratio,
    Table,
    adjusted,
    lift,
    p_value,
    risk_ratio,
)
from csi.statistics.compare import newcombe
from process_mining.errors import CodedError, RunError, did_you_mean
from rules.spec import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from csi.case_attributes import Attribute, LeftOut
    from process_mining.alignment import Alignments
    from process_mining.alignment.deviations import DeviationKind, Deviations
    from process_mining.eventlog import EventLog
    from rules.check import CheckResult

    Bools = npt.NDArray[np.bool_]
    Ints = npt.NDArray[np.int64]

LEVEL: Final = 0.05
DEPTH: Final = 3
SEED: Final = 20_240_101
METHOD: Final = f"{RATIO_METHOD}; {P_METHOD}"


class Standing(StrEnum):
    """What can be said of a group."""

    MORE = "goes with more"
    LESS = "goes with fewer"
    OPEN = "not shown"


@dataclass(frozen=True)
class Group:
    """One value of an attribute against all other cases."""

    attribute: str
    value: str
    table: Table
    share: Estimate
    share_elsewhere: Estimate
    ratio: Ratio
    lift: Ratio
    p: float
    adjusted_p: float
    standing: Standing

    @property
    def excess(self) -> float:
        """Deviating cases beyond what the share of all cases would give."""
        one = self.table
        return one.k - one.n * (one.k + one.k_rest) / (one.n + one.n_rest)


@dataclass(frozen=True)
class Branch:
    """A node of the tree: a question, or a leaf.

    `share` is measured on the half of the cases that did not choose the questions. `yes` are the
    cases whose `attribute` is `value`; all are None in a leaf.
    """

    share: Estimate
    attribute: str | None = None
    value: str | None = None
    yes: Branch | None = None
    no: Branch | None = None

    @property
    def is_leaf(self) -> bool:
        """Whether nothing more is asked."""
        return self.attribute is None


@dataclass(frozen=True)
class RootCauses:
    """What goes with a deviation; `groups` are all that were asked.

    Groups: those that go with it first, then by falling excess (its size), then by name.
    """

    subject: str
    share: Estimate
    inconclusive: str
    groups: tuple[Group, ...]
    left_out: tuple[LeftOut, ...]
    tree: Branch | None
    method: str = METHOD

    @property
    def found(self) -> tuple[Group, ...]:
        """The groups that go with more, or with fewer, deviating cases."""
        return tuple(one for one in self.groups if one.standing is not Standing.OPEN)


# --- which cases deviate


def breaks_rule(result: CheckResult, code: str) -> tuple[Bools, Bools]:
    """Return which cases break a rule, and which it decided; CodedError ST531 for another code."""
    codes = [rule.code for rule in result.rules]
    if code not in codes:
        msg = f"no rule '{code}' judged this log"
        raise CodedError("ST531", msg, fix=did_you_mean(code, codes))
    verdicts = result.verdicts[codes.index(code)]
    violates = np.asarray(verdicts == Verdict.VIOLATES)
    return violates, violates | np.asarray(verdicts == Verdict.CONFORMS)


def deviates_so(deviations: Deviations, kind: DeviationKind, activity: str) -> Bools:
    """Return which cases have a deviation of a kind at an activity; ST532 for another activity."""
    alignments = deviations.alignments
    if activity not in alignments.words:
        msg = f"'{activity}' is no activity of the log or the model"
        raise CodedError("ST532", msg, fix=did_you_mean(activity, alignments.words))
    word = alignments.words.index(activity)
    mine = (deviations.kind == int(kind)) & (deviations.word == word)
    has = np.bincount(deviations.variant[mine], minlength=len(alignments)) > 0
    return np.asarray(has[alignments.variants.variant_of_case])


def does_not_fit(alignments: Alignments) -> tuple[Bools, Bools]:
    """Return which cases surely do not fit the model, and of which it is settled."""
    misses, fits = alignments.lower > 0, alignments.upper == 0
    of_case = alignments.variants.variant_of_case
    return np.asarray(misses[of_case]), np.asarray((misses | fits)[of_case])


# --- what goes with it


def root_causes(
    log: EventLog, deviates: Bools, *, subject: str, judged: Bools | None = None
) -> RootCauses:
    """Say which groups of the judged cases go with a deviation (`subject` names it in words).

    `deviates` and `judged` have one entry a case of the log; RunError ST533 where they do not.
    """
    asked = np.ones(log.n_cases, dtype=bool) if judged is None else judged
    if not len(deviates) == len(asked) == log.n_cases:
        msg = f"{len(deviates)} answers and {len(asked)} marks for {log.n_cases} cases"
        raise RunError("ST533", msg, fix="Give one of each for every case of the log")
    some, event = log.select(asked), deviates[asked]
    k, n = int(event.sum()), len(event)
    share = proportion(k, n, unit="share of cases")
    if min(k, n - k) < SMALLEST:
        what = f"{k:,} of {n:,} cases deviate; at least {SMALLEST} that do and that do not"
        return RootCauses(subject, share, f"{what} are needed", (), (), None)
    known = attributes_of(some)
    groups = _groups(known.read, event)
    return RootCauses(
        subject=subject,
        share=share,
        inconclusive="" if groups else "the log has no attribute that can be asked",
        groups=groups,
        left_out=known.left_out,
        tree=_tree(known.read, event) if groups else None,
    )


def _groups(attributes: Sequence[Attribute], event: Bools) -> tuple[Group, ...]:
    """Compare every group with the rest."""
    asked = [
        (one.name, value, _table(one.codes == i, event))
        for one in attributes
        for i, value in enumerate(one.values)
    ]
    p_values = [p_value(table) for _, _, table in asked]
    found = [
        _group(name, value, table, p, q)
        for (name, value, table), p, q in zip(asked, p_values, adjusted(p_values), strict=True)
    ]
    return tuple(sorted(found, key=_rank))


def _table(inside: Bools, event: Bools) -> Table:
    n, k = int(inside.sum()), int((inside & event).sum())
    return Table(k, n, int(event.sum()) - k, len(event) - n)


def _group(name: str, value: str, table: Table, p: float, q: float) -> Group:
    ratio = risk_ratio(table)
    more = table.k * table.n_rest > table.k_rest * table.n
    shown = Standing.MORE if more else Standing.LESS
    return Group(
        attribute=name,
        value=value,
        table=table,
        share=proportion(table.k, table.n, unit="share of cases"),
        share_elsewhere=proportion(table.k_rest, table.n_rest, unit="share of cases"),
        ratio=ratio,
        lift=lift(table, ratio),
        p=p,
        adjusted_p=q,
        standing=shown if q <= LEVEL else Standing.OPEN,
    )


def _rank(one: Group) -> tuple[bool, float, str, str]:
    return (one.standing is Standing.OPEN, -abs(one.excess), one.attribute, one.value)


# --- the tree


@dataclass(frozen=True, eq=False)
class _Questions:
    """Yes or no for each case (rows) and each group that the tree may ask about."""

    names: tuple[tuple[str, str], ...]
    answers: Bools


def _tree(attributes: Sequence[Attribute], event: Bools) -> Branch | None:
    """Grow a small tree on one half of the cases and measure its leaves on the other."""
    from sklearn.tree import DecisionTreeClassifier  # noqa: PLC0415 - a second to import

    chosen = np.zeros(len(event), dtype=bool)
    order = np.random.default_rng(SEED).permutation(len(event))
    chosen[order[: len(event) // 2]] = True
    questions = _questions(attributes, chosen)
    least = max(SMALLEST, -(-int(chosen.sum()) // 100))
    if not questions.names or len(set(event[chosen].tolist())) < 2:  # noqa: PLR2004 - both kinds
        return None
    grown = DecisionTreeClassifier(
        max_depth=DEPTH, min_samples_leaf=least, random_state=SEED, criterion="gini"
    ).fit(questions.answers[chosen].astype(np.float32), event[chosen])
    return _branch(grown.tree_, 0, questions, ~chosen, event)


def _questions(attributes: Sequence[Attribute], chosen: Bools) -> _Questions:
    """The groups that are large enough in the half that chooses, in the order of attributes."""
    names, columns = [], []
    for one in attributes:
        for i, value in enumerate(one.values):
            inside = one.codes == i
            n = int((inside & chosen).sum())
            if min(n, int(chosen.sum()) - n) >= SMALLEST:
                names.append((one.name, value))
                columns.append(inside)
    answers = np.stack(columns, axis=1) if columns else np.zeros((len(chosen), 0), dtype=bool)
    return _Questions(tuple(names), answers)


class _Grown(Protocol):
    """What is read of scikit-learn's tree: one entry a node; a leaf has no children."""

    @property
    def children_left(self) -> Ints:
        """The node of those that answer no."""

    @property
    def children_right(self) -> Ints:
        """The node of those that answer yes."""

    @property
    def feature(self) -> Ints:
        """The question."""


def _branch(tree: _Grown, node: int, questions: _Questions, inside: Bools, event: Bools) -> Branch:
    share = proportion(int((inside & event).sum()), int(inside.sum()), unit="share of cases")
    left, right = int(tree.children_left[node]), int(tree.children_right[node])
    if left == right:
        return Branch(share)
    asked = int(tree.feature[node])
    says_yes = questions.answers[:, asked]
    yes = _branch(tree, right, questions, inside & says_yes, event)
    no = _branch(tree, left, questions, inside & ~says_yes, event)
    if yes.is_leaf and no.is_leaf and not _apart(says_yes, inside, event):
        return Branch(share)
    name, value = questions.names[asked]
    return Branch(share, name, value, yes, no)


def _apart(says_yes: Bools, inside: Bools, event: Bools) -> bool:
    """Whether the half that did not choose the question shows a difference (95 %) at all."""
    sides = [inside & says_yes, inside & ~says_yes]
    yes, no = (Share(int((side & event).sum()), int(side.sum())) for side in sides)
    if not yes.n or not no.n:
        return False
    low, high = newcombe(no, yes)
    return low > 0 or high < 0
