"""The analysis branch of the error tree."""

import math

from vcm_sweep.device.errors import VcmSweepError


class AnalysisError(VcmSweepError):
    """The records do not support the conclusion that was asked for; the message says what to run instead."""

    exit_code = 5


class TooFewError(AnalysisError):
    """The records do not support the conclusion yet, but more points of the same design may do so.

    Attributes:
        least: so many independent points would do; 0 where something else lacks. to: the n of a design that has
            them; 0 likewise. lacks: what lacks, without the command that mends it.

    >>> print(TooFewError("n: 10 points are too few; 64 or more are needed", least=64))
    n: 10 points are too few; 64 or more are needed (vcm-sweep extend --to 64)
    """

    def __init__(self, message: str, least: int = 0, to: int = 0) -> None:
        """``to``: the n of a design that gives as much, if it is another number."""
        to = to or least
        super().__init__(f"{message} (vcm-sweep extend --to {to})" if to else message)
        self.lacks, self.least, self.to = message, least, to

    @staticmethod
    def n_for(least: int, points: int, units: int) -> int:
        """The n of a design with so many points in so many units that would have ``least`` points: a power of 2.

        >>> TooFewError.n_for(256, points=255, units=255), TooFewError.n_for(256, points=160, units=32)
        (256, 64)
        """
        return int(2 ** math.ceil(math.log2(least * units / points)))


class NoiseError(TooFewError):
    """The output varies no more over the ranges than training noise does, as far as the records tell."""
