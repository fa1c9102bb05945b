"""The same network without our cells: what a step costs with a plain update on the GPU, or with aihwkit's devices.

The plain tile reads its weights as ours do, with the same IO and noise for all stacked trials, and adds its step in
floating point. aihwkit's own torch tile has that IO too, but no stack and another bound management. Its ConstantStep
device is compiled, for the CPU alone.
"""

import copy
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from aihwkit.nn import AnalogLinear
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs import SingleRPUConfig, TorchInferenceRPUConfig
from aihwkit.simulator.configs.devices import ConstantStepDevice

from gpu_sections.places import Gpu
from gpu_sections.stacks import Sizes, data, inputs
from vcm_sweep.device import VCMRPUConfig
from vcm_sweep.device.tile.analog_product import analog_product
from vcm_sweep.device.tile.io_numbers import IoNumbers
from vcm_sweep.sweep.seeds import children
from vcm_sweep.sweep.study.tables.build_device import rpu_config


class _Read(torch.autograd.Function):
    """The analog product forward and backward, with plain gradients of the weights."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor, weight: torch.Tensor, io: IoNumbers, back: IoNumbers) -> Any:
        context.save_for_backward(x, weight)
        context.back = back
        return analog_product(weight, x, io, _normal(x.device))

    @staticmethod
    def backward(context: Any, *errors: torch.Tensor) -> Any:
        x, weight = context.saved_tensors
        (d,) = errors
        there = None
        if context.needs_input_grad[0]:
            there = analog_product(weight.transpose(1, 2), d, context.back, _normal(d.device))
        return there, torch.bmm(d.transpose(1, 2), x), None, None


def _normal(device: torch.device) -> Callable[[tuple[int, ...], int], torch.Tensor]:
    return lambda shape, draw: torch.randn(shape, device=device)


class PlainLinear(torch.nn.Module):
    """Stacked layers, (trials, batch, features), with plain weights."""

    def __init__(self, trials: int, features_in: int, features_out: int, config: VCMRPUConfig) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(trials, features_out, features_in) - 0.5)
        self.bias = torch.nn.Parameter(torch.zeros(trials, 1, features_out))
        self.forward_io, self.backward_io = IoNumbers([config.forward]), IoNumbers([config.backward], forward=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The noisy product and the bias."""
        read: torch.Tensor = _Read.apply(x, self.weight, self.forward_io, self.backward_io)  # type: ignore[no-untyped-call]
        return read + self.bias


def plain_ms(size: Sizes, trials: int, where: Gpu) -> float:
    """Milliseconds per step of the plain network."""
    given = inputs(size, "noise-free")
    config = rpu_config([given["device"]], [children(1).arrays])
    network = _network(size, lambda a, b: PlainLinear(trials, a, b, config)).to(where.device)
    optimizer = torch.optim.SGD(network.parameters(), lr=given["network"]["lr"])
    return _step_ms(size, network, optimizer, where.device, trials, where.wait)


def inference_ms(size: Sizes, where: Gpu) -> float:
    """Milliseconds per step of one network on aihwkit's torch tile, trained in floating point."""
    config = TorchInferenceRPUConfig()
    config.mapping.max_input_size = config.mapping.max_output_size = 0
    network = _network(size, lambda a, b: AnalogLinear(a, b, rpu_config=copy.deepcopy(config))).to(where.device)
    return _step_ms(size, network, _analog_sgd(size, network), where.device, None, where.wait)


def compiled_ms(size: Sizes) -> float:
    """Milliseconds per step of one network of aihwkit's ConstantStep device, on one core of the CPU."""
    config = SingleRPUConfig(device=ConstantStepDevice(dw_min=1e-3))
    config.mapping.max_input_size = config.mapping.max_output_size = 0
    network = _network(size, lambda a, b: AnalogLinear(a, b, rpu_config=copy.deepcopy(config)))
    return _step_ms(size, network, _analog_sgd(size, network), "cpu", None, lambda: None)


def _analog_sgd(size: Sizes, network: torch.nn.Module) -> AnalogSGD:
    optimizer = AnalogSGD(network.parameters(), lr=inputs(size, "noise-free")["network"]["lr"])
    optimizer.regroup_param_groups(network)
    return optimizer


def _network(size: Sizes, layer: Callable[[int, int], torch.nn.Module]) -> torch.nn.Sequential:
    features = data(size).train_x[0].numel()
    widths = [features, *inputs(size, "noise-free")["network"]["hidden"], data(size).classes]
    layers = [part for a, b in itertools.pairwise(widths) for part in (layer(a, b), torch.nn.Sigmoid())]
    return torch.nn.Sequential(*layers[:-1])


def _batches(size: Sizes, device: str, trials: int | None) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    samples, batch = data(size), inputs(size, "noise-free")["network"]["batch"]
    x, y = samples.train_x.flatten(1).to(device), samples.train_y.to(device)
    for first in itertools.cycle(range(0, len(y) - batch, batch)):
        rows = slice(first, first + batch)
        yield (x[rows], y[rows]) if trials is None else (x[rows].expand(trials, -1, -1), y[rows].expand(trials, -1))


def _step_ms(
    size: Sizes, network: torch.nn.Module, optimizer: Any, device: str, trials: int | None, wait: Callable[[], None]
) -> float:
    batches = _batches(size, device, trials)

    def take(count: int) -> None:
        for x, y in itertools.islice(batches, count):
            optimizer.zero_grad()
            log_p = torch.log_softmax(network(x), -1).gather(-1, y[..., None])[..., 0]
            (-log_p.mean(-1).sum()).backward()
            optimizer.step()
        wait()

    take(size.warm_up)
    began = time.perf_counter()
    take(size.timed)
    return (time.perf_counter() - began) / size.timed * 1e3
