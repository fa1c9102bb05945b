"""What moves from pulse to pulse, the way of arXiv 2403.06746: a bounded random walk."""

from dataclasses import dataclass

from vcm_sweep.device.declared import number
from vcm_sweep.device.public import public
from vcm_sweep.device.variability.checked import check_fields

VARYING = ("N_max", "N_min", "r", "l")
"""Parameters that may walk."""


@public
@dataclass(frozen=True)
class Walk:
    """Cycle-to-cycle random walk of one of N_max, N_min, r and l: relative steps after every pulse.

    After every pulse p <- p (1 + direct U(-1, 1) + slope ratio U(-1, 1)), kept within the cell's own value times
    [1 - clip, 1 + clip]; ratio is the part of the way to the bound that the pulse covered. Pulses that are skipped
    at an end of the window do not move it. Source: arXiv 2403.06746; steps and range are those of its simulations,
    not fitted to a measured cell.

    Attributes:
        direct: amplitude s of the step that does not depend on the pulse, 0 (none) to 1.
        slope: amplitude q of the step in proportion to the way to the bound that the pulse covered, 0 to 1.
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
