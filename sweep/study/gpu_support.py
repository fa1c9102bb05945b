"""What of a study a GPU cannot train, and what to do instead."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.catalogue import apply_factors
from vcm_sweep.sweep.study.cautions import Setting
from vcm_sweep.sweep.study.factors import Factor
from vcm_sweep.sweep.study.tables.build_device import build_device
from vcm_sweep.sweep.study.tables.device import is_physical


class Refusal(NamedTuple):
    """One reason why a GPU cannot train a study: the field or factors that ask for ``what``, and what to do instead."""

    where: str
    what: str
    fix: str


def refused_by_gpu(device: dict[str, Any], factors: Sequence[Factor]) -> list[Refusal]:
    """Why a GPU cannot train a study; empty if it can. The first reason for [device] itself; else those of the factors.

    Each factor is tried alone at both ends of its range, then those that pass all at their high ends.

    Args:
        device: canonical [device] table.
        factors: the study's factors.
    """
    if not is_physical(device):
        named = f"[device] aihwkit = {device['aihwkit']!r}"
        return [] if _aihwkit_has_cuda() else [Refusal(named, "aihwkit's compiled tiles", "install its CUDA build")]
    if always := _refusal("[device]", device, {}):
        return [always]
    own = [factor for factor in factors if factor.path[0] == "device"]
    alone = {
        factor.name: refusal
        for factor in own
        for end in reversed(factor.law.corners)
        if (refusal := _refusal(factor.name, device, {factor.name: end}))
    }
    found: dict[tuple[str, str], list[str]] = {}
    for name, refusal in alone.items():
        found.setdefault((refusal.what, refusal.fix), []).append(name)
    refusals = [Refusal(f"factor{'s' * (len(names) > 1)} {', '.join(names)}", *why) for why, names in found.items()]
    rest = {factor.name: factor.high for factor in own if factor.name not in alone}
    together = _refusal("factors together", device, rest)
    return [*refusals, together] if together else refusals


def check_gpu_study(setting: Setting) -> None:
    """Raise StudyError if a GPU cannot train a setting of a study; it names :func:`refused_by_gpu`'s reasons."""
    if refusals := refused_by_gpu(setting.device, setting.factors):
        reasons = ", with ".join(f"{what} ({where}: {fix})" for where, what, fix in refusals)
        raise StudyError(f"--device cuda: a GPU cannot pulse cells with {reasons}; or train on the CPU, without it")


def _refusal(where: str, device: dict[str, Any], values: dict[str, float]) -> Refusal | None:
    # Imported here, since it loads the compiled kernels, which reading a study does not need.
    from vcm_sweep.device.array.gpu_support import gpu_obstacle

    made = apply_factors({"device": device, "network": {}}, values)["device"]
    # Ends of ranges that make no valid device together are found, and named, by check_devices.
    with suppress(DeviceError):
        obstacle = gpu_obstacle(build_device(made))
        return Refusal(where, *obstacle) if obstacle else None
    return None


def _aihwkit_has_cuda() -> bool:
    try:
        from aihwkit.simulator.rpu_base import cuda
    except ImportError:
        return False
    return bool(cuda.is_compiled())
