"""A drafted rule loads, and its examples are true: for every template, over several practices."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from typing import TYPE_CHECKING

import pytest

from csi.rulebook.new_rule import new_rule
from process_mining.errors import CodedError
from rules.catalogue import Catalogue, load_catalogue, run_examples
from rules.parameters import parameters
from rules.rule_file import verdicts_to_show
from rules.scaffold import draft
from rules.scaffold_file import file_text
from rules.template_notes import note
from rules.templates import templates

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

QUICK = ("at_most", "has_value", "responds_within", "resolves_within", "linked_record")


@cache
def catalogue() -> Catalogue:
    return load_catalogue()


def made(folder: Path, template: str, practice: str = "incident") -> Path:
    return new_rule("QQQ001", name=None, template=template, practice=practice, out=folder)


def require_sound(path: Path, template: str) -> None:
    """Load the file as a user's, and let both engines judge its examples by themselves."""
    found = load_catalogue([path.parent])
    rule = found.rule("QQQ001")
    assert rule.template == template
    shown = [example.verdict for example in rule.examples]
    assert shown == verdicts_to_show(templates()[template], rule.params)
    results = run_examples(found, ["QQQ001"])
    assert len(results) == len(shown)
    assert all(result.ok for result in results)


@pytest.mark.parametrize("template", QUICK)
def test_a_drafted_rule_holds(tmp_path: Path, template: str) -> None:
    path = made(tmp_path, template)
    require_sound(path, template)
    text = path.read_text("utf-8")
    for one in parameters(template):
        assert f"# {one.name}: " in text
        assert f"\n{'' if one.required else '# '}{one.name} = " in text or not one.required
    assert note(template).question in " ".join(text.replace("\n# ", " ").split())


@pytest.mark.trial
@pytest.mark.parametrize("template", sorted(templates()))
def test_every_template_can_be_drafted(tmp_path: Path, template: str) -> None:
    require_sound(made(tmp_path, template), template)


@pytest.mark.trial
@pytest.mark.parametrize("practice", sorted(load_catalogue().practices))
def test_every_practice_can_have_a_rule(tmp_path: Path, practice: str) -> None:
    require_sound(made(tmp_path, "precedes", practice), "precedes")


def test_what_is_commented_out_can_be_taken_in() -> None:
    """Every line of [params] that is commented out is TOML, and what it gives is accepted."""
    for template in ("precedes", "responds", "waits_at_most", "four_eyes"):
        text = file_text(draft("QQQ001", template, "incident", catalogue()), "rule.schema.json")
        (block,) = [part for part in text.split("\n[") if part.startswith("params]")]
        names = [one.name for one in parameters(template)]
        lines = [line.removeprefix("# ") for line in block.splitlines()[1:]]
        kept = [line for line in lines if line.split(" = ")[0] in names]
        raw = tomllib.loads("\n".join(kept))
        assert set(raw) == set(names)
        templates()[template].Params.model_validate_json(json.dumps(raw))


def test_a_draft_is_the_same_each_time() -> None:
    texts: Sequence[str] = [
        file_text(draft("QQQ001", "precedes", "problem", load_catalogue()), "x") for _ in range(2)
    ]
    assert texts[0] == texts[1]


def test_what_no_trace_can_show_is_said(tmp_path: Path) -> None:
    """Changes have no targets, so that none can be met."""
    with pytest.raises(
        CodedError, match="RU128 no small trace of practice 'change' shows"
    ) as caught:
        made(tmp_path, "meets_target", "change")
    assert "SLM001-response-target-missed.toml" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_texts_of_a_practice_cannot_end_a_text_of_the_file(tmp_path: Path) -> None:
    """A practice of one's own, whose words and owner are full of quotes."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "practice.toml").write_text(
        'name = "odd"\ntitle = "Odd"\nitil = \'Odd "practice"\'\nowner = \'The "owner"\\ \'\n'
        "version = 1\nvalid_from = 2000-01-01\n"
        "activities = ['Open \"it\"', \"Don't\", '\"\"\"', 'Back\\slash', '# no comment', 'End']\n"
        'ends = ["End"]\n'
    )
    path = new_rule(
        "QQQ001",
        name=None,
        template="precedes",
        practice="odd",
        out=tmp_path / "out",
        folders=[own],
    )
    found = load_catalogue([own, path.parent])
    assert found.rule("QQQ001").owner == 'The "owner"\\ '
    assert all(one.ok for one in run_examples(found, ["QQQ001"]))
