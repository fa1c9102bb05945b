"""A training that was interrupted ends as if it had not been; a trial that breaks does so alone."""

import dataclasses
import itertools
import logging
import math
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from vcm_sweep.sweep import SobolDesign, Study, Trial, TrialRecord, run, train
from vcm_sweep.sweep.packs.executor import InProcessExecutor, run_isolated
from vcm_sweep.sweep.training import stacked_training
from vcm_sweep.sweep.training.cell_stack import CellStack
from vcm_sweep.sweep.training.checkpoint import discard_checkpoints, load_checkpoint, save_checkpoint
from vcm_sweep.sweep.training.trial_progress import TrialProgress

from ...studies import THREE_EPOCHS


def trials(text: str = THREE_EPOCHS) -> list[Trial]:
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
    save_checkpoint(tmp_path, "another", {"a": torch.zeros(1)}, TrialProgress(epoch=1, history=[0.5]))
    (tmp_path / "another.safetensors").rename(tmp_path / f"{chosen[1].key}.safetensors")
    with caplog.at_level(logging.WARNING):
        assert [comparable(record) for record in train(chosen, checkpoints=str(tmp_path))] == whole
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert all("starts anew" in line and "\n" not in line for line in lines)


def checkpointed(folder: Path, trial: Trial, monkeypatch: pytest.MonkeyPatch, steps: int = 4) -> Path:
    """The file of a trial that was interrupted."""
    with monkeypatch.context() as patch:
        interrupt_after(patch, steps)
        with pytest.raises(Interrupted):
            train([trial], checkpoints=str(folder), checkpoint_s=1e-9)
    return folder / f"{trial.key}.safetensors"


def damaged(file: Path, key: str, how: str) -> None:
    """The file as it is after an accident, or as no training writes it."""
    found = load_checkpoint(file.parent, key)
    assert found is not None
    tensors, progress = found
    if how == "a bit of a tensor":
        content = bytearray(file.read_bytes())
        content[-100] ^= 1
        file.write_bytes(content)
    elif how == "a digit of the progress":
        file.write_bytes(file.read_bytes().replace(rb"\"batch\": 4", rb"\"batch\": 5"))
    elif how == "a tensor less":
        save_checkpoint(file.parent, key, {name: t for name, t in tensors.items() if "log_n" not in name}, progress)
    elif how == "another shape":
        save_checkpoint(file.parent, key, {name: t[:1] if t.dim() else t for name, t in tensors.items()}, progress)
    else:
        save_checkpoint(file.parent, key, tensors, dataclasses.replace(progress, **eval(how)))


@pytest.mark.parametrize(
    "how",
    [
        "a bit of a tensor", "a digit of the progress", "a tensor less", "another shape",
        "{'epoch': -1}", "{'batch': 1.5}", "{'batch': 11}", "{'epoch': 4, 'history': [0.1] * 4}", "{'history': [2.0]}",
        "{'epoch': 1}", "{'stopped': 'perhaps'}", "{'wall_s': math.nan}", "{'history': None}",
    ],
)  # fmt: skip
def test_a_checkpoint_that_no_training_wrote_is_one_line_and_a_new_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    chosen = trials()[:2]
    whole = [comparable(record) for record in train(chosen)]
    for trial in chosen:
        file = checkpointed(tmp_path, trial, monkeypatch)
    before = file.read_bytes()
    damaged(file, chosen[1].key, how)
    assert file.read_bytes() != before
    with caplog.at_level(logging.WARNING):
        assert [comparable(record) for record in train(chosen, checkpoints=str(tmp_path))] == whole
    (line,) = [record.getMessage() for record in caplog.records]
    assert "starts anew" in line
    assert chosen[1].key in line
    assert "\n" not in line


def test_a_worker_saves_while_the_driver_discards(tmp_path: Path) -> None:
    """A folder that were removed with its last file would be gone between a worker's making and using it."""
    folder, failures = tmp_path / "checkpoints", []

    def save() -> None:
        for _ in range(300):
            try:
                save_checkpoint(folder, "a", {"a": torch.zeros(1)}, TrialProgress())
            except OSError as error:
                failures.append(error)

    worker = threading.Thread(target=save)
    worker.start()
    while worker.is_alive():
        discard_checkpoints(folder, ["a"])
    assert not failures


def test_trials_without_a_result_keep_their_state_for_a_retry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study.from_text(THREE_EPOCHS + "[run]\npack = 1\n")
    folder, bad = tmp_path / "out" / "checkpoints", list(SobolDesign(study).trials())[3].key

    def failing(pack: Sequence[Trial]) -> list[TrialRecord]:
        records = []
        for trial in pack:
            checkpointed(folder, trial, monkeypatch)
            (folder / f".{trial.key}.1.tmp").write_bytes(b"half")
            status = "error" if trial.key == bad else "ok"
            records.append(TrialRecord(trial.key, trial.point, 0, trial.factors, trial.seed, status))
        return records

    assert run(study, InProcessExecutor(failing), tmp_path / "out").counts() == {"ok": 15, "error": 1}
    assert [file.name for file in folder.iterdir()] == [f"{bad}.safetensors"]
    went_on = []

    def training_on(pack: Sequence[Trial]) -> list[TrialRecord]:
        went_on.extend(load_checkpoint(folder, trial.key) for trial in pack)
        return train(pack, checkpoints=str(folder))

    assert run(study, InProcessExecutor(training_on), tmp_path / "out", retry=True).counts() == {"ok": 16}
    assert [state[1].batch for state in went_on if state] == [4]
    assert not folder.exists()


def test_a_retry_after_a_timeout_goes_on_where_the_deadline_came(tmp_path: Path) -> None:
    text = THREE_EPOCHS.replace("train_samples = 300", "train_samples = 96").replace("epochs = 3", "epochs = 2")
    (whole,) = train(trials(text)[:1])
    # A deadline that leaves time for one step.
    late = [dataclasses.replace(trials(text)[0], deadline_s=1e-9)]
    statuses = []
    for _ in range(6):
        (record,) = train(late, checkpoints=str(tmp_path))
        statuses.append(record.status)
    assert statuses == ["timeout"] * 6
    (record,) = train([dataclasses.replace(late[0], deadline_s=1e3)], checkpoints=str(tmp_path))
    assert comparable(record) == comparable(whole)
    found = load_checkpoint(tmp_path, late[0].key)
    assert found is not None
    assert found[1].epoch * 3 + found[1].batch == 6


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
    text = THREE_EPOCHS.replace("lr = 0.02", "lr = 100.0").replace("dw_min = 4e-4", "dw_min = 1e-9\npulse_s = 1e-4")
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


def test_a_checkpoint_is_written_as_often_as_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saves: list[float] = []
    monkeypatch.setattr(stacked_training, "save_checkpoint", lambda *_: saves.append(time.perf_counter()))
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
