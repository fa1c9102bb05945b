"""Events of a study: many watchers, slow ones, a folder that goes, a token that goes."""

import asyncio
import json
import shutil
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from vcm_sweep.cluster.service.events import Events
from vcm_sweep.cluster.service.service import Service
from vcm_sweep.cluster.service.studies.catalogue import StudyCard

from ...studies import TINY
from .conftest import bearer
from .waiting import until


def parsed(event: str) -> tuple[str, Any]:
    fields = dict(line.split(": ", 1) for line in event.strip().splitlines() if not line.startswith(":"))
    return fields.get("event", ""), json.loads(fields.get("data", "null"))


async def next_of(stream: AsyncIterator[str]) -> tuple[str, Any]:
    return parsed(await asyncio.wait_for(anext(stream), 60.0))


def test_a_watcher_sees_the_state_change(service: Service, address: str) -> None:
    study = service.actions.start(TINY).study
    request = urllib.request.Request(f"{address}/api/studies/{study}/events", headers=bearer(service))
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        states: list[str] = []
        while "stopped" not in states:
            event = b"".join(iter(answer.readline, b"\n")).decode()
            name, data = parsed(event)
            assert name == "state"
            states.append(data["card"]["state"])
            if data["figures"]["done"] and "asked" not in states:
                service.actions.stop(study)
                states.append("asked")
    assert "running" in states


def test_a_slow_watcher_finds_the_latest_and_no_queue(service: Service) -> None:
    study = service.actions.start(TINY).study
    until(lambda: service.catalogue.card(study).state == "running")

    async def watch() -> tuple[list[int], int]:
        events = Events(service.catalogue, look_s=0.02)
        quick, slow = events.stream(study), events.stream(study)
        seen = [(await next_of(slow))[1]["figures"]["done"]]
        count = 0
        while count < 10:
            await next_of(quick)
            count += 1
        seen.append((await next_of(slow))[1]["figures"]["done"])
        latest = (await next_of(quick))[1]["figures"]["done"]
        await quick.aclose()  # type: ignore[attr-defined]
        await slow.aclose()  # type: ignore[attr-defined]
        assert events._watched == {}  # nobody watches, nobody looks
        return seen, latest

    seen, latest = asyncio.run(watch())
    assert seen[1] - seen[0] >= 5  # one event in place of ten
    assert seen[1] <= latest


def test_many_watch_with_one_look(service: Service) -> None:
    study = service.actions.start(TINY).study
    looks = 0

    class Counted:
        def card(self, study: str) -> Any:
            nonlocal looks
            looks += 1
            return service.catalogue.card(study)

        session = service.catalogue.session

    async def watch() -> None:
        events = Events(Counted(), look_s=5.0)  # type: ignore[arg-type]
        streams = [events.stream(study) for _ in range(200)]
        assert {name for name, _ in await asyncio.gather(*map(next_of, streams))} == {"state"}
        for stream in streams:
            await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(watch())
    assert looks <= 2


def test_a_folder_that_goes_is_told(service: Service, root: Path) -> None:
    study = service.actions.start(TINY).study
    (root / "hurry").touch()
    until(lambda: service.catalogue.card(study).state == "done")

    async def watch() -> tuple[str, Any]:
        stream = Events(service.catalogue, look_s=0.02).stream(study)
        await next_of(stream)
        shutil.rmtree(root / study)
        told = [event async for event in stream]
        return parsed(told[-1])

    name, data = asyncio.run(watch())
    assert (name, "there is no study" in data["detail"]) == ("gone", True)


def test_a_disk_that_is_away_for_a_while_ends_nothing(service: Service) -> None:
    study = service.actions.start(TINY).study
    away = False

    class Away:
        session = service.catalogue.session

        def card(self, study: str) -> Any:
            if away:
                raise OSError(116, "Stale file handle")
            return service.catalogue.card(study)

    async def watch() -> list[str]:
        nonlocal away
        stream = Events(Away(), look_s=0.02).stream(study)  # type: ignore[arg-type]
        names = [(await next_of(stream))[0]]
        while len(names) < 3:
            away = names[-1] == "state"
            while (name := (await next_of(stream))[0]) == names[-1]:
                pass
            names.append(name)
        await stream.aclose()  # type: ignore[attr-defined]
        return names

    assert asyncio.run(watch()) == ["state", "unread", "state"]


def test_a_token_that_goes_ends_the_stream_of_an_open_page(browser: TestClient, service: Service) -> None:
    study = service.actions.start(TINY).study
    owner = service.tokens.named("read")
    assert owner is not None
    cookie = service.sessions.begin(owner)

    async def watch() -> str:
        stream = Events(service.catalogue, look_s=0.02).stream(
            study, lambda: service.sessions.visitor(cookie) is not None
        )
        await next_of(stream)
        path = service.settings.home / "tokens.json"
        plain = json.loads(path.read_text())
        plain["tokens"] = [token for token in plain["tokens"] if token["name"] != "read"]
        path.write_text(json.dumps(plain))
        told = [event async for event in stream]
        return parsed(told[-1])[0]

    assert asyncio.run(watch()) == "expired"
    browser.cookies.set(service.sessions.cookie, cookie)
    assert browser.get(f"/api/studies/{study}").status_code == 401


def test_what_changes_while_an_event_is_sent_is_told_at_once() -> None:
    looks = 0

    class Quiet:
        """A study that is another at the second look, and stays so."""

        def card(self, study: str) -> StudyCard:
            nonlocal looks
            looks += 1
            return StudyCard(study, study, done=min(looks, 2))

        def session(self, study: str) -> None:
            return None

    async def watch() -> list[int]:
        stream = Events(Quiet(), look_s=0.02).stream("a")  # type: ignore[arg-type]
        seen = [(await next_of(stream))[1]["card"]["done"]]
        while looks < 4:  # whoever watches is still being told the first
            await asyncio.sleep(0.02)
        seen.append(parsed(await asyncio.wait_for(anext(stream), 2.0))[1]["card"]["done"])
        await stream.aclose()  # type: ignore[attr-defined]
        return seen

    assert asyncio.run(watch()) == [1, 2]
