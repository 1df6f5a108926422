"""How is the next piece of work begun while this one is still being used?

`ahead` does the same work on every item, a few items at a time in threads, and yields the results
in the order of the items. Arrow, numpy and hashing leave the interpreter free while they work. The
work must not depend on what other items did; results and the first error are then those of a plain
loop, whatever the number of processors. At most `WORKERS` + 1 results are held.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

WORKERS: Final = 2
Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield what the work makes of each item, in order."""
    coming: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(WORKERS) as pool:
        for item in items:
            coming.append(pool.submit(work, item))
            if len(coming) > WORKERS:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
