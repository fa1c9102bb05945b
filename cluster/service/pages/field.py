"""A field of the form of a study: what it may hold, by the study's JSON Schema, and its value as a person writes it."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import tomlkit

from vcm_sweep.sweep.errors import StudyError, one_line
from vcm_sweep.sweep.study.editing import Place
from vcm_sweep.sweep.study.json_schema import Schema

Kind: TypeAlias = Literal["word", "flag", "number", "text", "list", "table"]

_UNIT = re.compile(r" \(([^()]+)\)$")


@dataclass(frozen=True)
class Field:
    """A field: its place in the study file, the schema of its value, and what is written there now.

    ``text``: the value as :func:`in_words` writes it, "" where the field is left out. ``problems``: what is wrong with
    it, in the words of the command line. ``needed``: whether it must be given.
    """

    place: Place
    schema: Schema
    text: str = ""
    needed: bool = False
    problems: tuple[str, ...] = ()

    @property
    def pointer(self) -> str:
        """The field's name in the page and in what the page sends: its place as a JSON pointer."""
        return pointer(self.place)

    @property
    def name(self) -> str:
        """The field's name in its table."""
        return str(self.place[-1])

    @property
    def kind(self) -> Kind:
        """How it is written."""
        return kind_of(self.schema)

    @property
    def words(self) -> tuple[str, ...]:
        """The words to choose from, or to suggest."""
        either = [self.schema, *self.schema.get("anyOf", ())]
        return tuple(str(word) for own in either for word in own.get("enum", ()))

    @property
    def unit(self) -> str:
        """The unit of a number, or ""."""
        found = _UNIT.search(self.schema.get("description", ""))
        return found[1] if found and self.kind == "number" and found[1] != "-" else ""

    @property
    def help(self) -> str:
        """What it is, in words."""
        words = str(self.schema.get("description", ""))
        return _UNIT.sub("", words) if self.kind == "number" else words

    @property
    def span(self) -> str:
        """The allowed numbers, in words, or "".

        >>> Field(("network", "lr"), {"type": "number", "minimum": 1e-09, "maximum": 100.0}).span
        '1e-09 to 100'
        """
        own = {key: value for part in (self.schema, *self.schema.get("anyOf", ())) for key, value in part.items()}
        own |= own.get("items", {}) if isinstance(own.get("items"), Mapping) else {}
        low, high = own.get("minimum"), own.get("maximum")
        return "" if low is None or high is None else f"{_plain(low)} to {_plain(high)}"

    @property
    def default(self) -> str:
        """The value that holds where the field is left out, or ""."""
        value = self.schema.get("default")
        return "" if value in (None, {}, []) and value is not False else in_words(value, self.kind)


def kind_of(schema: Schema) -> Kind:
    """How a value of this schema is written: a word chosen from a list, a number, several of them, or lines of TOML."""
    either = [own for own in schema.get("anyOf", ()) if "type" in own]
    if "enum" in schema:
        return "word"
    match (either[0] if either else schema).get("type"):
        case "boolean":
            return "flag"
        case "number" | "integer":
            return "number"
        case "array":
            return "list"
        case "object":
            return "table"
    return "text"


def pointer(place: Place) -> str:
    """A place as a JSON pointer.

    >>> pointer(("factor", 0, "name"))
    '/factor/0/name'
    """
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in place)


def place_of(text: str) -> Place:
    """The place that a JSON pointer names; a key of digits alone is a number in a list of tables.

    >>> place_of("/factor/0/name")
    ('factor', 0, 'name')
    """
    keys = [key.replace("~1", "/").replace("~0", "~") for key in text.split("/")[1:]]
    return tuple(int(key) if key.isascii() and key.isdigit() and len(key) < 6 else key for key in keys)


def in_words(value: Any, kind: Kind) -> str:
    """A value of a study file as it stands in the form; :func:`read` takes it back.

    >>> in_words([256, 128], "list")
    '256, 128'
    >>> in_words({"size": ["r.d2d.sigma"]}, "table")
    'size = ["r.d2d.sigma"]'
    """
    if value is None:
        return ""
    if kind == "table" and isinstance(value, Mapping):
        return "\n".join(f"{tomlkit.key(key).as_string()} = {_inline(own)}" for key, own in value.items())
    if isinstance(value, list):
        return ", ".join(map(str if all(map(_is_bare, value)) else _inline, value))
    return str(value) if isinstance(value, str) else _inline(value)


def read(text: str, kind: Kind, place: Place) -> Any:
    """The value that a person has written into a field. What is no number stays a text, for the reader to refuse it.

    Raises:
        StudyError: lines of a table that are not TOML.

    >>> read("0, 0.08", "list", ("factor", 0, "range"))
    [0, 0.08]
    """
    match kind:
        case "flag":
            return {"true": True, "false": False}.get(text, text)
        case "number":
            return _number(text)
        case "list":
            try:
                return tomllib.loads(f"a = [{text}]")["a"]
            except (ValueError, RecursionError):
                return [_number(part.strip()) for part in text.split(",")]
        case "table":
            try:
                lines = tomllib.loads(text)
            except (ValueError, RecursionError) as error:
                raise StudyError(f"[{'.'.join(map(str, place))}] not TOML: {one_line(error)}") from None
            table = tomlkit.table()
            for key, value in lines.items():
                table[key] = tomlkit.inline_table() | value if isinstance(value, dict) else value
            return table
    return text


def _number(text: str) -> Any:
    for read_as in (lambda: tomlkit.value(text), lambda: float(text)):
        try:
            value = read_as()
        except ValueError:
            continue
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
    return text


def _plain(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{tomlkit.key(key).as_string()} = {_inline(own)}' for key, own in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    # As it stands in the file: 1e-3 is not rewritten as 0.001.
    return str(value.as_string() if isinstance(value, tomlkit.items.Item) else tomlkit.item(value).as_string())


def _is_bare(value: Any) -> bool:
    """Whether a text of a list needs no quotes, since it cannot be read as anything else."""
    return isinstance(value, str) and bool(re.fullmatch(r"[A-Za-z_]\w*", value)) and value not in _VALUES


_VALUES = ("true", "false", "inf", "nan", "infinity", "Infinity", "NaN")
