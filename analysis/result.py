"""What an analysis concludes: indices with intervals, which factors they separate, verdicts in words."""

import math
from dataclasses import dataclass
from typing import Any

# A total index whose whole interval lies below this is called small. A convention, not a test.
_SMALL = 0.05


@dataclass(frozen=True)
class Index:
    """A sensitivity index of one factor with its bootstrap interval; never clipped to [0, 1]."""

    factor: str
    value: float
    low: float
    high: float

    @property
    def includes_zero(self) -> bool:
        """Whether no effect at all is compatible with the data."""
        return self.low <= 0.0

    def percent(self) -> str:
        """The index as people read it.

        >>> Index("r.d2d.sigma", 0.714, 0.66, 0.76).percent()
        '71 % [66, 76]'
        """
        if math.isnan(self.value):
            return "not measured"
        numbers = [100 * v for v in (self.value, self.low, self.high)]
        digits = 1 if max(map(abs, numbers)) < 10.0 else 0
        # Adding 0.0 turns a rounded -0.0 into 0.0.
        value, low, high = (f"{round(v, digits) + 0.0:.{digits}f}" for v in numbers)
        return f"{value} % [{low}, {high}]"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what was not measured is None."""
        values = {"value": self.value, "low": self.low, "high": self.high}
        return {"factor": self.factor, **{k: None if math.isnan(v) else v for k, v in values.items()}}


@dataclass(frozen=True)
class Difference:
    """Total index of ``larger`` minus that of ``smaller``, with the bootstrap interval of the difference.

    The two totals share their A rows, so their intervals may overlap although the difference is certain, and
    the other way round: only this interval says whether the order is known.
    """

    larger: str
    smaller: str
    value: float
    low: float
    high: float

    @property
    def separated(self) -> bool:
        """Whether the data know which of the two is larger."""
        return not self.low <= 0.0 <= self.high


@dataclass(frozen=True)
class SobolResult:
    """First and total indices of the mean output over the seeds, and of the output of a single training.

    Sobol indices are shares of variance over the stated ranges, not of accuracy lost; totals can sum above 1.

    Args:
        factors: names, in the order of the design's columns.
        first, total: indices of the mean over training seeds (with common seeds: per seed, averaged).
        single_first, single_total: the same as shares of the variance of one training.
        differences: every pair of totals, each from the higher to the lower estimate.
        luck: share of the variance of one training that its seed alone makes; NaN when not measured.
        mean, variance: of the output over the ranges; the variance without training noise.
        noise_variance: mean within-row variance of one training; NaN when not measured.
        base_points, replicated_rows: rows of matrix A, and rows of any kind with two replicates or more.
        seeds: ``independent`` or ``common``.
        pooled: whether noise was pooled over rows because not every row has replicates.
        confidence: of every interval.
        resamples: bootstrap resamples behind every interval.
    """

    factors: tuple[str, ...]
    first: tuple[Index, ...]
    total: tuple[Index, ...]
    single_first: tuple[Index, ...]
    single_total: tuple[Index, ...]
    differences: tuple[Difference, ...]
    luck: Index
    mean: float
    variance: float
    noise_variance: float
    base_points: int
    replicated_rows: int
    seeds: str
    pooled: bool
    confidence: float
    resamples: int

    @property
    def corrected(self) -> bool:
        """Whether training noise was subtracted; with common seeds it must not be."""
        return self.seeds == "independent"

    def ranking(self) -> tuple[Index, ...]:
        """Total indices, largest first; read it with `not_separated`."""
        return tuple(sorted(self.total, key=lambda index: -index.value))

    def not_separated(self) -> tuple[Difference, ...]:
        """Pairs whose order the data do not tell, those of the highest-ranked factors first."""
        place = {index.factor: i for i, index in enumerate(self.ranking())}
        pairs = [pair for pair in self.differences if not pair.separated]
        return tuple(sorted(pairs, key=lambda pair: (place[pair.larger], place[pair.smaller])))

    def rivals(self, factor: str) -> tuple[str, ...]:
        """Factors from which the data do not separate this one, highest total first."""
        pairs = self.not_separated()
        close = {name for p in pairs if factor in (p.larger, p.smaller) for name in (p.larger, p.smaller)}
        return tuple(index.factor for index in self.ranking() if index.factor in close - {factor})

    def verdict(self, factor: str) -> str:
        """What the total index of one factor says, in words.

        A wide interval around 0 is not evidence of absence: the words give the share still possible.
        """
        index = self.total[self.factors.index(factor)]
        most = max(0, math.ceil(100 * index.high))
        if index.includes_zero:
            return f"not distinguishable from no effect (at most {most} %)"
        if index.high < _SMALL:
            return f"matters little (at most {most} %)"
        return "matters"

    def answer(self, metric: str = "accuracy") -> tuple[str, ...]:
        """The conclusion in one to three sentences, certainty included, the most important one first."""
        top = self.ranking()[0]
        per_seed = "" if self.corrected else ", averaged over the seeds"
        if top.includes_zero:
            return (
                f"Over the stated ranges, no factor is distinguishable from no effect on {metric}; "
                f"the largest total index is {top.percent()}, of {top.factor}.",
            )
        sentences = [
            f"Over the stated ranges, {top.factor} accounts for {top.percent()} of the variance of {metric} "
            f"(total index{per_seed})."
        ]
        rivals = self.rivals(top.factor)
        if rivals:
            names = _listed(rivals)
            sentences.append(f"The data do not separate it from {names}: which comes first is open.")
        elif len(self.factors) > 1:
            count = len(self.factors) - 1
            others = "the other factor" if count == 1 else f"each of the other {count} factors"
            sentences.append(f"The data separate its total index from that of {others}.")
        return tuple(sentences)

    def notes(self) -> tuple[str, ...]:
        """What a reader must know about how noise was treated, one sentence each."""
        if not self.corrected:
            return (
                "Seeds are common to the rows of a base block: the indices are those per seed, averaged; "
                "they contain the interaction of factor and seed, and no training noise was subtracted.",
            )
        if self.pooled:
            return (
                f"Not every row has replicates: the noise variance is pooled over the {self.replicated_rows} "
                "rows that do, and subtracted from all.",
            )
        return ("The noise variance of every row was measured by its own replicates and subtracted.",)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the ranking, the verdicts and the pairs that are not separated."""
        lists = ("first", "total", "single_first", "single_total")
        scalars = ("mean", "variance", "noise_variance")
        plain = ("base_points", "replicated_rows", "seeds", "pooled", "corrected", "confidence", "resamples")
        numbers = {name: float(getattr(self, name)) for name in scalars}
        return {
            "factors": list(self.factors),
            **{name: [index.to_dict() for index in getattr(self, name)] for name in lists},
            "luck": self.luck.to_dict(),
            "ranking": [index.factor for index in self.ranking()],
            "verdicts": {factor: self.verdict(factor) for factor in self.factors},
            "not_separated": [[pair.larger, pair.smaller] for pair in self.not_separated()],
            **{name: None if math.isnan(number) else number for name, number in numbers.items()},
            **{name: getattr(self, name) for name in plain},
            "notes": list(self.notes()),
        }


def _listed(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}"
