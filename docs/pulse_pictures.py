"""Draw docs/factors.svg, what a parameter of the cell does to its response: ``python docs/pulse_pictures.py``.

All cells of the picture are one array, whose cells differ in one parameter each, and get the same pulses.
"""

from pathlib import Path

import matplotlib
import torch
from matplotlib.figure import Figure

from vcm_sweep.device import CellParameters, current, integrate
from vcm_sweep.device.declared import declared
from vcm_sweep.device.periphery import N_HIGH, N_LOW

HERE = Path(__file__).parent
SET_V, RESET_V, PULSE_S, READ_V = -0.342, 0.7065, 1e-6, 0.2  # the pulses of arXiv 2403.06746
W_MAX = 1.5
PULSES = 40
CHANGE = 0.05
COLUMNS = 4
_NOMINAL, _LESS, _MORE = "#8a8a8a", "#0072b2", "#d55e00"


def responses(pulses: int = PULSES) -> dict[str, torch.Tensor]:
    """Weights after each of ``pulses`` SET and as many RESET pulses, (2 * pulses + 1, 3): less, nominal, more.

    A parameter's cells have it smaller and larger by CHANGE, as far as its range allows. The periphery is that of the
    nominal cell, the physics is the full one.
    """
    names, nominal = CellParameters.names(), CellParameters()
    values = {}
    for row, name in enumerate(names):
        value = torch.full((len(names), 3), float(getattr(nominal, name)), dtype=torch.float64)
        value[row] *= torch.tensor([1.0 - CHANGE, 1.0, 1.0 + CHANGE])
        value.clamp_(declared(CellParameters)[name].low, declared(CellParameters)[name].high)
        values[name] = value.reshape(-1)
    cells = CellParameters(**values)
    n = _middle(nominal).expand(len(names) * 3)
    courses = [n]
    for volts in [SET_V] * pulses + [RESET_V] * pulses:
        n = integrate(n, volts, PULSE_S, cells, model="full")
        courses.append(n)
    low, high = _read(torch.tensor([N_LOW, N_HIGH], dtype=torch.float64), nominal)
    weights = [2 * W_MAX * (_read(n, cells) - low) / (high - low) - W_MAX for n in courses]
    return dict(zip(names, torch.stack(weights).reshape(-1, len(names), 3).unbind(1), strict=True))


def _read(n: torch.Tensor, cells: CellParameters) -> torch.Tensor:
    return torch.as_tensor(current(READ_V, n, cells, model="full"))


def _middle(nominal: CellParameters) -> torch.Tensor:
    """The state of the nominal cell, (1,), whose read current is halfway through the window: weight 0."""
    states = torch.logspace(-2, 1.3, 20001, dtype=torch.float64)
    low, high = _read(torch.tensor([N_LOW, N_HIGH], dtype=torch.float64), nominal)
    return states[torch.argmin((_read(states, nominal) - (low + high) / 2).abs())].reshape(1)


def draw(found: dict[str, torch.Tensor]) -> Figure:
    """A panel per parameter."""
    rows = -(-len(found) // COLUMNS)
    figure = Figure(figsize=(9.0, 1.75 * rows), layout="constrained")
    panels = list(figure.subplots(rows, COLUMNS, sharex=True, sharey=True).flat)
    for axes, (name, weights) in zip(panels, found.items(), strict=False):
        for column, colour in ((1, _NOMINAL), (0, _LESS), (2, _MORE)):
            axes.plot(weights[:, column], color=colour, linewidth=2.6 if column == 1 else 1.3)
        axes.set_title(name, loc="left", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    grey = f"grey: nominal, blue: {100 * CHANGE:g} % less, orange: {100 * CHANGE:g} % more"
    figure.supxlabel(f"{PULSES} SET pulses, then {PULSES} RESET pulses; {grey}", fontsize=9)
    figure.supylabel("weight", fontsize=9)
    return figure


if __name__ == "__main__":
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "vcm-sweep", "font.size": 8}):
        draw(responses()).savefig(HERE / "factors.svg", metadata={"Date": None})
