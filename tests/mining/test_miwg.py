"""The 21 reference models of the BPMN Model Interchange Working Group, and one from practice.

Each is a sound net, or is refused with one coded error that names the element. Where a file holds
several processes to choose from, each is read by its name. The table was looked over against the
files: activities are their tasks, black-box sub-processes and outside calls; the refusals are true
(in B.2.0 gateways with a default flow never give parallel joins all their tokens; C.3.0 asks for
two tokens where one comes; C.6.0 compensates).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest
from mining.small_bpmn import DATA, codes_of

from process_mining.errors import CodedError
from process_mining.model import SILENT_LABEL, ReferenceModel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MODELS = DATA / "models"

# file, number of activities, states, shapes, flows; then the process, where the file has several
SOUND = """
A.1.0 3 5 5 4
A.2.0 4 10 8 9
A.2.1 4 12 8 11
A.3.0 5 23 10 8
A.4.0 2 4 5 5 Pool
A.4.0 4 31 16 12 WFP-6-2
A.4.1 2 4 7 5 Pool 1
A.4.1 4 31 17 12 Pool 2
B.1.0 3 5 7 6 Participant
B.1.0 7 122 25 22 Pool
B.1.0 1 3 5 2 Process_ba16239e-181e-4b9f-bc5b-0bb2ee973450
B.1.0 1 3 0 0 WFP-0-
B.2.0 3 11 10 6 Process_ba16239e-181e-4b9f-bc5b-0bb2ee973450
B.2.0 1 3 0 0 WFP-0-
C.1.0 5 11 15 15
C.1.1 5 11 10 10
C.2.0 1 3 7 4 Credit Card Company
C.2.0 2 4 8 5 Carrier
C.2.0 4 16 20 19 Customer
C.2.0 4 6 12 7 Amazon
C.4.0 12 36 26 26 Money Bank
C.4.0 5 7 8 6 IT
C.4.0 3 8 7 6 Payroll
C.4.0 2 4 5 3 Facilities
C.5.0 18 41 35 34
C.7.0 6 16 14 12
C.8.0 6 19 18 16
C.8.1 6 19 19 16
C.9.0 10 25 26 21
C.9.1 4 20 11 7
C.9.2 5 480 21 12
"""

# file, process, codes, what the error names
REFUSED = (
    ("A.4.0", None, {"MO109"}, "'Pool' or 'WFP-6-1'; 'WFP-6-2'"),
    ("A.4.1", None, {"MO109"}, "'Pool 1' or"),
    ("B.1.0", None, {"MO109"}, "to choose from: 'Participant' or 'WFP-6-1'; 'Pool' or 'WFP-6-2'"),
    ("B.2.0", None, {"MO109"}, "to choose from: 'Participant' or 'WFP-6-1'; 'Pool' or 'WFP-6-2'"),
    ("B.2.0", "Participant", {"MO203"}, "'Parallel Gateway 2'"),
    ("B.2.0", "Pool", {"MO204"}, "'Parallel Gateway 7'"),
    ("C.2.0", None, {"MO109"}, "'Credit Card Company' or"),
    ("C.3.0", None, {"MO105"}, "'Analyse customer request'> with startQuantity='2'"),
    ("C.4.0", None, {"MO109"}, "'Money Bank' or"),
    ("C.6.0", None, {"MO105"}, "<compensateEventDefinition> in <intermediateThrowEvent id="),
    ("incident_process", None, {"MO112"}, "no flow into businessRuleTask 'Triage'"),
)

# runs that a model must allow (+) and must not (-), worked out from the drawing
RUNS = """
C.9.1 + Request document, Wait for answer
C.9.1 + Request document, Send reminder email, Send reminder email, Wait for answer
C.9.1 + Request document, Send reminder email, Call customer
C.9.1 - Request document, Send reminder email
C.9.1 - Send reminder email, Request document, Wait for answer
C.9.1 - Request document, Wait for answer, Wait for answer
C.7.0 + Write description, Complete advertisement, Approve advertisement, Publish on homepage,\
 Select other platforms, Publish on other platforms, Publish on other platforms
C.7.0 + Write description, Complete advertisement, Approve advertisement, Complete advertisement,\
 Approve advertisement, Select other platforms, Publish on other platforms, Publish on homepage
C.7.0 - Write description, Complete advertisement, Approve advertisement, Publish on homepage
A.3.0 + Task 1, Collapsed Sub-Process, Task 2
A.3.0 + Task 1, Task 4
A.3.0 + Task 1, Task 3, Collapsed Sub-Process, Task 3, Task 2
A.3.0 - Task 1, Collapsed Sub-Process, Task 2, Task 4
"""


@cache
def path(name: str) -> Path:
    found = sorted(MODELS.glob(f"*/{name}.bpmn"))
    if not found:
        pytest.skip(f"no {name}.bpmn in {MODELS}")
    return found[0]


@pytest.mark.parametrize("row", SOUND.strip().splitlines())
def test_sound_models(row: str) -> None:
    name, activities, states, shapes, flows, *process = row.split(maxsplit=5)
    model = ReferenceModel.from_bpmn(path(name), process=process[0] if process else None)
    found = (len(model.activities), model.automaton.n_states)
    assert found == (int(activities), int(states))
    assert (len(model.diagram.shapes), len(model.diagram.edges)) == (int(shapes), int(flows))
    assert model.soundness == "sound"


@pytest.mark.parametrize(("name", "process", "codes", "named"), REFUSED)
def test_refused_models(name: str, process: str | None, codes: set[str], named: str) -> None:
    with pytest.raises(CodedError) as caught:
        ReferenceModel.from_bpmn(path(name), process=process)
    assert set(codes_of(caught.value)) == codes
    assert named in str(caught.value)


@pytest.mark.parametrize("row", RUNS.strip().splitlines())
def test_runs(row: str) -> None:
    name, sign, run = row.split(maxsplit=2)
    assert allows(ReferenceModel.from_bpmn(path(name)), run.split(", ")) == (sign == "+")


def test_every_file_is_in_the_table() -> None:
    files = {file.stem for file in MODELS.glob("miwg_reference/*.bpmn")}
    if not files:
        pytest.skip(f"no reference models in {MODELS}")
    told = {row.split()[0] for row in SOUND.strip().splitlines()} | {row[0] for row in REFUSED}
    assert len(files) == 21
    assert files <= told


def allows(model: ReferenceModel, run: Sequence[str]) -> bool:
    automaton = model.automaton
    arcs = list(
        zip(
            automaton.sources.tolist(),
            automaton.labels.tolist(),
            automaton.targets.tolist(),
            strict=True,
        )
    )
    code = {name: i for i, name in enumerate(automaton.activities)}
    states = {automaton.initial}
    for label in (SILENT_LABEL, *(x for name in run for x in (code[name], SILENT_LABEL))):
        if label != SILENT_LABEL:
            states = {target for source, at, target in arcs if source in states and at == label}
            continue
        size = 0
        while len(states) > size:
            size = len(states)
            states |= {target for source, at, target in arcs if source in states and at == label}
    return automaton.final in states
