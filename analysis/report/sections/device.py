"""The study's nominal cell in pictures: its current, and what a pulse does to a weight."""

from typing import Any

import numpy as np

from vcm_sweep.analysis.plots.lines import lines
from vcm_sweep.analysis.report.content.material import Material
from vcm_sweep.analysis.report.content.parts import Chart, Charts, Section, Text
from vcm_sweep.device.errors import VcmSweepError

_VOLTAGES = 81
_WEIGHTS = 41


def device(material: Material) -> Section | None:
    """Pictures of the nominal cell; None where the study uses one of aihwkit's devices."""
    return nominal_cell(material.results.study.device)


def nominal_cell(table: dict[str, Any]) -> Section | None:
    """The same of a canonical [device] table."""
    if "aihwkit" in table:
        return None
    from vcm_sweep.sweep.study.cautions import step_in_words
    from vcm_sweep.sweep.study.tables.build_device import build_device

    try:
        cell = build_device({key: value for key, value in table.items() if key != "intervention"})
        charts = [_current(cell), _steps(cell)]
    except VcmSweepError as error:
        return Section("The device", "device", [Text(f"No picture of the nominal cell: {error}")])
    note = f"The nominal cell, {cell.model} model, before any factor acts. One pulse: {step_in_words(table)}."
    return Section("The device", "device", [Text(note, soft=True), Charts(charts)])


def _current(cell: Any) -> Chart:
    """Current over voltage at both ends of the window, across the study's pulses."""
    import torch

    from vcm_sweep.device import current

    volts = torch.linspace(cell.set_voltage_v, cell.reset_voltage_v, _VOLTAGES, dtype=torch.float64)
    named = {}
    for name, log_n in zip(("low end", "high end"), cell.window, strict=True):
        n = float(np.exp(log_n))
        amperes = current(volts, n, cell.parameters, cell.model).abs().tolist()
        named[f"{name}, N = {n:.3g}"] = (volts.tolist(), amperes)
    low, high = (amperes[-1] for _, amperes in named.values())
    return Chart(
        "device-current",
        lines(named, "voltage (V)", "|current| (A)", log=True),
        f"Current of the nominal cell from {cell.set_voltage_v:g} V to {cell.reset_voltage_v:g} V; at the latter "
        f"{low:.3g} A at the low end of the window and {high:.3g} A at the high end",
        "Current at both ends of the window, from the SET to the RESET voltage; N in 1e26/m3.",
    )


def _steps(cell: Any) -> Chart:
    """The change of the weight by one SET and by one RESET pulse, over the weight that it starts from."""
    import torch

    from vcm_sweep.device import integrate

    width = cell.periphery.w_max - cell.periphery.w_min
    weight = torch.linspace(
        cell.periphery.w_min + 0.03 * width, cell.periphery.w_max - 0.03 * width, _WEIGHTS, dtype=torch.float64
    )
    n = cell.map.concentration(weight)
    named, size = {}, {}
    for name, voltage, sign in (("SET", cell.set_voltage_v, 1.0), ("RESET", cell.reset_voltage_v, -1.0)):
        after = integrate(n, voltage, cell.pulse_s, cell.parameters, cell.model)
        step = (sign * (cell.map.weight(after) - cell.map.weight(n))).tolist()
        named[f"{name}, {voltage:g} V"] = (weight.tolist(), step)
        size[name] = step[_WEIGHTS // 2]
    ratio = size["RESET"] / size["SET"] if size["SET"] else float("nan")
    return Chart(
        "device-steps",
        lines(named, "weight before the pulse", "|change of the weight|", log=True),
        f"One pulse at w = 0: SET moves {size['SET']:.3g}, RESET {size['RESET']:.3g}, ratio {ratio:.3g}",
        f"One pulse of {cell.pulse_s:g} s; at w = 0 RESET moves {ratio:.3g} times as far as SET.",
    )
