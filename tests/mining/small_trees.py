"""Plain trees of tests as the product's, and random ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from process_mining.model.tree import Operator, Tree

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy
    from oracles.naive_runs import Tree as Plain

RANK = {"a": 0, "b": 1, "c": 2, "d": 3}


def tree_of(plain: Plain) -> Tree:
    if plain is None or isinstance(plain, str):
        return Tree(label=plain)
    operator, *parts = plain
    return Tree(operator=Operator(operator), children=tuple(map(tree_of, parts)))


def plain_tree(tree: Tree) -> Plain:
    if tree.operator is None:
        return tree.label
    return (str(tree.operator), *map(plain_tree, tree.children))


def _over(parts: SearchStrategy[Plain]) -> SearchStrategy[Plain]:
    several = st.lists(parts, min_size=1, max_size=3)
    wide = st.tuples(st.sampled_from(["sequence", "choice", "parallel"]), several)
    loops = st.tuples(st.just("loop"), parts, parts)
    return wide.map(lambda pair: (pair[0], *pair[1])) | loops


PLAIN_TREES: SearchStrategy[Plain] = st.recursive(
    st.sampled_from(["a", "b", "c", "d", None]), _over, max_leaves=6
)
