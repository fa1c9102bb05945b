"""Packs that share a process train one after the other; waiting is free, and memory is given back (mocks)."""

import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vcm_sweep.sweep import SobolDesign, Study, Trial, TrialRecord, train
from vcm_sweep.sweep.packs.executor import run_isolated
from vcm_sweep.sweep.training import training as module
from vcm_sweep.sweep.training.checkpoint import load_checkpoint
from vcm_sweep.sweep.training.interrupts import told_to_stop
from vcm_sweep.sweep.training.turns import Turns, turns

from ...studies import THREE_EPOCHS, TINY

TRIALS = list(SobolDesign(Study.from_text(TINY)).trials(range(4)))
# Torch takes this for the CPU, and vcm-sweep for another device.
MOCK_GPU = "cpu:0"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[object]]:
    """All trainings that are made from now on."""
    found: list[weakref.ref[object]] = []

    class Watched(module.StackedTraining):
        def __init__(self, trials: Sequence[Trial], *others: object) -> None:
            super().__init__(trials, *others)  # type: ignore[arg-type]
            found.append(weakref.ref(self))

    monkeypatch.setattr(module, "StackedTraining", Watched)
    return found


@pytest.fixture
def emptied(monkeypatch: pytest.MonkeyPatch, made: list[weakref.ref[object]]) -> list[int]:
    """For each time that the cache of a card, which is none, is emptied: how many trainings were still in memory."""
    found: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: found.append(sum(ref() is not None for ref in made)))
    return found


@pytest.fixture
def lock() -> Iterator[threading.Lock]:
    """The lock of this thread's turns at training."""
    held = threading.Lock()
    token = turns.set(Turns(training=held))
    yield held
    turns.reset(token)


def test_the_memory_of_a_mock_gpu_is_given_back_after_each_pack(emptied: list[int]) -> None:
    for pack in (TRIALS[:2], TRIALS[2:]):
        train(pack, device=MOCK_GPU)
    assert emptied == [0, 0]


def test_the_memory_of_a_pack_that_did_not_fit_is_given_back_before_its_turn_ends(
    emptied: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []

    class Turn(nullcontext[None]):
        def __exit__(self, *_: object) -> None:
            ended.append(len(emptied))

    def step(self: module.StackedTraining, *_: object) -> None:
        if len(self.trials) > 1:
            raise torch.OutOfMemoryError("the card is full")
        usual(self, *_)  # type: ignore[arg-type]

    usual = module.StackedTraining.step
    monkeypatch.setattr(module.StackedTraining, "step", step)
    token = turns.set(Turns(training=Turn()))
    records = run_isolated(lambda pack: train(pack, device=MOCK_GPU), TRIALS[:2])
    turns.reset(token)
    assert [record.status for record in records] == ["ok", "ok"]
    assert emptied == [0, 0, 0]
    assert ended == [1, 2, 3]


def test_a_pack_makes_its_cells_while_another_trains_and_waiting_is_charged_to_nobody(
    lock: threading.Lock, made: list[weakref.ref[object]]
) -> None:
    train(TRIALS[:1])  # loads and compiles
    made.clear()
    lock.acquire()
    seen: list[int] = []

    def release() -> None:
        time.sleep(2.0)
        seen.append(len(made))
        lock.release()

    threading.Thread(target=release).start()
    began = time.perf_counter()
    (record,) = train(TRIALS[1:2])
    assert time.perf_counter() - began > 2.0
    assert seen == [1]
    assert record.wall_s < time.perf_counter() - began - 1.0


def test_a_pack_in_a_thread_that_is_told_to_stop_saves_where_it_is(tmp_path: Path) -> None:
    asked: list[int] = []
    outcome: list[BaseException | list[TrialRecord]] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 3

    def run() -> None:
        told_to_stop.set(stop)
        try:
            outcome.append(train(TRIALS[:1], checkpoints=str(tmp_path)))
        except KeyboardInterrupt as stopped:
            outcome.append(stopped)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert isinstance(outcome[0], KeyboardInterrupt)
    # Asked once before the first batch, and after each of three.
    state = load_checkpoint(tmp_path, TRIALS[0].key)
    assert state is not None
    assert state[1].batch == 3


def test_a_group_that_was_stacked_anew_and_is_told_to_stop_before_it_goes_on_saves_where_it_is(
    tmp_path: Path, made: list[weakref.ref[object]]
) -> None:
    paused, other = SobolDesign(Study.from_text(THREE_EPOCHS)).trials(range(2))
    stopped: list[KeyboardInterrupt] = []

    def run() -> None:
        told_to_stop.set(lambda: len(made) > 1)
        try:
            train([replace(paused, pause_after=1), other], checkpoints=str(tmp_path))
        except KeyboardInterrupt as error:
            stopped.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert stopped
    state = load_checkpoint(tmp_path, other.key)
    assert state is not None
    assert state[1].epoch == 1
