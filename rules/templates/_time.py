"""How much open time lies between the events that a template measures?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from process_mining.clock import business_us

if TYPE_CHECKING:
    from process_mining.eventlog import Ints
    from rules.templates import Desk


def open_time_us(desk: Desk, calendar: str, *, start: Ints, stop: Ints) -> Ints:
    """Return the calendar's open time from each start to its stop; none where it comes before.

    Times are µs UTC.
    """
    return business_us(start, np.maximum(stop, start), desk.service_levels.calendar(calendar))
