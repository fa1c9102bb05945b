"""Interpolation between the nodes of a table's parameter axes: products of cubics, compiled.

A table has one axis of x = ln N and up to three of parameters, which are flattened into one. A stencil lists the nodes
around a cell's parameters, by their place on the flattened axis, with their weights in the interpolation. One stencil
serves all tables of an array.
"""

import numpy as np

from vcm_sweep.device.kernels.cpu.compiling import inlined, kernel
from vcm_sweep.device.kernels.layout import STENCIL_SIZE

# Columns of an array that describes axes.
FIRST, INVERSE_STEP, COUNT = 0, 1, 2


@inlined
def cubic_weights(t, count):
    """First of four nodes around position t (in steps from the first node) and the weights of the cubic's nodes."""
    j = min(max(int(t) - 1, 0), count - 4)
    t -= j
    a, b, c, d = t, t - 1.0, t - 2.0, t - 3.0
    return j, -b * c * d / 6.0, a * c * d / 2.0, -a * b * d / 2.0, a * b * c / 6.0


@kernel
def fill_stencil(axes, values, offsets, weights):
    """Write places and weights of the stencil at ``values`` (one per axis); returns the number of its nodes.

    axes: (axes, 3) float64 with the columns above, the last axis fastest; every axis has at least 4 nodes.
    """
    offsets[0], weights[0] = 0, 1.0
    count = 1
    for axis in range(axes.shape[0]):
        nodes = int(axes[axis, COUNT])
        j, w0, w1, w2, w3 = cubic_weights((values[axis] - axes[axis, FIRST]) * axes[axis, INVERSE_STEP], nodes)
        # Each node is replaced by four. Going backwards, no node is overwritten before it has been read.
        for i in range(count - 1, -1, -1):
            place, weight = offsets[i] * nodes + j, weights[i]
            offsets[4 * i], weights[4 * i] = place, weight * w0
            offsets[4 * i + 1], weights[4 * i + 1] = place + 1, weight * w1
            offsets[4 * i + 2], weights[4 * i + 2] = place + 2, weight * w2
            offsets[4 * i + 3], weights[4 * i + 3] = place + 3, weight * w3
        count *= 4
    return count


@inlined
def at_stencil(values, offsets, weights, count):
    """A quantity that does not depend on x, interpolated; ``values`` has shape (nodes,)."""
    if count == 1:
        return values[0]
    total = 0.0
    for i in range(count):
        total += weights[i] * values[offsets[i]]
    return total


@inlined
def read_linear(table, x_first, kink, x_last, below, x, offsets, weights, count):
    """A table at x, linear between its nodes of x."""
    k, f = _place(table.shape[0], x_first, kink, x_last, below, x)
    if count == 1:
        return table[k, 0] + f * (table[k + 1, 0] - table[k, 0])
    low, high = 0.0, 0.0
    for i in range(count):
        low += weights[i] * table[k, offsets[i]]
        high += weights[i] * table[k + 1, offsets[i]]
    return low + f * (high - low)


@inlined
def read_cubic(table, x_first, kinks, x_last, below, x, offsets, weights, count):
    """A table at x, cubic in x on either side of the kink; with ``count`` = 1 it is read at its first node."""
    kink = kinks[0] if count == 1 else at_stencil(kinks, offsets, weights, count)
    if x < kink and below > 0:
        first, nodes, position = 0, below + 1, (x - x_first) / (kink - x_first) * below
    else:
        first, nodes = below, table.shape[0] - below
        position = (x - kink) / (x_last - kink) * (nodes - 1)
    j, w0, w1, w2, w3 = cubic_weights(position, nodes)
    j += first
    if count == 1:
        return w0 * table[j, 0] + w1 * table[j + 1, 0] + w2 * table[j + 2, 0] + w3 * table[j + 3, 0]
    value = 0.0
    for i in range(count):
        o = offsets[i]
        value += weights[i] * (w0 * table[j, o] + w1 * table[j + 1, o] + w2 * table[j + 2, o] + w3 * table[j + 3, o])
    return value


@kernel
def read_slope(table, x_first, kinks, x_last, below, x, offsets, weights, count):
    """The slope in x of :func:`read_cubic`."""
    kink = kinks[0] if count == 1 else at_stencil(kinks, offsets, weights, count)
    if x < kink and below > 0:
        first, nodes, step, start = 0, below + 1, (kink - x_first) / below, x_first
    else:
        first, nodes = below, table.shape[0] - below
        step, start = (x_last - kink) / (nodes - 1), kink
    t = (x - start) / step
    j = min(max(int(t) - 1, 0), nodes - 4)
    a = t - j
    b, c, d = a - 1.0, a - 2.0, a - 3.0
    w0 = -(b * c + b * d + c * d) / 6.0
    w1 = (a * c + a * d + c * d) / 2.0
    w2 = -(a * b + a * d + b * d) / 2.0
    w3 = (a * b + a * c + b * c) / 6.0
    j += first
    if count == 1:
        return (w0 * table[j, 0] + w1 * table[j + 1, 0] + w2 * table[j + 2, 0] + w3 * table[j + 3, 0]) / step
    slope = 0.0
    for i in range(count):
        o = offsets[i]
        slope += weights[i] * (w0 * table[j, o] + w1 * table[j + 1, o] + w2 * table[j + 2, o] + w3 * table[j + 3, o])
    return slope / step


@inlined
def _place(nodes, x_first, kink, x_last, below, x):
    """(interval of x, position within it from 0 to 1); x beyond the ends belongs to the first or last interval."""
    if x < kink and below > 0:
        t = (x - x_first) / (kink - x_first) * below
        k = min(max(int(t), 0), below - 1)
        return k, t - k
    t = (x - kink) / (x_last - kink) * (nodes - 1 - below)
    k = min(max(int(t), 0), nodes - 2 - below)
    return below + k, t - k


def scratch() -> tuple[np.ndarray, np.ndarray]:
    """Work space for a stencil: places and weights."""
    return np.zeros(STENCIL_SIZE, np.int64), np.ones(STENCIL_SIZE)
