"""The Ray executor: packs run in worker processes, spread over the nodes of a cluster."""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from vcm_sweep.cluster.ray_executor.connection import Connection
from vcm_sweep.cluster.ray_executor.flight import Flight
from vcm_sweep.cluster.ray_executor.head import Head, say_goodbye
from vcm_sweep.cluster.ray_executor.nodes import Nodes
from vcm_sweep.cluster.ray_executor.overheard import Overheard
from vcm_sweep.cluster.ray_executor.resources import PackNeeds
from vcm_sweep.cluster.ray_executor.tasks import Message, Mistake, Started, Stopped, kill_process
from vcm_sweep.cluster.ray_executor.workers import GpuWorkers, Workers
from vcm_sweep.sweep.errors import ExecutorError, StudyError
from vcm_sweep.sweep.packs.executor import Executor, Task
from vcm_sweep.sweep.packs.recovery import Cause, Failure, PackAttempt, judge, stamped, whole
from vcm_sweep.sweep.trial import Trial, TrialRecord

_log = logging.getLogger("vcm_sweep")

_IN_FLIGHT_PER_SLOT = 2
# A training checks its deadline after every batch. A pack that is later than this hangs inside a batch: it is killed
# after this factor times the sum of its deadlines, plus the grace.
_HARD_FACTOR = 1.5
_HARD_GRACE_S = 120.0
# When no node is left that can run a pack, an autoscaler or a person has this long to add one.
_PATIENCE_S = 600.0
# How long to wait after a soft stop, when a pack ends its batch and writes a checkpoint, and after a hard one, when the
# process is killed.
_SAVE_S = 30.0
_KILL_S = 10.0
# A process that even the operating system cannot kill (it waits for a disk or a GPU) is given up after this long.
_LEAVE_S = 60.0
_LOOK_EVERY_S = 0.5


class RayExecutor(Executor):
    """Runs packs on Ray, on a cluster that is there or on one started for the run; see :mod:`.workers`.

    Args:
        task: runs a pack; must be picklable. It is put into Ray's object store once, with the arrays in it.
        address: of a running cluster (``auto`` finds a local one); None starts one on this machine and stops it
            at the end.
        cpus: cores of the cluster started here; default all.
        needs: resources of a pack.
        retries: further attempts after a trial's own error.
        hard_grace_s: a pack is killed after 1.5 times the sum of its deadlines plus this, which is for loading.
        patience_s: how long to wait when no node is left that can run a pack.
        wait_s: how long to wait for the first such node, for example from an autoscaler; for 0 see
            :class:`.nodes.Nodes`.

    At most two packs per slot are in flight, so a long study costs the driver constant memory. Ray itself retries
    nothing: each loss is seen here, with its cause, and :mod:`vcm_sweep.sweep.packs.recovery` decides what follows.
    Nodes may join and leave. Events of packs and nodes are logged, with the name of the event as a field of the log
    record.

    Attributes:
        on_stuck: called on another thread, with the reason, if the cluster is gone and Ray holds the main thread in a
            call that does not return. It should end the process: see :class:`.head.Head`.
    """

    def __init__(
        self, task: Task, address: str | None = None, cpus: int | None = None, needs: PackNeeds | None = None,
        retries: int = 1, hard_grace_s: float = _HARD_GRACE_S, patience_s: float = _PATIENCE_S,
        wait_s: float = 0.0,
    ) -> None:  # fmt: skip
        self.task, self.address, self.cpus = task, address, cpus
        self.needs, self.retries = needs or PackNeeds(), retries
        self.hard_grace_s, self.patience_s, self.wait_s = hard_grace_s, patience_s, wait_s
        self.on_stuck: Callable[[str], None] | None = None
        self._flights: list[Flight] = []
        self._again: deque[PackAttempt] = deque()
        self._connection: Connection | None = None
        self._looked = 0.0
        self._nodes: Nodes
        self._crew: Workers | None = None
        self._head: Head | None = None
        self._overheard: Overheard | None = None

    def run(self, packs: Iterable[Sequence[Trial]]) -> Iterator[list[TrialRecord]]:
        """Yield the records of each pack as its task ends.

        Raises:
            ExecutorError: the cluster cannot be used, or no node can run a pack.
        """
        waiting = iter(packs)
        first = next(waiting, None)
        if first is None:
            return
        try:
            self._open()
            for records in self._loop(map(whole, chain([first], waiting))):
                self._inside_ray(False)
                yield records
                self._inside_ray(True)
        except KeyboardInterrupt:
            # Packs that are running are not stopped here: finish() does that.
            raise
        except BaseException:
            self.close()
            raise
        self.close()

    def finish(self, grace_s: float) -> Iterator[list[TrialRecord]]:
        """Yield what ends within ``grace_s`` seconds; let the rest save a checkpoint, and stop it."""
        self._inside_ray(False)
        self._again.clear()
        try:
            self._cancel(flight for flight in self._flights if not flight.started)
            yield from self._drain(grace_s)
            self._cancel(self._flights)
            if not self._silent():
                yield from self._drain(_SAVE_S)
        finally:
            self.close()

    def activity(self) -> dict[str, int]:
        """Packs that are running, by the name of their node."""
        running = [flight.node for flight in list(self._flights) if flight.started]
        return dict(Counter(self._nodes.name(node) for node in running)) if running else {}

    def doing(self) -> str:
        """What a worker does just now that takes long."""
        return self._overheard.words() if self._overheard is not None else ""

    def close(self) -> None:
        """Stop what is running, and disconnect."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        silent = self._silent()
        if self._head is not None:
            self._head.close()
        try:
            if not silent and self._crew is not None:
                self._crew.close([flight.stream for flight in self._flights])
        finally:
            self._flights.clear()
            self._again.clear()
            if silent:
                say_goodbye(connection.close)
            else:
                connection.close()

    @property
    def _ray(self) -> Any:
        return self._connected.ray

    @property
    def _connected(self) -> Connection:
        assert self._connection is not None
        return self._connection

    @property
    def _workers(self) -> Workers:
        assert self._crew is not None
        return self._crew

    def _open(self) -> None:
        self._connection = Connection(self.address, self.cpus)
        try:
            self._prepare()
        except self._ray.exceptions.RayError as error:
            raise ExecutorError(
                f"{self._cluster} does not take what its workers need ({_last_line(error)}): is its object store full?"
            ) from None

    def _silent(self) -> bool:
        return self._head is not None and self._head.silent()

    def _inside_ray(self, inside: bool) -> None:
        if self._head is not None:
            self._head.inside = inside

    @property
    def _cluster(self) -> str:
        return f"the Ray cluster at {self.address}" if self.address else "the Ray cluster on this machine"

    def _prepare(self) -> None:
        head = self._head = Head(self._ray.get_runtime_context().gcs_address, self._cluster, self.on_stuck)
        self._nodes = Nodes(self.needs, lambda: head.asked(self._ray.nodes), self.patience_s, self.wait_s)
        self._overheard = Overheard(head.asked)
        task = self._ray.put(self.task)
        if self.needs.gpus:
            self._crew = GpuWorkers(self._ray, self.needs, task, lambda: self._nodes.slots)
        else:
            self._crew = Workers(self._ray, self.needs, task)

    def _loop(self, packs: Iterator[PackAttempt]) -> Iterator[list[TrialRecord]]:
        head = self._head
        assert head is not None
        while True:
            head.check()
            self._connected.check()
            silent = head.silent()
            if not silent:
                self._nodes.refresh()
                if self._overheard is not None:
                    self._overheard.listen()
            # While the head does not answer, no pack is started, but messages of running packs are still read.
            window = 0 if silent else max(1, _IN_FLIGHT_PER_SLOT * self._nodes.slots)
            while len(self._flights) < window and (attempt := self._next(packs)):
                stream = self._workers.start(attempt)
                if stream is None:
                    self._again.appendleft(attempt)
                    break
                hard_s = _HARD_FACTOR * sum(trial.deadline_s for trial in attempt.trials) + self.hard_grace_s
                self._flights.append(Flight(attempt, stream, hard_s, self._workers.node(stream)))
            if not silent:
                self._take_back()
            if not self._flights:
                attempt = self._next(packs)
                if attempt is None:
                    return
                self._again.appendleft(attempt)
            flight = self._first_ready(1.0)
            if flight is not None:
                records = self._heard(flight)
                if records:
                    yield records
            if not silent:
                yield from self._kill_overdue()

    def _next(self, packs: Iterator[PackAttempt]) -> PackAttempt | None:
        return self._again.popleft() if self._again else next(packs, None)

    def _take_back(self) -> None:
        """Take back a pack whose worker does not start, perhaps for want of a GPU, while another has nothing to do."""
        stuck = self._workers.stuck()
        for flight in [flight for flight in self._flights if flight.stream is stuck]:
            self._workers.kill(flight.stream)
            flight.lost = True
            self._end(flight)
            self._again.append(flight.attempt)

    def _cancel(self, flights: Iterable[Flight]) -> None:
        """Ask packs to stop, if the head is there to pass it on."""
        if not self._silent():
            for flight in flights:
                self._ray.cancel(flight.stream)

    def _drain(self, seconds: float) -> Iterator[list[TrialRecord]]:
        """Records of packs that end within some seconds; packs that fail meanwhile are left to the next run."""
        until = time.monotonic() + seconds
        while self._flights and (left := until - time.monotonic()) > 0:
            flight = self._first_ready(min(1.0, left))
            if flight is not None:
                records = self._heard(flight, again=False)
                if records:
                    yield records

    def _first_ready(self, seconds: float) -> Flight | None:
        """A flight that has a message, or None after some seconds; a short wait keeps Ctrl-C prompt."""
        by_stream = {flight.stream: flight for flight in self._flights}
        if not by_stream:
            time.sleep(seconds)
            return None
        ready, _ = self._ray.wait(list(by_stream), num_returns=1, timeout=seconds)
        return by_stream[ready[0]] if ready else None

    def _heard(self, flight: Flight, again: bool = True) -> list[TrialRecord]:
        """The records in a flight's next message; none if the pack only started, or failed and is tried again."""
        message = self._message(flight)
        if isinstance(message, Started):
            flight.node, flight.pid, flight.started = message.node, message.pid, time.monotonic()
            flight.answer = None
            self._workers.started(flight.stream, flight.node)
            return []
        self._end(flight)
        if isinstance(message, list):
            return stamped(message, self._nodes.host(flight.node), flight.attempt.number)
        if not again:
            return []
        if isinstance(message, Mistake):
            raise StudyError(message.text)
        if isinstance(message, Stopped):
            # Somebody else cancelled the task: we treat it as a lost worker.
            message = Failure(Cause.WORKER, "the task was cancelled")
        return self._after(flight, replace(message, node=flight.node))

    def _end(self, flight: Flight) -> None:
        """Take a flight out; the others in its process may have waited for it, so that their time begins now."""
        now = time.monotonic()
        for other in self._together(flight):
            other.started = other.started and now
        self._flights.remove(flight)
        self._workers.ended(flight.stream, flight.lost)

    def _together(self, flight: Flight) -> list[Flight]:
        streams = self._workers.together(flight.stream)
        return [other for other in self._flights if other.stream in streams]

    def _message(self, flight: Flight) -> Message:
        """The message of a worker, or a Failure made from Ray's error about it."""
        errors = self._ray.exceptions
        try:
            if flight.answer is None:
                flight.answer = next(flight.stream)
            message: Message = self._ray.get(flight.answer)
            return message
        except StopIteration:
            failure = Failure(Cause.WORKER, "the task ended without an answer")
        except errors.OutOfMemoryError:
            failure = Failure(Cause.MEMORY, "the worker was killed for memory: lower [run] pack")
        except errors.NodeDiedError as error:
            # From now on workers of this node count as lost with it, and not by their own fault.
            self._nodes.is_lost(flight.node)
            failure = Failure(Cause.NODE, f"its node was lost ({_name(error)})")
        except (errors.RuntimeEnvSetupError, errors.TaskUnschedulableError) as error:
            raise ExecutorError(f"workers cannot start ({_last_line(error)}): vcm-sweep doctor tells more") from None
        except (errors.RayError, OSError) as error:
            self._connected.check()
            if isinstance(error, errors.RayTaskError) and not isinstance(error, errors.TaskCancelledError):
                # Errors inside the task come as messages; this one means that the task could not be loaded or called.
                raise _unable(error.cause) from None
            if isinstance(error, errors.RayActorError) and error.actor_init_failed:
                raise _unable(error) from None  # the worker's class could not be loaded
            cause = Cause.NODE if self._nodes.is_lost(flight.node) else Cause.WORKER
            failure = Failure(cause, f"its worker was killed or crashed ({_name(error)})")
            # A pack that is cancelled leaves its process to others.
            flight.lost = not isinstance(error, errors.TaskCancelledError)
            return flight.overdue() if flight.killed else failure
        flight.lost = True
        return flight.overdue() if flight.killed else failure

    def _after(self, flight: Flight, failure: Failure) -> list[TrialRecord]:
        """Queue the trials of a failed pack that are tried again; returns the records of those that are given up."""
        attempt = flight.attempt
        verdict = judge(attempt, failure, self.retries, self._nodes.lost)
        self._again.extend(verdict.again)
        what = "given up" if verdict.records else "halved" if verdict.halved else "again"
        host = self._nodes.host(failure.node) if failure.node else ""
        _log.warning(
            "%s: a pack of %d (attempt %d%s) is %s: %s", failure.cause.value, len(attempt.trials), attempt.number,
            f", on {host}" if host else "", what, failure.reason,
            extra={
                "event": f"pack_{what.replace(' ', '_')}", "cause": failure.cause.value, "node": host,
                "trials": [trial.key for trial in attempt.trials], "attempt": attempt.number, "reason": failure.reason,
            },
        )  # fmt: skip
        return stamped(verdict.records, host, attempt.number)

    def _kill_overdue(self) -> Iterator[list[TrialRecord]]:
        """Kill packs that are beyond their hard deadline, first through Ray, then by their process id.

        A pack that outlives both is given up: its records are yielded, and nothing that it may still say is read.
        """
        now = time.monotonic()
        if now - self._looked < _LOOK_EVERY_S:
            return
        self._looked = now
        for flight in list(self._flights):
            if not flight.started:
                continue
            # Only one of the packs in a process trains at a time, and each may take its own time.
            if not flight.killed and now - flight.started > sum(other.hard_s for other in self._together(flight)):
                flight.killed = now
                _log.warning(
                    "a pack of %d on %s hangs: killed", len(flight.attempt.trials), self._nodes.name(flight.node),
                    extra={"event": "deadline_killed", "node": self._nodes.name(flight.node)},
                )  # fmt: skip
                self._workers.kill(flight.stream)
            elif flight.killed and not flight.by_pid and now - flight.killed > _KILL_S:
                flight.by_pid = now
                there = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(flight.node, soft=False)
                kill = self._ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(kill_process)
                kill.remote(flight.pid)
            elif flight.by_pid and now - flight.by_pid > _LEAVE_S:
                flight.lost = True
                self._end(flight)
                _log.warning(
                    "a pack of %d on %s cannot be killed: process %d is left behind, and holds its place",
                    len(flight.attempt.trials), self._nodes.name(flight.node), flight.pid,
                    extra={"event": "left_behind", "node": self._nodes.name(flight.node)},
                )  # fmt: skip
                records = self._after(flight, flight.overdue())
                if records:
                    yield records


def _unable(error: Any) -> ExecutorError:
    return ExecutorError(f"a worker cannot run a pack ({_last_line(error)}): install the driver's vcm-sweep there")


def _name(error: Exception) -> str:
    return type(error).__name__


def _last_line(error: Any) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {(lines or [''])[-1]}"[:300]
