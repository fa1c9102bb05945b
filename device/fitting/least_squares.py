"""Parameters of a cell from a measurement: a coarse search by a population, then least squares.

The state cannot be measured, so the concentration before the first row is fitted too. For positive parameters the
logarithm is varied; all stay within their allowed range. The residual is asinh(I / 2 floor) of the fit minus that of
the measurement. Well above the floor this is the logarithm of the ratio of the currents, so that all decades count
alike; below it it is linear, so that noise around V = 0 hardly counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.device.fitting.measurement import Measurement
from vcm_sweep.device.fitting.problem import START, Problem
from vcm_sweep.device.fitting.search import search
from vcm_sweep.device.library.library import LibraryCell
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.public import public

CORRELATED = 0.95  # two values are reported as correlated if their correlation is larger in magnitude
UNDETERMINED = 0.5  # a value is reported as undetermined if its relative standard error is larger

Array: TypeAlias = NDArray[np.float64]


@public
@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted cell and how well the measurement determines it.

    Attributes:
        measurement, model: what was fitted, and with which current model.
        parameters: the cell, with the fitted values in it.
        values, errors: value and standard error of every fitted parameter and of ``n_start`` (unless that was given),
            in its unit. The error comes from the scatter of the residuals; it is right if the model is right and the
            residuals are independent.
        correlation: (k, k), correlation between the values, in their order.
        residual_rms: root mean square of the residuals, roughly the relative error of the current.
        current_a, n: (rows,), the fitted current in A and state in 1e26/m3 at the rows of the measurement.
        warnings: one line for each value that is correlated, undetermined, or at the end of its allowed range.
    """

    measurement: Measurement
    model: str
    parameters: CellParameters
    values: dict[str, float]
    errors: dict[str, float]
    correlation: Array
    residual_rms: float
    current_a: Array
    n: Array
    warnings: tuple[str, ...]

    def cell(self, name: str) -> LibraryCell:
        """A cell for the library; its validity is the range that was measured."""
        fitted = ", ".join(key for key in self.values if key != START)
        volts = self.measurement.voltage_v
        return LibraryCell(
            name,
            f"{fitted} fitted to {self.measurement.source} with the {self.model} model; the others were given",
            self.parameters,
            {
                "voltage_v": (float(volts.min()), float(volts.max())),
                "n": (float(self.n.min()), float(self.n.max())),
            },
        )


def fit(
    measurement: Measurement,
    names: Sequence[str],
    cell: CellParameters | None = None,
    model: str = "full",
    n_start: float | None = None,
    floor_a: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> Fit:
    """The parameters ``names`` of a cell that explain a measurement best.

    Args:
        measurement: the data of one cell, see :func:`vcm_sweep.device.read_measurement`.
        names: the parameters to fit; the others keep the values of ``cell``.
        cell: where the fit starts, with floats as parameters; default the nominal cell.
        model: the current model.
        n_start: concentration before the first row, 1e26/m3; by default it is fitted.
        floor_a: current below which residuals are linear, A; default a thousandth of the largest current.
        progress: called with the size of the residuals each time they have been computed.

    Raises:
        DeviceError: an unknown name, too few rows, a parameter without effect, or a start at which the model has no
            answer.
    """
    # Imported here because scipy.optimize takes half a second to load, and the rest of the device needs only torch.
    from scipy.optimize import least_squares

    problem = Problem(measurement, tuple(names), cell or CellParameters(), model, n_start, floor_a)

    def residuals(x: Array) -> Array:
        found = problem.residuals(x)
        if progress:
            progress(float(np.sqrt(np.mean(found**2))))
        return found

    def misfit(x: Array) -> Array:
        found = problem.coarse_misfit(x)
        if progress:
            progress(float(np.nanmin(found)))
        return found

    near = search(misfit, problem.start(), problem.bounds)
    solution = least_squares(
        residuals, near, problem.jacobian, problem.bounds, x_scale="jac", xtol=1e-8, ftol=1e-10, max_nfev=100
    )
    x: Array = solution.x
    values = problem.values(x)
    deviation, correlation = _uncertainty(problem.jacobian(x), solution.fun)
    errors = dict(zip(values, (deviation * problem.slopes(x)).tolist(), strict=True))
    warnings = [*problem.at_the_end(x), *_unclear(values, errors, correlation)]
    if solution.status <= 0:
        warnings.append("the fit stopped before it converged: start from a cell that is closer")
    n, amperes = problem.simulate(x[:, None])
    return Fit(
        measurement=measurement,
        model=model,
        parameters=(cell or CellParameters()).replace(**{key: values[key] for key in names}),
        values=values,
        errors=errors,
        correlation=correlation,
        residual_rms=float(np.sqrt(np.mean(solution.fun**2))),
        current_a=amperes[:, 0],
        n=n[:, 0],
        warnings=tuple(warnings),
    )


def _uncertainty(jacobian: Array, residuals: Array) -> tuple[Array, Array]:
    """Standard deviations (k,) and correlation (k, k) of the fitted vector.

    They come from the singular values of the scaled Jacobian, which are cut off from below: a direction that the data
    do not determine gets a large error, where inverting a singular matrix would fail.
    """
    rows, unknowns = jacobian.shape
    scale = np.maximum(np.linalg.norm(jacobian, axis=0), 1e-9)
    _, singular, rotation = np.linalg.svd(jacobian / scale, full_matrices=False)
    spread = rotation.T / np.maximum(singular, 1e-9 * singular[0])
    covariance = float(residuals @ residuals) / (rows - unknowns) * (spread @ spread.T) / np.outer(scale, scale)
    deviation = np.sqrt(np.diag(covariance))
    safe = np.maximum(deviation, 1e-300)
    return deviation, np.clip(covariance / np.outer(safe, safe), -1.0, 1.0)


def _unclear(values: dict[str, float], errors: dict[str, float], correlation: Array) -> list[str]:
    keys, found = list(values), []
    for i, key in enumerate(keys):
        if errors[key] > UNDETERMINED * abs(values[key]):
            found.append(f"{key} is not determined by these data (error {errors[key]:.2g}): fix it or measure more")
        for j in range(i):
            if abs(correlation[i, j]) > CORRELATED:
                found.append(
                    f"{keys[j]} and {key} are correlated ({correlation[i, j]:+.3f}): the data determine their "
                    "combination better than each; fix one, or add other voltages"
                )
    return found
