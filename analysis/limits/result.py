"""The result of a limits design: the cost of each factor at each end, ranked, and its shares by mismatch and speed."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vcm_sweep.analysis.files import write_json, write_parquet
from vcm_sweep.analysis.limits.mediation import Mediation
from vcm_sweep.analysis.records.metrics import find_metric
from vcm_sweep.analysis.results.failures import Failures
from vcm_sweep.analysis.results.index import Difference, Index, with_unit


@dataclass(frozen=True)
class LimitCost:
    """What a factor costs at one end of its range, all others nominal.

    Args:
        factor: name. end: ``low`` or ``high``. level: the factor's value there, in ``unit``.
        cost: how much worse the output is than the nominal device's, paired by seed. Above 0 is worse: it is nominal
            minus disturbed output where more is better (accuracy), else the other way round (energy, P(diverged)).
        output: mean output with the factor at this end. diverged: share of those trainings that diverged.
        pairs: seeds for which both trainings have a value.
        unseen: by how much the mean cost may lie above ``cost.high`` since none of these pairs ended at chance, though
            more of them might (Wilson's upper end of that share, times the accuracy that each would lose); 0 where
            some did, so that the interval holds it, and for other metrics.
    """

    factor: str
    end: str
    level: float
    unit: str
    cost: Index
    output: Index
    diverged: Index
    pairs: int
    unseen: float = 0.0

    @property
    def place(self) -> str:
        """The factor and where it was measured: ``T_0.global.mean at 323 K``."""
        return f"{self.factor} at {level_words(self.level, self.unit)}"

    def words(self, metric: str = "accuracy") -> str:
        """The cost as people read it.

        >>> low = Index("l.d2d.sigma", 0.0, 0.0, 0.11)
        >>> cost = Index("l.d2d.sigma", 0.0412, 0.036, 0.0461)
        >>> LimitCost("l.d2d.sigma", "high", 0.1, "relative", cost, cost, low, 32).words()
        '4.1 points [3.6, 4.6]'
        """
        return find_metric(metric).change(self.cost)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The costs of a limits design for one metric, and how much of them goes through mismatch and speed.

    Args:
        metric: what was measured. nominal: its mean for the nominal device.
        costs: one per factor and end, in the design's order. largest: the largest cost, with an interval that holds for
            all costs at once, since the largest of many was chosen for being large; NaN where none is measured.
        mediations: two per factor and end (mismatch and speed); empty where the design has no interventions.
        differences: every pair of costs, each from the higher to the lower; a factor measured at two ends is named with
            the end, see `name_of`.
        pairs: number of seeds. remarks: what a reader must know. failures: trainings that failed, and what was done.
        confidence: of every interval. resamples: of the bootstrap.
    """

    metric: str
    nominal: Index
    costs: tuple[LimitCost, ...]
    largest: Index
    mediations: tuple[Mediation, ...]
    differences: tuple[Difference, ...]
    pairs: int
    remarks: tuple[str, ...]
    failures: Failures
    confidence: float
    resamples: int

    def ranking(self) -> tuple[LimitCost, ...]:
        """The costs, highest first and those not measured last; read it with `rivals`."""
        return tuple(sorted(self.costs, key=lambda cost: (math.isnan(cost.cost.value), -cost.cost.value)))

    def rivals(self, cost: LimitCost) -> tuple[str, ...]:
        """Names of the costs whose order with this one the data do not tell."""
        name = name_of(cost, self.costs)
        pairs = [(p.larger, p.smaller) for p in self.differences if not p.separated and name in (p.larger, p.smaller)]
        close = {one for pair in pairs for one in pair} - {name}
        return tuple(found for other in self.ranking() if (found := name_of(other, self.costs)) in close)

    def answer(self) -> tuple[str, ...]:
        """The conclusion in one or two sentences, certainty included."""
        top, size = self.ranking()[0], find_metric(self.metric).change(self.largest)
        among = f"; the interval is that of the largest of {len(self.costs)}" if len(self.costs) > 1 else ""
        device = f"against the nominal device, {self.pairs} pairs of trainings{among}"
        if not self.largest.low > 0.0:
            return (
                f"No factor is found to cost {self.metric} ({device}); the largest cost is {size}, of {top.place}.",
            )
        said = [f"{top.place} costs most {self.metric}: {size} ({device})."]
        if rivals := self.rivals(top):
            said.append(f"The data do not separate its cost from that of {', '.join(rivals)}.")
        return tuple(said)

    def notes(self) -> tuple[str, ...]:
        """What a reader must know, one sentence each."""
        words = f"{self.failures.words()}." if self.failures.failed else "No training failed."
        if not self.failures.failed and not self.failures.dropped:
            return (*self.remarks, words)
        done = {
            "drop-block": "A seed in which one of a pair has no value is left out of that pair.",
            "worst-case": f"They were given the worst value that any other had, {self.failures.worst}.",
            "fail": "All of them have a value of this metric.",
        }
        return (*self.remarks, words, done[self.failures.policy])

    def lines(self) -> list[dict[str, Any]]:
        """One plain line per number."""
        found: list[dict[str, Any]] = []

        def add(kind: str, index: Index | None, about: Any = None, through: str = "", reason: str = "") -> None:
            where = {name: getattr(about, name, None) for name in ("factor", "end", "level")}
            numbers = {name: getattr(index, name, None) for name in ("value", "low", "high")}
            found.append({
                "metric": self.metric, "kind": kind, **where, "through": through or None, **numbers,
                "confidence": self.confidence, "reason": reason or None,
            })  # fmt: skip

        add("nominal", self.nominal)
        for cost in self.costs:
            for kind in ("cost", "output", "diverged"):
                add(kind, getattr(cost, kind), cost)
        for part in self.mediations:
            for kind in ("total", "indirect", "pure", "interaction"):
                add(kind, getattr(part, kind), part, part.through, part.reason)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = ("metric", "pairs", "confidence", "resamples")
        return {
            **{name: getattr(self, name) for name in plain},
            "nominal": self.nominal.to_dict(),
            "largest": self.largest.to_dict(),
            "costs": [
                {name: getattr(cost, name) for name in ("factor", "end", "level", "unit", "pairs", "unseen")}
                | {kind: getattr(cost, kind).to_dict() for kind in ("cost", "output", "diverged")}
                for cost in self.costs
            ],
            "ranking": [name_of(cost, self.costs) for cost in self.ranking()],
            "not_separated": [[p.larger, p.smaller] for p in self.differences if not p.separated],
            "mediations": [part.to_dict() for part in self.mediations],
            "failures": self.failures.to_dict(),
            "answer": list(self.answer()),
            "notes": list(self.notes()),
        }

    def write_json(self, path: str | os.PathLike[str]) -> None:
        """`to_dict` as a file."""
        write_json(path, self.to_dict())

    def write_parquet(self, path: str | os.PathLike[str]) -> None:
        """`lines` as a file."""
        write_parquet(path, self.lines(), {"method": "limits", "metric": self.metric})


def name_of(cost: LimitCost, costs: Sequence[LimitCost]) -> str:
    """The factor's name, followed by the end where costs of both ends were measured."""
    both = sum(other.factor == cost.factor for other in costs) > 1
    return f"{cost.factor} {cost.end}" if both else cost.factor


def level_words(level: float, unit: str) -> str:
    """A level with its unit; a bare number where it is relative, or a difference of logarithms.

    >>> level_words(323.0, "K"), level_words(0.08, "relative")
    ('323 K', '0.08')
    """
    return with_unit(f"{level:.4g}", "" if unit == "ln" else unit)
