"""A page in somebody's results folder is shown within one of the service, and can neither be nor do what that is."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from vcm_sweep.cluster.service.service import Service
from vcm_sweep.sweep import Store, Study
from vcm_sweep.sweep.folder import Folder

from ....analysis.browser import chromium
from ....studies import TINY
from ..conftest import bearer
from ..waiting import until
from .serving import Serving, log_in, serving

FOREIGN = """<!doctype html><title>log in</title><h1>Log in</h1>
<form action="/login" method="post"><input id="token" name="token"><button>Log in</button></form>
<p id="did">nothing</p><script>
const did = [];
try { parent.document.title = "mine"; did.push("parent"); } catch { }
try { top.location = "/new"; did.push("top"); } catch { }
if (window.open("/new")) did.push("window");
document.getElementById("did").textContent = "did: " + did.join();
</script>"""


@pytest.fixture
def foreign(root: Path) -> Path:
    folder = root / "foreign"
    Store.create(Study.from_text(TINY), folder)
    (folder / "report.html").write_text(FOREIGN)
    return folder


@pytest.fixture
def at(root: Path, foreign: Path) -> Iterator[Serving]:
    with serving(root) as made:
        yield made


@pytest.mark.browser
def test_in_a_browser_it_stands_in_the_services_own_page(at: Serving, tmp_path: Path) -> None:
    with chromium(tmp_path) as browser:
        log_in(browser, at)
        for path in ("/studies/foreign/shown/report.html", "/api/studies/foreign/files/report.html"):
            browser.get(f"{at.url}{path}")
            assert browser.current_url == f"{at.url}/studies/foreign/shown/report.html"
            assert browser.find_element("css selector", "nav.bar").is_displayed()
            browser.switch_to.frame(browser.find_element("css selector", "iframe.shown"))
            until(lambda: browser.find_element("id", "did").text.startswith("did:"))
            assert browser.find_element("id", "did").text == "did:"
            browser.find_element("css selector", "button").click()  # a form that a sandbox sends nowhere
            assert browser.find_element("css selector", "h1").text == "Log in"
            browser.switch_to.default_content()
            assert browser.current_url == f"{at.url}/studies/foreign/shown/report.html"
            assert len(browser.window_handles) == 1


def test_who_asks_for_it_by_itself_is_led_to_that_page(browser: TestClient, service: Service, foreign: Path) -> None:
    raw, around = "/api/studies/foreign/files/report.html", "/studies/foreign/shown/report.html"
    program = browser.get(raw, headers=bearer(service))
    assert program.text == FOREIGN
    token = bearer(service)["Authorization"].removeprefix("Bearer ")
    browser.post("/login", data={"token": token})

    def asked(path: str, dest: str = "") -> Any:
        return browser.get(path, headers={"Sec-Fetch-Dest": dest} if dest else {})

    assert asked(raw, "document").headers["location"] == around
    assert asked(f"{raw}?within", "document").headers["location"] == around
    assert asked(raw).headers["location"] == around  # a browser that says nothing, as without TLS
    for shown in (asked(raw, "iframe"), asked(f"{raw}?within")):
        assert shown.text == FOREIGN
        assert "allow-same-origin" not in shown.headers["content-security-policy"]
        assert "frame-ancestors 'self'" in shown.headers["content-security-policy"]
    kept = asked(f"{raw}?download", "document")
    assert kept.headers["content-disposition"].startswith("attachment; ")
    assert asked("/studies/foreign/shown/study.toml").headers["location"] == "/api/studies/foreign/files/study.toml"
    assert asked("/studies/foreign/shown/other.html").status_code == 404


def test_what_is_put_in_place_of_a_file_after_the_look_is_not_given(
    client: TestClient, foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the server")
    open_at, swapped = Folder.stream, threading.Event()

    def swap(self: Folder, name: str) -> Any:
        if name == "report.html" and not swapped.is_set():  # between the list of files and the opening of one
            swapped.set()
            (foreign / name).unlink()
            os.symlink(secret, foreign / name)
        return open_at(self, name)

    monkeypatch.setattr(Folder, "stream", swap)
    answer = client.get("/api/studies/foreign/files/report.html")
    assert (answer.status_code, swapped.is_set(), "of the server" in answer.text) == (404, True, False)
