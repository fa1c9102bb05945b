"""The progress bar of a run."""

import sys
from types import TracebackType
from typing import Any

from vcm_sweep.sweep.trial import TrialRecord


class ProgressBar:
    """A bar on the terminal, fed by ``run``; a line a minute where the output is a file."""

    def __init__(self, name: str, quiet: bool = False) -> None:
        self._name, self._quiet = name, quiet
        self._bar: Any = None
        self._failed = 0

    def __enter__(self) -> "ProgressBar":
        return self

    def __call__(self, done: int, total: int, records: list[TrialRecord]) -> None:
        from tqdm import tqdm

        if self._bar is None:
            interval = 0.5 if sys.stderr.isatty() else 60.0
            self._bar = tqdm(
                total=total, initial=done, desc=self._name, unit="trial", disable=self._quiet, mininterval=interval,
                maxinterval=interval, dynamic_ncols=True,
            )  # fmt: skip
        self._bar.update(len(records))
        self._failed += sum(record.status != "ok" for record in records)
        good = [record.accuracy for record in records if record.status == "ok"]
        if good:
            self._bar.set_postfix_str(f"accuracy {min(good):.2f}..{max(good):.2f}, failed {self._failed}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
