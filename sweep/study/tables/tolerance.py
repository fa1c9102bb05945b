"""The table [tolerance]: the question for ``vcm-sweep tolerance``; it is not part of any trial."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vcm_sweep.device.declared import declared, number, table, whole, word
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.tables.fields import Fields, brief

QUESTIONS = ("one", "joint", "trade-off")


@dataclass(frozen=True)
class ToleranceSpec:
    """A question about tolerances, and how much may be trained to answer it.

    Attributes:
        question: "one" factor at a time, all "joint", or the "trade-off" of accuracy against something else.
        target: accuracy to keep, or None if ``drop`` is given.
        drop: how much of the nominal device's accuracy may be lost, or None if ``target`` is given.
        confidence: confidence with which an answer keeps the target.
        weights: weights of factors in the summed tolerance; 1 for those that are not given.
        against: what accuracy is traded for in a trade-off: "energy" or "tolerance".
        trials: trainings of the search; those of the confirmation come on top.
        replicates: trainings that a point gets at a time.
        confirm: number of fresh seeds with which each answer is confirmed.
        precision: half-width of the answer, as a fraction of a factor's range, at which a search may stop.
    """

    question: str = word(QUESTIONS, "one factor at a time, all jointly, or accuracy against something else")
    target: float | None = number(None, 0.0, 1.0, "", "mean accuracy to keep, instead of drop")
    drop: float | None = number(0.02, 0.0, 1.0, "", "what may be lost of the nominal device's accuracy")
    confidence: float = number(0.95, 0.5, 0.999, "", "with which a tolerance keeps the target")
    weights: dict[str, float] = table(
        {"type": "object", "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1e6}},
        "of factors (quoted) in the sum of tolerances, 1 where none is given",
    )
    against: str = word(("energy", "tolerance"), "of a trade-off")
    trials: int = whole(400, 16, 10_000_000, "trainings of the search; its confirmation comes on top")
    replicates: int = whole(2, 1, 1000, "trainings that a point gets at a time")
    confirm: int = whole(16, 4, 10_000, "fresh seeds of each answer")
    precision: float = number(
        0.03, 1e-4, 0.5, "", "half-width, in parts of a factor's range, at which a search may stop"
    )

    @classmethod
    def from_table(cls, table: Any, factors: tuple[str, ...]) -> "ToleranceSpec":
        """From the [tolerance] table of a study with these factors.

        >>> ToleranceSpec.from_table({"target": 0.9}, ("r.d2d.sigma",)).target
        0.9
        """
        if not factors:
            raise StudyError("[tolerance] is of factors, and a study of conditions has none: ask one that has factors")
        fields = Fields(table, "tolerance")
        if {"target", "drop"} <= fields.given:
            raise StudyError("[tolerance] target and drop both say what is to be kept: leave one out")
        values = fields.all(declared(cls))
        if values["target"] is not None:
            values["drop"] = None
        spec = cls(**values | {"weights": _weights(values["weights"], factors)})
        fields.finish()
        return spec

    def asked(self, given: Mapping[str, Any], factors: tuple[str, ...]) -> "ToleranceSpec":
        """The question with other values in its place, checked like the table; a target takes the place of a drop.

        >>> ToleranceSpec.from_table({"target": 0.9}, ("r.d2d.sigma",)).asked({"drop": 0.01}, ("r.d2d.sigma",)).target
        """
        own = {name: value for name, value in vars(self).items() if value is not None}
        for name, other in (("target", "drop"), ("drop", "target")):
            if name in given:
                own.pop(other, None)
        return ToleranceSpec.from_table({**own, **given}, factors)


def _weights(table: dict[str, Any], factors: tuple[str, ...]) -> dict[str, float]:
    # A factor's name contains dots, which TOML takes for tables unless the name is quoted: hence the hint.
    for name, value in table.items():
        if name not in factors:
            known = ", ".join(f'"{factor}"' for factor in factors)
            raise StudyError(f"[tolerance.weights] {brief(name)} is not a factor of the study: quote one of {known}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e6:
            raise StudyError(f"[tolerance.weights] {name} = {brief(value)} must be a number from 0 to 1e+06")
    if table and not any(table.get(name, 1.0) for name in factors):
        raise StudyError("[tolerance.weights] all weights are 0: at least one must be above 0")
    return {name: float(value) for name, value in table.items()}
