"""Time a training epoch on VCM cells against aihwkit's own ConstantStep device, on one core, in one run.

    python benchmarks/training.py [--data digits|mnist] [--data-dir ROOT] [--stack 8]

The network is the paper's, 784-256-128-10 (64-32-10 on digits), all else aihwkit's defaults. Ratios are within
this run; absolute times depend on the machine and on what else it does.
"""

import argparse
import itertools
import os
import time
from collections.abc import Callable, Sequence

import torch
from aihwkit.nn import AnalogLinear, AnalogSequential
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs import SingleRPUConfig
from aihwkit.simulator.configs.devices import ConstantStepDevice

from vcm_sweep.device import Spread, Variability, VCMDevice, VCMRPUConfig, Walk
from vcm_sweep.sweep.data import DataSet, load


def build(config_of: Callable[[], object], sizes: Sequence[int]) -> torch.nn.Module:
    """The paper's network on the given configuration, weights uniform within +-0.1."""
    layers: list[torch.nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [AnalogLinear(inputs, outputs, rpu_config=config_of()), torch.nn.Sigmoid()]
    layers[-1] = torch.nn.LogSoftmax(-1)
    return AnalogSequential(*layers)


def epoch(network: torch.nn.Module, data: DataSet, trials: int | None, lr: float) -> tuple[float, float, float]:
    """(CPU seconds, seconds in updates, accuracy) of one epoch over all trials."""
    optimizer = AnalogSGD(network.parameters(), lr=lr)
    optimizer.regroup_param_groups(network)
    order = torch.randperm(len(data.train_y), generator=torch.Generator().manual_seed(0))
    started, updating = time.process_time(), 0.0
    for rows in order.split(32):
        x, y = data.train_x[rows], data.train_y[rows]
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
        x = data.test_x.expand(trials, -1, -1) if trials else data.test_x
        accuracy = (network(x).argmax(-1) == data.test_y).double().mean().item()
    return seconds, updating, accuracy


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", choices=("digits", "mnist"), default="mnist")
    parser.add_argument("--data-dir", default=os.environ.get("VCM_SWEEP_DATA"))
    parser.add_argument("--stack", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    data = load(arguments.data, arguments.data_dir)
    sizes = [784, 256, 128, 10] if arguments.data == "mnist" else [64, 32, 10]

    constant = SingleRPUConfig(device=ConstantStepDevice(dw_min=1e-3))
    constant.mapping.max_input_size = constant.mapping.max_output_size = 0
    noisy = Variability(d2d={"r": Spread(0.04)}, c2c={"r": Walk(direct=0.005)}, read_noise=0.02)
    rows: list[tuple[str, Callable[[], object], int | None]] = [
        ("aihwkit ConstantStep", lambda: constant, None),
        ("VCM, noise-free", VCMRPUConfig, None),
        ("VCM, radius d2d and c2c, read noise", lambda: VCMRPUConfig(device=VCMDevice(variability=noisy)), None),
        (f"VCM, noise-free, {arguments.stack} stacked", lambda: VCMRPUConfig(trials=arguments.stack), arguments.stack),
    ]
    epoch(build(VCMRPUConfig, sizes), data.first(64, 64), None, 0.05)  # compile
    reference = None
    print(f"one epoch of {arguments.data}, {'-'.join(map(str, sizes))}, one core")
    print(
        f"{'device':<38} {'CPU s per trial':>15} {'of it updates':>14} {'ns per pulse':>13} "
        f"{'ratio':>6} {'accuracy':>9}"
    )
    for name, config_of, trials in rows:
        network = build(config_of, sizes)
        seconds, updating, accuracy = epoch(network, data, trials, 0.05)
        each = seconds / (trials or 1)
        reference = reference or each
        pulses = 0.0
        if name.startswith("VCM"):
            pulses = sum(tile.tile.cells.counters[:, :2].sum().item() for tile in network.analog_tiles())
        per_pulse = f"{updating / pulses * 1e9:13.0f}" if pulses else " " * 13
        print(
            f"{name:<38} {each:15.2f} {updating / (trials or 1):14.2f} {per_pulse} "
            f"{each / reference:6.2f} {accuracy:9.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
