"""Synthetic studies with known answers; nothing here was trained."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from SALib.sample import morris as salib_morris
from SALib.sample import shapley as salib_shapley
from SALib.sample import sobol as salib_sobol

from vcm_sweep.sweep import Design, Results, SobolDesign, Study, build_design
from vcm_sweep.sweep.designs.limits import LimitsDesign, LimitsRow
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.study.distributions import Continuous, Distribution
from vcm_sweep.sweep.study.factors import Factor
from vcm_sweep.sweep.study.tables.design import DesignSpec

Array = NDArray[np.float64]
DEMO = Path(__file__).parents[2] / "studies" / "demo.toml"

# Ishigami with a = 7, b = 0.1 on [-pi, pi]^3 and a fourth input without effect; closed form, e.g. Saltelli et
# al., Global Sensitivity Analysis: The Primer (2008).
ISHIGAMI_VARIANCE = 7**2 / 8 + 0.1 * np.pi**4 / 5 + 0.1**2 * np.pi**8 / 18 + 0.5
_V1 = 0.5 * (1 + 0.1 * np.pi**4 / 5) ** 2
_V13 = 0.1**2 * np.pi**8 * (1 / 18 - 1 / 50)
ISHIGAMI_13 = _V13 / ISHIGAMI_VARIANCE
ISHIGAMI_FIRST = np.array([_V1, 7**2 / 8, 0.0, 0.0]) / ISHIGAMI_VARIANCE
ISHIGAMI_TOTAL = np.array([_V1 + _V13, 7**2 / 8, _V13, 0.0]) / ISHIGAMI_VARIANCE
ISHIGAMI_SECOND = np.array([0.0, ISHIGAMI_13, 0.0, 0.0, 0.0, 0.0])
ISHIGAMI_SHAPLEY = (ISHIGAMI_FIRST + ISHIGAMI_TOTAL) / 2
NAMES = ("x1", "x2", "x3", "dummy")


def ishigami(u: Array) -> Array:
    """Ishigami's function of inputs in [0, 1]; u: (..., D >= 3) -> (...)."""
    x = np.pi * (2 * u - 1)
    return np.asarray(np.sin(x[..., 0]) + 7 * np.sin(x[..., 1]) ** 2 + 0.1 * x[..., 2] ** 4 * np.sin(x[..., 0]))


def g_function(u: Array, a: Array) -> Array:
    """Sobol's G function: the product of (|4 u_j - 2| + a_j) / (1 + a_j); u: (..., D) -> (...)."""
    return np.asarray(np.prod((np.abs(4 * u - 2) + a) / (1 + a), axis=-1))


def g_indices(a: Array, groups: list[list[int]]) -> tuple[Array, Array, Array]:
    """First, total and second-order indices of groups of columns of the G function, in closed form."""
    part = np.array([np.prod(1 + 1 / (3 * (1 + a[group]) ** 2)) for group in groups]) - 1
    variance = np.prod(1 + part) - 1
    second = [part[i] * part[j] for i in range(len(part)) for j in range(i + 1, len(part))]
    return part / variance, part * np.prod(1 + part) / (1 + part) / variance, np.array(second) / variance


def saltelli_random(rng: np.random.Generator, base: int, d: int, *, second: bool = False) -> Array:
    """Independent random rows A, AB_1 .. AB_D, B in [0, 1], with BA_1 .. BA_D before B if ``second``."""
    a, b = rng.random((2, base, d))
    rows = [a]
    for start, other in ((a, b), (b, a))[: 1 + second]:
        for j in range(d):
            mixed = start.copy()
            mixed[:, j] = other[:, j]
            rows.append(mixed)
    return np.stack([*rows, b], axis=1)


def saltelli_sobol(base: int, d: int, seed: int, *, second: bool = False, groups: Sequence[str] | None = None) -> Array:
    """SALib's own scrambled Sobol rows: (base, rows, D); groups: the group of each column."""
    problem = {"num_vars": d, "names": [f"x{i}" for i in range(d)], "bounds": [[0.0, 1.0]] * d}
    if groups:
        problem["groups"] = list(groups)
    rows = salib_sobol.sample(problem, base, calc_second_order=second, scramble=True, seed=seed)
    return np.asarray(rows).reshape(base, -1, d)


def morris_trajectories(count: int, d: int, seed: int, *, groups: Sequence[str] | None = None) -> Array:
    """SALib's trajectories on four levels: (count, D + 1 or groups + 1, D)."""
    problem = {"num_vars": d, "names": [f"x{i}" for i in range(d)], "bounds": [[0.0, 1.0]] * d}
    if groups:
        problem["groups"] = list(groups)
    return np.asarray(salib_morris.sample(problem, count, num_levels=4, seed=seed)).reshape(count, -1, d)


def shapley_trajectories(count: int, d: int, seed: int) -> Array:
    """SALib's trajectories from one random point to another: (count, D + 1, D)."""
    problem = {"num_vars": d, "names": [f"x{i}" for i in range(d)], "bounds": [[0.0, 1.0]] * d}
    return np.asarray(salib_shapley.sample(problem, count, seed=seed)).reshape(count, d + 1, d)


def growing_noise(mean: Array, sd: float) -> Array:
    """A standard deviation that grows with the output, of about the given size."""
    return 0.5 * sd + 0.35 * np.abs(mean)


def with_noise(rng: np.random.Generator, mean: Array, replicates: int, sd: float | Array) -> Array:
    """Replicates with independent seeds: (base, D + 2) -> (base, D + 2, R)."""
    return np.asarray(mean[..., None] + rng.normal(size=(*mean.shape, replicates)) * np.asarray(sd)[..., None])


class SyntheticFactor(Factor):
    """A factor of any name; it need not be in the catalogue."""

    unit = ""

    def __init__(
        self,
        name: str,
        low: float = 0.0,
        high: float = 1.0,
        distribution: str | Distribution = "uniform",
        unit: str = "",
    ) -> None:
        law = Continuous(distribution, low, high) if isinstance(distribution, str) else distribution
        super().__init__(name, law)
        object.__setattr__(self, "unit", unit)

    @property
    def path(self) -> tuple[str, ...]:
        """A place in the inputs that nothing reads."""
        return ("synthetic", self.name)


def synthetic_design(method: str = "sobol", **fields: Any) -> DesignSpec:
    """A [design] table that is not checked."""
    return DesignSpec(method=method, **{"n": 64} | fields)


def synthetic_study(
    factors: tuple[SyntheticFactor, ...], name: str = "synthetic", design: DesignSpec | None = None
) -> Study:
    """The demo study with other factors and another design."""
    demo = Study.from_toml(DEMO)
    return replace(demo, name=name, factors=factors, design=design or synthetic_design(), device={"aihwkit": "none"})


@dataclass(frozen=True)
class SyntheticResults(Results):
    """Results of a study, made from invented numbers; ``rows``: the rows of a limits design."""

    study: Study
    x: Array
    y: Array
    statuses: dict[int, str] = field(default_factory=dict)
    rows: tuple[LimitsRow, ...] = ()

    @property
    def folder(self) -> Folder:
        return Folder("synthetic")

    @cached_property
    def design(self) -> Design:  # type: ignore[override]
        """A design of the study's kind, without points: ``x`` has them."""
        design = object.__new__(LimitsDesign if self.rows else SobolDesign)
        design.study, design.rows = self.study, self.rows
        return design

    def blocks(self, metric: str = "accuracy") -> Array:
        return self.y

    def points(self) -> Array:
        return self.x.reshape(-1, self.x.shape[-1])

    def cube(self) -> Array:
        return self.design.scaled(self.points())

    def records(self, columns: list[str]) -> pa.Table:
        return self.table().select(columns)

    def table(self) -> pa.Table:
        flat = self.y.reshape(-1, self.y.shape[2])
        point, replicate = np.nonzero(np.isfinite(flat))
        accuracy = flat[point, replicate]
        n = accuracy.size
        status = [self.statuses.get(i, "ok") for i in range(n)]
        epochs = 1 - np.exp(-np.arange(1, 9) / 2)
        columns = {
            "key": [f"{p:06d}-{r}" for p, r in zip(point, replicate, strict=True)],
            "point": point,
            "replicate": replicate,
            **{f"x_{f.name}": self.points()[point, j] for j, f in enumerate(self.study.factors)},
            "seed": np.arange(n),
            "status": status,
            "reason": [""] * n,
            "accuracy": accuracy,
            "loss": 1 - accuracy,
            "history": list(0.1 + (accuracy[:, None] - 0.1) * epochs),
            "at_chance": accuracy < 0.15,
            "frac_at_bound": np.zeros(n),
            "pulses_set": np.full(n, 1000),
            "pulses_reset": np.full(n, 1000),
            "energy_j": np.full(n, 1e-9),
            "wall_s": np.full(n, 2.5),
            "model_version": ["1"] * n,
            "versions": [json.dumps({"torch": "2.13.0", "aihwkit": "1.2.0"})] * n,
        }
        return pa.table(columns)


def synthetic_results(
    factors: tuple[SyntheticFactor, ...],
    output: Callable[[Array], Array],
    *,
    base: int = 64,
    replicates: int = 2,
    sd: float = 0.02,
    seed: int = 1,
    seeds: str = "independent",
    scrambled: bool = True,
) -> SyntheticResults:
    """A study whose mean accuracy is ``output`` of the factors scaled to [0, 1]."""
    rng = np.random.default_rng(seed)
    d = len(factors)
    u = saltelli_sobol(base, d, seed) if scrambled else saltelli_random(rng, base, d)
    low, high = (np.array([getattr(f, end) for f in factors]) for end in ("low", "high"))
    y = with_noise(rng, output(u), replicates, sd)
    return SyntheticResults(synthetic_study(factors, design=synthetic_design(seeds=seeds)), low + u * (high - low), y)


def device_like(base: int = 128, replicates: int = 2) -> SyntheticResults:
    """A study that looks like real ones: seven imperfections, a cliff, training noise."""
    names = (
        ("mismatch.global", -0.5, 0.5, ""),
        ("r.d2d.sigma", 0.0, 0.08, ""),
        ("mismatch.d2d.sigma", 0.0, 0.5, ""),
        ("T_0.array.mean", 283.0, 323.0, "K"),
        ("read_noise.c2c.sigma", 0.0, 0.05, ""),
        ("l.d2d.sigma", 0.0, 0.10, ""),
        ("N_max.d2d.sigma", 0.0, 0.10, ""),
    )

    def output(u: Array) -> Array:
        harm = 5 * (u[..., 0] - 0.5) ** 2 * (0.6 + u[..., 2]) + 0.45 * u[..., 1] ** 2 + 0.35 * u[..., 2] ** 1.5
        harm = harm + 0.12 * u[..., 3] + 0.12 * u[..., 4] + 0.05 * u[..., 5]
        return np.asarray(0.1 + 0.83 / (1 + np.exp(7 * (harm - 0.95))))

    factors = tuple(SyntheticFactor(n, lo, hi, "uniform", unit) for n, lo, hi, unit in names)
    results = synthetic_results(factors, output, base=base, replicates=replicates, sd=0.035)
    return SyntheticResults(results.study, results.x, np.clip(results.y, 0.08, 1.0))


def by_trajectories(method: str, count: int = 200) -> SyntheticResults:
    """A study of trajectories, Morris' or Shapley's: one strong factor, one weak, one without effect."""
    factors = (SyntheticFactor("strong", 0.0, 0.08), SyntheticFactor("weak", 0.0, 0.1), SyntheticFactor("inert", 1, 2))
    u = (morris_trajectories if method == "morris" else shapley_trajectories)(count, 3, 1)
    mean = np.asarray(0.9 - 0.5 * u[..., 0] - 0.2 * u[..., 1])
    low, high = (np.array([getattr(f, end) for f in factors]) for end in ("low", "high"))
    study = synthetic_study(factors, design=synthetic_design(method))
    return SyntheticResults(study, low + u * (high - low), with_noise(np.random.default_rng(1), mean, 2, 0.02))


@dataclass(frozen=True)
class DesignedResults(SyntheticResults):
    """Results of a study whose points are those of its own design; ``x`` and ``y`` in its layout."""

    @cached_property
    def design(self) -> Design:  # type: ignore[override]
        return build_design(self.study)

    def cube(self) -> Array:
        return self.design.cube


def designed_results(study: Study, output: Callable[[Array], Array], *, sd: float = 0.02) -> DesignedResults:
    """A study whose mean accuracy is ``output`` of the factors in their units, at the points of its design."""
    design = build_design(study)
    x = design.points.reshape(study.design.n, design.block, -1)
    return DesignedResults(study, x, with_noise(np.random.default_rng(1), output(x), 2, sd))
