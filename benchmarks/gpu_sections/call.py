"""One call of the benchmark, and what a section reports. Standard library alone: this is read before all else."""

import datetime
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Report:
    """What a section found.

    Attributes:
        lines: what is printed.
        figures: what gpu.json holds, in plain JSON types.
        checks: by name "" if it passed, else why not.
        error: with what the section ended before its time; left_out: why it was not begun.
    """

    lines: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    checks: dict[str, str] = field(default_factory=dict)
    error: str = ""
    left_out: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing failed; a section that was left out has not failed."""
        return not self.error and not any(self.checks.values())


@dataclass
class Call:
    """A call of the benchmark.

    Attributes:
        rehearse: on a CPU, small.
        out: folder of what is brought home; carried: of what was brought here.
        began, limit_s: monotonic time at which it began, and the seconds that it may take.
        section_ends: monotonic time until which the present section should be done.
        reports: of the sections so far, by name.
    """

    rehearse: bool
    out: Path
    carried: Path | None
    began: float
    limit_s: float
    section_ends: float = 0.0
    reports: dict[str, Report] = field(default_factory=dict)
    began_at: str = field(default_factory=lambda: datetime.datetime.now().isoformat(timespec="seconds"))

    def left(self) -> float:
        """Seconds left of the whole call."""
        return self.began + self.limit_s - time.monotonic()

    def section_left(self) -> float:
        """Seconds left of the present section."""
        return min(self.section_ends - time.monotonic(), self.left())

    def figures(self, name: str) -> dict[str, Any]:
        """The figures of an earlier section; empty if there are none."""
        return self.reports[name].figures if name in self.reports else {}
