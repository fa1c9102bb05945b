"""How each picture of a cell is drawn; ``pictures.py`` sets the style and saves."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter
from numpy.typing import NDArray

from vcm_sweep.device.periphery import N_HIGH, N_LOW
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.pictures import curves

if TYPE_CHECKING:
    from vcm_sweep.device.fitting.least_squares import Fit

# Okabe and Ito, https://jfly.uni-koeln.de/color/, darkened for white paper.
COLOUR = {"explicit": "#c85a00", "full": "#0b62a4"}
DASHES: dict[str, Any] = {"explicit": (0, (5, 1.5)), "full": "solid"}
GREEN, PURPLE, GREY = "#00795a", "#a8477f", "#5a5a5a"
WIDTH_IN = 7.0  # the width of a page's text
SWEEP_V, RAMP = (-0.6, 1.0), 1.0  # V, V/s
FASTEST_S = 5e-9  # below, the temperature lags behind and the model does not hold
HOTTEST_K = 2000.0


def hysteresis(cell: CellParameters, models: Sequence[str]) -> Figure:
    """|I| over V, one panel per model; numbers give the order in time."""
    figure, panels = _panels(3.3, 1, len(models), sharey=True)
    for axes, model in zip(panels[0], models, strict=True):
        sweep = curves.hysteresis(cell, model, *SWEEP_V, RAMP)
        volts = sweep.voltage_v
        amperes = np.where(volts == 0, np.nan, np.abs(sweep.current_a))
        axes.semilogy(volts, amperes, color=COLOUR[model])
        low, high = int(np.argmin(volts)), int(np.argmax(volts))
        quarters = ((0, low, 0.45), (low, 2 * low, 0.65), (2 * low, high, 0.45), (high, len(volts), 0.35))
        for number, (begin, end, part) in enumerate(quarters, 1):
            row = begin + round(part * (end - begin))
            axes.plot(volts[row], amperes[row], "o", ms=12, mfc="white", mec=COLOUR[model], mew=1.2)
            axes.annotate(f"{number}", (volts[row], amperes[row]), ha="center", va="center_baseline", fontsize=8.5)
        axes.set_ylim(top=2.5 * np.nanmax(amperes))
        _say(axes, "SET", 0.02, 1.0, GREY, va="top")
        _say(axes, "RESET", 0.98, 1.0, GREY, ha="right", va="top")
        axes.set_xlabel("voltage (V)")
        axes.set_title(f"{model} model, {RAMP:g} V/s", pad=10)
    panels[0, 0].set_ylabel("|current| (A)")
    return figure


def pulse_response(cell: CellParameters, models: Sequence[str]) -> Figure:
    """Read current over the number of pulses: the nominal cell, and the band of an array."""
    pulses = 10_000
    figure, panels = _panels(3.3, 1, len(models), sharey=True)
    count = np.arange(2 * pulses + 1) / 1000
    for axes, model in zip(panels[0], models, strict=True):
        response = curves.pulse_response(cell, model, pulses)
        low, high = np.quantile(response.cells_a, [0.1, 0.9], axis=1) * 1e6
        nominal = response.nominal_a * 1e6
        axes.fill_between(count, low, high, color=COLOUR[model], alpha=0.2, linewidth=0)
        axes.plot(count, nominal, color=COLOUR[model])
        axes.axvline(pulses / 1000, color=GREY, linewidth=0.8)
        axes.set_ylim(0, max(1.25 * high.max(), axes.get_ylim()[1]))
        _say(axes, f"SET {_volts(curves.SET_V)}", 0.26, 0.99, GREY, ha="center", va="top")
        _say(axes, f"RESET {_volts(curves.RESET_V)}", 0.74, 0.99, GREY, ha="center", va="top")
        axes.set_title(f"{model} model", pad=8)
        axes.set_xlabel("pulses of 1 µs (thousands)")
        if axes is panels[0, 0]:
            row = int(np.argmax(nominal > 0.6 * nominal.max()))
            _beside(axes, "nominal cell", count[row], nominal[row], COLOUR[model], xytext=(38, 0), arrow=True)
            spread = curves.SPREAD["r"].sigma
            text = f"band: 8\nof 10 cells,\nr and l\nσ = {100 * spread:g} %"
            _beside(axes, text, 0, 0.7 * nominal.max(), COLOUR[model], xytext=(0, 0), ha="left", fontsize=8.5)
    panels[0, 0].set_ylabel("read current at 0.2 V (µA)")
    return figure


def switching_time(cell: CellParameters, models: Sequence[str]) -> Figure:
    """Time to cross the weight window over the voltage, both directions, both models."""
    figure, panels = _panels(3.7)
    axes = panels[0, 0]
    for model in reversed(models):  # dashes over the solid line: the models nearly agree
        for sign, ends in ((-1, (0.2, 0.7)), (1, (0.36, 1.3))):
            volts = sign * np.linspace(*ends, 91)
            time = curves.switching_time(cell, model, volts)
            axes.semilogy(volts, time, color=COLOUR[model], linestyle=DASHES[model])
            row = 30 if model == "full" else 14
            side = 1 if (sign > 0) == (model == "full") else -1
            shift, align = (9 * side, 3), "left" if side > 0 else "right"
            _beside(axes, model, volts[row], time[row], COLOUR[model], xytext=shift, ha=align)
    low, high = axes.get_ylim()
    axes.axhspan(low, FASTEST_S, color="#eeeeee", linewidth=0)
    axes.set_ylim(low, high)
    axes.text(0.3, FASTEST_S, "faster than 5 ns: outside the model", color=GREY, ha="center", va="top", fontsize=8.5)
    axes.yaxis.set_major_locator(LogLocator(10, numticks=20))
    axes.yaxis.set_minor_formatter(NullFormatter())
    _say(axes, f"SET, N {N_LOW:.2f} → {N_HIGH:.2f}", 0.02, 1.0, GREY, va="bottom")
    _say(axes, f"RESET, N {N_HIGH:.2f} → {N_LOW:.2f}", 0.98, 1.0, GREY, ha="right", va="bottom")
    axes.set_xlabel("voltage (V)")
    axes.set_ylabel("time to cross the window (s)")
    return figure


def maps(cell: CellParameters, models: Sequence[str]) -> Figure:
    """Time constant and temperature over voltage and concentration, one column of panels per model."""
    figure, panels = _panels(5.6, 2, len(models), sharex=True, sharey=True)
    volts = np.concatenate((np.linspace(-0.65, -0.03, 60), np.linspace(0.03, 1.1, 90)))
    n = np.exp(np.linspace(math.log(0.01), math.log(19.0), 90))
    for column, model in enumerate(models):
        found = curves.maps(cell, model, volts, n)
        decades = np.log10(found.time_constant_s)
        levels = np.arange(-12, 13, 3)
        speed = _contours(panels[0, column], volts, n, decades, levels, "cividis", lambda x: f"$10^{{{x:.0f}}}$ s")
        steps = np.array([300, 400, 500, 700, 1000, 1500, 2000])
        heat = _contours(panels[1, column], volts, n, found.temperature_k, steps, "inferno", lambda x: f"{x:.0f} K")
        panels[0, column].set_title(f"{model} model")
        panels[1, column].set_xlabel("voltage (V)")
    named = ((speed, "log$_{10}$ of time constant N / |dN/dt| (s)"), (heat, "temperature (K)"))
    for row, (image, label) in enumerate(named):
        panels[row, 0].set_ylabel("N (10²⁶/m³)")
        figure.colorbar(image, ax=panels[row, :].tolist(), label=label, pad=0.02)
    return figure


def mismatch(cell: CellParameters, models: Sequence[str]) -> Figure:
    """The steps of single SET and RESET pulses over the weight, and their ratio."""
    figure, panels = _panels(3.4, 1, 2)
    steps, ratio = panels[0]
    for model in models:
        found = curves.weight_steps(cell, model, np.linspace(-1.45, 1.45, 117))
        for step, colour, name in ((found.set_step, GREEN, "SET"), (found.reset_step, PURPLE, "RESET")):
            steps.semilogy(found.weight, step, color=colour, linestyle=DASHES[model])
            if model == models[-1]:
                shift = (0, 12) if name == "RESET" else (0, -16)
                _beside(steps, name, found.weight[56], step[56], colour, xytext=shift, ha="center")
        quotient = found.reset_step / found.set_step
        ratio.plot(found.weight, quotient, color=COLOUR[model], linestyle=DASHES[model])
        row = 24 if model == "full" else 70
        shift, align = ((8, 0), "left") if model == "explicit" else ((-8, 4), "right")
        _beside(ratio, model, found.weight[row], quotient[row], COLOUR[model], xytext=shift, ha=align)
    ratio.axhline(1.0, color=GREY, linewidth=0.8)
    steps.set_ylim(top=4 * steps.get_ylim()[1])
    _say(steps, "dashed: explicit\nsolid: full", 0.5, 0.03, GREY, ha="center", va="bottom", fontsize=8.5)
    steps.set_title(f"one pulse of 1 µs, {_volts(curves.SET_V)} or {_volts(curves.RESET_V)}")
    steps.set_ylabel("|change of the weight|")
    ratio.set_title("RESET step / SET step")
    for axes in (steps, ratio):
        axes.set_xlabel("weight before the pulse")
        axes.xaxis.set_major_locator(FixedLocator([-1.5, -1, -0.5, 0, 0.5, 1, 1.5]))
    return figure


def fitted(fit: "Fit") -> Figure:
    """Measured and fitted current over voltage or pulses; below, the residuals of all rows, of both polarities."""
    figure, panels = _panels(4.6, 2, 1, sharex=True, height_ratios=[3, 1.3])
    (above,), (below,) = panels
    data, colour = fit.measurement, COLOUR.get(fit.model, COLOUR["full"])
    is_sweep = data.kind == "iv"
    x = data.voltage_v if is_sweep else np.arange(1, len(data.current_a) + 1)
    measured, model = (np.where(i == 0, np.nan, np.abs(i)) for i in (data.current_a, fit.current_a))
    scale = 1.0 if is_sweep else 1e6
    above.plot(x, measured * scale, "o", ms=3.5, mfc="none", mec=GREY, mew=0.9)
    above.plot(x, model * scale, color=colour)
    if is_sweep:
        above.set_yscale("log")
        above.set_ylim(fit.floor_a / 2, 2 * max(np.nanmax(measured), np.nanmax(model)))
    above.set_ylabel("|current| (A)" if is_sweep else "read current (µA)")
    below.axhspan(-2 * fit.noise, 2 * fit.noise, color=colour, alpha=0.2, lw=0)
    below.plot(x, fit.residuals, "o", ms=3.5, mfc="none", mec=GREY, mew=0.9)
    below.axhline(0.0, color=colour)
    below.set_ylabel("ln(measured / fit)")
    below.set_xlabel("voltage (V)" if is_sweep else "row of the file (pulse)")
    units = {name: CellParameters.unit(name).replace("-", "") for name in CellParameters.names()}
    found = ", ".join(
        f"{key} = {_rounded(value, fit.errors[key])} {units.get(key, '1e26/m3')}".rstrip()
        for key, value in fit.values.items()
    )
    head = "" if fit.believable else "NOT BELIEVABLE: "
    size = f"residual rms {fit.residual_rms:.2g}, noise {fit.noise:.2g} (band: twice)"
    above.set_title(
        f"{head}{data.source}: circles measured, line fitted ({fit.model} model)\n{found}\n{size}",
        parse_math=False,
        color="black" if fit.believable else "#b00020",
    )
    return figure


def _rounded(value: float, error: float) -> str:
    """A value with its error in the last digits: 4.20(3)e-08."""
    if not (math.isfinite(error) and 0 < error < abs(value)):
        return f"{value:.4g}"
    power = math.floor(math.log10(abs(value)))
    digits = max(power - math.floor(math.log10(error)), 0)
    last = math.ceil(error / 10 ** (power - digits))
    return f"{value / 10**power:.{digits}f}({last})" + (f"e{power}" if power else "")


def _panels(height_in: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, NDArray[Any]]:
    figure = Figure(figsize=(WIDTH_IN, height_in))
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def _volts(value: float) -> str:
    return f"{value:g} V".replace("-", "−")


def _paper(colour: str = "white", alpha: float = 0.75) -> dict[str, Any]:
    """A background box for text, so that it stays readable over a line.

    An outline around the letters would do too, but turns the text of an SVG into curves, which cannot be edited.
    """
    return {"facecolor": colour, "edgecolor": "none", "alpha": alpha, "pad": 1.0}


def _say(axes: Axes, text: str, x: float, y: float, colour: str, **options: Any) -> None:
    """Write text into the panel at x and y, given as fractions of its width and height."""
    axes.text(x, y, text, color=colour, transform=axes.transAxes, bbox=_paper(), **options)


def _beside(axes: Axes, text: str, x: float, y: float, colour: str, *, arrow: bool = False, **options: Any) -> None:
    """Write text beside the point (x, y) of a line; ``xytext`` among the options is the distance in points."""
    if arrow:
        options["arrowprops"] = {"arrowstyle": "-", "color": colour, "linewidth": 0.8}
    options = {"textcoords": "offset points", "va": "center", **options}
    axes.annotate(text, (x, y), color=colour, bbox=_paper(), **options)


def _contours(axes: Axes, x: Any, y: Any, values: Any, levels: Any, colours: str, form: Any) -> Any:
    """A colour map with labelled contour lines; y is logarithmic."""
    image = axes.pcolormesh(
        x, y, values.T, cmap=colours, vmin=levels[0], vmax=levels[-1], shading="gouraud", rasterized=True
    )
    lines = axes.contour(x, y, values.T, levels=levels, colors="white", linewidths=0.9, linestyles="solid")
    for label in axes.clabel(lines, fmt=form, fontsize=8):
        label.set_bbox(_paper("#202020", 0.5))
    axes.set_yscale("log")
    axes.grid(visible=False)
    return image
