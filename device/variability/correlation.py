"""Correlated parameters: a Gaussian copula over the spreads, which keeps the distribution of each parameter."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.public import public
from vcm_sweep.device.torch_later import torch
from vcm_sweep.device.variability.spread import Spread


@public
@dataclass(frozen=True)
class Correlation:
    """Correlation of the parameters of a cell, which come from one forming process: thick filaments may also be long.

    Each cell draws correlated standard normal variables, one per name. The normal distribution function turns each
    into a probability, at which the quantile of that parameter's spread is taken. So every parameter keeps its own
    distribution, rank correlations are (6/pi) asin(rho/2), and the correlation of the values themselves differs
    slightly from rho if a spread is not normal.

    Attributes:
        names: names of cell parameters; one without a spread has no effect.
        matrix: rho, symmetric, 1 on the diagonal, positive semi-definite, in the order of ``names``.

    Raises:
        DeviceError: the matrix is not a correlation matrix of these names, or a name is unknown or given twice.

    Example:
        >>> Correlation(("r", "l"), ((1.0, 0.6), (0.6, 1.0))).matrix[0][1]
        0.6
    """

    names: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "matrix", tuple(tuple(row) for row in self.matrix))
        size = len(self.names)
        for name in self.names:
            if name not in CellParameters.names():
                raise DeviceError(f"correlation.names: {name!r} must be one of {', '.join(CellParameters.names())}")
            if self.names.count(name) > 1:
                raise DeviceError(f"correlation.names: {name!r} is given {self.names.count(name)} times: keep one")
        if len(self.matrix) != size or any(len(row) != size for row in self.matrix):
            raise DeviceError(f"correlation.matrix must have {size} rows of {size} numbers, one per name")
        for i, j in itertools.product(range(size), repeat=2):
            value, where = self.matrix[i][j], f"correlation.matrix[{i}][{j}]"
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1 <= value <= 1:
                raise DeviceError(f"{where} = {value!r} must be a number from -1 to 1")
            if i == j and value != 1:
                raise DeviceError(
                    f"{where} = {value:g} must be 1: it is the correlation of {self.names[i]} with itself"
                )
            if value != self.matrix[j][i]:
                raise DeviceError(f"{where} = {value:g} must equal matrix[{j}][{i}] = {self.matrix[j][i]:g}")
        lowest = float(torch.linalg.eigvalsh(torch.tensor(self.matrix, dtype=torch.float64)).min()) if size else 0.0
        if lowest < -1e-9:
            raise DeviceError(
                f"correlation.matrix must be positive semi-definite, its smallest eigenvalue is {lowest:.3g}: "
                "these correlations contradict each other, bring them nearer to 0"
            )

    def mixed(self, normals: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Correlated standard normals from independent ones, by name; names that the matrix lacks are unchanged."""
        members = [name for name in normals if name in self.names]
        at = [self.names.index(name) for name in members]
        root = _root([[self.matrix[i][j] for j in at] for i in at])
        mixed = dict(normals)
        for row, name in zip(root, members, strict=True):
            parts = [weight * normals[other] for weight, other in zip(row, members, strict=True) if weight]
            mixed[name] = torch.stack(parts).sum(0)
        return mixed


def _root(matrix: list[list[float]]) -> list[list[float]]:
    """The Cholesky factor: lower triangular L with L L^T = matrix, which may be singular.

    Written out in Python, so that equal seeds give equal bits whichever linear algebra library torch uses.
    """
    size = len(matrix)
    root = [[0.0] * size for _ in range(size)]
    for j in range(size):
        pivot = matrix[j][j] - math.fsum(x * x for x in root[j][:j])
        if pivot <= 1e-12:
            continue  # this variable is a combination of those before it
        root[j][j] = math.sqrt(pivot)
        for i in range(j + 1, size):
            root[i][j] = (matrix[i][j] - math.fsum(a * b for a, b in zip(root[i], root[j], strict=True))) / root[j][j]
    return root


def draw_spreads(
    d2d: Mapping[str, Spread],
    correlation: Correlation | None,
    parameters: CellParameters,
    count: int,
    generator: torch.Generator,
    also: Collection[str] = (),
) -> dict[str, torch.Tensor]:
    """The cells' own values of every parameter that spreads, (count,) float64 by name, in CellParameters' order.

    The result does not depend on the order in ``d2d``. An identity matrix gives the same as no correlation, up to
    rounding.

    Args:
        d2d: spread by parameter name; those with sigma = 0 are left out.
        correlation: of the parameters; None: they are independent.
        parameters: the nominal cell, floats.
        count: number of cells.
        generator: the source of randomness; the tensors are made on its device.
        also: names for which random numbers are drawn and thrown away. If two arrays differ in whether these
            parameters spread, all other parameters still get the same values in both.

    Example:
        >>> spreads = {"l": Spread(0.1), "r": Spread(0.05)}
        >>> together = Correlation(("r", "l"), ((1.0, 1.0), (1.0, 1.0)))
        >>> drawn = draw_spreads(spreads, together, CellParameters(), 3, torch.Generator().manual_seed(1))
        >>> list(drawn), bool((drawn["r"].argsort() == drawn["l"].argsort()).all())
        (['r', 'l'], True)
    """
    spread = {name for name, own in d2d.items() if own.sigma > 0}
    drawn = {
        name: torch.rand(count, generator=generator, dtype=torch.float64, device=generator.device)
        for name in CellParameters.names()
        if name in spread or name in also
    }
    names = [name for name in drawn if name in spread]
    uniform = {name: drawn[name] for name in names}
    if correlation is not None:
        # torch.rand can give exactly 0, which maps to a normal of -infinity; infinity times a weight may be NaN.
        tiny = 2.0**-54
        normals = {
            name: torch.special.ndtri(uniform[name].clamp(tiny, 1 - tiny))
            for name in names
            if name in correlation.names
        }
        uniform |= {name: torch.special.ndtr(z) for name, z in correlation.mixed(normals).items()}
    return {name: float(getattr(parameters, name)) * d2d[name].quantile(uniform[name]) for name in names}
