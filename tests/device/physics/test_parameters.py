"""A wrong parameter is refused with its name, value, range and fix; a right one is kept exactly."""

import contextlib
import math

import pytest
import torch

from vcm_sweep.device import CellParameters, DeviceError, temperature

# Section 3 of the physics notes, closed intervals in SI units.
RANGES = {
    "eps": (10, 25),
    "phi_Bn0": (0.1, 0.5),
    "phi_n": (0.1, 0.3),
    "mu_n": (1e-6, 1e-5),
    "N_max": (0.001, 1100),
    "N_min": (1e-4, 100),
    "N_plug": (0.001, 100),
    "a": (0.1e-9, 1e-9),
    "nu_0": (1e10, 1e14),
    "dW_A": (0.8, 1.5),
    "R_th0": (1e6, 20e6),
    "r": (5e-9, 100e-9),
    "l_cell": (2e-9, 5e-9),
    "l": (0.1e-9, 5e-9),
    "R_theff_scaling": (0.1, 1),
    "R_TiOx": (0, 5000),
    # No published ranges: far beyond any real cell, so that a slip of the unit is refused.
    "eps_phiB": (1, 100),
    "r_nominal": (1e-9, 1e-6),
    "R_0": (0, 1e6),
    "R_th_line": (0, 1e9),
    "alpha_line": (0, 1),
}
POSITIVE = ("T_0", "eps_phiB", "r_nominal")
NOT_NEGATIVE = ("R_0", "R_th_line", "alpha_line")
DEFAULTS = {
    "T_0": 293,
    "eps": 17,
    "eps_phiB": 5.5,
    "phi_Bn0": 0.18,
    "phi_n": 0.1,
    "mu_n": 4e-6,
    "N_max": 20,
    "N_min": 0.008,
    "N_plug": 20,
    "a": 0.25e-9,
    "nu_0": 2e13,
    "dW_A": 1.35,
    "R_th0": 15.72e6,
    "r": 45e-9,
    "r_nominal": 45e-9,
    "l_cell": 3e-9,
    "l": 0.4e-9,
    "R_theff_scaling": 0.27,
    "R_TiOx": 650,
    "R_0": 719.2437,
    "R_th_line": 90471.47,
    "alpha_line": 3.92e-3,
}


def test_defaults_are_the_published_table():
    cell = CellParameters()
    assert set(CellParameters.names()) == set(DEFAULTS)
    for name, value in DEFAULTS.items():
        assert getattr(cell, name) == pytest.approx(value, rel=1e-12), name


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("side", [0, 1])
def test_value_outside_its_range_is_refused(name, side):
    low, high = RANGES[name]
    value = (low - 0.01 * (high - low)) if side == 0 else high * 1.01
    with pytest.raises(DeviceError) as info:
        CellParameters(**{name: value})
    message = str(info.value)
    assert message.startswith(f"{name} = {value:g}")
    assert f"{low:g}" in message
    assert f"{high:g}" in message
    assert CellParameters.unit(name).strip("-") in message


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.filterwarnings("ignore:phi_n >= phi_Bn0")
def test_ends_of_the_range_are_allowed(name):
    others = {
        "N_max": [{"N_min": 1e-4}, {}],
        "N_min": [{}, {"N_max": 200.0}],
        "l": [{}, None],
    }.get(name, [{}, {}])
    for value, other in zip(RANGES[name], others, strict=True):
        if other is not None:
            assert getattr(CellParameters(**{name: value}, **other), name) == value
    assert CellParameters.bounds(name) == pytest.approx(RANGES[name])


@pytest.mark.parametrize("name", POSITIVE)
@pytest.mark.parametrize("value", [0.0, -1.0, math.inf])
def test_must_be_positive_and_finite(name, value):
    with pytest.raises(DeviceError, match=name):
        CellParameters(**{name: value})


@pytest.mark.parametrize("value", [25.0, 76.9, 1000.1])
def test_a_temperature_in_celsius_is_refused_with_the_range_in_kelvin(value):
    with pytest.raises(DeviceError, match=r"T_0 = .* K must be at least 77 and at most 1000"):
        CellParameters(T_0=value)


@pytest.mark.parametrize(
    ("name", "value", "end"),
    [
        ("T_0", 25.0, "1000 K: 25 degrees Celsius are 298.15 K"),
        ("r", 45.0, "1e-07 m: 45 nm are 4.5e-08 m"),
        ("N_max", 2e27, "1100 1e26/m3: 2e+27 1/m3 are 20 1e26/m3"),
        ("r", 45e9, "1e-07 m"),
    ],
)
def test_a_slip_of_the_unit_is_named(name, value, end):
    with pytest.raises(DeviceError) as caught:
        CellParameters(**{name: value})
    assert str(caught.value).endswith(end)


@pytest.mark.parametrize("name", [name for name in (*POSITIVE, *NOT_NEGATIVE) if name != "T_0"])
def test_what_has_no_physical_limit_stays_within_floats(name):
    """1e300 squared is no float: an OverflowError in the middle of a study would name nothing."""
    with pytest.raises(DeviceError, match=rf"^{name} = 1e\+300( .*)? must be at least "):
        CellParameters(**{name: 1e300})
    for model in ("explicit", "full"):
        with contextlib.suppress(DeviceError):  # refused or computed, but never an error of Python's
            temperature(-0.3, 0.3, CellParameters(**{name: RANGES[name][1]}), model=model)


@pytest.mark.parametrize("name", NOT_NEGATIVE)
def test_zero_is_allowed_but_not_less(name):
    assert getattr(CellParameters(**{name: 0.0}), name) == 0
    with pytest.raises(DeviceError, match=name):
        CellParameters(**{name: -1e-9})


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, torch.tensor([DEFAULTS["r"], math.nan])])
def test_not_finite_is_refused_everywhere(name, value):
    with pytest.raises(DeviceError, match=name):
        CellParameters(**{name: value})


@pytest.mark.parametrize("value", ["45e-9", None, True, [45e-9], 1j])
def test_not_a_number_is_refused(value):
    with pytest.raises(DeviceError, match="r = "):
        CellParameters(r=value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"l": 3.5e-9}, ("l = 3.5e-09", "l_cell = 3e-09", "lower l or raise l_cell")),
        ({"l": 3e-9}, ("l = 3e-09", "below")),
        ({"l": 2.5e-9, "l_cell": 2e-9}, ("l = 2.5e-09", "l_cell = 2e-09")),
        ({"N_min": 30.0}, ("N_min = 30", "N_max = 20")),
        ({"N_max": 0.005}, ("N_min = 0.008", "N_max = 0.005")),
    ],
)
def test_rules_between_fields(values, words):
    with pytest.raises(DeviceError) as info:
        CellParameters(**values)
    for word in words:
        assert word in str(info.value)


def test_no_barrier_lowering_warns():
    with pytest.warns(UserWarning, match="phi_n >= phi_Bn0"):
        CellParameters(phi_n=0.2, phi_Bn0=0.18)


def test_tensor_message_counts_the_cells_and_names_the_worst():
    r = torch.full((10, 10), 45e-9, dtype=torch.float64)
    r[2, 3], r[5, 5], r[9, 9] = 101e-9, 250e-9, 4e-9
    with pytest.raises(DeviceError) as info:
        CellParameters(r=r)
    assert "3 of 100" in str(info.value)
    assert "2.5e-07" in str(info.value)


def test_tensor_cross_rule_counts_the_cells():
    n_min = torch.tensor([0.008, 25.0, 20.0], dtype=torch.float64)
    with pytest.raises(DeviceError, match=r"2 of 3"):
        CellParameters(N_min=n_min)


def test_empty_tensor_is_refused():
    with pytest.raises(DeviceError, match="empty"):
        CellParameters(r=torch.empty(0))


def test_tensor_is_copied_and_kept_in_double():
    r = torch.full((3,), 45e-9, dtype=torch.float32)
    cell = CellParameters(r=r)
    r.fill_(1.0)
    assert cell.r.dtype == torch.float64
    assert torch.allclose(cell.r, torch.tensor(45e-9, dtype=torch.float64), rtol=1e-6)


def test_replace_checks_again():
    cell = CellParameters(r=40e-9)
    assert cell.replace(l=0.5e-9).r == 40e-9
    with pytest.raises(DeviceError, match="r = "):
        cell.replace(r=1.0)
    with pytest.raises(DeviceError, match="unknown cell parameter 'radius'"):
        cell.replace(radius=45e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", [name for name in RANGES if name not in ("N_max", "N_min", "l")])
@pytest.mark.filterwarnings("ignore:phi_n >= phi_Bn0")
def test_a_bound_in_a_narrower_precision_is_that_bound(name, dtype):
    for bound in CellParameters.bounds(name):
        assert getattr(CellParameters(**{name: torch.tensor(bound, dtype=dtype)}), name).item() == bound


def test_a_value_at_a_bound_keeps_its_gradient():
    r = torch.tensor(100e-9, requires_grad=True)
    assert torch.autograd.grad(CellParameters(r=r).r, r)[0] == 1.0


def test_a_value_beyond_a_bound_by_more_than_its_precision_is_refused():
    with pytest.raises(DeviceError, match=r"r = 1\.001e-07 m must be"):
        CellParameters(r=torch.tensor(100.1e-9))
