"""The networks that are trained: presets, a user's own model, and the weights that a training starts from."""

import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .errors import StudyError
from .imports import load_attribute, one_line

ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU}
PRESETS = ("mlp", "lenet")


def build_network(spec: Mapping[str, Any], shape: Sequence[int], classes: int) -> nn.Module:
    """The digital network of a canonical [network] table, which gives one score per class.

    Args:
        spec: canonical [network] table.
        shape: of one sample, without the batch.
        classes: number of scores.

    Raises:
        StudyError: images too small for the preset, or a model of the user's that cannot be trained on cells.

    Example:
        >>> network = build_network({"preset": "lenet"}, (1, 28, 28), 10)
        >>> network(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    if "model" in spec:
        return _own(spec["model"], tuple(shape), classes)
    activation = ACTIVATIONS[spec.get("activation", "sigmoid")]
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
        raise StudyError(
            f"[network] preset = 'lenet' needs images of at least 8 x 8 pixels, not samples of shape {shape}: "
            "use preset = 'mlp'"
        )
    kernel = 5 if min(shape[1:]) >= 20 else 3
    features = nn.Sequential(
        nn.Conv2d(shape[0], 6, kernel, padding=kernel // 2), activation(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, kernel), activation(), nn.MaxPool2d(2),
    )  # fmt: skip
    flat = features(torch.zeros(1, *shape)).numel()
    return nn.Sequential(*features, *_dense([flat, 120, 84, classes], activation))


def _own(path: str, shape: tuple[int, ...], classes: int) -> nn.Module:
    field = "[network] model"
    factory = load_attribute(path, field)
    if not callable(factory):
        raise StudyError(f"{field} = {path!r} must name a function of (shape, classes) that returns a torch module")
    try:
        model = factory(shape, classes)
    except Exception as error:
        raise StudyError(f"{field} = {path!r} failed with {one_line(error)}") from None
    if not isinstance(model, nn.Module):
        raise StudyError(f"{field} = {path!r} returned {type(model).__name__}: return a torch.nn.Module")
    _check_model(model, f"{field} = {path!r}", shape, classes)
    return model


@torch.no_grad()
def _check_model(model: nn.Module, what: str, shape: tuple[int, ...], classes: int) -> None:
    """A stacked training folds its trials into the batch: a sample's scores must depend on that sample alone."""
    elsewhere = [
        name
        for name, module in model.named_modules()
        for _ in module.parameters(recurse=False)
        if not isinstance(module, nn.Linear | nn.Conv2d)
    ]
    if elsewhere:
        raise StudyError(
            f"{what}: the layer {elsewhere[0]!r} has parameters, but only Linear and Conv2d become cells: leave it out"
        )
    if not any(True for _ in model.parameters()):
        raise StudyError(f"{what} has no Linear or Conv2d layer: nothing would be trained")
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.rand(3, *shape, generator=generator) for _ in range(2))
    other[0] = one[0]
    try:
        scores = [model.train()(x) for x in (one, other, one)]
    except Exception as error:
        raise StudyError(f"{what} failed on a batch of shape {tuple(one.shape)} with {one_line(error)}") from None
    if not isinstance(scores[0], torch.Tensor) or scores[0].shape != (3, classes):
        got = tuple(getattr(scores[0], "shape", ())) or type(scores[0]).__name__
        raise StudyError(f"{what} gave {got} for 3 samples: return scores of shape (samples, {classes})")
    # Scores that are not finite are the trial's to record, as diverged.
    scores = [torch.nan_to_num(given) for given in scores]
    if not torch.equal(scores[0], scores[2]):
        raise StudyError(f"{what} gives other scores at every call: leave out dropout and other random layers")
    if not torch.allclose(scores[0][0], scores[1][0], atol=1e-5):
        raise StudyError(f"{what} mixes the samples of a batch: leave out batch normalisation")


def load_weights(path: str) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, as ``safetensors.torch.save_file(model.state_dict(), path)`` writes it.

    Raises:
        StudyError: a file that is not there, or is no safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise StudyError(
            f"[network] start = {path!r} cannot be read ({one_line(error)}): give a file that "
            "safetensors.torch.save_file(model.state_dict(), path) wrote"
        ) from None


def set_start(network: nn.Module, path: str) -> None:
    """Give a digital network the weights of a file; StudyError where they do not fit."""
    try:
        network.load_state_dict(load_weights(path))
    except RuntimeError as error:
        wanted = ", ".join(f"{name} {tuple(p.shape)}" for name, p in network.state_dict().items())
        reason = " ".join(str(error).split())[:200]
        raise StudyError(f"[network] start = {path!r} does not fit: {reason}; wanted: {wanted[:400]}") from None


@lru_cache(maxsize=4)
def weights_digest(path: str) -> str:
    """16 hex digits of a file of weights; StudyError if it cannot be read."""
    load_weights(path)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
