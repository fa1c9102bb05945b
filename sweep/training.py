"""Training of stacked trials: trials of one network and schedule, side by side in one process."""

import itertools
import json
import math
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch

from .data import DataSet, load
from .device_table import rpu_config
from .errors import StudyError
from .trial import Trial, TrialRecord

_TEST_CHUNK = 500


def train(trials: Sequence[Trial], data_dir: str | None = None) -> list[TrialRecord]:
    """The records of the given trials, in their order, trained together.

    All trials must agree on the network, its schedule and aihwkit's io and update settings; their cells, seeds
    and data orders are their own. On a CPU with one thread a trial gives the same bits whatever runs beside it.

    Raises:
        StudyError: trials that cannot be stacked, or a data set that is not there.
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    network_spec = _common_network(trials)
    data = load(network_spec["data"], data_dir).first(network_spec["train_samples"], network_spec["test_samples"])
    network = _build(trials, network_spec, data)
    run = _Run(network, data, network_spec, trials, started)
    run.fit()
    wall = (time.perf_counter() - started) / len(trials)
    cpu = (time.process_time() - cpu_started) / len(trials)
    return [run.record(k, trial, wall, cpu) for k, trial in enumerate(trials)]


def _common_network(trials: Sequence[Trial]) -> dict[str, Any]:
    if not trials:
        raise StudyError("train() needs at least one trial")
    first = trials[0].inputs
    for trial in trials[1:]:
        for part in ("io", "update"):
            if trial.inputs["device"][part] != first["device"][part]:
                raise StudyError(f"stacked trials must agree on [device.{part}]: run them in separate packs")
        if trial.inputs["network"] != first["network"]:
            raise StudyError("stacked trials must agree on [network]: run them in separate packs")
    return dict(first["network"])


def _build(trials: Sequence[Trial], spec: dict[str, Any], data: DataSet) -> Any:
    from aihwkit.nn import AnalogLinear, AnalogSequential

    config = rpu_config([trial.inputs["device"] for trial in trials])
    sizes = [data.train_x.shape[1], *spec["hidden"], data.classes]
    layers: list[torch.nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [AnalogLinear(inputs, outputs, rpu_config=config), torch.nn.Sigmoid()]
    layers[-1] = torch.nn.LogSoftmax(dim=-1)
    network: Any = AnalogSequential(*layers)
    seeds = [trial.seeds for trial in trials]
    generators = [torch.Generator().manual_seed(seed.init) for seed in seeds]
    for index, tile in enumerate(network.analog_tiles()):
        tile.tile.reseed([seed.arrays for seed in seeds], index)
        shape = (tile.out_size, tile.in_size)
        uniform = torch.stack([torch.rand(shape, generator=generator) for generator in generators])
        tile.set_weights(spec["init"] * (2 * uniform - 1), torch.zeros(len(trials), tile.out_size))
    return network


class _Run:
    """The state of one stacked training."""

    def __init__(
        self, network: torch.nn.Module, data: DataSet, spec: dict[str, Any], trials: Sequence[Trial], started: float
    ) -> None:
        from aihwkit.optim import AnalogSGD

        self.network, self.data, self.spec = network, data, spec
        self.trials = len(trials)
        self.optimizer = AnalogSGD(network.parameters(), lr=spec["lr"])
        self.optimizer.regroup_param_groups(network)
        self.orders = [torch.Generator().manual_seed(trial.seeds.data_order) for trial in trials]
        self.histories: list[list[float]] = [[] for _ in trials]
        self.loss = torch.full((self.trials,), math.nan)
        self.broken: dict[int, str] = {}
        self.timed_out = False
        self.deadline = started + sum(trial.deadline_s for trial in trials)
        self.reads = 0

    def fit(self) -> None:
        for epoch in range(self.spec["epochs"]):
            self._epoch(epoch)
            if self.timed_out:
                return
            for k, accuracy in enumerate(self._accuracy().tolist()):
                self.histories[k].append(accuracy)

    def _epoch(self, epoch: int) -> None:
        samples, batch = len(self.data.train_y), self.spec["batch"]
        order = torch.stack([torch.randperm(samples, generator=g) for g in self.orders])
        # A short last batch is filled with all-zero samples of no weight, which fire no pulse: every tensor
        # keeps its shape, and with it each trial its place in a vector register.
        padded = -(-samples // batch) * batch
        order = torch.cat([order, torch.full((self.trials, padded - samples), -1)], dim=1)
        total = torch.zeros(self.trials)
        self.network.train()
        for first in range(0, padded, batch):
            rows = order[:, first : first + batch]
            weight = (rows >= 0).to(torch.float32)
            x = self.data.train_x[rows.clamp_min(0)] * weight[..., None]
            y = self.data.train_y[rows.clamp_min(0)]
            self.optimizer.zero_grad()
            log_p = self.network(x).gather(-1, y[..., None])[..., 0]
            loss = -(log_p * weight).sum(1) / weight.sum(1)
            loss.sum().backward()
            self.optimizer.step()
            total += loss.detach() * weight.sum(1)
            self.reads += 2 * batch
            if time.perf_counter() > self.deadline:
                self.timed_out = True
                return
        self.loss = total / samples
        for k in torch.nonzero(~torch.isfinite(self.loss)).flatten().tolist():
            self.broken.setdefault(k, f"loss is not finite in epoch {epoch + 1}")

    @torch.no_grad()
    def _accuracy(self) -> torch.Tensor:
        """(trials,) share of the test set that is right, with all noise of reading."""
        self.network.eval()
        right = torch.zeros(self.trials, dtype=torch.float64)
        for x, y in zip(self.data.test_x.split(_TEST_CHUNK), self.data.test_y.split(_TEST_CHUNK), strict=True):
            output = self.network(x.expand(self.trials, -1, -1))
            right += (output.argmax(-1) == y).double().sum(1)
            self.reads += len(y)
        return right / len(self.data.test_y)

    def record(self, k: int, trial: Trial, wall_s: float, cpu_s: float) -> TrialRecord:
        """The record of trial k."""
        if self.timed_out and k not in self.broken:
            return TrialRecord.failed(
                trial, "timeout", f"not done within deadline_s = {trial.deadline_s:g} s per trial"
            )
        arrays = [tile.tile.cells for tile in self.network.analog_tiles()]  # type: ignore[operator]
        set_pulses, reset_pulses, energy, _ = sum(array.counters[k] for array in arrays).tolist()
        cells = sum(array.out_size * array.in_size for array in arrays)
        at_bound = sum(array.fraction_at_bound()[k].item() * array.out_size * array.in_size for array in arrays)
        accuracy, tests = self.histories[k][-1], len(self.data.test_y)
        chance = 1 / self.data.classes
        return TrialRecord(
            key=trial.key,
            point=trial.point,
            replicate=trial.replicate,
            factors=trial.factors,
            seed=trial.seed,
            status="diverged" if k in self.broken else "ok",
            reason=self.broken.get(k, ""),
            accuracy=accuracy,
            loss=float(self.loss[k]),
            history=self.histories[k],
            at_chance=accuracy <= chance + 3 * math.sqrt(chance * (1 - chance) / tests),
            frac_at_bound=at_bound / cells,
            pulses_set=int(set_pulses),
            pulses_reset=int(reset_pulses),
            energy_j=energy,
            reads=self.reads,
            wall_s=wall_s,
            cpu_s=cpu_s,
            versions=_versions(),
        )


@lru_cache(maxsize=1)
def _versions() -> str:
    from importlib.metadata import version

    names = ("vcm-sweep", "torch", "aihwkit", "numpy", "numba")
    return json.dumps({name: version(name) for name in names})
