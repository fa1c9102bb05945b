"""The type of the function by which every file here adds its subcommands to the command line."""

import argparse
from collections.abc import Callable
from typing import Protocol


class AddCommand(Protocol):
    """Adds a subcommand, from its name, the function that runs it and returns the exit code, and one line of help."""

    def __call__(
        self, name: str, function: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser: ...
