"""What of a study a GPU cannot train, and what to do instead."""

from typing import Any, NamedTuple

from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.cautions import Setting
from vcm_sweep.sweep.study.tables.device import is_physical


class Refusal(NamedTuple):
    """Why a GPU cannot train a study: the field that asks for ``what``, and what to do instead."""

    where: str
    what: str
    fix: str


def refused_by_gpu(device: dict[str, Any]) -> Refusal | None:
    """Why a GPU cannot train a study; None if it can.

    Args:
        device: canonical [device] table.
    """
    if not is_physical(device):
        named = f"[device] aihwkit = {device['aihwkit']!r}"
        return None if _aihwkit_has_cuda() else Refusal(named, "aihwkit's compiled tiles", "install its CUDA build")
    if device.get("intervention"):
        return Refusal("[device.intervention]", "an intervention", "leave it out")
    return None


def check_gpu_study(setting: Setting) -> None:
    """Raise StudyError if a GPU cannot train a setting of a study; it says :func:`refused_by_gpu`'s reason."""
    if refusal := refused_by_gpu(setting.device):
        where, what, fix = refusal
        raise StudyError(
            f"--device cuda: a GPU cannot pulse cells with {what} ({where}: {fix}); or train on the CPU, without it"
        )


def _aihwkit_has_cuda() -> bool:
    try:
        from aihwkit.simulator.rpu_base import cuda
    except ImportError:
        return False
    return bool(cuda.is_compiled())
