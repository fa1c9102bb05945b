"""The checks of ``vcm-sweep doctor``: whether the installed packages work together, which pip cannot know."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from vcm_sweep.device.doing import Doing

PYTHONS = ((3, 11), (3, 13))
"""The first and the last Python that pyproject.toml allows."""
TORCHES = ((2, 11), (2, 13))
"""The first and the last torch that pyproject.toml allows."""


@dataclass(frozen=True)
class Check:
    """One check: its name, whether it passed, what was seen, and whether something is lacking that is not needed."""

    name: str
    passed: bool
    detail: str
    lacking: bool = False

    @property
    def verdict(self) -> str:
        """The check in one word."""
        return "FAIL" if not self.passed else "lacks" if self.lacking else "ok"


def examine() -> list[Check]:
    """The results of all checks; a failing one does not stop the others."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("python", _python),
        ("torch", _torch),
        ("aihwkit", _aihwkit),
        ("compiled engine", _engine),
        ("torchvision", _torchvision),
        ("cell kernel", _kernel),
        ("designs", _designs),
        ("ray", _ray),
        ("MNIST", _mnist),
        ("GPU", _gpu),
    ]
    found = []
    for name, function in checks:
        with Doing(name):
            found.append(_one(name, function))
    return found


class _Lacking(Exception):
    """Something is not here that most studies do not need; in words, with what that costs."""


def _one(name: str, function: Callable[[], str]) -> Check:
    try:
        return Check(name, True, function())
    except _Lacking as lack:
        return Check(name, True, str(lack), lacking=True)
    except Exception as error:
        return Check(name, False, (str(error).splitlines() or [type(error).__name__])[0])


def _python() -> str:
    return _in_range("Python", sys.version.split()[0], sys.version_info[:2], PYTHONS)


def _torch() -> str:
    import torch

    return _in_range("torch", torch.__version__, tuple(map(int, torch.__version__.split(".")[:2])), TORCHES)


def _in_range(what: str, version: str, found: tuple[int, ...], allowed: tuple[tuple[int, int], tuple[int, int]]) -> str:
    first, last = (".".join(map(str, end)) for end in allowed)
    if not allowed[0] <= found <= allowed[1]:
        raise RuntimeError(f"{what} {version} is in use, and {first} to {last} were tried: install one of these")
    return version


def _aihwkit() -> str:
    import aihwkit.nn

    return f"{aihwkit.__version__}: its pure-torch classes load"


def _engine() -> str:
    from vcm_sweep.device.aihwkit_engine import REMEDY, engine_fault

    if fault := engine_fault():
        raise _Lacking(
            f"{fault}: VCM cells train all the same, but aihwkit's own devices ([device] aihwkit, "
            f"benchmarks/training.py) do not; for these {REMEDY}"
        )
    return "a compiled tile of aihwkit's keeps its weights"


def _torchvision() -> str:
    import torch

    try:
        import torchvision

        torchvision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([1.0]), 0.5)
    except (ImportError, RuntimeError) as error:
        why = str(error).splitlines()[0]
        raise _Lacking(f"{why}: MNIST, FashionMNIST and KMNIST cannot be read, digits and your own data can") from None
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


def _designs() -> str:
    absent = [name for name in ("SALib", "optuna") if find_spec(name) is None]
    if absent:
        raise _Lacking(f"no {' and no '.join(absent)}: trials train, but not all studies can be planned or analysed")
    return "SALib and Optuna are there"


def _ray() -> str:
    import logging

    try:
        import ray
    except ImportError as error:
        raise _Lacking(f"{error}: studies are trained in this process alone (--in-process)") from None
    if ray.is_initialized():
        return f"{ray.__version__}, already running"
    from vcm_sweep.cluster.ray_executor.connection import short_sockets

    ray.init(
        address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
        **short_sockets(),
    )  # fmt: skip
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


def _gpu() -> str:
    import torch

    from vcm_sweep.cluster.running.gpu import gpu_fault

    if fault := gpu_fault():
        raise _Lacking(f"{fault}: the CPU is used, and --device cuda is refused")
    try:
        triton = import_module("triton")
    except ImportError as error:
        name = torch.cuda.get_device_name(0)
        said = f"{error}: {name} computes the products and one core of the CPU the pulses; install triton"
        raise _Lacking(said) from None
    return f"{torch.cuda.get_device_name(0)}, Triton {triton.__version__}"
