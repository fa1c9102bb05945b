"""The answer to a question about tolerances, a table for a specification or a front: in words, to JSON and back."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.records.metrics import as_metric
from vcm_sweep.analysis.results.index import Index, with_unit
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.study.tables.tolerance import QUESTIONS

FOLDER = "tolerance"


@dataclass(frozen=True)
class Tolerance:
    """How far one factor may go.

    Attributes:
        factor, unit: the factor that moves. nominal: the value from which it moves. end: the end of its range towards
            which it moves, "low" or "high".
        value: the farthest value that is tolerated, with the answer's confidence; NaN where not even nominal keeps the
            target.
        low, high: two-sided interval of the true limit.
        limited_by: what stops it: the accuracy, the end of the range, or trainings that diverge.
        accuracy: mean and interval at ``value``, by fresh seeds that the search did not use.
        share: ``value`` as a part of the way from nominal to the end of the range, 0 to 1.
    """

    factor: str
    unit: str
    value: float
    low: float
    high: float
    limited_by: str
    accuracy: Index
    end: str = "high"
    nominal: float = 0.0
    share: float = math.nan

    @property
    def text(self) -> str:
        """The tolerance as it goes into a specification.

        >>> Tolerance("T_0", "K", 310.0, 308.0, 315.0, "accuracy", Index("T_0", 0.9, 0.89, 0.91), nominal=293.0).text
        '293 .. 310 K [308, 315]'
        """
        if math.isnan(self.value):
            return "none"
        from_to = f"{self.nominal:.4g} .. {self.value:.3g}" if self.nominal else f"{self.value:.3g}"
        said = with_unit(from_to, self.unit)
        if self.limited_by == END_OF_RANGE:
            return f"{said} {self.beyond}"
        return f"{said} [{self.low:.3g}, {self.high:.3g}]"

    @property
    def beyond(self) -> str:
        """The words that follow the value where the range ends before the tolerance is reached."""
        return "or less" if self.end == "low" else "or more"


END_OF_RANGE = "end of the range"
ACCURACY = "accuracy"
DIVERGED = "P(diverged)"
NOMINAL = "the nominal device"


@dataclass(frozen=True)
class FrontPoint:
    """A point of the front: no other point beats it in both objectives.

    Attributes:
        values: of the factors, in their units. objectives: accuracy and the other objective, by fresh seeds.
    """

    values: Mapping[str, float]
    objectives: tuple[Index, ...]


@dataclass(frozen=True)
class ToleranceAnswer:
    """The answer to one question.

    Attributes:
        question: "one", "joint" or "trade-off". metric: the metric that is to be kept. target: the value above which it
            is kept. confidence: of every value. rows: the table. confirmed: what fresh seeds say, in a sentence.
        front: points of a trade-off. hypervolume: how it grew, as pairs of (trainings so far, share of the box that all
            points span). trainings: how many the search looked at.
    """

    question: str
    metric: str
    target: float
    confidence: float
    rows: tuple[Tolerance, ...]
    confirmed: str
    remarks: tuple[str, ...] = ()
    front: tuple[FrontPoint, ...] = ()
    hypervolume: tuple[tuple[int, float], ...] = ()
    trainings: int = 0

    def answer(self) -> list[str]:
        """The conclusion in sentences, certainty included."""
        sure = f"with {100 * self.confidence:.4g} % confidence"
        if self.question == "trade-off":
            if not self.front:
                return ["No point of the trade-off has a result."]
            first, second = (
                [point.objectives[k] for point in self.front] for k in range(len(self.front[0].objectives))
            )
            return [
                f"{len(self.front)} points are beaten by none in both: {_span(first)}, {_span(second)}.",
                self.confirmed,
            ]
        kept = f"mean accuracy at {100 * self.target:.3g} % or above"
        if self.question == "joint":
            named = ", ".join(f"{row.factor} {row.text}" for row in self.rows)
            return [f"All at once, {sure}, these keep the {kept}: {named}.", self.confirmed]
        tight = [row for row in self.rows if row.limited_by in (ACCURACY, DIVERGED) and not math.isnan(row.value)]
        free = [row for row in self.rows if row.limited_by == END_OF_RANGE]
        said = []
        if tight:
            tightest = min(tight, key=lambda row: row.share)
            said.append(
                f"One at a time, each {sure}, {len(tight)} of {len(self.rows)} tolerances that keep the {kept} end "
                f"within their ranges; the smallest part of its range has {tightest.factor}: {tightest.text}."
            )
        if free:
            names = ", ".join(dict.fromkeys(row.factor for row in free))
            said.append(f"Up to the end of the range, each {sure}, no tolerance of {names} is reached.")
        at_nominal = [row for row in self.rows if row.limited_by == NOMINAL and not math.isnan(row.value)]
        if at_nominal:
            names = ", ".join(dict.fromkeys(row.factor for row in at_nominal))
            said.append(
                f"Of {names} no tolerance can be named {sure}: the nominal device itself is too near to the target of "
                f"{100 * self.target:.3g} % to know that it keeps it; lower the target, or give more trials."
            )
        if len(said) == 0:
            said.append(f"Not even the nominal device keeps the {kept}: lower the target, or train longer.")
        return [*said, self.confirmed]

    def lines(self) -> list[dict[str, Any]]:
        """One row per tolerance, or per point of the front."""
        if self.question == "trade-off":
            return [
                {name: value for index in point.objectives for name, value in _flat(index).items()} | dict(point.values)
                for point in self.front
            ]
        return [
            {
                "factor": row.factor,
                "end": row.end,
                "unit": row.unit,
                "nominal": row.nominal,
                "value": row.value,
                "low": row.low,
                "high": row.high,
                "share": row.share,
                "limited_by": row.limited_by,
                **_flat(row.accuracy, "accuracy"),
            }
            for row in self.rows
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what was not measured is None."""
        return {
            "question": self.question,
            "metric": self.metric,
            "target": _plain(self.target),
            "confidence": self.confidence,
            "answer": self.answer(),
            "confirmed": self.confirmed,
            "remarks": list(self.remarks),
            "rows": [
                {name: _plain(value) for name, value in vars(row).items() if name != "accuracy"}
                | {"accuracy": row.accuracy.to_dict()}
                for row in self.rows
            ],
            "front": [
                {"values": dict(point.values), "objectives": [index.to_dict() for index in point.objectives]}
                for point in self.front
            ],
            "hypervolume": [list(pair) for pair in self.hypervolume],
            "trainings": self.trainings,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "ToleranceAnswer":
        """The inverse of :meth:`to_dict`; raises KeyError or TypeError for anything that it did not write."""
        return cls(
            question=str(plain["question"]),
            metric=str(plain["metric"]),
            target=_number(plain["target"]),
            confidence=float(plain["confidence"]),
            confirmed=str(plain["confirmed"]),
            remarks=tuple(map(str, plain["remarks"])),
            rows=tuple(
                Tolerance(
                    str(row["factor"]),
                    str(row["unit"]),
                    _number(row["value"]),
                    _number(row["low"]),
                    _number(row["high"]),
                    str(row["limited_by"]),
                    _index(row["accuracy"]),
                    str(row["end"]),
                    _number(row["nominal"]),
                    _number(row["share"]),
                )
                for row in plain["rows"]
            ),
            front=tuple(
                FrontPoint(
                    {str(k): float(v) for k, v in point["values"].items()}, tuple(map(_index, point["objectives"]))
                )
                for point in plain["front"]
            ),
            hypervolume=tuple((int(n), float(share)) for n, share in plain["hypervolume"]),
            trainings=int(plain["trainings"]),
        )  # fmt: skip


def write_answer(folder: Folder, answer: ToleranceAnswer) -> None:
    """Put an answer beside the records that it comes from: ``<question>.json``, and the table as CSV."""
    content = json.dumps(answer.to_dict(), indent=2, allow_nan=False) + "\n"
    folder.write(f"{answer.question}.json", content.encode())
    lines = answer.lines()
    if lines:
        import csv
        import io

        text = io.StringIO()
        writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
        folder.write(f"{answer.question}.csv", text.getvalue().encode())


def read_tolerances(folder: Folder) -> tuple[ToleranceAnswer, ...]:
    """All answers in a results folder, in the order one, joint, trade-off; () where nothing was asked.

    Raises:
        AnalysisError: a file that `write_answer` did not write.
    """
    found = []
    place = folder / FOLDER
    for question in QUESTIONS:
        try:
            found.append(ToleranceAnswer.from_dict(json.loads(place.read(f"{question}.json"))))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise AnalysisError(
                f"{place}/{question}.json cannot be read ({type(error).__name__}): run vcm-sweep tolerance again"
            ) from None
    return tuple(found)


def _span(indices: list[Index]) -> str:
    """One objective along the front in words: its lowest and its highest value, each with its interval."""
    ends = sorted(indices, key=lambda index: index.value)
    words = as_metric(ends[0].factor).text
    return f"{ends[0].factor} {words(ends[0])} to {words(ends[-1])}"


def _flat(index: Index, name: str = "") -> dict[str, float]:
    name = name or index.factor
    return {name: index.value, f"{name}_low": index.low, f"{name}_high": index.high}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _index(plain: Mapping[str, Any]) -> Index:
    return Index(str(plain["factor"]), _number(plain["value"]), _number(plain["low"]), _number(plain["high"]))
