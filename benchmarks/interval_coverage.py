"""How often the bounded intervals hold the truth, and how wide they are, on twelve functions whose indices are known.

    python benchmarks/interval_coverage.py [--repetitions 200] [--processes 2] [--out coverage.jsonl] [--write TABLE.md]

Scrambled Sobol points, each trained twice, with normal noise of 20 and 50 % of the variance of one training. Every
study is a line of the file, and a study that is there is not done again: stop it at any time, and start it again.
``--points``, ``--luck`` and ``--functions`` choose a part. The table has the worst factor's coverage of the total index
and that of all factors, half of the interval's width of the top factor and on average, in points (per cent of the
variance), what is unexplained, and how often a factor without any effect is said to matter.
"""

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

# One thread per process: the processes are what runs on all cores.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from vcm_sweep.analysis import AnalysisError, bounded_indices

Array = NDArray[np.float64]


def _logistic(z: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-z)))


def _harm(u: Array) -> Array:
    harm = 5.0 * (u[:, 0] - 0.5) ** 2 * (0.6 + u[:, 2]) + 0.45 * u[:, 1] ** 2 + 0.35 * u[:, 2] ** 1.5
    return np.asarray(harm + 0.12 * u[:, 3] + 0.12 * u[:, 4] + 0.05 * u[:, 5])


def example(u: Array) -> Array:
    """Accuracy that falls smoothly with the harm of ten, or more, factors; some do nothing."""
    return 0.1 + 0.83 * _logistic(7.0 * (0.95 - _harm(u)))


def sobol_g(u: Array) -> Array:
    """Sobol's G function of eight factors."""
    a = np.array([0.0, 1.0, 4.5, 9.0, 99.0, 99.0, 99.0, 99.0])
    return np.asarray(np.prod((np.abs(4.0 * u - 2.0) + a) / (1.0 + a), axis=1))


def products(u: Array) -> Array:
    """Linear terms and products of two and three of eight factors."""
    x = np.sqrt(3.0) * (2.0 * u - 1.0)
    linear = x[:, 0] + 0.7 * x[:, 1] + 0.4 * x[:, 2]
    return np.asarray(linear + 0.8 * x[:, 0] * x[:, 3] + 0.6 * x[:, 1] * x[:, 2] * x[:, 4])


def ishigami(u: Array) -> Array:
    """Ishigami's function, and a dummy."""
    x = np.pi * (2.0 * u - 1.0)
    return np.asarray(np.sin(x[:, 0]) + 7.0 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0]))


def six_periods(u: Array) -> Array:
    """Six periods of a sine across one of six factors."""
    return np.asarray(np.sin(12.0 * np.pi * u[:, 0]) + u[:, 1] + u[:, 2] * u[:, 3])


def chance_or_trained(u: Array) -> Array:
    """Accuracy at chance beyond an edge through ten factors, and nearly constant before it."""
    return np.where(_harm(u) < 0.95, 0.93 - 0.1 * u[:, 5], 0.1)


def _cliff(u: Array, part: float) -> Array:
    edge = 1.0 - np.sqrt(part)
    slope = 0.9 - 0.08 * u[:, 0] - 0.05 * u[:, 2] - 0.05 * u[:, 3]
    return np.where((u[:, 0] > edge) & (u[:, 1] > edge), 0.1, slope)


def cliff_of_4_percent(u: Array) -> Array:
    """Accuracy falls to chance in a corner of two of eight factors that is 4 % of the box."""
    return _cliff(u, 0.04)


def cliff_of_half_a_percent(u: Array) -> Array:
    """The same corner, 0.5 % of the box."""
    return _cliff(u, 0.005)


def friedman(u: Array) -> Array:
    """Friedman's function of five factors, and five dummies."""
    sine = 10.0 * np.sin(np.pi * u[:, 0] * u[:, 1])
    return np.asarray(sine + 20.0 * (u[:, 2] - 0.5) ** 2 + 10.0 * u[:, 3] + 5.0 * u[:, 4])


def borehole(u: Array) -> Array:
    """Flow of water through a borehole, of eight factors (Harper and Gupta 1983), uniform over the usual ranges."""
    low = np.array([0.05, 100.0, 63070.0, 990.0, 63.1, 700.0, 1120.0, 9855.0])
    high = np.array([0.15, 50000.0, 115600.0, 1110.0, 116.0, 820.0, 1680.0, 12045.0])
    rw, r, tu, hu, tl, hl, length, kw = (low + (high - low) * u).T
    log = np.log(r / rw)
    return np.asarray(2.0 * np.pi * tu * (hu - hl) / (log * (1.0 + tu / tl + 2.0 * length * tu / (log * rw**2 * kw))))


def stairs(u: Array) -> Array:
    """Stairs along six factors, the first of which also sets the height of the second's."""
    step = np.floor(5.0 * u[:, :3])
    return np.asarray(step[:, 0] + 0.5 * step[:, 1] * (step[:, 0] > 2.0) + 0.5 * step[:, 2])


class Case(NamedTuple):
    """output: of points (n, D) -> (n,). factors: D."""

    output: Callable[[Array], Array]
    factors: int


FUNCTIONS = {
    "like the example, 10 factors": Case(example, 10),
    "like the example, 13 factors": Case(example, 13),
    "Sobol G, 8": Case(sobol_g, 8),
    "linear + products up to order 3": Case(products, 8),
    "Ishigami + dummy": Case(ishigami, 4),
    "six periods": Case(six_periods, 6),
    "chance or trained": Case(chance_or_trained, 10),
    "cliff in 4 % of the box": Case(cliff_of_4_percent, 8),
    "cliff in 0.5 %": Case(cliff_of_half_a_percent, 8),
    "Friedman + 5 dummies": Case(friedman, 10),
    "borehole": Case(borehole, 8),
    "stairs": Case(stairs, 6),
}


class Study(NamedTuple):
    """A study to be done: a key of FUNCTIONS, the number of points, the share of luck, and which repetition."""

    function: str
    points: int
    luck: float
    repetition: int


@cache
def truth(function: str, log2: int = 18) -> tuple[float, Array]:
    """The variance and the total indices, (D,), by Jansen's estimator on 2^log2 scrambled Sobol points."""
    output, d = FUNCTIONS[function]
    points = qmc.Sobol(2 * d, seed=12345).random_base2(log2)
    a, b = points[:, :d], points[:, d:]
    at = output(a)
    total = []
    for j in range(d):
        moved = a.copy()
        moved[:, j] = b[:, j]
        total.append(np.mean((at - output(moved)) ** 2) / 2.0)
    return float(at.var()), np.array(total) / at.var()


def study(given: Study) -> dict[str, Any]:
    """One study: the ends of the intervals of the total indices, and the share that is unexplained."""
    output, d = FUNCTIONS[given.function]
    variance, _ = truth(given.function)
    place = [list(FUNCTIONS).index(given.function), given.points, round(100 * given.luck), given.repetition]
    rng = np.random.default_rng(place)
    u = qmc.Sobol(d, seed=rng.spawn(1)[0]).random(given.points)
    noise = np.sqrt(variance * given.luck / (1.0 - given.luck))
    y = output(u)[:, None] + rng.normal(0.0, noise, (given.points, 2))
    start = time.process_time()
    line: dict[str, Any] = given._asdict()
    try:
        result = bounded_indices(u, y, [f"x{j}" for j in range(d)], resamples=100, seed=given.repetition + 1)
    except AnalysisError as error:
        return {**line, "refused": str(error)}
    return {
        **line,
        "low": [index.low for index in result.total],
        "high": [index.high for index in result.total],
        "unexplained": result["unexplained"][0].value,
        "seconds": time.process_time() - start,
    }


def wanted(options: argparse.Namespace, done: set[Study]) -> Iterator[Study]:
    """The studies that are not done yet, all cells' first repetitions first."""
    for repetition in range(options.repetitions):
        for points in options.points:
            for luck in options.luck:
                for function in options.functions:
                    one = Study(function, points, luck, repetition)
                    if one not in done:
                        yield one


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of the file; one that was cut off by a stop is left out."""
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def key(line: dict[str, Any]) -> Study:
    """Which study a line is of."""
    return Study(*(line[field] for field in Study._fields))


def table(lines: list[dict[str, Any]], options: argparse.Namespace) -> str:
    """The table in Markdown."""
    rows = [
        "| function | points, twice | luck | studies | covered, worst / all | half-width, top / mean | unexplained "
        "| false |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for function in options.functions:
        _, exact = truth(function)
        for points in options.points:
            for luck in options.luck:
                cell = [x for x in lines if (x["function"], x["points"], x["luck"]) == (function, points, luck)]
                given = [x for x in cell if "low" in x]
                if not given:
                    continue
                low, high = (np.array([x[end] for x in given]) for end in ("low", "high"))
                hit = ((low <= exact) & (exact <= high)).mean(axis=0)
                half = 50.0 * (high - low).mean(axis=0)
                inert = exact < 1e-9
                false = f"{(low[:, inert] > 0.0).mean():.3f}" if inert.any() else ""
                left = 100.0 * float(np.mean([x["unexplained"] for x in given]))
                studies = f"{len(given)}" + (f" of {len(cell)}" if len(cell) > len(given) else "")
                rows.append(
                    f"| {function} | {points} | {100 * luck:.0f} % | {studies} | {hit.min():.2f} / {hit.mean():.3f} | "
                    f"{half[np.argmax(exact)]:.1f} / {half.mean():.1f} | {left:.1f} % | {false} |"
                )
    seconds = sum(line.get("seconds", 0.0) for line in lines)
    return "\n".join([*rows, "", f"{len(lines)} studies in {seconds / 3600:.2f} core hours."]) + "\n"


def main() -> None:
    """Do what is missing, and print the table."""
    warnings.filterwarnings("ignore", message="The balance properties of Sobol' points")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--points", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--luck", type=float, nargs="+", default=[0.2, 0.5])
    parser.add_argument("--functions", nargs="+", default=list(FUNCTIONS), choices=list(FUNCTIONS), metavar="NAME")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=Path("coverage.jsonl"), help="the studies, a line each")
    parser.add_argument("--write", type=Path, help="the table, too")
    options = parser.parse_args()
    done = {key(line) for line in read(options.out)}
    todo = list(wanted(options, done))
    with options.out.open("a", encoding="utf-8") as file, ProcessPoolExecutor(options.processes) as pool:
        # A line that a stop has cut off ends here.
        file.write("\n" if done else "")
        for line in pool.map(study, todo):
            file.write(json.dumps(line) + "\n")
            file.flush()
    text = table(read(options.out), options)
    print(text, end="")
    if options.write:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
