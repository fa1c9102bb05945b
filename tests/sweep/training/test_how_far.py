"""A pack that takes long says in which epoch it is, and how long it has to go."""

import pytest

from vcm_sweep.device.doing import words_now
from vcm_sweep.sweep import Study, build_design, train
from vcm_sweep.sweep.training import stacked_training, trial_progress
from vcm_sweep.sweep.training.trial_progress import HowFar

TEXT = """
study = {name = "tiny"}
network = {hidden = [], data = "digits", epochs = 3, batch = 100, lr = 0.02, train_samples = 250}
design = {method = "limits", n = 8}
[[factor]]
name = "mismatch.global.mean"
range = [-0.5, 0.5]
"""


def test_it_says_nothing_for_half_a_minute_and_then_what_is_left_at_the_pace_since_the_first_step() -> None:
    times = iter([90.0, 119.0, 150.0, 152.0, 210.0])
    with HowFar(10, 60, clock=lambda: next(times)) as told:
        told.at(2, 30)  # the first that this process took; the training was begun before, and kernels were compiled
        told.at(2, 59)
        assert words_now() == ""
        told.at(3, 30)
        assert words_now() == "a pack in epoch 4 of 10, some 6 min before its end"
        told.at(3, 32)
        assert words_now() == "a pack in epoch 4 of 10, some 6 min before its end"
        told.at(9, 30)
        assert words_now() == "a pack in epoch 10 of 10, some 9 s before its end"
    assert words_now() == ""


def test_a_training_says_each_epoch_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    at = HowFar.at

    def heard(self: HowFar, epoch: int, batch: int) -> None:
        at(self, epoch, batch)
        said.append(words_now().partition(",")[0])

    monkeypatch.setattr(trial_progress, "_LONG_S", 0.0)
    monkeypatch.setattr(trial_progress, "_SAY_EVERY_S", 0.0)
    monkeypatch.setattr(stacked_training.HowFar, "at", heard)
    train(list(build_design(Study.from_text(TEXT)).trials())[:2])
    assert said == [""] + 2 * ["a pack in epoch 1 of 3"] + [f"a pack in epoch {k} of 3" for k in (2, 3) for _ in "123"]
    assert words_now() == ""
