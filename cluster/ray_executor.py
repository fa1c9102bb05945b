"""The Ray executor: each pack is one Ray Core task, spread over the cores of a cluster."""

import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from vcm_sweep.sweep.errors import ExecutorError, StudyError
from vcm_sweep.sweep.executor import Executor, Task, run_isolated
from vcm_sweep.sweep.trial import Trial, TrialRecord

_IN_FLIGHT_PER_CPU = 2
_WORKER_RETRIES = 3


class RayExecutor(Executor):
    """Runs packs as Ray tasks of one CPU each, on a cluster that is there or on one started for the run.

    Args:
        task: what runs a pack; must pickle.
        address: of a running cluster (``auto`` finds a local one); None starts one on this machine and stops it
            at the end.
        cpus: cores of the cluster started here; default all.

    At most two packs per core are in flight, so a long study costs the driver constant memory. A worker that
    dies is replaced and its pack run again, three times. Workers start in an empty working directory, so that
    a file named device.py beside the study shadows nothing.
    """

    def __init__(self, task: Task, address: str | None = None, cpus: int | None = None) -> None:
        self.task, self.address, self.cpus = task, address, cpus

    def run(self, packs: Iterable[Sequence[Trial]]) -> Iterator[list[TrialRecord]]:
        """Yield the records of each pack as its task ends."""
        # One environment variable, before Ray is imported: its notices do not belong into our terminal.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        waiting = iter(packs)
        first = next(waiting, None)
        if first is None:
            return
        with tempfile.TemporaryDirectory(prefix="vcm-sweep-empty-") as empty:
            started_here = self._connect(ray, empty)
            running: dict[Any, Sequence[Trial]] = {}
            try:
                remote = ray.remote(num_cpus=1, max_retries=_WORKER_RETRIES)(_run_pack)
                window = _IN_FLIGHT_PER_CPU * max(1, int(ray.cluster_resources().get("CPU", 1)))
                running[remote.remote(self.task, list(first))] = first
                while running:
                    while len(running) < window and (pack := next(waiting, None)) is not None:
                        running[remote.remote(self.task, list(pack))] = pack
                    # A short wait keeps Ctrl-C prompt.
                    ready, _ = ray.wait(list(running), num_returns=1, timeout=1.0)
                    for reference in ready:
                        yield _collect(ray, reference, running.pop(reference))
            finally:
                for reference in running:
                    ray.cancel(reference, force=True)
                if started_here:
                    ray.shutdown()

    def _connect(self, ray: Any, empty: str) -> bool:
        """Connect to or start a cluster; whether it was started here."""
        if ray.is_initialized():
            return False
        options: dict[str, Any] = {
            "runtime_env": {"working_dir": empty},
            "log_to_driver": False,
            "logging_level": logging.ERROR,
        }
        if self.address is None:
            options |= {"num_cpus": self.cpus, "include_dashboard": False}
        try:
            ray.init(address=self.address or "local", **options)
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            where = f"the Ray cluster at {self.address}" if self.address else "a Ray cluster on this machine"
            raise ExecutorError(
                f"{where} cannot be used ({str(error).splitlines()[0]}): vcm-sweep doctor tells more"
            ) from None
        return self.address is None


def _run_pack(task: Task, pack: list[Trial]) -> list[TrialRecord] | str:
    """On a worker: the records, or the text of a StudyError (exceptions with state do not survive the wire)."""
    import torch

    torch.set_num_threads(1)
    try:
        return run_isolated(task, pack)
    except StudyError as error:
        return str(error)


def _collect(ray: Any, reference: Any, pack: Sequence[Trial]) -> list[TrialRecord]:
    """The records of a finished task; a task that Ray gave up gives failed records."""
    try:
        result = ray.get(reference)
    except ray.exceptions.OutOfMemoryError:
        return [
            TrialRecord.failed(trial, "oom", "the worker was killed for memory: lower [run] pack") for trial in pack
        ]
    except (ray.exceptions.RayError, OSError) as error:
        reason = f"the worker was lost ({type(error).__name__}) {_WORKER_RETRIES + 1} times"
        return [TrialRecord.failed(trial, "error", reason) for trial in pack]
    if isinstance(result, str):
        raise StudyError(result)
    return list(result)
