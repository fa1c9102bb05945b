"""Variation from pulse to pulse as in arXiv 2403.06746: a bounded random walk of a parameter."""

from dataclasses import dataclass

from vcm_sweep.device.declared import number
from vcm_sweep.device.public import public
from vcm_sweep.device.variability.checked import check_fields

VARYING = ("N_max", "N_min", "r", "l")
"""Parameters that may walk."""


@public
@dataclass(frozen=True)
class Walk:
    """Cycle-to-cycle random walk of one of N_max, N_min, r and l: a relative step after every pulse.

    After every pulse p <- p (1 + direct U(-1, 1) + slope ratio U(-1, 1)), kept within the cell's own value times
    [1 - clip, 1 + clip]. U(-1, 1) are independent uniform numbers, and ratio is the fraction of N's way to its bound
    (N_max or N_min) that the pulse covered. A pulse that is skipped because the cell is at an end of its window makes
    no step. Source: arXiv 2403.06746, whose steps and range were chosen for simulations, not fitted to a cell.

    Attributes:
        direct: amplitude of the step that does not depend on what the pulse did, 0 (none) to 1.
        slope: amplitude of the step that is proportional to ``ratio``, 0 (none) to 1.
        clip: the walk stays within (1 +- clip) times the cell's own value, above 0 and below 1.

    Example:
        >>> Walk(direct=0.01).active, Walk().active
        (True, False)
    """

    direct: float = number(0.0, 0.0, 1.0, "relative", "random step of X after every pulse")
    slope: float = number(0.0, 0.0, 1.0, "relative", "random step of X in proportion to the pulse's effect")
    clip: float = number(0.1, 1e-6, 0.99, "relative", "the walk stays within so much of the cell's own value")

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def active(self) -> bool:
        """Whether the parameter moves at all."""
        return self.direct > 0 or self.slope > 0
