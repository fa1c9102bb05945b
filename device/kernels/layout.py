"""What the compiled loops are given: the cells of an array, their physics, and their pulses."""

from typing import NamedTuple

import numpy as np

from vcm_sweep.device.physics.parameters import CellParameters

# Rows of the table Pulses.walk, in the order in which a pulse changes the parameters; also the places of the
# parameters in ``Cells.base`` and ``Cells.walked``.
N_MAX, N_MIN, RADIUS, LENGTH = 0, 1, 2, 3

# Columns of the table Pulses.walk.
DIRECT, SLOPE, CLIP_LOW, CLIP_HIGH = 0, 1, 2, 3

# Columns of the table Pulses.targets, whose rows are r and l.
SIGMA, CLIP, PER_POLARITY = 0, 1, 2

# Entries of the counters that pulses add to.
PULSES_SET, PULSES_RESET, ENERGY_J, SKIPPED, INVALID = 0, 1, 2, 3, 4

# A code in Physics.codes says where an axis of a table finds a cell's value: codes 0 to 3 are places in
# ``Cells.walked``, codes from 4 on are 4 more than a row of ``Cells.varied``, and this one is the pulse's amplitude.
PULSE_AMPLITUDE = -1

PARAMETERS = len(CellParameters.names())


class Cells(NamedTuple):
    """State and parameters of one array's cells, flattened. An array of length 1 holds one value for all cells."""

    log_n: np.ndarray  # float64, ln of N in 1e26/m3
    weight: np.ndarray  # float32, as the periphery reads it
    base: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # N_max, N_min, r, l of the cell, float32
    walked: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # the same after the pulses so far
    varied: np.ndarray  # (n, cells) float32: the other parameters that spread
    targets: np.ndarray  # (2, cells) float32: the values towards which r and l move
    polarity: np.ndarray  # int8, direction of the last pulse
    boost: np.ndarray  # float32, exp(m/2) of the mismatch m: multiplies the RESET speed, divides the SET speed
    rate: np.ndarray  # float32, factor on both speeds
    low: np.ndarray  # float64, ln N at the ends of the window; low > high for cells that are stuck
    high: np.ndarray
    w_low: np.ndarray  # float32, the ends of the window as weights, used with Pulses.own_window
    w_high: np.ndarray


class Curve(NamedTuple):
    """A table over x = ln N and the parameters' nodes: the fields of ``Curves`` in tables/tables.py, without error."""

    x_first: float
    x_last: float
    below: int
    kink: np.ndarray
    values: np.ndarray
    power: np.ndarray


class Starts(NamedTuple):
    """About the currents of a cell, from which the equations are solved; see cpu/starts.py.

    They are drops over the interface, ln of them over ln N and linear in what varies: a current follows from a drop and
    the resistances.
    """

    x_first: float
    inverse_step: float
    places: np.ndarray  # (K,) int64: places in ``Physics.nominal`` of what varies
    curves: (
        np.ndarray
    )  # (3, nodes, K + 2): of SET, RESET and read ln of the nominal cell's drop in V and its slopes in each of
    # the K parameters and in the factor on the pulse's voltage
    bend: np.ndarray  # (2, nodes): of SET and RESET, the second derivative in ln N of ln of the nominal cell's rate


class Physics(NamedTuple):
    """How the cells of one array move and are read."""

    axes: np.ndarray  # (axes, 3): first node, inverse step, number of nodes
    codes: np.ndarray  # (axes,) int64: where each axis finds a cell's value, see PULSE_AMPLITUDE
    set: Curve
    reset: Curve
    read: Curve
    direct: bool  # solve the equations instead of reading tables
    full: bool  # the full current model, not the explicit one
    nominal: np.ndarray  # (PARAMETERS,) float64, the nominal cell in the order of CellParameters
    places: np.ndarray  # int64: place in ``nominal`` of each row of ``Cells.varied``; -1: equal in all cells
    v_set: float  # magnitude of the SET voltage, V
    v_reset: float
    w_dark: float  # weight = w_dark + w_slope * read current
    w_slope: float
    reads_cell: bool  # the cell's own current is read, not the nominal cell's
    steepest: float  # largest slope of any cell's weight over ln N
    guess_first: float  # guess[i] is about the ln N at which the nominal cell reads
    guess_inverse_step: float  # the weight guess_first + i / guess_inverse_step
    guess: np.ndarray
    starts: Starts
    reference_length: float  # the l that the tables were made for, if l only scales time; else 0


class Pulses(NamedTuple):
    """The pulses of one array, and what changes from pulse to pulse."""

    pulse_s: float
    walk: np.ndarray  # (4, 4): amplitudes and clips of the random walks, rows and columns as above
    targets: np.ndarray  # (2, 3): the target walks of r and l, columns as above
    amplitude: float  # relative standard deviation of each pulse's voltage
    width: float  # and of its length
    clip: float  # both are cut at this many standard deviations
    walks: bool  # any parameter walks
    needs_ratio: bool  # the walk depends on the fraction of its way to the bound that a pulse covered
    moves: bool  # r or l has targets
    alone: bool  # the pulses of one sample differ, so they cannot be merged into one longer pulse
    own_window: bool  # r or l changes and the cell's own current is read, so the N at the window's ends moves
    steps: int  # explicit Euler steps of a pulse; 0: it is solved
    kept: bool  # N is cut to its bounds after every one of them, not after the pulse alone


class Scratch(NamedTuple):
    """Work space of the compiled loops, which may not allocate memory."""

    offsets: np.ndarray
    weights: np.ndarray
    values: np.ndarray
    parameters: np.ndarray

    @classmethod
    def new(cls) -> "Scratch":
        """Empty work space; the stencil begins as one node of weight 1, which is right for tables without axes."""
        return cls(np.zeros(STENCIL_SIZE, np.int64), np.ones(STENCIL_SIZE), np.zeros(MAX_AXES), np.zeros(PARAMETERS))


class Block(NamedTuple):
    """Cells that are pulsed at the same time, in one direction or the other, see cpu/lanes/pulses.py."""

    cell: np.ndarray  # (2, LANES) int64, of SET and of RESET
    left: np.ndarray  # (2, LANES) int64, pulses that are still to come
    state: np.ndarray  # (2, LANES) uint64, of the cell's own random stream
    waiting: np.ndarray  # (2,) int64, how many cells
    waits: np.ndarray  # (cells,) bool, whether a cell of the array is among them
    rows: np.ndarray  # see cpu/lanes/rows.py


class Partner(NamedTuple):
    """The partners of an array's cells in an intervention, kept at the same weights; see ``Intervention``."""

    cells: Cells
    physics: Physics
    pulses: Pulses
    scratch: Scratch
    speed: bool  # the acting cells take their partners' speed; if False, their mismatch


MAX_AXES = 3  # of a table, besides N
POINTS = 4  # nodes per axis that an interpolation uses, for a cubic
STENCIL_SIZE = POINTS**MAX_AXES

# The bound factor F differs from 1 by less than 3e-7 if ln N is further than this from the bound, and is then left out.
F_RANGE = 1.5

# Solving a cell's equations: Newton's steps from a guess, rounds of a search from the start, and the relative size of a
# step that leaves less than 1e-7 of the current, and 1e-5 of a rate.
MAX_STEPS, MAX_ROUNDS, NEARLY = 6, 200, 1e-3

# A pulse where no table gives the nodes, in strides of ln N.
SHORT = 0.05  # along which ln of the rate is taken as a parabola
LONG = 0.1  # along which it is taken as a cubic between two solutions
STRIDE = 0.02  # along which it is taken as linear
SHORTEST = 1e-3  # a stride that still ends outside the model is outside it
PAST_KINK = 1e-6  # beyond a kink of the rate, where the next stride begins

# Kinds of pulse trains. aihwkit's STOCHASTIC_COMPRESSED and STOCHASTIC are both STOCHASTIC here: the latter makes two
# passes, one per sign, which is the same, since all pulses of a cell in one sample have one sign.
STOCHASTIC, DETERMINISTIC_IMPLICIT, MEAN_COUNT = 0, 1, 2


class Train(NamedTuple):
    """How inputs x and gradients d become pulses, for one array; the names are those of aihwkit's UpdateParameters."""

    learning_rate: float
    dw_min: float
    desired_bl: int
    fixed_bl: bool
    update_bl_management: bool
    update_management: bool
    kind: int  # STOCHASTIC, DETERMINISTIC_IMPLICIT or MEAN_COUNT
    x_resolution: float  # step of the firing probability of a column; 0: continuous
    d_resolution: float  # and of a row


# aihwkit's kinds of noise management, which scale a vector before it is applied.
NO_SCALE, CONSTANT_SCALE, LARGEST_MAGNITUDE, LARGEST_VALUE, LARGEST_SUM = 0, 1, 2, 3, 4
LEAST_SCALE = 2.0**-128
"""Up to here a vector counts as zeros, since the inverse of its scale is no float32. Gradients of a network that is
sure of a sample come there; aihwkit's engine then reads what its converter makes of infinite voltages."""

CONVERTERS = np.dtype(
    [
        ("management", "i4"),  # of the first round, one of the five above
        ("repeated", "i4"),  # of the second round; -1: the scale doubles
        ("constant", "f4"),  # the scale of CONSTANT_SCALE
        ("threshold", "f4"),  # no other is larger
        ("of_sums", "f4"),  # LARGEST_SUM: the scale over the sum of the inputs of one sign
        ("of_largest", "f4"),  # and the largest scale over that of LARGEST_MAGNITUDE
        ("bounded", "?"),  # a vector with an output beyond its bound is repeated at another scale
        ("both_bounds", "?"),  # beyond either bound; if False, by the engine's order, see ``analog_product``
        ("most", "f4"),  # no vector is repeated after its scale has grown by more
        ("zeros", "?"),  # a vector without a scale gives zeros
        ("separate", "?"),  # negative and positive inputs are read one after the other, and added digitally
        ("inp_step", "f4"),  # 0: no converter
        ("inp_bound", "f4"),
        ("inp_by_chance", "?"),  # rounds up or down by chance
        ("inp_noise", "f4"),
        ("inp_negative", "f4"),  # factor on negative inputs
        ("w_noise", "f4"),  # standard deviation of every weight
        ("pcm_noise", "f4"),  # and of a weight of 1, as the root of its magnitude
        ("out_negative", "f4"),
        ("out_noise", "f4"),
        ("out_step", "f4"),
        ("out_by_chance", "?"),
        ("out_bound", "f4"),
        ("out_scale", "f4"),
    ],
    align=True,
)
"""aihwkit's IOParameters of one array in one direction, as the analog product uses them."""

# Those fields that may differ between stacked trials, as the columns of a table that a GPU's kernel reads.
CONVERTER_NUMBERS = (
    "threshold", "constant", "of_sums", "of_largest", "most", "zeros", "inp_step", "inp_bound", "inp_noise",
    "inp_negative", "w_noise", "pcm_noise", "out_negative", "out_noise", "out_step", "out_bound", "out_scale",
)  # fmt: skip


class Pass(NamedTuple):
    """The vectors of a pass through K stacked arrays, and how far each has been read."""

    converters: np.ndarray  # (K,) CONVERTERS
    keys: np.ndarray  # (K,) uint64, of the random streams of this pass
    scale: np.ndarray  # (K, batch) float32: each vector is divided by it
    grown: np.ndarray  # (K, batch) float32: by how much bound management has made the scale larger
    rounds: np.ndarray  # (K, batch) int64: how often the vector has been repeated
    waiting: np.ndarray  # (K, batch) int64: in its first places the vectors that are to be read
    counts: np.ndarray  # (K,) int64: how many those are
    suspects: np.ndarray  # (K, n) int64: outputs that were beyond the bound lately, the last first; -1: none
