"""Cells that wait in a block for a later sample go the way that they go sample by sample."""

import pytest
import torch
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.training import UpdateParameters

from vcm_sweep.device import ArraySeeds, Spread, Variability, VCMDevice
from vcm_sweep.device.array.cell_arrays import CellArrays

DEVICE = VCMDevice(model="full", variability=Variability(d2d={"r": Spread(0.05, 0.2), "dW_A": Spread(0.005, 0.02)}))


@pytest.mark.parametrize("shape", [(3, 3), (20, 40)])
def test_a_batch_is_its_samples_one_after_the_other(shape: tuple[int, int]) -> None:
    """Few cells are pulsed again before a block is full, many are not; deterministic trains fire alike in both."""
    update = UpdateParameters(desired_bl=7, pulse_type=PulseType.MEAN_COUNT)
    generator = torch.Generator().manual_seed(4)
    out, inn = shape
    x, d = torch.randn(1, 25, inn, generator=generator), torch.randn(1, 25, out, generator=generator)
    x[torch.rand(x.shape, generator=generator) < 0.6] = 0
    whole, split = (CellArrays([DEVICE], out, inn, [ArraySeeds(1, 2, 3)], 0) for _ in range(2))
    before = whole.log_n.clone()
    whole.pulse(x, d, [0.05], [update], [1], 0)
    for k in range(25):
        split.pulse(x[:, k : k + 1], d[:, k : k + 1], [0.05], [update], [1], k)
    torch.testing.assert_close(whole.counters[:, [0, 1, 3]], split.counters[:, [0, 1, 3]], rtol=0, atol=0)
    assert (whole.log_n - before).abs().max() > 0.3
    torch.testing.assert_close(whole.log_n, split.log_n, rtol=0, atol=1e-3)
