"""Small BPMN models in a line or two, and the words that a model allows."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from process_mining.errors import CodedError, ManyCodedErrors
from process_mining.model import SILENT_LABEL, ReferenceModel

if TYPE_CHECKING:
    from oracles.bpmn_language import Word

    from process_mining.model import Automaton

DATA = Path(__file__).parents[2].parent / "shared" / "data"
NAMESPACE = "http://www.omg.org/spec/BPMN/20100524/MODEL"
LINE = "s:startEvent:, t:task:T, e:endEvent:"


def bpmn(nodes: str, flows: str, *, more: str = "", layout: str = "") -> bytes:
    """`nodes`: "id:element:name" apart by commas, one a line of the file; `flows`: "a>b c>d"."""
    parts = [node.strip().split(":") for node in nodes.split(",")]
    lines = [f'<definitions xmlns="{NAMESPACE}"><process id="p" name="P">']
    lines += [f'<{kind} id="{i}" name="{name}"/>' for i, kind, name in parts]
    ends = [flow.split(">") for flow in flows.split()]
    lines += [f'<sequenceFlow id="{a}-{b}" sourceRef="{a}" targetRef="{b}"/>' for a, b in ends]
    return "\n".join([*lines, more, "</process>", layout, "</definitions>"]).encode()


def error_of(source: bytes | Path) -> CodedError:
    with pytest.raises(CodedError) as caught:
        ReferenceModel.from_bpmn(source)
    return caught.value


def codes_of(error: CodedError) -> list[str]:
    return [e.code for e in (error.errors if isinstance(error, ManyCodedErrors) else (error,))]


def language(automaton: Automaton, limit: int) -> frozenset[Word]:
    """All words of at most `limit` letters that lead to the final state."""
    arcs = defaultdict(list)
    columns = (automaton.sources, automaton.labels, automaton.targets)
    for source, label, target in zip(*(c.tolist() for c in columns), strict=True):
        letter = () if label == SILENT_LABEL else (automaton.activities[label],)
        arcs[source].append((letter, target))
    seen: set[tuple[int, Word]] = {(automaton.initial, ())}
    todo = list(seen)
    while todo:
        state, word = todo.pop()
        new = {(target, word + letter) for letter, target in arcs[state]} - seen
        new = {(target, longer) for target, longer in new if len(longer) <= limit}
        seen |= new
        todo += new
    return frozenset(word for state, word in seen if state == automaton.final)
