"""``Fields``: reads the fields of a study file's tables and checks each of them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from vcm_sweep.device.declared import NEEDED, Declared, meant, warn_of
from vcm_sweep.sweep.errors import Mistakes, StudyError
from vcm_sweep.sweep.nearest_names import did_you_mean


def brief(value: Any) -> str:
    """The value as Python writes it, cut after 80 characters.

    >>> brief(10**400)
    '10000000000000000000000000000000000000000000000000000000000000000000000000000...'
    """
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python writes no whole number of thousands of digits
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


class Fields:
    """One TOML table, read field by field; ``finish`` raises StudyError for keys that nobody has read.

    >>> fields = Fields({"n": 64}, "design")
    >>> fields.integer("n", low=1, high=1000)
    64
    >>> Fields({"n": 0}, "design").integer("n", low=1, high=1000)
    Traceback (most recent call last):
    ...
    vcm_sweep.sweep.errors.StudyError: [design] n = 0 must be a whole number from 1 to 1000
    """

    def __init__(self, table: Any, name: str) -> None:
        if not isinstance(table, Mapping):
            raise StudyError(f"[{name}] must be a table, not {brief(table)}")
        self._table = dict(table)
        self.given = set(self._table)
        self.name = name
        self._asked: list[str] = []

    def _take(self, key: str, default: Any) -> Any:
        self._asked.append(key)
        value = self._table.pop(key, default)
        if value is None:
            raise StudyError(f"[{self.name}] {key} is missing: give it")
        return value

    def all(self, declarations: Mapping[str, Declared], **defaults: Any) -> dict[str, Any]:
        """The values of all declared fields, in their order.

        Args:
            declarations: the declarations of the table's fields, by name.
            defaults: defaults that replace the declared ones.
        """
        values: dict[str, Any] = {}
        found = Mistakes()
        for key, field in declarations.items():
            with found.noted():
                if field.formerly and field.formerly in self._table:
                    self._rename(field.formerly, key)
                default = defaults.get(key, field.default)
                other, words = field.only or (key, ())
                left_out = field.only and values.get(other) not in words
                values[key] = default if left_out else self._one(key, field, default)
        found.tell()
        return values

    def exactly(self, declarations: Mapping[str, Declared], **defaults: Any) -> dict[str, Any]:
        """As :meth:`all`, for a table that has no other fields: as :meth:`finish` says."""
        found, values = Mistakes(), {}
        with found.noted():
            values = self.all(declarations, **defaults)
        with found.noted():
            self.finish()
        found.tell()
        return values

    def _rename(self, former: str, key: str) -> None:
        """Take a field that is given by its former name."""
        if key in self._table:
            raise StudyError(f"[{self.name}] {former} is the former name of {key}: keep {key} alone")
        warn_of(former, key, f"[{self.name}]")
        self._table[key] = self._table.pop(former)

    def _one(self, key: str, field: Declared, default: Any) -> Any:
        """The value of one field as it is declared."""
        default = None if default is NEEDED else default
        for word, value in field.instead.items():
            if self._table.get(key, word if default == value else default) == word:
                self._take(key, word)
                return value
        if default is None and field.default is None and key not in self._table:
            self._asked.append(key)
            return None
        match field.kind:
            case "number":
                return self.number(key, field.low, field.high, default, field.unit, field.instead)
            case "whole":
                return self.integer(key, int(field.low), int(field.high), default)
            case "word":
                return self.choice(key, field.words, default)
            case "flag":
                return self.flag(key, default)
            case "text":
                return self._formed(key, field, self.text(key, optional=default == ""))
            case "wholes":
                return tuple(self.integers(key, int(field.low), int(field.high), default))
            case "table":
                return self.table(key)

    def _formed(self, key: str, field: Declared, value: str) -> str:
        """The text, if it has the declared form; otherwise StudyError."""
        if value and field.pattern and not re.fullmatch(field.pattern, value, re.DOTALL):
            hint = did_you_mean(value, field.words)
            raise StudyError(f"[{self.name}] {key} = {brief(value)} must be {field.form}{hint and f'; {hint}'}")
        return value

    def number(
        self,
        key: str,
        low: float,
        high: float,
        default: float | None = None,
        unit: str = "",
        words: Iterable[str] = (),
    ) -> float:
        """A finite number within [low, high]; ``words`` may be given in its place, which errors say."""
        value = self._take(key, default)
        span = f"from {low:g} to {high:g}{f' {unit}' if unit not in ('', '-') else ''}"
        span += "".join(f", or {word!r}" for word in words) + meant(value, low, high, unit)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise StudyError(f"[{self.name}] {key} = {brief(value)} must be a number {span}")
        # Written so that NaN, which fails every comparison, is refused.
        if not low <= value <= high:
            raise StudyError(f"[{self.name}] {key} = {brief(value)} must be a finite number {span}")
        return float(value)

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number within [low, high]."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise StudyError(f"[{self.name}] {key} = {brief(value)} must be a whole number from {low} to {high}")
        return value

    def choice(self, key: str, allowed: Iterable[str], default: str | None = None) -> str:
        """One of the allowed words."""
        value = self._take(key, default)
        words = list(allowed)
        if value not in words:
            raise StudyError(f"[{self.name}] {key} = {brief(value)} must be one of {', '.join(map(repr, words))}")
        return str(value)

    def text(self, key: str, optional: bool = False) -> str:
        """A non-empty string, or "" if an optional one is missing."""
        if optional and key not in self._table:
            self._asked.append(key)
            return ""
        value = self._take(key, None)
        if not isinstance(value, str) or not value:
            raise StudyError(f"[{self.name}] {key} = {brief(value)} must be a non-empty string")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise StudyError(f"[{self.name}] {key} = {brief(value)} must be true or false")
        return value

    def integers(self, key: str, low: int, high: int, default: list[int] | None = None) -> list[int]:
        """A list of whole numbers within [low, high]."""
        value = self._take(key, default)
        good = isinstance(value, list) and all(
            isinstance(v, int) and not isinstance(v, bool) and low <= v <= high for v in value
        )
        if not good:
            raise StudyError(
                f"[{self.name}] {key} = {brief(value)} must be a list of whole numbers from {low} to {high}"
            )
        return list(value)

    def table(self, key: str) -> dict[str, Any]:
        """A sub-table, empty if missing."""
        value = self._take(key, {})
        if not isinstance(value, Mapping):
            raise StudyError(f"[{self.name}.{key}] must be a table, not {brief(value)}")
        return dict(value)

    def rest(self) -> dict[str, Any]:
        """The fields that have not been read yet. They count as read from then on: the caller must check them."""
        rest, self._table = self._table, {}
        return rest

    def finish(self, also: Iterable[str] = ()) -> None:
        """Raise StudyError for a key that has not been read, and suggest the known key nearest to it."""
        for key in self._table:
            known = [*self._asked, *also]
            hint = did_you_mean(key, known, f"known: {', '.join(known)}")
            raise StudyError(f"[{self.name}] unknown key {key!r}; {hint}")
