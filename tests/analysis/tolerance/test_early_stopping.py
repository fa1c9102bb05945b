"""Paused trainings continue with the same bits; points that cannot keep the target are left early, and no others."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vcm_sweep.analysis.tolerance import find_tolerances
from vcm_sweep.analysis.tolerance.early_stopping import Forecast
from vcm_sweep.sweep import InProcessExecutor, Store, Study, Trial, TrialRecord, build_design, train

from .linear import NOMINAL, Counted, linear, make_study

SLOPES = {"r.d2d.sigma": 0.6, "l.d2d.sigma": 0.5}


def _real(epochs: int) -> Study:
    text = make_study(tuple(SLOPES), 'question = "joint"').text
    return Study.from_text(text.replace("epochs = 1", f"epochs = {epochs}\ntrain_samples = 160\ntest_samples = 100"))


def test_a_paused_training_goes_on_to_the_same_result(tmp_path: Path) -> None:
    trials = list(build_design(_real(3)).trials(range(4)))
    straight = train(trials)
    # Of one stack: two are paused, at different epochs, two go on.
    paused = [replace(trial, pause_after=k) for k, trial in enumerate(trials[:3])] + trials[3:]
    folder = str(tmp_path)
    first = train(paused, checkpoints=folder)
    assert [record.status for record in first] == ["ok", "preempted", "preempted", "ok"]
    assert [len(record.history) for record in first] == [3, 1, 2, 3]
    assert first[1].history == straight[1].history[:1]
    second = train(trials[1:3], checkpoints=folder)
    for record, whole in zip([first[0], *second, first[3]], straight, strict=True):
        assert (record.key, record.status, record.history) == (whole.key, "ok", whole.history)
        assert record.accuracy == whole.accuracy


class Paused(Counted):
    """Invented trainings of three epochs that heed ``pause_after``."""

    def __init__(self, values: Any) -> None:
        super().__init__(values)
        self.epochs = 0
        self.final: dict[str, float] = {}

    def __call__(self, trials: Sequence[Trial]) -> list[TrialRecord]:
        whole = super().__call__(trials)
        records = []
        for trial, record in zip(trials, whole, strict=True):
            history = [0.3 + (record.accuracy - 0.3) * share for share in (0.6, 0.9, 1.0)]
            self.final[trial.key] = record.accuracy
            cut = trial.pause_after or 3
            self.epochs += cut
            status = "preempted" if cut < 3 else "ok"
            accuracy = float("nan") if cut < 3 else record.accuracy
            records.append(replace(record, status=status, accuracy=accuracy, history=history[:cut]))
        return records


@pytest.mark.slow
def test_hopeless_points_are_left_early_and_the_answer_stays(tmp_path: Path) -> None:
    text = make_study(tuple(SLOPES), 'question = "joint"\ntarget = 0.87\ntrials = 200\nconfirm = 4').text
    study = Study.from_text(text.replace("epochs = 1", "epochs = 3"))
    task = Paused(linear(SLOPES, 0.005))
    answer = find_tolerances(
        study, InProcessExecutor(task), tmp_path / "cut", batch=16, checkpoints=str(tmp_path / "states")
    )
    assert any("left after their first epochs" in remark for remark in answer.remarks)
    table = Store.open(tmp_path / "cut" / "tolerance").table(["key", "status", "history"]).to_pylist()
    left = [row for row in table if row["status"] == "preempted"]
    assert left
    assert all(len(row["history"]) == 1 for row in left)
    # Nobody who would have kept the target was left.
    assert all(task.final[row["key"]] < 0.87 for row in left)
    shares = [row.share for row in answer.rows]
    best = (NOMINAL - 0.87) / min(SLOPES.values())
    assert 0.8 * best <= sum(shares) <= 1.02 * best


def test_a_forecast_of_few_trainings_is_not_used() -> None:
    assert not Forecast(np.linspace(0, 1, 39), np.linspace(0, 1, 39)).usable
    late = Forecast(np.full(60, 0.1), np.concatenate([np.full(57, 0.1), np.full(3, 0.9)]))
    # Three of sixty learned late: a training at chance is not given up.
    assert late.expects(0.1)[1] >= 0.1


def test_real_trainings_answer_a_question(tmp_path: Path) -> None:
    text = _real(1).text.replace('question = "joint"', "target = 0.01\ntrials = 24\nconfirm = 4\nreplicates = 1")
    study = Study.from_text(text)
    executor = InProcessExecutor(partial(train))
    answer = find_tolerances(study, executor, tmp_path, pack=16)
    # Far below chance: guessing keeps it, so all of the range is tolerated.
    assert [row.limited_by for row in answer.rows] == ["end of the range"] * 2
    assert {row["status"] for row in Store.open(tmp_path / "tolerance").table(["status"]).to_pylist()} == {"ok"}
