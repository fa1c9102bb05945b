"""Making a run visible: it is shown on the terminal, and its state is written to its results folder."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from vcm_sweep.cluster.terminal.live_view import LiveView
from vcm_sweep.sweep.errors import ExecutorError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.packs.executor import Executor
from vcm_sweep.sweep.session.session import Session
from vcm_sweep.sweep.trial import TrialRecord

SESSION_VARIABLE, COMMAND_VARIABLE = "VCM_SWEEP_SESSION", "VCM_SWEEP_GO_ON"
"""Variables that the driver of a submitted run sets: the session's id from the submitter, and the command to go on."""


@contextmanager
def watched(
    name: str,
    directory: str | Path | Folder,
    executor: Executor,
    quiet: bool = False,
    held: Mapping[str, int] | None = None,
) -> Iterator[Callable[[int, int, list[TrialRecord]], None]]:
    """Yields what to give to ``run`` as ``progress``, so that the run can be watched here and from other machines.

    Args:
        name: of the study. directory: results folder. executor: its nodes are shown.
        quiet: show nothing on the terminal. held: failures that the folder holds and keeps, by status.
    """
    command = os.environ.get(COMMAND_VARIABLE) or shlex.join(["vcm-sweep", *sys.argv[1:]])
    activity, doing = getattr(executor, "activity", None), getattr(executor, "doing", None)
    with (
        LiveView(name, activity, quiet, held=held, doing=doing) as view,
        Session(directory, command, os.environ.get(SESSION_VARIABLE), activity, held, doing) as session,
    ):
        if hasattr(executor, "on_stuck"):
            executor.on_stuck = partial(_end_now, session)

        def progress(done: int, total: int, records: list[TrialRecord]) -> None:
            session(done, total, records)
            view(done, total, records)

        yield progress


def _end_now(session: Session, reason: str) -> None:
    """End the process at once, because Ray holds its main thread; records are written by then, so none is lost."""
    session.fail(reason)
    print(f"vcm-sweep: {reason}", file=sys.stderr, flush=True)
    os._exit(ExecutorError.exit_code)
