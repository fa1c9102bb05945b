"""A search that was killed goes on: nothing that was trained is lost or trained twice, and the dashboard shows it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import optuna
import pytest

from vcm_sweep.analysis.tolerance import find_tolerances
from vcm_sweep.analysis.tolerance.asking import OptunaStudy
from vcm_sweep.sweep import Store, StoreError

from ._linear import Counted, linear, make_study

FACTORS = ("r.d2d.sigma", "l.d2d.sigma", "read.noise.sigma")
SLOPES = {"r.d2d.sigma": 0.3, "l.d2d.sigma": 0.12, "read.noise.sigma": 0.02}
ASKED = 'question = "{question}"\ntarget = 0.87\ntrials = {trials}\nconfirm = 4'

# Writes every key that it trains to a file, slowly, until it is killed.
DRIVER = """
import importlib, sys, time
sys.path.insert(0, {root!r})
made = importlib.import_module("_linear")
task = made.Counted(made.linear({slopes!r}, 0.01))

def slowly(trials):
    # Past what the test waits for it crawls, so that it never ends before it is killed.
    time.sleep(0.05 if len(task.keys) < 20 else 1.5)
    records = task(trials)
    with open({keys!r}, "a") as file:
        file.writelines(trial.key + "\\n" for trial in trials)
    return records

from vcm_sweep.analysis.tolerance import find_tolerances
from vcm_sweep.sweep import InProcessExecutor
find_tolerances(made.make_study({factors!r}, {asked!r}), InProcessExecutor(slowly), {out!r}, pack=4, batch=16)
"""


@pytest.mark.parametrize("question", ["one", pytest.param("joint", marks=pytest.mark.slow)])
def test_after_kill_9_nothing_is_lost_or_trained_twice(tmp_path: Path, question: str) -> None:
    out, keys = tmp_path / "out", tmp_path / "keys"
    asked = ASKED.format(question=question, trials=60)
    code = DRIVER.format(
        root=str(Path(__file__).parent), slopes=SLOPES, keys=str(keys), factors=FACTORS, asked=asked, out=str(out)
    )
    killed = subprocess.Popen([sys.executable, "-c", code])
    until = time.monotonic() + 120
    while _kept(out) < 16 and time.monotonic() < until:
        time.sleep(0.1)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    kept = Store.open(out / "tolerance").keys()
    trained = set(keys.read_text().split())
    # At most the last second's records were not yet on the disk.
    assert 16 <= len(kept) <= len(trained)
    assert kept <= trained
    storage = f"sqlite:///{out}/tolerance/optuna.db"
    left = _running(storage)

    task = Counted(linear(SLOPES, 0.01))
    answer = find_tolerances(make_study(FACTORS, asked), task.executor(), out, pack=4, batch=16)
    assert not kept & set(task.keys), "what had a record is not trained again"
    assert len(task.keys) == len(set(task.keys))
    # What the first process asked for counts, and what was running when it was killed is asked once.
    assert answer.trainings <= 60
    assert len(Store.open(out / "tolerance").keys()) <= 60 + 4 * 4 * len(FACTORS)
    # What was running was failed, and its points were asked once more.
    assert not _running(storage)
    for name, points in left.items():
        trials = optuna.load_study(study_name=name, storage=storage).trials
        failed = [t.params for t in trials if t.state == optuna.trial.TrialState.FAIL]
        done = [t.params for t in trials if t.state == optuna.trial.TrialState.COMPLETE]
        assert all(point in failed and point in done for point in points if point)


def _kept(out: Path) -> int:
    with suppress(StoreError):
        return len(Store.open(out / "tolerance").keys())
    return 0


def _running(storage: str) -> dict[str, list[dict[str, float]]]:
    found = {}
    for name in optuna.get_all_study_names(storage):
        trials = optuna.load_study(study_name=name, storage=storage).get_trials(
            states=(optuna.trial.TrialState.RUNNING,)
        )
        if trials:
            found[name] = [trial.params for trial in trials]
    return found


def test_a_point_that_was_claimed_and_not_begun_is_asked_again(tmp_path: Path) -> None:
    space = {"x": optuna.distributions.FloatDistribution(0.0, 1.0)}

    def optuna_study() -> OptunaStudy:
        random = optuna.samplers.RandomSampler
        return OptunaStudy(tmp_path / "optuna.db", "one", ["maximize"], ["y"], lambda seed, _: random(seed), space)

    first = optuna_study()
    first.enqueue({"x": 0.25}, place=0.5)
    # Killed after Optuna took it from the queue, and before it had its parameters.
    first.study.ask()
    second = optuna_study()
    assert second.waiting == 1
    (trial,) = second.ask(1)
    assert (trial.params, trial.user_attrs["place"]) == ({"x": 0.25}, 0.5)


def test_what_is_answered_is_not_searched_again_and_more_trials_go_on(tmp_path: Path) -> None:
    task = Counted(linear(SLOPES, 0.01))
    short, long = (make_study(FACTORS[:2], ASKED.format(question="joint", trials=n)) for n in (40, 56))
    first = find_tolerances(short, task.executor(), tmp_path)
    assert first.trainings <= 40
    before = len(task.keys)
    again = find_tolerances(short, task.executor(), tmp_path)
    assert len(task.keys) == before
    assert again == first
    more = find_tolerances(long, task.executor(), tmp_path)
    assert 40 < more.trainings <= 56
    assert len(task.keys) == len(set(task.keys))


def test_more_trials_go_on_where_fewer_ended(tmp_path: Path) -> None:
    task = Counted(linear(SLOPES, 0.02))
    short, long = (make_study(FACTORS, ASKED.format(question="one", trials=n)) for n in (40, 80))
    first = find_tolerances(short, task.executor(), tmp_path)
    searched = set(task.keys)
    second = find_tolerances(long, task.executor(), tmp_path)
    assert len(task.keys) == len(set(task.keys))
    assert second.trainings > first.trainings
    width = [max(row.high - row.low for row in answer.rows[:2]) for answer in (first, second)]
    assert width[1] < width[0]
    assert len(searched) < len(task.keys)


def test_optuna_dashboard_shows_the_search(tmp_path: Path) -> None:
    task = Counted(linear(SLOPES, 0.01))
    find_tolerances(make_study(FACTORS, ASKED.format(question="one", trials=40)), task.executor(), tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = Path(sys.executable).parent / "optuna-dashboard"
    server = subprocess.Popen(
        [str(program), f"sqlite:///{tmp_path}/tolerance/optuna.db", "--port", str(port), "--host", "127.0.0.1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        page = _page(f"http://127.0.0.1:{port}/dashboard/", server)
        assert "optuna" in page.lower()
        studies = json.loads(_page(f"http://127.0.0.1:{port}/api/studies", server))["study_summaries"]
        (one,) = [study for study in studies if study["study_name"].startswith("one ")]
        details = json.loads(_page(f"http://127.0.0.1:{port}/api/studies/{one['study_id']}?after=0", server))
        states = {trial["state"] for trial in details["trials"]}
        assert states == {"Complete"}
        assert len(details["trials"]) >= 15
    finally:
        server.terminate()
        server.wait()


def _page(address: str, server: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + 60
    while True:
        with suppress(OSError), urllib.request.urlopen(address, timeout=10) as answer:
            return str(answer.read().decode())
        assert server.poll() is None, "optuna-dashboard ended"
        assert time.monotonic() < until, f"{address} does not answer"
        time.sleep(0.2)
