"""The functions that run on workers, in a file of their own, so that a worker imports no more than it needs."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

from vcm_sweep.cluster.ray_executor.overheard import telling
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.packs.recovery import Failure, classified
from vcm_sweep.sweep.training.interrupts import told_to_stop
from vcm_sweep.sweep.training.turns import Turns, turns
from vcm_sweep.sweep.trial import Trial, TrialRecord
from vcm_sweep.sweep.user_code import search_in

if TYPE_CHECKING:
    from vcm_sweep.sweep.data.shared_data import SharedData
    from vcm_sweep.sweep.packs.executor import Task


@dataclass(frozen=True)
class TrainSettings:
    """Where a worker finds data and code, and keeps checkpoints.

    Attributes:
        data_dir: torchvision root. import_dirs: folders of the user's own modules, in their order.
        device: torch's device. checkpoints: folder of the states of unfinished trials, a path or a URI for pyarrow.
        checkpoint_s: seconds between two checkpoints of a pack.
    """

    data_dir: str | None = None
    import_dirs: tuple[str, ...] = ()
    device: str = "cpu"
    checkpoints: str | None = None
    checkpoint_s: float = 300.0


def train_from(settings: TrainSettings, trials: Sequence[Trial], data: "SharedData | None" = None) -> list[TrialRecord]:
    """Train a pack; with ``data`` from the driver nothing is read from data_dir."""
    from vcm_sweep.sweep.training.training import train

    search_in(settings.import_dirs)
    return train(
        trials, settings.data_dir, settings.device, settings.checkpoints, settings.checkpoint_s,
        data=data.data if data else None,
    )  # fmt: skip


@dataclass(frozen=True)
class Started:
    """A worker's first message: the pack has started, on this node and in this process."""

    node: str
    pid: int


@dataclass(frozen=True)
class Mistake:
    """A worker's message that the study is wrong: the text of a StudyError."""

    text: str


@dataclass(frozen=True)
class Stopped:
    """A worker's message that the pack was told to stop, and has saved what it could."""


Message: TypeAlias = Started | Mistake | Stopped | Failure | list[TrialRecord]


def run_pack(task: "Task", pack: Sequence[Trial], cpus: int) -> Iterator[Message]:
    """Runs on a worker: yields that it has started, then what became of the pack.

    Exceptions that hold more than a text may not survive pickling, so failures are sent as plain values.
    """
    import ray

    limit_threads(cpus)
    yield Started(ray.get_runtime_context().get_node_id(), os.getpid())
    with telling():
        outcome = _outcome(task, pack)
    yield outcome


class GpuWorker:
    """A worker process that stays from pack to pack; while one trains, the cells of the next are made."""

    def __init__(self) -> None:
        self._turns = Turns(making=Lock(), training=Lock())

    def run(self, task: "Task", pack: Sequence[Trial], cpus: int) -> Iterator[Message]:
        """As :func:`run_pack`, on a thread of its own."""
        import ray

        turns.set(self._turns)
        told_to_stop.set(ray.get_runtime_context().is_canceled)
        yield from run_pack(task, pack, cpus)


def kill_process(pid: int) -> None:
    """Kill a process that does not answer; runs on its node."""
    import signal
    from contextlib import suppress

    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _outcome(task: "Task", pack: Sequence[Trial]) -> Message:
    try:
        return list(task(pack))
    except StudyError as error:
        return Mistake(str(error))
    except KeyboardInterrupt:
        return Stopped()
    except Exception as error:
        return classified(error)


def limit_threads(cpus: int) -> None:
    """Use as many threads as the pack has cores; sets torch's threads only if torch is loaded."""
    os.environ["OMP_NUM_THREADS"] = str(cpus)
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(cpus)
