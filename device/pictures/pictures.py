"""Pictures of a cell, the explicit and the full model side by side, for the screen and for a paper.

Lines are labelled beside the line, colours can be told apart with the common colour-vision deficiencies, and every axis
has its unit. pyplot is not used, since it keeps every figure in a global list.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.fitting.least_squares import Fit
from vcm_sweep.device.periphery import N_HIGH, N_LOW
from vcm_sweep.device.physics.currents import current_function
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.pictures import drawings

MODELS = ("explicit", "full")
PICTURES: dict[str, Callable[[CellParameters, Sequence[str]], Figure]] = {
    "iv": drawings.hysteresis,
    "pulses": drawings.pulse_response,
    "switching": drawings.switching_time,
    "maps": drawings.maps,
    "mismatch": drawings.mismatch,
}
_OVER_THE_WINDOW = ("pulses", "switching", "mismatch")
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "vcm-sweep",  # without it the ids in the file are random, and equal pictures differ
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "figure.constrained_layout.use": True,
}


def draw(kind: str, cell: CellParameters | None = None, models: Sequence[str] = MODELS) -> Figure:
    """The figure of one kind.

    Args:
        kind: ``iv``, the hysteresis of a triangular sweep; ``pulses``, the read current after pulses, with the
            spread of an array; ``switching``, the time to cross the weight window against voltage; ``maps``, speed
            and temperature over state and voltage; ``mismatch``, RESET steps against SET steps over the weight.
        cell: one cell, with floats as parameters; default the nominal cell.
        models: which currents to show.

    Raises:
        DeviceError: an unknown kind or model, or a cell that the model cannot answer for.

    Example:
        >>> figure = draw("switching", models=["explicit"])
        >>> figure.axes[0].get_ylabel()
        'time to cross the window (s)'
    """
    if kind not in PICTURES:
        raise DeviceError(f"kind = {kind!r} must be one of {', '.join(PICTURES)}")
    cell = cell or CellParameters()
    for model in models:
        current_function(model)
    if kind in _OVER_THE_WINDOW and not (float(cell.N_min) < N_LOW and float(cell.N_max) > N_HIGH):
        raise DeviceError(
            f"kind = {kind!r} shows N = {N_LOW:g} to {N_HIGH:.3g} (1e26/m3), which this cell does not reach "
            f"(N_min = {float(cell.N_min):g}, N_max = {float(cell.N_max):g}): choose kind iv or maps"
        )
    with matplotlib.rc_context(_STYLE):
        return PICTURES[kind](cell, models)


def draw_fit(fit: Fit) -> Figure:
    """The figure of a fit: measured and fitted current, and their ratio."""
    with matplotlib.rc_context(_STYLE):
        return drawings.fitted(fit)


def save_picture(figure: Figure, folder: str | Path, name: str) -> tuple[Path, Path]:
    """``name.png`` (200 dpi) and ``name.svg`` in the folder, which is made if need be.

    Raises:
        DeviceError: the folder cannot be written.
    """
    png, svg = Path(folder) / f"{name}.png", Path(folder) / f"{name}.svg"
    try:
        png.parent.mkdir(parents=True, exist_ok=True)
        with matplotlib.rc_context(_STYLE):
            figure.savefig(png, dpi=200)
            figure.savefig(svg, metadata={"Date": None})
    except OSError as error:
        raise DeviceError(f"{folder}: cannot be written ({type(error).__name__}): name another folder") from None
    return png, svg
