"""How is the next piece of work begun while this one is still being used?

`ahead` runs an iterator in a thread of its own, one item in advance. Arrow, numpy and hashing leave
the interpreter free while they work, so two pieces go on at a time. Order and results are those of
the iterator itself; an error of the iterator is raised where its item would have come.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

Item = TypeVar("Item")


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items, each while the one after it is being made."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(_next, items)
        while found := coming.result():
            coming = pool.submit(_next, items)
            yield from found


def _next(items: Iterator[Item]) -> tuple[Item, ...]:
    """Return the next item, or nothing at the end."""
    for item in items:
        return (item,)
    return ()
