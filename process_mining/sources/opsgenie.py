"""Which incidents does an Opsgenie export hold, and what is known of each?

Read together: incidents as Opsgenie's API lists them (one answer, a list, NDJSON, or Apache
DevLake's raw table), and their timelines, where an incident holds one as `timeline` (the answer of
the API, or its entries alone). An incident and a timeline's entry are one row in each.

Opsgenie tells what an incident is now (open, resolved, closed), when it was created and when its
impact began and ended. opened is createdAt; resolved is impactEndDate, which Opsgenie sets when an
incident is resolved and which people can move, so [fields] resolved may name another field; closed
is not told. These times are all that the log shows of states (QG148). A timeline's entries stand
between them as updates by the name of their type: they do not say which state an incident came to.

The case is the incident's id, or with [fields] case_id = "tinyId" its short number. Priorities are
Opsgenie's own, P1 to P5. The service is the id of the impacted one (several: sorted, with commas);
the team is ownerTeam. An actor is the name that the timeline gives.

Not kept: messages, descriptions, tags, responders. Source: Opsgenie's Incident API v1 and incident
timeline API v2.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from process_mining.sources._documents import Document, documents, keys_of
from process_mining.sources._history import Change, History, Ticket, tool_mapping
from process_mining.sources._records import (
    BadRecordError,
    Clock,
    Place,
    Taken,
    clock_of,
    list_of,
    needed_id,
    no_tickets,
    part,
    place_of,
    require_fields,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from process_mining.sources import Parts, ReadOptions
    from process_mining.sources._mapping import Mapping

NAME: Final = "opsgenie"
INCIDENT: Final = frozenset({"tinyId", "createdAt", "impactedServices"})
OPEN: Final = "open"
MILESTONES: Final = (OPEN, "resolved", "closed")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the content decides, not the name
    """Whether this is incidents of Opsgenie."""
    keys = keys_of(head)
    pages = [{f"data{dot}.{key}" for key in INCIDENT} for dot in ("", "[]")]
    return keys >= INCIDENT or any(page <= keys for page in pages)


def read(paths: Sequence[Path], options: ReadOptions) -> Parts:
    """Read the files as one log."""
    mapping = tool_mapping(options)
    reader = _Reader(mapping, clock_of(mapping, options.timezone))
    for path in paths:
        for document in documents(path):
            reader.take(place_of(path, document), document)
    return reader.parts()


class _Reader:
    """Reads the documents of one call, one after the other."""

    def __init__(self, mapping: Mapping, clock: Clock) -> None:
        self.mapping, self.clock, self.taken = mapping, clock, Taken()
        self.history = History(words=mapping.words)

    def take(self, place: Place, document: Document) -> None:
        """Take an answer of the API, or one incident."""
        value = document.value
        if document.problem:
            self.taken.unreadable(place, document.problem)
        elif isinstance(value, dict) and "data" in value and not value.keys() >= INCIDENT:
            self.taken.take_list(place, value["data"], self._incident)
        else:
            self.taken.take(place, value, self._incident)

    def parts(self) -> Parts:
        """Return what was read as a log's parts."""
        rejects = self.taken.rejects
        if not (self.history.tickets or rejects.rejects):
            raise no_tickets("Opsgenie", self.taken, "Add incidents")
        if not rejects.rejects:
            require_fields(self.mapping, self.taken.met, of="Opsgenie incident")
        return self.history.parts(
            rows_in=self.taken.rows_in,
            rejects=rejects,
            timezone=self.clock.zone,
            notes=self.mapping.notes,
            people=self.mapping.people(),
            activity_order=self.mapping.activity_order,
        )

    def _incident(self, place: Place, record: dict[str, Any]) -> None:
        """Take an incident, and the entries of its timeline."""
        fields, state = self.mapping.fields, text(record, "status")
        incident = needed_id(record, "id")
        word, entries = text(record, fields.priority or "priority"), _timeline(record)
        over = state is not None and state != OPEN
        ended = self.clock.us(record, fields.resolved or "impactEndDate") if over else None
        ticket = Ticket(
            case_id=needed_id(record, fields.case_id) if fields.case_id else incident,
            practice=self.mapping.practices.get("incident", "incident"),
            priority=self.mapping.priorities.get(word or "", word),
            category=text(record, fields.category) if fields.category else None,
            service=text(record, fields.service) if fields.service else _services(record),
            opened=self.clock.needed(record, fields.opened or "createdAt"),
            resolved=ended,
            closed=self.clock.us(record, fields.closed) if fields.closed else None,
            state=state,
            team=text(record, fields.team or "ownerTeam"),
            attributes={name: text(record, name) for name in (*fields.attributes, *fields.people)},
            milestones=MILESTONES,
            touched=over,
            states_told=not entries,
        )
        self.taken.met.update(record)
        self.history.add_ticket(ticket, str(place))
        for number, entry in enumerate(entries, start=1):
            where = place._replace(place=f"{place.place}, entry {number}")
            self.taken.take(where, entry, lambda _, it: self._entry(ticket.case_id, it))

    def _entry(self, case_id: str, record: dict[str, Any]) -> None:
        """Take one entry of a timeline."""
        at, kind = self.clock.needed(record, "eventTime"), text(record, "type")
        if kind is None:
            raise BadRecordError("LG168", "has no type")
        name = _HUMP.sub("_", kind).lower()
        actor = text(part(record, "actor"), "name")
        self.history.add_change(
            Change(case_id, at, name, None, None, actor, save=text(record, "id") or "")
        )


def _services(record: dict[str, Any]) -> str | None:
    found = [word for word in list_of(record.get("impactedServices")) if isinstance(word, str)]
    return ",".join(sorted(found)) or None


def _timeline(record: dict[str, Any]) -> list[Any]:
    """Return the entries of an incident's timeline: the API's answer, or its entries alone."""
    found = record.get("timeline")
    while isinstance(found, dict):
        found = found.get("data") if "data" in found else found.get("entries")
    return list_of(found)
