"""Look-up tables that make a pulse cheap: ln(|dN/dt| / N), the power and the weight, over ln N and what varies.

Parameters that differ between the cells of an array are axes of its tables, at most three; nu_0, the mismatch, the
bound factor F and (in the explicit model) l multiply the rate analytically and need none. Every axis of a parameter is
interpolated by cubics. Along x = ln N the rate is linear between nodes, so that a pulse can be marched in closed form,
and the weight cubic.

In the full model the barrier of the Schottky interface vanishes at some N, and rate and current have a kink there,
whose place moves with the cell's parameters. The nodes of x move with it: a node ``below`` is always at the kink.

A table's error is measured when it is built, at points drawn over its whole range, and nodes are added until it is
below ``TOLERANCE``.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch

from vcm_sweep.device.kernels.layout import MAX_AXES as MAX_AXES

TOLERANCE = 5e-4


WEIGHT_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Axis:
    """Equidistant nodes of one parameter over all that the cells of an array can have."""

    name: str
    first: float
    last: float
    count: int

    def nodes(self) -> torch.Tensor:
        """(count,) float64."""
        return torch.linspace(self.first, self.last, self.count, dtype=torch.float64)


@dataclass(frozen=True)
class Curves:
    """Tables over x and the parameters' nodes P, flattened with the last axis fastest.

    Attributes:
        x_first, x_last: ends of ln N.
        below: intervals up to the kink, equal ones; the others, equal too, go from there to ``x_last``.
        kink: (P,) x of node ``below``; x_first where there is none.
        values: (nodes of x, P): ln(|dN/dt| / N) in 1/s without F, or the weight.
        power: likewise |V I| in W; empty for the weight.
        error: largest relative error of the rate, or error of the weight, that was measured.
    """

    x_first: float
    x_last: float
    below: int
    kink: np.ndarray
    values: np.ndarray
    power: np.ndarray
    error: float

    def x(self) -> torch.Tensor:
        """(nodes of x, P) of ln N."""
        above = len(self.values) - 1 - self.below
        return positions(self.x_first, self.x_last, torch.from_numpy(self.kink), self.below, above)


@dataclass(frozen=True)
class RateTables:
    """All tables of an array.

    Attributes:
        axes: what differs between its cells, in the order of the flattened nodes.
        set, reset: of a pulse; read: of the weight, without axes where the nominal cell is read.
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
        """The largest change of a weight per ln N, with room for what happens between nodes."""
        return 1.1 * float(np.abs(np.diff(self.read.values, axis=0) / np.diff(self.read.x().numpy(), axis=0)).max())

    @property
    def nbytes(self) -> int:
        """Bytes of its numbers."""
        return sum(c.kink.nbytes + c.values.nbytes + c.power.nbytes for c in (self.set, self.reset, self.read))

    @property
    def error(self) -> float:
        """Largest relative error of a rate."""
        return max(self.set.error, self.reset.error)


type Points = dict[str, torch.Tensor]


def positions(x_first: float, x_last: float, kink: torch.Tensor, below: int, above: int) -> torch.Tensor:
    up = torch.linspace(0, 1, above + 1, dtype=torch.float64)[:, None]
    x = kink + up * (x_last - kink)
    if below:
        down = torch.linspace(0, 1, below + 1, dtype=torch.float64)[:-1, None]
        x = torch.cat([x_first + down * (kink - x_first), x])
    return x
