"""The table [design.correlation]: rank correlations between factors, and those of their normal scores."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.nearest_names import did_you_mean
from vcm_sweep.sweep.study.tables.fields import Fields, brief

Pairs: TypeAlias = Mapping[str, Mapping[str, float]]
"""Spearman's rank correlation of two factors, by the one that comes first in the alphabet and the other."""

_WHERE = "design.correlation"
# Of factors that hang together by correlations all subsets are looked at.
MOST_TOGETHER = 6
# A matrix with a smaller eigenvalue holds factors that the others determine.
_LEAST = 1e-6


def read_correlation(table: Mapping[str, Any]) -> Pairs:
    """The pairs of the table, each once.

    Raises:
        StudyError: what is no number between -1 and 1, a factor with itself, or a pair that is given twice.

    >>> read_correlation({"r.d2d.sigma": {"l.d2d.sigma": 0.5}})
    {'l.d2d.sigma': {'r.d2d.sigma': 0.5}}
    """
    found: dict[str, dict[str, float]] = {}
    for name, others in table.items():
        if not isinstance(others, Mapping):
            raise StudyError(
                f'[{_WHERE}] {name} = {brief(others)} must be a table of other factors, as {{ "l.d2d.sigma" = 0.5 }}'
            )
        fields = Fields(others, f"{_WHERE}.{name}")
        for other, given in others.items():
            if isinstance(given, Mapping):
                raise StudyError(
                    f"[{_WHERE}.{name}] {other} = {brief(given)} must be a number: put names with dots in quotes, as "
                    '"l.d2d.sigma"'
                )
            rho = fields.number(other, -1.0, 1.0)
            one, two = sorted((name, other))
            if one == two:
                raise StudyError(f"[{_WHERE}] {name} with itself: a correlation is of two factors, leave it out")
            if abs(rho) >= 1.0:
                raise StudyError(
                    f"[{_WHERE}] {one} with {two} = {rho:g} must be above -1 and below 1: two factors that always move "
                    "together are one, so leave one of them out"
                )
            if two in found.setdefault(one, {}):
                raise StudyError(f"[{_WHERE}] {one} with {two} is given twice: keep one")
            found[one][two] = rho
    return {name: dict(sorted(found[name].items())) for name in sorted(found)}


def check_correlation(pairs: Pairs, names: Sequence[str], unordered: Sequence[str]) -> None:
    """Raise StudyError for pairs that a study's factors cannot have.

    Args:
        names: of the factors. unordered: those of them whose values have no order.
    """
    for name in _named(pairs):
        if name not in names:
            hint = did_you_mean(name, names, f"factors: {', '.join(names)}")
            raise StudyError(f"[{_WHERE}] {name!r} is not a factor of the study; {hint}")
        if name in unordered:
            raise StudyError(f"[{_WHERE}] {name} has choices without an order, so it has no ranks: leave it out")
    matrix = score_matrix(pairs, names)
    for together in hang_together(matrix):
        own = ", ".join(names[j] for j in together)
        if len(together) > MOST_TOGETHER:
            raise StudyError(
                f"[{_WHERE}] {own} hang together, {len(together)} factors, and at most {MOST_TOGETHER} may: leave the "
                "weakest correlations out"
            )
        lowest = float(np.linalg.eigvalsh(matrix[np.ix_(together, together)])[0])
        if lowest < _LEAST:
            raise StudyError(
                f"[{_WHERE}] the matrix of {own} is not positive definite, its smallest eigenvalue is {lowest:.3g}: no "
                "factors are correlated so; bring its numbers nearer to 0, or give the pairs that are missing"
            )


def score_matrix(pairs: Pairs, names: Sequence[str]) -> NDArray[np.float64]:
    """The correlations of the normal scores of D factors, (D, D): 2 sin(pi rho / 6), the identity without pairs.

    >>> score_matrix({"l": {"r": 0.5}}, ["l", "T_0", "r"]).round(4).tolist()
    [[1.0, 0.0, 0.5176], [0.0, 1.0, 0.0], [0.5176, 0.0, 1.0]]
    """
    matrix = np.eye(len(names))
    for one, others in pairs.items():
        for other, rho in others.items():
            i, j = names.index(one), names.index(other)
            # Rounded, since the sine's last bit depends on the CPU, and points and keys would with it.
            matrix[i, j] = matrix[j, i] = round(2.0 * math.sin(math.pi * rho / 6.0), 12)
    return matrix


def hang_together(matrix: NDArray[np.float64]) -> list[list[int]]:
    """The columns in sets between which there is no correlation, each in rising order.

    >>> hang_together(np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.0], [0.5, 0.0, 1.0]]))
    [[0, 2], [1]]
    """
    left, found = set(range(len(matrix))), []
    while left:
        own, new = set(), {min(left)}
        while new:
            own |= new
            new = {j for i in new for j in np.flatnonzero(matrix[i]).tolist()} - own
        left -= own
        found.append(sorted(own))
    return found


def _named(pairs: Pairs) -> Iterator[str]:
    for one, others in pairs.items():
        yield from (one, *others)
