"""`ConditionsDesign`: named conditions, each trained with the same seeds as all others."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.sweep.designs.design import Design

if TYPE_CHECKING:
    from vcm_sweep.sweep.study.study import Study


class ConditionsDesign(Design):
    """A point for each condition; replicate k of every condition has the same seeds, so that costs are paired.

    The seeds depend on k alone, so that what is trained of a condition stays when others are added, renamed or put in
    another order. In the unit cube each condition has a coordinate of its own, by which costs are told apart.

    Example:
        >>> from vcm_sweep.sweep import Study
        >>> design = ConditionsDesign(Study.from_toml("studies/paper.toml"))
        >>> len({trial.seed for trial in design.trials()}), design.study.conditions[0].name
        (5, 'noise-free')
    """

    method = "conditions"
    unit = "conditions"
    in_turn = True

    def __init__(self, study: "Study") -> None:
        super().__init__(study)
        self.dimension = len(study.conditions)

    @property
    def block(self) -> int:
        """1: every condition stands for itself."""
        return 1

    def sample(self) -> NDArray[np.float64]:
        return np.eye(self.dimension)

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """(conditions, 0): there are no factors."""
        return np.empty((self.dimension, 0))

    def scaled(self, points: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        return self.cube

    def inputs_of(self, point: int, factors: dict[str, float]) -> dict[str, Any]:
        return self.study.inputs_of(self.study.conditions[point])

    def shares_seeds_by(self, point: int, inputs: dict[str, Any]) -> Any:
        return {"base": 0}
