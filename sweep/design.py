"""The Sobol design: which point is which row of which matrix, and which points are repeated."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .seeds import trial_seed
from .trial import Trial

if TYPE_CHECKING:
    from .study import Study


class SobolDesign:
    """Saltelli's A, B, AB_i rows on scrambled Sobol points, first and total order.

    Base block b has the rows b (D + 2) + k: k = 0 is A, 1..D are AB_1..AB_D, D + 1 is B. A design with twice
    the n has this one as its exact beginning.
    """

    def __init__(self, study: "Study") -> None:
        self.study = study
        self.dimension = len(study.factors)
        self.points = _sample(study)

    @property
    def block(self) -> int:
        """Rows per base point."""
        return self.dimension + 2

    def replicates(self, point: int) -> int:
        """How often a point is run.

        Every point ``replicates`` times, and ``replicate_rows`` points once more. Those are spread over base
        blocks and over the rows within a block, so that they sample A, B and AB_i alike.
        """
        spec = self.study.design
        base, row = divmod(point, self.block)
        # The k-th repeated row of block b is row (b + k) mod (D + 2).
        order = (row - base) % self.block
        rank = order * spec.n + base
        return spec.replicates + (1 if rank < spec.replicate_rows else 0)

    def trials(self) -> Iterator[Trial]:
        """All trials, first replicates first."""
        study = self.study
        # Workers run in another folder.
        start = str(Path(study.network.start).resolve()) if study.network.start else ""
        most = study.design.replicates + (1 if study.design.replicate_rows else 0)
        for replicate in range(most):
            for point, values in enumerate(self.points):
                if replicate >= self.replicates(point):
                    continue
                factors = {f.name: float(v) for f, v in zip(study.factors, values, strict=True)}
                inputs = study.inputs(factors)
                shared = inputs if study.design.seeds == "independent" else {"base": point // self.block}
                seed = trial_seed(study.seed, replicate, shared)
                yield Trial(point, replicate, factors, inputs, seed, study.run.deadline_s, start)

    def __len__(self) -> int:
        """Number of trials."""
        spec = self.study.design
        return len(self.points) * spec.replicates + min(spec.replicate_rows, len(self.points))


def _sample(study: "Study") -> np.ndarray:
    """(n (D + 2), D) factor values in their units."""
    from SALib.sample import sobol

    problem = {
        "num_vars": len(study.factors),
        "names": [factor.name for factor in study.factors],
        "bounds": [[factor.low, factor.high] for factor in study.factors],
        "dists": ["logunif" if factor.distribution == "loguniform" else "unif" for factor in study.factors],
    }
    # SALib treats a seed of 0 as none.
    sample = sobol.sample(problem, study.design.n, calc_second_order=False, scramble=True, seed=study.seed + 1)
    return np.asarray(sample, dtype=np.float64)
