"""How a run is going: counts, the rate of recent trials, the time left, and what failed."""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from vcm_sweep.sweep.trial import TrialRecord

# The rate is that of the last seconds, so that it follows a cluster that grows or shrinks.
_WINDOW_S = 600.0
_MAX_CAUSES = 20


@dataclass(frozen=True)
class Figures:
    """A run at one moment, plain JSON types.

    Attributes:
        done, total: trials with a record, and of the study. failed: of the records that this run brought, those
            without a result. running: packs under way.
        rate_per_h: trials per hour, lately; eta_s: seconds to the end at that rate. Both None until two packs came in.
        best, worst: accuracy of the trials of this run; None until one has ended.
        failures: number of failed trials by cause. nodes: by name, "packs" under way and "trials" finished there.
        doing: what takes long just now, in words; "" for nothing.
    """

    done: int = 0
    total: int = 0
    failed: int = 0
    running: int = 0
    rate_per_h: float | None = None
    eta_s: float | None = None
    best: float | None = None
    worst: float | None = None
    failures: dict[str, int] = field(default_factory=dict)
    nodes: dict[str, dict[str, int]] = field(default_factory=dict)
    doing: str = ""


class Tally:
    """Counts the records of a run, and computes its rate.

    Args:
        clock: of seconds; a monotonic one, since the wall clock may jump.
        held: failures that the folder holds from before and keeps, by status.

    Example:
        >>> tally = Tally()
        >>> tally.take(3, 8, [])
        >>> tally.figures().done, tally.figures().eta_s
        (3, None)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, held: Mapping[str, int] | None = None) -> None:
        self._clock = clock
        self._done = self._total = self._arrivals = self._arrived = 0
        self._failed = sum((held or {}).values())
        self._best: float | None = None
        self._worst: float | None = None
        self._failures: Counter[str] = Counter(held or {})
        self._trials: Counter[str] = Counter()
        # (time, trials that had come in by then), the oldest at the edge of the window.
        self._history: deque[tuple[float, int]] = deque()

    def take(self, done: int, total: int, records: Sequence[TrialRecord]) -> None:
        """Take in what ``run`` reports: trials done, trials in all, and the records that just came in."""
        now = self._clock()
        if not self._history:
            self._history.append((now, 0))
        self._done, self._total = done, total
        if not records:
            return
        self._arrivals += 1
        self._arrived += len(records)
        self._history.append((now, self._arrived))
        for record in records:
            self._trials[record.node or "here"] += 1
            if record.status != "ok":
                self._failed += 1
                self._failures[self._cause(record)] += 1
                continue
            self._best = record.accuracy if self._best is None else max(self._best, record.accuracy)
            self._worst = record.accuracy if self._worst is None else min(self._worst, record.accuracy)

    def figures(self, activity: Mapping[str, int] | None = None, doing: str = "") -> Figures:
        """The run now; ``activity``: packs under way by name of the node. ``doing``: what takes long."""
        packs = dict(activity or {})
        rate = self._rate()
        left = self._total - self._done
        return Figures(
            done=self._done,
            total=self._total,
            failed=self._failed,
            running=sum(packs.values()),
            rate_per_h=None if rate is None else 3600 * rate,
            eta_s=0.0 if left <= 0 < self._total else left / rate if rate else None,
            best=self._best,
            worst=self._worst,
            failures=dict(self._failures.most_common()),
            nodes={n: {"packs": packs.get(n, 0), "trials": self._trials[n]} for n in sorted({*packs, *self._trials})},
            doing=doing,
        )

    def _rate(self) -> float | None:
        """Trials per second, counted from the run's start or from the window's edge; None while that says little."""
        if self._arrivals < 2:
            return None
        now = self._clock()
        while len(self._history) > 2 and self._history[1][0] <= now - _WINDOW_S:
            self._history.popleft()
        began, before = self._history[0]
        return (self._arrived - before) / max(now - began, 1e-3)

    def _cause(self, record: TrialRecord) -> str:
        """A short cause to count failures by: the status, and for errors the type with which the reason begins."""
        kind = record.reason.partition(":")[0].strip()[:40] if record.status == "error" else ""
        cause = f"{record.status} {kind}".strip()
        return cause if cause in self._failures or len(self._failures) < _MAX_CAUSES else "others"
