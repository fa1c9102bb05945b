"""Events of a study, as they happen: one look at its folder a second, however many watch."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from fastapi.encoders import jsonable_encoder
from starlette.concurrency import run_in_threadpool

from vcm_sweep.cluster.service.problems import BusyError, NotFoundError
from vcm_sweep.cluster.service.studies.catalogue import Catalogue
from vcm_sweep.device.errors import VcmSweepError

_LOOK_S, _HEARTBEAT_S = 1.0, 15.0
_MOST_WATCHERS = 1000


@dataclass
class _Watched:
    """What is known of a study, and who waits for more; a watcher that is slow finds the latest, and no queue."""

    version: int = 0
    name: str = ""
    data: str = ""
    watchers: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    looking: "asyncio.Task[None] | None" = None
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)


class Events:
    """Watches studies for whoever asks.

    Args:
        catalogue: where states are read. look_s: seconds between two looks.
    """

    def __init__(self, catalogue: Catalogue, look_s: float = _LOOK_S) -> None:
        self._catalogue, self._look_s = catalogue, look_s
        self._watched: dict[str, _Watched] = {}
        self._over = False

    def end(self) -> None:
        """End all streams, as the service itself ends; a signal's handler may call it."""
        self._over = True
        for watched in tuple(self._watched.values()):
            watched.loop.call_soon_threadsafe(watched.changed.set)

    def check_room(self) -> None:
        """Raise BusyError if too many watch."""
        if sum(watched.watchers for watched in self._watched.values()) >= _MOST_WATCHERS:
            raise BusyError(f"{_MOST_WATCHERS} watch already: ask for the study itself from time to time")

    async def stream(
        self, study: str, known: Callable[[], bool] = lambda: True, heartbeat_s: float = _HEARTBEAT_S
    ) -> AsyncIterator[str]:
        """Server-sent events, until ``gone`` or ``expired``, or the service ends.

        ``state``: card and figures, whenever they change. ``unread``: they cannot be read for now. ``gone``: there is
        no such folder any more. ``expired``: ``known`` says that whoever watches may no more.
        """
        watched = self._watched.setdefault(study, _Watched())
        watched.watchers += 1
        if watched.looking is None:
            watched.looking = asyncio.create_task(self._look(study, watched))
        seen, last = 0, time.monotonic()
        try:
            while not self._over:
                if not known():
                    yield _event("expired", 0, "{}")
                    return
                # Taken before the versions are compared: what changes while an event is being sent rings this one.
                changed = watched.changed
                if watched.version != seen:
                    seen, last = watched.version, time.monotonic()
                    yield _event(watched.name, seen, watched.data)
                    if watched.name == "gone":
                        return
                elif time.monotonic() - last > heartbeat_s:
                    last = time.monotonic()
                    yield ": here\n\n"
                try:
                    await asyncio.wait_for(changed.wait(), min(heartbeat_s, 5.0))
                except TimeoutError:
                    continue
        finally:
            watched.watchers -= 1
            if not watched.watchers:
                watched.looking.cancel()
                self._watched.pop(study, None)

    async def _look(self, study: str, watched: _Watched) -> None:
        while True:
            name, data = await run_in_threadpool(self._state, study)
            if (name, data) != (watched.name, watched.data):
                watched.name, watched.data = name, data
                watched.version += 1
                ring, watched.changed = watched.changed, asyncio.Event()
                ring.set()
            await asyncio.sleep(self._look_s)

    def _state(self, study: str) -> tuple[str, str]:
        try:
            card, session = self._catalogue.card(study), self._catalogue.session(study)
        except NotFoundError as error:
            return "gone", json.dumps({"detail": str(error)})
        except (VcmSweepError, OSError) as error:  # a file system that may be back at the next look
            return "unread", json.dumps({"detail": str(error)})
        plain: dict[str, Any] = {"card": asdict(card), "figures": asdict(session.figures) if session else None}
        return "state", json.dumps(jsonable_encoder(plain))


def _event(name: str, number: int, data: str) -> str:
    return f"event: {name}\nid: {number}\ndata: {data}\n\n"
