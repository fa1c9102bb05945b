"""What the compiled loops are given: the cells of an array, their physics, and their pulses."""

from typing import NamedTuple

import numpy as np

from vcm_sweep.device.physics.parameters import CellParameters

# Rows of a walk table, in the order in which a pulse changes the parameters; places in ``base`` and ``walked``.
N_MAX, N_MIN, RADIUS, LENGTH = 0, 1, 2, 3


# Columns of a walk table; the last two of a target table, whose rows are r and l.
DIRECT, SLOPE, CLIP_LOW, CLIP_HIGH = 0, 1, 2, 3


SIGMA, CLIP, PER_POLARITY = 0, 1, 2


# Entries of the counters that pulses add to.
PULSES_SET, PULSES_RESET, ENERGY_J, SKIPPED, INVALID = 0, 1, 2, 3, 4


# Where an axis of a table finds a cell's value: below 4 in ``walked``, from 4 on in ``varied``, or in the pulse.
PULSE_AMPLITUDE = -1


# How many parameters a cell has.
PARAMETERS = len(CellParameters.names())


class Cells(NamedTuple):
    """State and parameters of one array, flattened. Arrays of length 1 hold for every cell."""

    log_n: np.ndarray  # float64, ln of N in 1e26/m3
    weight: np.ndarray  # float32, read by the periphery
    base: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # N_max, N_min, r, l of the cell, float32
    walked: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # the same after the pulses so far
    varied: np.ndarray  # (n, cells) float32: other parameters that spread
    targets: np.ndarray  # (2, cells) float32: where r and l move to
    polarity: np.ndarray  # int8, of the last pulse
    boost: np.ndarray  # float32, exp(m/2): RESET speed times it, SET speed over it
    rate: np.ndarray  # float32, factor on both speeds
    low: np.ndarray  # float64, ln N at which the window ends; crossed for cells that are stuck
    high: np.ndarray
    w_low: np.ndarray  # float32, the window as weights, where a cell's own reading moves from pulse to pulse
    w_high: np.ndarray


class Curve(NamedTuple):
    """A table over x and the parameters' nodes; see tables.py."""

    x_first: float
    x_last: float
    below: int
    kink: np.ndarray
    values: np.ndarray
    power: np.ndarray


class Physics(NamedTuple):
    """How the cells of one array move and are read."""

    axes: np.ndarray  # (axes, 3)
    codes: np.ndarray  # (axes,) int64: where each axis finds a cell's value
    set: Curve
    reset: Curve
    read: Curve
    direct: bool  # solve the equations instead of reading tables
    full: bool  # which current
    nominal: np.ndarray  # (PARAMETERS,) float64, CellParameters
    places: np.ndarray  # int64: which of those each row of ``varied`` is
    v_set: float  # magnitudes, V
    v_reset: float
    w_dark: float  # weight = w_dark + w_slope * read current
    w_slope: float
    reads_cell: bool
    steepest: float  # no cell's weight changes more per ln N
    guess_first: float  # about where the nominal cell reads a weight: ln N over equidistant weights
    guess_inverse_step: float
    guess: np.ndarray
    reference_length: float  # of the tables, where l only scales time; else 0


class Pulses(NamedTuple):
    """The pulses of one array, and what changes with each."""

    pulse_s: float
    walk: np.ndarray  # (4, 4)
    targets: np.ndarray  # (2, 3)
    amplitude: float  # relative sd of each pulse's voltage, of its length, both cut at clip sds
    width: float
    clip: float
    walks: bool
    needs_ratio: bool  # the walk depends on the way that a pulse covered
    moves: bool  # r or l has targets
    alone: bool  # pulses of one visit cannot be merged
    own_window: bool  # the window is where the cell's own reading ends, which moves with its parameters


class Scratch(NamedTuple):
    """Room that the compiled loops need: they may not allocate."""

    offsets: np.ndarray
    weights: np.ndarray
    values: np.ndarray
    parameters: np.ndarray

    @classmethod
    def new(cls) -> "Scratch":
        # One node of weight 1, as an array without axes wants it.
        return cls(np.zeros(STENCIL_SIZE, np.int64), np.ones(STENCIL_SIZE), np.zeros(MAX_AXES), np.zeros(PARAMETERS))


class Partner(NamedTuple):
    """The cells beside those that act under an intervention, at the same weights; see intervention.py."""

    cells: Cells
    physics: Physics
    pulses: Pulses
    scratch: Scratch
    speed: bool  # what is taken of them: their speed, or their mismatch


MAX_AXES = 3


POINTS = 4  # per axis, a cubic


STENCIL_SIZE = POINTS**MAX_AXES


# F differs from 1 by less than 3e-7 when ln N is further than this from the bound.
F_RANGE = 1.5


# How trains are made. A cell gets pulses of one sign per sample, so aihwkit's two-pass STOCHASTIC is the same to it.
STOCHASTIC, DETERMINISTIC_IMPLICIT, MEAN_COUNT = 0, 1, 2


class Train(NamedTuple):
    """How x and d become pulses, for one array."""

    learning_rate: float
    dw_min: float
    desired_bl: int
    fixed_bl: bool
    update_bl_management: bool
    update_management: bool
    kind: int  # STOCHASTIC, DETERMINISTIC_IMPLICIT or MEAN_COUNT
    x_resolution: float  # of the firing probability of a column, of a row; 0 is off
    d_resolution: float
