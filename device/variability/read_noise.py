"""Noise of a cell's read current: white, and 1/f."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vcm_sweep.device.declared import number, takes_former_names, whole
from vcm_sweep.device.public import public
from vcm_sweep.device.torch_later import torch
from vcm_sweep.device.variability.checked import check_fields


@public
@takes_former_names
@dataclass(frozen=True)
class ReadNoise:
    """Read noise, relative to the cell's own read current.

    White noise is drawn anew for every vector of the forward and the backward pass. 1/f noise is constant within a
    batch and moves between batches. It is the sum of one first-order process per decade, with correlation times of 1,
    10, 100, ... batches and equal variances, so that the spectrum falls as 1/f (with a ripple) between about
    1 / (2 pi 10^(decades - 1)) and 1 / (2 pi) per batch, and is flat below. Source: such a sum is the usual
    explanation of 1/f noise (van der Ziel). Filamentary cells show 1/f noise together with telegraph noise, with an
    amplitude that depends on the state (Ambrogio et al., IEEE TED 62, 3805 (2015), doi 10.1109/TED.2015.2475598).
    Here the relative amplitude is one number for all states: fit it to the state in use.

    Attributes:
        sigma: relative standard deviation of the white noise, fresh per vector, 0 to 1.
        flicker: relative standard deviation of the whole 1/f noise, 0 to 1.
        decades: number of processes, 1 to 8.
    """

    sigma: float = number(
        0.0, 0.0, 1.0, "relative", "read noise, in parts of the cell's read current", formerly="white"
    )
    flicker: float = number(0.0, 0.0, 1.0, "relative", "1/f noise, in parts of the cell's read current")
    decades: int = whole(3, 1, 8, "decades of batches over which the noise is 1/f")

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def memories(self) -> list[float]:
        """Correlation coefficient of each process between one batch and the next."""
        return [math.exp(-(10.0**-decade)) for decade in range(self.decades)]

    def start(self, shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        """First values of the processes, in equilibrium: (decades, *shape) float32 on the generator's device.

        Each process has unit variance; :meth:`relative` multiplies by the amplitude.
        """
        return torch.randn((self.decades, *shape), generator=generator, device=generator.device)

    def step(self, state: torch.Tensor, generator: torch.Generator) -> None:
        """Advance the processes by one batch, in place."""
        fresh = torch.randn(state.shape, generator=generator, device=generator.device)
        for process, noise, memory in zip(state, fresh, self.memories, strict=True):
            process.mul_(memory).add_(noise, alpha=math.sqrt(1 - memory * memory))

    def relative(self, state: torch.Tensor) -> torch.Tensor:
        """The present 1/f noise in parts of the read current, (*shape) float32.

        >>> noise, generator = ReadNoise(flicker=0.1), torch.Generator().manual_seed(1)
        >>> state = noise.start((4, 5), generator)
        >>> noise.step(state, generator)
        >>> noise.relative(state).shape
        torch.Size([4, 5])
        """
        return self.flicker / math.sqrt(self.decades) * state.sum(0)
