"""Distributions of the output in slices of a factor, for all resamples at once: PAWN and delta share it.

Counts per block form a sparse matrix, so resampling is one product with the weights. A distance between distributions
is never negative, so its estimate is too large, which is dealt with in two ways. Shuffling assigns blocks of outputs to
blocks of points at random, which shows what a factor without effect looks like when rows of a block are similar; the
upper quantile is the floor. And since the bootstrap adds about the same bias once more, the index is twice the estimate
minus the mean of its resamples (Plischke, Borgonovo, Smith, Eur. J. Oper. Res. 226 (2013) 536).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats

from vcm_sweep.analysis.results.index import Index
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.statistics.bootstrap import Resampling
from vcm_sweep.analysis.statistics.points import Points

Array = NDArray[np.float64]
# A function from counts (K, slices, cells) to the method's distance (K,).
Distance = Callable[[Array], Array]

_SHUFFLES = 100


def slice_places(u: Array, slices: int) -> NDArray[np.int64]:
    """The number of each point's slice; slices have equal counts, but equal values stay together; u: any shape."""
    edges = np.unique(np.quantile(u, np.linspace(0.0, 1.0, slices + 1)))
    return np.clip(np.searchsorted(edges, u, side="right") - 1, 0, max(0, edges.size - 2))


def distance_indices(
    points: Points,
    cell: NDArray[np.int64],
    cells: int,
    places: Sequence[NDArray[np.int64]],
    distances: Sequence[Distance],
    *,
    kind: str,
    remarks: tuple[str, ...],
    resampling: Resampling,
) -> Sensitivity:
    """The result of a method whose index is a distance between distributions in slices.

    Args:
        cell: (B, m, R) int64 cell of each output on the method's grid, -1 where there is none. cells: number of cells.
        places: for each factor, (B, m) slice of each point. distances: for each factor, the method's distance.
    """
    blocks = len(points.y)
    weights = resampling.weights(blocks)
    shuffles = np.random.default_rng(resampling.seed + 1).permuted(np.tile(np.arange(blocks), (_SHUFFLES, 1)), axis=1)
    raw, draws, null = [], [], []
    for place, distance in zip(places, distances, strict=True):
        slices = int(place.max()) + 1
        raw.append(distance(_counts(place, cell, slices, cells)[None])[0])
        draws.append(np.concatenate([distance(part) for part in _resampled(place, cell, slices, cells, weights)]))
        null.append(distance(np.stack([_counts(place, cell[order], slices, cells) for order in shuffles])))
    value, drawn, shuffled = np.array(raw), np.array(draws).T, np.array(null)
    bias = drawn.mean(axis=0) - value
    z = float(stats.norm.ppf(0.5 + resampling.confidence / 2.0))
    # Shuffles give the floor of the raw estimate; the bias that the index loses is subtracted from it, too.
    # Of few events the distances of shuffles are a few numbers, far from normal, and then their own quantile is higher.
    above = np.quantile(shuffled, 0.5 + resampling.confidence / 2.0, axis=1, method="higher")
    floor = np.maximum(0.0, np.maximum(shuffled.mean(axis=1) + z * shuffled.std(axis=1, ddof=1), above) - bias)
    mirrored = 2.0 * value - drawn
    variance, spread = points.variance(weights)
    indices = {
        kind: resampling.indices(points.factors, value - bias, mirrored, floor=floor),
        "raw": tuple(Index(name, float(v), np.nan, np.nan) for name, v in zip(points.factors, value, strict=True)),
    }
    # Noise is part of the distributions that are compared, so it is not subtracted even where it is known.
    return replace(points, corrected=False).sensitivity(
        kind,
        kind,
        indices,
        mirrored,
        resampling,
        variance=variance,
        luck=points.luck(variance, spread, weights, resampling),
        remarks=(
            *remarks,
            f"A distance is never negative: a factor without effect comes out as high as {floor.max():.2g} here "
            f"({_SHUFFLES} shuffles), and only what lies above counts.",
            "Intervals hold the scatter of the estimate, not what is left of its bias, which shrinks with more rows: "
            "compare factors of one study, not studies.",
        ),
        mean=float(np.nanmean(points.y)),
    )


def _counts(place: NDArray[np.int64], cell: NDArray[np.int64], slices: int, cells: int) -> Array:
    """How many outputs lie in each slice and cell: (slices, cells)."""
    flat = (place[..., None] * cells + cell)[cell >= 0]
    return np.bincount(flat, minlength=slices * cells).reshape(slices, cells).astype(np.float64)


def _resampled(
    place: NDArray[np.int64], cell: NDArray[np.int64], slices: int, cells: int, weights: Array
) -> list[Array]:
    """The counts under each row of weights, in pieces of some rows, to bound memory: [(k, slices, cells), ...]."""
    known = cell >= 0
    block = np.broadcast_to(np.arange(len(cell))[:, None, None], cell.shape)[known]
    column = (place[..., None] * cells + cell)[known]
    table = sparse.csr_array((np.ones(block.size), (column, block)), shape=(slices * cells, len(cell)))
    step = max(1, 4_000_000 // (slices * cells))
    multiples = weights * len(cell)
    return [
        np.asarray((table @ multiples[k : k + step].T).T).reshape(-1, slices, cells)
        for k in range(0, len(weights), step)
    ]
