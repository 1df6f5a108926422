"""Does the register keep what it was told, once, and in order, and refuse what has no meaning?"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from shutil import copy

import pytest
from improvement.register_story import AT, BASELINE, DRAFT, RULE, WHO, evaluation, filled

from csi.register import Register
from csi.statistics import DecisionRule, Outcome
from process_mining.errors import CodedError, ManyCodedErrors, RunError

OLD = Path(__file__).parents[1] / "data" / "register" / "before-seals.sqlite"
STRICTER = DecisionRule(minimum_effect=0.01)


@pytest.fixture
def register(tmp_path: Path) -> Register:
    return Register.open(tmp_path / "register.sqlite")


def _started(register: Register) -> str:
    entry_id = register.add(DRAFT, at=AT, actor=WHO)
    register.start(entry_id, at=AT, actor=WHO)
    return entry_id


# --- what it keeps ---------------------------------------------------------------------------


def test_an_entry_is_the_fold_over_its_history(tmp_path: Path) -> None:
    entry = filled(tmp_path / "r.sqlite").show("IMP-0001")
    assert entry.improvement == replace(DRAFT, scope={"priority": ["P1", "P2"]})
    assert (entry.state, entry.verdict, entry.rule_version) == ("closed", Outcome.IMPROVED, 1)
    assert entry.evaluations == (replace(evaluation(), rule_version=1),)
    assert entry.baseline == BASELINE
    at = "2024-03-01T12:00:00.000000Z"
    assert (entry.assessed_at, entry.implemented_at, entry.closed_at) == (at, at, at)
    assert not entry.cancelled
    kinds = [record.kind for record in entry.history]
    assert kinds == [
        *("add", "assess", "baseline", "start", "implement", "evaluate", "note", "close"),
    ]


def test_it_opens_again_by_path_and_by_url(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    head = filled(path).head()
    for place in (path, str(path), f"sqlite:///{path}"):
        assert Register.open(place, create=False).head() == head


def test_entries_are_listed_by_id(register: Register) -> None:
    for number in range(3):
        register.add(replace(DRAFT, title=f"t{number}"), at=AT, actor=WHO)
    assert [entry.id for entry in register.list()] == ["IMP-0001", "IMP-0002", "IMP-0003"]
    assert list(register.to_pandas()["title"]) == ["t0", "t1", "t2"]


def test_the_same_words_give_the_same_hashes(tmp_path: Path) -> None:
    assert filled(tmp_path / "a.sqlite").head() == filled(tmp_path / "b.sqlite").head()


def test_the_same_key_is_written_once(register: Register) -> None:
    def cycle() -> str:
        entry_id = register.add(DRAFT, at=AT, actor=WHO, key="c1-add")
        register.start(entry_id, at=AT, actor=WHO, key="c1-start")
        register.record_evaluation(entry_id, evaluation(), at=AT, actor=WHO, key="c1-evaluate")
        return entry_id

    first = cycle()
    head = register.head()
    assert cycle() == first
    assert register.head() == head
    assert register.find("c1-add") == first
    assert register.find("c2-add") is None
    other = replace(evaluation(), n=1)
    with pytest.raises(CodedError, match="RG114"):
        register.record_evaluation(first, other, at=AT, actor=WHO, key="c1-evaluate")
    with pytest.raises(CodedError, match="RG114"):
        register.add(replace(DRAFT, title="other"), at=AT, actor=WHO, key="c1-add")
    with pytest.raises(CodedError, match="RG114"):
        register.note(first, "x", at=AT, actor=WHO, key="c1-add")


def test_what_was_planned_and_found_comes_back_as_it_was_told(register: Register) -> None:
    draft = replace(
        DRAFT, comparison={"team": ("North",)}, guardrail_margins={"KPI06": 0.1}, also=("KPI02",)
    )
    plan = {"design": "difference in differences", "needed_n": 400, "needed_weeks": 12.0}
    found = replace(
        evaluation(),
        design="difference in differences",
        p_value=0.01,
        n_needed=500,
        weeks_needed=3.5,
        also={"KPI02": "improved"},
    )
    entry_id = register.add(draft, at=AT, actor=WHO, key="a")
    register.start(entry_id, at=AT, actor=WHO, plan=plan, key="s")
    register.record_evaluation(entry_id, found, at=AT, actor=WHO)
    entry = register.show(entry_id)
    told = (entry.improvement.comparison, entry.improvement.also)
    assert told == ({"team": ["North"]}, ("KPI02",))
    assert entry.improvement.guardrail_margins == {"KPI06": 0.1}
    assert (entry.plan, entry.evaluations) == (plan, (replace(found, rule_version=1),))
    with pytest.raises(CodedError, match="RG114"):
        register.add(replace(draft, also=()), at=AT, actor=WHO, key="a")
    with pytest.raises(CodedError, match="RG114"):
        register.start(entry_id, at=AT, actor=WHO, key="s")


def test_later_fields_that_say_nothing_are_not_written(register: Register) -> None:
    """So that a record has the hash that it had before they were there."""
    entry_id = _started(register)
    register.record_evaluation(entry_id, replace(evaluation(), p_value=None), at=AT, actor=WHO)
    later = {"comparison", "guardrail_margins", "also", "plan", "design", "weeks_needed"}
    for record in register.show(entry_id).history:
        assert not later & set(record.content)


# --- files of before ------------------------------------------------------------------------


def test_an_old_file_reads_verifies_and_goes_on(tmp_path: Path) -> None:
    """Written by the register of before assessments, baselines, versions and seals."""
    path = tmp_path / "old.sqlite"
    copy(OLD, path)
    head = "2512fd32beb9a917d8d782a631fdaf4aeb8dd3c44728384dae0b7d8d296d77bf"
    register = Register.open(path, create=False)
    found = register.verify(head=head)
    assert (found.ok, found.records, found.head, found.seal) == (True, 9, head, "none")
    first, second = register.list()
    assert (first.state, second.state) == ("closed", "closed")
    assert [version.number for version in first.versions] == [1, 2]
    assert [one.rule_version for one in first.evaluations] == [1, 2]
    key, evidence = "cycle-1/add", path.with_name("old.sqlite.seal")
    again = replace(DRAFT, planned_start="")  # as it was added then
    assert register.add(again, at=AT, actor=WHO, key=key) == first.id
    assert register.head() == head
    assert evidence.exists()  # a write seals it, once the chain was checked
    register.note(first.id, "still here", at=AT, actor=WHO)
    assert (register.verify(head=head).seal, register.verify().records) == ("sealed", 10)


# --- what may follow what -------------------------------------------------------------------

ACTS = {
    "assess": lambda r, e: r.assess(e, "pursue", "worth it", at=AT, actor=WHO),
    "postpone": lambda r, e: r.assess(e, "postpone", "later", at=AT, actor=WHO),
    "baseline": lambda r, e: r.record_baseline(e, BASELINE, at=AT, actor=WHO),
    "start": lambda r, e: r.start(e, at=AT, actor=WHO),
    "implement": lambda r, e: r.implement(e, "done", at=AT, actor=WHO),
    "evaluate": lambda r, e: r.record_evaluation(e, evaluation(), at=AT, actor=WHO),
    "close": lambda r, e: r.close(e, "over", at=AT, actor=WHO),
}
# From the reference model, and what of it a desk may skip (the audit finds that).
MAY = {
    "proposed": {"assess", "postpone", "baseline", "start", "close"},
    "assessed": {"baseline", "start", "close"},
    "postponed": {"assess", "postpone", "close"},
    "started": {"baseline", "implement", "evaluate", "close"},
    "implemented": {"baseline", "evaluate", "close"},
    "evaluated": {"baseline", "evaluate", "close"},
    "closed": set(),
}
WAY = {
    "proposed": (),
    "assessed": ("assess",),
    "postponed": ("postpone",),
    "started": ("start",),
    "implemented": ("start", "implement"),
    "evaluated": ("start", "implement", "evaluate"),
    "closed": ("close",),
}


def _in_state(register: Register, state: str) -> str:
    entry_id = register.add(DRAFT, at=AT, actor=WHO)
    for act in WAY[state]:
        ACTS[act](register, entry_id)
    assert register.show(entry_id).state == state
    return entry_id


@pytest.mark.parametrize("state", MAY)
def test_what_may_follow_in_each_state(register: Register, state: str) -> None:
    entry_id = _in_state(register, state)
    for name in sorted(set(ACTS) - MAY[state]):
        with pytest.raises(CodedError, match=f"RG112 {entry_id} "):
            ACTS[name](register, entry_id)
    register.note(entry_id, "always allowed", at=AT, actor=WHO)
    for name in sorted(MAY[state]):
        ACTS[name](register, _in_state(register, state))


def test_what_is_due_follows_from_the_state(register: Register) -> None:
    entry_id = register.add(DRAFT, at=AT, actor=WHO)
    assert register.show(entry_id).due == ("start", "2024-03-04")
    register.start(entry_id, at=AT, actor=WHO)
    assert register.show(entry_id).due == ("evaluate", "2024-06-01")
    register.close(entry_id, "no longer wanted", at=AT, actor=WHO, cancelled=True)
    entry = register.show(entry_id)
    assert (entry.due, entry.cancelled) == (None, True)


# --- what is frozen -------------------------------------------------------------------------


def test_the_decision_rule_is_frozen_by_the_start(register: Register) -> None:
    entry_id = _started(register)
    with pytest.raises(CodedError, match="RG113"):
        register.start(entry_id, at=AT, actor=WHO, decision_rule=STRICTER)
    with pytest.raises(CodedError, match="RG113"):
        register.record_evaluation(entry_id, evaluation(STRICTER), at=AT, actor=WHO)
    reason = "Half the tickets"
    register.start(entry_id, at=AT, actor=WHO, decision_rule=STRICTER, reason=reason)
    register.record_evaluation(entry_id, evaluation(STRICTER), at=AT, actor=WHO)
    entry = register.show(entry_id)
    assert (entry.rule_version, entry.improvement.minimum_effect) == (2, 0.01)
    assert [(v.number, v.reason) for v in entry.versions] == [(1, ""), (2, reason)]
    old, new = (version.improvement.decision_rule for version in entry.versions)
    assert (old, new) == (RULE, STRICTER)
    assert entry.evaluations[0].rule_version == 2


CHANGES = {
    "kpi": "KPI02",
    "also": ("KPI03",),
    "scope": {"priority": ["P3"]},
    "comparison": {"team": ["North"]},
    "comparison_group": "the north",
    "guardrails": (),
    "guardrail_margins": {"KPI06": 0.5},
    "planned_evaluation": "2024-09-01",
}


@pytest.mark.parametrize("term", CHANGES)
def test_all_that_decides_is_frozen_with_it(register: Register, term: str) -> None:
    entry_id = _started(register)
    agreed = register.show(entry_id).improvement
    changed = replace(agreed, **{term: CHANGES[term]})
    with pytest.raises(CodedError, match="RG113"):
        register.start(entry_id, at=AT, actor=WHO, changed=changed)
    register.start(entry_id, at=AT, actor=WHO, changed=changed, reason="we learned")
    entry = register.show(entry_id)
    assert [version.improvement for version in entry.versions] == [agreed, changed]
    assert entry.improvement == changed


@pytest.mark.parametrize(
    "other",
    [
        {"kpi": "KPI02"},
        {"guardrails": {}},
        {"guardrails": {"KPI06": "held", "KPI07": "held"}},
        {"also": {"KPI02": "improved"}},
        {"design": "before and after"},
    ],
)
def test_an_evaluation_keeps_to_what_was_frozen(
    register: Register, other: dict[str, object]
) -> None:
    entry_id = register.add(DRAFT, at=AT, actor=WHO)
    register.start(entry_id, at=AT, actor=WHO, plan={"design": "interrupted time series"})
    with pytest.raises(CodedError, match="RG113"):
        register.record_evaluation(entry_id, replace(evaluation(), **other), at=AT, actor=WHO)
    register.record_evaluation(entry_id, evaluation(), at=AT, actor=WHO)


def test_a_new_version_needs_something_new_that_decides(register: Register) -> None:
    entry_id = register.add(DRAFT, at=AT, actor=WHO)
    register.start(entry_id, at=AT, actor=WHO, plan={"needed_n": 100})
    same = {"reason": "again", "at": AT, "actor": WHO}
    with pytest.raises(CodedError, match="RG112"):
        register.start(entry_id, **same)
    with pytest.raises(CodedError, match="RG112"):
        register.start(entry_id, plan={"needed_n": 100}, decision_rule=RULE, **same)
    agreed = register.show(entry_id).improvement
    with pytest.raises(CodedError, match=r"RG113 owner, title of IMP-0001"):
        register.start(entry_id, changed=replace(agreed, title="t", owner="o"), **same)
    register.start(entry_id, plan={"needed_n": 200}, **same)
    assert [version.plan for version in register.show(entry_id).versions] == [
        {"needed_n": 100},
        {"needed_n": 200},
    ]


# --- what it refuses ------------------------------------------------------------------------


def test_wrong_words_are_refused(register: Register) -> None:
    with pytest.raises(ManyCodedErrors) as caught:
        replace(DRAFT, title=" ", planned_start="1.4.2024", guardrails=("KPI01",))
    assert [error.code for error in caught.value.errors] == ["RG111"] * 3
    with pytest.raises(ManyCodedErrors) as caught:
        replace(DRAFT, also=("KPI01", "KPI06"), guardrail_margins={"KPI06": 0.0, "KPI09": 0.1})
    assert [error.code for error in caught.value.errors] == ["RG111"] * 4
    with pytest.raises(ManyCodedErrors) as caught:
        replace(BASELINE, kpi="", window=("2024-01-01", "soon"), n=-1)
    assert [error.code for error in caught.value.errors] == ["RG111"] * 3
    register.add(DRAFT, at=AT, actor=WHO)
    with pytest.raises(CodedError, match=r"RG110.*Did you mean 'IMP-0001'"):
        register.show("IMP-001")
    with pytest.raises(CodedError, match=r"RG110.*Did you mean 'IMP-0001'"):
        register.note("IMP-0002", "x", at=AT, actor=WHO)
    for strange in ("\ud800", "\0", ""):
        with pytest.raises(CodedError, match="RG110"):
            register.show(strange)
        assert register.find(strange) is None
    with pytest.raises(CodedError, match="RG115"):
        register.add(DRAFT, at=AT.replace(tzinfo=None), actor=WHO)
    with pytest.raises(CodedError, match=r"RG111.*Did you mean 'pursue'"):
        register.assess("IMP-0001", "persue", "x", at=AT, actor=WHO)
    with pytest.raises(CodedError, match="RG111 the baseline of IMP-0001 is of KPI02"):
        register.record_baseline("IMP-0001", replace(BASELINE, kpi="KPI02"), at=AT, actor=WHO)


@pytest.mark.parametrize("text", ["", " ", "\ud800", "\0"])
def test_what_says_nothing_or_is_no_text_is_refused(register: Register, text: str) -> None:
    entry_id = register.add(DRAFT, at=AT, actor=WHO)
    acts = (
        lambda: register.add(DRAFT, at=AT, actor=text),
        lambda: register.assess(entry_id, "pursue", text, at=AT, actor=WHO),
        lambda: register.close(entry_id, text, at=AT, actor=WHO),
        lambda: register.start(entry_id, at=AT, actor=WHO, plan={"value": float("nan")}),
        lambda: register.note(entry_id, "x", at=AT, actor=WHO, key="k" * 501),
        lambda: register.note(entry_id, "x", at=AT, actor=WHO, key="k\ud800"),
    )
    for act in acts:
        with pytest.raises(CodedError, match="RG111"):
            act()
    assert register.verify().records == 1


def test_another_file_is_not_taken_for_a_register(tmp_path: Path) -> None:
    text, foreign = tmp_path / "text", tmp_path / "foreign.sqlite"
    text.write_text("no database\n" * 100)
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE history (x)")
    for path in (text, foreign):
        before = path.read_bytes()
        with pytest.raises(CodedError, match="RG102"):
            Register.open(path)
        assert path.read_bytes() == before
    urls = ("sqlite://", "sqlite://h:port/x", "mysql://host/db", "://")
    (tmp_path / "empty").touch()
    with pytest.raises(CodedError, match="RG102"):
        Register.open(tmp_path / "empty", create=False)
    for place in (tmp_path / "no" / "r", tmp_path, *urls):
        with pytest.raises(CodedError, match="RG101"):
            Register.open(place)
    with pytest.raises(CodedError, match="RG101"):
        Register.open(tmp_path / "none", create=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "foreign.sqlite", "text"]


def test_a_busy_register_says_so(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    filled(path)
    patient = Register.open(path, busy_seconds=0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RunError, match="RG103"):
            patient.add(DRAFT, at=AT, actor=WHO)
        assert patient.verify().ok
        other.execute("ROLLBACK")
    patient.add(DRAFT, at=AT, actor=WHO)
    assert patient.verify().seal == "sealed"
