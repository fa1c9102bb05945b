"""The client of notebooks, against a service that listens."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from vcm_sweep.cluster import Client
from vcm_sweep.cluster.cli import main
from vcm_sweep.cluster.client import TOKEN_VARIABLE, remote_study
from vcm_sweep.cluster.service.problems import BusyError
from vcm_sweep.cluster.service.service import Service
from vcm_sweep.cluster.service.studies.rankings import Rankings
from vcm_sweep.sweep import InProcessExecutor, Study, open_results, run, train
from vcm_sweep.sweep.errors import ExecutorError, StoreError, StudyError

from ..studies import TINY
from .service.conftest import address, bearer, root, service
from .service.waiting import until

__all__ = ["address", "root", "service"]


@pytest.fixture
def client(service: Service, address: str) -> Client:
    return Client(address, bearer(service)["Authorization"].removeprefix("Bearer "))


def test_a_study_goes_there_and_is_waited_for(client: Client, root: Path) -> None:
    study = client.submit(TINY, note="ours")
    assert client.submit(Study.from_text(TINY)).id == study.id
    assert [card["note"] for card in client.studies()] == ["ours"]
    until(lambda: study.state == "running")
    with pytest.raises(StoreError, match="a run is under way"):
        study.resume()
    study.stop()
    assert study.wait(progress=False, interval_s=0.05) == "stopped"
    (root / "hurry").touch()
    study.retry(["timeout"])
    assert client.study(study.id).wait(progress=False, interval_s=0.05) == "done"


def test_results_come_home_as_a_table_and_as_a_folder(client: Client, root: Path, tmp_path: Path) -> None:
    study = Study.from_text(TINY)
    folder = root / f"tiny-{study.digest[:8]}"
    kept = run(study, InProcessExecutor(train), folder).table()
    there = client.study(folder.name)
    assert there.view()["counts"] == {"ok": 16}
    table = there.table()
    assert table.column("accuracy").equals(kept.column("accuracy"))
    assert len(table.to_pandas()) == 16
    assert there.fetch(tmp_path / "home", progress=False) >= 4
    assert there.fetch(tmp_path / "home", progress=False) >= 1  # small files are read again
    assert open_results(tmp_path / "home").table().equals(kept)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").touch()
    with pytest.raises(StoreError, match="is not empty and holds another study, or none"):
        there.fetch(tmp_path / "other", progress=False)
    with pytest.raises(StudyError, match="n: 4 base rows are too few for an interval"):
        there.ranking()


def test_what_the_service_refuses_is_raised_with_its_words(client: Client, service: Service) -> None:
    with pytest.raises(StudyError, match=r"^\[network\] epochs = 0 must be "):
        client.submit(TINY.replace("epochs = 1", "epochs = 0"))
    with pytest.raises(StoreError, match='there is no study "nobody" here'):
        client.study("nobody")
    with pytest.raises(StoreError, match="there is nothing at"):
        client.study("../../etc")
    with pytest.raises(ExecutorError, match="this token is not known here: send 'Authorization: Bearer TOKEN'"):
        Client(client.address, "wrong").studies()
    assert service.catalogue.studies() == []


def test_a_netrc_does_not_stand_in_for_the_token(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert client.studies() == []


def test_what_is_still_being_made_is_asked_for_again(
    client: Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vcm_sweep.cluster.client._WAIT_S", 0.0)
    asked = 0

    def ranking(*_: object) -> dict[str, int]:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise BusyError("it is being made")
        return {"asked": asked}

    monkeypatch.setattr(Rankings, "ranking", ranking)
    study = client.submit(TINY)
    assert study.ranking() == {"asked": 3}


def test_an_address_that_is_none_or_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vcm_sweep.cluster.client._WAIT_S", 0.0)
    with pytest.raises(ExecutorError, match=r"the service at http://127.0.0.1:9 does not answer .*: is it up, and"):
        Client("http://127.0.0.1:9", "").studies()
    for wrong in ("127.0.0.1", "http://user:secret@host", "ftp://x"):
        with pytest.raises(StudyError, match="must be the address of a service") as refused:
            Client(wrong)
        assert "secret" not in str(refused.value)
    with pytest.raises(StoreError, match="must be the page of a study"):
        remote_study("http://127.0.0.1:8470")
    monkeypatch.setenv(TOKEN_VARIABLE, "t")
    found = remote_study("http://127.0.0.1:8470/sweeps/studies/demo-1")
    assert (found is not None, repr(found)) == (True, "RemoteStudy(http://127.0.0.1:8470/sweeps/studies/demo-1)")


def test_commands_take_the_page_of_a_study_for_a_folder(
    client: Client,
    service: Service,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    study = client.submit(TINY)
    until(lambda: study.state == "running")
    page = f"{client.address}/studies/{study.id}"
    monkeypatch.setenv(TOKEN_VARIABLE, bearer(service)["Authorization"].removeprefix("Bearer "))
    assert main(["status", page]) == 0
    told = capsys.readouterr().out
    assert ("16" in told, ": running" in told) == (True, True)
    assert main(["logs", page, "--json"]) == 0
    assert main(["stop", page, "--wait", "30", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["state"] == "stopped"
    assert main(["status", page, "--watch", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"]["state"] == "stopped"
    assert main(["fetch", page, str(tmp_path / "home")]) == 0
    assert (tmp_path / "home" / "study.toml").read_text() == (root / study.id / "study.toml").read_text()
    assert main(["stop", page]) == 3
    assert "no run is under way, the latest is stopped" in capsys.readouterr().err
    monkeypatch.setenv(TOKEN_VARIABLE, "wrong")
    assert main(["status", page]) == 4


@pytest.fixture
def evil() -> Iterator[str]:
    """A server that names a file outside of where it is copied to."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps([{"path": "../owned.txt", "size": 1}]).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_no_server_writes_outside_of_the_folder(evil: str, tmp_path: Path) -> None:
    study = remote_study(f"{evil}/studies/x")
    assert study is not None
    with pytest.raises(StoreError, match="nothing is copied"):
        study.fetch(tmp_path / "home", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_searches_for_tolerances_begin_and_end(client: Client, service: Service, root: Path) -> None:
    study = client.study(service.actions.make(TINY).study)
    assert client.searches() == []
    study.search(question="one", drop=0.02, trials=16)
    until(lambda: study.tolerances()["card"]["state"] == "running")
    assert [card["id"] for card in client.searches()] == [f"{study.id}/tolerance"]
    study.stop_search()
    until(lambda: study.tolerances()["card"]["state"] == "stopped")
    with pytest.raises(StudyError, match="drop"):
        study.search(drop=2.0)


def test_cells_are_listed_and_fitted(client: Client, tmp_path: Path) -> None:
    assert "default" in [card["name"] for card in client.cells()]
    assert {own["name"] for own in client.cell("default")["parameters"]} >= {"r", "dW_A"}
    (tmp_path / "ours.csv").write_text("voltage_v,current_a\n0.1,1e-6\n")
    card = client.fit("mine", tmp_path / "ours.csv", "r,dW_A", model="explicit")
    assert card["name"] == "mine"
    until(lambda: client.cell("mine")["card"]["state"] == "failed")  # what plays runs here plays no fits
    with pytest.raises(StoreError, match="no fit is under way"):
        client.stop_fit("mine")
    with pytest.raises(StoreError, match="there is no cell"):
        client.cell("other")


def test_a_fit_for_which_the_service_is_busy_is_sent_again_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vcm_sweep.cluster.client._WAIT_S", 0.0)
    (tmp_path / "measured.csv").write_text("pulse,current_a\n0,1e-6\n")
    sent: list[bytes] = []

    class BusyOnce(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(201 if len(sent) > 1 else 503)
            self.send_header("Retry-After", "5")
            self.end_headers()
            self.wfile.write(b'{"name": "mine"}')

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), BusyOnce) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        card = Client(f"http://127.0.0.1:{server.server_port}", "").fit("mine", tmp_path / "measured.csv", "r")
        server.shutdown()
    assert card == {"name": "mine"}
    assert [b"0,1e-6" in body for body in sent] == [True, True]
