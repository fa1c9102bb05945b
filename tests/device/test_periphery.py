"""The map between read current and weight."""

import pytest
import torch

from vcm_sweep.device import DeviceError, Periphery
from vcm_sweep.device.periphery import ReadMap

DOUBLE = torch.float64


def test_window_ends_and_straight_line(reference_cell):
    reading, cell = ReadMap(), reference_cell()
    low, high = cell.current(0.2, 0.06), cell.current(0.2, 1.98974521274400865)
    for n in (0.02, 0.06, 0.3, 1.0, 1.98974521274400865, 10.0):
        expected = -1.5 + 3 * (cell.current(0.2, n) - low) / (high - low)
        assert reading.weight(torch.tensor(n, dtype=DOUBLE)).item() == pytest.approx(expected, abs=1e-12)
    assert reading.currents == pytest.approx((1.88906e-5, 1.11860e-4), rel=1e-5)


@pytest.mark.parametrize("periphery", [Periphery(), Periphery(-0.6, 0.6, clamped=False), Periphery(-2.0, 1.0)])
@pytest.mark.parametrize("model", ["explicit", "full"])
def test_concentration_inverts_weight(periphery, model):
    n = torch.logspace(-2, 1, 50, dtype=DOUBLE)
    reading = ReadMap(periphery, model)
    torch.testing.assert_close(reading.concentration(reading.weight(n)), n, rtol=1e-9, atol=0)


def test_weight_without_current(reference_cell):
    reading = ReadMap()
    n = torch.tensor([0.1, 0.7], dtype=DOUBLE)
    w = reading.weight(n) - reading.line[0]
    i = [reference_cell().current(0.2, x) for x in n.tolist()]
    assert (w[0] / w[1]).item() == pytest.approx(i[0] / i[1], rel=1e-12)


@pytest.mark.parametrize("model", ["explicit", "full"])
def test_weight_out_of_reach_gives_zero_or_infinity(model):
    n = ReadMap(model=model).concentration(torch.tensor([-1e3, 1e3]))
    assert n.tolist() == [0.0, float("inf")]


@pytest.mark.parametrize("window", [(1.0, -1.0), (1.0, 1.0), (float("nan"), 1.0), (-1.0, float("inf"))])
def test_wrong_window_is_refused(window):
    with pytest.raises(DeviceError, match="w_min"):
        Periphery(*window)
