"""Part of section 3: the analog products of a real step, each by itself."""

from contextlib import ExitStack
from typing import Any
from unittest import mock

import torch

from gpu_sections.launches import Watched
from gpu_sections.places import Gpu
from gpu_sections.stacks import Training
from vcm_sweep.device.tile import gpu_product
from vcm_sweep.device.tile.simulator_tile import VCMSimulatorTile


def products(training: Training, where: Gpu, repeats: int) -> list[dict[str, Any]]:
    """Milliseconds and multiplications of each product of a step, in the order in which the layers ask for them."""
    asked: list[tuple[Any, torch.Tensor, int]] = []
    usual = VCMSimulatorTile._product

    def noted(tile: Any, vectors: torch.Tensor, purpose: int) -> torch.Tensor:
        asked.append((tile, vectors.clone(), purpose))
        return usual(tile, vectors, purpose)

    with mock.patch.object(VCMSimulatorTile, "_product", noted), training.one_by_one():
        training.take(1)
    rows = []
    with ExitStack() as patches:
        if where.device != "cuda":
            # A rehearsal: the kernel runs on a CPU's tensors.
            patches.enter_context(mock.patch.object(torch.Tensor, "is_cuda", True))
            patches.enter_context(mock.patch.object(gpu_product, "PRESENT", True))
        for tile, vectors, purpose in asked:
            with mock.patch.object(gpu_product, "read_arrays", Watched(gpu_product.read_arrays, where)) as kernel:
                calls = list(tile.calls)
                for _ in range(repeats + 1):
                    usual(tile, vectors, purpose)
                    tile.calls = list(calls)
            once = vectors.numel() * (tile.d_size if purpose == 0 else tile.x_size)
            rows.append({"back": purpose, "ms": kernel.median_ms(), "multiplications": once})
    return rows
