"""aihwkit's own devices in its compiled tiles: one network per trial, run one after the other."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from vcm_sweep.sweep.networks.first_weights import first_weights, set_start, zero_biases
from vcm_sweep.sweep.networks.presets import build_network, lines_per_sample
from vcm_sweep.sweep.study.tables.aihwkit_device import seed_per_tile
from vcm_sweep.sweep.study.tables.build_device import aihwkit_config
from vcm_sweep.sweep.training.stack import Stack
from vcm_sweep.sweep.trial import FIGURES

if TYPE_CHECKING:
    from vcm_sweep.sweep.trial import Trial


class CompiledStack(Stack):
    """aihwkit's own devices in its compiled tiles: one network per trial, run one after the other.

    The trial's seed decides which cells are drawn. Pulses and noise come from a source of aihwkit's that cannot be
    seeded, so equal seeds give equal devices and data orders, but not equal bits.
    """

    def __init__(
        self, trials: Sequence["Trial"], tables: Sequence[dict[str, Any]], spec: Mapping[str, Any],
        shape: Sequence[int], classes: int,
    ) -> None:  # fmt: skip
        from aihwkit.nn.conversion import convert_to_analog
        from aihwkit.optim import AnalogSGD

        self.trials = len(trials)
        self.networks: list[Any] = []
        self.optimizers: list[Any] = []
        for trial, table in zip(trials, tables, strict=True):
            digital = build_network(spec, shape, classes)
            if "start_digest" in spec:
                set_start(digital, trial.start)
            else:
                zero_biases(digital)
            self._lines = lines_per_sample(digital, shape)
            network: Any = convert_to_analog(digital, seed_per_tile(aihwkit_config(table), trial.seeds.device))
            layers = dict(network.named_analog_layers())
            generators = [torch.Generator().manual_seed(trial.seeds.init)]
            for name, weights in first_weights(digital, [trial.inputs["network"]], generators).items():
                layers[name].set_weights(weights[0])
            optimizer = AnalogSGD(network.parameters(), lr=1.0)
            optimizer.regroup_param_groups(network)
            self.networks.append(network)
            self.optimizers.append(optimizer)

    def to(self, device: str) -> None:
        """Move all networks."""
        for network in self.networks:
            network.to(device)

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """The scores (trials, batch, classes) of samples (trials * batch, ...)."""
        parts = x.chunk(self.trials)
        return torch.stack([network(part) for network, part in zip(self.networks, parts, strict=True)])

    def step(self, rates: Sequence[float]) -> None:
        """One step of every trial at its learning rate, then clear the gradients; a rate of 0 freezes a trial."""
        for optimizer, rate in zip(self.optimizers, rates, strict=True):
            if not rate:
                optimizer.zero_grad()
            # The step is needed at a rate of 0 too: it clears the inputs and errors that the tiles stored for updates.
            optimizer.set_learning_rate(rate)
            optimizer.step()
            optimizer.zero_grad()

    def train(self, mode: bool) -> None:
        """Switch between training and evaluation."""
        for network in self.networks:
            network.train(mode)

    def memory(self) -> tuple[int, list[int]]:
        """Bytes that a trial's cells take, and the number of inputs and outputs per sample of each layer."""
        tiles = list(self.networks[0].analog_tiles())
        # The weight and the hidden parameters of every cell, in single precision.
        held = sum(4 * tile.in_size * tile.out_size * (1 + len(tile.get_hidden_parameters())) for tile in tiles)
        return held, self._lines

    def figures(self, k: int) -> dict[str, Any]:
        """The share of weights at a bound. The other figures are empty: aihwkit counts neither pulses nor energy."""
        at_bound = cells = 0
        for tile in self.networks[k].analog_tiles():
            hidden, weight = tile.get_hidden_parameters(), tile.tile.get_weights()
            if "max_bound" in hidden:
                low, high = hidden["min_bound"], hidden["max_bound"]
                margin = 1e-3 * (high - low)
                at_bound += int(((weight <= low + margin) | (weight >= high - margin)).sum())
                cells += weight.numel()
        return dict.fromkeys(FIGURES) | {"frac_at_bound": at_bound / cells if cells else float("nan")}
