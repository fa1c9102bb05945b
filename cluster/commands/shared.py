"""What all subcommands share: how one is added, and exit codes."""

import argparse
from collections.abc import Callable
from typing import Protocol


class AddCommand(Protocol):
    """Adds a subcommand: its name, the function that runs it and gives the exit code, one line of help."""

    def __call__(
        self, name: str, function: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser: ...
