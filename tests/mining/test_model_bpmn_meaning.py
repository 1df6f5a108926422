"""What each BPMN element means for the runs of a model, by small examples worked out by hand."""

from __future__ import annotations

import tracemalloc
from time import perf_counter
from xml.sax.saxutils import quoteattr

import pytest
from mining.small_bpmn import LINE, NAMESPACE, bpmn, codes_of, error_of, language

from process_mining.errors import CodedError
from process_mining.model import ReferenceModel


def runs(source: bytes, limit: int = 6, process: str | None = None) -> set[str]:
    model = ReferenceModel.from_bpmn(source, process=process)
    return {"".join(word) for word in language(model.automaton, limit)}


def scope(nodes: str, flows: str, *, more: str = "") -> str:
    """The inside of a sub-process, as `bpmn` writes a process."""
    text = bpmn(nodes, flows, more=more).decode()
    return text[text.index('name="P">') + 9 : text.index("</process>")]


def event(key: str, tag: str, trigger: str, **attributes: str) -> str:
    said = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f'<{tag} id="{key}"{said}><{trigger}EventDefinition/></{tag}>'


def border(key: str, host: str, trigger: str, *, interrupts: bool = True) -> str:
    cancels = "true" if interrupts else "false"
    return event(key, "boundaryEvent", trigger, attachedToRef=host, cancelActivity=cancels)


def flow(source: str, target: str, inside: str = "") -> str:
    key = f"{source}-{target}"
    return (
        f'<sequenceFlow id="{key}" sourceRef="{source}" targetRef="{target}">{inside}'
        "</sequenceFlow>"
    )


# --- beginnings and ends


def test_one_of_several_start_events_begins() -> None:
    nodes = "s:startEvent:, t:startEvent:, a:task:a, b:task:b, e:endEvent:"
    assert runs(bpmn(nodes, "s>a t>b a>e b>e")) == {"a", "b"}


def test_without_a_start_event_all_loose_nodes_begin_together() -> None:
    nodes = "a:task:a, b:task:b, j:parallelGateway:, c:task:c"
    assert runs(bpmn(nodes, "a>j b>j j>c")) == {"abc", "bac"}


def test_instantiating_receive_tasks_and_gateways_begin_one_at_a_time() -> None:
    more = (
        '<receiveTask id="r" name="r" instantiate="true"/>'
        '<eventBasedGateway id="g" instantiate="true"/>'
        '<receiveTask id="v" name="v"/><receiveTask id="w" name="w"/>'
    )
    flows = "s>a a>e r>e g>v g>w v>e w>e"
    assert runs(bpmn("s:startEvent:, a:task:a, e:endEvent:", flows, more=more)) == set("arvw")


def test_terminate_takes_the_other_tokens_of_its_scope_and_no_more() -> None:
    nodes = "s:startEvent:, g:parallelGateway:, a:task:a, b:task:b, e:endEvent:"
    more = event("t", "endEvent", "terminate")
    whole = bpmn(nodes, "s>g g>a g>b a>e b>t", more=more)
    assert runs(whole) == {"b", "ab", "ba"}
    inner = f'<subProcess id="sub">{scope(nodes, "s>g g>a g>b a>e b>t", more=more)}</subProcess>'
    inner = inner.replace('"s"', '"si"').replace('"e"', '"ei"').replace("s-g", "si-g")
    outer = "s:startEvent:, f:parallelGateway:, c:task:c, j:parallelGateway:, e:endEvent:"
    found = runs(bpmn(outer, "s>f f>sub f>c sub>j c>j j>e", more=inner))
    assert found == {
        "bc",
        "cb",
        *(w for x in ("ab", "ba") for w in (f"c{x}", f"{x}c", f"{x[0]}c{x[1]}")),
    }


def test_an_end_that_no_other_token_can_survive_is_a_plain_end() -> None:
    nodes = "s:startEvent:, x:exclusiveGateway:, a:task:a, b:task:b, e:endEvent:"
    more = event("t", "endEvent", "terminate")
    model = ReferenceModel.from_bpmn(bpmn(nodes, "s>x x>a x>b a>e b>t", more=more))
    assert len(model.net.places) == 5  # one a flow


def test_an_error_that_nothing_catches_ends_the_process() -> None:
    nodes = "s:startEvent:, g:parallelGateway:, a:task:a, e:endEvent:"
    inner = scope("si:startEvent:, b:task:b", "si>b b>x", more=event("x", "endEvent", "error"))
    more = f'<subProcess id="sub">{inner}</subProcess>'
    # the sub-process cannot be completed, so its own way out is refused as never passed
    nodes += ", c:task:c"
    error = error_of(bpmn(nodes, "s>g g>a g>sub a>e sub>c c>e", more=more))
    assert codes_of(error) == ["MO205"]
    assert "task 'c'" in str(error)


# --- gateways


def test_inclusive_gateway_with_a_way_out_between_split_and_join() -> None:
    nodes = (
        "s:startEvent:, o:inclusiveGateway:, a:task:a, b:task:b, x:exclusiveGateway:,"
        "j:inclusiveGateway:, c:task:c, e:endEvent:, f:endEvent:"
    )
    source = bpmn(nodes, "s>o o>a o>b a>x x>j x>f b>j j>c c>e")
    # a alone may leave or join; b alone joins; both: c once, before it waits until a has decided
    assert runs(source) == {"a", "ac", "bc", "abc", "bac"}


def test_inclusive_gateway_does_not_wait_for_what_must_pass_it_first() -> None:
    nodes = (
        "s:startEvent:, j:inclusiveGateway:, a:task:a, x:exclusiveGateway:, b:task:b, e:endEvent:"
    )
    assert runs(bpmn(nodes, "s>j j>a a>x x>b b>j x>e"), 5) == {"a", "aba", "ababa"}


def test_two_inclusive_joins_that_wait_for_each_other_are_a_deadlock() -> None:
    nodes = (
        "s:startEvent:, g:parallelGateway:, i:inclusiveGateway:I, j:inclusiveGateway:J, x:task:x,"
        "y:task:y, k:exclusiveGateway:, l:exclusiveGateway:, e:endEvent:"
    )
    error = error_of(bpmn(nodes, "s>g g>i g>j i>x x>k k>j k>e j>y y>l l>i l>e"))
    assert error.code == "MO205"
    assert "inclusiveGateway 'I'" in str(error)


def test_default_flow_is_taken_alone() -> None:
    nodes = "s:startEvent:, a:task:a, b:task:b, c:task:c, j:inclusiveGateway:, e:endEvent:"
    more = '<inclusiveGateway id="o" default="o-c"/>'
    source = bpmn(nodes, "s>o o>a o>b o>c a>j b>j c>j j>e", more=more)
    assert runs(source) == {"a", "b", "ab", "ba", "c"}


def test_conditional_flows_out_of_a_task_besides_a_plain_one() -> None:
    nodes = "s:startEvent:, a:task:a, b:task:b, c:task:c, j:inclusiveGateway:, e:endEvent:"
    more = flow("a", "b", "<conditionExpression/>")
    assert runs(bpmn(nodes, "s>a a>c b>j c>j j>e", more=more)) == {"ac", "abc", "acb"}


def test_too_many_ways_out_of_an_inclusive_gateway() -> None:
    tasks = [f"t{i}" for i in range(11)]
    nodes = f"{LINE}, o:inclusiveGateway:Any, j:inclusiveGateway:," + ",".join(
        f"{t}:task:{t}" for t in tasks
    )
    flows = "s>o j>t t>e " + " ".join(f"o>{t} {t}>j" for t in tasks)
    error = error_of(bpmn(nodes, flows))
    assert error.code == "MO122"
    assert "'Any' (o) may choose any of 11 flows" in error.what


def test_link_events_are_a_flow() -> None:
    link = '<{0} id="{1}"><linkEventDefinition name="L"/></{0}>'
    more = link.format("intermediateThrowEvent", "i") + link.format("intermediateCatchEvent", "k")
    nodes = "s:startEvent:, a:task:a, b:task:b, e:endEvent:"
    assert runs(bpmn(nodes, "s>a a>i k>b b>e", more=more)) == {"ab"}
    lost = more.replace('"L"', '"M"', 1)
    error = error_of(bpmn(nodes, "s>a a>i k>b b>e", more=lost))
    assert codes_of(error) == ["MO119"]
    assert "link 'M' of intermediateThrowEvent 'i' leads to 0" in error.what


# --- borders


def test_an_interrupted_task_may_have_left_its_event() -> None:
    nodes = "s:startEvent:, a:task:a, b:task:b, c:task:c, e:endEvent:"
    source = bpmn(nodes, "s>a a>b x>c b>e c>e", more=border("x", "a", "timer"))
    assert runs(source) == {"ab", "c", "ac"}


def test_an_error_event_on_a_border_without_a_throw_inside_may_happen_any_time() -> None:
    inner = scope("si:startEvent:, a:task:a, b:task:b, ei:endEvent:", "si>a a>b b>ei")
    more = f'<subProcess id="sub">{inner}</subProcess>{border("x", "sub", "error")}'
    source = bpmn("s:startEvent:, c:task:c, e:endEvent:", "s>sub sub>e x>c c>e", more=more)
    assert runs(source) == {"ab", "c", "ac", "abc"}


def thrown(code: str) -> str:
    return f'<endEvent id="x{code}"><errorEventDefinition errorRef="q:{code}"/></endEvent>'


def test_errors_go_to_the_border_with_their_code_over_several_levels() -> None:
    inner = scope("si:startEvent:, w:exclusiveGateway:, a:task:a", "si>a a>w w>xP w>xQ w>ei")
    inner += thrown("P") + thrown("Q") + '<endEvent id="ei"/>'
    caught = (
        '<boundaryEvent id="{0}" attachedToRef="{1}"><errorEventDefinition{2}/></boundaryEvent>'
    )
    middle = (
        f'<startEvent id="sm"/><subProcess id="in">{inner}</subProcess><endEvent id="em"/>'
        + caught.format("bP", "in", ' errorRef="P"')
        + '<task id="tp" name="p"/>'
        + flow("sm", "in")
        + flow("in", "em")
        + flow("bP", "tp")
        + flow("tp", "em")
    )
    more = f'<subProcess id="out">{middle}</subProcess>' + caught.format("any", "out", "")
    nodes = "s:startEvent:, q:task:q, e:endEvent:"
    errors = '<error id="P" errorCode="no"/><error id="Q" errorCode="other"/>'
    source = bpmn(nodes, "s>out out>e any>q q>e", more=more, layout=errors)
    assert runs(source) == {"a", "ap", "aq"}


def test_an_escalation_end_event_is_caught_beside_the_rest() -> None:
    inner = scope(
        "si:startEvent:, g:parallelGateway:, a:task:a, b:task:b, ei:endEvent:",
        "si>g g>a g>b a>xe b>ei",
        more=event("xe", "endEvent", "escalation"),
    )
    more = f'<subProcess id="sub">{inner}</subProcess>'
    nodes = "s:startEvent:, c:task:c, e:endEvent:, f:endEvent:"
    beside = border("x", "sub", "escalation", interrupts=False)
    found = runs(bpmn(nodes, "s>sub sub>e x>c c>f", more=more + beside))
    assert found == {"abc", "acb", "bac"}
    instead = border("x", "sub", "escalation")
    error = error_of(bpmn(nodes, "s>sub sub>e x>c c>f", more=more + instead))
    assert codes_of(error) == ["MO205"]  # it always throws, so it is never completed
    source = bpmn("s:startEvent:, c:task:c", "s>sub sub>c x>c", more=more + instead)
    assert runs(source) == {"ac", "bac", "abc"}


def test_event_that_does_not_interrupt_and_joins_the_main_way_happens_once() -> None:
    nodes = "s:startEvent:, a:task:a, c:task:c, e:endEvent:"
    beside = border("x", "a", "message", interrupts=False)
    assert runs(bpmn(nodes, "s>a a>c x>c c>e", more=beside)) == {"ac", "cac", "acc"}


def test_a_timer_that_repeats_happens_again_and_one_that_does_not_once() -> None:
    nodes = "s:startEvent:, a:task:a, c:task:c, e:endEvent:, f:endEvent:"
    beside = border("x", "a", "timer", interrupts=False)
    once = runs(bpmn(nodes, "s>a a>e x>c c>f", more=beside), 3)
    assert once == {"a", "ac", "ca"}
    cycle = beside.replace(
        "<timerEventDefinition/>",
        "<timerEventDefinition><timeCycle>R/P1D</timeCycle></timerEventDefinition>",
    )
    assert runs(bpmn(nodes, "s>a a>e x>c c>f", more=cycle), 3) == once | {"acc", "cac", "cca"}


def test_an_event_sub_process_catches_an_error_of_its_scope() -> None:
    start = '<startEvent id="si"><errorEventDefinition/></startEvent>'
    handler = start + scope("h:task:h, ei:endEvent:", "si>h h>ei")
    more = f'<subProcess id="sub" triggeredByEvent="true">{handler}</subProcess>'
    more += event("x", "endEvent", "error")
    nodes = "s:startEvent:, g:parallelGateway:, a:task:a, b:task:b, e:endEvent:"
    found = runs(bpmn(nodes, "s>g g>a g>b a>e b>x", more=more))
    assert found == {"bh", "abh", "bah"}


def test_an_event_sub_process_needs_one_start_event() -> None:
    more = f'<subProcess id="sub" triggeredByEvent="true">{scope("h:task:h, i:task:i", "h>i")}'
    error = error_of(bpmn(LINE, "s>t t>e", more=f"{more}</subProcess>"))
    assert codes_of(error) == ["MO110"]
    assert "event sub-process subProcess 'sub' has 0 start events" in error.what


def test_a_sub_process_that_only_begins_leaves_nothing() -> None:
    more = '<subProcess id="sub"><startEvent id="si"/></subProcess>'
    source = bpmn("s:startEvent:, a:task:a, e:endEvent:", "s>sub sub>a a>e", more=more)
    assert runs(source) == {"a"}


def test_a_sub_process_without_content_is_a_task_of_its_name() -> None:
    more = '<subProcess id="sub" name="x"/><transaction id="tr" name="y"/>'
    assert runs(bpmn("s:startEvent:, e:endEvent:", "s>sub sub>tr tr>e", more=more)) == {"xy"}


def test_a_cancelled_transaction_goes_on_from_its_border() -> None:
    nodes = "si:startEvent:, x:exclusiveGateway:, a:task:a, ei:endEvent:"
    inner = scope(nodes, "si>x x>a a>ei x>ce", more=event("ce", "endEvent", "cancel"))
    more = f'<transaction id="tr">{inner}</transaction>{border("cb", "tr", "cancel")}'
    source = bpmn("s:startEvent:, c:task:c, e:endEvent:", "s>tr tr>e cb>c c>e", more=more)
    assert runs(source) == {"a", "c"}


def test_border_on_what_is_no_activity_here() -> None:
    error = error_of(bpmn(LINE, "s>t t>e b>e", more=border("b", "e", "timer")))
    assert codes_of(error) == ["MO120"]
    assert "boundaryEvent 'b' stands on 'e', no activity here" in error.what


# --- repetition


MANY = "<multiInstanceLoopCharacteristics{}>{}</multiInstanceLoopCharacteristics>"


@pytest.mark.parametrize(
    ("characteristics", "expected"),
    [
        (MANY.format("", ""), {"a", "aa", "aaa"}),
        (MANY.format(' isSequential="true"', ""), {"a", "aa", "aaa"}),
        (MANY.format("", "<loopCardinality>2</loopCardinality>"), {"aa"}),
        (MANY.format("", "<loopCardinality>n + 1</loopCardinality>"), {"a", "aa", "aaa"}),
        (
            MANY.format("", "<loopCardinality>2</loopCardinality><completionCondition/>"),
            {"a", "aa"},
        ),
        ("<standardLoopCharacteristics/>", {"a", "aa", "aaa"}),
        ('<standardLoopCharacteristics testBefore="true"/>', {"", "a", "aa", "aaa"}),
    ],
)
def test_repeated_tasks(characteristics: str, expected: set[str]) -> None:
    more = f'<task id="a" name="a">{characteristics}</task>'
    assert runs(bpmn("s:startEvent:, e:endEvent:", "s>a a>e", more=more), 3) == expected


def test_parallel_instances_of_a_sub_process_overlap_two_at_a_time() -> None:
    inner = scope("si:startEvent:, a:task:a, b:task:b, ei:endEvent:", "si>a a>b b>ei")
    more = f'<subProcess id="sub">{MANY.format("", "")}{inner}</subProcess>'
    found = runs(bpmn("s:startEvent:, e:endEvent:", "s>sub sub>e", more=more))
    pairs = {"abab", "aabb"}
    three = {"ababab", "aabbab", "abaabb", "aababb"}
    assert found == {"ab"} | pairs | three  # not aaabbb: three at a time
    early = MANY.format("", "<completionCondition/>")
    found = runs(bpmn("s:startEvent:, e:endEvent:", "s>sub sub>e", more=more.replace(
        MANY.format("", ""), early)), 4)  # fmt: skip
    assert found == {"ab", "aab", "aba"} | pairs


# --- calls, pools, policy


CALLS = (
    f'<definitions xmlns="{NAMESPACE}">'
    '<collaboration id="c"><participant id="q" name="Desk" processRef="p"/>'
    '<participant id="r" name="Customer"/>'
    '<messageFlow id="m" sourceRef="q" targetRef="r"/></collaboration>'
    '<process id="p" name="Main">{p}</process><process id="k" name="Callee">{k}</process>'
    "{more}</definitions>"
)
CALLEE = (
    '<startEvent id="ks"/><task id="ka" name="a"/><endEvent id="ke"/>'
    f"{flow('ks', 'ka')}{flow('ka', 'ke')}"
)


def calling(target: str) -> str:
    call = f'<callActivity id="call" name="c" calledElement="{target}"/>'
    return f'<startEvent id="s"/>{call}<endEvent id="e"/>{flow("s", "call")}{flow("call", "e")}'


def test_a_process_of_the_file_is_called_in_and_any_other_is_a_task() -> None:
    assert runs(CALLS.format(p=calling("q:k"), k=CALLEE, more="").encode()) == {"a"}
    other = CALLS.format(p=calling("gone"), k=CALLEE, more='<globalTask id="gone"/>').encode()
    assert runs(other, process="Main") == {"c"}
    empty = CALLS.format(p=calling("k"), k="", more="").encode()
    assert runs(empty) == {"c"}


def test_calls_in_a_circle_are_refused() -> None:
    circle = calling("p").replace('"s"', '"ks"').replace('"e"', '"ke"').replace('"call"', '"kc"')
    circle = circle.replace("s-call", "kf").replace("call-e", "kg")
    source = CALLS.format(p=calling("k"), k=circle, more="").encode()
    with pytest.raises(CodedError, match="MO117") as caught:
        ReferenceModel.from_bpmn(source, process="Main")
    error = caught.value
    assert "'p' calls 'k' calls 'p'" in error.what


def test_which_process_is_meant() -> None:
    two = CALLS.format(p=CALLEE.replace('"k', '"').replace("ks-ka", "f").replace("ka-ke", "g")
                       .replace('name="a"', 'name="x"'), k=CALLEE, more="")  # fmt: skip
    error = error_of(two.encode())
    assert error.code == "MO109"
    assert "'Desk' or 'Main' or 'p'; 'Callee' or 'k'" in error.what
    assert "--process" in error.fix
    for name, found in (("Desk", "x"), ("Main", "x"), ("p", "x"), ("Callee", "a"), ("k", "a")):
        assert runs(two.encode(), process=name) == {found}
    with pytest.raises(CodedError, match=r"MO109 .* none of them named 'Cale'.*'Callee'"):
        ReferenceModel.from_bpmn(two.encode(), process="Cale")
    marked = two.replace('<process id="k"', '<process id="k" isExecutable="true"')
    assert runs(marked.encode()) == {"a"}


def test_what_is_passed_over() -> None:
    more = (
        '<dataObject id="d"/><dataObjectReference id="dr" dataObjectRef="d"/>'
        '<dataStoreReference id="ds"/><textAnnotation id="n"><text>N</text></textAnnotation>'
        '<association id="as" sourceRef="t" targetRef="n"/><group id="gr"/><property id="pr"/>'
        '<userTask id="u" name="U"><ioSpecification><inputSet/></ioSpecification>'
        "<dataInputAssociation/><potentialOwner/><extensionElements><z/></extensionElements>"
        "</userTask>"
    )
    rest = (
        '<itemDefinition id="it"/><message id="me"/><signal id="si"/><error id="er"/>'
        '<resource id="re"/><dataStore id="da"/><category id="ca"/><interface id="if"/>'
        '<collaboration id="co"><conversationLink/></collaboration>'
        '<messageEventDefinition id="med"/>'
        '<import importType="x"/><relationship/>'
    )
    source = bpmn("s:startEvent:, t:task:T, e:endEvent:", "s>t t>u u>e", more=more, layout=rest)
    assert runs(source) == {"TU"}


def test_event_definitions_may_stand_at_the_top_of_the_file() -> None:
    nodes = "s:startEvent:, g:parallelGateway:, a:task:a, b:task:b, e:endEvent:"
    more = '<endEvent id="t"><eventDefinitionRef>stop</eventDefinitionRef></endEvent>'
    top = '<terminateEventDefinition id="stop"/>'
    found = runs(bpmn(nodes, "s>g g>a g>b a>e b>t", more=more, layout=top))
    assert found == {"b", "ab", "ba"}


# --- soundness


def wide(n: int) -> bytes:
    tasks = [f"t{i}" for i in range(n)]
    nodes = f"{LINE}, g:parallelGateway:, h:parallelGateway:," + ",".join(
        f"{t}:task:{t}" for t in tasks
    )
    return bpmn(nodes, "s>t t>g h>e " + " ".join(f"g>{t} {t}>h" for t in tasks))


def test_a_model_too_large_to_be_explored_is_accepted_and_says_so() -> None:
    model = ReferenceModel.from_bpmn(wide(8), budget=200)
    assert model.soundness == "unproven beyond 200 states"
    assert ReferenceModel.from_bpmn(wide(8)).soundness == "sound"
    assert ReferenceModel.from_net(model.net).soundness == "not checked"
    assert model.hide(["t0"]).soundness == model.soundness


def test_no_automaton_of_a_model_that_is_too_large() -> None:
    model = ReferenceModel.from_bpmn(wide(17))
    assert model.soundness == "unproven beyond 100,000 states"
    assert not model.explorable
    with pytest.raises(CodedError, match="MO202"):
        _ = model.automaton


def test_a_deadlock_within_the_budget_is_found_in_a_model_beyond_it() -> None:
    tasks = [f"t{i}" for i in range(9)]
    nodes = (
        f"{LINE}, g:parallelGateway:, h:parallelGateway:, x:exclusiveGateway:, j:parallelGateway:,"
        "u:task:U," + ",".join(f"{t}:task:{t}" for t in tasks)
    )
    flows = "s>x x>t x>u t>g h>e u>j t0>j j>h " + " ".join(f"g>{t}" for t in tasks)
    flows += " " + " ".join(f"{t}>h" for t in tasks[1:])
    with pytest.raises(CodedError, match="MO204 After 'U' the end cannot be reached"):
        ReferenceModel.from_bpmn(bpmn(nodes, flows), budget=300)


def test_an_unsound_sub_process_is_refused_with_its_run() -> None:
    inner = scope(
        "si:startEvent:, x:exclusiveGateway:, a:task:a, b:task:b, j:parallelGateway:Both,"
        "ei:endEvent:",
        "si>x x>a x>b a>j b>j j>ei",
    )
    more = f'<subProcess id="sub" name="Deep">{inner}</subProcess>'
    error = error_of(bpmn("s:startEvent:, e:endEvent:", "s>sub sub>e", more=more))
    assert error.code == "MO205"
    assert "parallelGateway 'Both' (j)" in error.what


def test_an_unbounded_sub_process_is_refused_with_its_loop() -> None:
    nodes = (
        "si:startEvent:, x:exclusiveGateway:, t:task:T, g:parallelGateway:, u:task:U, ei:endEvent:"
    )
    more = f'<subProcess id="sub">{scope(nodes, "si>x x>t t>g g>x g>u u>ei")}</subProcess>'
    error = error_of(bpmn("s:startEvent:, e:endEvent:", "s>sub sub>e", more=more))
    assert error.code == "MO201"
    assert "Repeating 'T'" in error.why


def test_gathering_tokens_beside_a_terminate_event_are_told_as_a_suspicion() -> None:
    nodes = "s:startEvent:, x:exclusiveGateway:, t:task:T, g:parallelGateway:, u:task:U"
    error = error_of(
        bpmn(nodes, "s>x x>t t>g g>x g>u u>z", more=event("z", "endEvent", "terminate"))
    )
    assert error.code == "MO121"
    assert "Repeating 'T' adds a token" in error.why


# --- hostile size


def test_ten_thousand_gateways_in_a_row() -> None:
    n = 10_000
    nodes = f"{LINE}," + ",".join(f"g{i}:exclusiveGateway:" for i in range(n))
    flows = "s>t t>g0 " + " ".join(f"g{i}>g{i + 1}" for i in range(n - 1)) + f" g{n - 1}>e"
    tracemalloc.start()
    model = ReferenceModel.from_bpmn(bpmn(nodes, flows))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert model.automaton.n_states == n + 3
    assert peak < 200e6


def test_ten_thousand_parallel_branches() -> None:
    began = perf_counter()
    assert ReferenceModel.from_bpmn(wide(10_000)).soundness.startswith("unproven beyond")
    assert perf_counter() - began < 20


def test_a_gateway_of_many_flows_in_and_out() -> None:
    n = 300
    nodes = f"{LINE}, x:exclusiveGateway:, y:exclusiveGateway:, z:exclusiveGateway:," + ",".join(
        f"{k}{i}:task:{k}{i}" for k in "ab" for i in range(n)
    )
    ways = (f"x>a{i} a{i}>y y>b{i} b{i}>z" for i in range(n))
    model = ReferenceModel.from_bpmn(bpmn(nodes, "s>t t>x z>e " + " ".join(ways)))
    assert len(model.net.transitions) < 10 * n


def test_deep_nesting_is_refused() -> None:
    depth = 60
    inner = scope("a:task:a, b:task:b", "a>b")
    for i in range(depth):
        inner = f'<subProcess id="d{i}">{inner}</subProcess>'
    error = error_of(
        bpmn("s:startEvent:, e:endEvent:", f"s>d{depth - 1} d{depth - 1}>e", more=inner)
    )
    assert "MO118" in codes_of(error)
    assert "more than 40 levels deep" in str(error)


def test_calls_that_double_at_every_level_are_bounded() -> None:
    levels = 30
    processes = []
    for i in range(levels):
        calls = "".join(
            f'<callActivity id="c{i}{k}" name="c" calledElement="p{i + 1}"/>' for k in "ab"
        )
        ways = flow(f"s{i}", f"c{i}a") + flow(f"c{i}a", f"c{i}b") + flow(f"c{i}b", f"e{i}")
        ends = f'<startEvent id="s{i}"/><endEvent id="e{i}"/>'
        processes.append(f'<process id="p{i}">{ends}{calls}{ways}</process>')
    source = f'<definitions xmlns="{NAMESPACE}">{"".join(processes)}</definitions>'
    began = perf_counter()
    assert error_of(source.encode()).code in {"MO118", "MO121"}
    assert perf_counter() - began < 20


def test_many_border_events_are_bounded() -> None:
    events = "".join(border(f"x{i}", "t", "timer", interrupts=False) for i in range(40))
    flows = "s>t t>e " + " ".join(f"x{i}>e" for i in range(40))
    error = error_of(bpmn(LINE, flows, more=events))
    assert error.code == "MO121"
    assert "40 border events" in error.what


@pytest.mark.parametrize("name", ["a b", "ä#0", "</x>", "flow 'f'", "x" * 5000])
def test_odd_ids(name: str) -> None:
    key = quoteattr(name)
    inside = (
        f'<startEvent id="s"/><endEvent id="e"/><task id={key} name="a"/>'
        f'<sequenceFlow id="f" sourceRef="s" targetRef={key}/>'
        f'<sequenceFlow id="g" sourceRef={key} targetRef="e"/>'
    )
    source = f'<definitions xmlns="{NAMESPACE}"><process id="p">{inside}</process></definitions>'
    assert runs(source.encode()) == {"a"}
