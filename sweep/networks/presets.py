"""Builds the networks that are trained: presets, or a user's own model."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from vcm_sweep.device.torch_later import nn, no_grad, torch
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.networks.own_model import build_own_model
from vcm_sweep.sweep.networks.sample_shapes import channels_hint

ACTIVATIONS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "ReLU", "leaky_relu": "LeakyReLU"}
PRESETS = ("mlp", "lenet")


def build_network(spec: Mapping[str, Any], shape: Sequence[int], classes: int) -> nn.Module:
    """The digital network of a canonical [network] table, which gives one score per class.

    Args:
        spec: canonical [network] table.
        shape: shape of one sample, without the batch.
        classes: number of scores.

    Raises:
        StudyError: images too small for the preset, or a model of the user's that cannot be trained on cells.

    Example:
        >>> network = build_network({"preset": "lenet"}, (1, 28, 28), 10)
        >>> network(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    if "model" in spec:
        return build_own_model(spec["model"], tuple(shape), classes)
    activation = getattr(nn, ACTIVATIONS[spec.get("activation", "sigmoid")])
    if spec.get("preset", "mlp") == "lenet":
        return _lenet(tuple(shape), classes, activation)
    sizes = [math.prod(shape), *spec["hidden"], classes]
    return _dense(sizes, activation)


def _dense(sizes: Sequence[int], activation: type[nn.Module]) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers[:-1])


def _lenet(shape: tuple[int, ...], classes: int, activation: type[nn.Module]) -> nn.Sequential:
    """LeNet-5 (LeCun 1998) with max pooling; kernels of 3 instead of 5 for images below 20 pixels."""
    if len(shape) != 3 or min(shape[1:]) < 8:
        fix = channels_hint(shape).removeprefix("; ") or "use preset = 'mlp'"
        raise StudyError(
            f"[network] preset = 'lenet' needs images of at least 8 x 8 pixels, (channels, height, width), not samples "
            f"of shape {shape}: {fix}"
        )
    kernel = 5 if min(shape[1:]) >= 20 else 3
    features = nn.Sequential(
        nn.Conv2d(shape[0], 6, kernel, padding=kernel // 2), activation(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, kernel), activation(), nn.MaxPool2d(2),
    )  # fmt: skip
    flat = features(torch.zeros(1, *shape)).numel()
    return nn.Sequential(*features, *_dense([flat, 120, 84, classes], activation))


@no_grad
def lines_per_sample(network: nn.Module, shape: Sequence[int]) -> list[int]:
    """For each layer, how many inputs and outputs pass through its array for one sample of a digital network.

    A convolution reads its array once for every position of its kernel.

    >>> lines_per_sample(nn.Conv2d(1, 6, 5), (1, 28, 28))  # 24 x 24 places, 25 inputs and 6 outputs each
    [17856]
    """
    lines: list[int] = []

    def count(layer: nn.Module, _: Any, output: torch.Tensor) -> None:
        weight = layer.get_parameter("weight")
        lines.append(output.numel() // weight.shape[0] * (weight[0].numel() + weight.shape[0]))

    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    network(torch.zeros(1, *shape))
    for handle in handles:
        handle.remove()
    return lines
