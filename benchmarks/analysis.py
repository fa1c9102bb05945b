"""Time the analysis of a large Sobol design on one core, and SALib's own analysis in the same run.

    OMP_NUM_THREADS=1 python benchmarks/analysis.py [--factors 20] [--n 4096] [--resamples 1000] [--salib]

The output is Sobol's G function with training noise. SALib subtracts no noise and has no replicates, so it is given the
row means. Its second-order indices take minutes, so they are computed only with --salib.
"""

import argparse
import os
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis import delta_indices, hdmr_indices, pawn_indices, rbd_fast_indices, sobol_indices


def g_function(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sobol's G function with a_j = j, which has few strong factors and many weak ones; u: (..., D)."""
    a = np.arange(u.shape[-1])
    return np.asarray(np.prod((np.abs(4 * u - 2) + a) / (1 + a), axis=-1))


def saltelli(rng: np.random.Generator, n: int, d: int) -> NDArray[np.float64]:
    """A random Saltelli design with the rows A, AB_1 .. AB_D, BA_1 .. BA_D, B: (n, 2 D + 2, D)."""
    a, b = rng.random((2, n, d))
    u = np.empty((n, 2 * d + 2, d))
    u[:, : d + 1], u[:, d + 1 :] = a[:, None], b[:, None]
    for j in range(d):
        u[:, 1 + j, j], u[:, 1 + d + j, j] = b[:, j], a[:, j]
    return u


def timed(name: str, call: Callable[[], object]) -> float:
    """Time one call, print and return its seconds."""
    start = time.perf_counter()
    call()
    seconds = time.perf_counter() - start
    print(f"{name:<58} {seconds:8.2f} s", flush=True)
    return seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--factors", type=int, default=20)
    parser.add_argument("--n", type=int, default=4096)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--salib", action="store_true", help="time SALib's second order too")
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    d, n = options.factors, options.n
    names = [f"x{j}" for j in range(d)]
    u = saltelli(rng, n, d)
    y = g_function(u)[..., None] + rng.normal(0.0, 0.2, (n, 2 * d + 2, 2))
    short = np.concatenate([np.arange(d + 1), [2 * d + 1]])
    means = y.mean(axis=2)
    cores = os.environ.get("OMP_NUM_THREADS", "all cores for")
    print(f"{cores} thread(s); D = {d}, N = {n}, {options.resamples} resamples, two replicates")
    print(f"rows: {n * (d + 2)}, with second order {means.size}")

    from SALib.analyze import sobol

    problem = {"num_vars": d, "names": names, "bounds": [[0.0, 1.0]] * d}
    few = {"num_resamples": options.resamples, "seed": 1}
    ours = timed("first and total", lambda: sobol_indices(y[:, short], names, resamples=options.resamples))
    theirs = timed(
        "  SALib", lambda: sobol.analyze(problem, means[:, short].reshape(-1), calc_second_order=False, **few)
    )
    print(f"  {theirs / ours:.1f} times as long")
    ours = timed("first, total and second", lambda: sobol_indices(y, names, resamples=options.resamples))
    if options.salib:
        theirs = timed("  SALib", lambda: sobol.analyze(problem, means.reshape(-1), **few))
        print(f"  {theirs / ours:.1f} times as long")
    x, outputs = u[:, short].reshape(-1, d), y[:, short].reshape(n * (d + 2), 2)
    blocks = np.repeat(np.arange(n), d + 2)
    for method in (rbd_fast_indices, pawn_indices, delta_indices, hdmr_indices):
        timed(f"{method.__name__} of all {len(x)} rows", lambda m=method: m(x, outputs, names, blocks=blocks))


if __name__ == "__main__":
    main()
