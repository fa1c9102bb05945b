# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
# mypy: disallow-incomplete-defs=False, disallow-untyped-decorators=False
"""Update of stacked arrays on a CUDA device, in three Triton kernels that the host never waits for.

The rule, the march and the walks are those of ``_update`` and ``_march``, for many cells at a time and under the
same names; read them first. What differs:

* Every line and every cell has a random stream of its own for each sample, keyed by (trial, side, sample, place):
  no order of execution changes a result, nor does what else is stacked.
* Between drawing and marching, the cells that any sample pulses are listed, so that the lanes of a warp are full:
  a batch pulses a few per cent of the cells.
* A cell goes from one of its pulsed samples to the next at its own pace; samples still act in order on each cell.

Without Triton the module imports, and :func:`update_stack` refuses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ._march import F_RANGE
from ._update import MEAN_COUNT, SLOPE, STOCHASTIC, Train
from .errors import DeviceError
from .tables import RateTables
from .vcm_device import VCMDevice


class _NoTriton:
    """Stands in where Triton is missing, so that the kernels below can be defined."""

    @staticmethod
    def jit(function: Any) -> Any:
        return function

    @staticmethod
    def constexpr(value: Any) -> Any:
        return value


triton: Any
tl: Any
try:
    import triton  # type: ignore[import-untyped,no-redef]
    import triton.language as tl  # type: ignore[import-untyped,no-redef]
except ImportError:
    triton = tl = _NoTriton

# Lanes of a program: lines drawn, cells searched, cells marched (one warp, so that its loops end together).
LINES_AT_ONCE, CELLS_SEARCHED, CELLS_MARCHED = 256, 512, 32

_GOLDEN = tl.constexpr(0x9E3779B97F4A7C15)
_F_RANGE, _STOCHASTIC, _MEAN_COUNT = tl.constexpr(F_RANGE), tl.constexpr(STOCHASTIC), tl.constexpr(MEAN_COUNT)
# Streams of a trial.
_ROWS, _COLUMNS, _CELLS = tl.constexpr(1), tl.constexpr(2), tl.constexpr(3)
# Samples whose hits fit one word.
_WORD = tl.constexpr(64)
# Columns of StackTables.layout and StackTables.scalars.
_LAYOUT, _SCALARS = tl.constexpr(9), tl.constexpr(9)


class StackCells(NamedTuple):
    """State and parameters of K arrays on the device. Parameters of width 1 hold for every cell of a trial."""

    log_n: Tensor  # (K, cells) float64, ln of N in 1e26/m3
    weight: Tensor  # (K, out, in) float32, read by the periphery
    base: tuple[Tensor, Tensor, Tensor, Tensor]  # N_max, N_min, r, l of the cell, (K, cells) or (K, 1) float32
    walked: tuple[Tensor, Tensor, Tensor, Tensor]  # the same after the pulses so far; full width where it walks
    boost: Tensor  # (K, cells) or (K, 1) float32, exp(m/2)


@dataclass(frozen=True)
class StackTables:
    """What the kernels read about each trial, on the device: built once for a stack.

    Attributes:
        nodes: every table one after the other, float64; trials that share a table share it here.
        layout: (K, 9) int64: nodes of x and of r, the places of g_set, g_reset, power_set, power_reset and weight
            in ``nodes``, whether the trial walks, whether its walk needs the way covered.
        scalars: (K, 9) float64: x_first, x_step, r_first, r_inverse_step, pulse_s, reference length, the window's
            ends in ln N, dw_min.
        walks: (K, 4, 4) float64, a walk table per trial.
        walking: whether any trial walks.
    """

    nodes: Tensor
    layout: Tensor
    scalars: Tensor
    walks: Tensor
    walking: bool

    @classmethod
    def build(
        cls,
        devices: Sequence[VCMDevice],
        tables: Sequence[RateTables],
        walks: Sequence[np.ndarray],
        device: torch.device | str,
    ) -> "StackTables":
        """Copy the tables of a stack to ``device``; one entry per trial in each sequence."""
        parts: list[np.ndarray] = []
        places: dict[int, list[int]] = {}
        end = 0
        layout, scalars = [], []
        for cell, table, walk in zip(devices, tables, walks, strict=True):
            if id(table) not in places:
                places[id(table)] = []
                for part in (table.g_set, table.g_reset, table.power_set, table.power_reset, table.weight):
                    places[id(table)].append(end)
                    parts.append(part.ravel())
                    end += part.size
            walking, slopes = bool(walk[:, : SLOPE + 1].any()), bool(walk[:, SLOPE].any())
            layout.append([*table.g_set.shape, *places[id(table)], walking, slopes])
            scalars.append(
                [table.x_first, table.x_step, table.r_first, table.r_inverse_step, cell.pulse_s,
                 float(cell.parameters.l), *cell.window, cell.dw_min]
            )  # fmt: skip
        return cls(
            nodes=torch.from_numpy(np.concatenate(parts)).to(device),
            layout=torch.tensor(layout, dtype=torch.int64).to(device),
            scalars=torch.tensor(scalars, dtype=torch.float64).to(device),
            walks=torch.from_numpy(np.stack(walks).astype(np.float64)).to(device),
            walking=any(bool(walk[:, : SLOPE + 1].any()) for walk in walks),
        )


def update_stack(
    x: Tensor,
    d: Tensor,
    keys: Tensor,
    learning_rates: Tensor,
    train: Train,
    cells: StackCells,
    tables: StackTables,
    counters: Tensor,
) -> None:
    """Pulse K stacked arrays for a batch; only enqueues work on the device.

    Args:
        x, d: (K, batch, in) inputs and (K, batch, out) gradients, float32.
        keys: (K,) int64, the bits of each trial's key for this call.
        learning_rates: (K,) float64; a trial at 0 or below fires nothing.
        train: of any trial; only what all trials share is read of it, from ``desired_bl`` on.
        cells: changed in place; its tensors contiguous.
        tables: of the stack.
        counters: (K, 4) float64, added to: SET pulses, RESET pulses, energy in J, pulses skipped.

    Raises:
        DeviceError: Triton is missing, or a stochastic train could exceed the 64 slots of a word.
    """
    if triton is _NoTriton:
        raise DeviceError("the CUDA update needs Triton: install torch's CUDA build, or keep the arrays on the CPU")
    stochastic = train.kind == STOCHASTIC
    bounded = train.fixed_bl or train.update_bl_management
    if stochastic and not (bounded and 1 <= train.desired_bl <= 64):
        raise DeviceError(
            f"desired_bl = {train.desired_bl!r} must be from 1 to 64, and fixed_bl or update_bl_management on: "
            "the slots of a stochastic train are the bits of one word"
        )
    trials, batch, inputs = x.shape
    outputs = d.shape[2]
    size = inputs * outputs
    if batch == 0 or size == 0:
        return
    blocks = -(-size // CELLS_SEARCHED)
    # Of each line in each sample: the slots in which it fires, or its share of the pulses.
    kind = torch.int64 if stochastic else torch.float64
    rows = torch.empty(trials, batch, outputs, dtype=kind, device=x.device)
    columns = torch.empty(trials, batch, inputs, dtype=kind, device=x.device)
    slots = torch.empty(trials, batch, dtype=torch.float64, device=x.device)
    resolutions = (train.d_resolution, train.x_resolution)
    listed = torch.empty(trials, blocks, CELLS_SEARCHED, dtype=torch.int32, device=x.device)
    counts = torch.empty(trials, blocks, dtype=torch.int32, device=x.device)
    added = torch.empty(trials, blocks, 4, dtype=torch.float64, device=x.device)
    x, d = x.contiguous(), d.contiguous()
    # Without fused multiply-adds, a trial gives the same bits in every stack, however the kernels are specialised.
    exact = {"enable_fp_fusion": False}
    _draw_lines[(trials * batch,)](
        x, d, keys, learning_rates, tables.scalars, rows, columns, slots, batch, inputs, outputs, train.desired_bl,
        *resolutions, bool(bounded), bool(train.update_bl_management),
        bool(train.update_management or train.update_bl_management), train.kind, LINES_AT_ONCE, num_warps=4, **exact,
    )  # fmt: skip
    _find_cells[(trials * blocks,)](
        rows, columns, slots, listed, counts, batch, inputs, outputs, blocks, train.kind, CELLS_SEARCHED,
        num_warps=4, **exact,
    )  # fmt: skip
    strides = [int(parameter.shape[1] > 1) for parameter in (*cells.walked, cells.boost)]
    _march_cells[(trials * blocks,)](
        x, d, keys, rows, columns, slots, listed, counts, tables.nodes, tables.layout, tables.scalars, tables.walks,
        cells.log_n, cells.weight, *cells.base, *cells.walked, cells.boost, *strides, added,
        batch, inputs, outputs, blocks, tables.walking, train.kind, CELLS_SEARCHED, CELLS_MARCHED, num_warps=1, **exact,
    )  # fmt: skip
    counters += added.sum(1)


# Random numbers, as in _random.


@triton.jit
def _bits64(state):
    z = state
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    return z ^ (z >> 31)


@triton.jit
def _stream(key, side, place):
    """First state of the stream of one line or cell."""
    return _bits64(_bits64(key ^ side) + place.to(tl.uint64) * _GOLDEN)


@triton.jit
def _symmetric_uniform(state):
    """U(-1, 1) from one state."""
    return (_bits64(state) >> 11).to(tl.float64) * (2.0 / 9007199254740992.0) - 1.0


@triton.jit
def _bernoulli_mask(state, probability, slots):
    """Each of ``slots`` bits is 1 with the given probability, to 2^-32; none where the probability is not positive."""
    fires = probability > 0.0
    spare = tl.where(fires, 64 - slots, 0).to(tl.uint64)
    ones = state | 0xFFFFFFFFFFFFFFFF
    full = tl.where(fires, ones >> spare, 0)
    threshold = (tl.minimum(probability, 1.0) * 4294967296.0).to(tl.int64)
    mask = tl.where(probability >= 1.0, full, 0)
    undecided = tl.where(probability >= 1.0, 0, full)
    position = 31
    while (position >= 0) & (tl.max((undecided != 0).to(tl.int32), 0) > 0):
        state += _GOLDEN
        word = _bits64(state)
        one = ((threshold >> position) & 1) != 0
        # The interpreter has no ~ for unsigned numbers.
        mask |= tl.where(one, undecided & (word ^ ones), 0)
        undecided &= tl.where(one, word, word ^ ones)
        position -= 1
    return mask.to(tl.int64)


@triton.jit
def _popcount(mask):
    m = mask.to(tl.uint64)
    m = m - ((m >> 1) & 0x5555555555555555)
    m = (m & 0x3333333333333333) + ((m >> 2) & 0x3333333333333333)
    m = (m + (m >> 4)) & 0x0F0F0F0F0F0F0F0F
    return ((m * 0x0101010101010101) >> 56).to(tl.int32)


# Drawing: how x and d become pulses.


@triton.jit
def _largest(values, count, LANES: tl.constexpr):
    """Largest magnitude of a vector, float64; 0 if any value is not finite."""
    largest = tl.zeros([LANES], tl.float32)
    finite = tl.full([LANES], 1, tl.int32)
    for start in range(0, count, LANES):
        at = start + tl.arange(0, LANES)
        magnitude = tl.abs(tl.load(values + at, mask=at < count, other=0.0))
        finite = tl.where(magnitude < float("inf"), finite, 0)
        largest = tl.where(magnitude > largest, magnitude, largest)
    return tl.where(tl.min(finite, 0) > 0, tl.max(largest, 0), 0.0).to(tl.float64)


@triton.jit
def _pulse_budget(
    x_max, d_max, rate, granularity, desired_bl,
    BOUNDED: tl.constexpr, BL_MANAGEMENT: tl.constexpr, MANAGEMENT: tl.constexpr,
):  # fmt: skip
    """(slots, factor of the rows, factor of the columns) of one sample; aihwkit's update management."""
    fires = (rate > 0.0) & (x_max > 0.0) & (d_max > 0.0)
    rate = tl.where(fires, rate, 1.0)
    floor = granularity * granularity
    x_max, d_max = tl.maximum(x_max, floor), tl.maximum(d_max, floor)
    needed = rate * x_max * d_max / granularity
    slots = tl.zeros_like(rate) + desired_bl
    if BL_MANAGEMENT:
        slots = tl.minimum(tl.ceil(needed), slots)
    scale = tl.sqrt(rate / (granularity * slots))
    ratio = tl.zeros_like(rate) + 1.0
    if MANAGEMENT:
        # As aihwkit 1.2 does it: where the longest train is too short, the gradient alone is clipped.
        d_max = tl.where(needed > slots, d_max * (slots / needed), d_max)
        ratio = tl.sqrt(x_max / d_max)
    row_factor, column_factor = scale * ratio, scale / ratio
    if not BOUNDED:
        long = granularity * desired_bl < rate
        slots = tl.where(long, tl.maximum(tl.ceil(rate / granularity), 1.0), slots)
        row_factor, column_factor = tl.where(long, 1.0, row_factor), tl.where(long, 1.0, column_factor)
    return slots, tl.where(fires, row_factor, 0.0), tl.where(fires, column_factor, 0.0)


@triton.jit
def _fire(
    values, lines, count, key, side, sample, factor, slots,
    RESOLUTION: tl.constexpr, KIND: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Draw the slots in which each line of one sample fires, or round its share of the pulses."""
    for start in range(0, count, LANES):
        line = start + tl.arange(0, LANES)
        live = line < count
        p = tl.abs(tl.load(values + line, mask=live, other=0.0)).to(tl.float64) * factor
        # A value that is not finite has a factor of 0.
        p = tl.where(p > 0.0, p, 0.0)
        if RESOLUTION > 0.0:
            p = tl.floor(p / RESOLUTION + 0.5) * RESOLUTION
        if KIND == _STOCHASTIC:
            state = _stream(key, side, sample * count + line + 1)
            tl.store(lines + line, _bernoulli_mask(state, p, slots.to(tl.int64)), mask=live)
        else:
            p = tl.minimum(p, 1.0)
            if KIND == _MEAN_COUNT:
                p = tl.floor(p * slots + 0.5) / slots
            tl.store(lines + line, p, mask=live)


@triton.jit
def _draw_lines(
    x, d, keys, rates, scalars, rows, columns, slots_of, batch, inputs, outputs,
    desired_bl, D_RESOLUTION: tl.constexpr, X_RESOLUTION: tl.constexpr,
    BOUNDED: tl.constexpr, BL_MANAGEMENT: tl.constexpr, MANAGEMENT: tl.constexpr,
    KIND: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """One program per (trial, sample): what each row and column contributes to the pulses."""
    program = tl.program_id(0).to(tl.int64)
    trial, sample = program // batch, program % batch
    x += program * inputs
    d += program * outputs
    slots, row_factor, column_factor = _pulse_budget(
        _largest(x, inputs, LANES), _largest(d, outputs, LANES), tl.load(rates + trial),
        tl.load(scalars + trial * _SCALARS + 8), desired_bl, BOUNDED, BL_MANAGEMENT, MANAGEMENT,
    )  # fmt: skip
    tl.store(slots_of + program, slots)
    key = tl.load(keys + trial).to(tl.uint64)
    rows += program * outputs
    columns += program * inputs
    _fire(d, rows, outputs, key, _ROWS, sample, row_factor, slots, D_RESOLUTION, KIND, LANES)
    _fire(x, columns, inputs, key, _COLUMNS, sample, column_factor, slots, X_RESOLUTION, KIND, LANES)


@triton.jit
def _coincide(row, column, slots, KIND: tl.constexpr):
    """Whether a cell gets any pulse from what its lines contribute."""
    return (row & column) != 0 if KIND == _STOCHASTIC else row * column * slots + 0.5 >= 1.0


@triton.jit
def _coincidences(row, column, slots, KIND: tl.constexpr):
    """Number of pulses, float64."""
    return _popcount(row & column).to(tl.float64) if KIND == _STOCHASTIC else tl.floor(row * column * slots + 0.5)


@triton.jit
def _find_cells(
    rows, columns, slots_of, listed, counts, batch, inputs, outputs, blocks,
    KIND: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """One program per (trial, block of cells): list those that any sample pulses."""
    program = tl.program_id(0).to(tl.int64)
    trial = program // blocks
    cell = (program % blocks).to(tl.int32) * LANES + tl.arange(0, LANES)
    live = cell < inputs * outputs
    row, column = cell // inputs, cell % inputs
    rows += trial * batch * outputs
    columns += trial * batch * inputs
    hit = cell < 0
    for sample in range(batch):
        row_part = tl.load(rows + sample * outputs + row, mask=live, other=0)
        column_part = tl.load(columns + sample * inputs + column, mask=live, other=0)
        hit |= _coincide(row_part, column_part, tl.load(slots_of + trial * batch + sample), KIND)
    one = hit.to(tl.int32)
    tl.store(listed + program * LANES + tl.cumsum(one, 0) - one, cell, mask=hit)
    tl.store(counts + program, tl.sum(one, 0))


# The march, as in _march.


@triton.jit
def _log1p(z):
    """ln(1 + z) for z >= 0, without cancellation; core Triton has none."""
    one = 1.0 + z
    rest = one - 1.0
    return tl.where(rest == 0.0, z, tl.log(one) * z / tl.where(rest == 0.0, 1.0, rest))


@triton.jit
def _minus_expm1(z):
    """1 - exp(-z) for z >= 0, without cancellation."""
    e = tl.exp(-z)
    plain = (e == 1.0) | (e < 0.5)
    return tl.where(e == 1.0, z, tl.where(plain, 1.0 - e, (e - 1.0) * z / tl.log(tl.where(plain, 0.75, e))))


@triton.jit
def _lagrange(t, j):
    """The four weights of a cubic through nodes j .. j + 3 at place t."""
    a = t - j
    b, c, d = a - 1.0, a - 2.0, a - 3.0
    return -b * c * d / 6.0, a * c * d / 2.0, -a * b * d / 2.0, a * b * c / 6.0


@triton.jit
def _stencil(r, r_first, r_inverse_step, count):
    """First node and the four Lagrange weights of a cubic through equidistant nodes of the radius."""
    t = (r - r_first) * r_inverse_step
    j = tl.minimum(tl.maximum(t.to(tl.int32) - 1, 0), tl.maximum(count - 4, 0))
    c0, c1, c2, c3 = _lagrange(t, j)
    single = count == 1
    return j, tl.where(single, 1.0, c0), tl.where(single, 0.0, c1), tl.where(single, 0.0, c2), tl.where(single, 0.0, c3)


@triton.jit
def _node(table, k, r_nodes, j, c0, c1, c2, c3):
    at = table + k * r_nodes + j
    value = c0 * tl.load(at)
    if r_nodes > 1:
        value = value + c1 * tl.load(at + 1) + c2 * tl.load(at + 2) + c3 * tl.load(at + 3)
    return value


@triton.jit
def _cubic(table, count, x_first, x_step, x):
    t = (x - x_first) / x_step
    j = tl.minimum(tl.maximum(t.to(tl.int32) - 1, 0), count - 4)
    c0, c1, c2, c3 = _lagrange(t, j)
    at = table + j
    return c0 * tl.load(at) + c1 * tl.load(at + 1) + c2 * tl.load(at + 2) + c3 * tl.load(at + 3)


@triton.jit
def _linear(table, count, x_first, x_step, x):
    t = (x - x_first) / x_step
    k = tl.minimum(tl.maximum(t.to(tl.int32), 0), count - 2)
    low = tl.load(table + k)
    return low + (t - k) * (tl.load(table + k + 1) - low)


@triton.jit
def _distance(q, s):
    """Way y covered when (1 - exp(-s y)) / s = q; infinite where the speed diverges before."""
    z = s * q
    small = tl.abs(z) < 0.25
    # Series of 2 atanh; beyond it 1 - z does not cancel in the logarithm.
    v = tl.where(small, z, 0.0)
    w = v / (2.0 - v)
    w *= w
    series = 2.0 * q / (2.0 - v) * (1.0 + w * (1 / 3 + w * (1 / 5 + w * (1 / 7 + w * (1 / 9)))))
    u = tl.where(small | (z >= 1.0), 0.5, z)
    way = tl.where(small, series, -tl.log(1.0 - u) / tl.where(small, 1.0, s))
    return tl.where(z >= 1.0, float("inf"), way)


@triton.jit
def _effort(y, s):
    """(1 - exp(-s y)) / s, the time for a way y in units of 1 / exp(g0); a Taylor series where s y is small."""
    z = s * y
    small = tl.abs(z) < 0.25
    v = tl.where(small, z, 0.0)
    even = 1.0 + v * v * (1 / 6 + v * v * (1 / 120 + v * v * (1 / 5040)))
    odd = 0.5 + v * v * (1 / 24 + v * v * (1 / 720 + v * v * (1 / 40320)))
    return tl.where(small, y * (even - v * odd), (1.0 - tl.exp(-z)) / tl.where(small, 1.0, s))


@triton.jit
def _stretched(u):
    """-ln(exp(10 u) - 1) / 10: the coordinate in which the bound factor drops out; grows toward the bound."""
    return -(u + tl.log(_minus_expm1(10.0 * u)) / 10.0)


@triton.jit
def _from_stretched(y):
    z = -10.0 * y
    return tl.where(z > 30.0, z / 10.0, _log1p(tl.exp(tl.minimum(z, 30.0))) / 10.0)


@triton.jit
def _march(going, x, up, time, table, x_nodes, r_nodes, x_first, step, j, c0, c1, c2, c3, stop, bound):
    """State x after ``time`` and the time left when ``stop`` was reached first, for the lanes that are ``going``.

    up: SET, else RESET. table: pointer per lane. The caller has checked that the cells are short of both ends.
    """
    direction = tl.where(up, 1.0, -1.0).to(tl.float64)
    last = x_nodes - 2
    end = tl.where(up, last, 0)
    k = tl.minimum(tl.maximum(((x - x_first) / step).to(tl.int32), 0), last)
    k = tl.where((k > 0) & ~up & (x <= x_first + k * step), k - 1, k)
    k = tl.where((k < last) & up & (x >= x_first + (k + 1) * step), k + 1, k)
    low = _node(table, k, r_nodes, j, c0, c1, c2, c3)
    slope = (_node(table, k + 1, r_nodes, j, c0, c1, c2, c3) - low) / step
    speed = tl.exp(low + slope * (x - (x_first + k * step)))
    unused = tl.zeros_like(x)
    while tl.max(going.to(tl.int32), 0) > 0:
        low = _node(table, k, r_nodes, j, c0, c1, c2, c3)
        slope = (_node(table, k + 1, r_nodes, j, c0, c1, c2, c3) - low) / step
        border = x_first + tl.where(up, k + 1, k) * step
        edge = tl.where((k == end) | ((stop - border) * direction <= 0.0), stop, border)
        way = (edge - x) * direction
        u = (bound - x) * direction
        near = going & (u < _F_RANGE)
        # In the stretched coordinate near the bound, in ln N elsewhere.
        s = slope * direction
        length = way
        y0 = tl.zeros_like(x)
        arriving = near & (way >= u)
        some_near = tl.max(near.to(tl.int32), 0) > 0
        if some_near:
            # Take the approach to the bound in halves: the linear g holds on each of them.
            halved = near & (u - way < 0.5 * u) & (u > 1e-4 * step)
            way = tl.where(halved, 0.5 * u, way)
            edge = tl.where(halved, x + direction * way, edge)
            rest = u - way
            arriving = near & (rest <= 0.0)
            y0 = tl.where(near, _stretched(tl.where(near, u, 1.0)), 0.0)
            length = tl.where(near, _stretched(tl.where(near & ~arriving, rest, 1.0)) - y0, way)
            s = tl.where(near & ~arriving, slope * direction * way / length, s)
        gone = tl.where(arriving, speed * time, _distance(speed * time, s))
        ends = going & (arriving | (gone < length))
        landing = x + direction * gone
        if some_near:
            landing = tl.where(near, bound - direction * _from_stretched(y0 + gone), landing)
        effort = _effort(length, s)
        left = time - effort / speed
        passes = going & ~ends
        stops = passes & ((edge == stop) | (left <= 0.0))
        unused = tl.where(stops, tl.maximum(left, 0.0), unused)
        x = tl.where(ends, landing, tl.where(passes, edge, x))
        time = tl.where(passes, left, time)
        # exp(g) at the edge, without another exponential: exp(-s y) = 1 - s effort.
        speed = tl.where(passes, speed / (1.0 - s * effort), speed)
        k = tl.where(passes & ~stops & (edge == border), tl.where(up, k + 1, k - 1), k)
        going = passes & ~stops
    return x, unused


# The pulses of a cell.


@triton.jit
def _parameter(values, trial, cell, cells, stride, live):
    """A parameter of width 1 (stride 0) or of one value per cell (stride 1)."""
    return tl.load(values + trial * (1 + (cells - 1) * stride) + cell * stride, mask=live, other=1.0)


@triton.jit
def _keep(values, trial, cell, cells, stride, live, value):
    tl.store(values + trial * (1 + (cells - 1) * stride) + cell * stride, value, mask=live & (stride > 0))


@triton.jit
def _walk(state, value, base, walk, ratio, going):
    """(new random state, parameter after one step of its bounded random walk)."""
    direct, slope = tl.load(walk), tl.load(walk + 1)
    if (direct != 0.0) | (slope != 0.0):
        change = 1.0 + direct * _symmetric_uniform(state + _GOLDEN)
        state += _GOLDEN
        change = change + slope * ratio * _symmetric_uniform(state + _GOLDEN)
        state += _GOLDEN
        own = base.to(tl.float64)
        moved = value.to(tl.float64) * change
        moved = tl.minimum(tl.maximum(moved, own * (1.0 + tl.load(walk + 2))), own * (1.0 + tl.load(walk + 3)))
        value = tl.where(going, moved.to(tl.float32), value)
    return state, value


@triton.jit
def _march_cells(
    x, d, keys, rows, columns, slots_of, listed, counts, nodes, layout, scalars, walks,
    log_n, weight, base_n_max, base_n_min, base_r, base_l, walked_n_max, walked_n_min, walked_r, walked_l, boosts,
    n_max_stride, n_min_stride, r_stride, l_stride, boost_stride, added,
    batch, inputs, outputs, blocks,
    WALKING: tl.constexpr, KIND: tl.constexpr, LISTED: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """One program per (trial, block of cells): the pulses of the whole batch on the cells listed."""
    program = tl.program_id(0).to(tl.int64)
    trial = program // blocks
    cells = inputs * outputs
    x += trial * batch * inputs
    d += trial * batch * outputs
    rows += trial * batch * outputs
    columns += trial * batch * inputs
    slots_of += trial * batch
    key = tl.load(keys + trial).to(tl.uint64)
    layout += trial * _LAYOUT
    x_nodes, r_nodes = tl.load(layout).to(tl.int32), tl.load(layout + 1).to(tl.int32)
    set_at, reset_at = tl.load(layout + 2), tl.load(layout + 3)
    power_set_at, power_reset_at, weight_at = tl.load(layout + 4), tl.load(layout + 5), tl.load(layout + 6)
    walking, need_ratio = tl.load(layout + 7) != 0, tl.load(layout + 8) != 0
    scalars += trial * _SCALARS
    x_first, x_step = tl.load(scalars), tl.load(scalars + 1)
    r_first, r_inverse_step = tl.load(scalars + 2), tl.load(scalars + 3)
    pulse_s, reference_length = tl.load(scalars + 4), tl.load(scalars + 5)
    lowest, highest = tl.load(scalars + 6), tl.load(scalars + 7)
    walk = walks + trial * 16
    sets, resets = tl.zeros([LANES], tl.float64), tl.zeros([LANES], tl.float64)
    energy, skipped = tl.zeros([LANES], tl.float64), tl.zeros([LANES], tl.float64)
    count = tl.load(counts + program)
    for start in range(0, count, LANES):
        place = start + tl.arange(0, LANES)
        live = place < count
        cell = tl.load(listed + program * LISTED + place, mask=live, other=0)
        row, column = cell // inputs, cell % inputs
        at = trial * cells + cell
        state_x = tl.load(log_n + at, mask=live, other=0.0)
        n_max = _parameter(walked_n_max, trial, cell, cells, n_max_stride, live)
        n_min = _parameter(walked_n_min, trial, cell, cells, n_min_stride, live)
        radius = _parameter(walked_r, trial, cell, cells, r_stride, live)
        disc = _parameter(walked_l, trial, cell, cells, l_stride, live)
        boost = _parameter(boosts, trial, cell, cells, boost_stride, live).to(tl.float64)
        up = live
        left = tl.zeros([LANES], tl.float64)
        random = cell.to(tl.uint64)
        for first in range(0, batch, _WORD):
            hits = tl.zeros([LANES], tl.int64)
            for sample in range(first, tl.minimum(first + _WORD, batch)):
                row_part = tl.load(rows + sample * outputs + row, mask=live, other=0)
                column_part = tl.load(columns + sample * inputs + column, mask=live, other=0)
                hit = _coincide(row_part, column_part, tl.load(slots_of + sample), KIND)
                hits |= hit.to(tl.int64) << (sample - first)
            while tl.max(((hits != 0) | (left > 0.0)).to(tl.int32), 0) > 0:
                # Lanes that are through with a sample take the next one that pulses their cell: the lowest bit.
                takes = (left == 0.0) & (hits != 0)
                sample_of = first + _popcount(~hits & (hits - 1)).to(tl.int32)
                hits = tl.where(takes, hits & (hits - 1), hits)
                row_at, column_at = sample_of * outputs + row, sample_of * inputs + column
                row_part = tl.load(rows + row_at, mask=takes, other=0)
                column_part = tl.load(columns + column_at, mask=takes, other=0)
                slots = tl.load(slots_of + sample_of, mask=takes, other=0.0)
                left = tl.where(takes, _coincidences(row_part, column_part, slots, KIND), left)
                # Descent: a positive product of x and d lowers the weight.
                rises = tl.load(d + row_at, mask=takes, other=0.0) < 0.0
                rises = rises == (tl.load(x + column_at, mask=takes, other=0.0) > 0.0)
                up = (takes & rises) | (~takes & up)
                if WALKING:
                    fresh = _stream(key, _CELLS, sample_of.to(tl.int64) * cells + cell + 1)
                    random = tl.where(takes, fresh, random)
                # One round of pulse_cell.
                limit = tl.where(up, n_max, n_min).to(tl.float64)
                bound = tl.log(limit)
                stop = tl.where(up, tl.minimum(highest, bound), tl.maximum(lowest, bound))
                short = tl.where(up, stop - state_x, state_x - stop) > 0.0
                skipped += tl.where(short, 0.0, left)
                left = tl.where(short, left, 0.0)
                going = left > 0.0
                together = left
                if WALKING:
                    together = tl.where(walking, tl.minimum(left, 1.0), left)
                factor = pulse_s * reference_length
                time = tl.where(up, factor / boost, factor * boost) * together / disc.to(tl.float64)
                j, c0, c1, c2, c3 = _stencil(radius.to(tl.float64), r_first, r_inverse_step, r_nodes)
                before = state_x
                state_x, unused = _march(
                    going, state_x, up, time, nodes + tl.where(up, set_at, reset_at), x_nodes, r_nodes,
                    x_first, x_step, j, c0, c1, c2, c3, stop, bound,
                )  # fmt: skip
                spared = (together * unused / tl.where(going, time, 1.0)).to(tl.int32).to(tl.float64)
                fired = together - spared
                sets += tl.where(up, fired, 0.0)
                resets += tl.where(up, 0.0, fired)
                skipped += spared
                power = nodes + tl.where(up, power_set_at, power_reset_at)
                energy += _linear(power, x_nodes, x_first, x_step, 0.5 * (before + state_x)) * pulse_s * fired
                left -= together
                if WALKING:
                    ratio = tl.zeros([LANES], tl.float64)
                    if need_ratio:
                        n_before = tl.exp(before)
                        covered = (tl.exp(state_x) - n_before) / tl.where(going, limit - n_before, 1.0)
                        ratio = tl.where(going, covered, 0.0)
                    own = _parameter(base_n_max, trial, cell, cells, n_max_stride, live)
                    random, n_max = _walk(random, n_max, own, walk, ratio, going)
                    own = _parameter(base_n_min, trial, cell, cells, n_min_stride, live)
                    random, n_min = _walk(random, n_min, own, walk + 4, ratio, going)
                    own = _parameter(base_r, trial, cell, cells, r_stride, live)
                    random, radius = _walk(random, radius, own, walk + 8, ratio, going)
                    own = _parameter(base_l, trial, cell, cells, l_stride, live)
                    random, disc = _walk(random, disc, own, walk + 12, ratio, going)
        tl.store(log_n + at, state_x, mask=live)
        tl.store(weight + at, _cubic(nodes + weight_at, x_nodes, x_first, x_step, state_x).to(tl.float32), mask=live)
        if WALKING:
            _keep(walked_n_max, trial, cell, cells, n_max_stride, live, n_max)
            _keep(walked_n_min, trial, cell, cells, n_min_stride, live, n_min)
            _keep(walked_r, trial, cell, cells, r_stride, live, radius)
            _keep(walked_l, trial, cell, cells, l_stride, live, disc)
    added += program * 4
    tl.store(added, tl.sum(sets, 0))
    tl.store(added + 1, tl.sum(resets, 0))
    tl.store(added + 2, tl.sum(energy, 0))
    tl.store(added + 3, tl.sum(skipped, 0))
