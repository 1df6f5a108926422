"""How much open time lies between the events that a template measures?

Business time is dear, and most events start no clock: it is worked out for those that do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from process_mining.clock import business_us

if TYPE_CHECKING:
    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from rules.templates import Desk


def open_time_us(
    desk: Desk, calendar: str, *, start: Ints, stop: Ints, of: npt.NDArray[np.bool_]
) -> Ints:
    """Return for each event of `of` the calendar's open time from `start` to `stop`, else 0.

    Times are µs UTC, one entry an event; a stop before its start counts no time.
    """
    elapsed = np.zeros(len(of), dtype=np.int64)
    begin = start[of]
    end = np.maximum(stop[of], begin)
    elapsed[of] = business_us(begin, end, desk.service_levels.calendar(calendar))
    return elapsed
