"""Trainings that failed: what is done about them, how many and which, and whether failing depends on a factor."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.metrics import Metric

Array = NDArray[np.float64]
Marks = NDArray[np.bool_]

POLICIES = ("fail", "drop-block", "worst-case")


def check_policy(policy: str) -> None:
    """Raise AnalysisError for a policy that does not exist."""
    if policy not in POLICIES:
        raise AnalysisError(f"policy: {policy!r} is not one of {', '.join(POLICIES)}")


@dataclass(frozen=True)
class Failures:
    """The failed trainings of an analysis.

    Args:
        policy: ``fail``, ``drop-block`` or ``worst-case``.
        trainings: that left a record. kinds: failed ones by status.
        dropped: units (base blocks, trajectories) left out, of ``units``. worst: the value that took their place.
        why: why it is not known what failing depends on, where it is not.
    """

    policy: str
    trainings: int
    kinds: Mapping[str, int]
    unit: str
    units: int
    dropped: int = 0
    worst: float | None = None
    why: str = ""

    @property
    def failed(self) -> int:
        """Number of failed trainings."""
        return sum(self.kinds.values())

    def words(self) -> str:
        """The kinds with their numbers.

        >>> Failures("drop-block", 100, {"diverged": 3, "oom": 1}, "base blocks", 10, 2).words()
        '4 of 100 trainings failed (3 diverged, 1 oom)'
        """
        kinds = ", ".join(f"{count} {status}" for status, count in self.kinds.items())
        return f"{self.failed} of {self.trainings} trainings failed ({kinds})"

    def sentences(self, depends: Sequence[str] = ()) -> tuple[str, ...]:
        """How many failed, what was done, and what failing depends on, where ``depends`` says it in sentences."""
        if not self.failed:
            return ("No training failed.",)
        said = [f"{self.words()}."]
        if self.policy == "drop-block":
            said.append(
                f"{self.dropped} of {self.units} {self.unit} hold a point without any result and were left out: the "
                "indices are those over the part of the ranges that trains."
            )
        if self.worst is not None:
            said.append(f"Failed trainings were given the worst value that any other had, {self.worst:.4g}.")
        if depends:
            said.append("Failing: " + " ".join(depends))
        elif self.why:
            said.append(f"What failing depends on is not known: {self.why}.")
        return tuple(said)

    def to_dict(self, sensitivity: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Plain values for JSON, with those of the indices of P(failed)."""
        return {
            "policy": self.policy,
            "trainings": self.trainings,
            "failed": self.failed,
            "kinds": dict(self.kinds),
            "dropped": self.dropped,
            "units": self.units,
            "worst": self.worst,
            "sensitivity": sensitivity,
            "why": self.why,
        }


def count_kinds(statuses: NDArray[np.str_]) -> dict[str, int]:
    """Failed trainings by status, the most frequent first; "" marks what was not run."""
    found = Counter(statuses[(statuses != "") & (statuses != "ok")].tolist())
    return dict(found.most_common())


def drop_blocks(y: Array) -> tuple[Array, Marks]:
    """The units of which every row has a value, and which they are; y: (units, rows, R), NaN where it failed.

    A row keeps the replicates that did not fail; they move to the front, as `sobol_indices` wants it.
    """
    keep = np.asarray(np.isfinite(y).any(axis=2).all(axis=1))
    rows = y[keep]
    order = np.argsort(~np.isfinite(rows), axis=2, kind="stable")
    return np.take_along_axis(rows, order, axis=2), keep


def fill_worst(y: Array, failed: Marks, metric: Metric) -> tuple[Array, float]:
    """The output with failed trainings at the worst value seen, and that value.

    Raises:
        AnalysisError: no training ended.
    """
    seen = y[np.isfinite(y) & ~failed]
    if not seen.size:
        raise AnalysisError(
            f"{metric.name}: no training ended, so there is no worst value to stand in for the failed ones"
        )
    worst = float(seen.min() if metric.more_is_better else seen.max())
    return np.where(failed, worst, y), worst
