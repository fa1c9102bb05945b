"""Reads TOML, and refuses early what would cost its readers minutes, or their stack."""

import tomllib
from typing import Any

from vcm_sweep.sweep.errors import StudyError, one_line

# The time that a key takes grows with the square of its parts.
_MOST_DOTS = 1000
_DEEPEST = 30


def read_toml(text: str) -> dict[str, Any]:
    """The tables of a text.

    Raises:
        StudyError: it is not TOML, or nested more deeply than any study is.

    >>> read_toml("[design]\\nn = 4")
    {'design': {'n': 4}}
    """
    try:
        for number, line in enumerate(text.splitlines(), 1):
            if line.count(".") > _MOST_DOTS:
                raise ValueError(f"line {number} has more than {_MOST_DOTS:,} dots: break it into lines")
        table = tomllib.loads(text)
        _check_depth(table)
    # tomllib raises a plain ValueError for numbers of thousands of digits.
    except (ValueError, RecursionError) as error:
        raise StudyError(f"not TOML: {one_line(error)}") from None
    return table


def _check_depth(table: dict[str, Any]) -> None:
    level: list[Any] = [table]
    for _ in range(_DEEPEST):
        level = [
            inner
            for own in level
            for inner in (own.values() if isinstance(own, dict) else own)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ValueError(f"tables and lists are nested more than {_DEEPEST} levels deep")
