"""``CellStack``: a stack of VCM cells, which is one network whose tensors all have trials as their first axis."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from aihwkit.nn import AnalogConv2d, AnalogLinear, AnalogSequential
from aihwkit.nn.conversion import convert_to_analog
from torch import nn

from vcm_sweep.device.array.figures import array_figures
from vcm_sweep.device.doing import Doing
from vcm_sweep.device.tile.optimizer import TrialSGD
from vcm_sweep.sweep.networks.first_weights import first_weights, set_start, zero_biases
from vcm_sweep.sweep.networks.presets import build_network, lines_per_sample
from vcm_sweep.sweep.study.tables.build_device import rpu_config
from vcm_sweep.sweep.training.stack import ResumableStack

if TYPE_CHECKING:
    import numpy as np

    from vcm_sweep.device.array.count import Count
    from vcm_sweep.sweep.trial import Trial


class CellStack(ResumableStack):
    """VCM cells: one network whose tensors all have trials as their first axis."""

    def __init__(
        self, trials: Sequence["Trial"], tables: Sequence[dict[str, Any]], spec: Mapping[str, Any],
        shape: Sequence[int], classes: int,
    ) -> None:  # fmt: skip
        self.trials, self._own_model = len(trials), "model" in spec
        digital = build_network(spec, shape, classes)
        if "start_digest" in spec:
            set_start(digital, trials[0].start)
        else:
            zero_biases(digital)
        self._lines = lines_per_sample(digital, shape)
        seeds = [trial.seeds for trial in trials]
        config = rpu_config(list(tables), [seed.arrays for seed in seeds])
        # lines_per_sample has an entry for each analog layer.
        with Doing(f"making the cells of {len(self._lines)} layers"):
            self.network: Any = convert_to_analog(digital, config, conversion_map=_AS_MADE)
        _split_sigmoids(self.network, self.trials)
        self.tiles = list(self.network.analog_tiles())
        assert [tile.tile.index for tile in self.tiles] == list(range(len(self.tiles))), "made in the network's order"
        arrays = [tile.tile.cells for tile in self.tiles]
        self._made = [array_figures(arrays, k) for k in range(self.trials)]
        layers = dict(self.network.named_analog_layers())
        generators = [torch.Generator().manual_seed(seed.init) for seed in seeds]
        for name, weights in first_weights(digital, [trial.inputs["network"] for trial in trials], generators).items():
            layers[name].analog_module.set_weights(weights, digital.get_submodule(name).bias)
        self._fold: tuple[int, ...] = (self.trials, -1, classes)
        self.optimizer = TrialSGD(self.network, 1.0, [0.0] * self.trials)

    def to(self, device: str) -> None:
        """Move the cells and biases, and make the optimizer anew for them."""
        self.network.to(device)
        self.optimizer = TrialSGD(self.network, 1.0, [0.0] * self.trials)

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """The scores (trials, batch, classes) of samples (trials * batch, ...)."""
        scores: torch.Tensor = self.network(x).reshape(self._fold)
        return scores

    def step(self, rates: Sequence[float]) -> None:
        """One step of every trial at its learning rate, then clear the gradients; a rate of 0 freezes a trial."""
        self.optimizer.set_factors(rates)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def train(self, mode: bool) -> None:
        """Switch between training and evaluation."""
        self.network.train(mode)

    def counts(self) -> "list[Count] | None":
        """Those of all tiles; None where a step asks for more, or runs code of the user's that may."""
        tiles = [tile.tile for tile in self.tiles]
        if self._own_model or not all(tile.replayable for tile in tiles):
            return None
        return [count for tile in tiles for count in tile.counts]

    def forget(self) -> None:
        """Drop what the layers keep of a batch for their update."""
        self.optimizer.zero_grad()

    def memory(self) -> tuple[int, list[int]]:
        """Bytes that a trial's cells take, and the number of inputs and outputs per sample of each layer."""
        buffers = {id(b): b for tile in self.tiles for b in tile.tile.buffers()}.values()
        held = sum(buffer.numel() * buffer.element_size() for buffer in buffers)
        return held // self.trials, self._lines

    def pulses(self) -> "np.ndarray[Any, Any] | None":
        """(trials,) pulses fired so far; None on a GPU, which would have to be waited for."""
        counters = [tile.tile.cells.counters for tile in self.tiles]
        if not counters or counters[0].is_cuda:
            return None
        fired: np.ndarray[Any, Any] = sum(counter.numpy()[:, :2].sum(1) for counter in counters)
        return fired

    def figures(self, k: int) -> dict[str, Any]:
        """Pulses, their energy, and the share of cells at a bound."""
        arrays = [tile.tile.cells for tile in self.tiles]
        for array in arrays:
            array.refuse_invalid(k)
        set_pulses, reset_pulses, energy, *_ = sum(array.counters[k] for array in arrays).tolist()
        cells = sum(array.out_size * array.in_size for array in arrays)
        at_bound = sum(array.fraction_at_bound(k) * array.out_size * array.in_size for array in arrays)
        return {
            "pulses_set": int(set_pulses),
            "pulses_reset": int(reset_pulses),
            "energy_j": energy,
            "frac_at_bound": at_bound / cells,
            **self._made[k]._asdict(),
        }

    def state(self, k: int) -> dict[str, torch.Tensor]:
        """Trial k's state: the cells, calls and suspects of every tile, and the digital biases."""
        state = {f"bias.{i}": bias.detach()[k].cpu().clone() for i, bias in enumerate(self._biases())}
        for i, tile in enumerate(self.tiles):
            state |= {f"tile.{i}.{name}": value for name, value in tile.tile.cells.state(k).items()}
            state[f"tile.{i}.calls"] = torch.tensor(tile.tile.calls)
            state[f"tile.{i}.suspects"] = torch.from_numpy(tile.tile.suspects[k].copy())
        return state

    def load_state(self, k: int, state: Mapping[str, torch.Tensor]) -> None:
        """Restore trial k; all trials of a stack must be at the same step."""
        for i, bias in enumerate(self._biases()):
            bias.data[k] = state[f"bias.{i}"].to(bias.device)
        for i, tile in enumerate(self.tiles):
            prefix = f"tile.{i}."
            own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
            tile.tile.calls = own.pop("calls").tolist()
            tile.tile.suspects[k] = own.pop("suspects").numpy()
            tile.tile.cells.load_state(k, own)

    def _biases(self) -> list[nn.Parameter]:
        return [parameter for name, parameter in self.network.named_parameters() if name.endswith("bias")]


class _AsMade:
    """A layer whose cells stay as they were made while aihwkit converts the network.

    The conversion would program them twice, with weights that no trial keeps. Each time would cost time and draw random
    write errors, and the first weights of every trial are programmed afterwards anyway.
    """

    def reset_parameters(self) -> None:
        """Does nothing, where aihwkit would program random weights."""

    def set_weights(self, *_: Any, **__: Any) -> None:
        """Does nothing, where aihwkit would program the weights of the digital layer."""


class _LinearAsMade(_AsMade, AnalogLinear):
    pass


class _Conv2dAsMade(_AsMade, AnalogConv2d):
    pass


_AS_MADE = {nn.Linear: _LinearAsMade, nn.Conv2d: _Conv2dAsMade, nn.Sequential: AnalogSequential}


class TrialSigmoid(nn.Module):
    """A sigmoid that is computed trial by trial, so that a trial gets the same bits as when it is trained alone.

    torch computes the last few elements of a tensor by other code than the rest, with other last bits. So each trial
    must be a tensor of its own. The presets' other activations were found to give the same bits everywhere. A GPU has
    one code for all elements, and a kernel for each trial would cost it milliseconds.
    """

    def __init__(self, trials: int) -> None:
        super().__init__()
        self.trials = trials

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(x) if x.is_cuda else torch.cat([torch.sigmoid(part) for part in x.chunk(self.trials)])


def _split_sigmoids(network: nn.Module, trials: int) -> None:
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Sigmoid:
                setattr(parent, name, TrialSigmoid(trials))
