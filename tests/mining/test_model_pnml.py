"""PNML as the standard and the common tools write it; what is refused, and with which code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mining.small_bpmn import DATA, bpmn, codes_of, language

from process_mining.errors import CodedError
from process_mining.interop import to_pm4py_net
from process_mining.model import ReferenceModel, read_model

if TYPE_CHECKING:
    from pathlib import Path

ISO = 'xmlns="http://www.pnml.org/version-2009/grammar/pnml"'
PTNET = "http://www.pnml.org/version-2009/grammar/ptnet"


def net(inside: str, *, kind: str = PTNET, head: str = ISO, name: str = "") -> bytes:
    title = f"<name><text>{name}</text></name>" if name else ""
    return f'<pnml {head}><net id="n" type="{kind}">{title}{inside}</net></pnml>'.encode()


def place(key: str, tokens: int = 0) -> str:
    marked = f"<initialMarking><text>{tokens}</text></initialMarking>" if tokens else ""
    return f'<place id="{key}"><name><text>P {key}</text></name>{marked}</place>'


def transition(key: str, name: str = "", more: str = "") -> str:
    label = f"<name><text>{name}</text></name>" if name else ""
    return f'<transition id="{key}">{label}{more}</transition>'


def arcs(*ends: str) -> str:
    pairs = (end.split(">") for end in " ".join(ends).split())
    return "".join(f'<arc id="{a}-{b}" source="{a}" target="{b}"/>' for a, b in pairs)


def final(marking: str) -> str:
    return f"<finalmarkings>{marking}</finalmarkings>"


def marking(**tokens: int) -> str:
    held = (f'<place idref="{k}"><text>{n}</text></place>' for k, n in tokens.items())
    return f"<marking>{''.join(held)}</marking>"


LINE = place("p", 1) + transition("t", "a") + place("q") + arcs("p>t t>q")
INVISIBLE = '<toolspecific tool="ProM" version="6.4" activity="$invisible$" localNodeID="x"/>'


def runs(source: bytes, limit: int = 5) -> set[str]:
    return {"".join(w) for w in language(ReferenceModel.from_pnml(source).automaton, limit)}


def errors_of(source: bytes) -> CodedError:
    with pytest.raises(CodedError) as caught:
        ReferenceModel.from_pnml(source)
    return caught.value


def test_a_line() -> None:
    model = ReferenceModel.from_pnml(net(LINE, name="My net"))
    assert (model.name, model.soundness, model.activities) == ("My net", "not checked", ("a",))
    assert model.net.places == ("place 'P p' (p)", "place 'P q' (q)")
    assert (model.net.initial, model.net.final) == ((1, 0), (0, 1))
    named = ReferenceModel.from_pnml(net(LINE), name="Given", version="3")
    assert (named.name, named.version) == ("Given", "3")


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        (PTNET, ISO),
        ("http://www.pnml.org/version-2009/grammar/pnmlcoremodel", ""),
        ("http://www.informatik.hu-berlin.de/top/pntd/ptNetb", ""),
        ("http://www.yasper.org/specs/epnml-1.1", ""),
        ("P/T net", ""),
        ("", ISO),
    ],
)
def test_names_of_the_type(kind: str, head: str) -> None:
    assert runs(net(LINE, kind=kind, head=head)) == {"a"}


def test_older_files_say_value_and_silent_transitions_are_marked_or_nameless() -> None:
    inside = (
        place("p").replace("</place>", "<initialMarking><value>1</value></initialMarking></place>")
        + transition("t", "a")
        + place("q")
        + transition("u", "tau 1", INVISIBLE)
        + place("r")
        + transition("v")
        + place("z")
        + arcs("p>t t>q q>u u>r r>v v>z")
    )
    assert runs(net(inside)) == {"a"}
    silent = [t.label for t in ReferenceModel.from_pnml(net(inside)).net.transitions]
    assert silent == ["a", None, None]


def test_weights_and_many_tokens() -> None:
    inside = (
        place("p", 3)
        + transition("t", "a")
        + place("q")
        + '<arc id="x" source="p" target="t"/><arc id="y" source="t" target="q">'
        "<inscription><text>2</text></inscription></arc>"
        + transition("u", "b")
        + '<arc id="z" source="q" target="u"><inscription><text>6</text></inscription></arc>'
        + place("r")
        + arcs("u>r")
    )
    assert runs(net(inside)) == {"aaab"}


def test_final_marking_of_the_file_counts() -> None:
    two = LINE + transition("u", "b") + place("r") + arcs("q>u u>r")
    assert runs(net(two)) == {"ab"}
    assert runs(net(two + final(marking(q=1, r=0)))) == {"a"}
    assert runs(net(two + final(marking(q=0, r=1)))) == {"ab"}


def test_without_tokens_the_only_source_begins() -> None:
    assert runs(net(LINE.replace("<initialMarking><text>1</text></initialMarking>", ""))) == {"a"}


def test_pages_are_laid_together_by_references() -> None:
    first = f'<page id="one">{place("p", 1)}{transition("t", "a")}{place("q")}{arcs("p>t t>q")}'
    first += "</page>"
    second = (
        '<page id="two"><page id="three"><referencePlace id="rq" ref="rr"/></page>'
        '<referencePlace id="rr" ref="q"/>'
        f"{transition('u', 'b')}{place('z')}{arcs('rq>u u>z')}</page>"
    )
    assert runs(net(first + second)) == {"ab"}
    lost = net(first + second.replace('ref="q"', 'ref="rq"'))
    assert "MO145" in codes_of(errors_of(lost))


def test_guards_are_not_evaluated() -> None:
    guard = "<guard>__import__('os').system('touch /tmp/owned')</guard>"
    inside = place("p", 1) + transition("t", "a", guard) + place("q") + arcs("p>t t>q")
    assert runs(net(inside)) == {"a"}


def test_dead_ends_of_a_mined_net_are_left_out_and_an_unbounded_one_is_refused() -> None:
    trap = LINE + transition("u", "b") + place("x") + arcs("p>u u>x x>v") + transition("v", "c")
    assert runs(net(trap + place("y") + arcs("v>y") + final(marking(q=1)))) == {"a"}
    endless = LINE + transition("u", "b") + arcs("p>u u>p u>q")
    error = errors_of(net(endless))
    assert error.code == "MO201"
    assert "gather without end on place 'P q' (q)" in error.what
    assert "'b'" in error.why
    assert errors_of(net(LINE + final(marking(p=1, q=1)))).code == "MO203"


@pytest.mark.parametrize(
    ("inside", "codes", "named"),
    [
        (LINE + place("p"), ["MO143"], "<place id='p'> has the id of line 1"),
        (LINE + "<place/>", ["MO143"], "has no id"),
        (LINE + "<declaration/>", ["MO144"], "<declaration>"),
        (LINE + place("c").replace("</place>", "<hlinitialMarking/></place>"), ["MO144"], "hlini"),
        (
            LINE + place("c").replace("</place>", "<capacity><value>2</value></capacity></place>"),
            ["MO144"],
            "<capacity> in <place id='c'>",
        ),
        (LINE + arcs("p>q"), ["MO151"], "from 'p' (place) to 'q' (place)"),
        (LINE + arcs("p>gone"), ["MO151"], "'gone' (nothing)"),
        (LINE.replace(">1<", ">many<"), ["MO146", "MO150"], "'many'"),
        (LINE.replace(">1<", ">999999999999<"), ["MO146"], "from 0 to 1,000"),
        (
            LINE + '<arc id="i" source="q" target="t"><type value="inhibitor"/></arc>',
            ["MO147"],
            "of the type 'inhibitor'",
        ),
        (
            LINE + '<arc id="i" source="q" target="t"><arctype><text>reset</text></arctype></arc>',
            ["MO147"],
            "of the type 'reset'",
        ),
        (
            LINE
            + '<arc id="i" source="q" target="t"><inscription><text>0</text></inscription></arc>',
            ["MO146"],
            "from 1 to 1,000",
        ),
        (LINE + final(marking(q=1) + marking(p=1)), ["MO148"], "2 final markings"),
        (LINE + place("z"), ["MO149"], "2 places without an arc out of them"),
        (LINE + final(marking(gone=1)), ["MO149"], "'gone'"),
        (place("p") + place("q"), ["MO150", "MO149"], "no initial marking"),
    ],
)
def test_refusals(inside: str, codes: list[str], named: str) -> None:
    error = errors_of(net(inside))
    assert set(codes_of(error)) >= {codes[0]}
    assert named in str(error)


@pytest.mark.parametrize("kind", ["symmetricnet", "highlevelnet", "pt-hlpng", "hlpn"])
def test_high_level_nets_are_refused(kind: str) -> None:
    source = net(LINE, kind=f"http://www.pnml.org/version-2009/grammar/{kind}")
    error = errors_of(source)
    assert error.code == "MO144"
    assert kind in error.what


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"<definitions/>", "MO140"),
        (b"<pnml/>", "MO142"),
        (b'<pnml><net id="a"/><net id="b"/></pnml>', "MO142"),
        (b"<pnml>", "MO101"),
        (b'<!DOCTYPE pnml [<!ENTITY a "b">]><pnml/>', "MO102"),
    ],
)
def test_what_is_no_net(data: bytes, code: str) -> None:
    assert errors_of(data).code == code


def test_hostile_file() -> None:
    path = DATA / "hostile" / "xml" / "bomb.pnml"
    if not path.exists():
        pytest.skip(f"{path} is missing")
    with pytest.raises(CodedError, match="MO102"):
        read_model(path)


def test_deep_pages_and_long_references() -> None:
    depth = 20_000
    pages = "".join(f'<page id="g{i}">' for i in range(depth)) + LINE + "</page>" * depth
    assert runs(net(pages)) == {"a"}
    chain = "".join(f'<referencePlace id="r{i}" ref="r{i + 1}"/>' for i in range(depth))
    inside = LINE + chain + f'<referencePlace id="r{depth}" ref="q"/>'
    inside += transition("u", "b") + place("z") + arcs("r0>u u>z")
    assert runs(net(inside)) == {"ab"}


def test_the_root_element_tells_the_format(tmp_path: Path) -> None:
    path = tmp_path / "any.xml"
    path.write_bytes(net(LINE))
    assert read_model(path).activities == ("a",)
    with pytest.raises(CodedError, match=r"MO141 any\.xml is a Petri net"):
        read_model(path, process="p")
    path.write_bytes(bpmn("s:startEvent:, t:task:T, e:endEvent:", "s>t t>e"))
    assert read_model(path, name="N").activities == ("T",)
    path.write_bytes(b"<html/>")
    with pytest.raises(CodedError, match="MO104"):
        read_model(path)
    with pytest.raises(CodedError, match="MO100"):
        read_model(tmp_path / "none.pnml")


@pytest.mark.parametrize("name", ["A.2.0", "C.9.1", "C.9.2", "C.5.0"])
def test_a_net_written_by_pm4py_comes_back_with_its_language(name: str, tmp_path: Path) -> None:
    from pm4py.objects.petri_net.exporter import exporter  # noqa: PLC0415 - lazy: slow import

    source = DATA / "models" / "miwg_reference" / f"{name}.bpmn"
    if not source.exists():
        pytest.skip(f"{source} is missing")
    model = ReferenceModel.from_bpmn(source)
    theirs, initial, last = to_pm4py_net(model)
    path = tmp_path / "net.pnml"
    exporter.apply(theirs, initial, str(path), final_marking=last)
    again = ReferenceModel.from_pnml(path)
    assert again.automaton.n_states == model.automaton.n_states
    assert language(again.automaton, 5) == language(model.automaton, 5)
