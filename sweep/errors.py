"""Errors of studies, designs, stores and executors; each is one line for the user and an exit code."""

from vcm_sweep.device.errors import VcmSweepError


class StudyError(VcmSweepError):
    """A study file or a data set cannot be used as it is."""

    exit_code = 2


class StoreError(VcmSweepError):
    """A results folder belongs to another study, is in use, or holds a file that cannot be read."""

    exit_code = 3


class ExecutorError(VcmSweepError):
    """Trials cannot be run where they were asked to run."""

    exit_code = 4


def one_line(error: BaseException) -> str:
    """Type and message of an error in a user's code, on one line of bounded length.

    >>> one_line(ValueError("two\\nlines"))
    'ValueError: two lines'
    """
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message[:300]}" if message else type(error).__name__
