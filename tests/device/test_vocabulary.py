"""Values of another kind, given in Python, are one line with field, value and what is wanted."""

from typing import Any

import pytest
import torch
from aihwkit.exceptions import TileError
from aihwkit.nn import AnalogLinear

from vcm_sweep.device import DeviceError, Periphery, Variability, VCMDevice, VCMRPUConfig, current, integrate, rate


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("parameters", None, "parameters = None must be a CellParameters"),
        ("parameters", "default", "parameters = 'default' must be a CellParameters"),
        ("variability", None, "variability = None must be a Variability"),
        ("periphery", Periphery, "must be a Periphery: make one, Periphery()"),
        ("variability", Variability, "must be a Variability: make one, Variability()"),
    ],
)
def test_what_a_device_is_made_of_is_of_its_kind(field: str, value: Any, words: str) -> None:
    with pytest.raises(DeviceError) as caught:
        VCMDevice(**{field: value})
    assert words in str(caught.value)


@pytest.mark.parametrize("steps", [1.5, True, 0, "4"])
def test_steps_are_counted(steps: Any) -> None:
    with pytest.raises(DeviceError, match=rf"^steps = {steps!r} must be a whole number of at least 1"):
        integrate(0.3, -0.342, 1e-6, method="rk4", steps=steps)


@pytest.mark.parametrize("model", ["explicit", "full"])
@pytest.mark.parametrize("volts", [-1e6, 342.0])
def test_a_voltage_that_no_cell_stands_is_refused(volts: float, model: str) -> None:
    for asked in (lambda: current(volts, 0.3, model=model), lambda: rate(volts, 0.3, model=model)):
        with pytest.raises(DeviceError, match=r"^voltage_v = .* within \+-100: 1 mV is 1e-3"):
            asked()
    with pytest.raises(DeviceError, match=r"^voltage_v = "):
        integrate(0.3, volts, 1e-6, model=model)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (torch.full((2, 4), float("nan")), "8 of 8 weights are not finite"),
        (torch.tensor([[1.0, 2.0, 3.0, float("inf")]] * 2), "2 of 8 weights are not finite"),
        (torch.zeros(3, 4), r"weights of shape \(3, 4\) must be of the tile's shape, \(1, 2, 4\)"),
    ],
)
def test_weights_that_no_cell_has_are_refused(weights: torch.Tensor, words: str) -> None:
    tile = next(AnalogLinear(4, 2, rpu_config=VCMRPUConfig()).analog_tiles())
    before = tile.tile.get_weights()
    with pytest.raises(TileError, match=words):
        tile.tile.set_weights(weights)
    assert torch.equal(tile.tile.get_weights(), before)


def test_a_learning_rate_is_finite() -> None:
    tile = next(AnalogLinear(4, 2, rpu_config=VCMRPUConfig()).analog_tiles())
    with pytest.raises(TileError, match="learning rate nan must be a finite number"):
        tile.set_learning_rate(float("nan"))
