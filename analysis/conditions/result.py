"""The result of a study of conditions: what each reaches and costs, and how it compares with what was published."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vcm_sweep.analysis.conditions.means import Moments
from vcm_sweep.analysis.files import write_json, write_parquet
from vcm_sweep.analysis.records.metrics import find_metric
from vcm_sweep.analysis.results.failures import Failures
from vcm_sweep.analysis.results.index import Index

AGREES, DIFFERS, OPEN = "agrees", "differs", "cannot tell"
_PLURAL = {AGREES: "ours agrees with {}", DIFFERS: "differs from {}", OPEN: "of {} the data cannot tell"}


@dataclass(frozen=True)
class Published:
    """A published mean beside ours.

    Args:
        theirs: the published mean accuracy (share), with its spread and number where they are given.
        difference: ours minus theirs, with Welch's interval; without a published spread that of our mean alone.
        p: of no difference, adjusted by Holm for all that are compared with something published.
        verdict: ``differs`` where p is below 1 - confidence; ``agrees`` where it does not, and the interval lies within
            the margin; else ``cannot tell``.
        more: how many more trainings of ours would tell; None: no number of them would, or it is told.
    """

    theirs: Moments
    difference: Index
    p: float
    verdict: str
    more: int | None

    @property
    def alone(self) -> bool:
        """Whether ours is compared with the published mean as if that were exact, for want of its spread."""
        return self.theirs.sd is None

    def words(self) -> str:
        """The verdict in words: 'cannot tell, 4 more trainings would'."""
        if self.verdict != OPEN:
            return self.verdict
        if math.isnan(self.difference.low):
            return f"{OPEN}, ours has no spread"
        return f"{OPEN}, {f'{self.more} more trainings would' if self.more else 'and no number of trainings would'}"


@dataclass(frozen=True)
class ConditionResult:
    """What one condition reaches and costs.

    Args:
        name: of the condition. trainings: how many have a record. failed: how many of them have no value.
        ours: mean, standard deviation and number of its values. mean: with Student's interval; Wilson's of a share.
        cost: how much worse it is than the baseline in pairs of equal seeds, above 0 is worse; NaN for the baseline.
        p: of no cost, by the paired t test (exact McNemar test of a share), adjusted by Holm for all conditions.
        left: share of the trainings that left the plateau: neither diverged nor at chance, with Wilson's interval.
        trained: mean accuracy of those, with Student's interval.
        published: None where nothing was published, and for metrics other than accuracy.
    """

    name: str
    trainings: int
    failed: int
    ours: Moments
    mean: Index
    cost: Index
    p: float
    left: Index
    trained: Index
    published: Published | None = None

    @property
    def plateau(self) -> bool:
        """Whether some of its trainings stayed on the plateau, so that its mean is of two kinds."""
        return self.left.value < 1.0

    def costs(self, level: float) -> bool:
        """Whether the data tell that it costs or gains something."""
        return self.p < level


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The conditions of a study for one metric, in the order of its file.

    Args:
        metric: what was measured. baseline: what the others are compared with.
        rows: one per condition that has a training. waiting: names of those that have none yet.
        margin: within which two accuracies are called equal. confidence: of every interval.
        failures: trainings that failed, and what was done. remarks: what a reader must know.
    """

    metric: str
    baseline: str
    rows: tuple[ConditionResult, ...]
    waiting: tuple[str, ...]
    margin: float
    confidence: float
    failures: Failures
    remarks: tuple[str, ...]

    def __getitem__(self, name: str) -> ConditionResult:
        """The result of a condition by its name."""
        return {row.name: row for row in self.rows}[name]

    @property
    def level(self) -> float:
        """The chance of a false finding that is taken: 1 - confidence."""
        return 1.0 - self.confidence

    def ranking(self) -> tuple[ConditionResult, ...]:
        """All but the baseline, the dearest first and those without a cost last."""
        others = [row for row in self.rows if row.name != self.baseline]
        return tuple(sorted(others, key=lambda row: (math.isnan(row.cost.value), -row.cost.value)))

    def as_published(self) -> tuple[ConditionResult, ...]:
        """From the highest published mean to the lowest; behind them those without one, by ours."""

        def key(row: ConditionResult) -> tuple[bool, float]:
            shown = row.published.theirs.mean if row.published else row.ours.mean
            return row.published is None, -shown if math.isfinite(shown) else math.inf

        return tuple(sorted(self.rows, key=key))

    def answer(self) -> tuple[str, ...]:
        """The conclusion in a few sentences, certainty included."""
        metric = find_metric(self.metric)
        ranked = [row for row in self.ranking() if row.costs(self.level) and row.cost.value > 0]
        count = sum(math.isfinite(row.p) for row in self.ranking())
        said = []
        if ranked:
            top = ranked[0]
            also = f"; {len(ranked)} of {count} conditions are found to cost something" if count > 1 else ""
            said.append(
                f"{top.name} costs most {self.metric}, {metric.change(top.cost)} against {self.baseline}{also}."
            )
        else:
            said.append(f"No condition is found to cost {self.metric} against {self.baseline}, of {count} compared.")
        if found := {row.name: row.published.verdict for row in self.rows if row.published}:
            told = {verdict: [name for name, own in found.items() if own == verdict] for verdict in _PLURAL}
            words = [
                f"{_PLURAL[verdict].format(len(names))}{_named(names)}" for verdict, names in told.items() if names
            ]
            said.append(f"Published values, {len(found)}: {'; '.join(words)}.")
        if self.waiting:
            said.append(f"{len(self.waiting)} conditions have no training yet.")
        return tuple(said)

    def notes(self) -> tuple[str, ...]:
        """What a reader must know, one sentence each."""
        return (*self.remarks, *(f"{self.failures.words()}." for _ in range(1) if self.failures.failed))

    def lines(self) -> list[dict[str, Any]]:
        """One plain line per number."""
        found: list[dict[str, Any]] = []
        for row in self.rows:
            numbers: Mapping[str, tuple[Index, float]] = {
                "mean": (row.mean, math.nan), "cost": (row.cost, row.p), "left_plateau": (row.left, math.nan),
                "mean_if_left": (row.trained, math.nan),
            }  # fmt: skip
            if row.published:
                numbers = {**numbers, "ours_minus_published": (row.published.difference, row.published.p)}
            for kind, (index, p) in numbers.items():
                values = {"value": index.value, "low": index.low, "high": index.high, "p_holm": p}
                found.append(
                    {"metric": self.metric, "condition": row.name, "kind": kind, "trainings": row.ours.n}
                    | {name: None if math.isnan(value) else value for name, value in values.items()}
                    | {"verdict": row.published.verdict if row.published and kind == "ours_minus_published" else None}
                )
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = ("metric", "baseline", "margin", "confidence")
        return {
            **{name: getattr(self, name) for name in plain},
            "correction": "holm",
            "conditions": [
                {"name": row.name, "trainings": row.trainings, "failed": row.failed, "sd": row.ours.sd}
                | {kind: getattr(row, kind).to_dict() for kind in ("mean", "cost", "left", "trained")}
                | {"p": _plain(row.p), "published": _published(row.published)}
                for row in self.rows
            ],
            "ranking": [row.name for row in self.ranking()],
            "waiting": list(self.waiting),
            "failures": self.failures.to_dict(),
            "answer": list(self.answer()),
            "notes": list(self.notes()),
        }

    def write_json(self, path: str | os.PathLike[str]) -> None:
        """`to_dict` as a file."""
        write_json(path, self.to_dict())

    def write_parquet(self, path: str | os.PathLike[str]) -> None:
        """`lines` as a file."""
        write_parquet(path, self.lines(), {"method": "conditions", "metric": self.metric})


def precise(index: Index, share: bool) -> str:
    """A mean or a difference with its interval; shares in per cent with two decimals, as accuracies are published.

    >>> precise(Index("", 0.93818, 0.9311, 0.9453), True), precise(Index("", 0.93818, float("nan"), float("nan")), True)
    ('93.82 [93.11, 94.53]', '93.82')
    """
    if math.isnan(index.value):
        return "not measured"
    if not share:
        return index.number() if math.isfinite(index.low) else f"{index.value:.4g}"
    value, low, high = (f"{round(100 * number, 2) + 0.0:.2f}" for number in (index.value, index.low, index.high))
    return f"{value} [{low}, {high}]" if math.isfinite(index.low) else value


def _named(names: list[str]) -> str:
    return f" ({', '.join(names)})" if len(names) <= 4 else ""


def _plain(number: float | None) -> float | None:
    return None if number is None or math.isnan(number) else number


def _published(found: Published | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "mean": found.theirs.mean, "sd": found.theirs.sd, "n": found.theirs.n, "difference": found.difference.to_dict(),
        "p": _plain(found.p), "verdict": found.verdict, "more": found.more,
    }  # fmt: skip
