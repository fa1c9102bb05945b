"""Cells of a service: a measured file is sent and fitted, shown with what is believable, and used in a new study."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from matplotlib.figure import Figure

from vcm_sweep.cluster.service.app import make_app
from vcm_sweep.cluster.service.cells import portraits
from vcm_sweep.cluster.service.cells.fits import FitOptions
from vcm_sweep.cluster.service.problems import BusyError
from vcm_sweep.cluster.service.service import Service
from vcm_sweep.device import CellParameters
from vcm_sweep.device.pictures import pictures
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.study import Study

from ....studies import TINY
from ..conftest import bearer, served
from ..waiting import until
from .measuring import measured

REAL = (sys.executable, "-P", "-m", "vcm_sweep.cluster.cli")
FIT = {"name": "mine", "fit": "r", "model": "explicit"}
NAMED = "cells/mine/cell.toml"


def sent(client: TestClient, data: bytes, path: str = "/api/cells", **changed: object):  # type: ignore[no-untyped-def]
    return client.post(path, data=FIT | changed, files={"data": ("../../<b>x</b>.csv", data)})


def state(client: TestClient, name: str = "mine") -> str:
    return str(client.get(f"/api/cells/{name}").json()["card"]["state"])


@pytest.fixture(autouse=True)
def quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures without content: the true ones take seconds, and tests/device/pictures looks at them."""
    monkeypatch.setattr(pictures, "draw", lambda *_: Figure())
    monkeypatch.setattr(portraits, "aside", lambda work, *given: work(*given))  # where they are drawn as this says


@pytest.fixture
def fitting(root: Path) -> TestClient:
    """A client of a service whose fits are those of the command line."""
    service = served(root, program=REAL)
    return TestClient(make_app(service), follow_redirects=False, headers=bearer(service) | {"Accept": "text/html"})


def put(service: Service, name: str = "mine", radius: float = 41e-9, file: str = "cell.toml") -> Path:
    """A fitted cell, as a fit leaves it."""
    folder = service.settings.cells / name
    folder.mkdir()
    text = f'name = "{name}"\nsource = "<b>ours</b>"\n[validity]\n[parameters]\nr = {radius!r}\n'
    (folder / file).write_text(text)
    return folder


def test_a_measured_file_becomes_a_cell_of_a_new_study(fitting: TestClient, root: Path) -> None:
    answer = sent(fitting, measured(), "/cells")
    assert (answer.status_code, answer.headers["location"]) == (303, "/cells/mine")
    until(lambda: state(fitting) != "fitting", 120)
    view = fitting.get("/api/cells/mine").json()
    assert (view["card"]["state"], view["card"]["named"]) == ("believable", NAMED), view
    assert view["fit"]["values"]["r"] == pytest.approx(43e-9, rel=1e-3)
    assert view["files"] == ["cell.toml", "fit.png", "fit.svg", "mine.csv"]
    assert fitting.get("/api/cells/mine/files/mine.csv").content == measured()
    page = fitting.get("/cells/mine").text
    assert "note: the pulses are taken as read at 0.2 V" in page
    assert 'src="/api/cells/mine/files/fit.png"' in page
    assert fitting.get("/api/cells/mine/files/fit.png").content.startswith(b"\x89PNG")
    assert str(root) not in page
    new = fitting.get("/new", params={"cell": "mine"}).text
    assert "cell = &#34;cells/mine/cell.toml&#34;" in new
    assert "A valid study" in new
    study = TINY.replace("[[factor]]", f'[device]\ncell = "{NAMED}"\n[[factor]]', 1)
    assert fitting.post("/api/check", json={"study": study}).json()["valid"]
    # The results folder has the numbers, and needs the file no more.
    made = fitting.app.state.service.actions.make(study).study  # type: ignore[attr-defined]
    assert fitting.delete("/api/cells/mine").status_code == 204
    kept = Study.from_text((root / made / "study.toml").read_text())
    assert kept.device["r"] == pytest.approx(43e-9, rel=1e-3)
    assert fitting.get("/api/cells/mine").status_code == 404
    fitting.app.state.service.runs.close()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_fit_that_cannot_be_believed_or_read_says_so(fitting: TestClient) -> None:
    for name, data in (("bad", measured(read_v=0.1)), ("torn", b"voltage_v,current_a\n1,<i>\n")):
        assert sent(fitting, data, name=name, fit="r,dW_A").status_code == 201
        until(lambda name=name: state(fitting, name) != "fitting", 120)  # type: ignore[misc]
    assert state(fitting, "bad") == "doubtful"
    bad = fitting.get("/cells/bad").text
    assert "NOT BELIEVABLE: " in bad
    assert "doubtful.toml" in bad
    torn = fitting.get("/api/cells/torn").json()["card"]
    assert torn["state"] == "failed"
    assert torn["reason"].startswith("cells/torn/torn.csv: "), torn  # the path from the library, and no other
    assert torn["named"] == ""
    assert "<i>" not in fitting.get("/cells/torn").text
    fitting.app.state.service.runs.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changed", "data", "status", "words"),
    [
        ({"name": "../x"}, b"1", 400, "name = '../x' must be letters, digits"),
        ({"name": ".hidden"}, b"1", 400, "must be letters, digits"),
        ({"name": "default"}, b"1", 409, "there is a cell default already"),
        ({"name": "taken"}, b"1", 409, "there is a cell taken already"),
        ({"fit": "r,R_9"}, b"1", 422, "fit = 'R_9' must be some of "),
        ({"fit": " , "}, b"1", 422, "fit = '' must be some of "),
        ({"cell": "../../tokens"}, b"1", 404, "there is no cell"),
        ({"model": "half"}, b"1", 422, "model: "),
        ({"ramp": "nan"}, b"1", 422, "ramp: "),
        ({"ramp": "fast"}, b"1", 422, "ramp: "),
        ({}, b"", 400, "the measured file is empty"),
        ({}, b"1" * 10_000_001, 413, "the measured file has 10,000,001 bytes, and at most 10,000,000 are read"),
    ],
)
def test_what_cannot_be_fitted_is_one_sentence_and_leaves_nothing(
    client: TestClient, service: Service, changed: dict[str, str], data: bytes, status: int, words: str
) -> None:
    put(service, "taken")
    answer = sent(client, data, **changed)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
    assert os.listdir(service.settings.cells) == ["taken"]


@pytest.mark.parametrize(
    "path",
    [
        "..", "%2e%2e", "%2e%2e%2f%2e%2e", ".hidden", "away", "mine/files/..%2f..%2ftokens.json",
        "mine/files/fit.out", "mine/files/link.toml", "mine/files/doubtful.toml", "mine/files/%00",
        "default/files/cell.toml", "mine/pictures/x.png", "mine/pictures/..%2fiv.png", "away/pictures/iv.png",
    ],
)  # fmt: skip
def test_no_path_leaves_the_cells(client: TestClient, service: Service, path: str) -> None:
    folder, tokens = put(service), service.settings.home / "tokens.json"
    (folder / "fit.out").write_text("x")
    (folder / "doubtful.toml").symlink_to(tokens)
    (folder / "link.toml").symlink_to(tokens)
    (service.settings.cells / ".hidden").mkdir()
    (service.settings.cells / "away").symlink_to(service.settings.home)
    answer = client.get(f"/api/cells/{path}")
    assert answer.status_code == 404, answer.text
    assert [own["name"] for own in client.get("/api/cells").json() if own["state"] != "library"] == ["mine"]


@pytest.mark.parametrize(
    "named",
    [
        "cells/nobody/cell.toml", "cells/mine/mine.csv", "cells/../../tokens.json", "cells/mine/../mine/cell.toml",
        "cells/away/cell.toml", "cells/linked/cell.toml", "./cells/mine/cell.toml",
        "{home}/library/cells/mine/cell.toml",
    ],
)  # fmt: skip
def test_a_study_names_cells_of_the_service_and_no_other_file(service: Service, tmp_path: Path, named: str) -> None:
    mine = put(service)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "cell.toml").write_text((mine / "cell.toml").read_text())
    (service.settings.cells / "away").symlink_to(tmp_path / "elsewhere")
    (service.settings.cells / "linked").mkdir()
    (service.settings.cells / "linked" / "cell.toml").symlink_to(tmp_path / "elsewhere" / "cell.toml")
    text = TINY.replace("[[factor]]", '[device]\ncell = "{}"\n[[factor]]', 1)
    with pytest.raises(StudyError, match=r"^\[device\] cell = .* is a file of your own"):
        service.actions.read(text.replace("{}", named.replace("{home}", str(service.settings.home))))
    with pytest.raises(StudyError, match=r"^\[network\] start = .* is a file of your own"):
        service.actions.read(TINY.replace("epochs", f'start = "{NAMED}"\nepochs'))
    assert service.actions.read(text.replace("{}", NAMED)).device["r"] == 41e-9


def test_a_cell_that_is_torn_is_listed_and_says_so(client: TestClient, service: Service) -> None:
    (put(service) / "cell.toml").write_text("name = ")
    card = next(own for own in client.get("/api/cells").json() if own["name"] == "mine")
    assert (card["state"], card["reason"].startswith("cells/mine/cell.toml: not TOML")) == ("unreadable", True)
    assert client.get("/api/cells/mine").json()["parameters"] == []
    assert client.get("/cells/mine", headers={"Accept": "text/html"}).status_code == 200


def test_the_library_is_shown_and_stays(client: TestClient, service: Service) -> None:
    put(service)
    shown = {own["name"]: own["value"] for own in client.get("/api/cells/default").json()["parameters"]}
    assert shown["R_0"] == CellParameters().R_0
    refused = client.delete("/api/cells/default")
    assert (refused.status_code, "a cell of the library, which stays" in refused.json()["detail"]) == (400, True)
    page = client.get("/cells", headers={"Accept": "text/html"}).text
    assert "&lt;b&gt;ours&lt;/b&gt;" in page
    assert 'enctype="multipart/form-data"' in page


def test_a_page_loads_itself_again_until_its_pictures_are_drawn(client: TestClient, service: Service) -> None:
    put(service)
    client.headers["Accept"] = "text/html"
    assert client.get("/cells/mine").headers["Refresh"] == "3"
    until(lambda: "Refresh" not in client.get("/cells/mine").headers, 20, pause_s=0.1)
    page = client.get("/cells/mine").text
    assert page.count("<img ") == 2
    assert client.get("/api/cells/mine/pictures/iv.png").content.startswith(b"\x89PNG")


def test_whoever_may_only_read_fits_and_removes_nothing(client: TestClient, service: Service) -> None:
    put(service)
    client.headers.update(bearer(service, "read") | {"Accept": "text/html"})
    assert client.get("/cells").text.count("<button") == 1  # log out
    assert client.get("/cells/mine").text.count("<button") == 1
    assert sent(client, b"1", "/cells", name="other").status_code == 403
    assert client.post("/cells/mine/remove").status_code == 403


def test_a_file_from_a_page_of_another_site_is_refused(client: TestClient, service: Service) -> None:
    token = service.tokens.named("run")
    assert token is not None
    del client.headers["Authorization"]
    client.cookies.set(service.sessions.cookie, service.sessions.begin(token))
    assert sent(client, b"1", "/cells").status_code == 403
    assert os.listdir(service.settings.cells) == []
    visitor = service.sessions.visitor(client.cookies[service.sessions.cookie])
    assert visitor is not None
    answer = sent(client, b"1", "/cells", csrf=visitor.csrf, fit="no parameter")
    assert answer.status_code == 422  # it came as far as the fit


def test_a_fit_is_stopped_also_by_a_service_that_did_not_start_it(root: Path) -> None:
    endless = (sys.executable, "-c", "import time; print('note: begun', flush=True); time.sleep(600)")
    first = served(root, program=endless)
    client = TestClient(make_app(first), follow_redirects=False, headers=bearer(first))
    assert sent(client, measured()).status_code == 201
    until(lambda: (root / ".vcm-sweep/library/cells/mine/fit.out").read_text() != "")
    first.runs.close()
    again = served(root, program=endless)
    client = TestClient(make_app(again), follow_redirects=False, headers=bearer(again))
    assert "Stop the fit" in client.get("/cells/mine").text
    assert client.post("/cells/mine/stop").headers["location"] == "/cells/mine"
    card = client.get("/api/cells/mine").json()["card"]
    assert (card["state"], card["reason"]) == ("failed", "the fit was stopped")
    assert client.post("/api/cells/mine/stop").status_code == 409
    assert client.post("/api/cells/default/stop").status_code == 409
    assert client.post("/api/cells/none/stop").status_code == 404
    assert client.delete("/api/cells/mine").status_code == 204
    again.runs.close()


def test_no_more_fits_run_than_may_however_many_are_asked_for_at_once(root: Path) -> None:
    service = served(root, program=(sys.executable, "-c", "import time; time.sleep(600)"))
    together = threading.Barrier(12)

    def ask(number: int) -> bool:
        together.wait()
        try:
            return service.fits.start(f"cell{number}", b"1", FitOptions("r")).state == "fitting"
        except BusyError:
            return False

    with ThreadPoolExecutor(12) as many:
        began = list(many.map(ask, range(12)))
    for name in os.listdir(service.settings.cells):
        service.fits.stop(name)
    service.runs.close()
    assert sum(began) == 4
