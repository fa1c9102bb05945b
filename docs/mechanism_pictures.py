"""Draw docs/mechanisms.svg, what each mechanism does to a handful of cells: ``python docs/mechanism_pictures.py``.

Every panel is an array of CELLS cells with one mechanism, strong enough to be seen, and the same seed and pulses.
"""

import re
from io import StringIO
from pathlib import Path

import matplotlib
import torch
from aihwkit.nn import AnalogLinear
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.training import UpdateParameters
from matplotlib.figure import Figure

from vcm_sweep.device import (
    ArraySeeds,
    Mismatch,
    PulseError,
    ReadNoise,
    Spread,
    StuckCells,
    TargetWalk,
    TelegraphNoise,
    Variability,
    VCMDevice,
    VCMRPUConfig,
    Walk,
    Window,
    WriteError,
)

HERE = Path(__file__).parent
CELLS, PULSES, COLUMNS = 6, 60, 3
SHOWN: dict[tuple[str, float], Variability] = {
    ("r.d2d.sigma", 0.05): Variability(d2d={"r": Spread(0.05)}),
    ("mismatch.d2d.sigma", 1.0): Variability(mismatch=Mismatch(sigma=1.0)),
    ("window.w_max.sigma", 0.5): Variability(window=Window(w_max=Spread(0.5, clip=0.8))),
    ("r.c2c.direct", 0.02): Variability(c2c={"r": Walk(direct=0.02)}),
    ("r.target.sigma", 0.1): Variability(targets={"r": TargetWalk(0.1)}),
    ("pulse.amplitude.sigma", 0.03): Variability(pulse=PulseError(amplitude=0.03)),
    ("pulse.width.sigma", 0.3): Variability(pulse=PulseError(width=0.3)),
    ("read.noise.sigma", 0.05): Variability(read_noise=ReadNoise(0.05)),
    ("read.flicker.sigma", 0.1): Variability(read_noise=ReadNoise(flicker=0.1)),
    ("read.telegraph.amplitude", 0.2): Variability(telegraph=TelegraphNoise(0.2, switching=0.1)),
    ("write.error.sigma", 0.1): Variability(write=WriteError(0.1)),
    ("stuck.total.fraction", 0.5): Variability(stuck=StuckCells(0.25, 0.25)),
}
SEED = 1  # with it cells are stuck at either end
_NOMINAL, _CELL = "#8a8a8a", "#0072b2"


def response(variability: Variability, pulses: int = PULSES) -> torch.Tensor:
    """Weights as they read after each of ``pulses`` SET and as many RESET pulses, (2 * pulses + 1, CELLS)."""
    reads = IOParameters(is_perfect=True)
    config = VCMRPUConfig(device=VCMDevice(model="full", variability=variability), forward=reads, backward=reads)
    torch.manual_seed(0)
    tile = AnalogLinear(1, CELLS, bias=False, rpu_config=config).analog_module.tile
    tile.reseed([ArraySeeds(SEED, SEED, SEED)], 0)
    tile.set_weights(torch.zeros(CELLS, 1))
    courses = [tile.forward(torch.ones(1, 1))]
    for call in range(2 * pulses):
        # A train of one pulse that is surely fired; d > 0 lowers a weight.
        d = torch.full((1, 1, CELLS), -1.0 if call < pulses else 1.0)
        tile.cells.pulse(torch.ones(1, 1, 1), d, [1e3], [UpdateParameters(desired_bl=1)], [7], call)
        courses.append(tile.forward(torch.ones(1, 1)))
    return torch.stack(courses).reshape(-1, CELLS).double()


def draw(found: dict[str, torch.Tensor], nominal: torch.Tensor) -> Figure:
    """A panel per mechanism: grey the nominal cell, blue the cells."""
    rows = -(-len(found) // COLUMNS)
    figure = Figure(figsize=(9.0, 1.9 * rows), layout="constrained")
    panels = list(figure.subplots(rows, COLUMNS, sharex=True, sharey=True).flat)
    for axes, (title, weights) in zip(panels, found.items(), strict=False):
        axes.plot(nominal[:, 0], color=_NOMINAL, linewidth=2.6)
        axes.plot(weights, color=_CELL, linewidth=0.9)
        axes.set_title(title, loc="left", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    figure.supxlabel(f"{PULSES} SET pulses, then {PULSES} RESET pulses; grey: nominal, blue: {CELLS} cells", fontsize=9)
    figure.supylabel("weight, as read", fontsize=9)
    return figure


if __name__ == "__main__":
    shown = {f"{name} = {value:g}": response(variability) for (name, value), variability in SHOWN.items()}
    drawn = StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "vcm-sweep", "font.size": 8}):
        draw(shown, response(Variability())).savefig(drawn, format="svg", metadata={"Date": None})
    # A hundredth of a point is finer than any screen, and makes half the file.
    (HERE / "mechanisms.svg").write_text(re.sub(r"(\.\d\d)\d+", r"\1", drawn.getvalue()), encoding="utf-8")
