"""What the files of commands share: the type of the function that adds one, and options that name factors."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any, Protocol


class AddCommand(Protocol):
    """Adds a subcommand, from its name, the function that runs it and returns the exit code, and one line of help."""

    def __call__(
        self, name: str, function: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser: ...


def factor_value(text: str) -> tuple[str, float | str]:
    """FACTOR=VALUE, a number or a word."""
    name, equals, value = text.partition("=")
    try:
        if not (name and equals):
            raise ValueError
        return name, value if value.isidentifier() else float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be FACTOR=VALUE, as r.d2d.sigma=0.02") from None


def factor_range(text: str) -> tuple[str, tuple[Any, ...]]:
    """FACTOR=LOW:HIGH or FACTOR=LOW:HIGH:DISTRIBUTION."""
    name, equals, span = text.partition("=")
    ends = span.split(":")
    try:
        if not (name and equals and len(ends) in (2, 3)):
            raise ValueError
        return name, (float(ends[0]), float(ends[1]), *ends[2:])
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be FACTOR=LOW:HIGH, as r.d2d.sigma=0:0.04") from None


def factor_part(text: str) -> tuple[str, tuple[float, float]]:
    """FACTOR=LOW:HIGH."""
    name, (low, high, *more) = factor_range(text)
    if more:
        raise argparse.ArgumentTypeError(f"{text!r} must be FACTOR=LOW:HIGH, as r.d2d.sigma=0:0.04")
    return name, (low, high)


def once(option: str, given: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The factors that an option names; StudyError if one is named twice."""
    from vcm_sweep.sweep.errors import StudyError

    names = [name for name, _ in given]
    for name in names:
        if names.count(name) > 1:
            raise StudyError(f"{option}: {name} is given {names.count(name)} times; give each factor once")
    return dict(given)
