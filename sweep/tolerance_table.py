"""The [tolerance] table of a study: what ``vcm-sweep tolerance`` is asked; no part of any trial."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from .errors import StudyError
from .fields import Fields, brief

QUESTIONS = ("one", "joint", "trade-off")
OBJECTIVES = ("energy", "tolerance")


@dataclass(frozen=True)
class ToleranceSpec:
    """A question about tolerances, and how much may be trained to answer it.

    Attributes:
        question: "one" factor at a time, all "joint", or the "trade-off" of accuracy against something else.
        target: accuracy to keep; or ``drop``, what may be lost of the nominal device's. One of them is None.
        confidence: of the answer.
        weights: of factors in the summed tolerance, 1 where none is given.
        against: of the trade-off, "energy" or "tolerance".
        trials: trainings of the search, confirmation apart. replicates: trainings of a point, at first.
        confirm: fresh seeds of the confirmation.
        precision: half-width, in parts of a factor's range, at which a search may stop.
    """

    question: str = "one"
    target: float | None = None
    drop: float | None = 0.02
    confidence: float = 0.95
    weights: dict[str, float] = dataclasses.field(default_factory=dict)
    against: str = "energy"
    trials: int = 400
    replicates: int = 2
    confirm: int = 16
    precision: float = 0.03

    @classmethod
    def from_table(cls, table: Any, factors: tuple[str, ...]) -> "ToleranceSpec":
        """From the [tolerance] table of a study with these factors.

        >>> ToleranceSpec.from_table({"target": 0.9}, ("r.d2d.sigma",)).target
        0.9
        """
        fields = Fields(table, "tolerance")
        if {"target", "drop"} <= fields.given:
            raise StudyError("[tolerance] target and drop both say what is to be kept: leave one out")
        target = fields.number("target", 0.0, 1.0) if "target" in fields.given else None
        spec = cls(
            question=fields.choice("question", QUESTIONS, "one"),
            target=target,
            drop=None if target is not None else fields.number("drop", 0.0, 1.0, 0.02),
            confidence=fields.number("confidence", 0.5, 0.999, 0.95),
            weights=_weights(fields.table("weights"), factors),
            against=fields.choice("against", OBJECTIVES, "energy"),
            trials=fields.integer("trials", 16, 10_000_000, 400),
            replicates=fields.integer("replicates", 1, 1000, 2),
            confirm=fields.integer("confirm", 4, 10_000, 16),
            precision=fields.number("precision", 1e-4, 0.5, 0.03),
        )
        fields.finish(also=("drop",) if target is not None else ("target",))
        return spec


def _weights(table: dict[str, Any], factors: tuple[str, ...]) -> dict[str, float]:
    # A factor's name has dots in it, which TOML reads as tables unless it is quoted.
    for name, value in table.items():
        if name not in factors:
            known = ", ".join(f'"{factor}"' for factor in factors)
            raise StudyError(f"[tolerance.weights] {brief(name)} is no factor of the study: quote one of {known}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e6:
            raise StudyError(f"[tolerance.weights] {name} = {brief(value)} must be a number from 0 to 1e+06")
    if table and not any(table.get(name, 1.0) for name in factors):
        raise StudyError("[tolerance.weights] all weights are 0: leave one factor a weight")
    return {name: float(value) for name, value in table.items()}
