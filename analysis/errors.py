"""The analysis branch of the error tree."""

from vcm_sweep.device.errors import VcmSweepError


class AnalysisError(VcmSweepError):
    """The records at hand cannot carry the conclusion that was asked for; says what to run instead."""

    exit_code = 5


class TooFewError(AnalysisError):
    """The same, where more points of the same design may well carry it."""
