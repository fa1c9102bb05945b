"""Declaring a field of a table once: its kind, allowed values, default, unit and meaning.

The declaration is kept in the metadata of the dataclass's field. The reader of study files, the checks of mechanisms,
the tables in the docs and the JSON Schema all take it from there.
"""

import dataclasses
import functools
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, TypeAlias, TypeVar

T = TypeVar("T", bound=type)


class Needed(Enum):
    """A marker for fields without a default: the user must give a value."""

    NEEDED = "needed"


NEEDED = Needed.NEEDED


@dataclass(frozen=True)
class Declared:
    """What one field of a table may be.

    Attributes:
        kind: ``number`` (finite), ``whole`` (an integer), ``word`` (one of a list), ``flag`` (true or false), ``text``,
            ``wholes`` (a list of integers), or ``table`` (one whose keys the user chooses).
        meaning: one line of help.
        default: the value when the field is left out; ``NEEDED``: it must be given; None: it has no value then.
        low, high: smallest and largest allowed number.
        unit: the unit of a number.
        words: the allowed values of a word; for a text, known values to suggest after a typing error.
        instead: words that may be written in place of a number, and the value that each stands for.
        pattern, form: what a text must look like, as a regular expression and in plain words.
        schema: the JSON Schema of a table.
        only: (another field, its values): this field may be given only while the other has one of these values.
        formerly: the field's former name, which is still taken, with a warning.
    """

    kind: Literal["number", "whole", "word", "flag", "text", "wholes", "table"]
    meaning: str = ""
    default: Any = None
    low: float = -float("inf")
    high: float = float("inf")
    unit: str = ""
    words: tuple[str, ...] = ()
    instead: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    pattern: str = ""
    form: str = ""
    schema: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    only: tuple[str, tuple[str, ...]] | None = None
    formerly: str = ""

    def problem(self, value: Any) -> str | None:
        """The end of an error message, to follow the field's name, if a number or a word is not allowed; else None.

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
        span = f"from {self.low:g} to {self.high:g}{f' {self.unit}' if self.unit not in ('', '-') else ''}"
        return f"= {value!r} must be a {'whole ' * whole}number {span}{meant(value, self.low, self.high, self.unit)}"


def meant(value: object, low: float, high: float, unit: str) -> str:
    """The end of an error message for a number outside its range that lies within it if meant in another unit, else "".

    >>> meant(45, 5e-9, 1e-7, "m"), meant(25, 77, 1000, "K"), meant(3, 5e-9, 1e-7, "m")
    (': 45 nm are 4.5e-08 m', ': 25 degrees Celsius are 298.15 K', '')
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or low <= value <= high or abs(value) > 1e30:
        return ""
    for name, factor, zero in _MEANT.get(unit, ()):
        if low <= value * factor + zero <= high:
            return f": {value:g} {name} are {value * factor + zero:.12g} {unit}"
    return ""


_MEANT: Mapping[str, tuple[tuple[str, float, float], ...]] = {
    "m": (("nm", 1e-9, 0.0),),
    "s": (("ns", 1e-9, 0.0), ("us", 1e-6, 0.0), ("ms", 1e-3, 0.0)),
    "V": (("mV", 1e-3, 0.0),),
    "eV": (("meV", 1e-3, 0.0),),
    "Hz": (("THz", 1e12, 0.0),),
    "K": (("degrees Celsius", 1.0, 273.15),),
    "1e26/m3": (("1/m3", 1e-26, 0.0), ("1/cm3", 1e-20, 0.0)),
}
"""By unit: other units in which its quantity is often given, their size, and the value of their zero."""


def declare(declared: Declared) -> Any:
    """A dataclass field that carries a declaration in its metadata and has its default."""
    metadata = {"declared": declared}
    if declared.default is NEEDED:
        return dataclasses.field(metadata=metadata)
    if isinstance(declared.default, dict):
        return dataclasses.field(default_factory=dict, metadata=metadata)
    return dataclasses.field(default=declared.default, metadata=metadata)


Words: TypeAlias = tuple[str, ...]


def number(
    default: float | Needed | None,
    low: float,
    high: float,
    unit: str = "",
    meaning: str = "",
    *,
    instead: Mapping[str, Any] | None = None,
    formerly: str = "",
) -> Any:
    """A dataclass field for a finite number within [low, high]."""
    field = Declared("number", meaning, default, low, high, unit, instead=instead or {}, formerly=formerly)
    return declare(field)


def whole(
    default: int | Needed | None,
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
    """The declarations of a dataclass's fields by name, in the order of the fields; undeclared fields are left out.

    >>> from vcm_sweep.device import Walk
    >>> declared(Walk)["clip"].high
    0.99
    """
    return {spec.name: spec.metadata["declared"] for spec in dataclasses.fields(cls) if "declared" in spec.metadata}


def takes_former_names(cls: T) -> T:
    """The dataclass, which takes its fields by their former names too: with a warning, and silently from a pickle."""
    names = {field.formerly: name for name, field in declared(cls).items() if field.formerly}
    own = cls.__init__  # type: ignore[misc]

    @functools.wraps(own)
    def init(self: Any, *values: Any, **given: Any) -> None:
        for former in names.keys() & given.keys():
            name = names[former]
            if name in given:
                raise TypeError(f"{cls.__name__}: {former} is the former name of {name}: give {name} alone")
            warn_of(former, name, cls.__name__)
            given[name] = given.pop(former)
        own(self, *values, **given)

    def setstate(self: Any, state: Mapping[str, Any]) -> None:
        vars(self).update({names.get(name, name): value for name, value in state.items()})

    cls.__init__ = init  # type: ignore[misc]
    cls.__setstate__ = setstate  # type: ignore[attr-defined]
    return cls


def warn_of(former: str, name: str, where: str) -> None:
    """Say that a field was given by its former name."""
    warnings.warn(f"{where}: {former} is named {name} now: write {name}", FutureWarning, stacklevel=3)
