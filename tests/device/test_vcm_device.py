"""A device that some cell could leave the model with is refused when it is described, not when it trains."""

import math

import pytest

from vcm_sweep.device import (
    CellParameters,
    DeviceError,
    Periphery,
    PulseError,
    Spread,
    TargetWalk,
    Variability,
    VCMDevice,
    Walk,
    Window,
)


def _d2d(parameters=None, **spreads):
    return VCMDevice(parameters=CellParameters(**(parameters or {})), variability=Variability(d2d=spreads))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        # 1.35 eV may rise to 1.5 eV: by 11.1 %.
        (lambda: _d2d(dW_A=Spread(0.02)), ["dW_A of a cell can be 1.755 eV", "0.8 to 1.5", "to 0.111 in all"]),
        (lambda: _d2d(R_th0=Spread(0.02)), ["R_th0", "2.044e+07 K/W", "clip"]),
        (lambda: _d2d(phi_n=Spread(0.02)), ["phi_n", "0.07 eV", "move phi_n away"]),
        (lambda: _d2d({"l": 2e-9}, l=Spread(0.1, 0.2), l_cell=Spread(0.1, 0.3)), ["l of a cell", "2.4e-09", "l_cell"]),
        (lambda: _d2d({"N_min": 0.5, "N_max": 0.9}, N_min=Spread(0.1, 0.9)), ["N_min", "0.95", "N_max", "0.9"]),
        (
            lambda: VCMDevice(variability=Variability(d2d={"r": Spread(0.1, 0.9)}, c2c={"r": Walk(0.1, clip=0.2)})),
            ["r of a cell can be 3.6e-09 m", "5e-09 to 1e-07"],
        ),
        (
            lambda: VCMDevice(
                parameters=CellParameters(l=2.5e-9), variability=Variability(targets={"l": TargetWalk(0.1, 0.3)})
            ),
            ["l of a cell can be 3.25e-09 m", "l_cell"],
        ),
        (
            lambda: VCMDevice(set_voltage_v=-1.9, variability=Variability(pulse=PulseError(amplitude=0.1))),
            ["set_voltage_v", "-2.47 V", "-2 to -0.001", "amplitude"],
        ),
        (
            lambda: VCMDevice(
                periphery=Periphery(clamped=False), variability=Variability(window=Window(w_max=Spread(0.1)))
            ),
            ["window", "clamped"],
        ),
        (
            lambda: VCMDevice(periphery=Periphery(1.0, 1.2), variability=Variability(window=Window(Spread(0.1)))),
            ["w_min of a cell can be 1.3", "1.2"],
        ),
        (lambda: VCMDevice(method="exact"), ["method = 'exact'", "'tabulated', 'direct'"]),
        (lambda: VCMDevice(read_path="own"), ["read_path = 'own'", "'cell', 'nominal', None"]),
        (lambda: VCMDevice(on_invalid="ignore"), ["on_invalid = 'ignore'", "'record', 'error'"]),
        (lambda: VCMDevice(model="fast"), ["model = 'fast'", "'explicit'"]),
        (lambda: VCMDevice(pulse_s=True), ["pulse_s = True"]),
    ],
)
def test_what_no_cell_may_be_is_one_line_with_the_fix(build, words):
    with pytest.raises(DeviceError) as caught:
        build()
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_spread_up_to_the_end_of_the_range_is_allowed():
    assert _d2d(dW_A=Spread(0.02, 0.11)).variability.varying(CellParameters()) == ("dW_A",)
    assert _d2d(phi_n=Spread(0.0)).variability.varying(CellParameters()) == ()


def test_cells_read_the_nominal_current_with_the_explicit_model_unless_told():
    assert not VCMDevice().reads_cell
    assert VCMDevice(read_path="cell").reads_cell


def test_concentrations_reach_as_far_as_the_widest_window():
    """Explicit read current, by hand: the N at which the nominal cell reads the extreme weights."""
    device = VCMDevice(variability=Variability(window=Window(Spread(0.05, 0.1), Spread(0.1, 0.2))))
    i_low, i_high = 1.88906e-5, 1.11860e-4  # docs: the explicit model's read currents at N_low and N_high
    g = 4.84e-3 * (1 - math.exp(-0.1353 * 0.2))
    h = 5.548 + 6.8648 * 0.2 + 51.586 * math.exp(-0.36 * 0.2)
    for log_n, weight in zip(device.log_n_range, (-1.65, 1.8), strict=True):
        i = g / (1 + h * (math.exp(log_n) / 0.008) ** -1.054) ** (1 / 1.0526)
        assert -1.5 + 3 * (i - i_low) / (i_high - i_low) == pytest.approx(weight, abs=1e-4)
    assert VCMDevice().log_n_range == pytest.approx((math.log(0.06), math.log(1.98974521274400865)))
