"""What a picture shows is what independent numbers say, and the files can be read without the program."""

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from vcm_sweep.device import CellParameters, DeviceError, draw, rate, save_picture, temperature
from vcm_sweep.device.periphery import N_HIGH, N_LOW
from vcm_sweep.device.pictures import curves as curves
from vcm_sweep.device.pictures.pictures import PICTURES

# Section 5 of the physics notes, full model: |change of w| of one SET and one RESET pulse at w = -1.45, 0 and 1.45.
PRINTED_STEPS = ((5.0e-5, 0.0248, 2.9e-5), (4.5e-5, 0.0381, 4.0e-5))
# Pulses to cross the window, SET and RESET, of the full model. (The explicit 9,945 and 9,940 there are not those of
# the published device's constants: scipy's quadrature of an independent cell gives 9,900 and 9,899.)
PRINTED_CROSSINGS = (9174, 7902)
# RESET/SET step ratio: at w = -1.5, and the largest.
PRINTED_RATIOS = {"explicit": (0.87, 1.65), "full": (0.84, 1.58)}


def test_steps_are_those_of_the_notes() -> None:
    found = curves.weight_steps(CellParameters(), "full", np.array([-1.45, 0.0, 1.45]))
    for steps, printed in zip((found.set_step, found.reset_step), PRINTED_STEPS, strict=True):
        assert [float(f"{x:.1e}" if x < 1e-3 else f"{x:.4f}") for x in steps] == list(printed)


@pytest.mark.parametrize("model", PRINTED_RATIOS)
def test_ratios_are_those_of_the_notes(model: str) -> None:
    # At w = -1.5 itself a RESET pulse leaves the window, and the weight is linear in the current there too.
    found = curves.weight_steps(CellParameters(), model, np.linspace(-1.5, 1.45, 296))
    ratio = found.reset_step / found.set_step
    assert (round(ratio[0], 2), round(ratio.max(), 2)) == PRINTED_RATIOS[model]


def test_the_window_of_the_full_model_is_crossed_in_the_time_of_the_notes() -> None:
    times = curves.switching_time(CellParameters(), "full", np.array([curves.SET_V, curves.RESET_V]))
    assert [round(time / curves.PULSE_S) for time in times] == pytest.approx(PRINTED_CROSSINGS, abs=1)


@pytest.mark.parametrize("model", ["explicit", "full"])
def test_pulses_cross_the_window_in_the_switching_time(model: str) -> None:
    """SET from the low end to the high end; RESET back, counted from where it crosses the high end."""
    cell = CellParameters()
    low, high = curves.read_current(cell, model, np.array([N_LOW, N_HIGH]))
    response = curves.pulse_response(cell, model, 12_000, cells=1).nominal_a
    up, down = response[:12_001], response[12_000:]
    counts = int(np.argmax(up >= high)), int(np.argmax(down <= low)) - int(np.argmax(down <= high))
    times = curves.switching_time(cell, model, np.array([curves.SET_V, curves.RESET_V]))
    # The table behind the pulses is good to a thousandth.
    assert counts == pytest.approx(times / curves.PULSE_S, rel=1e-3)


@pytest.mark.parametrize(("voltage", "begin", "end"), [(-0.45, N_LOW, N_HIGH), (0.85, N_HIGH, N_LOW)])
def test_the_switching_time_is_that_of_scipy(reference_cell, voltage: float, begin: float, end: float) -> None:
    time = curves.switching_time(CellParameters(r=43e-9), "explicit", np.array([voltage])).item()
    assert reference_cell(r=43e-9).after(begin, voltage, time) == pytest.approx(end, rel=2e-3)


def test_the_maps_are_rate_and_temperature(reference_cell) -> None:
    volts, n = np.array([-0.4, 0.1, 0.8]), np.array([0.05, 0.5, 5.0])
    found, cell = curves.maps(CellParameters(), "explicit", volts, n), reference_cell()
    for i, v in enumerate(volts):
        for j, x in enumerate(n):
            assert found.time_constant_s[i, j] == pytest.approx(x / abs(cell.bare_rate(v, x)), rel=1e-9)
            assert found.temperature_k[i, j] == pytest.approx(cell.temperature(v, x), rel=1e-9)
    full = curves.maps(CellParameters(), "full", volts, n)
    assert full.time_constant_s[0, 1] == pytest.approx(0.5 / rate(-0.4, 0.5, model="full").item(), rel=1e-9)
    assert full.temperature_k[2, 1] == pytest.approx(temperature(0.8, 0.5, model="full").item(), rel=1e-12)


@pytest.mark.parametrize("model", ["explicit", "full"])
def test_the_hysteresis_loop_is_closed_and_opens_the_right_way(model: str) -> None:
    loop = curves.hysteresis(CellParameters(), model, -0.6, 1.0, 1.0)
    assert loop.n[0] == pytest.approx(loop.n[-1], rel=1e-3)
    before, after = (np.interp(0.2, *part) for part in halves(loop))
    assert before > 3 * after > 0  # low resistance after SET, high after RESET


def halves(loop: curves.Sweep) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The way up to the RESET end and the way back, as rising voltage with current."""
    top = int(np.argmax(loop.voltage_v))
    start = int(np.argmin(loop.voltage_v))
    return (
        (loop.voltage_v[start:top], loop.current_a[start:top]),
        (loop.voltage_v[: top - 1 : -1], loop.current_a[: top - 1 : -1]),
    )


@pytest.mark.parametrize("kind", PICTURES)
def test_every_picture_has_both_models_and_units_and_is_written_twice(kind: str, tmp_path: Path) -> None:
    figure = draw(kind)
    png, svg = save_picture(figure, tmp_path / "new", kind)
    assert png.read_bytes().startswith(b"\x89PNG")
    words = svg.read_text(encoding="utf-8")
    assert words.count("explicit") >= 1
    assert words.count("full") >= 1
    for label in labels(figure):
        assert re.search(r"\((V|A|s|K|µA|10²⁶/m³|thousands)\)|weight", label), label


def labels(figure: Figure) -> list[str]:
    return [text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel()) if text]


@pytest.mark.slow
@pytest.mark.parametrize("kind", PICTURES)
def test_another_cell_can_be_drawn_too(kind: str, tmp_path: Path) -> None:
    """A narrow one, whose cells avalanche within a pulse."""
    save_picture(draw(kind, CellParameters(r=30e-9, l=0.3e-9)), tmp_path, kind)


def test_what_cannot_be_drawn_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="kind = 'pie' must be one of iv, pulses, switching, maps, mismatch"):
        draw("pie")
    with pytest.raises(DeviceError, match="model = 'fast' must be one of"):
        draw("iv", models=["fast"])
    with pytest.raises(DeviceError, match=r"shows N = 0.06 to 1.99 .* choose kind iv or maps"):
        draw("switching", CellParameters(N_max=1.5))
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match="cannot be written"):
        save_picture(draw("switching", models=["explicit"]), tmp_path / "file", "switching")
