"""The measured error of tables, at random cells between their nodes."""

from collections.abc import Callable

import numpy as np
import torch

from vcm_sweep.device.kernels.cpu.compiling import kernel
from vcm_sweep.device.kernels.cpu.stencil import at_stencil, fill_stencil, read_cubic, read_linear, scratch
from vcm_sweep.device.kernels.layout import Curve
from vcm_sweep.device.tables.tables import Axis, Curves, Points

_SAMPLES = 2000


def measured(
    curves: Curves, axes: tuple[Axis, ...], exact: Callable[[Points, torch.Tensor], torch.Tensor], linear: bool
) -> Curves:
    """The same curves with their error, measured against ``exact`` at random points over the whole range."""
    generator = torch.Generator().manual_seed(20240306)

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(_SAMPLES, generator=generator, dtype=torch.float64)

    x = uniform(curves.x_first, curves.x_last)
    points = {axis.name: uniform(axis.first, axis.last) for axis in axes}
    array = np.array([(a.first, (a.count - 1) / (a.last - a.first), a.count) for a in axes]).reshape(len(axes), 3)
    values = torch.stack(list(points.values()), 1).numpy() if axes else np.zeros((_SAMPLES, 0))
    table = np.empty(_SAMPLES)
    curve = Curve(curves.x_first, curves.x_last, curves.below, curves.kink, curves.values, curves.power)
    _read_many(curve, linear, x.numpy(), array, values, *scratch(), table)
    gap = exact(points, x).numpy() - table
    error = float(np.abs(np.expm1(gap) if linear else gap).max())
    return Curves(curves.x_first, curves.x_last, curves.below, curves.kink, curves.values, curves.power, error)


@kernel
def _read_many(curve, linear, x, axes, values, offsets, weights, out):  # type: ignore
    table, kinks, x_first, x_last, below = curve.values, curve.kink, curve.x_first, curve.x_last, curve.below
    for i in range(x.shape[0]):
        count = fill_stencil(axes, values[i], offsets, weights)
        if linear:
            kink = at_stencil(kinks, offsets, weights, count)
            out[i] = read_linear(table, x_first, kink, x_last, below, x[i], offsets, weights, count)
        else:
            out[i] = read_cubic(table, x_first, kinks, x_last, below, x[i], offsets, weights, count)
