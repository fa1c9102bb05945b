"""What a training step on a GPU asks of the host, and what it searches for pulses: counted and timed without a GPU.

    OMP_NUM_THREADS=1 python benchmarks/gpu_host.py [--rounds 7] [--steps 0 100 500 1874 3749] [--smoke]

The host's time is that of Python and of torch's dispatch: one trial of a tiny network trains on CPU tensors that say
they are on a GPU, and kernels are not started. What is searched is counted in a training of studies/mnist-gpu.toml
without its noise: cells times samples, and those of them whose row fires in the sample; visits get a pulse. Trials are
made on the CPU: CPU seconds of one, in a stack of eight.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import torch

from gpu_sections.stacks import FULL, SMALL, Sizes, Training
from vcm_sweep.device.array import pulsing
from vcm_sweep.device.kernels.cpu.update import draw_sample, update_array
from vcm_sweep.device.kernels.gpu import update
from vcm_sweep.device.tile import gpu_product

TINY = SMALL._replace(network={"data": "digits", "hidden": [8, 6], "batch": 32})


def main() -> None:
    """Measure, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="each of ten steps")
    parser.add_argument("--steps", type=int, nargs="+", default=[0, 100, 500, 1874, 3749])
    parser.add_argument("--smoke", action="store_true", help="see that it runs: digits, few steps")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rounds, steps, size = (1, [0, 2], TINY) if arguments.smoke else (arguments.rounds, arguments.steps, FULL)
    ms = host_ms(rounds)
    print(f"| the host, one trial | {min(ms):.2f} to {max(ms):.2f} ms of CPU per step |\n")
    for device in ("noise-free", "all that differs"):
        print(f"| making a trial, {device} | {making_s(size, device):.3f} s of CPU |\n")
    print("| step | cells times samples | whose row fires | visits |\n|---|---|---|---|")
    for step, counted in searched(size, steps).items():
        print(f"| {step:,} | " + " | ".join(f"{count:,}" for count in counted) + " |")


class NotStarted:
    """Stands for a kernel: there is no GPU."""

    def __getitem__(self, grid: Any) -> "NotStarted":
        return self

    def __call__(self, *arguments: Any, **options: Any) -> None:
        """Start nothing."""


def host_ms(rounds: int) -> list[float]:
    """CPU milliseconds of a step in each round."""
    training = Training(TINY, "read noise", 1, "cpu")
    # A GPU's pulses are not asked for their number at each step.
    training.run.pulses = None
    kernels = {name: NotStarted() for name in ("draw_lines", "find_cells", "pulse_cells", "solve_pulses")}
    found = []
    with (
        mock.patch.multiple(update, PRESENT=True, **kernels),
        mock.patch.multiple(gpu_product, PRESENT=True, read_arrays=NotStarted()),
        mock.patch.multiple(torch.Tensor, is_cuda=True),
        mock.patch("vcm_sweep.device.array.cell_arrays.CellArrays._elsewhere", True),
    ):
        training.take(5)
        for _ in range(rounds):
            before = time.process_time()
            training.take(10)
            found.append((time.process_time() - before) * 100)
    return found


def making_s(size: Sizes, device: str) -> float:
    """CPU seconds in which a trial is made, its tables not counted."""
    Training(size, device, 1, "cpu")
    before = time.process_time()
    Training(size, device, 8, "cpu", first_seed=2)
    return (time.process_time() - before) / 8


def searched(size: Sizes, steps: list[int]) -> dict[int, list[int]]:
    """Of one trial's steps: cells times samples, those whose row fires in the sample, and those with a pulse."""
    training = Training(size, "noise-free", 1, "cpu")
    found = {}
    for step in steps:
        training.take(step - training.done)
        found[step] = [0, 0, 0]
        with mock.patch.object(pulsing, "update_array", counting(found[step])):
            training.take(1)
    return found


def counting(counted: list[int]) -> Callable[..., None]:
    """``update_array``, which adds what it searches to the three counts."""

    def watched(x: Any, d: Any, key: Any, cells: Any, physics: Any, train: Any, *rest: Any) -> None:
        counted[0] += x.shape[0] * x.shape[1] * d.shape[1]
        for rows, visits in _fired(x, d, key, train):
            counted[1] += rows * x.shape[1]
            counted[2] += visits
        update_array(x, d, key, cells, physics, train, *rest)

    return watched


def _fired(x: Any, d: Any, key: Any, train: Any) -> list[tuple[int, int]]:
    """(rows that fire, cells that get a pulse) of each sample."""
    columns, rows = (np.empty(n, np.int64) for n in (x.shape[1], d.shape[1]))
    column_masks, row_masks = (np.empty(n, np.uint64) for n in (x.shape[1], d.shape[1]))
    state, found = np.uint64(key), []
    for sample in range(len(x)):
        state, fire, across = draw_sample(
            np.uint64(state), x[sample], d[sample], train, columns, column_masks, rows, row_masks
        )
        found.append((fire, np.count_nonzero(row_masks[:fire, None] & column_masks[None, :across])))
    return found


if __name__ == "__main__":
    main()
