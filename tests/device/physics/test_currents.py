"""The explicit current against the formula written out anew, and its published anchors."""

import numpy as np
import pytest
import torch

from vcm_sweep.device import (
    CellParameters,
    DeviceError,
    Waveform,
    current,
    elasticities,
    integrate,
    rate,
    respond,
    temperature,
)


def test_agrees_with_the_formula(reference_cell):
    rng = np.random.default_rng(0)
    n = np.exp(rng.uniform(np.log(0.008), np.log(20), 300))
    v = np.where(rng.random(300) < 0.5, rng.uniform(-1.0, -0.01, 300), rng.uniform(0.01, 1.5, 300))
    got = current(torch.tensor(v), torch.tensor(n)).numpy()
    expected = [reference_cell().current(*pair) for pair in zip(v.tolist(), n.tolist(), strict=True)]
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_published_read_currents():
    assert current(0.2, 0.06).item() == pytest.approx(1.88906e-5, rel=3e-6)
    assert current(0.2, 1.98974521274400865).item() == pytest.approx(1.11860e-4, rel=5e-6)


def test_sign_and_zero():
    v = torch.tensor([-0.342, 0.0, 0.2])
    assert torch.sign(current(v, 0.3)).tolist() == [-1, 0, 1]


@pytest.mark.parametrize("v", [-0.342, 0.2, 0.7065])
def test_magnitude_rises_with_concentration(v):
    n = torch.logspace(-2, 1, 200, dtype=torch.float64)
    assert (current(v, n).abs().diff() > 0).all()


def test_does_not_depend_on_the_cell():
    """The fit ignores geometry: a study must not believe that it does not."""
    assert current(0.2, 0.3, CellParameters(r=31.5e-9, l=0.5e-9)) == current(0.2, 0.3)


def test_broadcasts():
    assert current(torch.tensor([[-0.3], [0.2]]), torch.tensor([0.1, 0.2, 0.3])).shape == (2, 3)


@pytest.mark.parametrize(
    ("v", "n"), [(float("nan"), 0.3), (float("inf"), 0.3), (0.2, 0.0), (0.2, -1.0), (0.2, float("nan"))]
)
def test_bad_state_is_refused(v, n):
    with pytest.raises(DeviceError):
        current(v, n)


def pulse(v, n, cell, model):
    return integrate(n, v, 1e-6, cell, model)


@pytest.mark.parametrize("quantity", [current, rate, temperature, pulse])
@pytest.mark.parametrize(
    ("v", "n", "cell", "message"),
    [
        ("0.2", 0.3, None, "voltage_v = '0.2' must be a number in V"),
        (0.2, None, None, "n = None must be a number in 1e26/m3"),
        (0.2, torch.tensor([0.3, 0.0, -1.0]), None, "2 of 3 values are not, the first is 0$"),
        (torch.zeros(3), torch.ones(2), None, r"shapes \(3,\), \(2,\) must broadcast"),
        (0.2, torch.ones(3), CellParameters(r=torch.full((2,), 45e-9)), r"shapes \(3,\), \(2,\) must broadcast"),
        (0.2, 0.3, {"r": 45e-9}, "parameters = .* must be a CellParameters"),
    ],
)
@pytest.mark.parametrize("model", ["explicit", "full"])
def test_an_argument_that_is_no_state_is_one_line(quantity, v, n, cell, message, model):
    """A user's slip is a DeviceError that names it, not torch's own error."""
    with pytest.raises(DeviceError, match=message):
        quantity(v, n, cell, model=model)


def test_shapes_that_do_not_broadcast_are_one_line_elsewhere_too():
    n, cells = torch.ones(3), CellParameters(r=torch.full((2,), 45e-9))
    for call in (lambda: respond(n, Waveform((0.0, 1e-6), (0.0, 0.1)), cells), lambda: elasticities(n, -0.3, cells)):
        with pytest.raises(DeviceError, match=r"shapes \(3,\), \(2,\) must broadcast"):
            call()


def test_unknown_model_is_refused():
    with pytest.raises(DeviceError, match="model = 'exact'"):
        current(0.2, 0.3, model="exact")


def test_gradient_is_finite_in_both_branches():
    n = torch.tensor([0.1, 0.5, 1.5], dtype=torch.float64, requires_grad=True)
    v = torch.tensor([-0.342, 0.0, 0.2], dtype=torch.float64)
    current(v, n).sum().backward()
    assert torch.isfinite(n.grad).all()
