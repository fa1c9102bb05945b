"""A search that was killed continues: no training is lost or run twice, and the dashboard shows the search."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages._cached_storage import _CachedStorage

from vcm_sweep.analysis.tolerance import find_tolerances, joint
from vcm_sweep.analysis.tolerance.optuna_study import OptunaStudy, quiet
from vcm_sweep.sweep import Store

from .linear import Counted, linear, make_study

FACTORS = ("r.d2d.sigma", "l.d2d.sigma", "read.noise.sigma")
SLOPES = {"r.d2d.sigma": 0.3, "l.d2d.sigma": 0.12, "read.noise.sigma": 0.02}
RUNNING = optuna.trial.TrialState.RUNNING
ASKED = 'question = "{question}"\ntarget = 0.87\ntrials = {trials}\nconfirm = 4'

# Writes every key that it trains to a file, and kills itself in the middle of a round when the disk has 16 records.
DRIVER = """
import importlib, os, signal, sys
sys.path.insert(0, {root!r})
made = importlib.import_module("linear")
task = made.Counted(made.linear({slopes!r}, 0.01))

from vcm_sweep.analysis.tolerance import find_tolerances
from vcm_sweep.sweep import InProcessExecutor, Store

def train(trials):
    records = task(trials)
    with open({keys!r}, "a") as file:
        file.writelines(trial.key + "\\n" for trial in trials)
    if len(Store.open({out!r} + "/tolerance").keys()) >= 16:
        os.kill(os.getpid(), signal.SIGKILL)
    return records

find_tolerances(made.make_study({factors!r}, {asked!r}), InProcessExecutor(train), {out!r}, pack=4, batch=16)
"""


@pytest.mark.parametrize("question", ["one", pytest.param("joint", marks=pytest.mark.slow)])
def test_after_kill_9_nothing_is_lost_or_trained_twice(tmp_path: Path, question: str) -> None:
    out, keys = tmp_path / "out", tmp_path / "keys"
    asked = ASKED.format(question=question, trials=60)
    code = DRIVER.format(
        root=str(Path(__file__).parent), slopes=SLOPES, keys=str(keys), factors=FACTORS, asked=asked, out=str(out)
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    kept = Store.open(out / "tolerance").keys()
    trained = set(keys.read_text().split())
    # At most the last second's records were not yet on the disk.
    assert 16 <= len(kept) <= len(trained)
    assert kept <= trained
    file = out / "tolerance" / "optuna.db"
    left = _running(file, FACTORS)
    assert sum(map(len, left.values())), "killed in the middle of a round"

    task = Counted(linear(SLOPES, 0.01))
    answer = find_tolerances(make_study(FACTORS, asked), task.executor(), out, pack=4, batch=16)
    assert not kept & set(task.keys), "what had a record is not trained again"
    assert len(task.keys) == len(set(task.keys))
    # What the first process asked for counts, and what was running when it was killed is asked once.
    assert answer.trainings <= 60
    assert len(Store.open(out / "tolerance").keys()) <= 60 + 4 * 4 * len(FACTORS)
    _all_asked_once_more(file, left)


class Killed(BaseException):
    """Nothing of a search catches it."""


@contextmanager
def dying_after(last: int) -> Iterator[list[str]]:
    """Raises Killed after so many writes of Optuna to its file; yields what was written."""
    written: list[str] = []

    def counted(name: str) -> Any:
        write = getattr(_CachedStorage, name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            answer = write(*args, **kwargs)
            written.append(name)
            if len(written) == last:
                raise Killed
            return answer

        return counting

    with pytest.MonkeyPatch.context() as patch:
        for name in vars(optuna.storages.BaseStorage):
            if name.startswith(("create_", "set_")):
                patch.setattr(_CachedStorage, name, counted(name))
        yield written


def test_a_kill_at_any_write_of_optuna_loses_no_point(tmp_path: Path) -> None:
    """Optuna writes a trial in many steps: its claim, each parameter, each note, its result."""
    point = {"x": 0.25, "y": 0.75}
    empty = tmp_path / "empty.db"
    _optuna_study(empty, "x", "y")

    def search(path: Path) -> None:
        """One point that is enqueued, and one that the sampler proposes."""
        study = _optuna_study(path, "x", "y")
        study.enqueue(point, place=0.5)
        for trial in study.ask(2):
            study.tell(trial, [1.0], {"accuracy": 0.9}, below=0.1)

    with dying_after(0) as writes:
        search(Path(shutil.copy(empty, tmp_path / "whole.db")))
    halves = 0
    for last in range(1, len(writes)):
        path = Path(shutil.copy(empty, tmp_path / f"{last}.db"))
        with dying_after(last), pytest.raises(Killed):
            search(path)
        left = _running(path, ("x", "y"))
        study = _optuna_study(path, "x", "y")
        ended = [trial for trial in study.study.trials if trial.state == optuna.trial.TrialState.FAIL]
        halves += sum(len(trial.params) == 1 for trial in ended)
        again = study.ask(study.waiting)
        for trial in again:
            study.tell(trial, [1.0], {})
        _all_asked_once_more(path, left)
        # What was enqueued is trained as it was asked for; of proposals, those that were whole.
        done = [trial.params for trial in study.done()]
        assert done.count(point) == 1
        assert [trial.user_attrs["place"] for trial in study.done() if trial.params == point] == [0.5]
        assert all(trial.params in [point, *left.get("joint", [])] for trial in again)
    assert halves == 2, "each of the two was killed between its two parameters"


@pytest.mark.slow
def test_a_search_that_was_killed_at_any_write_gives_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Random points do as well as the search's own here, and cost nothing.
    monkeypatch.setattr(joint, "processes_first", lambda _: lambda seed, _: optuna.samplers.RandomSampler(seed))
    study = make_study(FACTORS[:2], 'question = "joint"\ntarget = 0.8\ntrials = 48\nconfirm = 4')
    with dying_after(0) as writes:
        find_tolerances(study, Counted(linear(SLOPES, 0.01)).executor(), tmp_path / "whole")
    for last in range(3, len(writes), len(writes) // 5):
        out, task = tmp_path / str(last), Counted(linear(SLOPES, 0.01))
        with dying_after(last), pytest.raises(Killed):
            find_tolerances(study, task.executor(), out)
        left = _running(out / "tolerance" / "optuna.db", FACTORS[:2])
        answer = find_tolerances(study, task.executor(), out)
        assert len(task.keys) == len(set(task.keys)), f"trained twice, killed at write {last}"
        # Only what was running may go over the budget.
        assert answer.trainings <= 48 + 2 * sum(map(len, left.values()))
        _all_asked_once_more(out / "tolerance" / "optuna.db", left)


def _trials(file: Path) -> dict[str, list[optuna.trial.FrozenTrial]]:
    """Trials of each study in a file."""
    with quiet():
        storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
    return {study.study_name: storage.get_all_trials(study._study_id) for study in storage.get_all_studies()}


def _running(file: Path, space: Collection[str]) -> dict[str, list[dict[str, float]]]:
    """Points that were being trained, by study. One whose parameters were not all written yet was not."""

    def whole(trial: optuna.trial.FrozenTrial) -> bool:
        return set(trial.params) >= set(trial.user_attrs.get("moved", space))

    return {
        name: [trial.params for trial in trials if trial.state == RUNNING and whole(trial)]
        for name, trials in _trials(file).items()
    }


def _all_asked_once_more(file: Path, points: dict[str, list[dict[str, float]]]) -> None:
    """Nothing runs any more; each of these points was failed, and has a result by another trial."""
    for name, trials in _trials(file).items():
        assert not [trial for trial in trials if trial.state == RUNNING]
        for state in (optuna.trial.TrialState.FAIL, optuna.trial.TrialState.COMPLETE):
            ended = [trial.params for trial in trials if trial.state == state]
            assert all(point in ended for point in points.get(name, [])), state


def _optuna_study(path: Path, *names: str) -> OptunaStudy:
    space = {name: optuna.distributions.FloatDistribution(0.0, 1.0) for name in names}
    return OptunaStudy(path, "joint", ["maximize"], ["y"], lambda seed, _: optuna.samplers.RandomSampler(seed), space)


def test_a_point_that_was_claimed_and_not_begun_is_asked_again(tmp_path: Path) -> None:
    first = _optuna_study(tmp_path / "optuna.db", "x")
    first.enqueue({"x": 0.25}, place=0.5)
    # Killed after Optuna took it from the queue, and before it had its parameters.
    first.study.ask()
    second = _optuna_study(tmp_path / "optuna.db", "x")
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
    until = time.monotonic() + 300
    while True:
        with suppress(OSError), urllib.request.urlopen(address, timeout=10) as answer:
            return str(answer.read().decode())
        assert server.poll() is None, "optuna-dashboard ended"
        assert time.monotonic() < until, f"{address} does not answer"
        time.sleep(0.2)
