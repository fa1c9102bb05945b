"""What differs from cell to cell and from pulse to pulse, one file per mechanism."""

from vcm_sweep.device.variability.all import Variability
from vcm_sweep.device.variability.checked import bounds
from vcm_sweep.device.variability.correlation import Correlation, draw_spreads
from vcm_sweep.device.variability.mismatch import Mismatch
from vcm_sweep.device.variability.pulse_error import PulseError
from vcm_sweep.device.variability.read_noise import ReadNoise
from vcm_sweep.device.variability.spread import Spread
from vcm_sweep.device.variability.stuck import StuckCells
from vcm_sweep.device.variability.target import TARGETS, TargetWalk
from vcm_sweep.device.variability.telegraph import TelegraphNoise
from vcm_sweep.device.variability.walk import VARYING, Walk
from vcm_sweep.device.variability.window import Window
from vcm_sweep.device.variability.write_error import WriteError

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
