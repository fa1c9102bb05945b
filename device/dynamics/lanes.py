"""The cells of a pulse as rows of equal length, whatever the shape of the caller's arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.torch_later import torch

# torch computes the last elements of a slice, which do not fill a vector register, by other code than the rest, and
# their last bits can differ. In rows whose length is a multiple of any vector's, a cell gets the same bits wherever it
# stands and whatever stands beside it.
LANES = 64
# Larger blocks do not fit into the cache: a rate costs 82 ns per cell in blocks of 16 k and 236 ns in one of 100 k.
BLOCK = 16_384


class PulseEnd(NamedTuple):
    """``n`` after the pulse, and whether a cell stopped because it is ``beyond`` the hopping model; (count,) each."""

    n: torch.Tensor
    beyond: torch.Tensor


@dataclass(frozen=True, eq=False)
class Lanes:
    """Cells during one pulse, in which each cell's voltage has one sign and is constant or linear in time.

    ``index``: (count,) int64, the places of the cells in the caller's flattened array; the last row is filled up with
    copies of the last cell. ``n``: (rows, LANES) float64, 1e26/m3. ``volts`` and ``end_volts``: voltage at the start
    and at the end, V, (LANES,) if it is the same for all cells, else (rows, LANES); ``end_volts`` None: the voltage is
    constant. Parameters that are tensors have one of these two shapes.
    """

    index: torch.Tensor
    n: torch.Tensor
    volts: torch.Tensor
    end_volts: torch.Tensor | None
    duration_s: float
    parameters: CellParameters
    model: str

    @classmethod
    def of(
        cls,
        n: torch.Tensor,
        volts: torch.Tensor,
        duration_s: float,
        parameters: CellParameters,
        model: str,
        end_volts: torch.Tensor | None = None,
    ) -> tuple[Lanes, torch.Size]:
        """The cells of the broadcast arguments, and the broadcast shape."""
        fields = {f: v for f in parameters.names() if isinstance(v := getattr(parameters, f), torch.Tensor)}
        shape = torch.broadcast_shapes(n.shape, volts.shape, *(v.shape for v in fields.values()))
        count = shape.numel()
        lanes = padded(torch.arange(count, device=n.device))

        def rows(value: torch.Tensor) -> torch.Tensor:
            value = value.to(n.device)
            if value.numel() == 1:
                return value.reshape(1).expand(LANES).contiguous()
            return value.expand(shape).reshape(-1)[lanes].reshape(-1, LANES)

        flat = n.expand(shape).reshape(-1)[lanes].reshape(-1, LANES)
        end = None if end_volts is None else rows(end_volts)
        p = parameters.replace_unchecked(**{f: rows(v) for f, v in fields.items()})
        return cls(lanes[:count], flat, rows(volts), end, duration_s, p, model), shape

    @property
    def is_set(self) -> torch.Tensor:
        """Where the voltage is negative; broadcasts against ``n``."""
        return (self.volts if self.end_volts is None else self.volts + self.end_volts) < 0

    def moving(self) -> torch.Tensor:
        """Positions of the cells that can move: voltage and duration are not 0, and the cell is not at its bound."""
        p, still = self.parameters, self.volts == 0
        if self.end_volts is not None:
            still = still & (self.end_volts == 0)
        inside = torch.where(self.is_set, self.n < p.N_max, self.n > p.N_min)
        mask = inside & ~still & (self.duration_s > 0)
        return mask.reshape(-1)[: len(self.index)].nonzero().reshape(-1)

    def take(self, positions: torch.Tensor) -> Lanes:
        """The cells at some positions among these (at least one), in the order of ``positions``."""
        lanes = padded(positions)
        p = self.parameters
        fields = {f: v for f in p.names() if isinstance(v := getattr(p, f), torch.Tensor)}
        return replace(
            self,
            index=self.index[positions],
            n=take_lanes(self.n, lanes),
            volts=take_lanes(self.volts, lanes),
            end_volts=None if self.end_volts is None else take_lanes(self.end_volts, lanes),
            parameters=p.replace_unchecked(**{f: take_lanes(v, lanes) for f, v in fields.items()}),
        )

    def blocks(self, positions: torch.Tensor) -> Iterator[Lanes]:
        """The cells at some positions, in pieces that fit the cache."""
        for part in positions.split(BLOCK):
            yield self.take(part)


def take_lanes(value: torch.Tensor, lanes: torch.Tensor) -> torch.Tensor:
    """The elements at ``lanes``, as rows; a value that all cells share (one row) is returned as it is."""
    return value if value.dim() == 1 else value.reshape(-1)[lanes].reshape(-1, LANES)


def known(
    f: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, ok: torch.Tensor, instead: torch.Tensor
) -> torch.Tensor:
    """f(x) where ``ok``, NaN elsewhere. There f is called with ``instead``, so that no NaN gets into gradients."""
    return torch.where(ok, f(torch.where(ok, x, instead)), torch.nan)


def padded(positions: torch.Tensor) -> torch.Tensor:
    """The positions, with the last one repeated until they fill whole rows."""
    missing = -len(positions) % LANES
    return torch.cat((positions, positions[-1:].expand(missing))) if missing else positions
