"""Draws docs/published/walking/match.png: accuracy after three epochs over the match of SET and RESET of all movement.

Run it in the repository's root, with matplotlib: .venv/bin/python docs/published/walking/match.py
"""

import math
from pathlib import Path

import numpy as np

from vcm_sweep.analysis import condition_costs
from vcm_sweep.device import ArraySeeds, CellParameters, Periphery, VCMDevice
from vcm_sweep.device.array.cell_arrays import CellArrays

HERE = Path(__file__).parent
RADIUS, CLIP, STEP = 45.0, 0.1, 0.01  # nm, and the walk of the row "r c2c direct 1 %"
SHIFTS = {
    "noise-free": {"": 0.0, ", match -0.1": -0.1, ", match -0.2": -0.2, ", match -0.3": -0.3, ", match -0.4": -0.4},
    "r c2c direct 1 %": {"": 0.0, ", match -0.2": -0.2, ", match +0.3": 0.3},
}


def steps(radius_nm: float) -> tuple[float, float]:
    """(dw_SET, -dw_RESET) at w = 0 of a cell of this radius."""
    device = VCMDevice(parameters=CellParameters(r=radius_nm * 1e-9), periphery=Periphery(-0.6, 0.6, clamped=False))
    up, down = CellArrays([device], 1, 1, [ArraySeeds(1, 2, 3)], 0).steps(0)
    return float(up[0]), float(down[0])


def walked(cells: int = 4000, pulses: int = 3000) -> np.ndarray:
    """Radii of cells in nm after so many steps of the walk."""
    random = np.random.default_rng(1)
    radius = np.full(cells, RADIUS)
    for _ in range(pulses):
        change = 1 + STEP * random.standard_normal(cells)
        radius = np.clip(radius * change, RADIUS * (1 - CLIP), RADIUS * (1 + CLIP))
    return radius


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
