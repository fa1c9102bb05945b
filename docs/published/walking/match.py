"""Draws docs/published/walking/match.png: accuracy after three epochs over the match of SET and RESET of all movement.

Run it in the repository's root, with matplotlib: .venv/bin/python docs/published/walking/match.py
"""

import math
from pathlib import Path

import numpy as np
import torch
from aihwkit.simulator.parameters.training import UpdateParameters

from vcm_sweep.analysis import condition_costs
from vcm_sweep.device import ArraySeeds, CellParameters, Periphery, Variability, VCMDevice, Walk
from vcm_sweep.device.array.cell_arrays import CellArrays

HERE = Path(__file__).parent
RADIUS = 45.0  # nm
WALK = Walk(direct=0.01, clip=0.1)
UNCLAMPED = Periphery(-0.6, 0.6, clamped=False)
SHIFTS = {
    "noise-free": {"": 0.0, ", match -0.1": -0.1, ", match -0.2": -0.2, ", match -0.3": -0.3, ", match -0.4": -0.4},
    "r c2c direct 1 %": {"": 0.0, ", match -0.2": -0.2, ", match +0.3": 0.3},
}


def steps(radius_nm: float) -> tuple[float, float]:
    """(dw_SET, -dw_RESET) at w = 0 of a cell of this radius."""
    device = VCMDevice(parameters=CellParameters(r=radius_nm * 1e-9), periphery=UNCLAMPED)
    up, down = CellArrays([device], 1, 1, [ArraySeeds(1, 2, 3)], 0).steps(0)
    return float(up[0]), float(down[0])


def walked(side: int = 64, pulses: int = 600) -> np.ndarray:
    """Radii in nm of cells that have walked for so many pulses, SET and RESET in turns."""
    device = VCMDevice(variability=Variability(c2c={"r": WALK}), periphery=UNCLAMPED)
    cells = CellArrays([device], side, side, [ArraySeeds(1, 2, 3)], 0)
    x, d, one = torch.ones(1, 1, side), torch.ones(1, 1, side), [UpdateParameters(desired_bl=1)]
    for call in range(pulses):
        cells.pulse(x, d if call % 2 else -d, [1e3], one, [5], call)
    return cells.get_buffer("walked_r")[0].double().numpy() * 1e9


def match(radii: np.ndarray) -> float:
    """ln(sum of RESET steps / sum of SET steps) of cells of these radii in nm."""
    grid = np.linspace(radii.min(), radii.max(), 9)
    logs = np.log([steps(float(radius)) for radius in grid])
    up, down = (np.exp(np.interp(radii, grid, logs[:, side])).sum() for side in (0, 1))
    return math.log(down / up)


def points() -> dict[str, list[tuple[float, float, float, float]]]:
    """(match of all movement, accuracy of the networks that left the plateau, its interval) by device."""
    costs = condition_costs(HERE)
    matches = {"noise-free": match(np.array([RADIUS])), "r c2c direct 1 %": match(walked())}
    return {
        device: sorted(
            (matches[device] + shift, trained.value, trained.low, trained.high)
            for suffix, shift in shifts.items()
            for trained in [costs[device + suffix].trained]
        )
        for device, shifts in SHIFTS.items()
    }


def draw(out: Path) -> None:
    """Draw the picture into a folder."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5.4, 3.4), layout="constrained")
    for (device, found), mark in zip(points().items(), "os", strict=True):
        x, value, low, high = np.array(found).T
        error = 100 * np.array([value - low, high - value])
        axis.errorbar(x, 100 * value, error, marker=mark, capsize=3, label=device)
    axis.set_xlabel("ln(sum of RESET steps / sum of SET steps)")
    axis.set_ylabel("accuracy after 3 epochs, %")
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    figure.savefig(out / "match.png", dpi=160)


if __name__ == "__main__":
    for device, found in points().items():
        for at, value, low, high in found:
            print(f"{device}: match {at:.2f}, {100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}] %")
    draw(HERE)
