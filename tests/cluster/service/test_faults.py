"""What goes wrong around a service: torn and foreign folders, files outside, texts that are none, many at once."""

import errno
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vcm_sweep.cluster.service.app import make_app
from vcm_sweep.cluster.service.problems import ConflictError
from vcm_sweep.cluster.service.service import Service
from vcm_sweep.device.errors import VcmSweepError
from vcm_sweep.sweep import InProcessExecutor, Study, run, train

from ...studies import TINY
from .conftest import bearer, served
from .waiting import until

STUDY = f"tiny-{Study.from_text(TINY).digest[:8]}"
OF_ONE = ("", "/card", "/log", "/ranking", "/curves", "/records", "/files", "/files/study.toml")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder of sixteen trainings."""
    folder = tmp_path_factory.mktemp("finished") / STUDY
    run(Study.from_text(TINY), InProcessExecutor(train), folder)
    return folder


def torn_study(folder: Path) -> None:
    (folder / "study.toml").write_text('[study\nname = "')


def empty_study(folder: Path) -> None:
    (folder / "study.toml").write_bytes(b"")


def binary_study(folder: Path) -> None:
    (folder / "study.toml").write_bytes(os.urandom(999))


def torn_frozen(folder: Path) -> None:
    (folder / "frozen.json").write_text('{"model_version": "x"')


def torn_part(folder: Path) -> None:
    part = next((folder / "parts").iterdir())
    part.write_bytes(part.read_bytes()[:100])


def missing_part(folder: Path) -> None:
    next((folder / "parts").iterdir()).unlink()


def torn_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("[]")


def torn_session(folder: Path) -> None:
    (folder / "sessions").mkdir()
    (folder / "sessions" / "20260101-000000-ffff.json").write_text('{"id": "20260101-000000-ffff", "figures": {"done"')
    (folder / "sessions" / "20260101-000000-fffe.json").write_text('{"id": "20260101-000000-fffe", "seen": "never"}')


def numbers_that_are_none(folder: Path) -> None:
    (folder / "sessions").mkdir()
    figures = '{"done": 1, "total": 16, "best": NaN, "rate_per_h": Infinity, "eta_s": -Infinity}'
    (folder / "sessions" / "20260101-000000-ffff.json").write_text(
        f'{{"id": "20260101-000000-ffff", "state": "running", "tick_s": 0.1, "figures": {figures}}}'
    )


def no_rights(folder: Path) -> None:
    (folder / "sessions").write_text("a file where a folder should be")


@pytest.mark.parametrize(
    "tear",
    [
        torn_study, empty_study, binary_study, torn_frozen, torn_part, missing_part, torn_manifest, torn_session,
        numbers_that_are_none, no_rights,
    ],
)  # fmt: skip
def test_a_torn_folder_is_listed_and_says_what_it_lacks(
    client: TestClient, root: Path, finished: Path, tear: Callable[[Path], None]
) -> None:
    shutil.copytree(finished, root / STUDY)
    shutil.copytree(finished, root / "whole-00000000")
    tear(root / STUDY)
    listed = client.get("/api/studies")
    assert listed.status_code == 200
    assert {card["id"] for card in listed.json()} == {STUDY, "whole-00000000"}
    for path in OF_ONE:
        answer = client.get(f"/api/studies/{STUDY}{path}")
        assert answer.status_code in (200, 404, 409, 422, 503), (path, answer.text)
    view = client.get(f"/api/studies/{STUDY}").json()
    sessions_only = tear in (torn_session, numbers_that_are_none, no_rights)
    assert bool(view["trouble"]) != sessions_only
    assert client.get("/api/studies/whole-00000000").json()["counts"] == {"ok": 16}
    for action in ("resume", "retry", "stop"):
        answer = client.post(f"/api/studies/{STUDY}/{action}", json={})
        assert answer.status_code in (200, 409, 422, 503), answer.text  # no bug, which is 500


def test_what_is_no_study_is_not_listed(client: TestClient, root: Path, finished: Path) -> None:
    (root / "empty").mkdir()
    (root / "file").write_text("x")
    (root / ".hidden").mkdir()
    shutil.copy(finished / "study.toml", root / ".hidden")
    (root / "odd").mkdir()
    (root / "odd" / "study.toml").mkdir()
    (root / "away").symlink_to(finished)  # a link leads out of the root
    (root / "loop").symlink_to(root / "loop")
    assert client.get("/api/studies").json() == []
    for name in ("empty", "file", ".hidden", "odd", "away", "loop", ".vcm-sweep"):
        assert client.get(f"/api/studies/{name}").status_code == 404


def test_a_folder_that_is_deleted_is_gone_at_once(client: TestClient, root: Path, finished: Path) -> None:
    shutil.copytree(finished, root / STUDY)
    assert client.get(f"/api/studies/{STUDY}").json()["counts"] == {"ok": 16}
    shutil.rmtree(root / STUDY)
    assert client.get("/api/studies").json() == []
    for path in OF_ONE:
        assert client.get(f"/api/studies/{STUDY}{path}").status_code == 404


def test_a_root_that_goes_is_said_and_comes_back(client: TestClient, root: Path, finished: Path) -> None:
    shutil.copytree(finished, root / STUDY)
    root.rename(root.parent / "unmounted")
    gone = client.get("/api/studies")
    assert (gone.status_code, "cannot be read" in gone.json()["detail"]) == (503, True)
    (root.parent / "unmounted").rename(root)
    assert [card["id"] for card in client.get("/api/studies").json()] == [STUDY]


@pytest.mark.parametrize(
    "path",
    [
        "/api/studies/..", "/api/studies/../files/x", "/api/studies/%2e%2e/files/played.py", "/api/studies/.vcm-sweep",
        "/api/studies/.vcm-sweep/files/tokens.json", "/api/studies/%2e%2e%2fstudies", "/api/studies/%00",
        f"/api/studies/{STUDY}/files/../../.vcm-sweep/tokens.json",
        f"/api/studies/{STUDY}/files/%2e%2e/%2e%2e/played.py",
        f"/api/studies/{STUDY}/files/..%2f..%2fplayed.py", f"/api/studies/{STUDY}/files//etc/passwd",
        f"/api/studies/{STUDY}/files/%2fetc%2fpasswd", f"/api/studies/{STUDY}/files/out",
        f"/api/studies/{STUDY}/files/",
        f"/api/studies/{STUDY}/files/.hidden", f"/api/studies/{STUDY}/files/lock",
        f"/api/studies/{STUDY}/files/parts", f"/api/studies/{STUDY}/files/deep/out", f"/api/studies/{'a' * 3000}",
    ],
)  # fmt: skip
def test_no_path_leaves_the_root(client: TestClient, service: Service, root: Path, finished: Path, path: str) -> None:
    shutil.copytree(finished, root / STUDY)
    secret = service.settings.home / "tokens.json"
    (root / STUDY / "out").symlink_to(secret)
    (root / STUDY / "deep").symlink_to(root.parent)
    (root / STUDY / ".hidden").write_text("x")
    answer = client.get(path)
    assert answer.status_code == 404, answer.text
    assert service.tokens.named("run").token not in answer.text  # type: ignore[union-attr]


def test_what_can_be_downloaded_is_what_is_listed(client: TestClient, root: Path, finished: Path) -> None:
    shutil.copytree(finished, root / STUDY)
    (root / STUDY / "report.html").write_text("<script>alert(1)</script>")
    listed = client.get(f"/api/studies/{STUDY}/files").json()
    assert {"study.toml", "frozen.json", "report.html"} <= {own["path"] for own in listed}
    for own in listed:
        answer = client.get(f"/api/studies/{STUDY}/files/{own['path']}")
        assert len(answer.content) == own["size"] == (root / STUDY / own["path"]).stat().st_size
        assert "disposition" in " ".join(answer.headers)
    page = client.get(f"/api/studies/{STUDY}/files/report.html")
    assert page.headers["content-security-policy"].startswith(
        "sandbox allow-scripts allow-downloads; default-src 'none'"
    )
    assert "allow-same-origin" not in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("#" * 10_000_000, 413, "the study has 10,000,000 characters, and at most 1,000,000 are read"),
        ("a = [" * 90_000, 422, "not TOML"),
        (f"n = {'9' * 20_000}", 422, "not TOML"),
        ("a\0b", 422, "characters that no text file has"),
        ("\ud800", 422, "characters that no text file has"),
        ("", 422, "is missing"),
        (TINY.replace('"tiny"', '"../../tmp/x"'), 422, "letters, digits"),
        (TINY.replace('"digits"', '"os:abort"'), 422, "which this service does not open"),
        (TINY.replace("epochs", 'start = "w"\nepochs'), 422, "[network] start = 'w' is a file of your own"),
    ],
)
def test_a_text_that_is_no_study_is_one_sentence(client: TestClient, text: str, status: int, words: str) -> None:
    sent = json.dumps({"study": text})
    answer = client.post("/api/studies", content=sent, headers={"Content-Type": "application/json"})
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text[:500]
    assert "\n" not in answer.json()["detail"]
    assert len(answer.json()["detail"]) < 1000
    assert client.get("/api/studies").json() == []


def test_many_people_act_at_once_and_one_run_lives(service: Service, root: Path) -> None:
    study = service.actions.start(TINY).study
    refused: list[str] = []

    def act(number: int) -> None:
        actions = service.actions
        deeds: tuple[Callable[[], object], ...] = (
            lambda: actions.start(TINY, key=f"key {number % 3}"),
            lambda: actions.stop(study),
            lambda: actions.extend(study, to=8),
            lambda: actions.resume(study),
            lambda: actions.retry(study),
            lambda: actions.note(study, f"of {number}"),
            lambda: service.views.study(study),
        )
        try:
            deeds[number % len(deeds)]()
        except VcmSweepError as error:
            refused.append(str(error))

    alive: list[int] = []
    over = threading.Event()

    def count() -> None:
        while not over.wait(0.01):
            alive.append(_processes_with(str(root / study)))

    counting = threading.Thread(target=count)
    counting.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(70)))
    with suppress(ConflictError):  # of the run that is under way, if one still is
        service.actions.resume(study)
    over.set()
    counting.join()
    assert max(alive) <= 1
    assert refused  # somebody came too late, and was told so
    assert len(service.views.results(study).design) in (16, 32)


def _processes_with(word: str) -> int:
    """Processes that play a run of a folder."""
    found = 0
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += b"played.py" in (line := process.read_bytes()) and word.encode() in line
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory, finished: Path) -> Iterator[tuple[TestClient, list[Any]]]:
    """A client that may run, of a service with a study, and its routes."""
    root = tmp_path_factory.mktemp("attacked") / "studies"
    service = served(root)
    shutil.copytree(finished, root / STUDY)
    (root / "hurry").touch()
    app = make_app(service)
    client = TestClient(app, follow_redirects=False, raise_server_exceptions=False, headers=bearer(service))
    routes = [
        (method.upper(), path, own)
        for path, methods in app.openapi()["paths"].items() if not path.endswith("events") and path != "/api/plan"
        for method, own in methods.items()
    ]  # fmt: skip
    yield client, routes
    service.runs.close()


WORDS = st.text(max_size=30) | st.sampled_from(
    [
        "",
        STUDY,
        "..",
        "study.toml",
        "accuracy",
        "p_failed",
        "sobol",
        "drop-block",
        "0",
        "-1",
        "1e999",
        "nan",
        "true",
        "default",
        "mine",
        "r,dW_A",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_request_is_a_bug(attacked: tuple[TestClient, list[Any]], data: st.DataObject) -> None:
    client, routes = attacked
    method, path, own = data.draw(st.sampled_from(routes))
    for given_ in own.get("parameters", []):
        if given_["in"] == "path":
            value = data.draw(st.just(STUDY) | WORDS if given_["name"] == "study" else WORDS)
            path = path.replace(f"{{{given_['name']}}}", quoted(value))
    names = [given_["name"] for given_ in own.get("parameters", []) if given_["in"] == "query"]
    query = {name: data.draw(WORDS) for name in names if data.draw(st.booleans())}
    fields = st.sampled_from(["study", "note", "to", "replicates", "replicate_rows", "only"])
    sent: Any = data.draw(JSON | st.dictionaries(fields, JSON, max_size=4) | st.just({"study": TINY, "to": 8}))
    body = json.dumps(sent).encode() if data.draw(st.booleans()) else data.draw(st.binary(max_size=60))
    kinds = ["application/json", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded", ""]
    headers = {"Content-Type": data.draw(st.sampled_from(kinds))}
    given_so: dict[str, Any] = {"params": query, "content": body, "headers": headers}
    if (method, path) == ("POST", "/api/cells") and data.draw(st.booleans()):
        form = {name: data.draw(WORDS) for name in ("name", "fit", "cell", "ramp", "columns", "magnitude")}
        given_so = {"data": form, "files": {"data": (data.draw(WORDS), body)}}
    answer = client.request(method, path, **given_so)
    end = time.monotonic() + 60
    while answer.status_code == 503 and "retry-after" in answer.headers and time.monotonic() < end:  # a busy machine
        answer = client.request(method, path, **given_so)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.json()["detail"].strip()


def quoted(text: str) -> str:
    return quote(text.encode("utf-8", "replace"), safe="") or "%20"


def test_a_service_finds_its_runs_among_those_of_others(service: Service, root: Path, finished: Path) -> None:
    shutil.copytree(finished, root / STUDY)
    (root / STUDY / "sessions").mkdir()
    here = {"id": "20260101-000000-ffff", "state": "running", "host": os.uname().nodename, "pid": 2**22 + 1}
    (root / STUDY / "sessions" / "20260101-000000-ffff.json").write_text(json.dumps(here))
    assert service.catalogue.card(STUDY).state == "silent"  # its process is not there any more
    (root / "hurry").touch()
    service.actions.resume(STUDY)
    until(lambda: service.catalogue.card(STUDY).state in ("done", "silent"))


def test_the_list_is_read_while_others_ask_for_new_studies(service: Service, root: Path) -> None:
    for name in ("one", "two", "three"):
        (root / name).mkdir(parents=True)
        (root / name / "study.toml").touch()
    catalogue = service.catalogue
    catalogue.studies()

    class Asked(dict[str, Any]):
        """What is known, and while it is looked through somebody asks for a study that is not."""

        def __iter__(self) -> Iterator[str]:
            for name in super().__iter__():
                (root / f"new-{name}").mkdir()
                (root / f"new-{name}" / "study.toml").touch()
                asking = threading.Thread(target=catalogue.card, args=(f"new-{name}",))
                asking.start()
                asking.join(0.3)
                yield name

        def items(self) -> Any:
            return ((name, self[name]) for name in self)

    catalogue._known = Asked(catalogue._known)
    assert len(catalogue.studies()) == 3
    catalogue._known = dict(catalogue._known)
    assert len(catalogue.studies()) == 6


def test_the_pulse_of_a_study_that_is_gone_is_forgotten(service: Service, root: Path) -> None:
    (root / STUDY / "sessions").mkdir(parents=True)
    (root / STUDY / "study.toml").touch()
    far = {"id": "20260101-000000-ffff", "state": "running", "host": "elsewhere", "pid": 1}
    (root / STUDY / "sessions" / "20260101-000000-ffff.json").write_text(json.dumps(far))
    assert service.catalogue.studies()[0].state == "running"
    assert service.catalogue._pulses
    shutil.rmtree(root / STUDY)
    assert service.catalogue.studies() == []
    assert not service.catalogue._pulses


def test_a_run_that_goes_on_after_a_crash_is_the_one_that_is_told_and_stopped(
    service: Service, root: Path, finished: Path
) -> None:
    shutil.copytree(finished, root / STUDY)
    (root / STUDY / "sessions").mkdir()
    dead = {"id": "20260101-000000-ffff", "state": "running", "host": os.uname().nodename, "pid": 2**22 + 1}
    (root / STUDY / "sessions" / "20260101-000000-ffff.json").write_text(json.dumps(dead))
    run = service.actions.resume(STUDY).run
    assert run > dead["id"]
    assert service.actions.stop(STUDY).run == run  # at once: its process may have said nothing yet
    until(lambda: service.catalogue.card(STUDY).state == "stopped")
    assert sorted(path.name for path in (root / STUDY / "sessions").glob("*.stop")) in ([], [f"{run}.stop"])


def test_a_copy_of_a_killed_run_is_silent_and_goes_on(service: Service, root: Path, finished: Path) -> None:
    shutil.copytree(finished, root / STUDY)
    (root / STUDY / "sessions").mkdir()
    # A copy is younger than what its run has said last, as is a state that a run on a full disk has touched.
    dead = {
        "id": "20260101-000000-ffff", "state": "running", "host": "elsewhere", "pid": 5, "tick_s": 0.05,
        "seen": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    (root / STUDY / "sessions" / "20260101-000000-ffff.json").write_text(json.dumps(dead))
    until(lambda: service.catalogue.card(STUDY).state == "silent")
    (root / "hurry").touch()
    service.actions.resume(STUDY)
    until(lambda: service.catalogue.card(STUDY).state == "done")


def test_a_folder_that_cannot_be_written_does_not_take_the_list_along(
    service: Service, root: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (STUDY, "theirs"):
        shutil.copytree(finished, root / name)
    (root / "theirs" / "sessions").mkdir()
    begun = {"id": "20260101-000000-ffff", "state": "submitted", "host": os.uname().nodename, "pid": 0}
    (root / "theirs" / "sessions" / "20260101-000000-ffff.json").write_text(json.dumps(begun))

    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    # Root may write anywhere, so that no real folder refuses this test.
    monkeypatch.setattr("vcm_sweep.cluster.service.studies.runs.mark_failed", refused)
    cards = {card.id: card for card in service.catalogue.studies()}
    assert (cards["theirs"].state, cards["theirs"].reason) == ("failed", "it ended before it began")
    assert STUDY in cards
