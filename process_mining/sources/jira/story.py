"""What do the records of a Jira export say of each ticket?

The case id is the issue's key ([fields] case_id = "id" takes the id). An entry of the changelog is
one save, ordered by (created, its id as a number). A comment joins the save of the same person at
the same time; any other is an update of its own, before the saves of its time. The creation is not
in a changelog: `History` takes the first state from the first change's `fromString`.

States are told apart by their ids: a status that was renamed, or that an issue shows translated, is
called as the newest change called it. An id whose old and new names alternate is left as it reads
(two Jira sites in one call use the same ids for different things).

Practice: [practices] by the type's name, untranslated name or id, else the type's own name as a
slug, without JSM's "[System] ". Priority: Highest … Lowest are P1 … P5, and so are Blocker,
Critical, Major, Minor, Trivial of older sites. Category: the first of the components by name.
`resolved` is the resolution date. `closed` is the last change into a state that the log calls
"Closed", where the issue is in it now. A field that [fields] names is meant by its id or its name.

A link leads from the issue that shows it. Its kind is the slug of the type's name where the issue
is the source of the link (`duplicate`), with `_inward` where it is the target; Fivetran gives only
the phrase ("is duplicated by"), whose slug is taken. Parent and epic are `parent`.

QG149 changelog-cut is reported for a changelog with fewer entries than its `total`, or whose last
page (of which no total is known) is full; and for a search that counts more issues than are given.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from process_mining import schema as s
from process_mining.errors import CodedError, did_you_mean
from process_mining.eventlog import Seen
from process_mining.sources._history import (
    ASSIGNEE,
    CATEGORY,
    COMMENT,
    PRIORITY,
    SERVICE,
    STANDARD_PRIORITY,
    STATE,
    TEAM,
    Change,
    History,
    Ticket,
    slug,
)
from process_mining.sources._mapped import seen_of
from process_mining.sources.jira.export import (
    PERSON,
    SEPARATOR,
    Entry,
    is_person,
    person,
    scalar,
    texts,
)
from process_mining.sources.jira.levels import is_level, level_attributes, satisfaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from process_mining.sources import Parts
    from process_mining.sources.jira.export import Export, Issue, Item, Remark

SYSTEM: Final = "[System] "
PRIORITIES: Final = {
    word: f"P{level}"
    for scale in (
        ("Highest", "High", "Medium", "Low", "Lowest"),
        ("Blocker", "Critical", "Major", "Minor", "Trivial"),
    )
    for level, word in enumerate(scale, start=1)
}
TYPES: Final = {"service_request_with_approvals": "service_request"}
LINK_FIELDS: Final = frozenset(("Link", "Parent", "Epic Link", "IssueParentAssociation"))
CLOSED: Final = "Closed"
SATISFACTION: Final = frozenset(("Satisfaction", "Satisfaction date"))
COMPONENTS: Final = frozenset(("Component", "Component/s", "Components"))


@dataclass(frozen=True)
class Ref:
    """A field by its ids (one name may be that of several fields) and by its names."""

    ids: tuple[str, ...]
    names: frozenset[str]

    def means(self, item: Item) -> bool:
        """Whether a changed field is this one."""
        return item.field_id in self.ids or item.field in self.names

    def of(self, issue: Issue) -> Any:  # noqa: ANN401 - a field holds any JSON
        """Return the field's value in an issue, None where it has none."""
        found = (issue.fields.get(ident) for ident in self.ids)
        return next((value for value in found if value is not None), None)


@dataclass(eq=False)
class Story:
    """Turns an export into a history of tickets."""

    export: Export
    refs: dict[str, Ref] = field(default_factory=dict)
    asked: dict[str, Ref] = field(default_factory=dict)
    cases: dict[str, str] = field(default_factory=dict)
    torn: set[str] = field(default_factory=set)
    saves: dict[str, dict[str, Entry]] = field(default_factory=dict)
    loose: dict[str, list[Entry]] = field(default_factory=dict)
    ordered: dict[str, list[Entry]] = field(default_factory=dict)
    nameless: set[tuple[str, str]] = field(default_factory=set)
    states: dict[str, str] = field(default_factory=dict)
    people: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    repeated: int = 0
    history: History = field(default_factory=History)

    def parts(self, timezone: str) -> Parts:
        """Return the log's parts."""
        self._learn_fields()
        self._learn_cases()
        self._gather()
        self._learn_states()
        self.history = History(words=self.export.mapping.words)
        self._add_tickets()
        self._add_changes()
        self._add_table_links()
        self.history.repeated += self.repeated
        seen = [*self._cut_changelogs(), *self._cut_searches()]
        return self.history.parts(
            rows_in=self.export.rows,
            rejects=self.export.rejects,
            timezone=timezone,
            notes=(*self.export.mapping.notes, *self.notes, *self._said()),
            seen=(*seen, *seen_of(self.export.clock.policies)),
            people=self.export.mapping.people() | frozenset(self.people),
            activity_order=self.export.mapping.activity_order,
        )

    # --- fields and cases

    def _learn_fields(self) -> None:
        """Find the fields that say state, team, … ; LG087 for one that the export lacks."""
        own = self.export.mapping.fields
        if own.actor is not None and own.actor not in PERSON:
            raise _no_field("actor", own.actor, PERSON)
        refs: dict[str, str | None] = {
            STATE: own.state or "status",
            ASSIGNEE: "assignee",
            PRIORITY: own.priority or "priority",
            CATEGORY: own.category or "components",
            TEAM: own.team,
            SERVICE: own.service,
            s.OPENED: own.opened or "created",
            s.RESOLVED: own.resolved or "resolutiondate",
            s.CLOSED: own.closed,
            s.CASE_ID: None if own.case_id in {None, "id", "key"} else own.case_id,
        }
        self.refs = {name: self._ref(word) for name, word in refs.items() if word is not None}
        if own.category is None:
            self.refs[CATEGORY] = Ref(("components",), COMPONENTS)
        self.asked = {name: self._ref(name) for name in (*own.attributes, *own.people)}
        named = ((place, word) for place, word in own if isinstance(word, str) and place != "actor")
        asked = [*named, *(("attributes", name) for name in own.attributes)]
        for place, word in (*asked, *(("people", name) for name in own.people)):
            self._require(place, word)

    def _ref(self, word: str) -> Ref:
        ids = {word, *(ident for ident, name in self.export.names.items() if name == word)}
        names = {word, *(self.export.name_of(ident) for ident in ids & set(self.export.names))}
        return Ref(tuple(sorted(ids)), frozenset(names))

    def _require(self, place: str, word: str) -> None:
        export = self.export
        standard = {"id", "key", "status", "priority", "components", "created", "resolutiondate"}
        items = {item.field for _, entry in export.entries for item in entry.items}
        known = {*standard, *export.known_fields, *export.names, *export.names.values(), *items}
        if word not in known:
            raise _no_field(place, word, known)

    def _learn_cases(self) -> None:
        """Give every issue its case id; an id that means two issues is known to mean neither."""
        for issue in self.export.issues:
            case = self._case_of(issue)
            for ref in (issue.id, issue.key):
                if ref and self.cases.setdefault(ref, case) != case:
                    self.torn.add(ref)
        for ref in self.torn:
            del self.cases[ref]

    def _case_of(self, issue: Issue) -> str:
        chosen = self.export.mapping.fields.case_id
        if s.CASE_ID in self.refs:
            words = texts(self.refs[s.CASE_ID].of(issue))
            return words[0] if words else issue.ref
        return (issue.id if chosen == "id" else issue.key) or issue.ref

    def _case(self, ref: str) -> str:
        return self.cases.get(ref, ref)

    # --- changes

    def _gather(self) -> None:
        """Bring the entries of each case together; pages may overlap, a save counts once."""
        for ref, entry in self.export.entries:
            case = self._case(ref)
            if not entry.order:
                self.loose.setdefault(case, []).append(entry)
                continue
            own = self.saves.setdefault(case, {})
            known = own.get(entry.save)
            own[entry.save] = entry if known is None else self._joined(known, entry)

    def _joined(self, known: Entry, entry: Entry) -> Entry:
        """Return one save of two records of it: DevLake keeps a row for each of its items."""
        if set(entry.items) <= set(known.items):
            self.repeated += 1
        items = tuple(sorted({*known.items, *entry.items}, key=_item_order))
        actors = sorted(actor for actor in (known.actor, entry.actor) if actor is not None)
        at = min(known.at, entry.at)
        return Entry(known.save, known.order, at, actors[0] if actors else None, items)

    def _entries(self, case: str) -> list[Entry]:
        """Return the saves of a case in order."""
        if case not in self.ordered:
            saves = self.saves.get(case, {}).values()
            self.ordered[case] = sorted((*saves, *self.loose.get(case, ())), key=_entry_order)
        return self.ordered[case]

    def _everyone(self) -> list[str]:
        return sorted({*self.saves, *self.loose})

    def _learn_states(self) -> None:
        """Find what each state is called: by the newest change that names its id."""
        named: dict[str, list[tuple[int, tuple[int, ...], str]]] = {}
        for case in self._everyone():
            for entry in self._entries(case):
                for item in entry.items:
                    if self.refs[STATE].means(item):
                        for ident, word in ((item.old_id, item.old), (item.new_id, item.new)):
                            if ident and word:
                                named.setdefault(ident, []).append((entry.at, entry.order, word))
        for ident, found in sorted(named.items()):
            words = [word for _, _, word in sorted(found)]
            runs = [word for index, word in enumerate(words) if words[index - 1 : index] != [word]]
            if len(runs) == len(set(runs)):
                self.states[ident] = runs[-1]
                self.notes += [
                    f"jira: the status {ident} was called '{old}' before and is '{runs[-1]}' here"
                    for old in runs[:-1]
                ]

    def _state(self, ident: str | None, word: str | None) -> str | None:
        if ident in self.states:
            return self.states[ident or ""]
        found = self.export.word("status", ident) or word
        if ident is not None and found in {None, ident}:
            self.nameless.add(("status", ident))
        return found or ident

    def _add_changes(self) -> None:
        empty = 0
        for case in self._everyone():
            for entry in self._entries(case):
                empty += not entry.items
                # A save may name one field several times (two links); it changed once.
                for change in dict.fromkeys(self._change(case, entry, i) for i in entry.items):
                    self.history.add_change(change)
        if empty:
            self.notes.append(f"jira: {empty} entries of changelogs name no field")
        for case, remarks in self._remarks().items():
            same = {(entry.at, entry.actor): entry for entry in self._entries(case)}
            for remark in remarks:
                self.history.add_change(_comment(case, remark, same))

    def _change(self, case: str, entry: Entry, item: Item) -> Change:
        names = (STATE, TEAM, ASSIGNEE, PRIORITY, CATEGORY, SERVICE)
        known = (name for name in names if name in self.refs and self.refs[name].means(item))
        standard = STANDARD_PRIORITY if item.field == PRIORITY else item.field
        name = next(known, standard)
        old, new = item.old, item.new
        if name == STATE:
            old, new = self._state(item.old_id, old), self._state(item.new_id, new)
        elif name == TEAM:
            old, new = old or item.old_id, new or item.new_id
        elif name == PRIORITY:
            old, new = (
                self._changed_priority(item.old_id, old),
                self._changed_priority(item.new_id, new),
            )
        else:
            # Values of other fields are texts of people, and nothing reads them.
            old, new = _presence(old or item.old_id), _presence(new or item.new_id)
        return Change(case, entry.at, name, old, new, entry.actor, entry.order, entry.save)

    def _remarks(self) -> dict[str, list[Remark]]:
        found: dict[str, dict[Remark, None]] = {}
        for ref, remark in self.export.remarks:
            own = found.setdefault(self._case(ref), {})
            self.repeated += remark in own
            own[remark] = None
        return {case: sorted(own, key=_remark_order) for case, own in sorted(found.items())}

    # --- tickets

    def _add_tickets(self) -> None:
        levels: dict[str, dict[str, str | None]] = {}
        for ref, value in self.export.levels:
            name = str(value.get("id") or "")
            levels.setdefault(self._case(ref), {}).update(level_attributes(value, name))
        for issue in sorted(self.export.issues, key=lambda issue: (issue.ref, issue.place)):
            case = self._case_of(issue)
            with self.export.judged(issue.place):
                ticket = self._ticket(case, issue, levels.get(case, {}))
                self.history.add_ticket(ticket, f"{issue.place.file} {issue.place.words}")
                self._add_links(case, issue)
        self.history.history_given = self.history.history_given or any(
            issue.whole for issue in self.export.issues
        )

    def _ticket(self, case: str, issue: Issue, levels: dict[str, str | None]) -> Ticket:
        opened = self._time(issue, s.OPENED)
        state = self._present_state(issue)
        updated = issue.fields.get("updated")
        touched = isinstance(updated, str) and self.export.clock.us(updated) != opened
        return Ticket(
            case_id=case,
            practice=self._practice(issue),
            priority=self._priority(issue),
            category=self._text(issue, CATEGORY),
            service=self._text(issue, SERVICE),
            opened=opened,
            resolved=self._time(issue, s.RESOLVED),
            closed=self._closed(case, issue, state),
            state=state,
            team=self._text(issue, TEAM),
            opened_by=person(issue.fields.get("creator"), self.export.mapping.fields.actor),
            attributes=self._attributes(issue) | levels,
            touched=touched and not issue.whole,
        )

    def _time(self, issue: Issue, name: str) -> int | None:
        ref = self.refs.get(name)
        words = texts(ref.of(issue)) if ref else []
        return self.export.clock.us(words[0]) if words else None

    def _text(self, issue: Issue, name: str) -> str | None:
        ref = self.refs.get(name)
        words = texts(ref.of(issue)) if ref else []
        return words[0] if words else None

    def _present_state(self, issue: Issue) -> str | None:
        value = self.refs[STATE].of(issue)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, dict):
            words = texts(value)
            ident = scalar(value.get("id"), "id of the state")
            return self._state(ident, words[0] if words else None)
        words = texts(value)
        return words[0] if words else None

    def _closed(self, case: str, issue: Issue, state: str | None) -> int | None:
        if s.CLOSED in self.refs:
            return self._time(issue, s.CLOSED)
        if self._said_as(state) != CLOSED:
            return None
        times = [
            entry.at
            for entry in self._entries(case)
            for item in entry.items
            if self.refs[STATE].means(item)
            and self._said_as(self._state(item.new_id, item.new)) == CLOSED
            and self._said_as(self._state(item.old_id, item.old)) != CLOSED
        ]
        return times[-1] if times else None

    def _said_as(self, state: str | None) -> str | None:
        return self.export.mapping.words.get(state or "", state or "") or None

    def _practice(self, issue: Issue) -> str | None:
        kind = issue.fields.get("issuetype")
        if not isinstance(kind, dict):
            return None
        ident = scalar(kind.get("id"), "id of the issue type")
        shown = scalar(kind.get("name"), "name of the issue type")
        plain = scalar(kind.get("untranslatedName"), "name of the issue type")
        plain = plain or self.export.word("issuetype", ident) or shown
        declared = self.export.mapping.practices
        for word in (shown, plain, ident):
            if word is not None and word in declared:
                return declared[word]
        if plain is None:
            self.nameless |= {("issue type", ident)} if ident else set()
            return None
        word = slug(plain.removeprefix(SYSTEM))
        return TYPES.get(word, word) or None

    def _priority(self, issue: Issue) -> str | None:
        value = self.refs[PRIORITY].of(issue)
        words = texts(value)
        if isinstance(value, dict) and "name" not in value:
            words = [self._priority_word(str(value.get("id")))]
        return self._level(words[0]) if words else None

    def _changed_priority(self, ident: str | None, word: str | None) -> str | None:
        """Return a priority in a changelog as the issue's own is told; tables have its id only."""
        if ident is not None and word in {None, ident}:
            word = self._priority_word(ident)
        return self._level(word) if word else None

    def _level(self, word: str) -> str:
        return self.export.mapping.priorities.get(word, PRIORITIES.get(word, word))

    def _priority_word(self, ident: str) -> str:
        """Return a priority's name: Fivetran's table of it is told by the words of Jira's scale."""
        own = self.export.word("priority", ident)
        if own is not None:
            return own
        word = self.export.words.get("names", {}).get(ident)
        if word in PRIORITIES or word in self.export.mapping.priorities:
            self.export.used.add("names")
            return word or ident
        self.nameless.add(("priority", ident))
        return ident

    def _attributes(self, issue: Issue) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for ident in sorted(issue.fields):
            value = issue.fields[ident]
            if is_level(value):
                found |= level_attributes(value, self.export.name_of(ident))
            else:
                found |= satisfaction(value)
                title = self.export.names.get(ident, ident)
                words = texts(value) if title in SATISFACTION else []
                if words:
                    found.setdefault(slug(title), words[0])
        for name, ref in self.asked.items():
            value = ref.of(issue)
            found[name] = SEPARATOR.join(texts(value)) or None
            parts = value if isinstance(value, list) else [value]
            if any(is_person(part) for part in parts):
                self.people.add(s.ATTRIBUTE_PREFIX + name)
        return found

    # --- links

    def _add_links(self, case: str, issue: Issue) -> None:
        times = self._link_times(case)
        for kind, target in _links(issue):
            other = self._other(target)
            if other is not None:
                refs = (target.get("key"), target.get("id"), other)
                at = max((times[ref] for ref in refs if ref in times), default=None)
                self.history.add_link(case, other, kind, at)

    def _link_times(self, case: str) -> dict[str, int]:
        """Return when a link to each other issue was last made, as far as changes say."""
        times: dict[str, int] = {}
        for entry in self._entries(case):
            for item in entry.items:
                if item.field in LINK_FIELDS:
                    for target in (item.new_id, item.new):
                        if target:
                            times[target] = entry.at
        return times

    def _other(self, target: dict[str, Any]) -> str | None:
        """Return the case at the other end, whether or not it is in the export."""
        ident = scalar(target.get("id"), "id of a linked issue")
        key = scalar(target.get("key"), "key of a linked issue")
        for ref in (key, ident):
            if ref in self.cases:
                return self.cases[ref or ""]
        return (ident or key) if self.export.mapping.fields.case_id == "id" else (key or ident)

    def _add_table_links(self) -> None:
        for one, other, phrase in self.export.links:
            self.history.add_link(self._case(one), self._case(other), slug(phrase))

    # --- what the tool counts, and what is left to say

    def _cut_changelogs(self) -> Iterator[Seen]:
        """QG149: changelogs with fewer entries than they should have."""
        totals: dict[str, int] = {}
        for ref, total in self.export.totals.items():
            case = self._case(ref)
            totals[case] = max(total, totals.get(case, 0))
        short = {case for case, total in totals.items() if len(self.saves.get(case, ())) < total}
        for ref, pages in self.export.pages.items():
            count, limit = pages[max(pages)]
            if self._case(ref) not in totals and count >= limit:
                short.add(self._case(ref))
        if short:
            of = len({*self.saves, *self.loose, *self.cases.values()})
            yield Seen(
                "QG149",
                len(short),
                unit="cases",
                subject="jira changelog",
                of=of,
                cases=tuple(sorted(short)),
            )

    def _cut_searches(self) -> Iterator[Seen]:
        """QG149: issues that a search counts and no file gives."""
        pages = self.export.searches
        given = len({issue.ref for issue in self.export.issues})
        if pages:
            firsts = [page.total for page in pages if page.start == 0]
            total = sum(firsts) if firsts else max(page.total for page in pages)
            paged = {ref for page in pages for ref in page.refs}
            alone = sum(issue.ref not in paged for issue in self.export.issues)
            missing = total - sum(len(page.refs) for page in pages) - alone
            if missing > 0:
                yield Seen("QG149", missing, unit="cases", subject="jira search", of=total)
        if self.export.goes_on and not self.export.ended:
            self.notes.append("jira: the search goes on after the last page that is given")
            yield Seen("QG149", 1, unit="cases", subject="jira search goes on", of=given + 1)

    def _said(self) -> Iterator[str]:
        """Yield what the reader left out or could not name."""
        export = self.export
        if export.deleted:
            yield f"jira: {export.deleted} issues were deleted in Jira and are left out"
        unknown = sorted({*self.saves, *self.loose} - set(self.history.tickets))
        if unknown:
            yield (
                f"jira: of {len(unknown)} issues only changes are given, the first is {unknown[0]}"
            )
        if self.torn:
            yield f"jira: {len(self.torn)} ids mean several issues, so changes by id stand alone"
        for kind, ident in sorted(self.nameless):
            yield f"jira: no table given names the {kind} {ident}"
        more = Counter(self._case(ref) for ref, _ in export.remarks)
        short = [r for r, n in export.comment_totals.items() if n > more[self._case(r)]]
        if short:
            yield f"jira: {len(short)} issues have more comments than are given"
        for kind in sorted(set(export.lookups) - export.used):
            files = ", ".join(sorted(export.lookups[kind]))
            yield f"jira: nothing of {files} ({kind}) was needed"


def _links(issue: Issue) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield the kind of each link of an issue, and the issue at its other end."""
    links = issue.fields.get("issuelinks")
    for link in links if isinstance(links, list) else ():
        kind = link.get("type") if isinstance(link, dict) else None
        name = kind.get("name") if isinstance(kind, dict) else None
        if isinstance(name, str):
            for side, mark in (("outwardIssue", ""), ("inwardIssue", "_inward")):
                if isinstance(link.get(side), dict):
                    yield slug(name) + mark, link[side]
    for name in ("parent", "epic"):
        target = issue.fields.get(name)
        if isinstance(target, dict):
            yield "parent", target


def _comment(case: str, remark: Remark, same: dict[tuple[int, str | None], Entry]) -> Change:
    entry = same.get((remark.at, remark.actor))
    extra = (("public", remark.public),) if remark.public is not None else ()
    order = entry.order if entry else ()
    save = entry.save if entry else f"comment {remark.id}"
    return Change(case, remark.at, COMMENT, None, None, remark.actor, order, save, extra)


def _presence(value: str | None) -> str | None:
    return None if value is None else "set"


def _entry_order(entry: Entry) -> tuple[int, tuple[int, ...], str]:
    return entry.at, entry.order, entry.save


def _item_order(item: Item) -> tuple[str, ...]:
    return tuple(part or "" for part in item)


def _remark_order(remark: Remark) -> tuple[int, str]:
    return remark.at, remark.id


def _no_field(place: str, word: str, known: Iterable[str]) -> CodedError:
    return CodedError(
        "LG087",
        f"[fields] {place} names '{word}', and the Jira export has no such field",
        why="a field is meant by its id or its name, and names come with expand=names or a list of "
        "fields",
        fix=did_you_mean(word, known),
    )
