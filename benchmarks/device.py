"""Time the cell itself on one core: nanoseconds per cell for a current, a step and a pulse, and ratios of them.

A second table pulses arrays of 128 x 128 cells of the full model, SET and RESET in turns, so that every cell fires:
nanoseconds per pulse by what differs between the cells. In a training few cells fire at a time; benchmarks/training.py
has those ratios.

    python benchmarks/device.py [--cells 100000]

Ratios are relative to the explicit RK4 step of the same run, because absolute times depend on the machine and on what
else it does. The radius varies from cell to cell by 2 %, the voltage is the same for all, and the states are drawn from
the whole window.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import numba as nb
import numpy as np
import torch
from aihwkit.simulator.parameters.training import UpdateParameters
from training import FULL, FULL_EVERYTHING, SPREADS, WALKS

from vcm_sweep.device import (
    ArraySeeds,
    CellParameters,
    Intervention,
    Periphery,
    Spread,
    Variability,
    VCMDevice,
    integrate,
)
from vcm_sweep.device.array.cell_arrays import CellArrays
from vcm_sweep.device.dynamics.fixed_steps import rk4
from vcm_sweep.device.kernels.cpu.march import march
from vcm_sweep.device.kernels.cpu.stencil import at_stencil, fill_stencil, scratch
from vcm_sweep.device.kernels.layout import Curve
from vcm_sweep.device.physics.currents import current_function
from vcm_sweep.device.physics.kinetics import signed_rate
from vcm_sweep.device.tables.building import build_tables
from vcm_sweep.device.tables.tables import Curves

SET_V, RESET_V, PULSE_S = -0.342, 0.7065, 1e-6
BLOCK = 16_384  # so many cells at a time that their intermediate values stay in the cache, as in integrate


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The shortest CPU time of ``repeats`` calls, after one call to warm up."""
    work()
    best = float("inf")
    for _ in range(repeats):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def cells(count: int, dtype: torch.dtype) -> tuple[torch.Tensor, CellParameters]:
    """States drawn from the window, and parameters of which only the radius varies."""
    random = torch.Generator().manual_seed(0)
    n = torch.exp(torch.empty(count, dtype=torch.float64).uniform_(-2.8, 0.69, generator=random))
    r = 45e-9 * (1 + 0.02 * torch.randn(count, dtype=torch.float64, generator=random))
    return n.to(dtype), CellParameters().replace_unchecked(r=r.to(dtype))


def blockwise(work: Callable[[torch.Tensor, CellParameters], object], n: torch.Tensor, p: CellParameters) -> None:
    """Do the work on one block of cells after the other."""
    for k in range(0, len(n), BLOCK):
        work(n[k : k + BLOCK], p.replace_unchecked(r=p.r[k : k + BLOCK]))


def step(model: str, v: float) -> Callable[[torch.Tensor, CellParameters], object]:
    """One RK4 step of a pulse, without error control."""

    def work(n: torch.Tensor, p: CellParameters) -> object:
        volts = torch.tensor(v, dtype=n.dtype)
        return rk4(n, PULSE_S, lambda state: signed_rate(volts, state, p, model))

    return work


def full_current(v: float) -> Callable[[torch.Tensor, CellParameters], object]:
    """The current of the full model, which is the solution of an implicit equation."""
    return lambda n, p: current_function("full")(torch.tensor(v, dtype=n.dtype), n, p)


@nb.njit(error_model="numpy")
def _march_all(x, r, direction, axes, curve, offsets, weights, bound):
    for i in range(x.shape[0]):
        count = fill_stencil(axes, r[i], offsets, weights)
        kink = at_stencil(curve.kink, offsets, weights, count)
        march(x[i], direction, PULSE_S, curve, kink, offsets, weights, count, bound, bound)


def tabulated(n: torch.Tensor, p: CellParameters, model: str) -> list[float]:
    """Seconds of a SET and a RESET pulse by the tables of a model."""
    wide = Variability(d2d={"r": Spread(0.1, 0.3)})
    t = build_tables(VCMDevice(variability=wide, periphery=Periphery(clamped=False), model=model))
    x, r = n.log().numpy(), p.r.numpy()[:, None]

    def pulse(direction: int, c: Curves, bound: float) -> float:
        curve = Curve(c.x_first, c.x_last, c.below, c.kink, c.values, c.power)
        return seconds(partial(_march_all, x, r, direction, t.axis_array, curve, *scratch(), bound), 15)

    return [pulse(1, t.set, float(np.log(p.N_max))), pulse(-1, t.reset, float(np.log(p.N_min)))]


def rows(count: int) -> list[tuple[str, float, float]]:
    """The lines of the table: a name, and the seconds for SET and for RESET."""
    table = []
    for dtype in (torch.float64, torch.float32):
        n, p = cells(count, dtype)
        name = str(dtype).removeprefix("torch.")
        for what, of_voltage, repeats in (
            ("explicit RK4 step", partial(step, "explicit"), 15),
            ("full current", full_current, 5),
            ("full RK4 step", partial(step, "full"), 3),
        ):
            works = [partial(blockwise, of_voltage(v), n, p) for v in (SET_V, RESET_V)]
            table.append((f"{what}, {name}", *(seconds(work, repeats) for work in works)))
    n, p = cells(count, torch.float64)
    table += [(f"tabulated pulse, {model}, float64", *tabulated(n, p, model)) for model in ("explicit", "full")]
    for method in ("auto", "adaptive"):
        works = [partial(integrate, n, v, PULSE_S, p, method=method) for v in (SET_V, RESET_V)]
        table.append((f"integrate, explicit, {method}", *(seconds(work, 3) for work in works)))
    return table


RADII = Variability(d2d={"r": Spread(0.04)})
ARRAYS = {
    "differ in nothing": FULL.device,
    "r and l d2d": VCMDevice(model="full", variability=SPREADS),
    "r and l d2d and c2c": VCMDevice(model="full", variability=Variability(d2d=SPREADS.d2d, c2c=WALKS.c2c)),
    "all of studies/mnist.toml": FULL_EVERYTHING.device,
    "r d2d": VCMDevice(model="full", variability=RADII),
    "r d2d, with a matched partner": VCMDevice(
        model="full", variability=RADII, intervention=Intervention(kind="matched", nominal=FULL.device)
    ),
}
SIDE = 128  # lines each way of an array


def array_pulses(pulses: int, rounds: int) -> dict[str, float]:
    """Seconds of one pulse of every cell, by what differs between them; the arrays take turns."""
    arrays = {name: CellArrays([device], SIDE, SIDE, [ArraySeeds(1, 2, 3)], 0) for name, device in ARRAYS.items()}
    x = torch.ones(1, 1, SIDE)
    one_slot = UpdateParameters(desired_bl=1)
    best = dict.fromkeys(arrays, float("inf"))
    for around in range(rounds):
        for name, array in arrays.items():
            started = time.process_time()
            for k in range(pulses):
                d = torch.full((1, 1, SIDE), float((-1) ** k))
                array.pulse(x, d, [1e3], [one_slot], [around * pulses + k], 0)
            if around:  # the first round compiles
                best[name] = min(best[name], (time.process_time() - started) / pulses)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=100_000, help="cells at a time (default 100000)")
    parser.add_argument("--rounds", type=int, default=5, help="of the arrays, the first of which does not count")
    arguments = parser.parse_args()
    count = arguments.cells
    torch.set_num_threads(1)
    table = rows(count)
    base = sum(table[0][1:])
    print(f"{count} cells, one core, torch {torch.__version__}: ns per cell")
    print(f"{'':36}{'SET':>10}{'RESET':>10}{'ratio':>8}")
    for name, up, down in table:
        print(f"{name:36}{up / count * 1e9:10.0f}{down / count * 1e9:10.0f}{(up + down) / base:8.2f}")
    arrays = array_pulses(10, arguments.rounds)
    print("\narrays in which every cell fires, by what differs between the cells: ns per pulse")
    print(f"{'':36}{'':20}{'ratio':>8}")
    for name, one in arrays.items():
        print(f"{name:36}{one / SIDE**2 * 1e9:20.0f}{one / arrays['differ in nothing']:8.2f}")


if __name__ == "__main__":
    main()
