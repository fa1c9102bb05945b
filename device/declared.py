"""A field of a table declared once: what it may be, its default, unit and meaning.

Whoever reads a study file, checks a mechanism, prints a table of fields or writes a JSON Schema takes all of it from
here: the declaration stands in the metadata of the dataclass's field.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal


class Needed(Enum):
    """The default of a field that has none: it must be given."""

    NEEDED = "needed"


NEEDED = Needed.NEEDED


@dataclass(frozen=True)
class Declared:
    """What one field of a table may be.

    Attributes:
        kind: a finite number, a whole number, one of some words, true or false, a text, a list of whole numbers, or a
            table whose names are the user's.
        meaning: one line of help.
        default: what holds where it is not given; ``NEEDED``: it must be. None: nothing holds.
        low, high: smallest and largest number. open_low: whether low itself is too small.
        unit: of a number.
        words: that a word may be; of a text, those to be near to.
        instead: words that may stand instead of a number, and what each is read as.
        pattern, form: of a text, as a regular expression, and in words.
        schema: of a table, as a JSON Schema.
        only: (another field, the words of it with which this one may be given).
    """

    kind: Literal["number", "whole", "word", "flag", "text", "wholes", "table"]
    meaning: str = ""
    default: Any = None
    low: float = -float("inf")
    high: float = float("inf")
    open_low: bool = False
    unit: str = ""
    words: tuple[str, ...] = ()
    instead: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    pattern: str = ""
    form: str = ""
    schema: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    only: tuple[str, tuple[str, ...]] | None = None

    def problem(self, value: Any) -> str | None:
        """What is wrong with a number or a word, in words that follow its name; None where nothing is.

        >>> Declared("whole", low=1, high=8).problem(9)
        '= 9 must be a whole number from 1 to 8'
        """
        if self.kind == "word":
            allowed = self.words if self.default is not None else (*self.words, None)
            return None if value in allowed else f"= {value!r} must be one of {', '.join(map(repr, allowed))}"
        if self.kind not in ("number", "whole"):
            return None
        whole = self.kind == "whole"
        good = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if good and self.low <= value <= self.high:
            return None
        return f"= {value!r} must be a {'whole ' * whole}number from {self.low:g} to {self.high:g}"


def declare(declared: Declared) -> Any:
    """The dataclass field of a declaration."""
    metadata = {"declared": declared}
    if declared.default is NEEDED:
        return dataclasses.field(metadata=metadata)
    if isinstance(declared.default, dict):
        return dataclasses.field(default_factory=dict, metadata=metadata)
    return dataclasses.field(default=declared.default, metadata=metadata)


type Words = tuple[str, ...]


def number(
    default: float | Needed | None,
    low: float,
    high: float,
    unit: str = "",
    meaning: str = "",
    *,
    open_low: bool = False,
    instead: Mapping[str, Any] | None = None,
) -> Any:
    """A dataclass field for a finite number within [low, high]."""
    field = Declared("number", meaning, default, low, high, open_low, unit, instead=instead or {})
    return declare(field)


def whole(
    default: int | Needed,
    low: int,
    high: int,
    meaning: str = "",
    *,
    instead: Mapping[str, Any] | None = None,
    only: tuple[str, Words] | None = None,
) -> Any:
    """A dataclass field for a whole number within [low, high]."""
    return declare(Declared("whole", meaning, default, low, high, instead=instead or {}, only=only))


def word(
    words: Words,
    meaning: str = "",
    *,
    default: Any = "",
    only: tuple[str, Words] | None = None,
) -> Any:
    """A dataclass field for one of some words, the first by default."""
    default = words[0] if default == "" else default
    return declare(Declared("word", meaning, default, words=words, only=only))


def flag(meaning: str = "", default: bool = False) -> Any:
    """A dataclass field for true or false."""
    return declare(Declared("flag", meaning, default))


def text(
    default: str | Needed,
    meaning: str = "",
    *,
    words: Words = (),
    pattern: str = "",
    form: str = "",
) -> Any:
    """A dataclass field for a text that is not empty; "" by default where it may be left out."""
    return declare(Declared("text", meaning, default, words=words, pattern=pattern, form=form))


def table(schema: Mapping[str, Any], meaning: str = "") -> Any:
    """A dataclass field for a table whose names are the user's, empty by default."""
    return declare(Declared("table", meaning, {}, schema=schema))


def declared(cls: type) -> Mapping[str, Declared]:
    """The declarations of a dataclass's fields, by name and in their order; fields without one are left out.

    >>> from vcm_sweep.device import Walk
    >>> declared(Walk)["clip"].high
    0.99
    """
    return {spec.name: spec.metadata["declared"] for spec in dataclasses.fields(cls) if "declared" in spec.metadata}
