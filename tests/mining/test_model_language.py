"""A BPMN model allows the runs that the algebra of its blocks gives, and no others."""

from __future__ import annotations

from random import Random

import pytest
from mining.small_bpmn import language
from oracles.bpmn_language import Block, random_block, to_bpmn, words

from process_mining.model import ReferenceModel

LIMIT = 6


def compare(block: Block, limit: int = LIMIT) -> None:
    model = ReferenceModel.from_bpmn(to_bpmn(block))
    found, wanted = language(model.automaton, limit), words(block, limit)
    wanted = frozenset(word for word in wanted if len(word) <= limit)
    assert model.soundness == "sound"
    assert sorted(found - wanted) == []
    assert sorted(wanted - found) == []


@pytest.mark.parametrize("seed", range(150))
def test_language_of_random_blocks(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - a seeded test
    compare(random_block(random, random.randint(2, 5)))
