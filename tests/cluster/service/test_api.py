"""The service as programs see it: start, watch, stop, go on, and what is refused in which words."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from vcm_sweep.cluster.service.service import Service
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.study import Study

from ...studies import TINY
from .conftest import served
from .waiting import until

STUDY = f"tiny-{Study.from_text(TINY).digest[:8]}"


def start(client: TestClient, text: str = TINY, key: str = "", **more: str) -> Any:
    return client.post("/api/studies", json={"study": text, **more}, headers={"Idempotency-Key": key})


def state(client: TestClient) -> str:
    return str(client.get(f"/api/studies/{STUDY}").json()["card"]["state"])


def begun(root: Path) -> list[str]:
    """The runs that were begun, as the script that plays them notes them."""
    played = root / "played"
    return played.read_text().splitlines() if played.exists() else []


def test_a_study_is_started_watched_stopped_and_gone_on_with(client: TestClient, root: Path) -> None:
    assert client.get("/api/studies").json() == []
    answer = start(client, note="for Ada")
    assert answer.status_code == 201
    assert answer.json()["study"] == STUDY
    until(lambda: state(client) == "running")
    (card,) = client.get("/api/studies", params={"search": "ada", "state": "running"}).json()
    assert (card["id"], card["name"], card["note"], card["planned"]) == (STUDY, "tiny", "for Ada", 16)
    view = client.get(f"/api/studies/{STUDY}").json()
    assert (view["trainings"], view["counts"], view["trouble"]) == (16, {"missing": 16}, "")
    assert [factor["name"] for factor in view["factors"]] == ["r.d2d.sigma", "read.noise.sigma"]
    assert view["session"]["id"] == answer.json()["run"]
    refused = client.post(f"/api/studies/{STUDY}/resume")
    assert (refused.status_code, refused.json()["detail"]) == (
        409, f"{STUDY}: a run is under way: watch it, or stop it first",
    )  # fmt: skip
    assert client.post(f"/api/studies/{STUDY}/stop").json()["run"] == view["session"]["id"]
    until(lambda: state(client) == "stopped")
    stopped = client.post(f"/api/studies/{STUDY}/stop")
    assert (stopped.status_code, "no run is under way, the latest is stopped" in stopped.text) == (409, True)
    assert client.post(f"/api/studies/{STUDY}/resume").status_code == 200
    until(lambda: begun(root) == [f"run {STUDY}", f"resume {STUDY}"])


def test_a_click_that_comes_twice_starts_one_run(client: TestClient, root: Path) -> None:
    first, second = start(client, key="one"), start(client, key="one")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["run"] == second.json()["run"]
    client.post(f"/api/studies/{STUDY}/stop")
    until(lambda: state(client) == "stopped")
    assert start(client, key="one").json()["fresh"] is False  # the same click again, however late
    assert begun(root) == [f"run {STUDY}"]
    other = start(client, TINY.replace("n = 4", "n = 8"), key="one")
    assert (other.status_code, f"'one' has started {STUDY}" in other.json()["detail"]) == (409, True)


def test_who_starts_what_runs_already_watches_it(client: TestClient, root: Path) -> None:
    runs = {start(client, key=key).json()["run"] for key in ("ada", "bob", "")}
    until(lambda: state(client) == "running")
    assert len(runs) == 1
    assert begun(root) == [f"run {STUDY}"]


def test_an_extension_keeps_the_folder_and_runs_what_is_new(client: TestClient, root: Path) -> None:
    start(client)
    client.post(f"/api/studies/{STUDY}/stop")
    until(lambda: state(client) == "stopped")
    longer = client.post(f"/api/studies/{STUDY}/extend", json={"to": 8})
    assert (longer.status_code, longer.json()["trials_added"]) == (200, 16)
    until(lambda: begun(root) == [f"run {STUDY}", f"resume {STUDY}"])
    assert client.get(f"/api/studies/{STUDY}").json()["trainings"] == 32
    client.post(f"/api/studies/{STUDY}/stop")
    until(lambda: state(client) == "stopped")
    shorter = client.post(f"/api/studies/{STUDY}/extend", json={"to": 4})
    assert (shorter.status_code, "a design only grows" in shorter.json()["detail"]) == (422, True)
    assert client.post(f"/api/studies/{STUDY}/retry", json={"only": ["timeout"]}).status_code == 200
    until(lambda: len(begun(root)) == 3)
    wrong = client.post(f"/api/studies/{STUDY}/retry", json={"only": ["ok"]})
    assert wrong.status_code == 422


def test_a_run_that_ends_before_it_begins_says_why(client: TestClient, service: Service) -> None:
    ends = service.settings.root.parent / "played.py"
    ends.write_text("import sys; sys.exit('vcm-sweep: mnist is not in /data: give --data-dir')")
    start(client)
    until(lambda: state(client) == "failed")
    card = client.get(f"/api/studies/{STUDY}").json()["card"]
    assert card["reason"] == "mnist is not in /data: give --data-dir"


def test_the_next_service_finds_the_runs_of_one_that_died(client: TestClient, service: Service, root: Path) -> None:
    run = start(client).json()["run"]
    service.runs.close()  # as the system does for a process that was killed
    after = served(root)
    until(lambda: after.catalogue.card(STUDY).state == "running")
    assert after.actions.start(TINY).run == run
    assert after.actions.start(TINY, key="click").fresh is False
    after.actions.stop(STUDY)
    until(lambda: after.catalogue.card(STUDY).state == "stopped")
    assert begun(root) == [f"run {STUDY}"]
    after.runs.close()


def test_a_click_that_was_cut_short_is_finished_by_the_same_click(service: Service, root: Path) -> None:
    died = RuntimeError("killed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service.runs, "start", lambda *_: (_ for _ in ()).throw(died))
        with pytest.raises(RuntimeError):
            service.actions.start(TINY, key="click")
    assert service.catalogue.card(STUDY).state == "new"  # the study is there, whole, and nothing runs
    assert service.actions.start(TINY, key="click").fresh
    assert not service.actions.start(TINY, key="click").fresh
    until(lambda: begun(root) == [f"run {STUDY}"])


@pytest.mark.parametrize(
    ("old", "new"),
    [("epochs = 1", "epochs = 0"), ("[study]", "[studdy]"), ("n = 4", "n = 5"), ('"digits"', '"digit"'), ("=", "= =")],
)
def test_a_mistake_has_the_words_of_the_command_line(client: TestClient, old: str, new: str) -> None:
    text = TINY.replace(old, new)
    with pytest.raises(StudyError) as wrong:
        Study.from_text(text)
    answer = start(client, text)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == str(wrong.value)
    checked = client.post("/api/check", json={"study": text}).json()
    assert (checked["valid"], "; ".join(checked["mistakes"])) == (False, str(wrong.value))
    assert client.get("/api/studies").json() == []


def test_a_text_is_checked_and_nothing_is_made(client: TestClient, root: Path) -> None:
    checked = client.post("/api/check", json={"study": TINY}).json()
    assert checked == {"valid": True, "mistakes": [], "name": "tiny", "study": STUDY, "trainings": 16}
    assert not (root / STUDY).exists()


def test_a_note_is_kept_with_the_study_and_bounded(client: TestClient, root: Path) -> None:
    start(client)
    assert client.put(f"/api/studies/{STUDY}/note", json={"note": "<b>ours</b>"}).status_code == 204
    assert (root / STUDY / "note.txt").read_text() == "<b>ours</b>"
    assert client.get("/api/studies").json()[0]["note"] == "<b>ours</b>"
    long = client.put(f"/api/studies/{STUDY}/note", json={"note": "x" * 2001})
    assert (long.status_code, "at most 2,000" in long.json()["detail"]) == (400, True)


def test_what_is_not_there_or_not_taken_is_a_problem_that_helps(client: TestClient) -> None:
    for method, path, status, words in (
        ("GET", "/api/studies/nobody", 404, 'there is no study "nobody" here'),
        ("POST", "/api/studies/nobody/stop", 404, 'there is no study "nobody" here'),
        ("GET", "/api/nothing", 404, "there is nothing at /api/nothing"),
        ("DELETE", "/api/studies", 405, "/api/studies does not take DELETE"),
        ("POST", "/api/studies", 422, "body: "),
        ("GET", "/api/studies?order=size", 400, "order = 'size' must be one of changed, name, state, done, best"),
    ):
        answer = client.request(method, path)
        assert (answer.status_code, answer.json()["status"]) == (status, status)
        assert words in answer.json()["detail"]
    page = client.get("/nothing", headers={"Accept": "text/html"})
    assert (page.status_code, "there is nothing at /nothing" in page.text) == (404, True)
    table = client.post("/api/check", content=b"x", headers={"Content-Type": "text/csv"})
    assert (table.status_code, "text/csv is not read here: send JSON" in table.json()["detail"]) == (415, True)


def test_all_of_it_is_described(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    assert {"/api/studies", "/api/studies/{study}/events", "/api/plan"} <= set(described["paths"])
    page = client.get("/docs").text
    assert all(path in page for path in described["paths"])
    assert "<td><code>replicate_rows</code></td><td>body</td><td>points that are run once more</td>" in page
    assert "<td><code>fit</code></td><td>body</td><td>parameters to fit, as r,dW_A</td>" in page
    assert not re.search(r"(src|href)=.https?:|<script", page)
