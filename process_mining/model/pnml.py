"""Which place/transition net does a PNML file describe?

Read: one net of places, transitions and arcs (ISO/IEC 15909-2, type ptnet, and the type names that
ProM, pm4py, WoPeD, PIPE and Yasper give to the same), with initialMarking, weights as inscriptions
and the `finalmarkings` that ProM and pm4py add. Pages are laid together; reference places and
transitions stand for what they refer to.

A transition shows its name in a log. It is silent when it has none, or when a tool marks it with
activity="$invisible$".

Where a run begins and ends. Without any token in the file a run begins with one on the only place
without an arc into it; without a final marking it ends with one on the only place without an arc
out of it, or, where there is none but a transition that only takes tokens, when no token is left.
Otherwise the file has to say (MO149, MO150). It also has to when it gives several final markings
(MO148): a reference model has one.

Passed over: names of places, layout, what tools add for themselves, rates and priorities of timed
nets, and guards, which are never evaluated (data is not modelled, so every way may be taken).
Refused, for they change which runs there are: high-level nets, inhibitor and reset arcs,
capacities, elements that are not known (MO144, MO147).

A mined net need not be sound; see `ReferenceModel.from_pnml` for what is asked of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from process_mining.errors import CodedError, raise_all
from process_mining.model.net import Net, Transition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from process_mining.model.net import Marking
    from process_mining.model.xml import Element

MAX_TOKENS: Final = 1_000
INVISIBLE: Final = "$invisible$"
_TYPES: Final = ("ptnet", "pt-net", "p/t", "pnmlcoremodel", "epnml", "place/transition")
_KINDS: Final = ("place", "transition", "arc", "referencePlace", "referenceTransition")
_LAYOUT: Final = frozenset({"name", "graphics", "toolspecific", "documentation"})
_PASSED_OVER: Final[Mapping[str, frozenset[str]]] = {
    "net": _LAYOUT | {"finalmarkings", "variables", "tokenclass", "labels"},
    "page": _LAYOUT,
    "place": _LAYOUT | {"initialMarking", "capacity"},
    "transition": _LAYOUT
    | {"guard", "orientation", "rate", "timed", "infiniteServer", "priority", "readVariable"}
    | {"writeVariable", "delay"},
    "arc": _LAYOUT | {"inscription", "arcpath", "tagged", "type", "arctype"},
    "referencePlace": _LAYOUT,
    "referenceTransition": _LAYOUT,
}


def net_of(root: Element, *, place: str) -> tuple[Net, str]:
    """Return the net of a parsed file and its name; `place` names the file in errors."""
    nets = [child for child in root.children if child.tag == "net"]
    if root.tag != "pnml":
        raise CodedError(
            "MO140",
            f"{place} is not PNML: it begins with <{root.tag}>",
            fix="Export it as PNML (ISO/IEC 15909-2), which begins with <pnml>",
        )
    if len(nets) != 1:
        raise CodedError(
            "MO142",
            f"{place} holds {len(nets)} nets; a reference model is one",
            fix="Save each net in a file of its own",
        )
    reader = _Reader(place, nets[0])
    reader.collect()
    raise_all(reader.errors)
    net = reader.net()
    raise_all(reader.errors)
    return net, _text(nets[0], "name") or nets[0].get("id") or "model"


@dataclass(eq=False)
class _Reader:
    """The elements of the net by kind, in the order of the file, and every mistake."""

    place: str
    root: Element
    elements: dict[str, dict[str, Element]] = field(default_factory=dict)
    errors: list[CodedError] = field(default_factory=list)

    def collect(self) -> None:
        """Find every element on every page."""
        kind = self.root.get("type").rpartition("/")[2] or self.root.get("type")
        known = any(word in self.root.get("type").lower() for word in _TYPES)
        if self.root.get("type") and not known:
            self.unsupported(self.root, f"of type '{kind}' ")
        self.elements = {kind: {} for kind in _KINDS}
        lines: dict[str, int] = {}
        todo = [self.root]
        while todo:
            page = todo.pop()
            for child in page.children:
                if child.tag in _KINDS:
                    self.register(child, lines)
                elif child.tag not in {*_PASSED_OVER[page.tag], "page"}:
                    self.unsupported(child)
            todo += reversed([child for child in page.children if child.tag == "page"])

    def register(self, element: Element, lines: dict[str, int]) -> None:
        """Keep an element by its id, and look at what it holds."""
        name = element.get("id")
        if element.tag == "arc" and not name:
            name = f"arc {len(self.elements['arc'])}"
        if not name or name in lines:
            fault = f"has the id of line {lines[name]}" if name else "has no id"
            self.error("MO143", element, fault, fix="Give it an id of its own")
            return
        lines[name] = element.line
        self.elements[element.tag][name] = element
        for child in element.children:
            if child.tag not in _PASSED_OVER[element.tag]:
                self.unsupported(child, f"in {_tag(element)} ")
            if child.tag == "capacity" and (_text(element, "capacity") or "0") != "0":
                self.unsupported(child, f"in {_tag(element)} ")
            kind = child.get("value") or next((c.text for c in child.children), "") or child.text
            if child.tag in {"type", "arctype"} and kind.lower() not in {"", "normal"}:
                self.error(
                    "MO147",
                    element,
                    f"is of the type '{kind}'",
                    why="What it looks at is not only the tokens that it moves",
                    fix="Draw it with plain arcs",
                )

    def net(self) -> Net:
        """Put the net together."""
        arcs = [self.arc(name, element) for name, element in self.elements["arc"].items()]
        ends = [arc for arc in arcs if arc is not None]
        index = {name: i for i, name in enumerate(self.elements["place"])}
        into: dict[str, list[int]] = {name: [] for name in self.elements["transition"]}
        out: dict[str, list[int]] = {name: [] for name in self.elements["transition"]}
        for source, target, weight in ends:
            if source in index:
                into[target] += [index[source]] * weight
            else:
                out[source] += [index[target]] * weight
        initial = self.initial(index, {target for _, target, _ in ends})
        final = self.final(index, {source for source, _, _ in ends})
        raise_all(self.errors)
        transitions = tuple(
            Transition(
                name=name,
                label=_label(element),
                consumes=tuple(sorted(into[name])),
                produces=tuple(sorted(out[name])),
                element=_words(element),
            )
            for name, element in self.elements["transition"].items()
        )
        return Net(tuple(map(_words, self.elements["place"].values())), transitions, initial, final)

    def arc(self, name: str, element: Element) -> tuple[str, str, int] | None:
        """Return an arc's ends and weight; MO151 when it does not join place and transition."""
        source, target = self.meant(element.get("source")), self.meant(element.get("target"))
        weight = self.number(element, _text(element, "inscription"), least=1)
        kinds = [
            next((k for k in ("place", "transition") if end in self.elements[k]), "nothing")
            for end in (source, target)
        ]
        if sorted(kinds) != ["place", "transition"]:
            self.error(
                "MO151",
                element,
                f"({name}) leads from '{element.get('source')}' ({kinds[0]}) to "
                f"'{element.get('target')}' ({kinds[1]})",
                fix="An arc joins a place and a transition",
            )
            return None
        return source, target, weight

    def meant(self, name: str) -> str:
        """Follow references to the place or transition that they stand for."""
        seen = {name}
        while (reference := self.references.get(name)) is not None:
            name = reference.get("ref")
            if name in seen:
                self.error("MO145", reference, "refers to itself", fix="Refer to a place or node")
                return ""
            seen.add(name)
        return name

    @cached_property
    def references(self) -> Mapping[str, Element]:
        """The elements that stand for others."""
        return self.elements["referencePlace"] | self.elements["referenceTransition"]

    def initial(self, index: Mapping[str, int], reached: Iterable[str]) -> Marking:
        """Return the initial marking, by the head of this module; MO150."""
        places = self.elements["place"].items()
        marking = tuple(
            self.number(element, _text(element, "initialMarking") or "0", least=0)
            for _, element in places
        )
        return marking if any(marking) else self.alone(index, reached, "MO150", "initial", "into")

    def final(self, index: Mapping[str, int], left: Iterable[str]) -> Marking:
        """Return the final marking, by the head of this module; MO148, MO149."""
        given = [m for e in _below(self.root, "finalmarkings") for m in _below(e, "marking")]
        if len(given) > 1:
            self.error(
                "MO148",
                self.root,
                f"has {len(given)} final markings; a reference model has one",
                fix="Lead the ends to one place by silent transitions",
            )
        if not given:
            left = set(left)
            takes_only = index.keys() <= left and not self.elements["transition"].keys() <= left
            if takes_only:
                return (0,) * len(index)
            return self.alone(index, left, "MO149", "final", "out of")
        marking = [0] * len(index)
        for element in _below(given[0], "place"):
            name = self.meant(element.get("idref"))
            tokens = self.number(element, _text(element) or "0", least=0)
            if name in index:
                marking[index[name]] = tokens
            else:
                self.error(
                    "MO149",
                    element,
                    f"puts tokens on '{element.get('idref')}', no place",
                    fix="Name a place of the net",
                )
        return tuple(marking)

    def alone(
        self, index: Mapping[str, int], touched: Iterable[str], code: str, which: str, way: str
    ) -> Marking:
        """Return the marking with one token on the only place without an arc that way."""
        found = sorted(index.keys() - set(touched), key=index.__getitem__)
        if len(found) != 1:
            self.error(
                code,
                self.root,
                f"has no {which} marking, and {len(found)} places without an arc {way} them",
                why="Where a run begins and ends must be known",
                fix=f"Save it with its {which} marking",
            )
        return tuple(int(name in found[:1]) for name in index)

    def number(self, element: Element, text: str, *, least: int) -> int:
        """Return a number of tokens; 1 where nothing is said; MO146."""
        digits = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_TOKENS))
        if not text or (digits and least <= int(text) <= MAX_TOKENS):
            return int(text or "1")
        self.error(
            "MO146",
            element,
            f"has '{text[:40]}' where a number from {least} to {MAX_TOKENS:,} must stand",
            fix="Save it as a place/transition net",
        )
        return least

    def unsupported(self, element: Element, detail: str = "") -> None:
        """Refuse an element."""
        self.error(
            "MO144",
            element,
            f"{detail}is not supported",
            why="Leaving it out would change which runs the model allows",
            fix="Save it as a place/transition net (ISO/IEC 15909-2, ptnet)",
        )

    def error(
        self, code: str, element: Element, fault: str, *, why: str = "", fix: str = ""
    ) -> None:
        """Note a mistake."""
        what = f"{self.place}, line {element.line}: {_tag(element)} {fault}"
        self.errors.append(CodedError(code, what, why=why, fix=fix))


def _label(transition: Element) -> str | None:
    silent = any(e.get("activity") == INVISIBLE for e in _below(transition, "toolspecific"))
    return None if silent else _text(transition, "name") or None


def _below(element: Element, tag: str) -> Iterator[Element]:
    return (child for child in element.children if child.tag == tag)


def _text(element: Element, tag: str | None = None) -> str:
    """Return the text (or, in older files, value) of an element, or of its child of this name."""
    holders = [element] if tag is None else list(_below(element, tag))
    found = (
        said.text for holder in holders for said in holder.children if said.tag in {"text", "value"}
    )
    return next(found, "")


def _words(element: Element) -> str:
    name, key = _text(element, "name"), element.get("id")
    return f"{element.tag} '{name}' ({key})" if name not in {"", key} else f"{element.tag} '{key}'"


def _tag(element: Element) -> str:
    name = element.get("id") or element.get("idref")
    return f"<{element.tag} id='{name}'>" if name else f"<{element.tag}>"
