"""What are the canonical columns called, and what do they hold?

The names are spelled here and nowhere else. Times are int64 microseconds since 1970-01-01 UTC
(`_us`); a source's own further columns are kept under the prefix `attr.`.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

CASE_ID: Final = "case_id"
ACTIVITY: Final = "activity"
AT: Final = "at"
SEQ: Final = "seq"
LIFECYCLE: Final = "lifecycle"
ACTOR: Final = "actor"
TEAM: Final = "team"
RAW_ACTIVITY: Final = "raw_activity"

PRACTICE: Final = "practice"
PRIORITY: Final = "priority"
CATEGORY: Final = "category"
SERVICE: Final = "service"
OPENED: Final = "opened"
RESOLVED: Final = "resolved"
CLOSED: Final = "closed"
COMPLETE: Final = "complete"
ORDER_KNOWN: Final = "order_known"

ATTRIBUTE_PREFIX: Final = "attr."
CASE_PREFIX: Final = "case."
LINK_PREFIX: Final = "link."
# of events: the case's priority after them, in the words of the case's own; null where not said
PRIORITY_THEN: Final = ATTRIBUTE_PREFIX + "priority"

# Sources hand these over; `seq` is given by EventLog.build.
EVENT_TYPES: Final = {
    CASE_ID: pa.string(),
    ACTIVITY: pa.string(),
    AT: pa.int64(),
    LIFECYCLE: pa.string(),
    ACTOR: pa.string(),
    TEAM: pa.string(),
}
CASE_TYPES: Final = {
    CASE_ID: pa.string(),
    PRACTICE: pa.string(),
    PRIORITY: pa.string(),
    CATEGORY: pa.string(),
    SERVICE: pa.string(),
    OPENED: pa.int64(),
    RESOLVED: pa.int64(),
    CLOSED: pa.int64(),
}
LINKED_TO: Final = "linked_to"
KIND: Final = "kind"
LINK_SCHEMA: Final = pa.schema(
    [(CASE_ID, pa.string()), (LINKED_TO, pa.string()), (KIND, pa.string()), (AT, pa.int64())]
)
REJECT_SCHEMA: Final = pa.schema(
    [("file", pa.string()), ("place", pa.string()), ("code", pa.string()), ("reason", pa.string())]
)

UTC_US: Final = pa.timestamp("us", tz="UTC")
US_PER_SECOND: Final = 1_000_000
US_PER_MINUTE: Final = 60 * US_PER_SECOND
US_PER_HOUR: Final = 60 * US_PER_MINUTE
US_PER_DAY: Final = 24 * US_PER_HOUR
