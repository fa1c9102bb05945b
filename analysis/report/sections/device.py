"""The study's nominal cell in pictures: its loop, and what a pulse does to a weight."""

from typing import Any

import numpy as np

from vcm_sweep.analysis.plots.lines import lines
from vcm_sweep.analysis.report.material import Material
from vcm_sweep.analysis.report.parts import Chart, Charts, Section, Text
from vcm_sweep.device.errors import VcmSweepError

_RAMP_V_PER_S = 1e3
_POINTS = 60
_WEIGHTS = 41


def device(material: Material) -> Section | None:
    """Pictures of the nominal cell; None where the study's device is none of ours."""
    table = getattr(material.results.study, "device", None)
    if not table or "aihwkit" in table:
        return None
    from vcm_sweep.sweep.device_table import build_device

    try:
        cell = build_device({key: value for key, value in table.items() if key != "intervention"})
        charts = [_loop(cell), _steps(cell)]
    except VcmSweepError as error:
        return Section("The device", "device", [Text(f"No picture of the nominal cell: {error}")])
    note = f"The nominal cell, {cell.model} model, before any factor acts."
    return Section("The device", "device", [Text(note, soft=True), Charts(charts)])


def _loop(cell: Any) -> Chart:
    """Current over a triangular sweep that spans the study's pulses."""
    from vcm_sweep.device import Waveform, respond

    ends = cell.set_voltage_v, cell.reset_voltage_v
    sweep = Waveform.triangle(1.5 * ends[0], 1.3 * ends[1], ramp_v_per_s=_RAMP_V_PER_S)
    found = respond(float(np.exp(cell.window[0])), sweep, cell.parameters, cell.model, _POINTS, on_invalid="record")
    volts, amperes = found.voltage_v.numpy(), np.abs(found.current_a.numpy().reshape(-1))
    turn = int(np.argmin(volts)), int(np.argmax(volts))
    zero = turn[0] + int(np.argmin(np.abs(volts[turn[0] : turn[1]])))
    halves = {"SET half": slice(0, zero + 1), "RESET half": slice(zero, None)}
    named = {name: (volts[part].tolist(), amperes[part].tolist()) for name, part in halves.items()}
    return Chart(
        "device-loop",
        lines(named, "voltage (V)", "|current| (A)", log=True),
        f"Current of the nominal cell over a triangular sweep from {volts.min():.2f} V to {volts.max():.2f} V; at most "
        f"{amperes.max():.3g} A",
        f"A triangular sweep at {_RAMP_V_PER_S:g} V/s from the low end of the window.",
    )


def _steps(cell: Any) -> Chart:
    """What one SET and one RESET pulse move, over the weight they start from."""
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
