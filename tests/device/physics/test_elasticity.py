"""Elasticities against the numbers of the physics notes, an independent cell, and finite differences."""

import math

import pytest
import torch

from vcm_sweep.device import CellParameters, DeviceError, current, elasticities, rate, read_elasticities

STATES, PULSES = (0.1, 0.5, 1.5), (-0.342, 0.7065)

# Section 4 of the physics notes: full model, N = 0.1 / 0.5 / 1.5 at -0.342 V | 0.7065 V, as printed.
PRINTED = {
    "dW_A": ("-31", "-25", "-28", "-28", "-23", "-26"),
    "T_0": ("15", "11", "14", "15", "10", "12"),
    "R_th0": ("11", "12", "13", "13", "13", "13"),
    "mu_n": ("5.4", "-1.1", "-5.7", "7", "-1.7", "-6.3"),
    "R_TiOx": ("-2.4", "-6.4", "-9", "-2.7", "-6.6", "-8.7"),
    "R_0": ("-2.6", "-7.1", "-10", "-3", "-7.6", "-10"),
    "a": ("4.3", "2.6", "2.2", "2.3", "2.1", "2.0"),
    "nu_0": ("1", "1", "1", "1", "1", "1"),
}


def of_the_table(model: str) -> dict[str, list[float]]:
    n, v = torch.tensor(STATES, dtype=torch.float64), torch.tensor(PULSES, dtype=torch.float64)[:, None]
    return {name: value.flatten().tolist() for name, value in elasticities(n, v, model=model).items()}


@pytest.mark.parametrize("name", PRINTED)
def test_the_full_model_gives_the_printed_numbers(name: str) -> None:
    for value, printed in zip(of_the_table("full")[name], PRINTED[name], strict=True):
        # Of "10" or "-9" nobody knows whether a nought was cut off: all count to their last printed digit.
        half = 0.5 * 10.0 ** -len(printed.partition(".")[2])
        assert abs(value - float(printed)) <= half, (name, value, printed)


def test_what_the_notes_say_of_the_full_model_in_words() -> None:
    table = of_the_table("full")
    for name in ("phi_Bn0", "phi_n", "eps", "eps_phiB"):
        assert max(map(abs, table[name])) < 0.9, name
    assert all(0.5 <= x <= 1.7 for x in read_elasticities(torch.tensor(STATES), names=["r"])["r"].tolist())


@pytest.mark.parametrize("voltage", PULSES)
@pytest.mark.parametrize("n", STATES)
def test_explicit_against_a_cell_that_shares_no_code(reference_cell: type, n: float, voltage: float) -> None:
    names = ["r", "l", "l_cell", "T_0", "R_th0", "a", "nu_0", "dW_A", "mu_n", "N_plug", "N_max", "N_min"]
    ours = elasticities(n, voltage, model="explicit", names=names)
    for name in names:
        nominal = getattr(reference_cell(), name)
        up, down = (
            math.log(abs(reference_cell(**{name: nominal * math.exp(h)}).rate(voltage, n))) for h in (1e-4, -1e-4)
        )
        assert ours[name].item() == pytest.approx((up - down) / 2e-4, rel=1e-6, abs=1e-7), name


@pytest.mark.parametrize("model", ["explicit", "full"])
def test_every_parameter_against_finite_differences(model: str) -> None:
    """Around a cell that is not the nominal one, near a bound, where F counts, and for the read current."""
    cell = CellParameters(r=41e-9, l=0.35e-9, T_0=320.0, N_max=2.0, phi_n=0.12)
    n, v = torch.tensor([0.05, 0.6, 1.9], dtype=torch.float64), torch.tensor([[-0.4], [0.6]], dtype=torch.float64)
    speed, read = elasticities(n, v, cell, model), read_elasticities(n, cell, model)
    h = 1e-5
    for name in CellParameters.names():
        moved = [cell.replace(**{name: getattr(cell, name) * math.exp(s * h)}) for s in (2, 1, -1, -2)]
        for ours, values in (
            (speed, [rate(v, n, p, model).abs().log() for p in moved]),
            (read, [current(0.2, n, p, model).log() for p in moved]),
        ):
            far, near = values[0] - values[3], values[1] - values[2]
            difference = (8 * near - far) / (12 * h)  # fourth order
            assert torch.allclose(ours[name], difference, rtol=1e-6, atol=1e-6), name


def test_cells_do_not_see_each_other_and_arrays_of_parameters_are_taken() -> None:
    r = torch.tensor([40e-9, 45e-9, 50e-9], dtype=torch.float64)
    together = elasticities(0.3, -0.342, CellParameters(r=r), "explicit")["r"]
    alone = [elasticities(0.3, -0.342, CellParameters(r=x), "explicit")["r"].item() for x in r.tolist()]
    assert together.tolist() == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize(
    ("n", "voltage", "words"),
    [(0.3, 0.0, "does not move"), (20.0, -0.342, "does not move"), (-1.0, 0.2, "n = -1 must be finite and > 0")],
)
def test_no_elasticity_is_one_line(n: float, voltage: float, words: str) -> None:
    with pytest.raises(DeviceError, match=words):
        elasticities(n, voltage, model="explicit")


def test_an_unknown_name_is_one_line() -> None:
    with pytest.raises(DeviceError, match="unknown cell parameter 'radius'"):
        elasticities(0.3, -0.342, model="explicit", names=["radius"])
