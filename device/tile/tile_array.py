"""``VCMTileArray``: a layer that aihwkit's mapping splits into several tiles."""

from functools import reduce
from typing import Any

import torch
from aihwkit.simulator.tiles.array import TileModuleArray
from torch import Tensor
from torch.nn import Parameter

from vcm_sweep.device.public import public
from vcm_sweep.device.tile.settings import VCMSettings
from vcm_sweep.device.tile.stacking import fold_to_trials, stack_weight


@public
class VCMTileArray(TileModuleArray):
    """A layer that aihwkit's mapping splits into several tiles; with stacked trials every weight has a first axis of
    trials."""

    def __init__(self, out_size: int, in_size: int, rpu_config: VCMSettings, bias: bool = False, **kwargs: Any) -> None:
        super().__init__(out_size, in_size, rpu_config, bias, **kwargs)
        self.trials = rpu_config.trials
        if bias and self.trials is not None:
            self.bias = Parameter(torch.zeros(self.trials, out_size))

    @torch.no_grad()
    def set_weights(self, weight: Tensor, bias: Tensor | None = None, **kwargs: Any) -> None:
        """Program the tiles with their parts of (out, in), or of (trials, out, in) when stacked."""
        if self.trials is None:
            super().set_weights(weight, bias, **kwargs)
            return
        stacked = stack_weight(torch.as_tensor(weight), self.trials, self.out_size, self.in_size)
        for columns, tiles in zip(stacked.split(self.in_sizes, -1), self.array, strict=True):
            for part, tile in zip(columns.split(self.out_sizes, -2), tiles, strict=True):
                tile.set_weights(part, None, **kwargs)
        if self.bias is not None and bias is not None:
            self.bias.data.copy_(bias)

    @torch.no_grad()
    def get_weights(self, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
        """Weights and bias of the whole layer."""
        columns = [torch.cat([tile.get_weights(**kwargs)[0] for tile in tiles], -2) for tiles in self.array]
        return torch.cat(columns, -1), None if self.bias is None else self.bias.data

    def forward(self, x_input: Tensor, tensor_view: tuple[int, ...] | None = None) -> Tensor:
        """Sum of the tiles' products, plus the digital bias."""
        if self.trials is None:
            plain: Tensor = super().forward(x_input, tensor_view)
            return plain
        vectors = fold_to_trials(x_input, self.trials)
        parts = vectors.split(self.in_sizes, -1)
        rows = [torch.cat([tile(x) for tile in tiles], -1) for x, tiles in zip(parts, self.array, strict=True)]
        out = reduce(torch.add, rows)
        if self.bias is not None:
            out = out + self.bias[:, None, :]
        return out.reshape(*x_input.shape[:-1], self.out_size)
