# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
# mypy: disallow-incomplete-defs=False, disallow-untyped-decorators=False
"""The current of many cells at a time, by Newton's method from about where it is, as cpu/equations.py finds it.

All searches share one loop with one evaluation of the equations per turn: a lane that has to look for its root from the
start does that beside lanes that are still near theirs.
"""

from vcm_sweep.device.kernels.gpu.equations import (
    PHI_BN0,
    PHI_N,
    T_0,
    balance,
    circuit_of,
    current_of,
    fit_at,
    fitted_along,
    newton_in_drop,
    parameter,
)
from vcm_sweep.device.kernels.gpu.triton_or_none import tl, triton
from vcm_sweep.device.kernels.layout import MAX_ROUNDS, MAX_STEPS, PARAMETERS
from vcm_sweep.device.physics.constants import CODATA_2018

# How a lane looks for its root: by Newton's steps from a guess; on the physical branch; between brackets; not at all,
# but for the slopes at the root; and not any more.
_NEARBY, _ON_BRANCH, _BRACKETED, _SLOPES, _FOUND = map(tl.constexpr, range(5))
_MAX_STEPS, _MAX_ROUNDS = tl.constexpr(MAX_STEPS), tl.constexpr(MAX_ROUNDS)
_K = tl.constexpr(CODATA_2018[1])
_PARAMETERS = tl.constexpr(PARAMETERS)
# Columns of a node of a start: ln of the drop, its slope in each parameter, and in the factor on the voltage.
START_COLUMNS = tl.constexpr(PARAMETERS + 2)


@triton.jit
def _between(at, t):
    low = tl.load(at)
    return low + t * (tl.load(at + START_COLUMNS) - low)


@triton.jit
def about_log_drop(which, x, stronger, cell, starts):
    """About ln of the drop over the interface in V, see cpu/starts.py; which: 0 SET, 1 RESET, 2 read.

    ``starts``: (pointer, first node, inverse step, number of nodes, the parameters it depends on as bits).
    """
    curves, x_first, inverse_step, count, varying = starts
    t = (x - x_first) * inverse_step
    node = tl.minimum(tl.maximum(t.to(tl.int32), 0), count - 2)
    t -= node
    at = curves + (which * count + node) * START_COLUMNS
    log_drop = _between(at, t)
    for place in tl.static_range(_PARAMETERS):
        if ((varying >> place) & 1) != 0:
            log_drop += _between(at + (1 + place), t) * (parameter(place, cell) - tl.load(cell[0] + place))
    return log_drop + _between(at + (1 + _PARAMETERS), t) * stronger


@triton.jit
def solve(x, v, which, stronger, cell, starts, full, wanted, FULL: tl.constexpr, EXPLICIT: tl.constexpr):
    """(N, |I|, d ln|I| / d ln N, barrier, d barrier / d ln N) of the wanted lanes at ln N = x and |V| = v.

    Where there is no root the current is NaN. ``which``: 0 SET, 1 RESET, 2 read. ``stronger``: change of the voltage
    relative to that of the starts. ``full``: whether a lane's cell has the full model, not the explicit one; FULL,
    EXPLICIT: whether any cell of the stack has it.
    """
    n = tl.exp(x)
    i, i_x = tl.zeros_like(x) + 1.0, tl.zeros_like(x)
    barrier, barrier_x = i, i_x
    if FULL:
        i, i_x, barrier, barrier_x = _root(n, x, v, which, stronger, cell, starts, wanted & full)
    if EXPLICIT:
        fitted, fitted_x = fitted_along(n, which == 0, fit_at(v))
        i, i_x = tl.where(full, i, fitted), tl.where(full, i_x, fitted_x)
    return n, i, i_x, barrier, barrier_x


@triton.jit
def _root(n, x, v, which, stronger, cell, starts, wanted):
    is_set = which == 0
    circuit = circuit_of(n, is_set, cell)
    linear, series, cubic, thermal = circuit[0], circuit[1], circuit[2], circuit[4]
    lowering, area = circuit[5], circuit[7]
    t_0, barrier_0 = parameter(T_0, cell), parameter(PHI_BN0, cell)
    phi = barrier_0 - parameter(PHI_N, cell)
    j = current_of(v - tl.exp(about_log_drop(which, x, stronger, cell, starts)), linear, cubic)
    search = tl.where(wanted, _NEARBY, _FOUND)
    current, current_x = j, tl.zeros_like(x)
    barrier, barrier_x = tl.zeros_like(x) + 1.0, tl.zeros_like(x)
    low, high = tl.zeros_like(x), tl.zeros_like(x)
    from_left, from_right = tl.zeros_like(x), tl.zeros_like(x)
    turn = tl.zeros_like(search)
    while tl.max((search != _FOUND).to(tl.int32), 0) > 0:
        g, dg, g_x, u, raw, raw_j, raw_x = balance(j, v, is_set, circuit, t_0, barrier_0, phi)
        new, trusted, small = newton_in_drop(j, v, g, dg, u, is_set, phi)
        nearby = search == _NEARBY
        ends = (nearby & small) | (search == _SLOPES)
        j_x = -g_x / dg
        current = tl.where(ends, tl.where(nearby, new, j), current)
        current_x = tl.where(ends, j_x / j, current_x)
        barrier, barrier_x = tl.where(ends, raw, barrier), tl.where(ends, raw_x + raw_j * j_x, barrier_x)
        lost = nearby & ~small & (~trusted | (turn >= _MAX_STEPS - 1))
        here = j
        j = tl.where(nearby, new, j)
        turn += 1
        searching = lost | (search == _ON_BRANCH) | (search == _BRACKETED)
        search = tl.where(ends, _FOUND, search)
        # What follows is as good as never needed.
        if tl.max(searching.to(tl.int32), 0) > 0:
            branch, bracketed = search == _ON_BRANCH, search == _BRACKETED
            # One step on the physical branch of RESET and read.
            newton = here - g / dg
            above, falling = g > 0.0, dg < 0.0
            low = tl.where((branch | bracketed) & above, here, low)
            from_left = tl.where(branch & ~above & falling, newton, from_left)
            right = tl.maximum(from_right, newton)
            from_right = tl.where(branch & ~above & ~falling, right, from_right)
            lowers = (branch & ~above & falling) | (bracketed & ~above)
            high = tl.where(lowers, here, high)
            absent = branch & (low == 0.0) & (from_left <= from_right)
            middle = (tl.maximum(low, from_right) + tl.minimum(high, from_left)) * 0.5
            middle = tl.where(above | (from_left == float("inf")), (here + high) * 0.5, middle)
            # Or one between brackets.
            steep = tl.minimum(tl.maximum(g * v / (dg * here * u), -6.0), 6.0)
            dropped = v * here / (v - u + u * tl.exp(steep))
            halved = tl.where(low > 0.0, (low + high) * 0.5, high * 0.25)
            step, other = tl.where(branch, newton, dropped), tl.where(branch, middle, halved)
            close = tl.abs(step - here) <= here * 1e-7
            by_newton = falling & (close | ((turn % 6 != 0) & (low < step) & (step < high)))
            root = (branch | bracketed) & tl.where(by_newton, close, high - low <= high * 1e-14) & ~absent
            j = tl.where(branch | bracketed, tl.where(by_newton, step, other), j)
            failed = (branch | bracketed) & ~root & ~absent & (turn >= _MAX_ROUNDS)
            current = tl.where(failed, float("nan"), current)
            search = tl.where(root, _SLOPES, tl.where(failed, _FOUND, search))
            # Begin between brackets, or on the branch.
            low, j = tl.where(absent, 0.0, low), tl.where(absent, high * 0.5, j)
            search, turn = tl.where(absent, _BRACKETED, search), tl.where(absent | lost, 0, turn)
            largest = v / linear
            for _refinement in range(3):
                j2 = cubic * largest * largest
                largest = (v + largest * j2 * 2.0) / (linear + j2 * 3.0)
            least = (v - phi) / (linear + cubic * largest * largest)
            least = tl.minimum(tl.maximum(least, 0.0), largest)
            theta = (t_0 + largest * (v - largest * (series + cubic * largest * largest)) * thermal) * _K
            start = tl.maximum(barrier_0 - lowering * tl.sqrt(tl.sqrt(tl.maximum(phi, 0.0))), 0.0)
            kelvin = theta / _K
            saturation = area * kelvin * kelvin * tl.exp(-start / theta)
            first = tl.maximum(largest - theta * tl.log(1.0 + largest / saturation) / linear, (least + largest) * 0.5)
            first = tl.where(first >= largest, largest * (1 - 1e-3), first)
            high, low = tl.where(lost, largest, high), tl.where(lost, 0.0, low)
            j = tl.where(lost, tl.where(is_set, largest * 0.5, first), j)
            from_left, from_right = tl.where(lost, float("inf"), from_left), tl.where(lost, least, from_right)
            search = tl.where(lost, tl.where(is_set, _BRACKETED, _ON_BRANCH), search)
    return current, current_x, barrier, barrier_x
