"""``SpaceDesign``: scrambled Sobol points, which fill the box of the ranges evenly."""

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.sweep.designs.copula import correlated
from vcm_sweep.sweep.designs.design import Design
from vcm_sweep.sweep.study.tables.correlation import score_matrix


class SpaceDesign(Design):
    """n scrambled Sobol points, for an estimator that works with any points: no two rows share a coordinate.

    A pick-freeze design of as many trainings has D + 2 times fewer distinct values of each factor. What a model of
    the output leaves unexplained is measured by training every point twice, see docs/statistics.md. Where the study
    gives rank correlations, the points follow them by a Gaussian copula.

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
        unit = np.asarray(sobol.random_base2(self._doublings))
        pairs = self.study.design.correlation
        if not pairs:
            return unit
        return correlated(unit, score_matrix(pairs, [factor.name for factor in self.study.factors]))

    @property
    def _doublings(self) -> int:
        return self.study.design.n.bit_length() - 1
