"""Draws docs/mnist/match.png and fit.png, and says what share of accuracy the match of SET and RESET tells.

Run it in the repository's root, with matplotlib: .venv/bin/python docs/mnist/match.py
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from vcm_sweep.device import ArraySeeds, Spread, Variability, VCMDevice
from vcm_sweep.device.array.cell_arrays import CellArrays

HERE = Path(__file__).parent
WIDTH = 0.05  # of the smoother, ln


def lost_match(model: str, sigma: float) -> float:
    """By how much a spread of the radius lowers ln(sum of RESET steps / sum of SET steps) at w = 0."""
    spreads = ({"r": Spread(sigma=value)} if value else {} for value in (0.0, sigma))
    devices = [VCMDevice(model=model, variability=Variability(d2d=spread)) for spread in spreads]
    arrays = CellArrays(devices, 128, 128, 2 * [ArraySeeds(1, 2, 3)], 0)
    none, some = (math.log(float(down.sum() / up.sum())) for up, down in map(arrays.steps, (0, 1)))
    return none - some


def told(match: np.ndarray, accuracy: np.ndarray, point: np.ndarray) -> float:
    """Share of the variance of accuracy that a smoother over the match tells of points it has not seen."""
    shares = []
    for seed in range(10):
        half = np.random.default_rng(seed).permutation(np.unique(point))[::2]
        seen = np.isin(point, half)
        weight = np.exp(-0.5 * ((match[~seen][:, None] - match[seen]) / WIDTH) ** 2)
        guess = weight @ accuracy[seen] / weight.sum(1)
        shares.append(1 - np.mean((accuracy[~seen] - guess) ** 2) / np.var(accuracy[~seen]))
    return float(np.mean(shares))


def say(name: str, folder: Path, model: str) -> None:
    """Print what the match tells of a study: its plain mean, and that of all movement."""
    records = pd.read_parquet(folder)
    accuracy, point, plain = (records[column].to_numpy() for column in ("accuracy", "point", "asymmetry_mean"))
    spread = records["x_r.d2d.sigma"].to_numpy()
    grid = np.linspace(0.0, 0.08, 9)
    lost = np.array([lost_match(model, float(sigma)) for sigma in grid])
    moved = plain - np.interp(spread, grid, lost)
    print(
        f"{name}: a radius that spreads by 4 % lowers the match of all movement by {lost[4]:.2f}, 8 % by {lost[8]:.2f}"
    )
    print(f"{name}: {np.mean(accuracy < 0.3):.1%} of the trainings end below 30 %")
    seen, all_of_it = (told(match, accuracy, point) for match in (plain, moved))
    print(f"{name}: told by the mean match {seen:.0%}, by that of all movement {all_of_it:.0%}")


def alike_passes(folder: Path) -> tuple[int, float, float, float]:
    """(points, rank correlation of accuracies after one pass and after the last, its 95 % interval by bootstrap)."""
    history = np.array(pd.read_parquet(folder).history.tolist())
    rng = np.random.default_rng(1)
    draws = rng.integers(len(history), size=(2000, len(history)))

    def alike(rows: np.ndarray) -> float:
        return float(stats.spearmanr(rows[:, 0], rows[:, -1]).statistic)

    low, high = np.quantile([alike(history[draw]) for draw in draws], [0.025, 0.975])
    return len(history), alike(history), float(low), float(high)


def draw(out: Path) -> None:
    """Draw both pictures into a folder."""
    import matplotlib.pyplot as plt

    def dots(axis: plt.Axes, folder: Path, colour: str) -> "plt.PathCollection":
        d = pd.read_parquet(folder)
        axis.axvline(0, color="0.6", lw=1)
        axis.spines[["top", "right"]].set_visible(False)
        return axis.scatter(d.asymmetry_mean, 100 * d.accuracy, c=d[colour], s=14, cmap="viridis", linewidths=0)

    across, up = (
        "mean over the array's cells of ln(step of a RESET / step of a SET)",
        "accuracy after one pass over MNIST, %",
    )
    figure, axis = plt.subplots(figsize=(7.2, 4.2), dpi=110, layout="constrained")
    figure.colorbar(dots(axis, HERE / "parts", "x_T_0.global.mean"), label="temperature of the array, K")
    axis.set_xlabel(across)
    axis.set_ylabel(up)
    figure.savefig(out / "match.png")
    figure, axes = plt.subplots(1, 2, figsize=(9.4, 4.1), dpi=110, sharex=True, sharey=True, layout="constrained")
    for axis, folder, name in zip(axes, ("parts", "fit/parts"), ("full physics", "fitted current"), strict=True):
        drawn = dots(axis, HERE / folder, "x_r.d2d.sigma")
        axis.set_title(name, fontsize=11)
    figure.colorbar(drawn, ax=axes, label="spread of the radius from cell to cell")
    figure.supxlabel(across, fontsize=10)
    axes[0].set_ylabel(up)
    figure.savefig(out / "fit.png")


if __name__ == "__main__":
    say("full physics", HERE / "parts", "full")
    say("fitted current", HERE / "fit" / "parts", "explicit")
    points, value, low, high = alike_passes(HERE / "box" / "parts")
    print(f"after one pass and after ten, of {points} points: rank correlation {value:.2f} [{low:.2f}, {high:.2f}]")
    draw(HERE)
