"""The named random streams that an array draws from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .public import public


@public
class ArraySeeds(NamedTuple):
    """Seeds of one trial's arrays, each 0..2^63-1: fabrication, programming pulses, reads."""

    device: int
    pulses: int
    io: int


@public
@dataclass
class NetworkSeeds:
    """Seeds of a network's arrays: every tile that is made with them takes the next place in the network.

    Attributes:
        trials: one for each stacked trial. tiles: how many have been made.
    """

    trials: Sequence[ArraySeeds]
    tiles: int = 0

    def next_place(self) -> int:
        """The place of a tile that is about to be made."""
        self.tiles += 1
        return self.tiles - 1

    def __deepcopy__(self, memo: Any) -> "NetworkSeeds":
        # aihwkit copies the configuration for every layer, and the layers of a network count together.
        return self
