"""How packs get to worker processes: each as a task of Ray's, or on GPUs to workers that stay from pack to pack."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from vcm_sweep.cluster.ray_executor.resources import PackNeeds
from vcm_sweep.cluster.ray_executor.tasks import GpuWorker, run_pack
from vcm_sweep.sweep.packs.recovery import PackAttempt

_PACKS_OF_A_WORKER = 2


class Workers:
    """Each pack is a task, and Ray chooses where it runs. A stream is what Ray returns for it: its messages come out.

    Args:
        ray: Ray, connected. needs: of a pack. task: the task that runs packs, in Ray's object store.
    """

    def __init__(self, ray: Any, needs: PackNeeds, task: Any) -> None:
        self.ray, self.needs, self.task = ray, needs, task
        self._remote = ray.remote(max_retries=0, num_returns="streaming", **needs.options())(run_pack)

    def start(self, attempt: PackAttempt) -> Any:
        """The stream of a pack that is given to a worker; None if no worker has room for it now."""
        return self._remote.remote(self.task, attempt.trials, self.needs.cpus)

    def kill(self, stream: Any) -> None:
        """Kill the process that runs a pack, through Ray."""
        self.ray.cancel(stream, force=True)

    def together(self, stream: Any) -> Sequence[Any]:
        """The streams of the packs that share a process with this one, itself included."""
        return [stream]

    def started(self, stream: Any, node: str) -> None:
        """Take note that a pack has started on a node."""

    def node(self, stream: Any) -> str:
        """The node of the process that gets a pack; "" if that is not known before the pack starts."""
        return ""

    def ended(self, stream: Any, lost: bool) -> None:
        """Take note that nothing more comes from a pack; ``lost``: nor from its process."""

    def stuck(self) -> Any:
        """A pack that waits for its worker to start while another worker has none; None if there is no such pack."""

    def close(self, streams: Iterable[Any]) -> None:
        """End the processes that run these packs, and those that wait for one."""
        for stream in streams:
            self.kill(stream)


@dataclass(eq=False)
class _Process:
    actor: Any
    streams: list[Any] = field(default_factory=list)
    node: str = ""  # until it has answered
    closed: bool = False


class GpuWorkers(Workers):
    """Workers that hold a share of a GPU from pack to pack, an actor of Ray's each.

    Ray would end a task's process, since it has used a GPU, and each pack would pay anew for imports, the CUDA context
    and tables. A worker has two packs: the cells of one are made while the other trains. A pack that failed before has
    a worker for itself, so that it is clear which of two packs a process was lost with.

    Args:
        places: how many workers the cluster has room for.
    """

    def __init__(self, ray: Any, needs: PackNeeds, task: Any, places: Callable[[], int]) -> None:
        super().__init__(ray, needs, task)
        self._actor = ray.remote(max_restarts=0, max_concurrency=_PACKS_OF_A_WORKER, **needs.options())(GpuWorker)
        self._places = places
        self._processes: list[_Process] = []

    def start(self, attempt: PackAttempt) -> Any:
        """The stream of a pack on the worker with the fewest packs; a worker that has not answered yet gets one."""
        alone = bool(attempt.failures) or attempt.suspect
        room = [
            process for process in self._processes
            if not process.streams
            or (process.node and not process.closed and not alone and len(process.streams) < _PACKS_OF_A_WORKER)
        ]  # fmt: skip
        chosen = min(room, key=lambda process: len(process.streams), default=None)
        if (chosen is None or chosen.streams) and len(self._processes) < max(1, self._places()):
            chosen = _Process(self._actor.remote())
            self._processes.append(chosen)
        if chosen is None:
            return None
        chosen.closed = alone
        stream = chosen.actor.run.options(num_returns="streaming").remote(self.task, attempt.trials, self.needs.cpus)
        chosen.streams.append(stream)
        return stream

    def kill(self, stream: Any) -> None:
        """Kill the worker that has a pack."""
        for process in self._of(stream):
            self.ray.kill(process.actor)

    def together(self, stream: Any) -> Sequence[Any]:
        """The streams of the worker's packs."""
        return [other for process in self._of(stream) for other in process.streams] or [stream]

    def started(self, stream: Any, node: str) -> None:
        """The worker can have a second pack now."""
        for process in self._of(stream):
            process.node = node

    def node(self, stream: Any) -> str:
        """The node of the pack's worker, if it has answered before: the worker may be lost, with it, at any time."""
        return next((process.node for process in self._of(stream)), "")

    def ended(self, stream: Any, lost: bool) -> None:
        """Take the pack from its worker; a worker that is lost gets no other."""
        for process in self._of(stream):
            if lost:
                self._processes.remove(process)  # Ray ends an actor that nobody refers to
            else:
                process.streams.remove(stream)

    def stuck(self) -> Any:
        """A pack of a worker that has not started, if another that has is idle."""
        idle = any(process.node and not process.streams for process in self._processes)
        waiting = [stream for process in self._processes if not process.node for stream in process.streams]
        return waiting[0] if idle and waiting else None

    def close(self, streams: Iterable[Any]) -> None:
        """End all workers."""
        for process in self._processes:
            self.ray.kill(process.actor)
        self._processes.clear()

    def _of(self, stream: Any) -> list[_Process]:
        return [process for process in self._processes if stream in process.streams]
