"""What is shown while a command works: a bar on a terminal, a line now and then in a log."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TypeAlias

from vcm_sweep.device.doing import words_now

_Moved: TypeAlias = Callable[[int], object]

_FIRST_S, _EVERY_S = 10.0, 20.0


@contextmanager
def bar(
    what: str, total: int | None = None, quiet: bool = False, first_s: float = _FIRST_S, every_s: float = _EVERY_S
) -> Iterator[Callable[[str], None]]:
    """A progress bar on standard error, removed at the end; yields a function that moves it on and shows a word.

    Beside the word stands what :class:`~vcm_sweep.device.doing.Doing` says, also while nothing moves on. Where standard
    error is no terminal a line is written after ``first_s`` seconds, and then every ``every_s``. Nothing is shown if
    ``quiet``.

    Args:
        what: is being done. total: number of steps; None if it is not known, or if there are none.
    """
    word, steps, begun = "", 0, time.monotonic()

    def step(said: str) -> None:
        nonlocal word, steps
        word, steps = said, steps + 1
        moved(steps)

    def now() -> str:
        return ", ".join(part for part in (word, words_now()) if part)

    def line() -> str:
        return f"{what}: {now() or 'at work'} ({time.monotonic() - begun:.0f} s)"

    shown: AbstractContextManager[_Moved] = nullcontext(lambda _steps: None)
    if not quiet:
        shown = _bar(what, total, now) if sys.stderr.isatty() else _lines(line, first_s, every_s)
    with shown as moved:
        yield step


@contextmanager
def _bar(what: str, total: int | None, now: Callable[[], str]) -> Iterator[_Moved]:
    """The bar on a terminal; its own thread draws it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
    from rich.text import Text

    class Steps(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.completed:.0f}/{total}" if total else f"{task.completed:.0f}" if task.completed else "")

    class Now(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(now(), no_wrap=True, overflow="ellipsis")

    columns = (TextColumn(what, markup=False), BarColumn(20), Steps(), TimeElapsedColumn(), Now())
    progress = Progress(
        *columns, console=Console(stderr=True), refresh_per_second=4, transient=True, redirect_stdout=False
    )
    with progress:
        task = progress.add_task(what, total=total)
        yield lambda steps: progress.update(task, completed=steps)


@contextmanager
def _lines(line: Callable[[], str], first_s: float, every_s: float) -> Iterator[_Moved]:
    """Lines in a log, from a thread of its own, so that they come while one step takes long, too."""
    over = threading.Event()

    def keep_up() -> None:
        wait_s = first_s
        while not over.wait(wait_s):
            wait_s = every_s
            with suppress(OSError, ValueError):
                print(line(), file=sys.stderr, flush=True)

    thread = threading.Thread(target=keep_up, name="vcm-sweep-waiting", daemon=True)
    thread.start()
    try:
        yield lambda _steps: None
    finally:
        over.set()
        thread.join()
