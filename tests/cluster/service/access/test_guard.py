"""Who may do what: tokens, sessions, the word of a page, and what is written down."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from vcm_sweep.cluster.service.access.limiter import Limiter
from vcm_sweep.cluster.service.access.sessions import Sessions
from vcm_sweep.cluster.service.access.tokens import Tokens
from vcm_sweep.cluster.service.app import make_app
from vcm_sweep.cluster.service.service import Service
from vcm_sweep.sweep.errors import StoreError

from ....studies import TINY
from ..conftest import bearer, served


def token(service: Service, role: str = "run") -> str:
    return bearer(service, role)["Authorization"].removeprefix("Bearer ")


def log_in(browser: TestClient, service: Service, role: str = "run") -> str:
    """Log in, and return the word that changes must carry."""
    answer = browser.post("/login", data={"token": token(service, role), "next": "/new?from=x"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/new?from=x")
    visitor = service.sessions.visitor(browser.cookies[service.sessions.cookie])
    assert visitor is not None
    return visitor.csrf


def test_nothing_but_the_door_answers_a_stranger(browser: TestClient) -> None:
    paths = browser.app.openapi()["paths"]  # type: ignore[attr-defined]
    asked = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    assert len(asked) > 12
    for method, path in [*asked, ("GET", "/openapi.json"), ("GET", "/nothing")]:
        answer = browser.request(method, re.sub(r"{.*?}", "x", path))
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), path
    assert browser.get("/healthz").text == "ok\n"
    page = browser.get("/studies/x?tab=1", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=%2Fstudies%2Fx%3Ftab%3D1")


def test_tokens_are_made_once_in_a_file_of_their_owner(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    first = Tokens(path)
    assert [token.role for token in first.fresh] == ["run", "read"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert Tokens(path).fresh == ()
    owner = Tokens(path).owner(first.fresh[1].token)
    assert owner is not None
    assert owner.role == "read"
    assert first.owner("") is None
    assert first.owner(first.fresh[0].token[:-1]) is None
    path.chmod(0o644)
    with pytest.raises(StoreError, match="can be read by others: chmod 600"):
        Tokens(path)
    path.chmod(0o600)
    plain = json.loads(path.read_text())
    plain["tokens"][1]["name"] = plain["tokens"][0]["name"]
    path.write_text(json.dumps(plain))
    with pytest.raises(StoreError, match="two tokens have one name: give each a name of its own"):
        Tokens(path)


def test_a_token_that_may_read_changes_nothing(browser: TestClient, service: Service) -> None:
    browser.headers.update(bearer(service, "read"))
    assert browser.get("/api/me").json() == {"name": "read", "role": "read"}
    refused = browser.post("/api/studies", json={"study": ""})
    assert (refused.status_code, refused.json()["detail"]) == (
        403, "the token 'read' may read and not run: ask for one with the role run",
    )  # fmt: skip
    assert browser.post("/api/check", json={"study": ""}).status_code == 200


def test_a_browser_has_a_session_and_its_changes_a_word(browser: TestClient, service: Service) -> None:
    word = log_in(browser, service)
    set_cookie = browser.post("/login", data={"token": token(service)}).headers["set-cookie"]
    assert "HttpOnly" in set_cookie
    assert "SameSite=strict" in set_cookie
    word = service.sessions.visitor(browser.cookies[service.sessions.cookie]).csrf  # type: ignore[union-attr]
    assert browser.get("/api/me").json()["role"] == "run"
    note = {"url": "/api/studies/x/note", "json": {"note": ""}}
    assert browser.put(**note).status_code == 403  # type: ignore[arg-type]
    assert browser.put(**note, headers={"X-CSRF-Token": f"{word}0"}).status_code == 403  # type: ignore[arg-type]
    assert browser.put(**note, headers={"X-CSRF-Token": word}).status_code == 404  # type: ignore[arg-type]
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    assert browser.post("/logout", content=b"--x\r\nbroken", headers=form).status_code == 403
    kept = browser.cookies[service.sessions.cookie]
    assert browser.post("/logout", data={"csrf": word}).headers["location"] == "/login"
    browser.cookies.set(service.sessions.cookie, kept)
    assert browser.get("/api/me").status_code == 401  # whoever has kept the cookie is out, too


def test_a_session_ends_in_time_and_with_its_token(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    tokens = Tokens(path)
    owner = tokens.fresh[0]
    ended = tmp_path / "ended.json"
    assert Sessions(tokens, -1.0, ended).visitor(Sessions(tokens, -1.0, ended).begin(owner)) is None
    sessions = Sessions(tokens, 60.0, ended)
    cookie = sessions.begin(owner)
    assert sessions.visitor(cookie) is not None
    assert Sessions(Tokens(path), 60.0, ended).visitor(cookie) is not None  # a restart logs nobody out
    for forged in ("", ".", cookie[:-1], f"{cookie[:3]}x{cookie[4:]}", "bm8=.x", "é.ü"):
        assert sessions.visitor(forged) is None
    plain = json.loads(path.read_text())
    plain["tokens"] = plain["tokens"][1:]
    path.write_text(json.dumps(plain))
    assert sessions.visitor(cookie) is None


def test_who_has_logged_out_is_out_after_a_restart_too(tmp_path: Path) -> None:
    tokens, ended = Tokens(tmp_path / "tokens.json"), tmp_path / "ended.json"
    sessions = Sessions(tokens, 60.0, ended)
    out, stays = sessions.begin(tokens.fresh[0]), sessions.begin(tokens.fresh[0])
    sessions.end(out)
    again = Sessions(tokens, 60.0, ended)
    assert (again.visitor(out), again.visitor(stays) is None) == (None, False)
    ended.write_text("{")
    with pytest.raises(StoreError, match=r"ended\.json cannot be read"):
        Sessions(tokens, 60.0, ended)


def test_two_services_of_one_host_have_cookies_of_their_own(tmp_path: Path) -> None:
    one, other = (Sessions(Tokens(tmp_path / f"{n}.json"), 60.0, tmp_path / "ended.json") for n in "ab")
    assert one.cookie != other.cookie
    assert one.cookie == Sessions(Tokens(tmp_path / "a.json"), 60.0, tmp_path / "ended.json").cookie


def test_wrong_tokens_are_slowed_down(browser: TestClient, service: Service) -> None:
    for _ in range(5):
        assert browser.post("/login", data={"token": "wrong"}).status_code == 401
        assert browser.get("/api/me", headers={"Authorization": "Bearer wrong"}).status_code == 401
    late = browser.post("/login", data={"token": token(service)})
    assert late.status_code == 429
    assert 0 < int(late.headers["retry-after"]) <= 60
    assert browser.get("/api/me", headers=bearer(service)).status_code == 429


def test_an_address_may_try_again_after_a_while() -> None:
    now = 0.0
    limiter = Limiter(most=2, within_s=10.0, clock=lambda: now)
    limiter.failed("a")
    now = 4.0
    limiter.failed("a")
    assert (limiter.wait_s("a"), limiter.wait_s("b")) == (6.0, 0.0)
    now = 10.0
    assert limiter.wait_s("a") == 0.0


def test_the_addresses_that_failed_last_are_kept() -> None:
    now = 0.0
    limiter = Limiter(most=1, within_s=1e6, clock=lambda: now)
    for number in range(10_001):
        limiter.failed(str(number))
    assert len(limiter._failures) == 10_000
    assert (limiter.wait_s("0"), limiter.wait_s("1"), limiter.wait_s("10000")) == (0.0, 1e6, 1e6)


@pytest.mark.parametrize("elsewhere", ["//evil.org", "https://evil.org", "/\\evil.org", "", "/a\r\nSet-Cookie: x"])
def test_a_log_in_leads_to_no_other_site(browser: TestClient, service: Service, elsewhere: str) -> None:
    answer = browser.post("/login", data={"token": token(service), "next": elsewhere})
    assert answer.headers["location"] == "/"


def test_every_answer_has_the_headers_of_a_careful_site(client: TestClient) -> None:
    for path in ("/api/studies", "/nothing", "/healthz"):
        headers = client.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_each_change_is_written_down(client: TestClient, service: Service) -> None:
    client.get("/api/studies")
    client.post("/api/studies/x/stop")
    study = client.post("/api/studies", json={"study": TINY}).json()["study"]
    client.post("/login", data={"token": "wrong"}, headers={"Authorization": ""})
    audit = service.settings.home / "audit.jsonl"
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert [(line["who"], line["what"], line["study"], line["status"]) for line in lines] == [
        ("run", "POST /api/studies/x/stop", "", 404),
        ("run", "POST /api/studies", study, 201),
        ("", "POST /login", "", 401),
    ]  # fmt: skip
    assert all(line["from"] and line["time"] for line in lines)
    assert "wrong" not in audit.read_text()


def test_strangers_fill_neither_memory_nor_disk(browser: TestClient, service: Service) -> None:
    def much() -> Iterator[bytes]:
        yield from (b"x" * 1000 for _ in range(100))

    for path, status in (("/api/studies", 401), ("/nothing", 401), ("/login", 413)):
        assert browser.post(path, content=much()).status_code == status
    assert "more than 20,000 bytes" in browser.post("/login", content=much()).json()["detail"]
    assert not (service.settings.home / "audit.jsonl").exists()


def test_braces_in_what_is_told_are_told(client: TestClient) -> None:
    answer = client.get("/api/studies/{x}/{y", params={"{z": "{"})
    assert (answer.status_code, "{y" in answer.json()["detail"]) == (404, True)


@pytest.mark.parametrize("stripped", [True, False])
def test_a_proxy_may_give_it_a_path_of_its_own(root: Path, stripped: bool) -> None:
    service = served(root, prefix="/sweeps")
    browser = TestClient(make_app(service), follow_redirects=False)
    before = "" if stripped else "/sweeps"
    sent = browser.get(f"{before}/studies/x", headers={"Accept": "text/html"})
    assert sent.headers["location"] == "/sweeps/login?next=%2Fstudies%2Fx"
    answer = browser.post(f"{before}/login", data={"token": token(service), "next": "/studies/x"})
    assert answer.headers["location"] == "/sweeps/studies/x"
    assert "Path=/sweeps" in answer.headers["set-cookie"]
    assert browser.get(f"{before}/api/studies", headers=bearer(service)).json() == []
    whole = browser.get("/sweeps")
    assert (whole.status_code, whole.headers["location"]) == (308, "/sweeps/")
    service.runs.close()


def test_more_than_a_request_may_hold_is_not_read(client: TestClient) -> None:
    answer = client.post("/api/check", content=b" " * 16_000_001)
    assert (answer.status_code, "more than 16,000,000 bytes" in answer.json()["detail"]) == (413, True)


def test_one_service_has_a_folder(service: Service, root: Path) -> None:
    with pytest.raises(StoreError, match="is served by another process"):
        served(root)
