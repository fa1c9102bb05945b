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
