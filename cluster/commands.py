"""What all subcommands share: how one is added, and exit codes."""

import argparse
from collections.abc import Callable
from typing import Protocol

EXIT_FAILED_TRIALS = 6
EXIT_BUDGET = 7
EXIT_INTERRUPTED = 130
EXIT_CODES = (
    "exit codes: 0 done; 2 study, option or device; 3 results folder; 4 cluster; 5 analysis; "
    "6 done, but trials or checks failed; 7 the budget ended before --until was reached; 130 interrupted"
)


class AddCommand(Protocol):
    """Adds a subcommand: its name, the function that runs it and gives the exit code, one line of help."""

    def __call__(
        self, name: str, function: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser: ...


def positive(text: str) -> int:
    """An argument that is a whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number of at least 1")
    return value
