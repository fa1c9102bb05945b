"""``MorrisDesign``: Morris' trajectories, drawn by SALib."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.sweep.designs.design import Design


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

    def shares_seeds_by(self, point: int, inputs: dict[str, Any]) -> Any:
        if self.study.design.seeds == "independent":
            return {"inputs": inputs, "trajectory": point // self.block}
        return super().shares_seeds_by(point, inputs)
