"""The resources that a pack needs of a node, and which nodes have them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vcm_sweep.sweep.errors import ExecutorError, StudyError
from vcm_sweep.sweep.study.tables.run import RunSpec, check_gpu_share


@dataclass(frozen=True)
class PackNeeds:
    """Resources that one pack holds while it runs.

    Attributes:
        cpus: whole cores. gpus: a fraction of one GPU, or whole GPUs. memory_gb: memory that Ray reserves; 0 for none.

    Raises:
        StudyError: a share of GPUs that Ray cannot give.
    """

    cpus: int = 1
    gpus: float = 0.0
    memory_gb: float = 0.0

    def __post_init__(self) -> None:
        check_gpu_share(self.gpus)

    @classmethod
    def of(cls, spec: RunSpec, device: str = "cpu") -> "PackNeeds":
        """The needs in a study's [run] table; on "cuda" a pack has a GPU of its own unless the table says otherwise."""
        gpus = spec.gpus_per_pack
        if device != "cpu" and gpus == 0:
            raise StudyError(
                '[run] gpus_per_pack = 0 gives a pack no GPU, and --device cuda trains on one: take "auto", or a share '
                "of one such as 0.5"
            )
        return cls(spec.cpus_per_pack, float(device != "cpu") if gpus is None else gpus, spec.memory_gb_per_pack)

    @property
    def packs_per_gpu(self) -> int:
        """The number of packs that share one GPU."""
        return max(1, math.floor(1 / self.gpus + 1e-9)) if self.gpus else 1

    def options(self) -> dict[str, Any]:
        """The needs as options of ``ray.remote``."""
        memory = {"memory": int(self.memory_gb * 2**30)} if self.memory_gb else {}
        return {"num_cpus": self.cpus, "num_gpus": self.gpus, **memory}

    def slots(self, resources: Mapping[str, float]) -> int:
        """The number of packs that fit side by side on a node with these resources.

        >>> PackNeeds(cpus=1, gpus=0.5).slots({"CPU": 16.0, "GPU": 2.0})
        4
        """
        asked = {"CPU": float(self.cpus), "GPU": self.gpus, "memory": self.memory_gb * 2**30}
        return min(
            # Packs that need a fraction of a GPU share one in equal parts; none spans two GPUs.
            int(resources.get(name, 0.0)) * self.packs_per_gpu
            if name == "GPU" and need < 1
            else int(resources.get(name, 0.0) // need)
            for name, need in asked.items()
            if need
        )

    def __str__(self) -> str:
        """The needs in words."""
        parts = [f"{self.cpus} CPU{'s' if self.cpus > 1 else ''}"]
        if self.gpus:
            parts.append(f"{self.gpus:g} GPU{'s' if self.gpus > 1 else ''}")
        if self.memory_gb:
            parts.append(f"{self.memory_gb:g} GB of memory")
        return ", ".join(parts)


def check_feasible(needs: PackNeeds, nodes: Iterable[tuple[str, Mapping[str, float]]]) -> None:
    """Raise if no node can ever run a pack; Ray would silently wait for one.

    Args:
        needs: of a pack. nodes: (name, resources) of each node.

    Raises:
        ExecutorError: no node can; the message names the nodes and what they have.
    """
    known = list(nodes)
    if any(needs.slots(resources) for _, resources in known):
        return
    shown = "; ".join(f"{name} has {_has(resources)}" for name, resources in known[:20]) or "there are no nodes"
    more = f"; and {len(known) - 20} more" if len(known) > 20 else ""
    raise ExecutorError(
        f"no node can run a pack, which needs {needs} ({shown}{more}): lower cpus_per_pack, gpus_per_pack or "
        "memory_gb_per_pack in [run], or add a node"
    )


def _has(resources: Mapping[str, float]) -> str:
    cpus, gpus, memory = (resources.get(name, 0.0) for name in ("CPU", "GPU", "memory"))
    return f"{cpus:g} CPU, {gpus:g} GPU, {memory / 2**30:.1f} GB"
