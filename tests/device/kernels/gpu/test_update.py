"""The CUDA update against the compiled CPU kernel, which shares its tables and none of its code, and the equations.

Without a GPU, Triton's interpreter stands in for it.
"""

import copy
import dataclasses
import functools
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from unittest import mock

import numpy as np
import pytest
import torch
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.training import UpdateParameters

from vcm_sweep.device import (
    ArraySeeds,
    CellParameters,
    DeviceError,
    Mismatch,
    Periphery,
    PulseError,
    Spread,
    StuckCells,
    TargetWalk,
    Variability,
    VCMDevice,
    Walk,
    Window,
    integrate,
)
from vcm_sweep.device.array.cell_arrays import CellArrays
from vcm_sweep.device.array.count import Count
from vcm_sweep.device.array.pulsing import Batch, pulse_train
from vcm_sweep.device.kernels.cpu.random import bernoulli_mask as cpu_mask
from vcm_sweep.device.kernels.gpu import update as cuda
from vcm_sweep.device.kernels.gpu.random import bernoulli_mask
from vcm_sweep.device.kernels.gpu.random import key_of_more as gpu_key_of_more
from vcm_sweep.device.kernels.gpu.stack import Kinds
from vcm_sweep.device.kernels.gpu.triton_or_none import tl, triton
from vcm_sweep.device.kernels.layout import PULSES_RESET, PULSES_SET, SKIPPED, Curve
from vcm_sweep.device.seeds import key_of_more
from vcm_sweep.device.tables.tables import TOLERANCE, WEIGHT_TOLERANCE
from vcm_sweep.device.variability import VARYING

from .without_a_gpu import checks_of, compiled, needs_triton, run_checks

CALL = 3  # any number of a call
LOG_LOW, LOG_HIGH = math.log(0.06), math.log(1.98974521274400865)


def coarse(curve: Curve) -> Curve:
    """A sixteenth of the nodes of ln N, for a shorter march: both kernels read the same tables, right or not."""
    above = len(curve.values) - 1 - curve.below
    # A cubic needs four nodes on either side of the kink.
    few, many = max(curve.below // 16, min(curve.below, 4)), max(above // 16, 4)
    chosen = [*np.arange(few) * curve.below // max(few, 1), *(curve.below + np.arange(many + 1) * above // many)]
    values = np.ascontiguousarray(curve.values[chosen])
    return curve._replace(below=few, values=values, power=curve.power[chosen] if curve.power.size else curve.power)


def stack(devices: Sequence[VCMDevice], out: int, inn: int, start: float | None = 0.0, first: int = 1) -> CellArrays:
    """The same cells at every call: at one weight, or evenly over all weights. ``first``: seed of the first trial."""
    cells = CellArrays(devices, out, inn, [ArraySeeds(first + k, 2, 3) for k in range(len(devices))], 0)
    # Trials with the same tables go on sharing them.
    thin = functools.cache(lambda where: coarse(curves[where]))
    curves = {id(c.values): c for p in cells._physics for c in (p.set, p.reset, p.read)}
    cells._physics = [
        p if p.direct else p._replace(**{name: thin(id(getattr(p, name).values)) for name in ("set", "reset", "read")})
        for p in cells._physics
    ]
    weight = torch.linspace(-1.45, 1.45, out * inn).view(out, inn) if start is None else torch.full((out, inn), start)
    cells.program(weight.expand(len(devices), -1, -1))
    return cells


def of_each(update, rates):
    """One update per trial; ``update``: one for all, or a list of them."""
    return update if isinstance(update, list) else [update] * len(rates)


def pulse_cuda(cells, x, d, rates, update, keys, device):
    """``CellArrays.pulse`` by the kernels under test; the arrays come back to the CPU."""
    there = copy.deepcopy(cells).to(device)
    updates = of_each(update, rates)
    arrays, batch = there.on_device(), Batch(x.to(device), d.to(device), rates, updates, keys, Count(CALL))
    with never_waiting() if device == "cuda" else nullcontext():
        arrays.fire(batch)
    for name, buffer in cells.named_buffers():
        buffer.copy_(there.get_buffer(name))


@contextmanager
def never_waiting() -> Iterator[None]:
    """Fails where the host waits for the device."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def both(devices, x, d, rates, update, device, start=0.0, keys=None):
    """(before, by the CPU kernel, by the kernels under test)."""
    out, inn = d.shape[-1], x.shape[-1]
    keys = keys or [7000 + k for k in range(len(devices))]
    before, numba, under_test = (stack(devices, out, inn, start) for _ in range(3))
    numba.pulse(x, d, rates, of_each(update, rates), keys, CALL)
    pulse_cuda(under_test, x, d, rates, update, keys, device)
    return before, numba, under_test


def assert_same(numba: CellArrays, under_test: CellArrays) -> None:
    counted = [0, 1, 3, 4]
    assert torch.equal(under_test.counters[:, counted], numba.counters[:, counted])
    for trial, physics in enumerate(numba._physics):
        # Where equations are solved a CPU follows sixteen cells by other strides than one alone, to some 1e-4 of each
        # way, and takes the current in the middle of a jump from another place.
        state, weight, energy = (2e-3, 2e-3, math.inf) if physics.direct else (2e-6, 2e-6, 1e-5)
        torch.testing.assert_close(under_test.log_n[trial], numba.log_n[trial], rtol=0, atol=state)
        torch.testing.assert_close(under_test.weight[trial], numba.weight[trial], rtol=0, atol=weight)
        torch.testing.assert_close(under_test.counters[trial, 2], numba.counters[trial, 2], rtol=energy, atol=0)


# Cells that start everywhere: spread and avalanching, one radius, bounds inside and outside the window.
DEVICES = (
    VCMDevice(
        variability=Variability(
            d2d={"r": Spread(1.0, 0.3), "l": Spread(0.1), "N_max": Spread(0.1)}, mismatch=Mismatch(0.2, 0.5)
        )
    ),
    VCMDevice(parameters=CellParameters(r=31.5e-9, nu_0=1e13)),
    VCMDevice(parameters=CellParameters(r=38e-9, N_max=1.2, N_min=0.1), pulse_s=1e-5),
    VCMDevice(
        variability=Variability(d2d={"N_min": Spread(0.2, 0.3), "r": Spread(0.1, 0.2)}),
        periphery=Periphery(-0.6, 0.6, clamped=False), parameters=CellParameters(r=38e-9), pulse_s=1e-2,
    ),
)  # fmt: skip
# No management: with a large rate every line that is not 0 fires in every slot.
EVERY_SLOT = {"update_bl_management": False, "update_management": False}


def check_every_slot_fires_as_on_the_cpu(device: str) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randint(-1, 2, (4, 3, 12), generator=generator).float()
    d = torch.randint(-1, 2, (4, 3, 10), generator=generator).float()
    update = UpdateParameters(desired_bl=64, **EVERY_SLOT)
    before, numba, under_test = both(DEVICES, x, d, [1e3] * 4, update, device, start=None)
    assert_same(numba, under_test)
    # The cases that the march tells apart did occur.
    moved = numba.log_n - before.log_n
    assert (moved[0].abs() > 2).any()
    assert ((moved[0].abs() < 1e-2) & (moved[0] != 0)).any()
    assert (numba.log_n[1] == LOG_LOW).any()
    assert (numba.log_n[1] == LOG_HIGH).any()
    assert torch.exp(numba.log_n[2]).max() > 1.19
    assert torch.exp(numba.log_n[2]).min() < 0.101
    assert (numba.log_n[3] < LOG_LOW - 1).any()
    assert (numba.counters[:, :2] > 0).all()
    assert (numba.counters[1:3, 3] > 0).all()


def check_small_ways_add_up_near_a_bound_as_on_the_cpu(device: str) -> None:
    """Single precision would lose them in the coordinate in which the bound's factor drops out."""
    cell = CellParameters(N_max=1.2, N_min=0.1)
    devices = [VCMDevice(parameters=cell, pulse_s=pulse_s) for pulse_s in (1e-8, 1e-10, 1e-12)]
    x, d = torch.ones(3, 12, 12), torch.tensor([1.0, -1.0]).expand(3, 12, 2)
    update = UpdateParameters(desired_bl=16, **EVERY_SLOT)
    before, numba, under_test = both(devices, x, d, [1e3] * 3, update, device, start=None)
    expected, found = numba.log_n - before.log_n, under_test.log_n - before.log_n
    inside = (before.log_n > math.log(0.11)) & (before.log_n < math.log(1.1))
    assert inside.any(1).all()
    assert (expected[inside] != 0).all()
    assert expected[2].abs().max() < 1e-5
    # What a state of about 1 can tell, in each of 24 visits, is 1e-16.
    torch.testing.assert_close(found[inside], expected[inside], rtol=2e-5, atol=3e-15)


# Kinks that move with the cell, cells that read for themselves, windows of their own, stuck cells, other speeds.
STUCK = StuckCells(low=0.1, high=0.1)
TABLES = (
    VCMDevice(model="full", pulse_s=1e-4),
    VCMDevice(model="full", pulse_s=1e-3, variability=Variability(d2d={"r": Spread(0.05, 0.1)}, stuck=STUCK)),
    VCMDevice(model="full", read_path="nominal", variability=Variability(d2d={"phi_Bn0": Spread(0.02, 0.05)})),
    VCMDevice(
        pulse_s=1e-3, variability=Variability(d2d={"nu_0": Spread(0.2, 0.4)}, stuck=STUCK,
                                              window=Window(w_min=Spread(0.1, 0.2), w_max=Spread(0.1, 0.2))),
    ),
)  # fmt: skip


def check_tables_windows_and_stuck_cells_as_on_the_cpu(device: str) -> None:
    generator = torch.Generator().manual_seed(5)
    x = torch.randint(-1, 2, (4, 2, 12), generator=generator).float()
    d = torch.randint(-1, 2, (4, 2, 10), generator=generator).float()
    before, numba, under_test = both(
        TABLES, x, d, [1e3] * 4, UpdateParameters(desired_bl=64, **EVERY_SLOT), device, start=None
    )
    assert_same(numba, under_test)
    kink = torch.from_numpy(numba._physics[0].set.kink).mean()
    assert ((before.log_n[0] < kink) != (numba.log_n[0] < kink)).any()
    for trial in (1, 3):
        stuck = numba.stuck[trial] != 0
        assert stuck.any()
        assert torch.equal(under_test.log_n[trial][stuck], before.log_n[trial][stuck])
        stopped = under_test.log_n[trial][under_test.log_n[trial] == numba.high[trial]]
        assert len(torch.unique(stopped)) > 1


# What changes from pulse to pulse changes so little that both draw the same pulses, though not the same numbers.
LITTLE = Walk(direct=1e-12, clip=0.02)
THIRTEEN = {
    "r": Spread(0.05, 0.1), "l": Spread(0.05, 0.1), "R_TiOx": Spread(0.1), "dW_A": Spread(0.005, 0.02), "phi_Bn0":
    Spread(0.01, 0.03), "T_0": Spread(0.02, 0.05), "R_theff_scaling": Spread(0.05, 0.1), "mu_n": Spread(0.05, 0.1),
    "nu_0": Spread(0.1, 0.2), "a": Spread(0.02, 0.05), "N_plug": Spread(0.05, 0.1), "N_max": Spread(0.05, 0.1), "N_min":
    Spread(0.1, 0.3),
}  # fmt: skip
SOLVED = {
    "thirteen parameters": VCMDevice(model="full", variability=Variability(d2d=THIRTEEN)),
    "a window of its own": VCMDevice(model="full", pulse_s=1e-4, variability=Variability(c2c={"r": LITTLE})),
    "errors of pulses": VCMDevice(variability=Variability(pulse=PulseError(width=1e-12, amplitude=1e-12))),
    "targets": VCMDevice(
        model="full", variability=Variability(
            d2d={name: THIRTEEN[name] for name in ("r", "R_TiOx", "dW_A", "phi_Bn0")},
            targets={
                "r": TargetWalk(sigma=1e-12, clip=0.02), "l": TargetWalk(sigma=1e-12, clip=0.02, renew="polarity")
            },
        ),
    ),
    "all of them": VCMDevice(
        model="full", variability=Variability(
            d2d=THIRTEEN, c2c={"l": LITTLE, "N_max": Walk(slope=1e-12, clip=0.02)}, mismatch=Mismatch(0.2, 0.5),
            pulse=PulseError(width=1e-12, amplitude=1e-12), targets={"r": TargetWalk(sigma=1e-12, clip=0.02)},
        ),
    ),
    "euler": VCMDevice(method="euler", variability=Variability(d2d={"r": Spread(0.1, 0.3)}, c2c={"r": LITTLE})),
    "as published": VCMDevice(
        method="as-published", parameters=CellParameters(r=33e-9), variability=Variability(d2d={"l": Spread(0.1)}),
    ),
    "a fast cell": VCMDevice(
        parameters=CellParameters(r=38e-9), pulse_s=1e-2, periphery=Periphery(-0.6, 0.6, clamped=False),
        variability=Variability(d2d={"N_min": Spread(0.2, 0.3), "r": Spread(0.1, 0.2)}),
    ),
}  # fmt: skip


def check_pulses_by_equations_as_on_the_cpu(device: str) -> None:
    """Two cells a trial, which a CPU follows one by one, as the lanes of a GPU are."""
    devices = [SOLVED[name] for name in SOLVED]
    generator = torch.Generator().manual_seed(6)
    x, d = (torch.randint(0, 2, (len(devices), 2, n), generator=generator) * 2.0 - 1.0 for n in (2, 1))
    update = UpdateParameters(desired_bl=3, **EVERY_SLOT)
    before, numba, under_test = both(devices, x, d, [1e3] * len(devices), update, device, start=0.5)
    assert all(physics.direct for physics in numba._physics)
    assert ((numba.log_n - before.log_n).abs().amax(1) > 1e-6).all()
    # A stride of 0.1 has five pieces or six, as its last bit has it, which moves a cell by 2e-5 of its way.
    torch.testing.assert_close(under_test.log_n, numba.log_n, rtol=0, atol=5e-5)
    torch.testing.assert_close(under_test.weight, numba.weight, rtol=0, atol=5e-5)
    torch.testing.assert_close(under_test.counters, numba.counters, rtol=1e-4, atol=0)
    for name in ("targets", "polarity", *(f"walked_{name}" for name in VARYING)):
        torch.testing.assert_close(under_test.get_buffer(name), numba.get_buffer(name), rtol=1e-6, atol=0)


def check_cells_stop_at_a_window_of_their_own_as_on_the_cpu(device: str) -> None:
    """Where their reading meets its end."""
    walk = Variability(c2c={"r": LITTLE}, d2d={"r": Spread(0.05, 0.1)})
    devices = [VCMDevice(model="full", pulse_s=1e-3, variability=walk)]
    x, d = torch.ones(1, 2, 8), torch.ones(1, 2, 6)
    d[:, 0] = -1.0
    update = UpdateParameters(desired_bl=7, **EVERY_SLOT)
    _, numba, under_test = both(devices, x, d, [1e3], update, device, start=None)
    assert numba._pulses[0].own_window
    assert_same(numba, under_test)
    assert numba.counters[0, SKIPPED] > 0
    assert ((under_test.weight[0] - under_test.w_low[0]).abs() < 1e-5).any()


def check_pulses_outside_the_model_are_counted_as_on_the_cpu(device: str) -> None:
    """They move nothing; a GPU is asked for them later."""
    broken = VCMDevice(
        method="direct", set_voltage_v=-1.5, parameters=CellParameters(mu_n=1e-6, r=6e-9), on_invalid="error"
    )
    x, d, update = torch.ones(2, 1, 3), -torch.ones(2, 1, 2), UpdateParameters(desired_bl=3, **EVERY_SLOT)
    devices = [dataclasses.replace(broken, on_invalid="record"), VCMDevice(method="direct")]
    before, numba, under_test = both(devices, x, d, [1e3] * 2, update, device)
    assert torch.equal(under_test.log_n[0], before.log_n[0])
    assert under_test.counters[0].tolist() == numba.counters[0].tolist() == [0, 0, 0, 18, 18]
    assert (under_test.log_n[1] > before.log_n[1]).all()
    alone = stack([broken], 2, 3)
    pulse_cuda(alone, x[:1], d[:1], [1e3], update, [1], device)
    with pytest.raises(DeviceError, match=r"18 pulses .*gamma"):
        alone.refuse_invalid(0)


def check_errors_and_targets_are_distributed_as_on_the_cpu(device: str) -> None:
    """Errors of single pulses; new targets for every pulse, and for every change of direction beside a walk."""
    slow = CellParameters(r=48e-9)
    devices = [
        VCMDevice(slow, Variability(pulse=PulseError(width=0.2, amplitude=0.01)), pulse_s=1e-5, method="direct"),
        VCMDevice(slow, Variability(targets={"r": TargetWalk(sigma=0.02, clip=0.05)}), pulse_s=1e-5, method="direct"),
        VCMDevice(
            slow, Variability(targets={"l": TargetWalk(sigma=0.02, clip=0.03, renew="polarity")},
                              c2c={"r": Walk(direct=0.01, clip=0.02)}),
            pulse_s=1e-5, method="direct",
        ),
    ]  # fmt: skip
    out, inn = 40, 40
    x, d = torch.ones(3, 2, inn), torch.ones(3, 2, out)
    d[:, 1] = -1.0
    update = UpdateParameters(desired_bl=2, **EVERY_SLOT)
    _, numba, under_test = both(devices, x, d, [1e3] * 3, update, device)
    assert torch.equal(numba.counters[:, :2], under_test.counters[:, :2])
    for trial in range(3):
        assert_same_distribution(numba.log_n[trial], under_test.log_n[trial])
    for trial, row in ((1, 0), (2, 1)):
        a, b = (
            c.targets[trial, row].double() / c.get_buffer(f"base_{'rl'[row]}")[trial] - 1 for c in (numba, under_test)
        )
        clip = (0.05, 0.03)[row]
        assert b.abs().max() <= clip * (1 + 1e-5)
        assert_same_distribution(a, b)
        assert abs(torch.corrcoef(torch.stack([b[:-1], b[1:]]))[0, 1]) < 5 / math.sqrt(len(b))
    walked = under_test.walked_r[1] / under_test.base_r[1] - 1
    assert_same_distribution((numba.walked_r[1] / numba.base_r[1] - 1).double(), walked.double())


def check_a_pulse_of_the_full_model_is_that_of_integration(device: str) -> None:
    """Within the tolerance of tables, and a weight's, of the equations solved by another method for each cell."""
    devices = [VCMDevice(model="full", variability=Variability(d2d={"r": Spread(0.03, 0.06)}))] * 2
    cells = CellArrays(devices, 4, 5, [ArraySeeds(1, 2, 3)] * 2, 0)
    before = torch.exp(cells.log_n)
    d = torch.tensor([-1.0, 1.0]).view(2, 1, 1).expand(-1, -1, 4)
    pulse_cuda(cells, torch.ones(2, 1, 5), d, [1e3] * 2, UpdateParameters(desired_bl=1, **EVERY_SLOT), [1, 2], device)
    for k, voltage_v in enumerate((-0.342, 0.7065)):
        own = devices[k].parameters.replace_unchecked(r=cells.base_r[k].double())
        solved = integrate(before[k], voltage_v, 1e-6, own, model="full")
        step, wanted = cells.log_n[k] - torch.log(before[k]), torch.log(solved / before[k])
        assert (step / wanted - 1).abs().max() < TOLERANCE
        read = devices[k].map.weight(torch.exp(cells.log_n[k]), own)
        assert (cells.weight[k].flatten() - read).abs().max() < WEIGHT_TOLERANCE


def check_one_direction_to_the_window_and_back(device: str) -> None:
    """Also a batch of more samples than a word has bits."""
    cells = [stack(DEVICES[:3], 5, 6, None) for _ in range(2)]
    update = UpdateParameters(desired_bl=31, **EVERY_SLOT)
    x = torch.ones(3, 66, 6)
    for direction in (1, -1):
        d = torch.zeros(3, 66, 5)
        d[:, [0, 63, 64, 65]] = -float(direction)
        cells[0].pulse(x, d, [1e3] * 3, [update] * 3, [1, 2, 3], CALL)
        pulse_cuda(cells[1], x, d, [1e3] * 3, update, [1, 2, 3], device)
        assert_same(*cells)
    assert (cells[0].counters[:, :4] > 0).all()


def check_rounded_products_as_on_the_cpu(device: str) -> None:
    """Deterministic trains show the budget of slots and the management; one sample holds a NaN."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(4, 3, 12, generator=generator)
    d = torch.randn(4, 3, 10, generator=generator)
    x[1, 1, 3] = math.nan
    d[2, 0, 4] = math.inf
    mean, implicit = PulseType.MEAN_COUNT, PulseType.DETERMINISTIC_IMPLICIT
    for options in (
        {"pulse_type": mean},
        {"pulse_type": mean, "desired_bl": 1000, "res": 0.01},
        {"pulse_type": implicit, "update_bl_management": False, "x_res_implicit": 0.02, "d_res_implicit": 0.03},
        {"pulse_type": implicit, "update_bl_management": False, "update_management": False, "fixed_bl": False},
    ):
        rates = [1e-3, 0.02, 1e-4, 0.0]
        _, numba, under_test = both(DEVICES, x, d, rates, UpdateParameters(**options), device, start=None)
        assert_same(numba, under_test)
        assert (numba.counters[:3, :2] > 0).all()


def check_trials_have_trains_of_their_own_lengths_as_on_the_cpu(device: str) -> None:
    generator = torch.Generator().manual_seed(9)
    x, d = torch.rand(4, 3, 6, generator=generator), torch.randn(4, 3, 5, generator=generator)
    lengths = (1, 1000, 20, 31)
    updates = [UpdateParameters(pulse_type=PulseType.MEAN_COUNT, desired_bl=length) for length in lengths]
    rates = [1.0, 1e-3, 0.02, 0.0]
    _, numba, under_test = both(DEVICES, x, d, rates, updates, device, start=None)
    assert_same(numba, under_test)
    # A train of one slot gives a cell one pulse a sample at most, longer ones more, the skipped ones included.
    given = numba.counters[:, [PULSES_SET, PULSES_RESET, SKIPPED]].sum(1)
    assert given[0] <= 3 * 30 < given[1]


def check_numbers_of_pulses_are_distributed_as_on_the_cpu(device: str) -> None:
    """Cells so slow that their way counts pulses; the trials are the sample."""
    trials, out, inn = 200, 5, 6
    slow = VCMDevice(pulse_s=1e-10)
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(inn, generator=generator).expand(trials, 1, -1)
    d = -torch.rand(out, generator=generator).expand(trials, 1, -1)
    update = UpdateParameters(desired_bl=31)
    before, numba, under_test = both([slow] * trials, x, d, [2e-3] * trials, update, device)
    step = (numba.log_n - before.log_n).sum(1) / numba.counters[:, 0]
    counts = [((c.log_n - before.log_n) / step.mean()).view(trials, out, inn) for c in (numba, under_test)]
    for counted in counts:
        assert (counted - counted.round()).abs().max() < 1e-3
        assert 1 < counted.mean() < 15
    # Sums along rows and columns also show what their cells share.
    for view in (lambda n: n.flatten(1), lambda n: n.sum(1), lambda n: n.sum(2), lambda n: n.sum((1, 2))[:, None]):
        a, b = (view(n) for n in counts)
        variance = a.var(0) + b.var(0)
        assert ((a.mean(0) - b.mean(0)).abs() < 5 * (variance / trials).sqrt() + 1e-9).all()
        # Variance of a variance, from the fourth moment: counts of cells that are pulsed rarely are far from normal.
        spread = sum(((c - c.mean(0)) ** 2).var(0) / trials for c in (a, b))
        assert ((a.var(0) - b.var(0)).abs() < 5 * spread.sqrt() + 1e-9).all()
    correlation = torch.corrcoef(counts[1].sum((1, 2)).view(2, -1))[0, 1]
    assert abs(correlation) < 5 / math.sqrt(trials / 2)


WALKS = {
    "r": Walk(direct=0.01, clip=0.1),
    "l": Walk(direct=0.04, slope=0.5, clip=0.1),
    "N_max": Walk(slope=1.0, clip=0.3),
    "N_min": Walk(direct=0.05, clip=0.1),
}


def check_walks_are_distributed_as_on_the_cpu(device: str) -> None:
    """One trial walks in everything, with spread, one in the radius with the way covered, one not, one over a kink."""
    fast = CellParameters(r=40e-9)
    devices = [
        VCMDevice(parameters=fast, variability=Variability(c2c=WALKS, d2d={"r": Spread(0.02, 0.1)})),
        VCMDevice(parameters=fast, variability=Variability(c2c={"r": Walk(slope=0.2, clip=0.1)})),
        VCMDevice(parameters=fast, variability=Variability(d2d={"r": Spread(0.02, 0.1)})),
        VCMDevice(fast, Variability(c2c={"r": Walk(direct=0.01, clip=0.1)}), model="full", read_path="nominal"),
    ]
    out, inn = 64, 64
    x, d = torch.ones(4, 2, inn), torch.ones(4, 2, out)
    d[:, 1] = -1.0
    update = UpdateParameters(desired_bl=7, **EVERY_SLOT)
    before, numba, under_test = both(devices, x, d, [1e3] * 4, update, device)
    assert torch.equal(numba.counters[:, :2], under_test.counters[:, :2])
    torch.testing.assert_close(under_test.log_n[2], numba.log_n[2], rtol=0, atol=1e-4)
    for trial, walking in ((0, VARYING), (1, ("r",)), (2, ()), (3, ("r",))):
        for name in VARYING:
            base = getattr(before, f"base_{name}")[trial]
            a, b = (getattr(c, f"walked_{name}")[trial] / base - 1 for c in (numba, under_test))
            if name not in walking:
                assert not b.any()
                continue
            clip = devices[trial].variability.c2c[name].clip
            assert b.abs().max() <= clip * (1 + 1e-5)
            if name == "l":
                assert (b.min(), b.max()) == pytest.approx((-clip, clip), rel=1e-5)
            assert_same_distribution(a.double(), b.double())
            # Neighbours do not walk together.
            assert abs(torch.corrcoef(torch.stack([b[:-1], b[1:]]))[0, 1]) < 5 / math.sqrt(len(b))
        if walking:
            assert_same_distribution(numba.log_n[trial], under_test.log_n[trial])


def assert_same_distribution(a: torch.Tensor, b: torch.Tensor) -> None:
    n = len(a)
    assert abs(a.mean() - b.mean()) < 5 * math.sqrt((a.var() + b.var()) / n)
    # Variance of a variance, from the fourth moment.
    spread = sum(((v - v.mean()) ** 2).var() / n for v in (a, b))
    assert a.var() > 0
    assert abs(a.var() - b.var()) < 5 * math.sqrt(spread)


def check_a_trial_does_not_depend_on_its_stack(device: str) -> None:
    walks = Variability(c2c=WALKS, d2d={"r": Spread(0.05, 0.1)})
    devices = [DEVICES[0], VCMDevice(variability=walks), DEVICES[1], VCMDevice()]
    generator = torch.Generator().manual_seed(4)
    x, d = torch.randn(4, 2, 7, generator=generator), torch.randn(4, 2, 6, generator=generator)
    rates, keys, update = [0.02, 0.02, 0.0, 0.001], [2**64 - 5, 12, 13, 14], UpdateParameters()
    stacked, before = stack(devices, 6, 7, None), stack(devices, 6, 7, None)
    pulse_cuda(stacked, x, d, rates, update, keys, device)
    for name, buffer in stacked.named_buffers():
        assert torch.equal(buffer[2], before.get_buffer(name)[2]), name
    assert (stacked.counters[[0, 1, 3], :2] > 0).all()
    # Nor on how many lanes a program has, so that it has several and they several turns; another key differs.
    other = stack(devices, 6, 7, None)
    with few_lanes():
        pulse_cuda(other, x, d, rates, update, [keys[0], 99, *keys[2:]], device)
    for name in ("log_n", "weight", *(f"walked_{n}" for n in VARYING)):
        assert torch.equal(other.get_buffer(name)[[0, 2, 3]], stacked.get_buffer(name)[[0, 2, 3]]), name
        assert not torch.equal(other.get_buffer(name)[1], stacked.get_buffer(name)[1]), name
    torch.testing.assert_close(other.counters[[0, 3]], stacked.counters[[0, 3]], rtol=1e-12, atol=0)
    for k in (0, 1, 3):
        alone = stack([devices[k]], 6, 7, None, first=k + 1)
        pulse_cuda(alone, x[k : k + 1], d[k : k + 1], rates[k : k + 1], update, keys[k : k + 1], device)
        for name, buffer in alone.named_buffers():
            assert torch.equal(buffer[0].expand_as(stacked.get_buffer(name)[k]), stacked.get_buffer(name)[k]), name


@triton.jit
def keys_of_calls(streams, call, keys):
    place = tl.program_id(0)
    tl.store(keys + place, gpu_key_of_more(tl.load(streams + place), tl.load(call)))


def check_the_key_of_a_call_is_the_one_of_the_host(device: str) -> None:
    """A trial's pulses then depend on its seed and the number of the call alone, not on where they are mixed."""
    streams = [0, 1, 2**63, 2**64 - 5]
    for call in (0, 1, 16, 56_250):
        keys = torch.empty(4, dtype=torch.uint64, device=device)
        number = Count(call).on(torch.device(device))
        keys_of_calls[(4,)](torch.tensor(streams, dtype=torch.uint64, device=device), number, keys)
        assert keys.tolist() == [key_of_more(stream, call) for stream in streams]


@triton.jit
def masks_of(words, probabilities, slots, masks, count, LANES: tl.constexpr):
    place = tl.arange(0, LANES)
    word = tl.load(words + place, mask=place < count, other=0)
    p = tl.load(probabilities + place, mask=place < count, other=0.0)
    tl.store(masks + place, bernoulli_mask(word, p, slots), mask=place < count)


def check_slots_are_drawn_from_a_word_as_on_the_cpu(device: str) -> None:
    """Probabilities that fire in no slot, in some, in most, in all."""
    random = np.random.default_rng(8)
    count = 4096
    words = random.integers(0, 2**64, count, dtype=np.uint64)
    for slots in (1, 2, 31, 64):
        p = np.concatenate([np.zeros(96), random.random(2000) / slots, random.random(1990), np.full(10, 1.0)])
        masks = torch.empty(count, dtype=torch.int64, device=device)
        masks_of[(1,)](torch.from_numpy(words).to(device), torch.from_numpy(p).to(device), slots, masks, count, 4096)
        expected = [int(cpu_mask(word, own, slots)) for word, own in zip(words, p, strict=True)]
        assert [mask % 2**64 for mask in masks.tolist()] == expected
        assert np.mean([mask.bit_count() for mask in expected]) == pytest.approx(p.mean() * slots, rel=0.05)


def check_few_rows_fire_in_few_samples_as_on_the_cpu(device: str) -> None:
    """In a batch of more samples than a word has bits, by one program for all rows, and by one for every two."""
    x, d = torch.ones(2, 130, 5), torch.zeros(2, 130, 6)
    for trial, row, sample in ((0, 0, 0), (0, 0, 63), (0, 0, 64), (0, 3, 129), (1, 5, 70), (1, 4, 71)):
        d[trial, sample, row] = 1.0 if sample % 2 else -1.0
    update = UpdateParameters(desired_bl=64, **EVERY_SLOT)
    devices = [VCMDevice(pulse_s=1e-9), VCMDevice(parameters=CellParameters(r=40e-9), pulse_s=1e-9)]
    for lanes in (nullcontext(), few_lanes()):
        with lanes:
            before, numba, under_test = both(devices, x, d, [1e3] * 2, update, device)
        assert_same(numba, under_test)
        assert (numba.log_n != before.log_n).view(2, 6, 5).all(2).tolist() == [
            [True, False, False, True, False, False], [False, False, False, False, True, True]
        ]  # fmt: skip


@contextmanager
def few_lanes() -> Iterator[None]:
    few = {"LINES_AT_ONCE": 4, "COLUMNS_SEARCHED": 4, "CELLS_MARCHED": 4, "GROUPS": 3}
    with mock.patch.multiple(cuda, **few):
        yield


CHECKS = checks_of(globals())

# It takes some seconds; the interpreter needs a minute and a half for the others.
QUICK = (
    "one_direction_to_the_window_and_back",
    "the_key_of_a_call_is_the_one_of_the_host",
    "slots_are_drawn_from_a_word_as_on_the_cpu",
    "few_rows_fire_in_few_samples_as_on_the_cpu",
    "small_ways_add_up_near_a_bound_as_on_the_cpu",
    "pulses_by_equations_as_on_the_cpu",
    "pulses_outside_the_model_are_counted_as_on_the_cpu",
)


@needs_triton
@pytest.mark.xdist_group("interpreted")  # one process for all
@pytest.mark.parametrize("check", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in CHECKS])
def test_with_the_interpreter_in_place_of_the_gpu(interpreted, check):
    assert interpreted[check] == ""


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("check", CHECKS)
def test_on_the_gpu(check):
    CHECKS[check]("cuda")


@needs_triton
@pytest.mark.usefixtures("compiling")
@pytest.mark.parametrize(
    ("kind", "walking", "one", "capability"),
    [
        (0, False, False, 90), pytest.param(1, True, True, 90, marks=pytest.mark.slow), (2, True, False, 90),
        *(pytest.param(0, False, False, other, marks=pytest.mark.slow) for other in (80, 100)),
    ],
)  # fmt: skip
def test_kernels_compile_without_spilling(kind, walking, one, capability):
    constants = {
        "D_RESOLUTION": 0.0, "X_RESOLUTION": 0.01, "BOUNDED": kind == 0, "BL_MANAGEMENT": True, "MANAGEMENT": True,
        "KIND": kind, "WALKING": walking,
    }  # fmt: skip
    for kernel, lanes, warps in (
        (cuda.draw_lines, cuda.LINES_AT_ONCE, 1),
        (cuda.find_cells, cuda.COLUMNS_SEARCHED, 1),
        (cuda.pulse_cells, cuda.CELLS_MARCHED, 1),
    ):
        found = compiled(kernel, constants | {"LANES": lanes}, warps, capability, one)
        # ptxas keeps a few bytes in memory where more warps fit then.
        assert found.spilled <= (128 if walking else 32 if kernel is cuda.pulse_cells else 0)


# What a stack's cells have, and how many bytes a lane may keep in memory where 255 registers are not enough.
ALL_KINDS = dict.fromkeys(Kinds._fields, True)
EQUATIONS = (
    ({"explicit": True}, 128),
    ({"full": True}, 16),
    ({"full": True, "walking": True, "shaped": True, "own": True}, 320),
    ({"explicit": True, "walking": True, "euler": True}, 128),
    (ALL_KINDS, 640),
)


@needs_triton
@pytest.mark.usefixtures("compiling")
@pytest.mark.parametrize(
    ("capability", "has", "spilled"),
    [
        pytest.param(capability, *given, marks=[] if capability == 90 and len(given[0]) == 1 else pytest.mark.slow)
        for capability in (80, 90, 100)
        for given in EQUATIONS
    ],
)
def test_pulses_by_equations_compile_without_much_spilling(capability, has, spilled):
    kinds = {name.upper(): has.get(name, False) for name in Kinds._fields}
    constants = {**kinds, "KIND": 0, "LANES": cuda.CELLS_MARCHED}
    assert compiled(cuda.solve_pulses, constants, 1, capability).spilled <= spilled


def test_without_triton_the_module_imports_and_refuses():
    code = (
        "import sys; sys.modules['triton'] = None\n"
        "import torch\n"
        "from vcm_sweep.device import DeviceError\nfrom vcm_sweep.device.kernels.gpu import update as cuda\n"
        "try:\n"
        "    cuda.update_stack(*[torch.zeros(1, 1, 1)] * 5, None, None, None, None, None)\n"
        "except DeviceError as error:\n"
        "    assert 'needs Triton' in str(error)\n"
        "else:\n"
        "    raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@needs_triton
@pytest.mark.parametrize(
    "options", [{"desired_bl": 65}, {"desired_bl": 0}, {"fixed_bl": False, "update_bl_management": False}]
)
def test_trains_longer_than_a_word_are_refused(options):
    train = pulse_train(VCMDevice(), 0.1, UpdateParameters(**options))
    with pytest.raises(DeviceError, match="desired_bl"):
        cuda.update_stack(*[torch.zeros(1, 1, 1)] * 5, train, None, None, None, None)


if __name__ == "__main__":
    # The interpreter pays per operation, not per lane.
    cuda.LINES_AT_ONCE, cuda.CELLS_MARCHED, cuda.GROUPS = 256, 4096, 1
    run_checks(CHECKS)
