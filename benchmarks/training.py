"""Time a training epoch on VCM cells against aihwkit's own ConstantStep device, on one core, in one run.

    python benchmarks/training.py [--data digits|mnist] [--data-dir ROOT] [--stack 8] [--samples N] [--write]

The network is the paper's, 784-256-128-10 (64-32-10 on digits); everything else has aihwkit's defaults. Ratios compare
within one run, because absolute times depend on the machine and on what else it does. An epoch that does not learn
fires fewer pulses, so a second table compares equal work: it fires the pulses of the first part of the noise-free epoch
again, with our kernel, without and with a random walk of the parameters, and with 100 explicit Euler steps per pulse,
as the published code does.
"""

import argparse
import copy
import datetime
import itertools
import os
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
from aihwkit.nn import AnalogLinear, AnalogSequential
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs import SingleRPUConfig
from aihwkit.simulator.configs.devices import ConstantStepDevice
from euler import STEPS, EulerUpdate

from vcm_sweep.device import CellParameters, PulseError, Spread, Variability, VCMDevice, VCMRPUConfig, Walk
from vcm_sweep.device.aihwkit_engine import REMEDY, engine_fault
from vcm_sweep.device.array import pulsing
from vcm_sweep.device.array.cell_arrays import COUNTERS
from vcm_sweep.sweep.data.sets import DataSet, load

REPLAYED_SAMPLES = 3000
DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
MARKERS = "<!-- bench -->", "<!-- /bench -->"
NOISE_FREE = "VCM, noise-free"
LEARNING_RATE = 0.05
WALKS = Variability(c2c={"r": Walk(direct=0.01), "l": Walk(direct=0.01)})
WALKING = VCMRPUConfig(device=VCMDevice(variability=WALKS))
SPREADS = Variability(d2d={"r": Spread(0.04), "l": Spread(0.05)})
FULL = VCMRPUConfig(device=VCMDevice(model="full"))
FULL_SPREAD = VCMRPUConfig(device=VCMDevice(model="full", variability=SPREADS))
FULL_WALKING = VCMRPUConfig(device=VCMDevice(model="full", variability=WALKS))
FULL_DIRECT = VCMRPUConfig(device=VCMDevice(model="full", method="direct"))
# What a factor of studies/mnist.toml may do to single pulses, all at once.
EVERYTHING = Variability(
    d2d={
        "r": Spread(0.04),
        "l": Spread(0.05),
        "dW_A": Spread(0.0025, 0.1),
        "R_TiOx": Spread(0.05),
        "N_max": Spread(0.05),
    },
    c2c={"r": Walk(direct=0.005), "l": Walk(direct=0.01)},
    pulse=PulseError(amplitude=0.01),
)
FULL_EVERYTHING = VCMRPUConfig(
    device=VCMDevice(model="full", parameters=CellParameters(T_0=300.0), variability=EVERYTHING)
)


class Timing(NamedTuple):
    """The CPU seconds of an epoch over all trials, the part of them in updates, and loss and accuracy after it."""

    seconds: float
    updating: float
    loss: float
    accuracy: float


def build(config: object, sizes: Sequence[int]) -> torch.nn.Module:
    """The paper's network with the given configuration and aihwkit's initial weights."""
    torch.manual_seed(1)
    layers: list[torch.nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [AnalogLinear(inputs, outputs, rpu_config=copy.deepcopy(config)), torch.nn.Sigmoid()]
    layers[-1] = torch.nn.LogSoftmax(-1)
    return AnalogSequential(*layers)


def epoch(network: torch.nn.Module, data: DataSet, trials: int | None) -> Timing:
    """Train one epoch; stacked trials all see the same samples."""
    optimizer = AnalogSGD(network.parameters(), lr=LEARNING_RATE)
    optimizer.regroup_param_groups(network)
    order = torch.randperm(len(data.train_y), generator=torch.Generator().manual_seed(0))
    train_x, test_x = data.train_x.flatten(1), data.test_x.flatten(1)
    started, updating = time.process_time(), 0.0
    for rows in order.split(32):
        x, y = train_x[rows], data.train_y[rows]
        if trials:
            x, y = x.expand(trials, -1, -1), y.expand(trials, -1)
        optimizer.zero_grad()
        log_p = network(x).gather(-1, y[..., None])[..., 0]
        (-log_p.mean(-1).sum()).backward()
        before = time.process_time()
        optimizer.step()
        updating += time.process_time() - before
    seconds = time.process_time() - started
    with torch.no_grad():
        log_p = network(test_x.expand(trials, -1, -1) if trials else test_x)
        y = data.test_y.expand(log_p.shape[:-1])
        loss = -log_p.gather(-1, y[..., None]).mean().item()
        right = log_p.argmax(-1) == y
    return Timing(seconds, updating, loss, right.double().mean().item())


def arrays(network: Any) -> list[Any]:
    """The arrays of cells of each layer."""
    return [tile.tile.cells for tile in network.analog_tiles()]


def pulses_of(cells: Sequence[Any]) -> float:
    """The number of pulses that the arrays have received, in both directions and over all trials."""
    return sum(array.counters[:, : COUNTERS.index("energy_j")].sum().item() for array in cells)


def given_to(cells: Sequence[Any]) -> float:
    """The number of pulses that the trains asked for, those skipped at the window's end included."""
    return pulses_of(cells) + sum(array.counters[:, COUNTERS.index("pulses_skipped")].sum().item() for array in cells)


def bytes_per_cell(network: torch.nn.Module) -> float:
    """Bytes of all buffers of all tiles, per cell and trial; a tensor with two names counts once."""
    storages = {b.untyped_storage().data_ptr(): b.untyped_storage().nbytes() for b in network.buffers()}
    return sum(storages.values()) / sum(array.log_n.numel() for array in arrays(network))


def epoch_table(data: DataSet, sizes: Sequence[int], stack: int, say: Callable[[str], None]) -> None:
    """Print one row per device, and below the table the memory of each."""
    constant = SingleRPUConfig(device=ConstantStepDevice(dw_min=1e-3))
    constant.mapping.max_input_size = constant.mapping.max_output_size = 0
    spread = Variability(d2d={"r": Spread(0.04)}, c2c={"r": Walk(direct=0.005)}, read_noise=0.02)
    rows: list[tuple[str, object, int | None]] = [
        ("aihwkit ConstantStep", constant, None),
        (NOISE_FREE, VCMRPUConfig(), None),
        (f"{NOISE_FREE}, {stack} stacked", VCMRPUConfig(trials=stack), stack),
        ("VCM, r and l c2c", WALKING, None),
        ("VCM, r d2d and c2c, read noise", VCMRPUConfig(device=VCMDevice(variability=spread)), None),
        ("VCM full, noise-free", FULL, None),
        (f"VCM full, {stack} stacked", VCMRPUConfig(device=FULL.device, trials=stack), stack),
        ("VCM full, r and l d2d", FULL_SPREAD, None),
        ("VCM full, r and l c2c", FULL_WALKING, None),
    ]
    say(
        f"{'device':<30} {'CPU s per trial':>15} {'of it updates':>13} {'1e6 pulses':>10} {'ns per pulse':>12} "
        f"{'x ConstantStep':>14} {'x noise-free':>12} {'test loss':>9} {'accuracy':>8}"
    )
    each: dict[str, float] = {}
    memory: dict[str, float] = {}
    for name, config, trials in rows:
        epoch(build(config, sizes), data.first(64, 64), trials)  # compile
        network = build(config, sizes)
        timing = epoch(network, data, trials)
        each[name] = timing.seconds / (trials or 1)
        count = per_pulse = noise_free = ""
        if name.startswith("VCM"):
            pulses = pulses_of(arrays(network))
            count, per_pulse = f"{pulses / (trials or 1) / 1e6:.2f}", f"{timing.updating / pulses * 1e9:.0f}"
            noise_free = f"{each[name] / each[NOISE_FREE]:.2f}"
            memory[name] = bytes_per_cell(network)
        say(
            f"{name:<30} {each[name]:15.2f} {timing.updating / (trials or 1):13.2f} {count:>10} {per_pulse:>12} "
            f"{each[name] / each[rows[0][0]]:14.2f} {noise_free:>12} {timing.loss:9.3f} "
            f"{timing.accuracy:8.3f}"
        )
    say("")
    say("bytes per cell and trial: " + "; ".join(f"{value:.1f} {name}" for name, value in memory.items()))


class Recorder:
    """Records the calls of ``CellArrays.pulse`` of one layer during a training, so that they can be fired again."""

    def __init__(self, cells: Any) -> None:
        self._calls: list[tuple[Any, ...]] = []
        self._pulse, cells.pulse = cells.pulse, self._record

    def _record(self, x: torch.Tensor, d: torch.Tensor, *rest: Any) -> None:
        *settings, call = rest
        # The count goes on after this call: its number now is what names the numbers that are drawn.
        self._calls.append((x.clone(), d.clone(), *settings, call.number))
        self._pulse(x, d, *rest)

    def fire(self, cells: Any) -> float:
        """Fire all recorded pulses at other cells, and return the CPU seconds."""
        started = time.process_time()
        for call in self._calls:
            cells.pulse(*call)
        return time.process_time() - started


def pulse_table(data: DataSet, sizes: Sequence[int], say: Callable[[str], None]) -> None:
    """Print the time of the pulses of a part of the noise-free epoch, with our kernel and with Euler steps."""
    samples = min(REPLAYED_SAMPLES, len(data.train_y))
    network = build(VCMRPUConfig(), sizes)
    recorders = [Recorder(cells) for cells in arrays(network)]
    epoch(network, data.first(samples, 64), None)

    def fire(config: VCMRPUConfig) -> tuple[float, list[Any]]:
        fresh = arrays(build(config, sizes))  # of the same initial weights
        return sum(recorder.fire(cells) for recorder, cells in zip(recorders, fresh, strict=True)), fresh

    part = f"the first {samples} samples, a part of the epoch" if samples < len(data.train_y) else "the whole epoch"
    say("")
    say(f"the pulses alone of {part}: the same ones fired at each of")
    say(f"{'method':<54} {'pulses':>10} {'CPU s':>8} {'ns per pulse':>12} {'ratio':>7}")
    seconds, ours = fire(VCMRPUConfig())
    if not all(torch.equal(a.weight, b.weight) for a, b in zip(ours, arrays(network), strict=True)):
        raise SystemExit("pulses fired again do not give the training's weights: the methods cannot be compared")
    others = [
        (label, *fire(config))
        for label, config in (
            ("ours, r and l c2c", WALKING),
            ("ours, full model, noise-free", FULL),
            ("ours, full model, r and l d2d", FULL_SPREAD),
            ("ours, full model, r and l c2c", FULL_WALKING),
            ("ours, full model, equations solved for each pulse", FULL_DIRECT),
            ("ours, full model, all that differs in studies/mnist.toml", FULL_EVERYTHING),
        )
    ]
    euler = EulerUpdate(VCMDevice())
    with mock.patch.object(pulsing, "update_array", euler):
        recorders[-1].fire(arrays(build(VCMRPUConfig(), sizes))[-1])  # compile
        euler_seconds, theirs = fire(VCMRPUConfig())
    if given_to(ours) != given_to(theirs):
        raise SystemExit("the explicit method was given other pulses than ours: the methods cannot be compared")
    reference = seconds / pulses_of(ours)
    for name, spent, cells in (
        ("ours, noise-free", seconds, ours),
        *others,
        (f"explicit method, {STEPS} Euler steps per pulse, noise-free", euler_seconds, theirs),
    ):
        count = pulses_of(cells)
        say(f"{name:<54} {count:10.0f} {spent:8.2f} {spent / count * 1e9:12.0f} {spent / count / reference:7.1f}")
    furthest = max((a.weight - b.weight).abs().max().item() for a, b in zip(ours, theirs, strict=True))
    say(f"largest difference of a weight, noise-free, ours to explicit: {furthest:.1e} (window -1.5 to 1.5)")


def machine() -> str:
    """One line: processor, cores, versions and date."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numba", "aihwkit"))
    return f"{model}, {os.cpu_count()} cores; {versions}; {datetime.date.today()}"


def write(lines: Sequence[str]) -> None:
    """Replace the table between the markers in docs/performance.md."""
    text = DOCUMENT.read_text(encoding="utf-8")
    begin, end = MARKERS
    before, found, rest = text.partition(begin)
    _, also, after = rest.partition(end)
    if not found or not also:
        raise SystemExit(f"{DOCUMENT} has no {begin} ... {end}: put both on lines of their own where the table goes")
    table = "\n".join(f"    {line}".rstrip() for line in lines)
    DOCUMENT.write_text(f"{before}{begin}\n\n{machine()}:\n\n{table}\n\n{end}{after}", encoding="utf-8")


def main() -> None:
    """Print the tables, and with --write put them into docs/performance.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", choices=("digits", "mnist"), default="mnist")
    parser.add_argument("--data-dir", default=os.environ.get("VCM_SWEEP_DATA"))
    parser.add_argument("--stack", type=int, default=8)
    parser.add_argument("--samples", type=int, help="of the training set; default all of it")
    parser.add_argument("--write", action="store_true", help=f"put the tables into docs/{DOCUMENT.name}")
    arguments = parser.parse_args()
    if fault := engine_fault():
        parser.error(f"aihwkit's ConstantStep cannot be timed, since {fault}: {REMEDY}")
    torch.set_num_threads(1)
    data = load(arguments.data, arguments.data_dir)
    if arguments.samples:
        data = data.first(arguments.samples, len(data.test_y))
    sizes = [784, 256, 128, 10] if arguments.data == "mnist" else [64, 32, 10]
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    print(machine())
    say(f"one epoch of {arguments.data}, {'-'.join(map(str, sizes))}, one core")
    epoch_table(data, sizes, arguments.stack, say)
    pulse_table(data, sizes, say)
    if arguments.write:
        write(lines)


if __name__ == "__main__":
    main()
