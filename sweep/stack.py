"""Trials side by side in one module: stacked arrays of our cells, or one network per trial of aihwkit's own devices.

Inputs have the trials folded into the batch, trial after trial: (trials * batch, ...).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from .aihwkit_device import seed_per_layer
from .device_table import aihwkit_config, is_physical, rpu_config
from .network import build_network, set_start

if TYPE_CHECKING:
    from .trial import Trial


class Stack(ABC):
    """K networks of one shape, each with its own cells, seeds and learning rate."""

    trials: int
    resumable: bool
    """Whether :meth:`state` holds all that a training needs to go on."""

    @abstractmethod
    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """(trials, batch, classes) of (trials * batch, ...)."""

    @abstractmethod
    def step(self, rates: Sequence[float]) -> None:
        """One step of every trial at its learning rate, then forget the gradients; 0 freezes a trial."""

    @abstractmethod
    def train(self, mode: bool) -> None:
        """Switch between training and evaluation, as torch modules do."""

    @abstractmethod
    def memory(self) -> tuple[int, int]:
        """Bytes that a trial holds, and lines (inputs and outputs of all tiles) that a sample passes."""

    @abstractmethod
    def figures(self, k: int) -> dict[str, Any]:
        """What trial k's record tells of its cells: pulses_set, pulses_reset, energy_j, frac_at_bound."""

    @abstractmethod
    def state(self, k: int) -> dict[str, torch.Tensor]:
        """All that changes while trial k trains."""

    @abstractmethod
    def load_state(self, k: int, state: Mapping[str, torch.Tensor]) -> None:
        """Restore what :meth:`state` gave, of a trial with the same inputs and seed."""


def build_stack(
    trials: Sequence["Trial"], spec: Mapping[str, Any], shape: Sequence[int], classes: int, device: str
) -> Stack:
    """The stack of trials that agree on their network, with their first weights programmed.

    Args:
        trials: with their seeds and [device] tables.
        spec: canonical [network] table; its learning rate is not looked at.
        shape: of one sample. classes: number of scores.
        device: of torch.
    """
    tables = [trial.inputs["device"] for trial in trials]
    kind = CellStack if is_physical(tables[0]) else CompiledStack
    return kind(trials, tables, spec, shape, classes, device)


class CellStack(Stack):
    """VCM cells: every tensor of the one network leads with the axis of trials."""

    resumable = True

    def __init__(
        self, trials: Sequence["Trial"], tables: Sequence[dict[str, Any]], spec: Mapping[str, Any],
        shape: Sequence[int], classes: int, device: str,
    ) -> None:  # fmt: skip
        from aihwkit.nn.conversion import convert_to_analog

        from vcm_sweep.device.optimizer import TrialSGD

        self.trials = len(trials)
        digital = build_network(spec, shape, classes)
        if "start" in spec:
            set_start(digital, spec["start"])
        self.network: Any = convert_to_analog(digital, rpu_config(list(tables)))
        _split_sigmoids(self.network, self.trials)
        self.tiles = list(self.network.analog_tiles())
        seeds = [trial.seeds for trial in trials]
        generators = [torch.Generator().manual_seed(seed.init) for seed in seeds]
        for index, tile in enumerate(self.tiles):
            given = tile.tile.get_weights()
            tile.tile.reseed([seed.arrays for seed in seeds], index)
            tile.tile.set_weights(given if "start" in spec else _first_weights(tile, spec["init"], generators))
        if "start" not in spec:
            for parameter in self._biases():
                parameter.data.zero_()
        self.network.to(device)
        self._fold: tuple[int, ...] = (self.trials, -1, classes)
        self.optimizer = TrialSGD(self.network, 1.0, [0.0] * self.trials)

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """(trials, batch, classes) of (trials * batch, ...)."""
        scores: torch.Tensor = self.network(x).reshape(self._fold)
        return scores

    def step(self, rates: Sequence[float]) -> None:
        """One step of every trial at its learning rate, then forget the gradients; 0 freezes a trial."""
        self.optimizer.set_factors(rates)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def train(self, mode: bool) -> None:
        """Switch between training and evaluation."""
        self.network.train(mode)

    def memory(self) -> tuple[int, int]:
        """Bytes that a trial holds, and lines that a sample passes."""
        buffers = {id(b): b for tile in self.tiles for b in tile.tile.buffers()}.values()
        held = sum(buffer.numel() * buffer.element_size() for buffer in buffers)
        return held // self.trials, sum(tile.in_size + tile.out_size for tile in self.tiles)

    def figures(self, k: int) -> dict[str, Any]:
        """Pulses, their energy, and the share of cells at a bound."""
        arrays = [tile.tile.cells for tile in self.tiles]
        set_pulses, reset_pulses, energy, _ = sum(array.counters[k] for array in arrays).tolist()
        cells = sum(array.out_size * array.in_size for array in arrays)
        at_bound = sum(array.fraction_at_bound(k) * array.out_size * array.in_size for array in arrays)
        return {
            "pulses_set": int(set_pulses),
            "pulses_reset": int(reset_pulses),
            "energy_j": energy,
            "frac_at_bound": at_bound / cells,
        }

    def state(self, k: int) -> dict[str, torch.Tensor]:
        """Cells and calls of every tile, and the digital biases."""
        state = {f"bias.{i}": bias.detach()[k].cpu().clone() for i, bias in enumerate(self._biases())}
        for i, tile in enumerate(self.tiles):
            state |= {f"tile.{i}.{name}": value for name, value in tile.tile.cells.state(k).items()}
            state[f"tile.{i}.calls"] = torch.tensor(tile.tile.calls)
        return state

    def load_state(self, k: int, state: Mapping[str, torch.Tensor]) -> None:
        """Restore trial k; all trials of a stack must be at the same step."""
        for i, bias in enumerate(self._biases()):
            bias.data[k] = state[f"bias.{i}"].to(bias.device)
        for i, tile in enumerate(self.tiles):
            prefix = f"tile.{i}."
            own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
            tile.tile.calls = own.pop("calls").tolist()
            tile.tile.cells.load_state(k, own)

    def _biases(self) -> list[nn.Parameter]:
        return [parameter for name, parameter in self.network.named_parameters() if name.endswith("bias")]


class CompiledStack(Stack):
    """aihwkit's own devices in its compiled tiles: one network per trial, run one after the other.

    Which cells are drawn follows the trial's seed; aihwkit draws pulses and noise from a source that cannot be
    seeded, so equal seeds give equal devices and data orders, not equal bits.
    """

    resumable = False

    def __init__(
        self, trials: Sequence["Trial"], tables: Sequence[dict[str, Any]], spec: Mapping[str, Any],
        shape: Sequence[int], classes: int, device: str,
    ) -> None:  # fmt: skip
        from aihwkit.nn.conversion import convert_to_analog
        from aihwkit.optim import AnalogSGD

        self.trials = len(trials)
        self.networks: list[Any] = []
        self.optimizers: list[Any] = []
        for trial, table in zip(trials, tables, strict=True):
            digital = build_network(spec, shape, classes)
            if "start" in spec:
                set_start(digital, spec["start"])
            layer_seeds = seed_per_layer(trial.seeds.device)
            network: Any = convert_to_analog(digital, aihwkit_config(table), specific_rpu_config_fun=layer_seeds)
            if "start" not in spec:
                generator = torch.Generator().manual_seed(trial.seeds.init)
                for tile in network.analog_tiles():
                    tile.tile.set_weights(_first_weights(tile, spec["init"], [generator])[0])
                for name, parameter in network.named_parameters():
                    if name.endswith("bias"):
                        parameter.data.zero_()
            optimizer = AnalogSGD(network.parameters(), lr=1.0)
            optimizer.regroup_param_groups(network)
            self.networks.append(network.to(device))
            self.optimizers.append(optimizer)

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """(trials, batch, classes) of (trials * batch, ...)."""
        parts = x.chunk(self.trials)
        return torch.stack([network(part) for network, part in zip(self.networks, parts, strict=True)])

    def step(self, rates: Sequence[float]) -> None:
        """One step of every trial at its learning rate, then forget the gradients; 0 freezes a trial."""
        for optimizer, rate in zip(self.optimizers, rates, strict=True):
            if not rate:
                optimizer.zero_grad()
            # At a rate of 0 aihwkit's step only forgets what the tiles noted for their updates.
            optimizer.set_learning_rate(rate)
            optimizer.step()
            optimizer.zero_grad()

    def train(self, mode: bool) -> None:
        """Switch between training and evaluation."""
        for network in self.networks:
            network.train(mode)

    def memory(self) -> tuple[int, int]:
        """Bytes that a trial holds, and lines that a sample passes."""
        tiles = list(self.networks[0].analog_tiles())
        # Weights and the hidden parameters of every cell, single precision.
        held = sum(4 * tile.in_size * tile.out_size * (1 + len(tile.get_hidden_parameters())) for tile in tiles)
        return held, sum(tile.in_size + tile.out_size for tile in tiles)

    def figures(self, k: int) -> dict[str, Any]:
        """The share of weights at a bound; aihwkit counts no pulses on a CPU and knows no energy."""
        at_bound = cells = 0
        for tile in self.networks[k].analog_tiles():
            hidden, weight = tile.get_hidden_parameters(), tile.tile.get_weights()
            if "max_bound" in hidden:
                low, high = hidden["min_bound"], hidden["max_bound"]
                margin = 1e-3 * (high - low)
                at_bound += int(((weight <= low + margin) | (weight >= high - margin)).sum())
                cells += weight.numel()
        return {
            "pulses_set": None,
            "pulses_reset": None,
            "energy_j": None,
            "frac_at_bound": at_bound / cells if cells else float("nan"),
        }

    def state(self, k: int) -> dict[str, torch.Tensor]:
        """Nothing: aihwkit's compiled devices hold hidden state that only its own pickles carry."""
        return {}

    def load_state(self, k: int, state: Mapping[str, torch.Tensor]) -> None:
        """Never called: such trials start anew."""
        raise NotImplementedError("aihwkit's compiled devices are not checkpointed")


class _TrialSigmoid(nn.Module):
    """A sigmoid that takes the trials one by one.

    torch computes the last few elements of a tensor by another kernel, to other bits: a trial must end where its own
    tensor ends, as it does alone. The presets' other activations were seen to give the same bits everywhere.
    """

    def __init__(self, trials: int) -> None:
        super().__init__()
        self.trials = trials

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.sigmoid(part) for part in x.chunk(self.trials)])


def _split_sigmoids(network: nn.Module, trials: int) -> None:
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Sigmoid:
                setattr(parent, name, _TrialSigmoid(trials))


def _first_weights(tile: Any, init: float | str, generators: Sequence[torch.Generator]) -> torch.Tensor:
    """(trials, out, in) uniform within +-init, or within the inverse root of the inputs."""
    bound = tile.in_size**-0.5 if init == "fan_in" else float(init)
    shape = (tile.out_size, tile.in_size)
    uniform = torch.stack([torch.rand(shape, generator=generator) for generator in generators])
    return bound * (2 * uniform - 1)
