import json
from pathlib import Path

import pytest

from lib.datastores.notes import PREVIOUS, check_note, read_list, rescued_list
from sequal.errors import SettingsError


def _nested(levels: int) -> dict[str, object]:
    note: dict[str, object] = {}
    for _ in range(levels):
        note = {"a": note}
    return note


def _listed(**objects: object) -> str:
    entries = {image: {"image": {"ext": ".png", "info": info}, "labels": {}} for image, info in objects.items()}
    return json.dumps({"name": "x", "description": "y", "images_dir": ".", "objects": entries})


@pytest.mark.parametrize(
    ("note", "words"),
    [
        ({"a": "\ud800"}, "surrogate"),
        ({"\udcff": 1}, "surrogate"),
        (_nested(220), "nested"),
        ({"a": [[[[{}]]]] * 3, "b": _nested(40)}, "nested"),
        ({"a": float("nan")}, "finite"),
        ({"a": [float("inf")]}, "finite"),
        ([], "JSON object"),
        ("text", "JSON object"),
        ({"a": "x" * (2 << 20)}, "bytes"),
    ],
)
def test_what_could_not_be_read_back_is_refused(note: object, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        check_note(note)


def test_a_note_at_the_limit_can_be_read_back(tmp_path: Path) -> None:
    note = _nested(30) | {"text": "é\u0000\U0001f600", "number": 10**400}
    check_note(note)
    (tmp_path / "list.json").write_text(_listed(a=note))
    assert read_list(tmp_path / "list.json").objects["a"].image.info == note


@pytest.mark.parametrize("damage", [r"\ud800", "[" * 150 + "]" * 150])
def test_one_unreadable_note_costs_no_other_one(tmp_path: Path, damage: str) -> None:
    value = damage if damage.startswith("[") else f'"{damage}"'
    whole = _listed(a={"who": "anna"}, b={"bad": 1}, c={"who": "ben"})
    text = whole.replace('"bad": 1', f'"who": "eva", "bad": {value}')
    file = tmp_path / "list.json"
    file.write_text(text)
    if "ud800" in damage:
        with pytest.raises(ValueError, match=r"surrogate|unicode|escape"):
            read_list(file)
    found = rescued_list(file).objects
    assert [found[image].image.info["who"] for image in "abc"] == ["anna", "eva", "ben"]


def test_a_cut_list_keeps_what_stands_before_the_cut_and_the_rest_from_the_file_before(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    whole = _listed(a={"number": 2}, b={"number": 2}, c={"number": 2})
    file.write_text(whole[: whole.index('"c"') - 4])
    file.with_name(file.name + PREVIOUS).write_text(_listed(a={"number": 1}, b={"number": 1}, c={"number": 1}))
    found = rescued_list(file).objects
    assert {image: entry.image.info["number"] for image, entry in found.items()} == {"a": 2, "b": 1, "c": 1}


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"\xff\xfe{", b'{"objects": 3}', b'{"objects": {"a": 3}}'])
def test_what_is_no_list_is_an_empty_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list.json").write_bytes(content)
    assert rescued_list(tmp_path / "list.json").objects == {}
