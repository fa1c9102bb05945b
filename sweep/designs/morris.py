"""``MorrisDesign``: Morris' trajectories, drawn by SALib."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.sweep.designs.design import Design
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.distributions import Levels, Whole


class MorrisDesign(Design):
    """Morris' trajectories on a grid of levels; each row changes one factor, or group, of the row before it.

    Trajectory t has the rows t (G + 1) + k. On a coarse grid two trajectories may share a point. It is then trained
    twice with different seeds, so that the noise of different trajectories is independent.
    """

    method = "morris"
    unit = "trajectories"

    @property
    def block(self) -> int:
        """G + 1."""
        return len(self.groups) + 1

    def sample(self) -> NDArray[np.float64]:
        from SALib.sample import morris

        spec = self.study.design
        sample = morris.sample(self.salib_problem(), spec.n, num_levels=spec.levels, seed=self.study.seed + 1)
        return np.asarray(sample, dtype=np.float64)

    def check(self) -> None:
        """Raise StudyError for a value of a list that no point of the grid meets."""
        for factor in self.study.factors:
            if isinstance(factor.law, Levels) and not isinstance(factor.law, Whole):
                missed = _missed(factor.law, self.study.design.levels)
                enough = next((levels for levels in range(2, 101, 2) if not _missed(factor.law, levels)), None)
                if missed:
                    fix = f"levels = {enough} do" if enough else "make it likelier, or leave it out"
                    raise StudyError(
                        f"[design] levels = {self.study.design.levels}: no point of the grid has {factor.name} at "
                        f"{', '.join(map(factor.law.text, missed))}: {fix}"
                    )

    @property
    def seeds_of_blocks(self) -> bool:
        return True

    def shares_seeds_by(self, point: int, inputs: dict[str, Any]) -> Any:
        if self.study.design.seeds == "independent":
            return {"inputs": inputs, "trajectory": point // self.block}
        return super().shares_seeds_by(point, inputs)


def _missed(law: Levels, levels: int) -> list[float]:
    """The values that a grid of so many levels, in steps of probability, does not meet."""
    return sorted(set(law.levels) - set(law.ppf(np.linspace(0.0, 1.0, levels)).tolist()))
