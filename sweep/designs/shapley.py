"""``ShapleyDesign``: trajectories for Shapley effects, drawn by SALib."""

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.sweep.designs.design import Design


class ShapleyDesign(Design):
    """Goda's trajectories from one random point to another, one factor at a time in random order.

    Trajectory t has the rows t (D + 1) + k.
    """

    method = "shapley"
    unit = "trajectories"

    @property
    def block(self) -> int:
        """D + 1."""
        return self.dimension + 1

    def sample(self) -> NDArray[np.float64]:
        from SALib.sample import shapley

        # Drawn one by one, so that a larger n begins with the same trajectories; SALib's n at a time do not.
        rng, problem = np.random.default_rng(self.study.seed + 1), self.salib_problem()
        drawn = [shapley.sample(problem, 1, seed=rng) for _ in range(self.study.design.n)]
        return np.concatenate(drawn).astype(np.float64)
