"""Every trial of a pack has its own deadline, and is charged its own pulses; an interrupt saves what it stops."""

import dataclasses
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from vcm_sweep.sweep import SobolDesign, Study, Trial, TrialRecord, train
from vcm_sweep.sweep.training.cell_stack import CellStack
from vcm_sweep.sweep.training.checkpoint import load_checkpoint

from ...studies import THREE_EPOCHS


def trials(text: str = THREE_EPOCHS) -> list[Trial]:
    return list(SobolDesign(Study.from_text(text)).trials())


def comparable(record: TrialRecord) -> TrialRecord:
    return dataclasses.replace(record, wall_s=0.0, cpu_s=0.0)


def test_a_late_trial_is_frozen_and_its_pack_mates_are_as_if_it_had_not_been(tmp_path: Path) -> None:
    chosen = trials()[:3]
    whole = [comparable(record) for record in train(chosen)]
    late = [chosen[0], dataclasses.replace(chosen[1], deadline_s=1e-9), chosen[2]]
    records = train(late, checkpoints=str(tmp_path), checkpoint_s=1e-9)
    assert [record.status for record in records] == ["ok", "timeout", "ok"]
    assert [comparable(records[0]), comparable(records[2])] == [whole[0], whole[2]]
    assert 0 < records[1].cpu_s < records[0].cpu_s
    assert "deadline_s" in records[1].reason
    # Its state is of the batch that was too late, and was not overwritten by the later ones of the pack.
    saved = load_checkpoint(tmp_path, chosen[1].key)
    assert saved is not None
    assert (saved[1].epoch, saved[1].batch, saved[1].stopped, saved[1].charged_s) == (0, 1, "", 0.0)
    (again,) = train(chosen[1:2], checkpoints=str(tmp_path))
    assert comparable(again) == whole[1]


def test_most_of_a_pack_that_is_late_leaves_the_others_undisturbed() -> None:
    chosen = trials()[:4]
    whole = [comparable(record) for record in train(chosen)]
    late = [dataclasses.replace(trial, deadline_s=1e-9) for trial in chosen[:3]]
    records = train([*late, chosen[3]])
    assert [record.status for record in records] == ["timeout"] * 3 + ["ok"]
    assert comparable(records[3]) == whole[3]


def test_a_trial_pays_for_the_pulses_that_it_fires() -> None:
    """Costs of stacked trials tell a planner what they cost, heavy tails and all."""
    chosen = trials(THREE_EPOCHS.replace("dw_min = 4e-4", "dw_min = 1e-5"))[:4]
    heavy = dict(chosen[1].inputs, network={**chosen[1].inputs["network"], "lr": 0.6})
    chosen[1] = dataclasses.replace(chosen[1], inputs=heavy)
    train(chosen)  # compiled
    started = time.process_time()
    records = train(chosen)
    total = time.process_time() - started
    pulses = [(record.pulses_set or 0) + (record.pulses_reset or 0) for record in records]
    assert pulses[1] > 3 * max(pulses[0], pulses[2], pulses[3])
    assert records[1].cpu_s > 1.5 * max(records[k].cpu_s for k in (0, 2, 3))
    assert 0.8 * total < sum(record.cpu_s for record in records) <= total


def test_an_interrupt_saves_every_trial_after_a_whole_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = trials()[:3]
    whole = [comparable(record) for record in train(chosen)]
    step, taken = CellStack.step, [0]

    def interrupted(self: CellStack, rates: list[float]) -> None:
        taken[0] += 1
        if taken[0] == 14:
            # In the middle of a batch: half a batch's pulses would be another training.
            os.kill(os.getpid(), signal.SIGINT)
        step(self, rates)

    with monkeypatch.context() as patch:
        patch.setattr(CellStack, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(chosen, checkpoints=str(tmp_path))
    assert taken == [14]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    states = [load_checkpoint(tmp_path, trial.key) for trial in chosen]
    assert [(state[1].epoch, state[1].batch) for state in states if state] == [(1, 4)] * 3
    assert [comparable(record) for record in train(chosen, checkpoints=str(tmp_path))] == whole


def test_a_second_interrupt_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    step = CellStack.step

    def twice(self: CellStack, rates: list[float]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        step(self, rates)
        raise AssertionError("it waited for the batch")

    monkeypatch.setattr(CellStack, "step", twice)
    with pytest.raises(KeyboardInterrupt):
        train(trials()[:1])


def test_training_in_another_thread_leaves_interrupts_alone() -> None:
    records: list[TrialRecord] = []
    thread = threading.Thread(target=lambda: records.extend(train(trials()[:1])))
    thread.start()
    thread.join()
    assert [record.status for record in records] == ["ok"]


def test_a_training_goes_on_from_an_object_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another node has another disk."""
    from moto.server import ThreadedMotoServer
    from pyarrow import fs

    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    fs.FileSystem.from_uri("s3://bucket/x?allow_bucket_creation=true")[0].create_dir("bucket")
    where, chosen = "s3://bucket/study/checkpoints", trials()[:2]
    whole = [comparable(record) for record in train(chosen)]
    step, taken = CellStack.step, [0]

    def killed(self: CellStack, rates: list[float]) -> None:
        taken[0] += 1
        if taken[0] == 7:
            raise SystemExit
        step(self, rates)

    with monkeypatch.context() as patch:
        patch.setattr(CellStack, "step", killed)
        with pytest.raises(SystemExit):
            train(chosen, checkpoints=where, checkpoint_s=1e-9)
    state = load_checkpoint(where, chosen[1].key)
    assert state is not None
    assert state[1].batch == 6
    assert [comparable(record) for record in train(chosen, checkpoints=where)] == whole
    server.stop()
