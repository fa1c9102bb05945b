"""A training that was interrupted ends as if it had not been; a trial that breaks does so alone."""

import dataclasses
import itertools
import logging
import math
import time
from pathlib import Path

import pytest
import torch

from vcm_sweep.sweep import SobolDesign, Study, Trial, TrialRecord, train, training
from vcm_sweep.sweep.cell_stack import CellStack
from vcm_sweep.sweep.checkpoint import discard_checkpoints, load_checkpoint, save_checkpoint
from vcm_sweep.sweep.executor import run_isolated
from vcm_sweep.sweep.progress import Progress

TEXT = """
[study]
name = "tiny"
[network]
data = "digits"
hidden = [16]
epochs = 3
batch = 32
lr = 0.02
train_samples = 300
test_samples = 100
[device]
dw_min = 4e-4
[[factor]]
name = "r.c2c.direct"
range = [0.0, 0.01]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[design]
n = 4
"""


def trials(text: str = TEXT) -> list[Trial]:
    return list(SobolDesign(Study.from_text(text)).trials())


def comparable(record: TrialRecord) -> TrialRecord:
    return dataclasses.replace(record, wall_s=0.0, cpu_s=0.0)


class Interrupted(BaseException):
    """Stands for a worker that is killed: nothing catches it."""


def interrupt_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    step, taken = CellStack.step, [0]

    def counted(self: CellStack, rates: list[float]) -> None:
        if taken[0] == steps:
            raise Interrupted
        taken[0] += 1
        step(self, rates)

    monkeypatch.setattr(CellStack, "step", counted)


@pytest.mark.parametrize("steps", [4, 10, 17])
def test_an_interrupted_training_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    chosen = trials()[:3]
    whole = [comparable(record) for record in train(chosen)]
    with monkeypatch.context() as patch:
        interrupt_after(patch, steps)
        with pytest.raises(Interrupted):
            train(chosen, checkpoints=str(tmp_path), checkpoint_s=1e-9)
    assert len(list(tmp_path.glob("*.safetensors"))) == 3
    saved = load_checkpoint(tmp_path, chosen[0].key)
    assert saved is not None
    # 10 batches of 32 in an epoch of 300 samples.
    assert saved[1].epoch * 10 + saved[1].batch == steps
    # The pack may be cut otherwise when it goes on.
    resumed = [comparable(r) for part in (chosen[:1], chosen[1:]) for r in train(part, checkpoints=str(tmp_path))]
    assert resumed == whole


def test_trials_at_different_steps_go_on_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = trials()[:4]
    whole = [comparable(record) for record in train(chosen)]
    for part, steps in ((chosen[:1], 3), (chosen[1:2], 12)):
        with monkeypatch.context() as patch:
            interrupt_after(patch, steps)
            with pytest.raises(Interrupted):
                train(part, checkpoints=str(tmp_path), checkpoint_s=1e-9)
    assert [comparable(record) for record in train(chosen, checkpoints=str(tmp_path))] == whole


def test_a_checkpoint_that_cannot_be_read_is_one_line_and_a_new_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = trials()[:2]
    whole = [comparable(record) for record in train(chosen)]
    (tmp_path / f"{chosen[0].key}.safetensors").write_bytes(b"\x00" * 50)
    save_checkpoint(tmp_path, "another", {"a": torch.zeros(1)}, Progress(epoch=1, history=[0.5]))
    (tmp_path / "another.safetensors").rename(tmp_path / f"{chosen[1].key}.safetensors")
    with caplog.at_level(logging.WARNING):
        assert [comparable(record) for record in train(chosen, checkpoints=str(tmp_path))] == whole
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert all("starts anew" in line and "\n" not in line for line in lines)


def test_nothing_in_a_checkpoint_is_a_pickle(tmp_path: Path) -> None:
    train(trials()[:1], checkpoints=str(tmp_path), checkpoint_s=1e-9)
    (file,) = tmp_path.glob("*.safetensors")
    content = file.read_bytes()
    assert b'"progress"' in content
    assert b"cbuiltins" not in content
    assert not content.startswith((b"\x80", b"PK"))
    discard_checkpoints(tmp_path, [trials()[0].key])
    assert not list(tmp_path.iterdir())


def test_a_trial_that_diverges_is_frozen_and_its_neighbours_are_as_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = trials()[:3]
    whole = [comparable(record) for record in train(chosen)]
    scores, calls = CellStack.scores, [0]

    def poisoned(self: CellStack, x: torch.Tensor) -> torch.Tensor:
        result = scores(self, x)
        calls[0] += 1
        if calls[0] >= 14:  # in the second epoch
            result = result * torch.tensor([1.0, math.nan, 1.0])[:, None, None]
        return result

    monkeypatch.setattr(CellStack, "scores", poisoned)
    records = [comparable(record) for record in train(chosen)]
    assert [record.status for record in records] == ["ok", "diverged", "ok"]
    assert "loss is not finite in epoch 2" in records[1].reason
    assert math.isnan(records[1].accuracy)
    assert len(records[1].history) == 1
    assert [records[0], records[2]] == [whole[0], whole[2]]


def test_saturated_cells_are_a_result_that_says_so() -> None:
    text = TEXT.replace("lr = 0.02", "lr = 100.0").replace("dw_min = 4e-4", "dw_min = 1e-9\npulse_s = 1e-4")
    record = train(trials(text)[:1])[0]
    assert record.status == "ok"
    assert record.frac_at_bound > 0.2
    assert record.at_chance or record.accuracy < 0.5


def test_out_of_memory_halves_the_pack_and_goes_on() -> None:
    sizes = []

    def task(pack: list[Trial]) -> list[TrialRecord]:
        sizes.append(len(pack))
        if len(pack) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 TB")
        return train(pack)

    chosen = trials()[:5]
    records = run_isolated(task, chosen)
    assert [record.key for record in records] == [trial.key for trial in chosen]
    assert all(record.status == "ok" for record in records)
    assert sizes == [5, 2, 3, 1, 2]


def test_one_trial_that_does_not_fit_is_recorded_as_such() -> None:
    def task(pack: list[Trial]) -> list[TrialRecord]:
        if any(trial.key == bad for trial in pack):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return train(pack)

    chosen = trials()[:4]
    bad = chosen[2].key
    assert [record.status for record in run_isolated(task, chosen)] == ["ok", "ok", "oom", "ok"]


def test_the_pack_is_chosen_from_time_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from vcm_sweep.sweep import packing

    study = Study.from_text(TEXT.replace("n = 4", "n = 16"))
    assert 2 <= packing.choose_pack(study) <= 64
    assert packing.choose_pack(study, workers=32) <= 2
    monkeypatch.setattr(packing, "_free_bytes", lambda device: 4e6)
    assert packing.choose_pack(study) <= 4


def test_a_checkpoint_is_written_as_often_as_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saves: list[float] = []
    monkeypatch.setattr(training, "save_checkpoint", lambda *_: saves.append(time.perf_counter()))
    train(trials()[:1], checkpoints=str(tmp_path), checkpoint_s=0.01)
    assert saves
    assert all(after - before >= 0.01 for before, after in itertools.pairwise(saves))
    saves.clear()
    train(trials()[:1], checkpoints=str(tmp_path), checkpoint_s=0.0)
    assert not saves


def test_checkpoints_that_cannot_be_written_are_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("no folder")
    with caplog.at_level(logging.WARNING):
        record = train(trials()[:1], checkpoints=str(tmp_path / "file"), checkpoint_s=0.02)[0]
    assert record.status == "ok"
    assert "cannot be written" in caplog.records[0].getMessage()
