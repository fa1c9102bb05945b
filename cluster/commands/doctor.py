"""The checks of ``vcm-sweep doctor``: whether the installed packages work together, which pip cannot know."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One check: its name, whether it passed, and what was seen."""

    name: str
    passed: bool
    detail: str


def examine() -> list[Check]:
    """The results of all checks; a failing one does not stop the others."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("python", _python),
        ("aihwkit with torch", _aihwkit),
        ("torchvision", _torchvision),
        ("cell kernel", _kernel),
        ("ray", _ray),
        ("MNIST", _mnist),
        ("CUDA", _cuda),
    ]
    return [_one(name, function) for name, function in checks]


def _one(name: str, function: Callable[[], str]) -> Check:
    try:
        return Check(name, True, function())
    except Exception as error:
        return Check(name, False, (str(error).splitlines() or [type(error).__name__])[0])


def _python() -> str:
    if sys.version_info[:2] != (3, 12):
        raise RuntimeError(f"Python {sys.version.split()[0]} is in use, aihwkit's wheel needs 3.12")
    return sys.version.split()[0]


def _aihwkit() -> str:
    import torch
    from aihwkit.simulator.configs import SingleRPUConfig
    from aihwkit.simulator.configs.devices import ConstantStepDevice
    from aihwkit.simulator.tiles.analog import AnalogTile
    from aihwkit.version import __version__

    # All cells have the same bounds here: randomly drawn bounds would sometimes clip one of these weights.
    device = ConstantStepDevice(w_max_dtod=0.0, w_min_dtod=0.0)
    tile = AnalogTile(2, 2, SingleRPUConfig(device=device))
    wanted = torch.tensor([[0.1, -0.2], [0.3, 0.0]])
    tile.set_weights(wanted)
    if not torch.allclose(tile.get_weights()[0], wanted, atol=1e-3):
        raise RuntimeError(
            f"a compiled tile lost its weights: aihwkit {__version__} needs torch 2.13, this is {torch.__version__}"
        )
    return f"aihwkit {__version__}, torch {torch.__version__}: a compiled tile keeps its weights"


def _torchvision() -> str:
    import torch
    import torchvision

    torchvision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([1.0]), 0.5)
    return f"{torchvision.__version__} loads with its compiled operators"


def _kernel() -> str:
    import time

    import torch
    from aihwkit.nn import AnalogLinear

    from vcm_sweep.device import VCMRPUConfig

    started = time.perf_counter()
    layer = AnalogLinear(4, 2, bias=False, rpu_config=VCMRPUConfig())
    tile = layer.analog_module.tile
    tile.set_weights(torch.zeros(2, 4))
    before = tile.get_weights()
    tile.update(torch.ones(1, 4), -torch.ones(1, 2))
    if not bool((tile.get_weights() > before).all()):
        raise RuntimeError("SET pulses did not raise the weights")
    return f"SET pulses raise the weights ({time.perf_counter() - started:.1f} s with compiling)"


def _ray() -> str:
    import logging

    import ray

    if ray.is_initialized():
        return f"{ray.__version__}, already running"
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        if ray.get(ray.remote(num_cpus=1)(lambda: 6 * 7).remote(), timeout=60) != 42:
            raise RuntimeError("a task gave a wrong answer")
    finally:
        ray.shutdown()
    mode = os.environ.get("RAY_AUTH_MODE", "token (Ray's default)")
    return f"{ray.__version__} starts and runs a task; RAY_AUTH_MODE {mode}"


def _mnist() -> str:
    from vcm_sweep.sweep.data.sets import CACHE, DATA_VARIABLE

    folder = os.environ.get(DATA_VARIABLE) or CACHE
    from pathlib import Path

    there = (Path(folder) / "MNIST" / "raw").is_dir()
    return f"{'found' if there else 'not there yet, downloaded when first needed'} ({folder})"


def _cuda() -> str:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none; the CPU is used"
