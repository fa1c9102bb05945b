"""The trainings that the sections time: stacks of the paper's network on VCM cells, or small ones for a rehearsal."""

import functools
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from gpu_sections.call import Call
from gpu_sections.places import ROOT
from vcm_sweep.sweep.data.sets import DataSet, load
from vcm_sweep.sweep.study.tables.device import canonical_device
from vcm_sweep.sweep.study.tables.network import NetworkSpec
from vcm_sweep.sweep.training.stacked_training import StackedTraining
from vcm_sweep.sweep.training.turns import give_memory_back
from vcm_sweep.sweep.trial import Trial

STUDY = ROOT / "studies" / "mnist-gpu.toml"

SPREAD = {"r": {"sigma": 0.04}, "l": {"sigma": 0.04}}
DEVICES: dict[str, dict[str, Any]] = {
    "noise-free": {},
    "r and l d2d, mismatch": {"d2d": SPREAD, "mismatch": {"mean": 0.2, "sigma": 0.2}},
    "read noise": {"read_noise": {"sigma": 0.05}},
    "all that differs": {
        "d2d": {**SPREAD, "R_TiOx": {"sigma": 0.05}, "dW_A": {"sigma": 0.002, "clip": 0.1}},
        "c2c": {"r": {"direct": 0.005}, "l": {"direct": 0.01}}, "pulse_error": {"amplitude": 0.01},
    },
}  # fmt: skip
"""What each of the four devices of section 5 adds to the study's [device]."""


class Sizes(NamedTuple):
    """How large everything is.

    Attributes:
        network: what differs from the study's [network].
        stacks: numbers of stacked trials that are timed; the last one is the goal's.
        compared, steps, marks: trials and steps of section 5, and the steps that end its first loss and begin its last.
        singles: trials of section 5 that are trained alone.
        tested: test samples of section 5.
        warm_up, timed: steps of section 4.
        captured: steps at which section 3 looks at the kernels; repeats: how often it fires each.
    """

    network: dict[str, Any]
    stacks: tuple[int, ...]
    compared: int
    steps: int
    marks: tuple[int, int]
    singles: int
    tested: int
    warm_up: int
    timed: int
    captured: tuple[int, ...]
    repeats: int


FULL = Sizes({}, (1, 16, 64, 256), 64, 300, (50, 250), 8, 2000, 5, 40, (0, 100, 1000), 20)
SMALL = Sizes({"data": "digits", "hidden": [2], "batch": 2}, (1, 2), 4, 6, (2, 4), 2, 40, 1, 3, (1,), 1)


def sizes(call: Call) -> Sizes:
    """The sizes of this call."""
    return SMALL if call.rehearse else FULL


@functools.cache
def _tables() -> dict[str, Any]:
    return tomllib.loads(STUDY.read_text(encoding="utf-8"))


def inputs(size: Sizes, device: str) -> dict[str, Any]:
    """All that determines a trial besides its seed: the study's tables before any factor acts, with one device."""
    network = NetworkSpec.from_table({**_tables()["network"], **size.network}).plain()
    network.pop("start", None)
    return {"network": network, "device": canonical_device({**_tables()["device"], **DEVICES[device]})}


def data(size: Sizes) -> DataSet:
    """The samples."""
    return load(inputs(size, "noise-free")["network"]["data"])


class Training:
    """A stack of trials and its way through the first epoch, step by step.

    Attributes:
        run: the stack; rates: learning rate of each trial, 0 for one that is frozen; done: steps so far.
    """

    def __init__(self, size: Sizes, device: str, count: int, where: str, first_seed: int = 1) -> None:
        trials = [Trial(k, 0, {}, inputs(size, device), first_seed + k) for k in range(count)]
        spec = trials[0].inputs["network"]
        self.run = StackedTraining(trials, spec, data(size), where)
        self.run.stack.train(True)
        self.order = self.run.next_order()
        self.rates = self.run.rates()
        self.batch = int(spec["batch"])
        self.done = 0

    def take(self, count: int) -> None:
        """Take the next steps; after the last batch from the first again."""
        for _ in range(count):
            first = self.done % (self.order.shape[1] // self.batch) * self.batch
            self.run.step(self.order[:, first : first + self.batch].clamp_min(0), self.rates)
            self.done += 1

    @contextmanager
    def one_by_one(self) -> Iterator[None]:
        """Within it the host starts each operation of a step, and none is replayed."""
        replay, self.run.replay = self.run.replay, None
        try:
            yield
        finally:
            self.run.replay = replay

    def arrays(self) -> list[Any]:
        """The arrays of cells of each layer."""
        stack: Any = self.run.stack
        return [tile.tile.cells for tile in stack.tiles]

    def counters(self) -> torch.Tensor:
        """(trials, 5) float64 on the CPU: SET, RESET, energy, skipped and invalid pulses of all layers so far."""
        total: torch.Tensor = sum(cells.counters.cpu() for cells in self.arrays())
        return total

    def states(self) -> list[dict[str, torch.Tensor]]:
        """The tensors of every trial, on the CPU."""
        resumable = self.run.resumable
        assert resumable is not None
        return [resumable.state(k) for k in range(resumable.trials)]

    def put_back(self, states: list[dict[str, torch.Tensor]]) -> None:
        """Continue from earlier tensors, at the first step."""
        resumable = self.run.resumable
        assert resumable is not None
        for k, state in enumerate(states):
            resumable.load_state(k, state)
        self.done = 0


_KEPT: dict[tuple[str, int], Training] = {}


def kept(call: Call, where: str, device: str, count: int) -> Training:
    """A training that sections share: made by the first that asks, and dropped by :func:`drop`."""
    if (device, count) not in _KEPT:
        _KEPT[device, count] = Training(sizes(call), device, count, where)
    return _KEPT[device, count]


def drop(device: str, count: int) -> None:
    """Give a shared training's memory back."""
    _KEPT.pop((device, count), None)
    give_memory_back()
