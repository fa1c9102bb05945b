"""Seeds of arrays, and the keys of random streams that are made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from vcm_sweep.device.public import public


@public
class ArraySeeds(NamedTuple):
    """Seeds of one trial's arrays, each 0..2^63-1: fabrication, programming pulses, reads."""

    device: int
    pulses: int
    io: int


@public
@dataclass
class NetworkSeeds:
    """Seeds of a network's arrays, with a count of its tiles: every new tile takes the next place in the network.

    Attributes:
        trials: the seeds of each stacked trial, one entry per trial.
        tiles: how many tiles have been made with these seeds so far.
    """

    trials: Sequence[ArraySeeds]
    tiles: int = 0

    def next_place(self) -> int:
        """The place (0, 1, ...) of a tile that is about to be made; counts the tile."""
        self.tiles += 1
        return self.tiles - 1

    def __deepcopy__(self, memo: Any) -> "NetworkSeeds":
        # aihwkit deep-copies the configuration for every layer. All layers of a network must share one count, so a
        # copy is this same object.
        return self


GOLDEN = 0x9E3779B97F4A7C15  # the increment of SplitMix64, 2^64 over the golden ratio
_MASK = (1 << 64) - 1


def stream_key(*parts: int) -> int:
    """A 64-bit key from non-negative integers (seed, tile, purpose, step); order matters.

    >>> stream_key(1, 2) != stream_key(2, 1)
    True
    """
    return key_of_more(0, *parts)


def key_of_more(key: int, *parts: int) -> int:
    """The key of further integers after those of ``key``; a GPU does the same, kernels/gpu/random.py.

    >>> key_of_more(stream_key(1, 2), 3) == stream_key(1, 2, 3)
    True
    """
    for part in parts:
        key = _mix((key ^ (part & _MASK)) + GOLDEN & _MASK)
    return key


def _mix(z: int) -> int:
    """The output function of SplitMix64, which spreads each bit of ``z`` over all 64."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)
