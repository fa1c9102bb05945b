"""``SobolDesign``: Saltelli's rows on scrambled Sobol points, drawn by SALib."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.sweep.designs.design import Design


class SobolDesign(Design):
    """Saltelli's A, B, AB_g rows on scrambled Sobol points; for second order the BA_g rows too.

    With G factors or groups, base block b has the rows b (G + 2) + k: k = 0 is A, 1..G are AB_1..AB_G, G + 1 is B.
    For second order they are b (2 G + 2) + k: B is the last one, and G + 1..2 G are BA_1..BA_G.
    """

    method = "sobol"
    unit = "base points"

    @property
    def block(self) -> int:
        """G + 2, or 2 G + 2."""
        return (2 if self.study.design.second_order else 1) * len(self.groups) + 2

    def sample(self) -> NDArray[np.float64]:
        from SALib.sample import sobol

        spec = self.study.design
        # Plus 1, since SALib takes a seed of 0 for none.
        seed = self.study.seed + 1
        sample = sobol.sample(
            self.salib_problem(), spec.n, calc_second_order=spec.second_order, scramble=True, seed=seed
        )  # fmt: skip
        return np.asarray(sample, dtype=np.float64)

    def shares_seeds_by(self, point: int, inputs: dict[str, Any]) -> Any:
        exchanged = len(self.groups) < point % self.block < self.block - 1
        # With two groups, B with the columns of the first from A equals A with those of the second from B. The two rows
        # need different seeds: with equal keys they would share one record, and their noise must be independent.
        if exchanged and len(self.groups) == 2 and self.study.design.seeds == "independent":
            return {"inputs": inputs, "row": "BA"}
        return super().shares_seeds_by(point, inputs)
