"""The table [run]: how trials share the machines; it changes no result."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vcm_sweep.device.declared import declared, number, whole
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.tables.fields import Fields

# Fields that a canonical table always contains: those of the first version, and those of a design's own method. All
# others are left out if they have their default, so that results from before a field existed keep their keys. Must
# never be changed.
_WRITTEN_OUT = frozenset(
    ["init", "train_samples", "test_samples", "method", "replicates", "replicate_rows", "seeds", "levels", "arms"]
)


OWN = "your own function as 'package.module:function'"


def canonical(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that differ from their default, and those of the fields that are always written out."""
    fields = declared(cls)
    return {name: value for name, value in values.items() if name in _WRITTEN_OUT or value != fields[name].default}


@dataclass(frozen=True)
class RunSpec:
    """How trials are packed, bounded in time, saved on the way and tried again; no part of any result.

    A pack of 0 is "auto": its size is chosen by trying some. ``gpus_per_pack`` None is as the device needs; a
    ``memory_gb_per_pack`` of 0 sets none aside.
    """

    pack: int = whole(
        0,
        1,
        4096,
        "trials trained side by side in one process; auto tries some sizes, within the memory that is free",
        instead={"auto": 0},
    )
    deadline_s: float = number(
        3600.0, 0.1, 1e9, "s", "of a trial; then it is frozen and its record says timeout, its pack-mates go on"
    )
    checkpoint_s: float = number(300.0, 0.0, 1e9, "s", "between two saved states of a pack; 0 saves none")
    retries: int = whole(1, 0, 100, "further attempts after an error of the trial itself")
    cpus_per_pack: int = whole(
        1, 1, 1024, "cores of a pack, and threads of its process; with more than one the last bits may differ"
    )
    gpus_per_pack: float | None = number(
        None,
        0.0,
        64.0,
        "",
        "a fraction of one GPU, or whole ones; auto is one with --device cuda, else none",
        instead={"auto": None},
    )
    memory_gb_per_pack: float = number(0.0, 0.0, 1e6, "GB", "memory that Ray sets aside for a pack; 0 sets none aside")

    @classmethod
    def from_table(cls, table: Any) -> "RunSpec":
        """From the [run] table."""
        fields = Fields(table, "run")
        spec = cls(**fields.exactly(declared(cls)))
        if spec.gpus_per_pack is not None:
            check_gpu_share(spec.gpus_per_pack)
        return spec


def check_gpu_share(gpus: float) -> None:
    """Raise StudyError for a share of GPUs that cannot be given.

    >>> check_gpu_share(1.5)
    Traceback (most recent call last):
    ...
    vcm_sweep.sweep.errors.StudyError: [run] gpus_per_pack = 1.5 must be at most 1, or a whole number: take 1 or 2
    """
    if gpus > 1 and gpus != int(gpus):
        raise StudyError(
            f"[run] gpus_per_pack = {gpus:g} must be at most 1, or a whole number: take {int(gpus)} or {int(gpus) + 1}"
        )
