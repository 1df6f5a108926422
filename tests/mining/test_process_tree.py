"""Trees are made smaller without losing a run, and their nets have the runs of the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from mining.small_models import plain_of
from mining.small_trees import PLAIN_TREES, RANK, plain_tree, tree_of
from oracles.naive_runs import traces_of_net, traces_of_tree

from process_mining.model import ReferenceModel
from process_mining.model.automaton import explore, require_sound
from process_mining.model.tree import Tree, net_of, tidy

if TYPE_CHECKING:
    from oracles.naive_runs import Tree as Plain

LONGEST = 4
quick = settings(max_examples=150, deadline=None)


def size(tree: Tree) -> int:
    return 1 + sum(map(size, tree.children))


@quick
@given(PLAIN_TREES)
def test_the_net_of_a_tree_has_its_runs_and_is_sound(plain: Plain) -> None:
    net = net_of(tree_of(plain))
    require_sound(net, explore(net))
    found = traces_of_net(plain_of(ReferenceModel.from_net(net)), LONGEST)
    assert found == traces_of_tree(plain, LONGEST)


@quick
@given(PLAIN_TREES)
def test_a_tidy_tree_has_the_same_runs_and_no_more_nodes(plain: Plain) -> None:
    tree = tree_of(plain)
    found = tidy(tree, RANK)
    assert traces_of_tree(plain_tree(found), LONGEST) == traces_of_tree(plain, LONGEST)
    assert size(found) <= size(tree)
    assert tidy(found, RANK) == found
    assert (() in traces_of_tree(plain, 0)) == tree.may_be_skipped


@pytest.mark.parametrize(
    ("plain", "wanted"),
    [
        (("choice", None, ("choice", "b", "a")), ("choice", "a", "b", None)),
        (("parallel", "a", None), "a"),
        (("sequence", ("sequence", "b", None), "a"), ("sequence", "b", "a")),
        (("choice", ("loop", "a", None), None), ("loop", None, "a")),
        (("loop", ("choice", "a", None), None), ("loop", None, "a")),
        (("loop", ("loop", "a", None), None), ("loop", "a", None)),
        (("loop", None, None), None),
        (("choice", "a", "a"), "a"),
        (("choice", ("loop", None, "a"), None), ("loop", None, "a")),
    ],
)
def test_what_is_left_of_a_tree(plain: Plain, wanted: Plain) -> None:
    assert plain_tree(tidy(tree_of(plain), RANK)) == wanted
