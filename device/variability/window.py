"""Conductance windows that differ from cell to cell."""

from __future__ import annotations

from dataclasses import dataclass

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.public import public
from vcm_sweep.device.torch_later import torch
from vcm_sweep.device.variability.checked import check_kind
from vcm_sweep.device.variability.spread import Spread


@public
@dataclass(frozen=True)
class Window:
    """Per-cell conductance window: the weights at which programming a cell stops, around the nominal w_min, w_max.

    The same quantity as aihwkit's ``w_min_dtod`` and ``w_max_dtod``. It needs ``Periphery.clamped = True``.

    Attributes:
        w_min, w_max: spread of each end, relative to its nominal value; None: it is nominal in every cell.
    """

    w_min: Spread | None = None
    w_max: Spread | None = None

    def __post_init__(self) -> None:
        for name in ("w_min", "w_max"):
            if getattr(self, name) is not None:
                check_kind(f"window.{name}", getattr(self, name), Spread)

    @property
    def active(self) -> bool:
        """Whether one of the ends differs from cell to cell."""
        return any(end is not None and end.sigma > 0 for end in (self.w_min, self.w_max))

    def limits(self, w_min: float, w_max: float) -> tuple[float, float]:
        """Smallest w_min and largest w_max of any cell; DeviceError if a cell's w_min could reach its w_max."""
        lows, highs = ([nominal * factor for factor in _reach(spread)] for nominal, spread in
                       ((w_min, self.w_min), (w_max, self.w_max)))  # fmt: skip
        if not max(lows) < min(highs):
            raise DeviceError(
                f"window: w_min of a cell can be {max(lows):g} and must be below its w_max, which can be "
                f"{min(highs):g}: lower window.w_min.clip or window.w_max.clip"
            )
        return min(lows), max(highs)

    def draw(
        self, w_min: float, w_max: float, count: int, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The cells' own w_min and w_max, float64: (count,), or (1,) where all cells have the nominal one.

        >>> low, high = Window(w_max=Spread(0.1)).draw(-1.5, 1.5, 4, torch.Generator().manual_seed(1))
        >>> low.tolist(), high.shape
        ([-1.5], torch.Size([4]))
        """
        low, high = (
            torch.full((1,), nominal, dtype=torch.float64, device=generator.device)
            if spread is None or spread.sigma == 0
            else spread.draw(nominal, count, generator)
            for nominal, spread in ((w_min, self.w_min), (w_max, self.w_max))
        )
        return low, high


def _reach(spread: Spread | None) -> tuple[float, float]:
    return (1.0, 1.0) if spread is None or spread.sigma == 0 else (1 - spread.clip, 1 + spread.clip)
