"""What differs from cell to cell and from pulse to pulse, one file per mechanism."""

from ._checked import bounds
from .all import Variability
from .correlation import Correlation, draw_spreads
from .mismatch import Mismatch
from .pulse_error import PulseError
from .read_noise import ReadNoise
from .spread import Spread
from .stuck import StuckCells
from .target import TARGETS, TargetWalk
from .telegraph import TelegraphNoise
from .walk import VARYING, Walk
from .window import Window
from .write_error import WriteError

__all__ = [
    "TARGETS",
    "VARYING",
    "Correlation",
    "Mismatch",
    "PulseError",
    "ReadNoise",
    "Spread",
    "StuckCells",
    "TargetWalk",
    "TelegraphNoise",
    "Variability",
    "Walk",
    "Window",
    "WriteError",
    "bounds",
    "draw_spreads",
]
