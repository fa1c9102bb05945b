"""Look-up tables that make a pulse cheap: ln(|dN/dt| / N), power and weight over ln N and the varying parameters.

Each parameter that differs between the cells of an array is an axis of its tables, at most three. nu_0, the mismatch,
the bound factor F and (in the explicit model) l only multiply the rate and need no axis. Along the axes of parameters
the tables are interpolated by cubics. Along x = ln N the logarithm of the rate is linear between nodes, so that a
pulse can be followed in closed form, and the weight is cubic.

In the full model the barrier of the Schottky interface vanishes at some N, where rate and current have a kink. The
kink's place depends on the cell's parameters, and the nodes of x move with it: node number ``below`` is at the kink.

A table's error is measured when it is built, at random points over its whole range, and nodes are added until it is
below ``TOLERANCE``.
"""

import functools
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch

TOLERANCE = 5e-4  # of a rate, relative
WEIGHT_TOLERANCE = 1e-4  # of a weight, absolute


@dataclass(frozen=True)
class Axis:
    """Equidistant nodes of one parameter, over all values that it can have in the cells of an array."""

    name: str
    first: float
    last: float
    count: int

    def nodes(self) -> torch.Tensor:
        """The values of the parameter at the nodes, (count,) float64."""
        return torch.linspace(self.first, self.last, self.count, dtype=torch.float64)


@dataclass(frozen=True)
class Curves:
    """A table over x = ln N and the P nodes of the parameters' grid, flattened with the last axis fastest.

    Attributes:
        x_first, x_last: first and last x.
        below: number of equal intervals from ``x_first`` to the kink; the others, equal too, reach to ``x_last``.
        kink: (P,) x of node ``below``; x_first if there is no kink.
        values: (nodes of x, P): ln(|dN/dt| / N) in 1/s without the bound factor F, or the weight.
        power: (nodes of x, P): |V I| in W; empty for the weight.
        error: the largest measured error, relative for a rate and absolute for the weight.
    """

    x_first: float
    x_last: float
    below: int
    kink: np.ndarray
    values: np.ndarray
    power: np.ndarray
    error: float

    def x(self) -> torch.Tensor:
        """ln N at every node, (nodes of x, P)."""
        above = len(self.values) - 1 - self.below
        return positions(self.x_first, self.x_last, torch.from_numpy(self.kink), self.below, above)


@dataclass(frozen=True)
class RateTables:
    """All tables of an array.

    Attributes:
        axes: the parameters that differ between cells, in the order of the flattened nodes.
        set, reset: the rate during a SET and a RESET pulse.
        read: the weight; it has no axes if the nominal cell's current is read.
    """

    axes: tuple[Axis, ...]
    set: Curves
    reset: Curves
    read: Curves

    @functools.cached_property
    def axis_array(self) -> np.ndarray:
        """(axes, 3): first node, inverse step, number of nodes."""
        rows = [(a.first, (a.count - 1) / (a.last - a.first), a.count) for a in self.axes]
        return np.array(rows, dtype=np.float64).reshape(len(rows), 3)

    @functools.cached_property
    def steepest(self) -> float:
        """The largest slope of a weight over ln N, 10 % more than between nodes, since cubics can be steeper."""
        return 1.1 * float(np.abs(np.diff(self.read.values, axis=0) / np.diff(self.read.x().numpy(), axis=0)).max())

    @property
    def nbytes(self) -> int:
        """Size of the tables in bytes."""
        return sum(c.kink.nbytes + c.values.nbytes + c.power.nbytes for c in (self.set, self.reset, self.read))

    @property
    def error(self) -> float:
        """Largest relative error of a rate."""
        return max(self.set.error, self.reset.error)


Points: TypeAlias = dict[str, torch.Tensor]


def positions(x_first: float, x_last: float, kink: torch.Tensor, below: int, above: int) -> torch.Tensor:
    """x of all nodes, (below + above + 1, P): equal steps from ``x_first`` to the kink, then on to ``x_last``."""
    up = torch.linspace(0, 1, above + 1, dtype=torch.float64)[:, None]
    x = kink + up * (x_last - kink)
    if below:
        down = torch.linspace(0, 1, below + 1, dtype=torch.float64)[:-1, None]
        x = torch.cat([x_first + down * (kink - x_first), x])
    return x
