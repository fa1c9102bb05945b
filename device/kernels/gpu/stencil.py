# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
# mypy: disallow-incomplete-defs=False, disallow-untyped-decorators=False
"""Reading the tables of an array in GPU kernels, as cpu/stencil.py does on a CPU.

Here an *axis* is the place of a cell along one parameter: (place of the first of four nodes, distance between nodes,
their four weights). A *stencil* is three axes, of which a kernel reads the first ``AXES``. On an axis that a trial does
not have, one node has all the weight, so that a trial gets the same bits whatever else is stacked with it.

A *curve* is (values, nodes of x, intervals below the kink, x_first, kink, x_last, nodes of the parameters). Each entry
is either one for all lanes or one per lane.
"""

from vcm_sweep.device.kernels.gpu.triton_or_none import tl, triton


@triton.jit
def _cubic_weights(t, count):
    """First of four nodes around position t (in steps from the first node) and the weights of the cubic's nodes."""
    j = tl.minimum(tl.maximum(t.to(tl.int32) - 1, 0), tl.maximum(count - 4, 0))
    a = t - j
    b, c, d = a - 1.0, a - 2.0, a - 3.0
    return j, -b * c * d / 6.0, a * c * d / 2.0, -a * b * d / 2.0, a * b * c / 6.0


@triton.jit
def axis_at(value, first, inverse_step, count, distance):
    """The axis at each lane's value; ``count`` is 1 if the trial does not have this axis."""
    j, c0, c1, c2, c3 = _cubic_weights((value - first) * inverse_step, count)
    none = count == 1
    c0 = tl.where(none, 1.0, c0)
    c1, c2, c3 = tl.where(none, 0.0, c1), tl.where(none, 0.0, c2), tl.where(none, 0.0, c3)
    return tl.where(none, 0, j * distance), tl.where(none, 0, distance), c0, c1, c2, c3


@triton.jit
def _line(at, axis):
    first, step, c0, c1, c2, c3 = axis
    at += first
    return c0 * tl.load(at) + c1 * tl.load(at + step) + c2 * tl.load(at + 2 * step) + c3 * tl.load(at + 3 * step)


@triton.jit
def _plane(at, outer, inner):
    first, step, c0, c1, c2, c3 = outer
    at += first
    value = c0 * _line(at, inner) + c1 * _line(at + step, inner)
    return value + c2 * _line(at + 2 * step, inner) + c3 * _line(at + 3 * step, inner)


@triton.jit
def _volume(at, outer, middle, inner):
    first, step, c0, c1, c2, c3 = outer
    at += first
    value = tl.zeros_like(c0)
    # A loop instead of four written terms: unrolled, each place that reads a table would have 64 loads, and compiling
    # would take minutes.
    for i in range(4):
        weight = tl.where(i < 2, tl.where(i == 0, c0, c1), tl.where(i == 2, c2, c3))
        value += weight * _plane(at, middle, inner)
        at += step
    return value


@triton.jit
def at_stencil(at, width, stencil, AXES: tl.constexpr):
    """A quantity that does not depend on x, from its ``width`` nodes at the pointers ``at``; a single node is read as
    it is."""
    value = tl.load(at)
    if AXES == 0:
        return value
    if width > 1:
        if AXES == 1:
            value = _line(at, stencil[0])
        elif AXES == 2:
            value = _plane(at, stencil[0], stencil[1])
        else:
            value = _volume(at, stencil[0], stencil[1], stencil[2])
    return value


@triton.jit
def node(curve, k, stencil, AXES: tl.constexpr):
    """A table's value at node k of x."""
    return at_stencil(curve[0] + k * curve[6], curve[6], stencil, AXES)


@triton.jit
def step_and_start(curve, k):
    """(width, lower end) of interval k of x."""
    _, nodes, below, x_first, kink, x_last, _ = curve
    lower = tl.where(below > 0, (kink - x_first) / tl.maximum(below, 1), 1.0)
    upper = (x_last - kink) / (nodes - 1 - below)
    under = k < below
    return tl.where(under, lower, upper), tl.where(under, x_first + k * lower, kink + (k - below) * upper)


@triton.jit
def interval(curve, x):
    """The interval that contains x; the first or the last one if x is beyond the ends."""
    _, nodes, below, x_first, kink, x_last, _ = curve
    lower = tl.where(below > 0, (kink - x_first) / tl.maximum(below, 1), 1.0)
    upper = (x_last - kink) / (nodes - 1 - below)
    under = tl.minimum(tl.maximum(((x - x_first) / lower).to(tl.int32), 0), below - 1)
    over = tl.minimum(below + tl.maximum(((x - kink) / upper).to(tl.int32), 0), nodes - 2)
    return tl.where((x < kink) & (below > 0), under, over)


@triton.jit
def read_linear(curve, x, stencil, AXES: tl.constexpr):
    """A table at x, linear between its nodes of x."""
    k = interval(curve, x)
    step, start = step_and_start(curve, k)
    low = node(curve, k, stencil, AXES)
    return low + (x - start) / step * (node(curve, k + 1, stencil, AXES) - low)


@triton.jit
def read_cubic(curve, x, stencil, AXES: tl.constexpr):
    """A table at x, cubic in x on either side of the kink."""
    _, nodes, below, x_first, kink, x_last, _ = curve
    under = (x < kink) & (below > 0)
    way = tl.where(below > 0, kink - x_first, 1.0)
    t = tl.where(under, (x - x_first) / way * below, (x - kink) / (x_last - kink) * (nodes - 1 - below))
    j, c0, c1, c2, c3 = _cubic_weights(t, tl.where(under, below + 1, nodes - below))
    j += tl.where(under, 0, below)
    value = c0 * node(curve, j, stencil, AXES) + c1 * node(curve, j + 1, stencil, AXES)
    return value + c2 * node(curve, j + 2, stencil, AXES) + c3 * node(curve, j + 3, stencil, AXES)
