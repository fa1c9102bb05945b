"""Requests of whoever means harm: cookies, log-ins from other sites, failures of the service itself."""

import asyncio
import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from vcm_sweep.cluster.options import Place
from vcm_sweep.cluster.service.app import make_app
from vcm_sweep.cluster.service.problems import BusyError
from vcm_sweep.cluster.service.service import Service
from vcm_sweep.cluster.service.studies.actions import Actions

from ....studies import TINY
from ..conftest import bearer
from ..waiting import until


def audit(service: Service) -> list[dict[str, object]]:
    file = service.settings.home / "audit.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.parametrize(
    "plain", ["[" * 20_000, '{"id": "a", "name": "run", "until": 1' + "0" * 400 + "}", '{"id": 1}', "[]", "\udcff", ""]
)
def test_a_cookie_of_nonsense_is_no_session(browser: TestClient, service: Service, plain: str) -> None:
    body = base64.urlsafe_b64encode(plain.encode("utf-8", "surrogateescape")).decode().rstrip("=")
    browser.cookies.set(service.sessions.cookie, f"{body}.{'0' * 64}")
    assert browser.get("/api/me").status_code == 401
    assert browser.get("/login").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)  # fmt: skip
def test_a_page_of_another_site_logs_nobody_in_and_locks_nobody_out(
    browser: TestClient, service: Service, headers: dict[str, str]
) -> None:
    token = bearer(service)["Authorization"].removeprefix("Bearer ")
    for _ in range(6):
        assert browser.post("/login", data={"token": "wrong"}, headers=headers).status_code == 403
    assert browser.post("/login", data={"token": token}, headers=headers).status_code == 403
    assert audit(service) == []
    for own in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://testserver"}, {}):
        assert browser.post("/login", data={"token": token}, headers=own).status_code == 303
    assert [line["who"] for line in audit(service)] == ["run"] * 3


def test_wrong_log_ins_do_not_lock_out_programs(browser: TestClient, service: Service) -> None:
    for _ in range(6):
        browser.post("/login", data={"token": "wrong"})
    assert browser.get("/api/me", headers=bearer(service)).status_code == 200


def test_a_bug_is_told_with_all_headers_and_its_line(
    client: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Actions, "resume", lambda *_: 1 / 0)
    answer = client.post("/api/studies/x/resume")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["detail"].startswith("the service failed with ZeroDivisionError: its log says more")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert [(line["who"], line["status"]) for line in audit(service)] == [("run", 500)]


def test_a_sender_that_goes_away_and_a_service_that_ends_leave_no_traceback(
    service: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def waits(*_: object, **__: object) -> None:
        await asyncio.sleep(60.0)

    async def ask(method: str, path: str, received: dict[str, object]) -> list[int]:
        sent: list[int] = []

        async def receive() -> dict[str, object]:
            return received

        async def send(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                sent.append(int(str(message["status"])))

        headers = [(name.lower().encode(), value.encode()) for name, value in bearer(service).items()]
        scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
                 "headers": headers, "client": ("127.0.0.1", 1), "scheme": "http", "server": ("127.0.0.1", 2),
                 "root_path": "", "http_version": "1.1"}  # fmt: skip
        asked = asyncio.create_task(make_app(service)(scope, receive, send))  # type: ignore[arg-type]
        await asyncio.sleep(0.2)
        asked.cancel()
        await asked
        return sent

    assert asyncio.run(ask("PUT", "/api/studies/x/note", {"type": "http.disconnect"})) == [413]
    monkeypatch.setattr("fastapi.routing.run_endpoint_function", waits)
    assert asyncio.run(ask("GET", "/api/me", {"type": "http.request", "body": b"", "more_body": False})) == [503]
    assert not caplog.records


def test_a_path_with_a_slash_too_much_names_no_other_host(browser: TestClient) -> None:
    answer = browser.get("/login/", headers={"Host": "evil.example"})
    assert (answer.status_code, "evil" in answer.text + str(answer.headers)) == (401, False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a" + ".a" * 400 + " = 1", "nested more than 30 levels deep"),
        ("a" + ".a" * 400_000 + " = 1", "line 1 has more than 1,000 dots"),
        ("a = " + "[" * 3000 + "]" * 3000, "not TOML"),
        ("[study]\nname = 'x'\n[network]\nepochs = 0x" + "f" * 5000, "a number of thousands of digits"),
    ],
)
def test_a_text_that_would_keep_its_reader_busy_is_refused(client: TestClient, text: str, words: str) -> None:
    answer = client.post("/api/check", json={"study": text})
    assert (answer.status_code, answer.json()["valid"]) == (200, False)
    assert words in " ".join(answer.json()["mistakes"])
    for sent in ({"text": text, "do": "plan"}, {"text": text, "/factor/0/range": "[" * 3000}):
        assert client.post("/new", data=sent).status_code == 200


def test_a_folder_from_elsewhere_does_not_bring_code_with_it(client: TestClient, service: Service) -> None:
    folder = service.settings.root / "foreign"
    folder.mkdir()
    (folder / "study.toml").write_text(TINY.replace('"digits"', '"os:getcwd"'))
    for action in ("resume", "retry", "extend"):
        answer = client.post(f"/api/studies/foreign/{action}", json={"to": 8})
        assert (answer.status_code, "is code of your own" in answer.json()["detail"]) == (422, True)
    assert not (service.settings.root / "played").exists()


def test_a_cluster_that_says_nothing_holds_up_nobody_else(
    client: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()
    far = replace(service.settings, place=Place(address="http://127.0.0.1:9"))
    actions = Actions(far, service.catalogue, service.runs)
    monkeypatch.setattr(actions, "_send", lambda *_: free.wait(60.0))
    texts = [TINY.replace("n = 4", f"n = {2**power}") for power in range(2, 12)]

    def start(text: str) -> str:
        try:
            return actions.start(text).study
        except BusyError as error:
            return str(error)

    with ThreadPoolExecutor(len(texts)) as many:
        starts = [many.submit(start, text) for text in texts]
        until(lambda: sum(one.done() for one in starts) == 2)
        told = [one.result() for one in starts if one.done()]
        assert told == ["8 studies are being sent to the cluster: ask again in a moment"] * 2
        assert len(client.get("/api/studies").json()) == len(texts)  # whole, and to be started by the same click
        free.set()
