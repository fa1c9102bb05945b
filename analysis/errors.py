"""The analysis branch of the error tree."""

from vcm_sweep.device.errors import VcmSweepError


class AnalysisError(VcmSweepError):
    """The records do not support the conclusion that was asked for; the message says what to run instead."""

    exit_code = 5


class TooFewError(AnalysisError):
    """The records do not support the conclusion yet, but more points of the same design may do so.

    ``least``: so many independent points would do; 0 where something else lacks.
    """

    def __init__(self, message: str, least: int = 0) -> None:
        super().__init__(message)
        self.least = least


class NoiseError(TooFewError):
    """The output varies no more over the ranges than training noise does, as far as the records tell."""
