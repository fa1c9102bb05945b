"""The weights with which a training starts: drawn at random, or read from a safetensors file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vcm_sweep.device.torch_later import nn, torch
from vcm_sweep.sweep.errors import StudyError, one_line

FIELD = "[network] start"


def read_start(path: str) -> tuple[dict[str, torch.Tensor], str]:
    """(tensors, digest) of a file, as ``safetensors.torch.save_file(model.state_dict(), path)`` writes it.

    The digest is 16 hex digits of the file's bytes.

    Raises:
        StudyError: the file is missing, is not a safetensors file, or has values that are not finite.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        content = Path(path).read_bytes()
        tensors = load(content)
    except (OSError, SafetensorError) as error:
        raise StudyError(
            f"{FIELD} = {path!r} cannot be read ({one_line(error)}): give a file that "
            "safetensors.torch.save_file(model.state_dict(), path) wrote"
        ) from None
    for name, values in tensors.items():
        if not bool(torch.isfinite(values).all()):
            raise StudyError(f"{FIELD} = {path!r}: {name} has values that are not finite: save finite weights")
    return tensors, hashlib.sha256(content).hexdigest()[:16]


def set_start(network: nn.Module, path: str) -> str:
    """Give a digital network the weights of a file; returns the file's digest. StudyError if they do not fit."""
    tensors, digest = read_start(path)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        wanted = ", ".join(f"{name} {tuple(p.shape)}" for name, p in network.state_dict().items())
        reason = " ".join(str(error).split())[:200]
        raise StudyError(f"{FIELD} = {path!r} does not fit: {reason}; wanted: {wanted[:400]}") from None
    return digest


def first_weights(
    digital: nn.Module, specs: Sequence[Mapping[str, Any]], generators: Sequence[torch.Generator]
) -> dict[str, torch.Tensor]:
    """First weights of every layer by name, (trials, out, in): those of ``digital`` if a start is given, else drawn.

    Drawn weights are uniform within +-init, or within +-1/sqrt(number of the layer's inputs).

    Args:
        digital: network of Linear and Conv2d layers.
        specs: canonical [network] tables, one per trial, which differ in numbers of the schedule and in init alone.
        generators: one per trial.
    """
    weights = {}
    for name, layer in digital.named_modules():
        if not isinstance(layer, nn.Linear | nn.Conv2d):
            continue
        own = layer.weight.detach().flatten(1)
        if "start_digest" in specs[0]:
            weights[name] = own.expand(len(generators), -1, -1)
            continue
        bounds = [own.shape[1] ** -0.5 if spec["init"] == "fan_in" else float(spec["init"]) for spec in specs]
        drawn = [torch.rand(own.shape, generator=generator) for generator in generators]
        weights[name] = torch.stack([bound * (2 * u - 1) for bound, u in zip(bounds, drawn, strict=True)])
    return weights


def zero_biases(network: nn.Module) -> None:
    """Set all biases to 0, where they start unless a file gives them. Biases are digital, not cells."""
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            parameter.data.zero_()
