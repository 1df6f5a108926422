"""Random block-structured BPMN models, and their languages by set algebra: all from a seed.

A block is a tree. `words` gives all its words up to a length by the algebra of languages
(concatenation, union, shuffle, star, beginnings), never by moving tokens; `to_bpmn` writes it as
BPMN 2.0. Neither knows anything of our product.

    task            one activity
    seq, link       one block, then the other (link: through a pair of link events)
    xor, events     one of two (events: the first that happens)
    par, loose      both (loose: a sub-process without gateways, start and end events)
    or, default     any but none of the first parts (default: or the last one alone)
    cond            a task with conditional flows out of it, joined by an inclusive gateway
    loop            do, then any number of times redo and do
    repeat          a loop or multiple instances of a task or sub-process
    twice           two parallel instances of a sub-process
    sub, call       a sub-process, a call of another process in the file

The others are sub-processes (or the whole process) in which something happens:

    border, guard   the first part is interrupted, anywhere, and the second follows
                    (border: a boundary event, guard: an event sub-process)
    throw           the first part is over, or throws an error that the second handles
    tell            the first part, then an escalation that the third handles beside the second
    quiet           the second may happen once beside the first (a timer that does not repeat)
    again, watch    the second happens any number of times beside the first, one at a time
                    (again: a boundary event, watch: an event sub-process)
    over            both begin; the second ends in a terminate event
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

Word = tuple[str, ...]
Language = frozenset[Word]
NOTHING: Language = frozenset({()})
NAMESPACE = "http://www.omg.org/spec/BPMN/20100524/MODEL"
BINARY = ("seq", "link", "xor", "events", "par", "or", "loop")
SCOPED = ("border", "guard", "throw", "quiet", "again", "watch", "over")


@dataclass(frozen=True)
class Block:
    kind: str
    parts: tuple[Block, ...] = ()
    name: str = ""
    least: int = 1
    most: int | None = None


# --- languages, cut at `limit` letters


def concat(a: Iterable[Word], b: Iterable[Word], limit: int) -> Language:
    right = list(b)
    return frozenset(u + v for u in a for v in right if len(u) + len(v) <= limit)


def shuffle(a: Iterable[Word], b: Iterable[Word], limit: int) -> Language:
    right = list(b)
    fits = ((u, v) for u in a for v in right if len(u) + len(v) <= limit)
    return frozenset(w for u, v in fits for w in interleaved(u, v))


def interleaved(u: Word, v: Word) -> set[Word]:
    found = set()
    for places in combinations(range(len(u) + len(v)), len(u)):
        word = list(v)
        for place, letter in zip(places, u, strict=True):
            word.insert(place, letter)
        found.add(tuple(word))
    return found


def star(a: Language, limit: int, least: int = 0, most: int | None = None) -> Language:
    """At least and at most so many words of a in a row."""
    found: Language = frozenset()
    power, n = NOTHING, 0
    while most is None or n <= most:
        if n >= least:
            if power <= found:
                break
            found |= power
        power, n = concat(power, a, limit), n + 1
    return found


def any_of(languages: list[Language], limit: int) -> Language:
    """Any set of the languages but the empty one, shuffled."""
    found: Language = frozenset()
    for chosen in range(1, 2 ** len(languages)):
        together = NOTHING
        for i, language in enumerate(languages):
            together = shuffle(together, language, limit) if chosen >> i & 1 else together
        found |= together
    return found


def words(block: Block, limit: int) -> Language:  # noqa: C901, PLR0911, PLR0912 - one case a kind
    """All words of a block with at most `limit` letters."""
    inner = [words(part, limit) for part in block.parts]
    match block.kind:
        case "task":
            return frozenset({(block.name,)})
        case "sub" | "call":
            return inner[0]
        case "seq" | "link":
            return concat(*inner, limit)
        case "xor" | "events":
            return inner[0] | inner[1]
        case "par" | "loose":
            return shuffle(*inner, limit)
        case "or":
            return any_of(inner, limit)
        case "default":
            return any_of(inner[:-1], limit) | inner[-1]
        case "cond":
            return concat(inner[0], any_of(inner[1:], limit), limit)
        case "loop":
            return concat(inner[0], star(concat(inner[1], inner[0], limit), limit), limit)
        case "repeat":
            return star(inner[0], limit, block.least, block.most)
        case "twice":
            return shuffle(inner[0], inner[0], limit)
        case "border" | "guard":
            return inner[0] | concat(beginnings(block.parts[0], limit), inner[1], limit)
        case "throw":
            return inner[0] | concat(inner[0], inner[1], limit)
        case "tell":
            return concat(inner[0], shuffle(inner[1], inner[2], limit), limit)
        case "quiet":
            return shuffle(inner[0], inner[1] | NOTHING, limit)
        case "again" | "watch":
            return shuffle(inner[0], star(inner[1], limit), limit)
        case "over":
            return shuffle(beginnings(block.parts[0], limit), inner[1], limit)
    raise AssertionError(block.kind)


def beginnings(block: Block, limit: int) -> Language:  # noqa: PLR0911 - one case a kind
    """All beginnings, with at most `limit` letters, of words of a block (of the plain kinds)."""
    inner = [words(part, limit) for part in block.parts]
    begun = [beginnings(part, limit) for part in block.parts]
    match block.kind:
        case "task":
            return frozenset({(), (block.name,)})
        case "sub" | "call":
            return begun[0]
        case "seq" | "link":
            return begun[0] | concat(inner[0], begun[1], limit)
        case "xor" | "events":
            return begun[0] | begun[1]
        case "par":
            return shuffle(*begun, limit)
        case "or":
            return any_of(begun, limit)
        case "loop":
            rounds = star(concat(*inner, limit), limit)
            return concat(rounds, begun[0] | concat(inner[0], begun[1], limit), limit)
        case "repeat":
            most = None if block.most is None else block.most - 1
            return concat(star(inner[0], limit, 0, most), begun[0], limit)
    raise AssertionError(block.kind)


# --- random blocks


def random_block(random: Random, size: int, *, plain: bool = False) -> Block:
    """A block with about `size` tasks; `plain`: of kinds whose beginnings are known."""
    if size <= 1:
        task = Block("task", name=random.choice("abcdef"))
        kind = random.choice(["task", "task", "task", "repeat", "sub", "call"])
        if kind == "repeat":
            least, most = random.choice([(0, None), (1, None), (2, 2), (3, 3)])
            return Block("repeat", (task,), least=least, most=most)
        return task if kind == "task" else Block(kind, (task,))
    left = random.randint(1, size - 1)
    if not plain and random.random() < 0.5:
        return _scoped(random, left, size - left)
    kind = random.choice(BINARY)
    parts = [random_block(random, n, plain=plain) for n in (left, size - left)]
    return Block(kind, tuple(parts))


def _scoped(random: Random, left: int, right: int) -> Block:
    kind = random.choice([*SCOPED, "default", "cond", "twice", "loose", "tell"])
    tasks = [Block("task", name=random.choice("abcdef")) for _ in range(2)]
    body, other = (random_block(random, n, plain=True) for n in (left, right))
    match kind:
        case "loose":
            return Block(kind, tuple(tasks))
        case "twice":
            return Block(kind, (body,))
        case "default" | "tell":
            return Block(kind, (body, other, tasks[0]))
        case "cond":
            return Block(kind, (tasks[0], body, other))
        case "again":
            return Block(kind, (body, Block("seq", tuple(tasks))))
    return Block(kind, (body, other))


# --- as BPMN


@dataclass
class _Writer:
    """Elements of the scopes that are open, innermost last; `processes` are the called ones."""

    open: list[list[str]] = field(default_factory=lambda: [[]])
    processes: list[str] = field(default_factory=list)
    n: int = 0

    def id(self) -> str:
        self.n += 1
        return f"n{self.n}"

    def node(self, tag: str, inside: str = "", **attributes: str) -> str:
        key = self.id()
        said = "".join(f' {name}="{value}"' for name, value in attributes.items())
        self.open[-1].append(f'<{tag} id="{key}"{said}>{inside}</{tag}>')
        return key

    def flow(self, source: str, target: str, condition: str = "") -> str:
        return self.node("sequenceFlow", condition, sourceRef=source, targetRef=target)

    def inside(self, block: Block) -> str:
        """A scope's content as text."""
        self.open.append([])
        self.content(block)
        return "\n".join(self.open.pop())

    def sub(self, block: Block, more: str = "", **attributes: str) -> str:
        return self.node("subProcess", more + self.inside(block), name="S", **attributes)

    def content(self, block: Block) -> None:
        """Write a block from a start event to end events into the open scope."""
        if block.kind == "loose":
            for part in block.parts:
                self.block(part)
            return
        start = self.node("startEvent")
        if block.kind not in {*SCOPED, "tell"}:
            first, last = self.block(block)
            self.flow(start, first)
            self.end(last)
            return
        body, other = block.parts[0], block.parts[1]
        match block.kind:
            case "over":
                fork = self.node("parallelGateway")
                self.flow(start, fork)
                for part, ending in ((body, ""), (other, "<terminateEventDefinition/>")):
                    first, last = self.block(part)
                    self.flow(fork, first)
                    self.end(last, ending)
            case "guard" | "watch":
                first, last = self.block(body)
                self.flow(start, first)
                self.end(last)
                self.event_scope(other, "true" if block.kind == "guard" else "false")
            case _:
                host = self.host(block)
                self.flow(start, host)
                self.end(host)
                self.border(block, host)

    def end(self, last: str, trigger: str = "") -> None:
        self.flow(last, self.node("endEvent", trigger))

    def event_scope(self, block: Block, interrupting: str) -> None:
        self.open.append([])
        start = self.node("startEvent", "<messageEventDefinition/>", isInterrupting=interrupting)
        first, last = self.block(block)
        self.flow(start, first)
        self.end(last)
        inside = "\n".join(self.open.pop())
        self.node("subProcess", inside, triggeredByEvent="true")

    def host(self, block: Block) -> str:
        """What a boundary event stands on."""
        body = block.parts[0]
        if block.kind not in {"throw", "tell"}:
            return self.block(body)[0] if body.kind in {"task", "sub"} else self.sub(body)
        self.open.append([])
        start = self.node("startEvent")
        first, last = self.block(body)
        self.flow(start, first)
        if block.kind == "throw":
            way = self.node("exclusiveGateway")
            self.flow(last, way)
            self.end(way)
            self.end(way, '<errorEventDefinition errorRef="oops"/>')
        else:
            said = self.node("intermediateThrowEvent", "<escalationEventDefinition/>")
            self.flow(last, said)
            first, last = self.block(block.parts[1])
            self.flow(said, first)
            self.end(last)
        return self.node("subProcess", "\n".join(self.open.pop()))

    def border(self, block: Block, host: str) -> None:
        once = "<timeDuration>P1D</timeDuration>"
        trigger = {
            "throw": '<errorEventDefinition errorRef="oops"/>',
            "tell": "<escalationEventDefinition/>",
            "quiet": f"<timerEventDefinition>{once}</timerEventDefinition>",
        }.get(block.kind, "<messageEventDefinition/>")
        cancels = "true" if block.kind in {"border", "throw"} else "false"
        event = self.node("boundaryEvent", trigger, attachedToRef=host, cancelActivity=cancels)
        first, last = self.block(block.parts[-1])
        self.flow(event, first)
        self.end(last)

    def block(self, block: Block) -> tuple[str, str]:  # noqa: PLR0911 - one case a kind
        """Write a block into the open scope; return its first and its last node."""
        match block.kind:
            case "task":
                key = self.node("task", name=block.name)
                return key, key
            case "call":
                key = self.id()
                self.processes.append(
                    f'<process id="{key}">{self.inside(block.parts[0])}</process>'
                )
                key = self.node("callActivity", calledElement=key, name="C")
                return key, key
            case "sub":
                key = self.sub(block.parts[0])
                return key, key
            case "twice":
                number = "<loopCardinality>2</loopCardinality>"
                more = (
                    f"<multiInstanceLoopCharacteristics>{number}</multiInstanceLoopCharacteristics>"
                )
                key = self.sub(block.parts[0], more)
                return key, key
            case "repeat":
                key = self.node("task", _repetition(block), name=block.parts[0].name)
                return key, key
            case "seq" | "link":
                return self.sequence(block)
            case "loop":
                return self.loop(block)
            case "xor" | "events" | "par" | "or" | "default" | "cond":
                return self.gateways(block)
        key = self.sub(block)
        return key, key

    def sequence(self, block: Block) -> tuple[str, str]:
        (first, a), (b, last) = (self.block(part) for part in block.parts)
        if block.kind == "link":
            definition = f'<linkEventDefinition name="{a}"/>'
            self.flow(a, self.node("intermediateThrowEvent", definition))
            a = self.node("intermediateCatchEvent", definition)
        self.flow(a, b)
        return first, last

    def loop(self, block: Block) -> tuple[str, str]:
        merge, way = self.node("exclusiveGateway"), self.node("exclusiveGateway")
        (do, done), (redo, redone) = (self.block(part) for part in block.parts)
        for source, target in ((merge, do), (done, way), (way, redo), (redone, merge)):
            self.flow(source, target)
        return merge, way

    def gateways(self, block: Block) -> tuple[str, str]:
        merge = {"par": "parallelGateway", "xor": "exclusiveGateway", "events": "exclusiveGateway"}
        split = merge | {"events": "eventBasedGateway"}
        parts = block.parts
        if block.kind == "cond":
            fork, parts = self.block(parts[0])[0], parts[1:]
        else:
            fork = self.node(split.get(block.kind, "inclusiveGateway"))
        join = self.node(merge.get(block.kind, "inclusiveGateway"))
        condition = "<conditionExpression/>" if block.kind == "cond" else ""
        flow = ""
        for part in parts:
            first, last = self.block(part)
            if block.kind == "events":
                event = self.node("intermediateCatchEvent", "<messageEventDefinition/>")
                self.flow(event, first)
                first = event
            flow = self.flow(fork, first, condition)
            self.flow(last, join)
        if block.kind == "default":
            scope = self.open[-1]
            mark = f'<inclusiveGateway id="{fork}"'
            scope[:] = [text.replace(mark, f'{mark} default="{flow}"') for text in scope]
        return fork, join


def _repetition(block: Block) -> str:
    if block.most is None:
        return f'<standardLoopCharacteristics testBefore="{"false" if block.least else "true"}"/>'
    number = f"<loopCardinality> {block.most} </loopCardinality>"
    kind = 'isSequential="true"' if block.most % 2 else ""
    return f"<multiInstanceLoopCharacteristics {kind}>{number}</multiInstanceLoopCharacteristics>"


def to_bpmn(block: Block) -> bytes:
    """Write a model; what is called stands before the process that calls it."""
    writer = _Writer()
    inside = writer.inside(block)
    processes = [*writer.processes, f'<process id="main" name="Main">{inside}</process>']
    return f'<definitions xmlns="{NAMESPACE}">{"".join(processes)}</definitions>'.encode()
