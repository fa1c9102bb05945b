"""``SpaceDesign``: scrambled Sobol points, which fill the box of the ranges evenly."""

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.sweep.designs.design import Design


class SpaceDesign(Design):
    """n scrambled Sobol points, for an estimator that works with any points: no two rows share a coordinate.

    A pick-freeze design of as many trainings has D + 2 times fewer distinct values of each factor. What a model of
    the output leaves unexplained is measured by training every point twice, see docs/statistics.md.

    The scrambling is Owen's as in scipy (a random linear matrix and a digital shift): A. B. Owen, J. Complexity 14
    (1998) 466; J. Matousek, J. Complexity 14 (1998) 527. It does not depend on n, so more points begin with the fewer.
    """

    method = "space"
    unit = "points"

    @property
    def block(self) -> int:
        """1: every point stands for itself."""
        return 1

    def sample(self) -> NDArray[np.float64]:
        from scipy.stats import qmc

        sobol = qmc.Sobol(self.dimension, scramble=True, rng=self.study.seed + 1)
        return np.asarray(sobol.random_base2(self._doublings))

    @property
    def _doublings(self) -> int:
        return self.study.design.n.bit_length() - 1
