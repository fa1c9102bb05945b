"""The report written from a study's page, with no script; and what a comparison gives to download."""

import re
import shutil
import threading
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from vcm_sweep.cluster.service.problems import BusyError
from vcm_sweep.cluster.service.service import Service
from vcm_sweep.cluster.service.studies import rankings
from vcm_sweep.sweep import InProcessExecutor, run, train
from vcm_sweep.sweep.study.study import Study

from ....studies import TINY
from ..conftest import bearer
from ..waiting import until


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of 48 trainings, each point twice."""
    text = TINY.replace('"sobol"', '"morris"').replace("epochs = 1", "epochs = 4")
    text = text.replace("n = 4", "n = 8\nreplicates = 2")
    folder = tmp_path_factory.mktemp("finished") / "mine"
    run(Study.from_text(text), InProcessExecutor(train), folder)
    return folder


@pytest.fixture
def person(client: TestClient, root: Path, finished: Path) -> TestClient:
    shutil.copytree(finished, root / "mine")
    client.headers["Accept"] = "text/html"
    return client


def test_a_report_is_written_as_chosen_and_shown(person: TestClient, root: Path) -> None:
    page = person.get("/studies/mine").text
    assert "<option>frac_at_bound</option>" in page
    assert re.findall(r"<option>accuracy_epoch_(.+?)</option>", page) == ["1", "2"]  # of four: not each of hundreds
    assert "<option>morris</option><option>bounded</option>" in page
    assert "<option>bounded-shapley</option>" in page
    (root / "mine" / "report.html").unlink(missing_ok=True)
    chosen = {"metric": "loss", "method": "morris", "policy": "drop-block"}
    until(lambda: "is being made" not in person.post("/studies/mine/report", data=chosen).text)
    answer = person.post("/studies/mine/report", data=chosen)
    assert (answer.status_code, answer.headers.get("location")) == (303, "/studies/mine/shown/report.html")
    assert 'src="/api/studies/mine/files/report.html?within"' in person.get(answer.headers["location"]).text
    shown = person.get("/api/studies/mine/files/report.html").text
    assert shown == (root / "mine" / "report.html").read_text()
    assert "loss" in shown
    assert 'shown/report.html">Report</a>' in person.get("/studies/mine").text


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("metric", "speed", "metric: &#x27;speed&#x27; is not one of accuracy, loss"),
        ("method", "sobol", "method: sobol needs a study with"),
        ("policy", "<b>", "policy: &#x27;&lt;b&gt;&#x27; is not one of fail, drop-block, worst-case"),
    ],
)
def test_a_wrong_choice_has_the_sentence_of_the_command_line(
    person: TestClient, field: str, value: str, words: str
) -> None:
    # The process that makes reports starts first.
    until(lambda: "is being made" not in person.post("/studies/mine/report", data={field: value}).text)
    answer = person.post("/studies/mine/report", data={field: value})
    assert (answer.status_code, words in answer.text) == (422, True), answer.text


def test_while_it_is_made_the_page_says_so_and_asks_again(
    person: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, begun = threading.Event(), []

    def slow(results: object, folder: str, *_: object, **__: object) -> Path:
        begun.append(folder)
        assert go_on.wait(60)
        (Path(folder) / "report.html").write_text("made")
        return Path(folder) / "report.html"

    monkeypatch.setattr(rankings, "write_report", slow)
    monkeypatch.setattr(rankings, "report_aside", lambda work, *given: work(*given))  # where it is slow
    waiting = person.post("/studies/mine/report", data={"metric": "loss"})
    assert (waiting.status_code, "The report is being made." in waiting.text) == (200, True)
    # Whoever has no scripts presses the button, which sends the same once more.
    assert '<input type="hidden" name="metric" value="loss">' in waiting.text
    go_on.set()
    until(lambda: person.post("/studies/mine/report", data={"metric": "loss"}).status_code == 303)
    assert len(begun) == 1


def test_whoever_may_only_read_writes_no_report(person: TestClient, service: Service) -> None:
    person.headers.update(bearer(service, "read"))
    assert "Write the report" not in person.get("/studies/mine").text
    assert person.post("/studies/mine/report").status_code == 403


def test_a_comparison_is_there_to_download(person: TestClient, root: Path) -> None:
    text = (root / "mine" / "study.toml").read_text().replace("lr = 0.02", "lr = 0.03")
    run(Study.from_text(text), InProcessExecutor(train), root / "other")
    page = person.get("/compare", params={"study": ["mine", "other"]}).text
    found = person.get("/api/compare", params={"one": "mine", "other": "other", "policy": "drop-block"})
    assert '/api/compare?one=mine&amp;other=other&amp;policy=drop-block" download="mine-against-other.json"' in page
    assert found.json()["answer"]
    assert '/api/studies/other/records" download' in page


def test_a_page_does_not_wait_for_its_ranking_and_shows_it_later(
    person: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise BusyError("it is being made")

    with monkeypatch.context() as patched:
        patched.setattr(rankings.Rankings, "ranking", busy)
        page = person.get("/studies/mine").text
    assert "data-coming>The ranking is being made: it comes by itself." in page
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in page  # with scripts, live.js asks for it
    until(lambda: "data-coming" not in person.get("/studies/mine").text)
    assert "noscript" not in person.get("/studies/mine").text
