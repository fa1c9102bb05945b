"""The live view of a run: redrawn in place on a terminal and in a notebook, one line per minute in a file."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, TextIO

from vcm_sweep.cluster.terminal.words import log_line, view_lines
from vcm_sweep.sweep.session.tally import Figures, Tally
from vcm_sweep.sweep.trial import TrialRecord

_LINE_EVERY_S = 60.0
_NOTEBOOK_EVERY_S = 1.0


class LiveView:
    """Shows how a run is going; give it to ``run`` as ``progress``.

    Args:
        name: of the study. activity: running packs by name of their node, as ``Executor.activity`` gives them.
        quiet: show nothing. stream: where to show it; default standard error. line_every_s: seconds between two lines
            in a file. held: failures that the folder holds from before, by status. doing: what takes long, as
            ``Executor.doing`` gives it.

    Warnings that are logged by "vcm_sweep" are shown as they come. An error ends the run: whoever ran it tells it.
    """

    def __init__(
        self,
        name: str,
        activity: Callable[[], dict[str, int]] | None = None,
        quiet: bool = False,
        stream: TextIO | None = None,
        line_every_s: float = _LINE_EVERY_S,
        held: Mapping[str, int] | None = None,
        doing: Callable[[], str] | None = None,
    ) -> None:
        self._name, self._activity, self._doing, self._quiet = name, activity, doing, quiet
        self._stream = stream or sys.stderr
        self._every = line_every_s
        self._tally = Tally(held=held)
        self._lock = threading.Lock()
        self._event = ""
        self._handler = _Events(self._happened)
        self._shown: Redrawn | _Notebook | _Lines | None = None

    def __enter__(self) -> "LiveView":
        if not self._quiet:
            logging.getLogger("vcm_sweep").addHandler(self._handler)
        return self

    def __call__(self, done: int, total: int, records: list[TrialRecord]) -> None:
        """Take in what ``run`` reports."""
        with self._lock:
            self._tally.take(done, total, records)
        if self._quiet:
            return
        if self._shown is None:
            self._shown = self._choose()
        self._shown.update()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger("vcm_sweep").removeHandler(self._handler)
        if self._shown is not None:
            self._shown.close()

    def lines(self) -> list[str]:
        """The lines that are shown now."""
        return view_lines(self._name, self._figures(), self._event)

    def line(self) -> str:
        """The state of the run on one line, for a file."""
        return log_line(self._name, self._figures())

    def _figures(self) -> Figures:
        with self._lock:
            return self._tally.figures(
                self._activity() if self._activity else None, self._doing() if self._doing else ""
            )

    def _choose(self) -> "Redrawn | _Notebook | _Lines":
        if _in_notebook():
            return _Notebook(self.lines)
        if self._stream.isatty():
            return Redrawn(self.lines, self._stream)
        return _Lines(self.line, self._stream, self._every)

    def _happened(self, text: str) -> None:
        self._event = text
        if not isinstance(self._shown, Redrawn | _Notebook):
            _say(f"{self._name}: {text}", self._stream)


class _Events(logging.Handler):
    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        # An error ends the run, and is its last line.
        if record.levelno < logging.ERROR:
            self._tell(record.getMessage())


class Redrawn:
    """A few lines on a terminal, redrawn in place twice a second."""

    def __init__(self, lines: Callable[[], list[str]], stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        def drawn() -> Text:
            return Text("\n".join(lines()), no_wrap=True, overflow="ellipsis")

        console = Console(file=stream)
        # Standard output is for the result and may be piped, so rich must not redirect it.
        self._live = Live(console=console, get_renderable=drawn, refresh_per_second=2, redirect_stdout=False)
        self._live.start(refresh=True)

    def update(self) -> None:
        """Nothing to do: the view redraws itself."""

    def close(self) -> None:
        self._live.stop()


class _Notebook:
    """An output of a notebook's cell, updated as records come in."""

    def __init__(self, lines: Callable[[], list[str]]) -> None:
        from IPython.display import display

        self._lines = lines
        self._last = time.monotonic()
        self._handle = display(self._content(), raw=True, display_id=True)

    def update(self) -> None:
        if time.monotonic() - self._last >= _NOTEBOOK_EVERY_S:
            self.close()

    def close(self) -> None:
        """Show the last figures."""
        self._last = time.monotonic()
        self._handle.update(self._content(), raw=True)

    def _content(self) -> dict[str, str]:
        return {"text/plain": "\n".join(self._lines())}


class _Lines:
    """Prints a line now and then, from a thread of its own, so that a run that hangs shows its lines, too."""

    def __init__(self, line: Callable[[], str], stream: TextIO, every_s: float) -> None:
        self._line, self._stream, self._every = line, stream, every_s
        self._over = threading.Event()
        self._last = ""
        self._print()
        self._thread = threading.Thread(target=self._keep_up, name="vcm-sweep-view", daemon=True)
        self._thread.start()

    def update(self) -> None:
        """Nothing to do: the thread prints."""

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        # A last line is printed only if something has changed: a run that could not begin has nothing to add.
        if self._line() != self._last:
            self._print()

    def _keep_up(self) -> None:
        while not self._over.wait(self._every):
            self._print()

    def _print(self) -> None:
        self._last = self._line()
        _say(self._last, self._stream)


def _say(line: str, stream: TextIO) -> None:
    """Print a line, if that is possible: a log on a full disk, or a terminal that is gone, must not end a run."""
    with suppress(OSError, ValueError):
        print(line, file=stream, flush=True)


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook; IPython on a terminal is not."""
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"
