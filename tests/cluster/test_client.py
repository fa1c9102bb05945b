"""The client of notebooks, against a service that listens."""

import errno
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from vcm_sweep.cluster import Client
from vcm_sweep.cluster.cli import main
from vcm_sweep.cluster.client import TOKEN_VARIABLE, RemoteStudy, remote_study
from vcm_sweep.cluster.jobs.fetching import fetch as fetch_folder
from vcm_sweep.cluster.service.problems import BusyError
from vcm_sweep.cluster.service.service import Service
from vcm_sweep.cluster.service.studies.rankings import Rankings
from vcm_sweep.sweep import InProcessExecutor, Study, open_results, run, train
from vcm_sweep.sweep.errors import ExecutorError, StoreError, StudyError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.session.log import SessionLog
from vcm_sweep.sweep.session.state import SessionState, write_state
from vcm_sweep.sweep.store import Store

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
    with pytest.raises(StoreError, match="is not empty and holds no study"):
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


def answering(status: int, body: bytes, promised: int | None = None) -> Iterator[str]:
    """The address of a server that gives every question the same answer, of fewer bytes than it promises."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(promised or len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def evil() -> Iterator[str]:
    """A server that names a file outside of where it is copied to."""
    yield from answering(200, json.dumps([{"path": "../owned.txt", "size": 1}]).encode())


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


@pytest.mark.parametrize(
    ("body", "promised", "words"),
    [
        (b"<html>log in", None, "answered with no JSON: is this the address of a service?"),
        (b"[1, 2", 1000, "does not answer"),
    ],
)
def test_a_server_that_is_no_service_is_one_line(
    body: bytes, promised: int | None, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vcm_sweep.cluster.client._WAIT_S", 0.0)
    for served in answering(200, body, promised):
        assert main(["status", f"{served}/studies/x"]) == 4
        assert words in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["http://127.0.0.1:184700", "http://:8470"])
def test_an_address_with_a_slip_is_one_line(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", f"{wrong}/studies/x"]) == 4
    assert "is this its address?" in capsys.readouterr().err


def test_a_token_from_a_file_is_taken_and_one_that_is_none_is_not_shown(
    client: Client, service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = bearer(service)["Authorization"].removeprefix("Bearer ")
    assert Client(client.address, f"{token}\n").studies() == []
    monkeypatch.setenv(TOKEN_VARIABLE, "secret-of-5-€")
    assert main(["status", f"{client.address}/studies/x"]) == 2
    told = capsys.readouterr().err
    assert ("VCM_SWEEP_TOKEN" in told, "secret-of" in told) == (True, False)
    assert main(["status", "http://me:hunter2hunter2@host/x"]) == 3
    assert "hunter2" not in capsys.readouterr().err


def test_a_study_that_is_torn_is_told_as_a_torn_folder_is(
    client: Client, service: Service, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(Study.from_text(TINY), InProcessExecutor(train), root / "torn")
    part = next((root / "torn" / "parts").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:100])
    monkeypatch.setenv(TOKEN_VARIABLE, bearer(service)["Authorization"].removeprefix("Bearer "))
    for words in ([], ["--json"]):
        assert main(["status", f"{client.address}/studies/torn", *words]) == 3
        out, told = capsys.readouterr()
        assert ("has 100 bytes" in told, out) == (True, "")


def test_a_study_that_is_compacted_while_it_is_fetched_is_listed_again(
    client: Client, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = root / "mine"
    kept = run(Study.from_text(TINY), InProcessExecutor(train), folder).table()
    there, read = client.study("mine"), RemoteStudy._file
    compacted: list[str] = []

    def once(study: RemoteStudy, name: str) -> bytes:
        if name.startswith("parts/") and not compacted:
            compacted.append(name)
            assert main(["compact", str(folder)]) == 0
            (folder / name).unlink(missing_ok=True)
        return read(study, name)

    monkeypatch.setattr(RemoteStudy, "_file", once)
    there.fetch(tmp_path / "home", progress=False)
    assert compacted
    assert open_results(tmp_path / "home").table().num_rows == kept.num_rows


def test_a_copy_that_was_cut_short_goes_on_with_its_own_study_alone(
    client: Client, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seed in (("one", 1), ("two", 2)):
        text = TINY.replace('name = "tiny"', f'name = "tiny"\nseed = {seed}')
        run(Study.from_text(text), InProcessExecutor(train), root / name)
    home, read = tmp_path / "home", RemoteStudy._file

    def cut(study: RemoteStudy, name: str) -> bytes:
        if name == "manifest.json":
            raise StoreError("the line is cut")
        return read(study, name)

    with monkeypatch.context() as line:
        line.setattr(RemoteStudy, "_file", cut)
        with pytest.raises(StoreError, match="the line is cut"):
            client.study("one").fetch(home, progress=False)
    assert (any((home / "parts").iterdir()), (home / "study.toml").exists()) == (True, False)
    with pytest.raises(StoreError, match="holds another study"):
        client.study("two").fetch(home, progress=False)
    with pytest.raises(StoreError, match="holds another study"):
        fetch_folder(Folder(root / "two"), home)
    client.study("one").fetch(home, progress=False)
    assert open_results(home).table().num_rows == 16
    assert [path.name for path in home.iterdir() if path.name.startswith(".")] == []


def test_a_long_log_says_that_it_is_cut_and_no_other_run_is_asked_for(
    client: Client, service: Service, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = service.actions.make(TINY).study
    session = SessionState("20260101-000000-abcd", state="done", started="2026-01-01T00:00:00Z")
    write_state(Folder(root / study), session)
    log = SessionLog(Folder(root / study), session.id)
    for number in range(12):
        log.write("message", message=f"line {number}")
    log.close()
    monkeypatch.setenv(TOKEN_VARIABLE, bearer(service)["Authorization"].removeprefix("Bearer "))
    monkeypatch.setattr("vcm_sweep.cluster.commands.remote._LINES", 10)
    page = f"{client.address}/studies/{study}"
    assert main(["logs", page, "--json"]) == 0
    out, told = capsys.readouterr()
    assert (len(out.splitlines()), "line 11" in out, told) == (10, True, "the last 10 lines; fetch has all of them\n")
    assert main(["logs", page, "--all"]) == 3
    assert "a service tells of the latest run alone: fetch the study" in capsys.readouterr().err


def test_a_run_that_a_service_has_just_begun_is_not_asked_for_at_a_cluster(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Store.create(Study.from_text(TINY), tmp_path / "mine")
    write_state(Folder(tmp_path / "mine"), SessionState("20260101-000000-abcd", state="submitted"))
    assert main(["status", str(tmp_path / "mine")]) == 0
    told = capsys.readouterr().out
    assert ("its process begins" in told, "ray" in told.casefold()) == (True, False)


def test_a_study_that_is_not_there_is_not_fetched(client: Client, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match='there is no study "nobody" here'):
        RemoteStudy(client, "nobody").fetch(tmp_path / "home", progress=False)


def test_a_copy_goes_on_wherever_it_was_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its two marks, too; and what is no study leaves no mark."""
    Store.create(Study.from_text(TINY), tmp_path / "mine")
    source, home, write = Folder(tmp_path / "mine"), tmp_path / "home", Folder.write
    with pytest.raises(StoreError, match=r"there is no study.toml in what is to be copied"):
        fetch_folder(Folder(tmp_path / "none"), home)
    assert not home.exists() or list(home.iterdir()) == []
    for name in (".frozen.json", ".study.toml", "frozen.json", "study.toml"):

        def full(folder: Folder, file: str, content: bytes, name: str = name) -> None:
            if file == name:
                raise OSError(errno.ENOSPC, "No space left on device")
            write(folder, file, content)

        with monkeypatch.context() as disk:
            disk.setattr(Folder, "write", full)
            with pytest.raises(StoreError, match=r"No space left on device\): run it again to go on"):
                fetch_folder(source, home)
    fetch_folder(source, home)
    assert Store.open(home).study.digest == Study.from_text(TINY).digest
