"""Delta: how much of the output's density moves, on average, when a factor is held in a slice of its range.

The index is Borgonovo's, Reliab. Eng. Syst. Saf. 92 (2007) 771. The estimator from any given points is that of
Plischke, Borgonovo, Smith, Eur. J. Oper. Res. 226 (2013) 536, which SALib uses too: half the mean area between the
density of the output in a slice and its density over all points.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.statistics.bootstrap import Resampling
from vcm_sweep.analysis.statistics.points import read_points
from vcm_sweep.analysis.statistics.slices import Distance, distance_indices, slice_places

Array = NDArray[np.float64]

# Points of the output at which densities are evaluated, as in SALib.
_CELLS = 100


def delta_indices(
    x: Array,
    y: Array,
    factors: Sequence[str],
    *,
    blocks: NDArray[np.int64] | None = None,
    seeds: str = "independent",
    trainings: int = 1,
    resamples: int = 300,
    confidence: float = 0.95,
    seed: int = 1,
    metric: str = "accuracy",
) -> Sensitivity:
    """Delta indices of the output of a single training, corrected for bias, with intervals and a floor (see `Index`).

    Outputs are counted in 100 cells, and densities are Gaussian kernel estimates from these counts; each slice has
    Silverman's kernel width for its own spread. The number of slices is SALib's. Training noise is part of the
    distribution and is not subtracted, as in `pawn_indices`. The index ``raw`` is the estimate before its bias is
    subtracted.

    Args:
        x: (n, D) float64 factor values. y: (n, R) outputs, NaN where a replicate was not run.
        blocks: (n,) the base block of each row, all of one size; None for independent points.

    Raises:
        AnalysisError: as `read_points`.
    """
    resampling = Resampling(resamples, confidence, seed)
    points = read_points(
        x, y, factors, blocks=blocks, seeds=seeds, metric=metric, fits_means=False, trainings=trainings,
    )  # fmt: skip
    known = np.isfinite(points.y)
    grid = np.linspace(points.y[known].min(), points.y[known].max(), _CELLS)
    width = grid[1] - grid[0]
    cell = np.where(known, np.rint((np.where(known, points.y, grid[0]) - grid[0]) / width), -1).astype(np.int64)
    places = [slice_places(points.u[:, :, j], slice_number(int(known.sum()))) for j in range(len(points.factors))]
    whole = _kernel(points.y[known], grid)
    return distance_indices(
        points,
        cell,
        _CELLS,
        places,
        [_area(points.y, known, place, grid, whole) for place in places],
        kind="delta",
        remarks=("It compares densities of single trainings: training noise blurs them, and is not taken out.",),
        resampling=resampling,
    )


def slice_number(count: int) -> int:
    """The number of slices for ``count`` outputs, by the rule of Plischke, Borgonovo and Smith."""
    return round(min(float(np.ceil(count ** (2.0 / (7.0 + np.tanh((1500.0 - count) / 500.0))))), 48.0))


def _area(y: Array, known: NDArray[np.bool_], place: NDArray[np.int64], grid: Array, whole: Array) -> Distance:
    """A function from counts (K, slices, cells) to half the mean area between the slices' densities and that of all."""
    inside = np.broadcast_to(place[..., None], y.shape)
    kernels = np.stack([_kernel(y[known & (inside == k)], grid) for k in range(int(place.max()) + 1)])

    def area(counts: Array) -> Array:
        size = counts.sum(axis=2)
        with np.errstate(invalid="ignore"):
            part = np.swapaxes(np.swapaxes(counts / size[..., None], 0, 1) @ kernels, 0, 1)
        everything = (counts.sum(axis=1) / size.sum(axis=1, keepdims=True)) @ whole
        gap = np.nan_to_num(np.trapezoid(np.abs(part - everything[:, None]), grid, axis=2))
        return np.asarray((gap * size).sum(axis=1) / size.sum(axis=1) / 2.0)

    return area


def _kernel(y: Array, grid: Array) -> Array:
    """(cells, grid) contribution of one output in each cell to the density at each point of the grid."""
    spread = float(y.std(ddof=1)) if y.size > 1 else 0.0
    # Where nearly all outputs of a slice agree, its spread is near 0; no kernel is narrower than a cell of the grid.
    width = max(spread * (3.0 * max(y.size, 1) / 4.0) ** -0.2, float(grid[1] - grid[0]))
    return np.asarray(np.exp(-(((grid[:, None] - grid) / width) ** 2) / 2.0) / (width * np.sqrt(2.0 * np.pi)))
