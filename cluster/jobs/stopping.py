"""Asking a run to stop, from any machine that sees its results folder."""

from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.session.state import SessionState, latest_session, request_stop, silent_sessions


def ask_to_stop(folder: Folder, known: SessionState | None = None) -> SessionState:
    """The run that was asked to stop, as its state was then.

    Args:
        folder: of the results. known: a run that is known to live; None: the latest one, which is felt for first.

    Raises:
        StoreError: no run is under way, or nothing is heard of it any more.
    """
    session = known or latest_session(folder)
    if session is None or not session.open:
        raise StoreError(f"{folder}: no run is under way" + (f", the latest is {session.state}" if session else ""))
    if known is None and silent_sessions([(folder, session)]):
        raise StoreError(
            f"{folder}: the run {session.id} was running on {session.host}, but nothing has been heard of it since "
            f"{session.seen}, so there is nothing to stop; to go on: {session.command}"
        )
    request_stop(folder, session.id)
    return session
