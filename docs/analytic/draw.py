"""Draw docs/analytic/response.svg and print what each condition costs: ``python docs/analytic/draw.py``."""

import tomllib
from pathlib import Path
from typing import Any

import matplotlib
import polars
import torch
from aihwkit.nn import AnalogLinear
from aihwkit.simulator.configs import ConstantStepDevice, SingleRPUConfig, SoftBoundsDevice
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.training import UpdateParameters
from matplotlib.figure import Figure
from scipy import stats

from vcm_sweep.device import ArraySeeds, Spread, Variability, VCMDevice, VCMRPUConfig
from vcm_sweep.sweep import Study

HERE = Path(__file__).parent
CELLS, PULSES = 8, 60
NOMINAL = ("VCM", "ConstantStep", "SoftBounds")
_CLASSES = {"ConstantStep": ConstantStepDevice, "SoftBounds": SoftBoundsDevice}
_CELL, _NOMINAL = "#0072b2", "#8a8a8a"


def study() -> Study:
    """The study of this folder."""
    return Study.from_toml(HERE / "study.toml")


def response(kind: str, spread: bool, pulses: int = PULSES) -> torch.Tensor:
    """Weights after each of ``pulses`` SET and as many RESET pulses from 0, (2 * pulses + 1, CELLS)."""
    io, update = IOParameters(is_perfect=True), UpdateParameters(desired_bl=1, update_management=False)
    update.update_bl_management = False
    if kind == "VCM":
        varied = Variability(d2d={"r": Spread(0.08)} if spread else {})
        config: Any = VCMRPUConfig(device=VCMDevice(model="full", variability=varied, dw_min=0.0381))
    else:
        settings = _settings(f"{kind}, spread of steps" if spread else kind)
        config = SingleRPUConfig(device=_CLASSES[kind](**settings, construction_seed=2))
    config.forward, config.backward, config.update = io, io, update
    torch.manual_seed(0)
    module: Any = AnalogLinear(1, CELLS, bias=False, rpu_config=config).analog_module
    tile = module.tile
    if kind == "VCM":
        tile.reseed([ArraySeeds(3, 3, 3)], 0)
    module.set_weights(torch.zeros(CELLS, 1))
    module.set_learning_rate(1e3)
    courses = [tile.get_weights().reshape(CELLS).clone()]
    for k in range(2 * pulses):
        module.update(torch.ones(1, 1), torch.full((1, CELLS), -1.0 if k < pulses else 1.0))
        courses.append(tile.get_weights().reshape(CELLS).clone())
    return torch.stack(courses).double()


def _settings(name: str) -> dict[str, Any]:
    given = tomllib.loads((HERE / "study.toml").read_text(encoding="utf-8"))["condition"]
    found: dict[str, Any] = next(one for one in given if one["name"] == name)["device"]["settings"]
    return found


def costs(folder: Path = HERE) -> dict[str, tuple[float, float, float]]:
    """What each condition costs against its own nominal device, in points: (mean, low, high) of pairs, 95 %."""
    names = [condition.name for condition in study().conditions]
    records = polars.concat([polars.read_parquet(path) for path in sorted((folder / "parts").glob("*.parquet"))])
    by: dict[str, dict[int, float]] = {}
    for point, replicate, accuracy in records.select("point", "replicate", "accuracy").iter_rows():
        by.setdefault(names[point], {})[replicate] = 100 * accuracy
    found = {}
    for name, accuracies in by.items():
        of = name.split(",")[0]
        pairs = [by[of][k] - accuracy for k, accuracy in accuracies.items()] if of != name else [*accuracies.values()]
        values = torch.tensor(pairs, dtype=torch.float64)
        half = float(values.std() / len(pairs) ** 0.5 * stats.t.ppf(0.975, len(pairs) - 1))
        mean = float(values.mean())
        found[name] = (mean, mean - half, mean + half)
    return found


def draw(pulses: int = PULSES) -> Figure:
    """A panel per device: grey its nominal cell, blue cells of the array with a spread of speed."""
    figure = Figure(figsize=(9.0, 2.6), layout="constrained")
    titles = {"VCM": "VCM, radius 8 %"} | {kind: f"{kind}, spread of steps" for kind in NOMINAL[1:]}
    for axes, kind in zip(figure.subplots(1, 3, sharex=True, sharey=True), NOMINAL, strict=True):
        axes.plot(response(kind, False, pulses)[:, 0], color=_NOMINAL, linewidth=2.6)
        axes.plot(response(kind, True, pulses), color=_CELL, linewidth=0.9)
        axes.set_title(titles[kind], loc="left", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(f"{pulses} SET pulses, then {pulses} RESET pulses; grey: nominal, blue: {CELLS} cells", fontsize=9)
    figure.supylabel("weight", fontsize=9)
    return figure


if __name__ == "__main__":
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "vcm-sweep", "font.size": 8}):
        draw().savefig(HERE / "response.svg", metadata={"Date": None})
    for name, (mean, low, high) in costs().items():
        print(f"{name:30} {mean:5.1f} [{low:.1f}, {high:.1f}]")
