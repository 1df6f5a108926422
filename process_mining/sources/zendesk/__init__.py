"""Which tickets does a Zendesk export hold, and what did each go through?

Read together, in any mixture of files and of pages:

- the API's answers: tickets, ticket audits, ticket metric events, satisfaction ratings, ticket
  metrics, ticket events of the incremental export, with users and groups beside them; as one page,
  a list of pages, or NDJSON of pages or single objects;
- the tables that Fivetran writes: ticket, ticket_field_history, ticket_comment, group, user; the
  other tables of that schema are recognised and named in a note, for they say nothing of tickets.

A record (a ticket, an audit, an event, a row) is one row in. An event of the log is one audit; see
`desk` for saves, states and times. Actors are user ids (-1 is Zendesk's own automation),
or what the field of the user's record that [fields] actor names says; teams are names of groups,
or ids of groups whose names are not in the export. Ids keep their digits.

Of audits' events, Create and Change count under the field's name, comments as "comment" with
attr.public (true, false), ratings as "satisfaction"; mails and calls to other systems change
nothing of a ticket, make no event and are counted in a note; every other type counts by its name.

attr.satisfaction of a case is the score of its last rating; what was written with it is not kept.
attr.deleted is "true" for tickets that the export shows as deleted.
attr.sla:<metric>:<instance>:… of a case are Zendesk's own clocks, from metric events that were not
deleted: activate and breach (the first), fulfill and pause (the last) as times; policy, target
(minutes), calendar and business (minutes at the last update_status).

Links: "problem" to the problem of an incident, "follow_up" from a closed ticket to the one that
takes it up, "merged" to tickets that were merged into this one.

API times state their offset; Fivetran's are UTC by its documentation, unless a zone is declared.

Not kept: texts of comments and descriptions, names and addresses of users, tags.
Sources: Zendesk's API reference (Tickets, Ticket Audits, Ticket Metric Events, Satisfaction
Ratings, Incremental Exports) and Fivetran's Zendesk Support schema.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from process_mining import schema as s
from process_mining.eventlog import Seen
from process_mining.sources._documents import Document, documents, keys_of
from process_mining.sources._files import first_line, head_of, looks_binary
from process_mining.sources._history import COMMENT, History, tool_mapping
from process_mining.sources._json import Number
from process_mining.sources._records import (
    BadRecordError,
    Clock,
    Place,
    Taken,
    clock_of,
    header,
    id_of,
    list_of,
    needed_id,
    no_tickets,
    object_of,
    part,
    place_of,
    plain_header,
    require_fields,
    rows,
    text,
)
from process_mining.sources.zendesk.desk import (
    SATISFACTION,
    Desk,
    FieldChange,
    MetricEvent,
    Save,
    Snapshot,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from process_mining.sources import Parts, ReadOptions
    from process_mining.sources._mapping import Mapping

NAME: Final = "zendesk"
AUDITS: Final = "audits"

# The tables of Fivetran's schema, each by columns that tell it from all others.
TABLES: Final[dict[str, frozenset[str]]] = {
    "ticket": frozenset({"id", "status", "requester_id", "submitter_id", "via_channel"}),
    "ticket_field_history": frozenset({"ticket_id", "field_name", "updated", "value"}),
    "ticket_comment": frozenset({"id", "ticket_id", "created", "public", "voice_comment"}),
    "group": frozenset({"id", "name", "created_at", "updated_at", "url", "_fivetran_deleted"}),
    "user": frozenset({"id", "role", "restricted_agent", "ticket_restriction"}),
    "audit_log": frozenset({"action", "actor_id", "change_description", "source_label"}),
    "brand": frozenset({"brand_url", "has_help_center", "subdomain"}),
    "daylight_time": frozenset({"time_zone", "year", "daylight_offset"}),
    "domain_name": frozenset({"organization_id", "domain_name", "index"}),
    "organization": frozenset({"id", "external_id", "shared_tickets", "shared_comments"}),
    "organization_tag": frozenset({"organization_id", "tag"}),
    "schedule": frozenset({"id", "start_time_utc", "end_time_utc", "time_zone"}),
    "schedule_holiday": frozenset({"schedule_id", "start_date", "end_date"}),
    "sla_policy_metric_history": frozenset({"sla_policy_id", "metric", "target"}),
    "ticket_chat": frozenset({"chat_id", "ticket_id", "visitor_id"}),
    "ticket_chat_event": frozenset({"chat_id", "chat_index", "message_id"}),
    "ticket_form_history": frozenset({"display_name", "end_user_visible", "active"}),
    "ticket_schedule": frozenset({"ticket_id", "schedule_id", "created_at"}),
    "ticket_sla_policy": frozenset({"ticket_id", "sla_policy_id", "policy_applied_at"}),
    "ticket_tag": frozenset({"ticket_id", "tag"}),
    "time_zone": frozenset({"time_zone", "standard_offset"}),
    "user_tag": frozenset({"user_id", "tag"}),
}
SYNCED: Final = "_synced"
# Keys of an answer, each with keys of its records by which it is recognised.
ANSWERS: Final[dict[str, frozenset[str]]] = {
    "tickets": frozenset({"requester_id", "status"}),
    "ticket": frozenset({"requester_id", "status"}),
    "audits": frozenset({"ticket_id", "author_id"}),
    "audit": frozenset({"ticket_id", "author_id"}),
    "ticket_events": frozenset({"ticket_id", "updater_id"}),
    "ticket_metric_events": frozenset({"instance_id", "metric"}),
    "satisfaction_ratings": frozenset({"score", "ticket_id"}),
    "satisfaction_rating": frozenset({"score", "ticket_id"}),
    "ticket_metrics": frozenset({"solved_at", "reopens"}),
    "ticket_metric": frozenset({"solved_at", "reopens"}),
    "metric_sets": frozenset({"solved_at", "reopens"}),
    "users": frozenset({"role", "ticket_restriction"}),
    "groups": frozenset({"is_public", "deleted"}),
    "organizations": frozenset({"shared_tickets", "domain_names"}),
}
# A single record, without the key of an answer around it.
SINGLE: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    ("satisfaction_ratings", frozenset({"score", "ticket_id", "requester_id"})),
    ("ticket_metric_events", frozenset({"instance_id", "metric", "ticket_id"})),
    ("ticket_metrics", frozenset({"ticket_id", "solved_at", "reopens"})),
    ("ticket_events", frozenset({"ticket_id", "child_events"})),
    ("audits", frozenset({"ticket_id", "author_id", "events"})),
    ("tickets", frozenset({"requester_id", "submitter_id", "status"})),
    ("users", frozenset({"role", "ticket_restriction"})),
)
MAILS_AND_CALLS: Final = frozenset(
    {
        "Notification", "NotificationWithCcs", "SmsNotification", "FollowerNotification", "Cc",
        "OrganizationActivity", "External", "Push", "Error", "AgentMacroReference",
    }
)  # fmt: skip
COMMENTS: Final = frozenset({"Comment", "VoiceComment", "FacebookComment", "Tweet"})
OTHER_TYPES: Final = frozenset(
    {
        "CommentRedactionEvent", "AttachmentRedactionEvent", "CommentPrivacyChange",
        "FollowerChange", "EmailCcChange", "TicketSharingEvent", "SlaTargetChange",
        "FacebookEvent", "LogMeInTranscript", "ChatStartedEvent", "ChatEndedEvent",
    }
)  # fmt: skip
METRIC_TYPES: Final = frozenset(
    {"activate", "pause", "fulfill", "breach", "apply_sla", "apply_group_sla", "update_status"}
)
USED: Final = frozenset(
    {"status", "priority", "type", "group_id", "submitter_id", SATISFACTION, "custom_status_id"}
)
CHILD_KEYS: Final = frozenset({"id", "via", "via_reference_id", "event_type", "previous_value"})
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the content decides, not the name
    """Whether this is an answer of Zendesk's API or a table of Fivetran's Zendesk schema."""
    if looks_binary(head):
        return False
    keys = keys_of(head)
    if not keys:
        return _table_of(plain_header(first_line(head))) is not None
    told = any(
        {f"{answer}{dot}{key}" for key in known} <= keys
        for answer, known in ANSWERS.items()
        for dot in (".", "[].")
    )
    return told or any(known <= keys for _, known in SINGLE)


def read(paths: Sequence[Path], options: ReadOptions) -> Parts:
    """Read the files as one log."""
    mapping = tool_mapping(options)
    reader = _Reader(mapping, options)
    for path in paths:
        reader.read(path)
    return reader.parts()


def _table_of(names: Sequence[str]) -> str | None:
    """Return the name of Fivetran's table that has these columns."""
    if not any(name.endswith(SYNCED) for name in names):
        return None
    return next((table for table, known in TABLES.items() if known <= set(names)), None)


@dataclass
class _Pages:
    """Which kinds of records, and which tickets' audits, had a last page, and which go on."""

    ended: set[tuple[str, str]] = field(default_factory=set)
    going_on: set[tuple[str, str]] = field(default_factory=set)

    def missing(self, name: str) -> list[str]:
        """Return the tickets (of other records than audits: "") whose last page is missing."""
        return sorted(of for kind, of in self.going_on - self.ended if kind == name)

    def kinds(self) -> list[str]:
        """Return the kinds of records whose last page is missing."""
        return sorted({kind for kind, _ in self.going_on - self.ended})


class _Reader:
    """Reads the files of one call, one after the other, into one desk."""

    def __init__(self, mapping: Mapping, options: ReadOptions) -> None:
        self.mapping, self.taken, self.desk = mapping, Taken(), Desk(mapping)
        self.clock = clock_of(mapping, options.timezone)
        self.utc = clock_of(mapping, options.timezone, documented="UTC")
        self.pages = _Pages()
        fields = mapping.fields
        named = (value if isinstance(value, tuple) else (value,) for _, value in fields)
        self.used = USED | {name for names in named for name in names if name}
        self.handlers: dict[str, Callable[[Place, dict[str, Any]], None]] = {
            "tickets": self._ticket,
            "ticket": self._ticket,
            "audits": self._audit,
            "audit": self._audit,
            "ticket_events": self._ticket_event,
            "ticket_metric_events": self._metric_event,
            "ticket_metric_event": self._metric_event,
            "satisfaction_ratings": self._rating,
            "satisfaction_rating": self._rating,
            "ticket_metrics": self._metrics,
            "ticket_metric": self._metrics,
            "metric_sets": self._metrics,
            "users": self._user,
            "user": self._user,
            "groups": self._group,
            "group": self._group,
        }
        self.row_handlers: dict[str, Callable[[Place, dict[str, Any]], None]] = {
            "ticket": self._ticket_row,
            "ticket_field_history": self._history_row,
            "ticket_comment": self._comment_row,
            "group": self._group,
            "user": self._user,
        }

    def read(self, path: Path) -> None:
        """Read one file: a table where its header is one of Fivetran's, else JSON."""
        table = _table_of(header(path)) if _is_table(path) else None
        if table is None:
            for document in documents(path):
                self._document(place_of(path, document), document)
            return
        for place, row in rows(path, self.taken):
            handler = self.row_handlers.get(table)
            if handler:
                self.taken.take(place, row, handler)
            else:
                self.taken.pass_over(table)

    def parts(self) -> Parts:
        """Return what was read as a log's parts."""
        rejects = self.taken.rejects
        if self.desk.empty and not rejects.rejects:
            raise no_tickets("Zendesk", self.taken, "Add tickets, audits or ticket_field_history")
        if not rejects.rejects:
            require_fields(self.mapping, self.taken.met, of="Zendesk record")
        history = History(words=self.mapping.words)
        self.desk.fill(history)
        return history.parts(
            rows_in=self.taken.rows_in,
            rejects=rejects,
            timezone=self.utc.zone,
            notes=[*self.mapping.notes, *self._notes()],
            seen=self._seen(),
            people=self.mapping.people(),
            activity_order=self.mapping.activity_order,
        )

    def _notes(self) -> list[str]:
        kinds = self.pages.kinds()
        pages = [f"the last page of {kind} is not among the files" for kind in kinds]
        return [*self.desk.notes(), *pages, *self.taken.notes()]

    def _seen(self) -> list[Seen]:
        cut = tuple(sorted(map(self.desk.case_id, self.pages.missing(AUDITS))))
        of = len({*self.desk.snapshots, *self.desk.audits, *self.desk.rows})
        return [Seen("QG149", len(cut), unit="cases", of=of, cases=cut)] if cut else []

    def _document(self, place: Place, document: Document) -> None:
        if document.problem:
            self.taken.unreadable(place, document.problem)
            return
        value = document.value
        kind = _kind_of(value)
        if kind is not None:
            self.taken.take(place, value, self.handlers[kind])
        elif isinstance(value, dict) and (
            value.keys() & self.handlers.keys() or any(map(_is_records, value.values()))
        ):
            self._answer(place, value)
        else:
            self.taken.unreadable(place, ("LG166", "is no record and no answer of Zendesk's API"))

    def _answer(self, place: Place, answer: dict[str, Any]) -> None:
        """Take the records of one page; lists of other kinds are passed over and counted."""
        for name, found in answer.items():
            handler = self.handlers.get(name)
            if handler is not None:
                self.taken.take_list(place, found, handler)
                self._note_page(name, answer, list_of(found))
            elif _is_records(found) and name not in {"meta", "links"}:
                self.taken.pass_over(name, len(list_of(found)))

    def _note_page(self, name: str, answer: dict[str, Any], found: list[Any]) -> None:
        """Remember whether more pages follow this one, as far as the answer says."""
        of = {""}
        if name == AUDITS:
            of = {str(item.get("ticket_id")) for item in found if isinstance(item, dict)}
        pages = self.pages.going_on if _more_follows(answer) else self.pages.ended
        pages.update((name, item) for item in of)

    def _ticket(self, place: Place, record: dict[str, Any]) -> None:
        """Take a ticket of the API."""
        facts = _flat(record)
        facts[SATISFACTION] = _score(record.get("satisfaction_rating"))
        source = part(part(record, "via"), "source")
        if source.get("rel") == "follow_up":
            facts["via_followup_source_id"] = id_of(part(source, "from"), "ticket_id")
        self._keep_ticket(place, facts, self.clock, rank=0)
        clocks = record.get("metric_events")
        for kind in list_of(clocks.values() if isinstance(clocks, dict) else None):
            for events in kind:
                self.taken.take_list(place, events, self._metric_event)

    def _ticket_row(self, place: Place, record: dict[str, Any]) -> None:
        """Take a ticket of Fivetran's table."""
        self._keep_ticket(place, _flat(record), self.utc, rank=1)

    def _keep_ticket(
        self, place: Place, facts: dict[str, str | None], clock: Clock, *, rank: int
    ) -> None:
        ticket, fields = needed_id(facts, "id"), self.mapping.fields
        times = {
            s.OPENED: clock.needed(facts, fields.opened or "created_at"),
            s.RESOLVED: clock.us(facts, fields.resolved) if fields.resolved else None,
            s.CLOSED: clock.us(facts, fields.closed) if fields.closed else None,
        }
        updated = clock.us(facts, "updated_at") or 0
        used = {name: value for name, value in facts.items() if name in self.used}
        snapshot = Snapshot(rank, updated, str(place), used, times, _links(ticket, facts))
        self.taken.met.update(facts)
        self.desk.snapshots[ticket].append(snapshot)

    def _audit(self, place: Place, record: dict[str, Any]) -> None:  # noqa: ARG002 - a handler
        """Take one audit."""
        ticket, at = needed_id(record, "ticket_id"), self.clock.needed(record, "created_at")
        events = [object_of(item, "event") for item in list_of(record.get("events"))]
        self._keep_audit(ticket, at, record, id_of(record, "author_id"), events)

    def _ticket_event(self, place: Place, record: dict[str, Any]) -> None:  # noqa: ARG002
        """Take one audit in the form of the incremental export of ticket events."""
        ticket, at = needed_id(record, "ticket_id"), self.clock.needed(record, "created_at")
        children = list_of(record.get("child_events"))
        events = [_as_event(object_of(item, "child event")) for item in children]
        self._keep_audit(ticket, at, record, id_of(record, "updater_id"), events)

    def _keep_audit(
        self,
        ticket: str,
        at: int,
        record: dict[str, Any],
        actor: str | None,
        events: list[dict[str, Any]],
    ) -> None:
        number = needed_id(record, "id")
        if not number.isdecimal():
            raise BadRecordError("LG168", "id of the audit is no whole number")
        changes = [change for event in events for change in self._changes(event)]
        if events and not changes:
            return
        save = Save(
            ticket,
            at,
            actor,
            tuple(changes) or (FieldChange("audit", None, None),),
            order=(int(number),),
            created=any(event.get("type") == "Create" for event in events),
            extra=_publicity(events),
        )
        self.taken.met.update(change.name for change in changes)
        self.desk.add_audit(save)

    def _changes(self, event: dict[str, Any]) -> list[FieldChange]:
        """Return what one event of an audit says of the ticket."""
        kind = text(event, "type") or ""
        if kind in {"Create", "Change"}:
            name = id_of(event, "field_name") or "field"
            old = None if kind == "Create" else _plain(event.get("previous_value"))
            return [FieldChange(name, old, _plain(event.get("value")))]
        if kind in COMMENTS:
            return [FieldChange(COMMENT, None, None)]
        if kind == "SatisfactionRating":
            return [FieldChange(SATISFACTION, None, _score(event))]
        if kind in MAILS_AND_CALLS:
            self.desk.silent[kind] += 1
            return []
        if kind not in OTHER_TYPES:
            self.desk.unknown[kind or "(no type)"] += 1
        return [FieldChange(_HUMP.sub("_", kind).lower() or "event", None, None)]

    def _metric_event(self, place: Place, record: dict[str, Any]) -> None:  # noqa: ARG002
        """Take one event of Zendesk's own clocks, unless it never happened."""
        ticket, at = needed_id(record, "ticket_id"), self.clock.needed(record, "time")
        metric, kind = text(record, "metric") or "", text(record, "type") or ""
        instance, number = id_of(record, "instance_id") or "", id_of(record, "id") or ""
        if kind not in METRIC_TYPES:
            self.desk.unknown[f"metric event {kind or '(no type)'}"] += 1
        if record.get("deleted") is True:
            self.desk.deleted += 1
            return
        event = MetricEvent(at, number, f"{metric}:{instance}", kind, _metric_words(record))
        self.desk.metrics[ticket].append(event)

    def _rating(self, place: Place, record: dict[str, Any]) -> None:  # noqa: ARG002 - a handler
        """Take one rating."""
        ticket, number = needed_id(record, "ticket_id"), id_of(record, "id") or ""
        at = self.clock.us(record, "updated_at") or self.clock.needed(record, "created_at")
        self.desk.ratings[ticket].append((at, number, _score(record) or ""))

    def _metrics(self, place: Place, record: dict[str, Any]) -> None:  # noqa: ARG002 - a handler
        """Take the times that Zendesk keeps of a ticket."""
        ticket, solved = needed_id(record, "ticket_id"), self.clock.us(record, "solved_at")
        if solved is not None:
            self.desk.solved_at[ticket] = solved

    def _user(self, place: Place, record: dict[str, Any]) -> None:  # noqa: ARG002 - a handler
        """Take what stands for a user; without [fields] actor that is the id."""
        user, wanted = needed_id(record, "id"), self.mapping.fields.actor
        self.taken.met.update(record)
        word = text(record, wanted) if wanted else None
        if word:
            self.desk.users[user] = word

    def _group(self, place: Place, record: dict[str, Any]) -> None:  # noqa: ARG002 - a handler
        """Take the name of a group."""
        group, name = needed_id(record, "id"), text(record, "name")
        if name:
            self.desk.groups[group] = name

    def _history_row(self, place: Place, record: dict[str, Any]) -> None:  # noqa: ARG002
        """Take one row of Fivetran's field history."""
        ticket, at = needed_id(record, "ticket_id"), self.utc.needed(record, "updated")
        name = text(record, "field_name")
        if name is None:
            raise BadRecordError("LG168", "has no field_name")
        self.taken.met.add(name)
        change = FieldChange(name, None, text(record, "value"))
        self.desk.add_row(Save(ticket, at, id_of(record, "user_id"), (change,)))

    def _comment_row(self, place: Place, record: dict[str, Any]) -> None:  # noqa: ARG002
        """Take one row of Fivetran's comments."""
        ticket, at = needed_id(record, "ticket_id"), self.utc.needed(record, "created")
        public = (("public", (text(record, "public") or "").lower()),)
        change, number = FieldChange(COMMENT, None, None), needed_id(record, "id")
        user = id_of(record, "user_id")
        self.desk.add_row(Save(ticket, at, user, (change,), extra=public, key=number))


def _is_table(path: Path) -> bool:
    head = head_of(path)
    return not looks_binary(head) and first_line(head).lstrip()[:1] not in {"{", "["}


def _kind_of(value: object) -> str | None:
    """Return which kind of record an object is by itself."""
    if not isinstance(value, dict):
        return None
    return next((kind for kind, known in SINGLE if known <= value.keys()), None)


def _is_records(value: object) -> bool:
    """Whether a value holds records: an object, or a list of them (or of none)."""
    return isinstance(value, dict) or (
        isinstance(value, list) and all(isinstance(item, dict) for item in value)
    )


def _more_follows(answer: dict[str, Any]) -> bool:
    """Whether an answer says that it is not the last page."""
    if "end_of_stream" in answer:
        return answer["end_of_stream"] is False
    meta = answer.get("meta")
    if isinstance(meta, dict) and "has_more" in meta:
        return meta["has_more"] is True
    return bool(answer.get("next_page")) and "end_time" not in answer


def _flat(record: dict[str, Any]) -> dict[str, str | None]:
    """Return the fields of a ticket as text, custom fields by their ids among them."""
    found = {name: _plain(value) for name, value in record.items() if not isinstance(value, dict)}
    for custom in (*list_of(record.get("fields")), *list_of(record.get("custom_fields"))):
        if isinstance(custom, dict) and "id" in custom:
            found[str(custom["id"])] = _plain(custom.get("value"))
    return found


def _plain(value: object) -> str | None:
    """Return a value as text: a list as its items joined by commas, an object as its pairs."""
    if isinstance(value, list):
        return ",".join(_plain(item) or "" for item in value) or None
    if isinstance(value, dict):
        return ",".join(f"{key}={_plain(item) or ''}" for key, item in sorted(value.items()))
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if value is not None and value != "" else None


def _score(rating: object) -> str | None:
    """Return the score of a rating (of a ticket, an audit's event or a list of ratings)."""
    return text(rating, "score") if isinstance(rating, dict) else None


def _publicity(events: list[dict[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Return whether the comments of an audit are public, as attr.public."""
    told = {item.get("public") for item in events if item.get("type") in COMMENTS}
    words = {True: "true", False: "false"}
    return tuple(("public", word) for value, word in words.items() if value in told)


def _as_event(child: dict[str, Any]) -> dict[str, Any]:
    """Return a child event of the incremental export in the form of an audit's event."""
    kind = child.get("event_type")
    names = [name for name in child if name not in CHILD_KEYS]
    event = child | {"type": kind}
    if kind in {"Create", "Change"} and names:
        event |= {"field_name": names[0], "value": child[names[0]]}
    return event


def _metric_words(record: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return what a metric event says besides its time."""
    told: list[tuple[str, object]] = []
    for name in ("sla", "group_sla"):
        sla = part(record, name)
        policy = part(sla, "policy")
        told += [("policy", policy.get("title") or policy.get("id")), ("target", sla.get("target"))]
    status = part(record, "status")
    told += [(name, status.get(name)) for name in ("calendar", "business")]
    words = ((name, value) for name, value in told if isinstance(value, (str, int, Number)))
    return tuple((name, str(value)) for name, value in words)


def _links(ticket: str, facts: dict[str, str | None]) -> tuple[tuple[str, str, str], ...]:
    """Return the links that a ticket names, as (from, to, kind)."""
    problem, source = id_of(facts, "problem_id"), id_of(facts, "via_followup_source_id")
    links = [(ticket, problem, "problem")] if problem else []
    links += [(source, ticket, "follow_up")] if source else []
    links += [(ticket, other, "follow_up") for other in _ids(facts.get("followup_ids"))]
    links += [(ticket, other, "merged") for other in _ids(facts.get("merged_ticket_ids"))]
    return tuple(links)


def _ids(value: str | None) -> list[str]:
    """Return the ids of a list, which Fivetran writes as JSON."""
    return re.findall(r"\d+", value or "")
