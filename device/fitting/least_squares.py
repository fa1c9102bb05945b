"""Parameters of a cell from a measurement: a coarse search by a population, then least squares.

The state cannot be measured, so the concentration before the first row is fitted too. For positive parameters the
logarithm is varied; all stay within their allowed range. The residual is asinh(I / 2 floor) of the fit minus that of
the measurement. Well above the floor this is the logarithm of the ratio of the currents, so that all decades count
alike; below it it is linear, so that noise around V = 0 hardly counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.device.fitting.judging import SMALL, correlated, dependence, misfit, noise_of, undetermined
from vcm_sweep.device.fitting.problem import START, Problem
from vcm_sweep.device.fitting.search import search
from vcm_sweep.device.library.library import LibraryCell
from vcm_sweep.device.measured.measurement import Measurement
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.public import public

MOST_CYCLES = 10  # so many cycles are fitted by themselves, evenly chosen

Array: TypeAlias = NDArray[np.float64]


@public
@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted cell, how well the measurement determines it, and whether it can be believed.

    Attributes:
        measurement, model: what was fitted, and with which current model.
        parameters: the cell, with the fitted values in it.
        values, errors: value and standard error of every fitted parameter and of ``n_start`` (unless that was given),
            in its unit. The error comes from the scatter of the residuals, and is larger where neighbouring residuals
            are alike; of several cycles it is at least that of their mean.
        correlation: (k, k), correlation between the values, in their order.
        condition: condition number of the scaled Jacobian: how much worse the worst combination of the values is known
            than the best.
        residual_rms: root mean square of the residuals, roughly the relative error of the current.
        noise: the part of it that is independent from row to row, as noise is.
        floor_a: current below which residuals are linear, A.
        current_a, n, residuals: (rows,), the fitted current in A, the state in 1e26/m3, and measured minus fitted at
            the rows of the measurement; residuals are NaN where there was no reading.
        cycles: of several cycles, the values that each gives by itself, (cycles,) by name.
        warnings: one line for each value that is correlated, or undetermined in the state before the first row.
        doubts: one line for each reason not to believe the fit; none: it is believable.
    """

    measurement: Measurement
    model: str
    parameters: CellParameters
    values: dict[str, float]
    errors: dict[str, float]
    correlation: Array
    condition: float
    residual_rms: float
    noise: float
    floor_a: float
    current_a: Array
    n: Array
    residuals: Array
    warnings: tuple[str, ...]
    doubts: tuple[str, ...]
    cycles: dict[str, Array] = field(default_factory=dict)

    @property
    def believable(self) -> bool:
        """Whether nothing speaks against the fit."""
        return not self.doubts

    def cell(self, name: str) -> LibraryCell:
        """A cell for the library; its validity is the range that was measured.

        Fitted values are rounded to a hundredth of their error.
        """
        fitted = [key for key in self.values if key != START]
        volts = self.measurement.voltage_v
        source = (
            f"{', '.join(fitted)} fitted to {self.measurement.source} with the {self.model} model; the others were "
            "given"
        )
        quality: dict[str, Any] = {
            "data": self.measurement.source,
            "model": self.model,
            "rows": int(self.measurement.read.sum()),
            "rms": _short(self.residual_rms),
            "noise": _short(self.noise),
            "believable": self.believable,
            "errors": {key: _short(self.errors[key]) for key in self.values},
        }
        if self.doubts:
            source = f"NOT BELIEVABLE, {source}"
            quality["doubts"] = "; ".join(self.doubts)
        if self.cycles:
            quality["spread"] = {key: _short(float(np.std(x, ddof=1))) for key, x in self.cycles.items()}
        return LibraryCell(
            name,
            source,
            self.parameters.replace(**{key: _rounded(self.values[key], self.errors[key]) for key in fitted}),
            {
                "voltage_v": (_short(volts.min(), 4), _short(volts.max(), 4)),
                "n": (_short(self.n.min(), 4), _short(self.n.max(), 4)),
            },
            quality,
        )


def fit(
    measurement: Measurement,
    names: Sequence[str],
    cell: CellParameters | None = None,
    model: str = "full",
    n_start: float | None = None,
    floor_a: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> Fit:
    """The parameters ``names`` of a cell that explain a measurement best.

    Several cycles are fitted together, each from the state that its first currents show, and then each by itself, to
    see how they spread.

    Args:
        measurement: the data of one cell, see :func:`vcm_sweep.device.read_measurement`.
        names: the parameters to fit; the others keep the values of ``cell``.
        cell: where the fit starts, with floats as parameters; default the nominal cell.
        model: the current model.
        n_start: concentration before the first row, 1e26/m3; by default it is fitted.
        floor_a: current below which residuals are linear, A; default a thousandth of the largest current.
        progress: told what is done and how large the residuals are each time they have been computed.

    Raises:
        DeviceError: an unknown name, too few rows, a parameter without effect, currents that the series resistance does
            not let flow, or a start at which the model has no answer.
    """
    cell = cell or CellParameters()
    problem = Problem(measurement, tuple(names), cell, model, n_start, floor_a)
    x, residuals, converged = _solved(problem, progress or _silent)
    values = problem.values(x)
    deviation, correlation, condition = _uncertainty(problem.jacobian(x), problem.shown_states(x), residuals)
    errors = dict(zip(values, (dependence(residuals) * deviation * problem.slopes(x)).tolist(), strict=True))
    fitted = cell.replace(**{key: values[key] for key in names})
    rms, noise = _rms(residuals), noise_of(residuals)
    cycles: dict[str, Array] = {}
    doubts = misfit(rms, noise)
    if len(measurement.cycles) > 1:
        cycles, doubts = _each_cycle(measurement, problem, fitted, doubts, progress or _silent)
        for key, own in cycles.items():
            errors[key] = max(errors[key], float(np.std(own, ddof=1)) / np.sqrt(len(own)))
    ends, unclear = problem.at_the_end(x), undetermined(values, errors)
    doubts += [line for key, line in {**unclear, **ends}.items() if key != START]
    warnings = [found[START] for found in (ends, unclear) if START in found]
    if not converged:
        # Residuals without noise, and those of cycles that differ, go on falling for long, to no use.
        (doubts if rms > SMALL and not cycles else warnings).append(
            "the fit stopped before it converged: start from a cell that is closer"
        )
    n, amperes = problem.simulate(x[:, None])
    measured_minus_fit = np.full(len(n), np.nan)
    measured_minus_fit[measurement.read] = -residuals
    return Fit(
        measurement=measurement,
        model=model,
        parameters=fitted,
        values=values,
        errors=errors,
        correlation=correlation,
        condition=condition,
        residual_rms=rms,
        noise=noise,
        floor_a=problem.floor_a,
        current_a=amperes[:, 0],
        n=n[:, 0],
        residuals=measured_minus_fit,
        warnings=(*warnings, *correlated(list(values), correlation)),
        doubts=tuple(doubts),
        cycles=cycles,
    )


def _solved(problem: Problem, progress: Callable[[str], None], what: str = "") -> tuple[Array, Array, bool]:
    """The vector of the smallest residuals, these, and whether the search for it converged."""
    # Imported here because scipy.optimize takes half a second to load, and the rest of the device needs only torch.
    from scipy.optimize import least_squares

    def residuals(x: Array) -> Array:
        found = problem.residuals(x)
        progress(f"{what}residual rms {_rms(found):.3g}")
        return found

    def coarse(x: Array) -> Array:
        found = problem.coarse_misfit(x)
        progress(f"{what}residual {np.nanmin(found):.3g}" if np.isfinite(found).any() else what)
        return found

    near = search(coarse, problem.start(), problem.bounds)
    solution = least_squares(
        residuals, near, problem.jacobian, problem.bounds, x_scale="jac", xtol=1e-8, ftol=1e-10, max_nfev=100
    )
    return solution.x, solution.fun, solution.status > 0


def _each_cycle(
    measurement: Measurement, whole: Problem, cell: CellParameters, doubts: list[str], progress: Callable[[str], None]
) -> tuple[dict[str, Array], list[str]]:
    """What each cycle gives by itself, by name, and what then speaks against the fit of all.

    Cycles of a cell differ, so residuals of all together may exceed the noise; those of each by itself may not.
    """
    rows = len(measurement.voltage_v)
    parts = list(zip(measurement.cycles, [*measurement.cycles[1:], rows], strict=True))
    chosen = sorted({round(k) for k in np.linspace(0, len(parts) - 1, min(len(parts), MOST_CYCLES))})
    found: list[dict[str, float]] = []
    own: list[list[str]] = []
    for k in chosen:
        problem = Problem(measurement.part(*parts[k]), whole.names, cell, whole.model, None, whole.floor_a)
        x, residuals, _ = _solved(problem, progress, f"cycle {k + 1} of {len(parts)}: ")
        found.append(problem.values(x))
        own.append(misfit(_rms(residuals), noise_of(residuals)))
    bad = [lines for lines in own if lines]
    if doubts and len(bad) <= len(own) // 2:
        doubts = []
    cycles = {key: np.array([values[key] for values in found]) for key in whole.names}
    for key, values in cycles.items():
        inside = values.min() <= float(getattr(cell, key)) <= values.max()
        if not inside and float(np.ptp(values)) > 0.02 * values.max():
            doubts = [*doubts, f"{key} of all cycles together is outside what each gives by itself: fit one cycle"]
    return cycles, doubts


def _uncertainty(jacobian: Array, shown: Array, residuals: Array) -> tuple[Array, Array, float]:
    """Standard deviations (k,) and correlation (k, k) of the fitted vector, and the condition of the problem.

    ``shown``: the derivatives by the states that the data show, which are unknowns as well. All come from the singular
    values of the scaled derivatives, which are cut off from below: a direction that the data do not determine gets a
    large error, where inverting a singular matrix would fail.
    """
    k, all_of_them = jacobian.shape[1], np.concatenate((jacobian, shown), axis=1)
    rows, unknowns = all_of_them.shape
    scale = np.maximum(np.linalg.norm(all_of_them, axis=0), 1e-9)
    _, singular, rotation = np.linalg.svd(all_of_them / scale, full_matrices=False)
    kept = np.maximum(singular, 1e-9 * singular[0])
    spread = rotation.T / kept
    variance = float(residuals @ residuals) / max(rows - unknowns, 1)
    covariance = (variance * (spread @ spread.T) / np.outer(scale, scale))[:k, :k]
    deviation = np.sqrt(np.diag(covariance))
    safe = np.maximum(deviation, 1e-300)
    return deviation, np.clip(covariance / np.outer(safe, safe), -1.0, 1.0), float(kept[0] / kept[-1])


def _rms(residuals: Array) -> float:
    return float(np.sqrt(np.mean(residuals**2)))


def _silent(_: str) -> None:
    pass


def _short(value: float, digits: int = 3) -> float:
    return float(f"{value:.{digits}g}")


def _rounded(value: float, error: float) -> float:
    """The value to a hundredth of its error, with four digits at least and twelve at most."""
    if not (value and np.isfinite(error) and error > 0):
        return _short(value, 12)
    digits = int(np.floor(np.log10(abs(value))) - np.floor(np.log10(error))) + 3
    return _short(value, min(max(digits, 4), 12))
