"""A sweep's cycles are found where noise gives voltages near 0 V any sign."""

import numpy as np
import pytest

from vcm_sweep.device.measured.cycles import cycles_of

ONE = np.concatenate((-np.arange(0, 0.61, 0.05), -np.arange(0.55, 0, -0.05), np.arange(0, 0.61, 0.05)))
ONE = np.concatenate((ONE, np.arange(0.55, 0, -0.05)))


@pytest.mark.parametrize("noise_v", [0.0, 1e-4, 2e-3])
@pytest.mark.parametrize("cycles", [1, 3])
def test_noise_near_0_v_makes_no_cycles(noise_v: float, cycles: int) -> None:
    volts = np.tile(ONE, cycles) + noise_v * np.random.default_rng(1).standard_normal(cycles * len(ONE))
    found = cycles_of(volts, None, [])
    assert len(found) == cycles
    # The rows near 0 V are either cycle's.
    assert np.allclose(found, len(ONE) * np.arange(cycles), atol=1)
