"""The form of a study, made from its JSON Schema, beside the text of its file: each follows the other."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import tomlkit

from vcm_sweep.cluster.service.pages.field import Field, in_words, kind_of, place_of, pointer, read
from vcm_sweep.cluster.service.pages.rules import needed, refused
from vcm_sweep.sweep.errors import StudyError, one_line
from vcm_sweep.sweep.study.catalogue import entry
from vcm_sweep.sweep.study.editing import Place, found, with_value, without
from vcm_sweep.sweep.study.json_schema import Schema, study_schema
from vcm_sweep.sweep.study.tables.toml_text import read_toml

_MOST_FIELDS = 40
"""A table of more fields shows those that are given, and the others are added: a condition may set 150."""

LONGEST = 100_000
"""Characters of a study that has a form: what keeps comments in place is slow."""

_FEW_FIELDS = 6
"""A table of so many fields shows all of them at once."""


@dataclass(frozen=True)
class Section:
    """A table of the study file in the form.

    Attributes:
        place: of the table. fields: its fields. sections: the tables inside it.
        more: what can be added to it: fields and tables that are not there.
        note: what its name stands for, of a factor. problems: what is wrong with it as a whole.
        removable: whether it may be taken out.
    """

    place: Place
    fields: tuple[Field, ...] = ()
    sections: tuple["Section", ...] = ()
    more: tuple[Place, ...] = ()
    note: str = ""
    problems: tuple[str, ...] = ()
    removable: bool = False

    @property
    def pointer(self) -> str:
        """Its name in the page: its place as a JSON pointer."""
        return pointer(self.place)

    @property
    def title(self) -> str:
        """Its name as the study file has it."""
        return titled(self.place)

    @property
    def naming(self) -> str:
        """The name that is given in it, for a factor or a condition."""
        listed = isinstance(self.place[-1], int) if self.place else False
        return next((field.text for field in self.fields if listed and field.name == "name"), "")

    @property
    def first(self) -> list[Field]:
        """The fields that are given or must be, and all of a table that has few."""
        few = len(self.fields) <= _FEW_FIELDS
        return [field for field in self.fields if few or field.text or field.needed or field.problems]

    @property
    def rest(self) -> list[Field]:
        """The other fields, which a reader unfolds."""
        return [field for field in self.fields if field not in self.first]

    @property
    def suggestions(self) -> set[tuple[str, ...]]:
        """The lists of words that its fields suggest."""
        return {field.words for field in all_fields(self) if field.words and field.kind != "word"}

    @property
    def adds(self) -> list[tuple[str, str]]:
        """What can be added: (pointer, name)."""
        return [(pointer(place), titled(place) if _is_table(place) else str(place[-1])) for place in self.more]


def form_of(text: str, mistakes: Sequence[str] = (), asked: Iterable[str] = ()) -> Section:
    """The form that shows a study file.

    Args:
        text: of the study file. mistakes: sentences of its reader, each put beside what it names.
        asked: pointers of fields to show though they are left out.

    Raises:
        StudyError: the text is not TOML.

    >>> form = form_of('[network]\\nlr = 1e-3')
    >>> [(field.name, field.text) for field in form.sections[1].fields][7:9]
    [('lr', '1e-3'), ('lr_step_epochs', '')]
    """
    document = parsed(text)
    form = _section((), study_schema_once(), document, [place_of(one) for one in asked], False)
    for mistake in mistakes:
        form = _told(form, place_of_mistake(mistake, document), mistake)
    return form


def parsed(text: str) -> tomlkit.TOMLDocument:
    """The text of a study file with its comments; StudyError where it is not TOML."""
    if len(text) > LONGEST:
        raise StudyError(f"the study has {len(text):,} characters, and no form is made of more than {LONGEST:,}")
    read_toml(text)  # in whose words the command line says what is wrong
    try:
        return tomlkit.parse(text)
    except (ValueError, RecursionError, tomlkit.exceptions.TOMLKitError) as error:
        raise StudyError(f"not TOML: {one_line(error)}") from None


def with_fields(text: str, sent: Mapping[str, str], seen: str = "") -> tuple[str, list[str]]:
    """The text with what the form sent, by pointers, and sentences of what cannot be written into it.

    Only what differs from what the form showed is changed, so that comments, order and notations stay. ``seen``: the
    text of which the form was made, where the text was changed at the same time.

    >>> with_fields("[network]\\nlr = 1e-3  # rate\\nepochs = 4\\n", {"/network/lr": "1e-3", "/network/epochs": "5"})
    ('[network]\\nlr = 1e-3  # rate\\nepochs = 5\\n', [])
    """
    parsed(text)
    document, mistakes = parsed(seen or text), []
    for name, raw in sent.items():
        place, written = place_of(name), raw.replace("\r\n", "\n").strip()
        schema = schema_at(place)
        if schema is None or "properties" in schema:
            raise StudyError(f"{name} is no field of a study")
        kind = kind_of(schema)
        now = found(document, place)
        if written == in_words(now, kind):
            continue
        try:
            text = without(text, place) if not written else with_value(text, place, read(written, kind, place))
        except StudyError as error:
            mistakes.append(str(error))
    return text, mistakes


def with_table(text: str, name: str) -> str:
    """The text with one more table at a pointer: an empty one, or one more of a list."""
    place = place_of(name)
    if not _is_table(place):
        raise StudyError(f"{name} is no table of a study")
    document = parsed(text)
    schema = schema_at(place)
    if schema is not None and schema.get("type") == "array":
        listed = found(document, place)
        return with_value(text, (*place, len(listed) if isinstance(listed, list) else 0), {})
    return text if found(document, place) is not None else with_value(text, place, {})


def without_table(text: str, name: str) -> str:
    """The text without the table at a pointer."""
    place = place_of(name)
    if not place or schema_at(place) is None:
        raise StudyError(f"{name} is no table of a study")
    parsed(text)
    return without(text, place)


def schema_at(place: Place) -> Schema | None:
    """The schema of what is at a place; None where a study has nothing.

    >>> schema_at(("factor", 0, "tail"))["default"]
    0.001
    """
    schema: Any = study_schema_once()
    for key in place:
        schema = schema.get("items") if isinstance(key, int) else schema.get("properties", {}).get(key)
        if not isinstance(schema, Mapping):
            return None
    return dict(schema)


@cache
def study_schema_once() -> Schema:
    """The schema of a study file, made once."""
    return study_schema()


def titled(place: Place) -> str:
    """The name of a table as the study file has it.

    >>> titled(("factor", 0)), titled(("device", "d2d", "r")), titled(("condition",))
    ('[[factor]] 1', '[device.d2d.r]', '[[condition]]')
    """
    schema = schema_at(place) or {}
    if schema.get("type") == "array":
        return f"[[{place[-1]}]]"
    if place and isinstance(place[-1], int):
        return f"[[{place[-2]}]] {place[-1] + 1}"
    return f"[{'.'.join(str(key) for key in place)}]"


def place_of_mistake(mistake: str, document: Mapping[str, Any]) -> Place:
    """The place that a sentence of the reader names, as closely as it says; () where it names none.

    >>> place_of_mistake("[factor 2: r.d2d.sigma] high = 'a' must be a number from 0 to 10", {})
    ('factor', 1, 'range')
    """
    condition = re.match(r"condition '([^']*)': ?", mistake)
    names = [row.get("name") for row in document.get("condition", ()) if isinstance(row, Mapping)]
    way: tuple[str | int, ...] = ("condition", names.index(condition[1])) if condition and condition[1] in names else ()
    rest = mistake[condition.end() :] if condition else mistake
    if table := re.match(r"\[\[?([^\]]*)\]\]? ?", rest):
        rest = rest[table.end() :]
        if numbered := re.match(r"(factor|condition) (\d+)", table[1]):
            way = (numbered[1], int(numbered[2]) - 1)
        elif table[1] != "top level":
            way = (*way, *table[1].split("."))
    key = re.match(r"[A-Za-z_0-9.]*", rest)[0]  # type: ignore[index]
    key = "range" if key in ("low", "high") and "factor" in way else key
    return (*way, key) if key and schema_at((*way, key)) is not None else way


def _section(place: Place, schema: Schema, table: Any, asked: list[Place], removable: bool) -> Section:
    """The part of the form for one table, and for the tables in it."""
    given = table if isinstance(table, Mapping) else {}
    hidden = refused(schema, given)
    fields: list[Field] = []
    sections: list[Section] = []
    more: list[Place] = []
    asked_for = needed(schema, given)
    many = sum("properties" not in own for own in schema.get("properties", {}).values()) > _MOST_FIELDS
    for name, own in schema.get("properties", {}).items():
        where = (*place, name)
        value = given.get(name)
        if own.get("deprecated") or (name in hidden and value is None):
            continue
        if own.get("type") == "array" and own["items"].get("type") == "object":
            rows = value if isinstance(value, list) else []
            sections += [_section((*where, at), own["items"], row, asked, True) for at, row in enumerate(rows)]
            more.append(where)
        elif "properties" in own:
            inner = _section(where, own, value, asked, name not in asked_for)
            if not inner.fields:  # a table of tables alone, as [device.d2d]
                sections += inner.sections
                more += inner.more
            elif value is not None or name in asked_for:
                sections.append(inner)
            else:
                more.append(where)
        elif value is None and many and name not in asked_for and not own.get("description") and where not in asked:
            more.append(where)
        else:
            fields.append(Field(where, own, in_words(value, kind_of(own)), name in asked_for))
    note = _of_factor(given.get("name")) if place[:1] == ("factor",) else ""
    return Section(place, tuple(fields), tuple(sections), tuple(more), note, removable=removable)


def _of_factor(name: Any) -> str:
    known = entry(name) if isinstance(name, str) else None
    if known is None:
        return ""
    values = ", ".join(known.words) if known.words else f"{known.low:g} to {known.high:g}"
    return f"{known.meaning}: {values}{f' {known.unit}' if known.unit not in ('', '-') else ''}"


def _told(section: Section, place: Place, mistake: str) -> Section:
    """The section with a mistake beside the innermost thing that its place is in."""
    for at, field in enumerate(section.fields):
        if _within(place, field.place):
            told = replace(field, problems=(*field.problems, mistake))
            return replace(section, fields=(*section.fields[:at], told, *section.fields[at + 1 :]))
    for at, inner in enumerate(section.sections):
        if _within(place, inner.place):
            sections = (*section.sections[:at], _told(inner, place, mistake), *section.sections[at + 1 :])
            return replace(section, sections=sections)
    return replace(section, problems=(*section.problems, mistake))


def _within(place: Place, outer: Place) -> bool:
    return tuple(place[: len(outer)]) == tuple(outer)


def _is_table(place: Place) -> bool:
    schema = schema_at(place) or {}
    return bool(place) and ("properties" in schema or schema.get("items", {}).get("type") == "object")


def all_fields(section: Section) -> Iterator[Field]:
    """All fields of a section and of those in it."""
    yield from section.fields
    for inner in section.sections:
        yield from all_fields(inner)
