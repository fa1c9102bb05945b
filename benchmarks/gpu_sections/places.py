"""Where the sections measure: on a GPU by its events, or in a rehearsal on the CPU by the clock."""

import contextlib
import resource
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity

from gpu_sections.call import Call

ROOT = Path(__file__).resolve().parents[2]
PULSES = ("draw_lines", "find_cells", "pulse_cells", "solve_pulses")
OURS = (*PULSES, "read_arrays")


class Profile(NamedTuple):
    """What a profiled piece of work did.

    Attributes:
        ours, others: launches of our kernels and of all others; copies: copies and fills by the GPU.
        busy_ms: time in all of these; waiting_ms: time that the host waited.
        profiler: torch's.
    """

    ours: int
    others: int
    copies: int
    busy_ms: float
    waiting_ms: float
    profiler: Any


class Gpu:
    """A CUDA device."""

    device = "cuda"
    _activities = (ProfilerActivity.CPU, ProfilerActivity.CUDA)

    def wait(self) -> None:
        """Until all that was queued is done."""
        torch.cuda.synchronize()

    def mark(self) -> Any:
        """A place in the queue, or in time."""
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, before: Any, after: Any) -> float:
        """Milliseconds from one mark to another, both of which are waited for."""
        after.synchronize()
        return float(before.elapsed_time(after))

    def hold(self, ms: float) -> None:
        """Keep the GPU busy, so that what is queued meanwhile runs without gaps."""
        torch.cuda._sleep(int(ms * 1.5e6))

    def recorded(self, work: Callable[[], object]) -> Callable[[], object]:
        """The work as a graph that is replayed."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            work()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
        return graph.replay

    def waits(self, work: Callable[[], object]) -> Counter[str]:
        """How often the host waits for the GPU in a piece of work, by file:line."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                work()
            finally:
                torch.cuda.set_sync_debug_mode("default")
        found = [warning for warning in caught if "synchroniz" in str(warning.message)]
        return Counter(f"{_from_root(warning.filename)}:{warning.lineno}" for warning in found)

    def peak_bytes(self) -> int:
        """The most memory since the last call."""
        peak = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        return int(peak)

    def held_bytes(self) -> int:
        """The memory that is in use now, or kept for later."""
        return int(torch.cuda.memory_reserved())

    def profile(self, work: Callable[[], object]) -> Profile:
        """Do the work under torch's profiler."""
        self.wait()
        with torch.profiler.profile(activities=list(self._activities), acc_events=True) as profiler:
            work()
            self.wait()
        ours = others = copies = 0
        busy = waiting = 0.0
        for event in profiler.events():
            took = event.time_range.elapsed_us() / 1e3
            if event.device_type == torch.autograd.DeviceType.CPU:
                waiting += took if event.name.endswith("Synchronize") else 0.0
            elif not _is_annotation(event):
                busy += took
                copies += (copied := event.name.startswith(("Memcpy", "Memset")))
                ours += (own := event.name.startswith(OURS))
                others += not copied and not own
        return Profile(ours, others, copies, busy, waiting, profiler)


class Rehearsal(Gpu):
    """The CPU in place of a GPU: the clock for events, no queue."""

    device = "cpu"
    _activities = (ProfilerActivity.CPU,)

    def wait(self) -> None:
        """Nothing is queued."""

    def mark(self) -> float:
        """The time."""
        return time.perf_counter()

    def between(self, before: float, after: float) -> float:
        """Milliseconds."""
        return 1e3 * (after - before)

    def hold(self, ms: float) -> None:
        """Nothing to keep busy."""

    def recorded(self, work: Callable[[], object]) -> Callable[[], object]:
        """The work itself."""
        return work

    def waits(self, work: Callable[[], object]) -> Counter[str]:
        """None."""
        work()
        return Counter()

    def peak_bytes(self) -> int:
        """The most memory of the process so far."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def held_bytes(self) -> int:
        """The same."""
        return self.peak_bytes()


def place(call: Call) -> Gpu:
    """Where this call measures."""
    return Rehearsal() if call.rehearse else Gpu()


def median_ms(where: Gpu, work: Callable[[], object], repeats: int) -> float:
    """The median time of a piece of work, after one to warm up."""
    work()
    spans = []
    for _ in range(repeats):
        where.hold(0.2)
        before = where.mark()
        work()
        spans.append((before, where.mark()))
    return median([where.between(*span) for span in spans])


def median(values: Sequence[float]) -> float:
    """The middle one, or the mean of the middle two."""
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


@contextlib.contextmanager
def seconds_into(figures: dict[str, float], name: str, where: Gpu | None = None) -> Iterator[None]:
    """Note how long a block takes, with all that it queued."""
    began = time.perf_counter()
    yield
    if where is not None:
        where.wait()
    figures[name] = round(time.perf_counter() - began, 4)


def why_no_kernels(where: Gpu) -> str:
    """Why Triton's kernels cannot run here, "" if they can: some interpreters do not get on with some NumPys."""
    from gpu_sections.small_kernels import chain

    try:
        chain[(1,)](torch.ones(32, device=where.device), 1, 32)
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
    return ""


def _is_annotation(event: Any) -> bool:
    """Whether it is a range that torch's optimizers put around their step, which is no work of its own."""
    return bool(event.is_user_annotation) or event.name.startswith("Optimizer.")


def _from_root(path: str) -> str:
    """A path as it is named in the repository, or in the packages."""
    where = Path(path).resolve()
    if where.is_relative_to(ROOT):
        return str(where.relative_to(ROOT))
    return next((str(where.relative_to(own)) for own in map(Path, sys.path) if where.is_relative_to(own)), where.name)
