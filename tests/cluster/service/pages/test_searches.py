"""Searches for tolerances in pages and API: listed, shown with their front, started, stopped and gone on with."""

import shutil
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from vcm_sweep.analysis.tolerance import find_tolerances
from vcm_sweep.cluster.options import Place
from vcm_sweep.cluster.service.app import make_app
from vcm_sweep.cluster.service.service import Service
from vcm_sweep.sweep import InProcessExecutor, Study, train

from ....studies import TINY
from ..conftest import bearer, served
from ..waiting import until

ASKED = TINY.replace(
    "[design]", "[tolerance]\nquestion = 'trade-off'\ntarget = 0.02\ntrials = 16\nconfirm = 4\n[design]"
)
NAME = f"tiny-{Study.from_text(ASKED).digest[:8]}"


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study with a search that has ended."""
    folder = tmp_path_factory.mktemp("searched") / "mine"
    find_tolerances(Study.from_text(ASKED), InProcessExecutor(train), folder, pack=8)
    return folder


@pytest.fixture
def person(client: TestClient) -> TestClient:
    client.headers["Accept"] = "text/html"
    return client


def state(client: TestClient) -> str:
    return str(client.get(f"/api/studies/{NAME}/tolerance").json()["card"]["state"])


def test_a_search_is_listed_and_shown_with_its_front_and_best_points(
    person: TestClient, root: Path, searched: Path
) -> None:
    shutil.copytree(searched, root / "mine")
    (card,) = person.get("/api/tolerances").json()
    assert card["id"] == "mine/tolerance"
    assert [own["id"] for own in person.get("/api/studies").json()] == ["mine"]
    view = person.get("/api/studies/mine/tolerance").json()
    (answer,) = view["answers"]
    assert (view["trouble"], answer["question"], view["question"]["trials"]) == ("", "trade-off", 16)
    front = answer["front"]
    assert front
    best = [point["accuracy"] for point in view["best"]]
    assert best == sorted(best, reverse=True)
    assert len(best) > 1
    assert set(view["best"][0]["values"]) == {"r.d2d.sigma", "read.noise.sigma"}
    assert 'href="/studies/mine/tolerance"' in person.get("/tolerances").text
    page = person.get("/studies/mine/tolerance").text
    assert "Points of the trade-off that nothing beats" in page
    assert "The points of highest mean accuracy so far" in page
    assert page.count("data-spec=") >= 1
    assert 'href="/api/studies/mine/files/tolerance/trade-off.json?download" download' in page


def test_a_search_is_started_watched_stopped_and_gone_on_with(person: TestClient, service: Service, root: Path) -> None:
    answer = person.post("/new", data={"text": ASKED, "seen": ASKED, "do": "search", "note": "for Ada"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/studies/{NAME}/tolerance")
    here = answer.headers["location"]
    until(lambda: state(person) == "running")
    assert (root / "played").read_text() == f"tolerance {NAME}/tolerance\n"
    assert service.catalogue.card(NAME).state == "new"  # the study itself does not run
    page = person.get(here).text
    assert "<button>Stop</button>" in page
    assert f'data-live="/api/studies/{NAME}/tolerance/events"' in page
    refused = person.post(f"/api/studies/{NAME}/tolerance")
    assert (refused.status_code, "a search for its tolerances is under way" in refused.json()["detail"]) == (409, True)
    again = person.post("/api/tolerances", json={"study": ASKED})
    assert (again.status_code, again.json()["fresh"]) == (200, False)
    assert person.post(f"{here}/stop").headers["location"] == here
    until(lambda: state(person) == "stopped")
    assert person.post(here, data={"question": "joint", "target": "", "trials": "32"}).status_code == 303
    until(lambda: (root / "played").read_text().count("\n") == 2)
    printed = service.runs.printed(f"{NAME}/tolerance")
    assert f"{root / NAME} --question=joint --trials=32" in printed
    # The study may run meanwhile.
    assert person.post(f"/studies/{NAME}/resume").status_code == 303


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"question": "all"}, "[tolerance] question = 'all' must be one of"),
        ({"target": 2.0}, "[tolerance] target = 2.0 must be"),
        ({"trials": 2}, "[tolerance] trials = 2 must be a whole number from 16"),
        ({"target": 0.9, "drop": 0.1}, "[tolerance] target and drop both say what is to be kept: leave one out"),
    ],
)
def test_a_question_that_makes_no_sense_has_the_words_of_the_command_line(
    client: TestClient, root: Path, searched: Path, sent: dict[str, object], words: str
) -> None:
    shutil.copytree(searched, root / "mine")
    answer = client.post("/api/studies/mine/tolerance", json=sent)
    assert (answer.status_code, words in answer.json()["detail"]) == (422, True), answer.text
    assert not (root / "played").exists()


def test_what_cannot_be_searched_is_said(person: TestClient, root: Path, searched: Path) -> None:
    plain = person.post("/api/tolerances", json={"study": TINY})
    assert (plain.status_code, "[tolerance] is missing" in plain.json()["detail"]) == (422, True)
    assert person.get("/api/studies").json() == []
    for path in ("nobody/tolerance", "../tolerance", "nobody/tolerance/log", "nobody/tolerance/events"):
        assert person.get(f"/api/studies/{path}").status_code == 404
    shutil.copytree(searched, root / "mine")
    (root / "mine" / "tolerance" / "trade-off.json").write_text('{"question": "one"')
    torn = person.get("/studies/mine/tolerance")
    assert (torn.status_code, "run vcm-sweep tolerance again" in torn.text) == (200, True)
    shutil.rmtree(root / "mine" / "tolerance")
    (root / "mine" / "tolerance").symlink_to(searched / "tolerance")  # a link leads out of the root
    assert person.get("/api/tolerances").json() == []
    assert person.get("/api/studies/mine/tolerance").json()["answers"] == []


def test_where_studies_go_to_a_cluster_a_search_says_where_it_would_run(root: Path, searched: Path) -> None:
    service = served(root, place=Place(address="http://head:8265"))
    person = TestClient(make_app(service), headers=bearer(service))
    shutil.copytree(searched, root / "mine")
    here = "earches for tolerances run on the machine of the service, and this one sends its studies to a cluster"
    for path, sent in (("tolerances", {"study": ASKED}), ("studies/mine/tolerance", {})):
        answer = person.post(f"/api/{path}", json=sent)
        assert (answer.status_code, here in answer.json()["detail"]) == (400, True)
    assert [own["id"] for own in person.get("/api/studies").json()] == ["mine"]  # nothing was made
    page = person.get("/studies/mine/tolerance", headers={"Accept": "text/html"}).text
    assert here in page
    assert 'name="question"' not in page
    assert "Points of the trade-off that nothing beats" in page  # what was found elsewhere is shown
    service.runs.close()


def test_whoever_may_only_read_starts_no_search(
    person: TestClient, service: Service, root: Path, searched: Path
) -> None:
    shutil.copytree(searched, root / "mine")
    person.headers.update(bearer(service, "read"))
    page = person.get("/studies/mine/tolerance").text
    assert page.count("<button>") == 1  # log out
    assert person.post("/studies/mine/tolerance").status_code == 403


def test_the_next_service_finds_the_search_of_one_that_died(client: TestClient, service: Service, root: Path) -> None:
    client.post("/api/tolerances", json={"study": ASKED})
    service.runs.close()  # as the system does for a process that was killed
    after = served(root)
    until(lambda: after.searches.search(NAME).card.state == "running")
    assert not after.searches.begin(ASKED).fresh
    after.searches.stop(NAME)
    until(lambda: after.searches.search(NAME).card.state == "stopped")
    after.runs.close()
