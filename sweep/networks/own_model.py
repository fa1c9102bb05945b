"""A user's own network: built by their function, checked once per process, and identified by a digest of its source."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path
from typing import Any

from vcm_sweep.device.torch_later import nn, no_grad, torch
from vcm_sweep.sweep.errors import StudyError, one_line
from vcm_sweep.sweep.networks.model_checks import check_model
from vcm_sweep.sweep.user_code import load_attribute

FIELD = "[network] model"


def build_own_model(path: str, shape: tuple[int, ...], classes: int) -> nn.Module:
    """The network that the function at ``path``, "package.module:function", builds, checked for training on cells.

    Args:
        path: path of a function of (shape, classes).
        shape: shape of one sample, without the batch.
        classes: number of scores.

    Raises:
        StudyError: one line; the function fails, or its network cannot become stacked arrays of cells.
    """
    own_model_digest(path, shape, classes)
    return _call(_factory(path), path, shape, classes)


def own_model_digest(path: str, shape: tuple[int, ...], classes: int) -> str:
    """A digest, 16 hex digits, of the source from which a model is built, of its layers and of its buffers' values.

    The source is that of the module that ``path`` names, and of the modules that define its function and its layers.
    Other modules, which these import, are not part of the digest.

    Raises:
        StudyError: as :func:`build_own_model`.
    """
    return _checked(_factory(path), path, shape, classes)


# The cache's key is the function, not its path: if the module is imported anew, its function may be another one.
@lru_cache(maxsize=8)
def _checked(factory: Any, path: str, shape: tuple[int, ...], classes: int) -> str:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = _call(factory, path, shape, classes)
        torch.manual_seed(2)
        twin = _call(factory, path, shape, classes)
        digest = _digest(path, factory, model)
        check_model(model, twin, f"{FIELD} = {path!r}", shape, classes)
    return digest


def _factory(path: str) -> Any:
    factory = load_attribute(path, FIELD)
    if not callable(factory) or not isinstance(factory, Hashable):
        raise StudyError(f"{FIELD} = {path!r} must name a function of (shape, classes) that returns a torch module")
    return factory


def _call(factory: Any, path: str, shape: tuple[int, ...], classes: int) -> nn.Module:
    try:
        model = factory(shape, classes)
    except (Exception, SystemExit) as error:
        raise StudyError(f"{FIELD} = {path!r} failed with {one_line(error)}") from None
    if not isinstance(model, nn.Module):
        raise StudyError(f"{FIELD} = {path!r} returned {type(model).__name__}: return a torch.nn.Module")
    if any(nn.parameter.is_lazy(tensor) for tensor in (*model.parameters(), *model.buffers())):
        _find_shapes(model, path, shape)
    return model


@no_grad
def _find_shapes(model: nn.Module, path: str, shape: tuple[int, ...]) -> None:
    """Call a network with lazy layers once, from which they take the number of their inputs."""
    try:
        model(torch.zeros(2, *shape))
    except (Exception, SystemExit) as error:
        raise StudyError(
            f"{FIELD} = {path!r}: its lazy layers take their shapes from a first call, and on a batch of shape "
            f"{(2, *shape)} that failed with {one_line(error)}"
        ) from None
    lazy = [name for name, tensor in model.named_parameters() if nn.parameter.is_lazy(tensor)]
    if lazy:
        raise StudyError(f"{FIELD} = {path!r}: a call gives {lazy[0]!r} no shape: use its layer, or leave it out")


def _digest(path: str, factory: Any, model: nn.Module) -> str:
    names = {path.partition(":")[0], getattr(factory, "__module__", ""), *(type(m).__module__ for m in model.modules())}
    digest = hashlib.sha256()
    for name in sorted(names):
        file = getattr(sys.modules.get(name), "__file__", None)
        # torch's own layers are left out; its version is in every record.
        if file and name.partition(".")[0] != "torch":
            digest.update(name.encode() + Path(file).read_bytes())
    for name, values in model.state_dict().items():
        digest.update(f"{name} {values.dtype} {tuple(values.shape)} ".encode())
    for _, buffer in model.named_buffers():
        digest.update(buffer.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
