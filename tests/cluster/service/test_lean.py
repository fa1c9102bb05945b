"""The service itself reads studies and results without torch; what needs it is done aside, in a process that ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vcm_sweep.cluster.service.aside import Aside
from vcm_sweep.cluster.service.problems import BusyError, UnfinishedError
from vcm_sweep.device.errors import VcmSweepError
from vcm_sweep.sweep import InProcessExecutor, Study, run, train
from vcm_sweep.sweep.errors import StudyError

from ...studies import TINY
from .waiting import until

ASKED = """
import sys
from fastapi.testclient import TestClient
from vcm_sweep.cluster.service.app import make_app
from vcm_sweep.cluster.service.service import Service
from vcm_sweep.cluster.service.settings import ServiceSettings

if __name__ == "__main__":
    service = Service.of(ServiceSettings.of(sys.argv[1]))
    client = TestClient(make_app(service), headers={"Authorization": f"Bearer {service.tokens.named('run').token}"})
    name = client.get("/api/studies").json()[0]["id"]
    of = f"/api/studies/{name}"
    for path in (of, f"{of}/ranking", f"{of}/curves", f"{of}/files", "/", f"/studies/{name}", "/new", "/cells",
                 "/cells/default", "/tolerances", "/static/study.schema.json"):
        answer = client.get(path)
        assert answer.status_code == 200, (path, answer.text)
    for path in ("/api/check", "/api/tolerances"):
        client.post(path, json={"study": open(f"{sys.argv[1]}/{name}/study.toml").read()})
    while (answer := client.post(f"{of}/report")).status_code == 503:
        pass
    assert answer.status_code == 200, answer.text
    assert "torch" not in sys.modules, "torch is loaded"
"""


def test_neither_the_list_nor_a_study_nor_its_report_loads_torch(tmp_path: Path) -> None:
    text = TINY.replace('"sobol"', '"morris"').replace("n = 4", "n = 8\nreplicates = 2")
    run(Study.from_text(text), InProcessExecutor(train), tmp_path / "root" / "tiny")
    script = tmp_path / "asked.py"
    script.write_text(ASKED)
    done = subprocess.run([sys.executable, script, tmp_path / "root"], capture_output=True, text=True)
    assert not done.returncode, done.stderr[-2000:]


def _refused() -> None:
    raise StudyError("lr is missing: give it")


def _own_id() -> int:
    return os.getpid()


def test_what_is_raised_aside_is_raised_here() -> None:
    with pytest.raises(StudyError, match=r"^lr is missing: give it$"):
        Aside()(_refused)


def test_it_ends_when_it_is_idle_and_a_next_one_begins() -> None:
    aside = Aside(idle_s=0.2)
    first = aside(_own_id)
    assert first != os.getpid()
    until(lambda: aside._process is not None and not aside._process.is_alive())
    assert aside(_own_id) not in (first, os.getpid())


def test_one_that_was_killed_is_begun_anew() -> None:
    aside = Aside()
    first = aside(_own_id)
    os.kill(first, signal.SIGKILL)
    assert aside(_own_id) != first


def test_what_takes_too_long_is_given_up() -> None:
    aside = Aside(longest_s=0.2)
    aside._longest_s = 60.0
    aside(_own_id)
    aside._longest_s = 0.2
    with pytest.raises(UnfinishedError, match=r"given up after 0\.2 s"):
        aside(time.sleep, 60.0)
    assert aside._process is None


def test_few_wait_for_others_work_and_the_rest_are_told_at_once() -> None:
    aside = Aside(wait_s=60.0)

    def ask(_: int) -> int | None:
        try:
            return aside(_own_id)
        except BusyError:
            return None

    with ThreadPoolExecutor(20) as many:
        with aside._one:  # somebody's work
            asked = [many.submit(ask, number) for number in range(20)]
            until(lambda: sum(own.done() for own in asked) == 8, 20)
        found = [own.result() for own in asked]
    assert found.count(None) == 8
    assert len(set(found)) == 2


class _Odd(Exception):
    """Cannot be made anew from its arguments."""

    def __init__(self, field: str, value: int) -> None:
        super().__init__(f"{field} = {value}")


def _odd() -> None:
    raise _Odd("lr", 0)


def _local() -> None:
    class Local(Exception):
        pass

    raise Local("of a function")


def _leaves() -> None:
    sys.exit("no more")


@pytest.mark.parametrize(
    ("work", "words"), [(_odd, "_Odd: lr = 0"), (_local, "Local: of a function"), (_leaves, "SystemExit: no more")]
)
def test_what_cannot_be_sent_is_told_in_words(everyones: Aside, work: Callable[[], None], words: str) -> None:
    before = everyones(_own_id)
    with pytest.raises(VcmSweepError, match=f"^{words}$"):
        everyones(work)
    assert everyones(_own_id) == before


@pytest.fixture(scope="module")
def everyones() -> Aside:
    return Aside()


def _dies(begun: Path) -> None:
    with open(begun, "a") as file:
        file.write("begun\n")
    os.kill(os.getpid(), signal.SIGKILL)


def test_work_whose_process_dies_is_not_done_twice(everyones: Aside, tmp_path: Path) -> None:
    with pytest.raises(UnfinishedError, match=r"^the process that did this has ended \(SIGKILL, as where memory is sh"):
        everyones(_dies, tmp_path / "begun")
    assert (tmp_path / "begun").read_text() == "begun\n"
    assert everyones(_own_id) != os.getpid()


def test_work_that_had_not_begun_when_the_process_ended_is_done_by_the_next(everyones: Aside) -> None:
    first = everyones(_own_id)
    os.kill(first, signal.SIGSTOP)  # so that it takes no question before its end
    with ThreadPoolExecutor(1) as one:
        asked = one.submit(everyones, _own_id)
        time.sleep(0.3)
        os.kill(first, signal.SIGKILL)
        assert asked.result() not in (first, os.getpid())
