"""What of a study a GPU cannot train, and what to do instead; and what of it runs on the CPU all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.cautions import Setting
from vcm_sweep.sweep.study.tables.device import is_physical

if TYPE_CHECKING:
    from vcm_sweep.sweep.study.study import Study


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
    return None


def check_gpu_study(setting: Setting) -> None:
    """Raise StudyError if a GPU cannot train a setting of a study; it says :func:`refused_by_gpu`'s reason."""
    if refusal := refused_by_gpu(setting.device):
        where, what, fix = refusal
        raise StudyError(
            f"--device cuda: a GPU cannot pulse cells with {what} ({where}: {fix}); or train on the CPU, without it"
        )


def pulsed_by_cpu(study: Study) -> str | None:
    """What of a study's pulses the CPU computes although a GPU trains it, in a sentence; None if nothing."""
    given = [setting.device for setting in study.settings if is_physical(setting.device)]
    if study.design.arms == "mediation" or any(device.get("intervention") for device in given):
        return (
            "--device cuda: where cells have an intervention one core of the CPU computes the pulses of a whole pack, "
            "and the GPU only the products"
        )
    return None


def _aihwkit_has_cuda() -> bool:
    try:
        from aihwkit.simulator.rpu_base import cuda
    except ImportError:
        return False
    return bool(cuda.is_compiled())
