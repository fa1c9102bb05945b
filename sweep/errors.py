"""Errors of studies, designs, stores and executors; each is one line for the user and an exit code."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from vcm_sweep.device.errors import VcmSweepError


class StudyError(VcmSweepError):
    """A study file or a data set cannot be used as it is."""

    exit_code = 2


class Mistakes:
    """Gathers what is wrong with a study, so that all of it is told at once.

    >>> found = Mistakes()
    >>> for field in ("lr", "batch"):
    ...     with found.noted():
    ...         raise StudyError(f"{field} is missing: give it")
    >>> found.tell()
    Traceback (most recent call last):
    ...
    vcm_sweep.sweep.errors.StudyError: 2 mistakes: (1) lr is missing: give it (2) batch is missing: give it
    """

    def __init__(self) -> None:
        self._found: list[str] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Take a StudyError of the block, and go on."""
        try:
            yield
        except StudyError as error:
            self._found += getattr(error, "mistakes", [str(error)])

    def tell(self) -> None:
        """Raise StudyError if there was one."""
        if not self._found:
            return
        told = self._found[0]
        if len(self._found) > 1:
            numbered = (f"({number}) {text}" for number, text in enumerate(self._found, 1))
            told = f"{len(self._found)} mistakes: {' '.join(numbered)}"
        error = StudyError(told)
        error.__dict__["mistakes"] = self._found
        raise error


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


def has_credentials(address: str) -> bool:
    """Whether an address holds a key or a password before an @; those may have slashes and question marks.

    >>> rests = "me@bucket/x", "key:a/b@bucket/x", "bucket/me@lab", "host:80/me@lab"
    >>> [has_credentials(f"s3://{rest}") for rest in rests]
    [True, True, False, False]
    """
    rest = address.partition("://")[2]
    host, mark, port = re.split(r"[/?#]", rest, maxsplit=1)[0].partition(":")
    return "@" in host + mark + port or ("@" in rest and bool(mark) and not port.isdigit())


def without_credentials(address: str) -> str:
    """An address to be shown: nothing of what is before an @, or after a question mark.

    >>> without_credentials("s3://key:secret/of/slashes@bucket/name?region=x"), without_credentials("s3://bucket/me@lab")
    ('s3://bucket/name', 's3://bucket/me@lab')
    """
    scheme, mark, rest = address.partition("://")
    shown = rest.rpartition("@")[2] if has_credentials(address) else rest
    return f"{scheme}{mark}{shown.partition('?')[0]}"
