"""Designs that sample the ranges: Saltelli's rows, trajectories of Morris and of Shapley; SALib draws them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .design import Design


class SobolDesign(Design):
    """Saltelli's A, B, AB_g rows on scrambled Sobol points; for second order the BA_g rows too.

    With G factors or groups, base block b has the rows b (G + 2) + k: k = 0 is A, 1..G are AB_1..AB_G, G + 1 is B.
    For second order they are b (2 G + 2) + k: B is the last one, and G + 1..2 G are BA_1..BA_G.
    """

    method = "sobol"

    @property
    def block(self) -> int:
        """G + 2, or 2 G + 2."""
        return (2 if self.study.design.second_order else 1) * len(self.groups) + 2

    def sample(self) -> NDArray[np.float64]:
        from SALib.sample import sobol

        spec = self.study.design
        # SALib treats a seed of 0 as none.
        seed = self.study.seed + 1
        sample = sobol.sample(
            self.salib_problem(), spec.n, calc_second_order=spec.second_order, scramble=True, seed=seed
        )  # fmt: skip
        return np.asarray(sample, dtype=np.float64)

    def shares_seeds_by(self, point: int, inputs: dict[str, Any]) -> Any:
        exchanged = len(self.groups) < point % self.block < self.block - 1
        # Of two groups, B with the first one's columns from A is A with the second one's from B. These are two rows:
        # with one record the other would be missing for ever, and their noise is to be independent.
        if exchanged and len(self.groups) == 2 and self.study.design.seeds == "independent":
            return {"inputs": inputs, "row": "BA"}
        return super().shares_seeds_by(point, inputs)


class MorrisDesign(Design):
    """Morris' trajectories on a grid of levels; each row changes one factor, or group, of the row before it.

    Trajectory t has the rows t (G + 1) + k. On a coarse grid two trajectories may meet in a point: those are two
    trainings, with seeds of their own, since each step of a trajectory is to have luck of its own.
    """

    method = "morris"

    @property
    def block(self) -> int:
        """G + 1."""
        return len(self.groups) + 1

    def sample(self) -> NDArray[np.float64]:
        from SALib.sample import morris

        spec = self.study.design
        sample = morris.sample(self.salib_problem(), spec.n, num_levels=spec.levels, seed=self.study.seed + 1)
        # The grid's ends are the ranges' ends, but for rounding.
        low, high = ([getattr(factor, end) for factor in self.study.factors] for end in ("low", "high"))
        return np.clip(np.asarray(sample, dtype=np.float64), low, high)

    def shares_seeds_by(self, point: int, inputs: dict[str, Any]) -> Any:
        if self.study.design.seeds == "independent":
            return {"inputs": inputs, "trajectory": point // self.block}
        return super().shares_seeds_by(point, inputs)


class ShapleyDesign(Design):
    """Goda's trajectories from one random point to another, one factor at a time in random order.

    Trajectory t has the rows t (D + 1) + k.
    """

    method = "shapley"

    @property
    def block(self) -> int:
        """D + 1."""
        return self.dimension + 1

    def sample(self) -> NDArray[np.float64]:
        from SALib.sample import shapley

        # Drawn one by one: n at a time do not begin with fewer of them.
        rng, problem = np.random.default_rng(self.study.seed + 1), self.salib_problem()
        drawn = [shapley.sample(problem, 1, seed=rng) for _ in range(self.study.design.n)]
        return np.concatenate(drawn).astype(np.float64)
