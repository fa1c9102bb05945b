"""The form of a study: it has every field of the schema, follows the text and leads it, and places mistakes."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from vcm_sweep.cluster.service.pages.field import Field, in_words, kind_of, place_of, pointer, read
from vcm_sweep.cluster.service.pages.form import (
    Section,
    all_fields,
    form_of,
    schema_at,
    study_schema_once,
    with_fields,
    with_table,
)
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.editing import found
from vcm_sweep.sweep.study.sections import BY_NAME, CELL, MECHANISMS, PLAIN
from vcm_sweep.sweep.study.study import Study

from ....studies import TINY

FILES = sorted(Path("studies").glob("*.toml"))


def field(text: str, name: str, mistakes: tuple[str, ...] = ()) -> Field:
    return next(own for own in all_fields(form_of(text, mistakes)) if own.pointer == name)


def pointers(section: Section) -> set[str]:
    return {own.pointer for own in all_fields(section)}


def addable(section: Section) -> Iterator[str]:
    yield from (pointer for pointer, _ in section.adds)
    for inner in section.sections:
        yield from addable(inner)


def leaves(schema: dict[str, Any], place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place of the schema that holds a value."""
    for name, own in schema["properties"].items():
        if own.get("deprecated"):
            continue
        if "properties" in own:
            yield from leaves(own, (*place, name))
        elif own.get("type") == "array" and "properties" in own["items"]:
            yield from leaves(own["items"], (*place, name, 0))
        else:
            yield (*place, name)


def empty_tables(schema: dict[str, Any]) -> dict[str, Any]:
    """Every table of the schema, with nothing in it but tables."""
    made: dict[str, Any] = {}
    for name, own in schema["properties"].items():
        if "properties" in own:
            made[name] = empty_tables(own)
        elif own.get("type") == "array" and "properties" in own["items"]:
            made[name] = [empty_tables(own["items"])]
    return made


def test_every_field_of_the_schema_is_shown_once_its_table_is_there() -> None:
    form = form_of(tomlkit.dumps(empty_tables(study_schema_once())))
    every = {pointer(place) for place in leaves(study_schema_once())}
    assert len(every) > 800
    # Fields that go with another one's word alone are shown with it: see the next test.
    missing = {name for name in every - pointers(form) - set(addable(form)) if not name.startswith("/factor/0/")}
    with_others = {"/design/baseline", "/design/conditions", "/design/levels", "/design/arms"}
    assert {name for name in missing if not name.endswith("/settings")} == with_others


def test_tables_are_added_one_after_the_other() -> None:
    text = TINY
    inner = "/device/intervention/nominal"
    for name in ("/device", "/device/d2d/r", "/device/intervention", inner, f"{inner}/stuck", "/factor"):
        assert name in set(addable(form_of(text)))
        text = with_table(text, name)
    assert {"/device/d2d/r/sigma", "/device/intervention/nominal/stuck/total"} <= pointers(form_of(text))
    assert tomllib.loads(text)["factor"] == [*tomllib.loads(TINY)["factor"], {}]
    assert with_table(text, "/device/d2d/r") == text


@pytest.mark.parametrize(
    ("table", "other", "word", "shown"),
    [
        ("factor/0", "distribution", "norm", {"mean", "sd"}),
        ("factor/0", "distribution", "lognorm", {"median", "sigma"}),
        ("factor/0", "distribution", "triang", {"peak"}),
        ("factor/0", "distribution", "beta", {"a", "b"}),
        ("factor/0", "distribution", "discrete", {"values", "probabilities"}),
        ("factor/0", "distribution", "categorical", {"choices", "probabilities"}),
        ("design", "method", "morris", {"levels"}),
        ("design", "method", "limits", {"arms"}),
        ("design", "method", "conditions", {"baseline", "conditions"}),
        ("device", "aihwkit", "SoftBoundsDevice", {"settings"}),
    ],
)
def test_fields_that_go_with_a_word_are_shown_with_it_alone(table: str, other: str, word: str, shown: set[str]) -> None:
    before = with_table(TINY, "/device")
    after = with_fields(before, {f"/{table}/{other}": word})[0]
    names = {f"/{table}/{name}" for name in shown}
    assert not names & pointers(form_of(before))
    assert names <= pointers(form_of(after))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_form_that_is_sent_back_unchanged_changes_no_letter(path: Path) -> None:
    text = path.read_text()
    sent = {own.pointer: own.text.replace("\n", "\r\n") for own in all_fields(form_of(text))}
    assert with_fields(text, sent) == (text, [])


def test_fields_carry_the_words_ranges_units_and_defaults_that_are_declared() -> None:
    text = with_table(with_table(with_table(TINY, "/device"), "/device/d2d/r"), "/device/stuck")
    shown = {own.pointer: own for own in all_fields(form_of(text))}
    declared = {("network", name): own for name, own in PLAIN["network"].items()}
    declared |= {("device", name): own for name, own in CELL.items()}
    declared |= {("device", "stuck", name): own for name, own in MECHANISMS["stuck"].items()}
    declared |= {("device", "d2d", "r", name): own for name, own in BY_NAME["d2d"][1].items()}
    compared = 0
    for place, own in declared.items():
        if own.formerly or pointer(place) not in shown:
            continue
        made = shown[pointer(place)]
        assert own.meaning.startswith(made.help)
        if own.kind == "number":
            compared += 1
            assert made.unit == own.unit.replace("-", "") or own.unit not in ("", "-")
            if own.high < 1e30:
                assert made.span == f"{own.low:g} to {own.high:g}"
            assert made.default == "" or float(made.default) == own.default
        if own.kind == "word":
            assert made.words == own.words
    assert compared > 25


@pytest.mark.parametrize(
    ("old", "new", "beside"),
    [
        ("lr = 0.02", 'lr = "quick"', "/network/lr"),
        ("lr = 0.02", "", "/network/lr"),
        ("batch = 32", "batch = 0", "/network/batch"),
        ("range = [0.0, 0.08]", "range = [0.08, 0.0]", "/factor/0/range"),
        ("range = [0.0, 0.05]", 'range = [0.0, "a"]', "/factor/1/range"),
        ("range = [0.0, 0.05]", "", "/factor/1/range"),
        ("n = 4", "n = 5", "/design/n"),
        ('name = "tiny"', 'name = "-"', "/study/name"),
        ("n = 4", "n = 4\n[device.d2d.r]\nsigma = -1", "/device/d2d/r/sigma"),
        ("n = 4", 'n = 4\n[design.groups]\nsize = ["nothing"]', "/design/groups"),
        ("epochs = 1", "epochs = 1\nepochen = 2", "/network"),
        ('name = "r.d2d.sigma"', 'name = "r.d2d"', "/factor/0"),
        ("[design]", "[designs]\nx = 1\n[design]", ""),
    ],
)
def test_a_mistake_stands_beside_what_it_names(old: str, new: str, beside: str) -> None:
    text = TINY.replace(old, new)
    with pytest.raises(StudyError) as caught:
        Study.from_text(text)
    mistakes = getattr(caught.value, "mistakes", [str(caught.value)])
    form = form_of(text, mistakes)
    told = {own.pointer: own.problems for own in all_fields(form) if own.problems}

    def sections(section: Section) -> Iterator[Section]:
        yield section
        for inner in section.sections:
            yield from sections(inner)

    told |= {own.pointer: own.problems for own in sections(form) if own.problems}
    assert told == {beside: tuple(mistakes)}


def test_mistakes_of_a_condition_stand_in_it() -> None:
    text = TINY[: TINY.index("[[factor]]")] + '[design]\nmethod = "conditions"\nbaseline = "a"\n'
    text += '[[condition]]\nname = "a"\n[[condition]]\nname = "b"\n[condition.network]\nlr = "x"\n'
    with pytest.raises(StudyError) as caught:
        Study.from_text(text)
    assert field(text, "/condition/1/network/lr", (str(caught.value),)).problems == (str(caught.value),)


@given(st.recursive(
    st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3), max_leaves=4,
))  # fmt: skip
def test_lists_and_numbers_come_back_as_they_are_shown(value: Any) -> None:
    if isinstance(value, list):
        assert read(in_words(value, "list"), "list", ("a",)) == value
    elif isinstance(value, int | float):
        assert read(in_words(value, "number"), "number", ("a",)) == value
    assert read(in_words({"k y": value}, "table"), "table", ("a",)) == {"k y": value}


@given(st.sampled_from(["/network/lr", "/study/name", "/network/hidden", "/factor/0/range", "/design/groups",
                        "/device/dw_min", "/factor/1/distribution", "/design/n"]), st.text(max_size=20))  # fmt: skip
def test_whatever_is_typed_the_text_stays_a_study_file(name: str, typed: str) -> None:
    text, mistakes = with_fields(TINY, {name: typed})
    tables = tomllib.loads(text)
    if mistakes:
        assert text == TINY
        assert mistakes[0].startswith("[design.groups] not TOML: ")
    form = form_of(text)
    assert with_fields(text, {own.pointer: own.text for own in all_fields(form)}) in ((text, []),)
    if typed.strip() and kind_of(schema_at(place_of(name)) or {}) == "text":
        assert found(tables, place_of(name)) == typed.replace("\r\n", "\n").strip()


def test_what_is_no_field_or_no_table_is_refused_by_name() -> None:
    with pytest.raises(StudyError, match=r"^/network/nothing is no field of a study$"):
        with_fields(TINY, {"/network/nothing": "1"})
    with pytest.raises(StudyError, match=r"^/network is no field of a study$"):
        with_fields(TINY, {"/network": "1"})
    with pytest.raises(StudyError, match=r"^/network/lr is no table of a study$"):
        with_table(TINY, "/network/lr")
