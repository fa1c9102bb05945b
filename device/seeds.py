"""The named random streams that an array draws from."""

from typing import NamedTuple

from .public import public


@public
class ArraySeeds(NamedTuple):
    """Seeds of one trial's arrays, each 0..2^63-1: fabrication, programming pulses, reads."""

    device: int
    pulses: int
    io: int
