"""The failed trainings of an analysis: how many there are of which kind, and what was done about them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


Marks = NDArray[np.bool_]


@dataclass(frozen=True)
class Failures:
    """The failed trainings of an analysis.

    Args:
        policy: ``fail``, ``drop-block`` or ``worst-case``; see `analyze`.
        trainings: number of trainings that left a record. kinds: number of failed ones by status.
        unit, units: what the design consists of (base blocks, trajectories), and how many. dropped: how many of them
            were left out. worst: the value that failed trainings were given.
        why: where it is not known on what failing depends, the reason; else "".
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
        """How many failed, what was done, and on what failing depends; ``depends``: sentences that say so, if known."""
        said = [f"{self.words()}." if self.failed else "No training failed."]
        if self.policy == "drop-block" and (self.failed or self.dropped):
            said.append(
                f"{self.dropped} of {self.units} {self.unit} hold a point without any value and were left out: the "
                "indices are those over the part of the ranges that has them."
            )
        if self.worst is not None:
            said.append(f"Failed trainings were given the worst value that any other had, {self.worst:.4g}.")
        if depends:
            said.append("Failing: " + " ".join(depends))
        elif self.why and self.failed:
            said.append(f"What failing depends on is not known: {self.why}.")
        return tuple(said)

    def to_dict(self, sensitivity: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Plain values for JSON; ``sensitivity``: those of the indices of P(failed)."""
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
    """The number of failed trainings by status, the most frequent first; a status of "" means not run."""
    found = Counter(statuses[(statuses != "") & (statuses != "ok")].tolist())
    return dict(found.most_common())
