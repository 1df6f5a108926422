"""Which records does an answer of Jira's REST interface hold?

Read, each by its shape: a search page ({"issues": […]}, of the platform or the agile interface), a
single issue, a page of a changelog ({"values": […]} or {"histories": […]}) or one entry of it, the
bulk changelogs of Cloud ({"issueChangeLogs": […]}), the service levels of a request (JSM), and
lists of fields, statuses, issue types and priorities, which give names to ids. Versions 2 and 3 and
Server/Data Center differ in people (account id, or user name) and in rich text, which is not read.

A changelog page says in its own address (`self`, or the address that DevLake keeps) to which issue
it belongs. Stamps carry an offset ("+0100"). The bulk answer has whole numbers instead, seconds or
milliseconds since 1970: as seconds, today's milliseconds would lie past the year 9999, and as
milliseconds, today's seconds would lie in 1970, before there was a Jira (2002), so the size tells.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from process_mining.schema import US_PER_SECOND
from process_mining.sources._documents import documents, keys_of
from process_mining.sources._json import BadJsonError
from process_mining.sources._rejects import shown
from process_mining.sources.jira.export import (
    Entry,
    Issue,
    Item,
    Place,
    Remark,
    SearchPage,
    person,
    scalar,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from process_mining.sources.jira.export import Export

_OF_ISSUE: Final = re.compile(r"/(?:issue|request)/([^/?#]+)/(?:changelog|sla)")
_NUMBER: Final = re.compile(r"[?&](startAt|maxResults)=(\d{1,9})")
_ISSUE_FIELDS: Final = frozenset(
    f"fields.{name}" for name in ("issuetype", "status", "created", "summary", "project")
)
_SEARCH_KEYS: Final = frozenset(
    (
        *("expand", "startAt", "maxResults", "total", "issues", "names", "schema"),
        *("isLast", "nextPageToken", "warningMessages"),
    )
)
_MILLISECONDS_FROM: Final = 100_000_000_000


def sniff_keys(head: bytes) -> bool:
    """Whether the first bytes are of one of the answers that are read."""
    keys = keys_of(head)
    paged = bool({"startAt", "total"} <= keys and {"values", "histories"} & keys)
    return (
        any(_looks_like_issue(keys, prefix) for prefix in ("", "issues[]."))
        or {"created", "items[].fieldtype"} <= keys
        or (b'"fieldtype"' in head and _lists_entries(keys))
        or any(key.startswith("issueChangeLogs[].changeHistories") for key in keys)
        or bool({"completedCycles", "values[].completedCycles"} & keys)
        or (paged and b"/changelog" in head)
        or ({"issues"} <= keys <= _SEARCH_KEYS and bool({"total", "isLast"} & keys))
        or any(_looks_like_lookup(keys, prefix) for prefix in ("", "values[]."))
    )


def _looks_like_issue(keys: frozenset[str], prefix: str) -> bool:
    if prefix + "key" not in keys and prefix + "id" not in keys:
        return False
    return any(prefix + name in keys for name in _ISSUE_FIELDS) or any(
        key.startswith(prefix + "changelog.histories") for key in keys
    )


def _lists_entries(keys: frozenset[str]) -> bool:
    return any({f"{name}[].created", f"{name}[].items"} <= keys for name in ("values", "histories"))


def _looks_like_lookup(keys: frozenset[str], prefix: str) -> bool:
    own = {key.removeprefix(prefix) for key in keys if key.startswith(prefix)}
    return {"id", "name"} <= own and _kind_of_lookup(own) is not None


def _kind_of_lookup(keys: set[str]) -> str | None:
    """Return of what a list of ids and names is, by keys that only such a list has."""
    if "clauseNames" in keys and "searchable" in keys:
        return "field"
    if any(key.split(".")[0] == "statusCategory" for key in keys):
        return "status"
    if {"subtask", "iconUrl"} <= keys:
        return "issuetype"
    if "statusColor" in keys:
        return "priority"
    return None


def collect(path: Path, export: Export) -> None:
    """Take every record of a file."""
    for document in documents(path):
        place = Place(path.name, document.number, document.place)
        if document.problem:
            export.rows += 1
            export.told += 1
            export.reject(place, *document.problem)
        else:
            _take(document.value, place, document.url, export)


def _take(value: object, place: Place, url: str, export: Export) -> None:
    """Give a document to the one that reads its shape."""
    if isinstance(value, list):
        for number, part in enumerate(value, start=1):
            _take(part, place.within(f"element {number}"), url, export)
        return
    if isinstance(value, dict) and (take := _taker(value)) is not None:
        take(value, place, url, export)
        return
    with export.row(place):
        raise BadJsonError("LG161", "is no issue, changelog or lookup of Jira")


def _taker(value: dict[str, Any]) -> Callable[[dict[str, Any], Place, str, Export], None] | None:
    """Return what reads a document, by keys that only its shape has."""
    lists = {key for key, part in value.items() if isinstance(part, list)}
    shapes = (
        ("issues" in lists, _search),
        ("issueChangeLogs" in lists, _bulk),
        (bool({"values", "histories"} & lists), _page),
        (isinstance(value.get("fields"), dict), _issue),
        ("items" in lists and "created" in value, _single_entry),
        ("completedCycles" in value, _level),
        ("name" in value and _kind_of_lookup(set(value)) is not None, _lookup),
    )
    return next((take for fits, take in shapes if fits), None)


def _search(value: dict[str, Any], place: Place, url: str, export: Export) -> None:
    _names(value, export)
    refs = []
    for number, issue in enumerate(value["issues"], start=1):
        own = place.within(f"issue {number}")
        if isinstance(issue, dict):
            _issue(issue, own, url, export)
            refs.append(str(issue.get("key") or issue.get("id")))
        else:
            with export.row(own):
                raise BadJsonError("LG161", "is no issue")
    total, start = value.get("total"), value.get("startAt")
    if isinstance(total, int):
        export.searches.add(SearchPage(start if isinstance(start, int) else 0, total, tuple(refs)))
    elif value.get("nextPageToken") and value.get("isLast") is not True:
        export.goes_on = True
    else:
        export.ended = True


def _issue(value: dict[str, Any], place: Place, url: str, export: Export) -> None:  # noqa: ARG001 - all takers alike
    _names(value, export)
    ref = str(value.get("key") or value.get("id") or "")
    with export.row(place):
        export.issues.append(_issue_of(value, place, export))
    changelog = value.get("changelog")
    if isinstance(changelog, dict):
        _entries(changelog.get("histories"), ref, place, export)
        _total(changelog.get("total"), ref, export)
    fields = value.get("fields")
    if isinstance(fields, dict):
        _remarks(fields.get("comment"), ref, place, export)


def _issue_of(value: dict[str, Any], place: Place, export: Export) -> Issue:
    ident, key = scalar(value.get("id"), "id"), scalar(value.get("key"), "key")
    if ident is None and key is None:
        raise BadJsonError("LG160", "has neither id nor key")
    fields = value.get("fields")
    if not isinstance(fields, dict):
        raise BadJsonError("LG161", f"issue {shown(key or ident or '')} has no fields")
    whole = isinstance(value.get("changelog"), dict)
    return Issue(ident, key, export.kept(fields), place, whole)


def _names(value: dict[str, Any], export: Export) -> None:
    """Take the names of fields that expand=names gives."""
    names = value.get("names")
    if isinstance(names, dict):
        for ident, name in names.items():
            if isinstance(name, str):
                export.names.setdefault(ident, name)


def _page(value: dict[str, Any], place: Place, url: str, export: Export) -> None:
    """Take a page of a changelog, of service levels, or of a lookup."""
    rows = value["values"] if isinstance(value.get("values"), list) else value["histories"]
    if rows and all(isinstance(row, dict) and "completedCycles" in row for row in rows):
        for number, row in enumerate(rows, start=1):
            _level(row, place.within(f"value {number}"), _address(value) or url, export)
    elif rows and all(isinstance(row, dict) and _kind_of_lookup(set(row)) for row in rows):
        for row in rows:
            _lookup(row, place, url, export)
    else:
        ref = _issue_in(_address(value) or url)
        _entries(rows, ref, place, export)
        _total(value.get("total"), ref, export)


def _address(value: dict[str, Any]) -> str:
    links = value.get("_links")
    own = value.get("self") or (links.get("self") if isinstance(links, dict) else None)
    return own if isinstance(own, str) else ""


def _issue_in(url: str) -> str:
    found = _OF_ISSUE.search(url)
    return found[1] if found else ""


def _single_entry(value: dict[str, Any], place: Place, url: str, export: Export) -> None:
    ref = _issue_in(url)
    _entry(value, ref, place, export)
    numbers = {name: int(number) for name, number in _NUMBER.findall(url)}
    if ref and "maxResults" in numbers:
        page = export.pages.setdefault(ref, {})
        start = numbers.get("startAt", 0)
        page[start] = (page.get(start, (0, 0))[0] + 1, numbers["maxResults"])


def _bulk(value: dict[str, Any], place: Place, url: str, export: Export) -> None:  # noqa: ARG001 - all takers alike
    for number, log in enumerate(value["issueChangeLogs"], start=1):
        own = place.within(f"issue {number}")
        if isinstance(log, dict):
            ref = str(log.get("issueId") or "")
            _entries(log.get("changeHistories"), ref, own, export)
        else:
            with export.row(own):
                raise BadJsonError("LG161", "is no changelog")


def _entries(rows: object, ref: str, place: Place, export: Export) -> None:
    for number, row in enumerate(rows if isinstance(rows, list) else (), start=1):
        _entry(row, ref, place.within(f"entry {number}"), export)


def _entry(row: object, ref: str, place: Place, export: Export) -> None:
    with export.row(place):
        if not isinstance(row, dict):
            raise BadJsonError("LG161", "is no entry of a changelog")
        if not ref:
            raise BadJsonError("LG162", "does not say of which issue it is")
        export.entries.append((ref, _entry_of(row, export)))


def _entry_of(row: dict[str, Any], export: Export) -> Entry:
    save = scalar(row.get("id"), "id")
    if save is None:
        raise BadJsonError("LG163", "has no id")
    items = row.get("items")
    if not isinstance(items, list):
        raise BadJsonError("LG163", "has no list of items")
    return Entry(
        save=save,
        order=(int(save),) if save.isdecimal() else (),
        at=_stamp(row.get("created"), export),
        actor=person(row.get("author"), export.mapping.fields.actor),
        items=tuple(_item(item) for item in items),
    )


def _item(item: object) -> Item:
    if not isinstance(item, dict):
        raise BadJsonError("LG163", "has an item that is no object")
    name = scalar(item.get("field"), "field") or scalar(item.get("fieldId"), "fieldId")
    if name is None:
        raise BadJsonError("LG163", "has an item that names no field")
    words = ("fieldId", "from", "fromString", "to", "toString")
    return Item(name, *(scalar(item.get(word), f"{word} of {name}") for word in words))


def _stamp(value: object, export: Export) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        unit = US_PER_SECOND if abs(value) < _MILLISECONDS_FROM else 1_000
        return value * unit
    if not isinstance(value, str) or not value:
        raise BadJsonError("LG103", "has no time")
    return export.clock.us(value)


def _total(total: object, ref: str, export: Export) -> None:
    if ref and isinstance(total, int):
        export.totals[ref] = max(total, export.totals.get(ref, 0))


def _remarks(value: object, ref: str, place: Place, export: Export) -> None:
    if not isinstance(value, dict) or not isinstance(value.get("comments"), list):
        return
    for number, row in enumerate(value["comments"], start=1):
        own = place.within(f"comment {number}")
        with export.row(own):
            if not isinstance(row, dict):
                raise BadJsonError("LG161", "is no comment")
            if ref:
                export.remarks.append((ref, _remark(row, export)))
    if ref and isinstance(value.get("total"), int):
        export.comment_totals[ref] = value["total"]


def _remark(row: dict[str, Any], export: Export) -> Remark:
    public = row.get("jsdPublic")
    return Remark(
        id=scalar(row.get("id"), "id") or "",
        at=_stamp(row.get("created"), export),
        actor=person(row.get("author"), export.mapping.fields.actor),
        public=str(public).lower() if isinstance(public, bool) else None,
    )


def _level(value: dict[str, Any], place: Place, url: str, export: Export) -> None:
    with export.row(place):
        ref = _issue_in(_address(value) or url)
        if not ref:
            raise BadJsonError("LG162", "does not say of which issue it is")
        export.levels.append((ref, value))


def _lookup(value: dict[str, Any], place: Place, url: str, export: Export) -> None:  # noqa: ARG001 - all takers alike
    """Take one field, status, issue type or priority; the untranslated name where there is one."""
    kind = _kind_of_lookup(set(value)) or ""
    word = value.get("name") if kind == "field" else value.get("untranslatedName", value["name"])
    ident = value.get("id")
    export.add_lookup(
        kind,
        str(ident) if isinstance(ident, str | int) else None,
        word if isinstance(word, str) else None,
        place.file,
    )
