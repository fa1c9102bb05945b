"""`Sensitivity`, the result of every method: indices with intervals, which factors they separate, verdicts in words."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.files import write_json, write_parquet
from vcm_sweep.analysis.results.enough import HALF_WIDTH, Enough, RankStability, enough, rank_stability
from vcm_sweep.analysis.results.failures import Failures
from vcm_sweep.analysis.results.index import Difference, Index
from vcm_sweep.analysis.results.kinds import KINDS
from vcm_sweep.analysis.results.luck_split import LuckSplit

Array = NDArray[np.float64]

# A factor "matters little" if the whole interval of its share lies below this. A convention, not a test.
_SMALL = 0.05
# Of one whose share may be below this only that it has an effect is known.
_TINY = 0.01
WHOLE = "Over the stated ranges"
"""How an answer begins that is of all ranges of a study."""


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """The indices of one method for one metric, in one form for all methods.

    Sobol indices and Shapley effects are shares of variance over the stated ranges, not of accuracy lost; total
    indices can sum above 1.

    Args:
        method: ``sobol``, ``bounded``, ``morris``, ``shapley``, ``pawn``, ``delta``, ``rbd-fast`` or ``hdmr``.
        metric: the output that was analysed.
        factors: what was ranked: factors, or groups of them, in the order of the design's columns.
        kind: the kind of index by which factors are ranked, a key of ``indices``.
        indices: by kind (see `kinds.KINDS`), one per factor, or per pair of factors for ``second``.
        differences: every pair of ranking indices, each from the higher to the lower estimate.
        seeds: ``independent`` or ``common``. corrected: whether training noise was subtracted.
        pooled: whether noise was pooled over rows because not every row has replicates.
        remarks: what a reader must know of this method and its noise, one sentence each.
        luck: share of the variance of one training that comes from its seed alone; NaN when not measured.
        mean, variance: of the output over the ranges; the variance without training noise.
        noise_variance: mean within-row variance of one training; NaN when not measured.
        unit: what the bootstrap draws, for example ``base blocks``. units: how many there are.
        replicated_rows: rows with two replicates or more.
        confidence: of every interval. resamples: of the bootstrap behind every interval.
        spare: by how much a ranking index may lie (below, above) its estimate because the method's model of the output
            leaves as much of the variance unexplained; intervals and differences hold it.
        misses: a sentence about what that model leaves unexplained; "" for a method without a model.
        over: the ranges that are meant, as an answer begins.
        draws: (K, D) the ranking indices in each resample, NaN where it has none; they tell how stable the order is.
        luck_split: how much of the luck comes from the array and how much from the training, where trainings were
            nested; else None.
        groups: the factors of each group, where groups were ranked.
        failures: trainings that failed, and what was done about them; None where a method was called on bare numbers.
        failing: indices of P(failed), which tell what makes trainings fail; None where none failed, or where that is
            not known, as ``failures.why`` says.
    """

    method: str
    metric: str
    factors: tuple[str, ...]
    kind: str
    indices: Mapping[str, tuple[Index, ...]]
    differences: tuple[Difference, ...]
    seeds: str
    corrected: bool
    pooled: bool
    remarks: tuple[str, ...]
    luck: Index
    mean: float
    variance: float
    noise_variance: float
    unit: str
    units: int
    replicated_rows: int
    confidence: float
    resamples: int
    draws: Array = field(repr=False, compare=False)
    spare: tuple[float, float] = (0.0, 0.0)
    misses: str = ""
    over: str = WHOLE
    luck_split: LuckSplit | None = None
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    failures: Failures | None = None
    failing: "Sensitivity | None" = field(default=None, repr=False)

    def __getitem__(self, kind: str) -> tuple[Index, ...]:
        """The indices of one kind.

        Raises:
            AnalysisError: the method does not give that kind.
        """
        if kind not in self.indices:
            raise AnalysisError(f"kind: {kind!r} is not one of {', '.join(self.indices)}, which {self.method} gives")
        return self.indices[kind]

    @property
    def first(self) -> tuple[Index, ...]:
        """First-order indices of the mean over training seeds (with common seeds: per seed, averaged)."""
        return self["first"]

    @property
    def total(self) -> tuple[Index, ...]:
        """Total indices of the mean over training seeds (with common seeds: per seed, averaged)."""
        return self["total"]

    @property
    def second(self) -> tuple[Index, ...]:
        """Second-order indices, one per pair."""
        return self["second"]

    @property
    def single_first(self) -> tuple[Index, ...]:
        """First-order indices as shares of the variance of one training."""
        return self["single_first"]

    @property
    def single_total(self) -> tuple[Index, ...]:
        """Total indices as shares of the variance of one training."""
        return self["single_total"]

    def ranking(self) -> tuple[Index, ...]:
        """The ranking indices, largest first; read it with `not_separated`."""
        return tuple(sorted(self[self.kind], key=lambda index: -index.value))

    def interactions(self) -> tuple[Index, ...]:
        """The second-order indices, largest first; empty where the method or design has none."""
        return tuple(sorted(self.indices.get("second", ()), key=lambda index: -index.value))

    def told_interactions(self) -> tuple[Index, ...]:
        """The second-order indices that are distinguishable from none, all at once (Bonferroni), largest first."""
        # Intervals that hold what a model misses are moved out by a one-sided quantile, see `Bounds.interval`.
        pairs, tail = self.interactions(), (1.0 - self.confidence) / (1.0 if "unexplained" in self.indices else 2.0)
        wider = NormalDist().inv_cdf(1.0 - tail / max(1, len(pairs))) / NormalDist().inv_cdf(1.0 - tail)
        return tuple(pair for pair in pairs if pair.value - wider * (pair.value - pair.low) > 0.0)

    def other_interactions(self) -> str:
        """One sentence about all second-order indices that are not; "" where there are none of these."""
        told = self.told_interactions()
        others = [pair for pair in self.interactions() if pair not in told]
        if not others:
            return ""
        most = f"{max(1, math.ceil(100 * max(pair.high for pair in others)))} % of the variance"
        if len(others) == 1:
            return f"The interaction {others[0].name} is not distinguishable from none: it is at most {most}."
        which = f"{'No other' if told else 'None'} of {len(self.interactions())} interactions"
        return f"{which} is distinguishable from none: each of them is at most {most}."

    def not_separated(self) -> tuple[Difference, ...]:
        """Pairs whose order the data do not tell, those of the highest-ranked factors first."""
        place = {index.factor: i for i, index in enumerate(self.ranking())}
        pairs = [pair for pair in self.differences if not pair.separated]
        return tuple(sorted(pairs, key=lambda pair: (place[pair.larger], place[pair.smaller])))

    def rivals(self, factor: str) -> tuple[str, ...]:
        """Factors from which the data do not separate this one, highest index first."""
        pairs = self.not_separated()
        close = {name for p in pairs if factor in (p.larger, p.smaller) for name in (p.larger, p.smaller)}
        return tuple(index.factor for index in self.ranking() if index.factor in close - {factor})

    def enough(self, half_width: float = HALF_WIDTH) -> tuple[Enough, ...]:
        """Whether each ranking index is known to ``half_width``, in the order of ``factors``; see `enough.enough`."""
        # Units that the analysis left out were run all the same, and a design grows from all that it has.
        units = self.failures.units if self.failures else self.units
        return enough(self[self.kind], share=KINDS[self.kind].share, unit=self.unit, units=units, half_width=half_width)

    def rank_stability(self) -> RankStability:
        """How often another sample of the same size would rank as this one."""
        return rank_stability(self[self.kind], self.draws[np.isfinite(self.draws).all(axis=1)])

    def text(self, index: Index, kind: str = "") -> str:
        """An index as people read it: per cent for a share, else the bare number, with its interval."""
        return index.percent() if KINDS[kind or self.kind].share else index.number()

    def verdict(self, factor: str) -> str:
        """What the ranking index of one factor says, in words.

        A wide interval around 0 is no evidence that there is no effect, so the words give the largest index that is
        still possible.
        """
        return self._verdict(self[self.kind][self.factors.index(factor)], self.kind)

    def _verdict(self, index: Index, kind: str) -> str:
        share = KINDS[kind].share
        most = f"{max(0, math.ceil(100 * index.high))} %" if share else f"{max(0.0, index.high):.3g}"
        if index.includes_zero:
            return f"not distinguishable from no effect (at most {most})"
        if share and index.high < _SMALL:
            return f"matters little (at most {most})"
        if share and index.low < _TINY:
            return f"has an effect (at most {most})"
        return "matters"

    def answer(self, metric: str = "") -> tuple[str, ...]:
        """The conclusion in one to three sentences, certainty included, the most important one first."""
        return self._conclusion(metric or self.metric) + ((self.misses,) if self.misses else ())

    def _conclusion(self, metric: str) -> tuple[str, ...]:
        top = self.ranking()[0]
        kind = KINDS[self.kind]
        if top.includes_zero:
            return (
                f"{self.over}, no factor is distinguishable from no effect on {metric}; "
                f"the largest {kind.label} is {self.text(top)}, of {top.factor}.",
            )
        if kind.share:
            per_seed = "" if self.corrected else ", averaged over the seeds" if self.method == "sobol" else ""
            claim = f"accounts for {top.percent()} of the variance of {metric} ({kind.label}{per_seed})"
        else:
            claim = f"ranks first for {metric}, with a {kind.label} of {top.number()}"
        sentences = [f"{self.over}, {top.factor} {claim}."]
        rivals = self.rivals(top.factor)
        if rivals:
            sentences.append(f"The data do not separate it from {listed(rivals)}: which comes first is open.")
        elif len(self.factors) > 1:
            count = len(self.factors) - 1
            others = "the other factor" if count == 1 else f"each of the other {count} factors"
            sentences.append(f"The data separate its {kind.label} from that of {others}.")
        return tuple(sentences)

    def notes(self) -> tuple[str, ...]:
        """What a reader must know about how noise and failures were treated, one sentence each."""
        split = self.luck_split.sentences() if self.luck_split else ()
        return self.remarks + split + self.failure_sentences()

    def failure_sentences(self) -> tuple[str, ...]:
        """How many trainings failed, what was done about it and on what failing depends; () without ``failures``."""
        if self.failures is None:
            return ()
        return self.failures.sentences(self.failing.answer("P(failed)") if self.failing else ())

    def lines(self) -> list[dict[str, Any]]:
        """One line of plain values per index, with method, metric, verdict and seeds policy; luck has its own line.

        Where luck is split, the lines ``luck_array`` and ``luck_training`` are shares of it. ``settled`` and ``needs``
        come from `enough`, and are given for the indices that rank.
        """
        settled = {verdict.factor: verdict for verdict in self.enough()}
        lucky = [("luck", self.luck)]
        if self.luck_split:
            lucky += [("luck_array", self.luck_split.array), ("luck_training", self.luck_split.training)]
        common = {"method": self.method, "metric": self.metric, "seeds": self.seeds, "confidence": self.confidence}
        named = [(kind, index) for kind, indices in self.indices.items() for index in indices]
        return [
            {
                **common,
                "factor": index.factor,
                "partner": index.partner or None,
                "kind": kind,
                "value": index.value,
                "low": index.low,
                "high": index.high,
                "floor": index.floor,
                "verdict": self._verdict(index, kind) if kind in (self.kind, "second") else None,
                "settled": settled[index.factor].settled if kind == self.kind else None,
                "needs": settled[index.factor].needs if kind == self.kind else None,
            }
            for kind, index in [*named, *lucky]
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the ranking, the verdicts and the pairs that are not separated."""
        scalars = ("mean", "variance", "noise_variance")
        plain = ("method", "metric", "kind", "unit", "units", "replicated_rows", "seeds", "pooled", "corrected")
        numbers = {name: float(getattr(self, name)) for name in scalars}
        return {
            "factors": list(self.factors),
            **{kind: [index.to_dict() for index in indices] for kind, indices in self.indices.items()},
            "luck": self.luck.to_dict(),
            "luck_split": self.luck_split.to_dict() if self.luck_split else None,
            "half_width": HALF_WIDTH,
            "enough": {verdict.factor: verdict.to_dict() for verdict in self.enough()},
            "rank_stability": self.rank_stability().to_dict(),
            "ranking": [index.factor for index in self.ranking()],
            "verdicts": {factor: self.verdict(factor) for factor in self.factors},
            "not_separated": [[pair.larger, pair.smaller] for pair in self.not_separated()],
            **{name: None if math.isnan(number) else number for name, number in numbers.items()},
            **{name: getattr(self, name) for name in (*plain, "confidence", "resamples")},
            "groups": {name: list(members) for name, members in self.groups.items()},
            "failures": self.failures.to_dict(self.failing.to_dict() if self.failing else None)
            if self.failures
            else None,
            "answer": list(self.answer()),
            "notes": list(self.notes()),
        }

    def write_json(self, path: str | os.PathLike[str]) -> None:
        """`to_dict` as a file."""
        write_json(path, self.to_dict())

    def write_parquet(self, path: str | os.PathLike[str]) -> None:
        """`lines` as a file."""
        write_parquet(path, self.lines(), {"method": self.method, "metric": self.metric})


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: a, b and c."""
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}"
