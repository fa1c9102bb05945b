"""A training step that a GPU replays does what a step does that the host starts, operation by operation.

CUDA's graphs have a stand-in where there is no GPU: it records a step and undoes it, and does it again with everything
that the host alone knows changed. With a GPU a real graph is compared.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import pytest
import torch

from vcm_sweep.device.array.count import Count
from vcm_sweep.device.array.sent_numbers import SentNumbers
from vcm_sweep.device.kernels.gpu import update
from vcm_sweep.device.tile import gpu_product
from vcm_sweep.sweep import Study, build_design
from vcm_sweep.sweep.data.sets import load
from vcm_sweep.sweep.training.replay import Replay
from vcm_sweep.sweep.training.stacked_training import StackedTraining

from ...device.kernels.gpu.without_a_gpu import needs_triton

# Cells without differences read tables; those of the second factor differ, and are solved from their equations. At this
# rate few pulses are fired: the interpreter takes a second for some of them.
STUDY = """
[study]
name = "tiny"
[network]
hidden = [3]
data = "digits"
epochs = 1
batch = 2
lr = 0.0005
train_samples = 64
test_samples = 20
init = 0.5
[device]
model = "explicit"
[[factor]]
name = "{factor}"
range = [0.0, 0.05]
[[factor]]
name = "mismatch.global.mean"
range = [0.0, 0.2]
[design]
n = 4
"""
FACTORS = ("read.noise.sigma", "r.c2c.direct")


def training(factor: str, device: str = "cpu") -> StackedTraining:
    trials = list(build_design(Study.from_text(STUDY.format(factor=factor))).trials(range(3)))
    return StackedTraining(trials, trials[0].inputs["network"], load("digits").first(64, 20), device)


@contextmanager
def kernels_of_a_gpu() -> Iterator[None]:
    """The kernels run on a CPU's tensors, in Triton's interpreter."""
    with ExitStack() as stack:
        for patch in (
            mock.patch.multiple(torch.Tensor, is_cuda=True),
            mock.patch.multiple(update, CELLS_MARCHED=4096, LINES_AT_ONCE=256, GROUPS=1),
            mock.patch.object(gpu_product, "PRESENT", True),
            mock.patch("vcm_sweep.device.array.cell_arrays.CellArrays._elsewhere", True),
        ):
            stack.enter_context(patch)
        yield


def mock_graph(run: StackedTraining, counts: list[Count]) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Records as CUDA does: nothing is done yet; later all is done on the same tensors, by no number of the host."""
    stack: Any = run.stack

    def tensors() -> list[torch.Tensor]:
        """All that a step reads or writes and that outlives it."""
        kept = [run.total, *(bias.data for bias in stack._biases())]
        kept += [buffer for tile in stack.tiles for buffer in tile.tile.buffers()]
        sent = list(stack.optimizer._rates.values())
        for tile in (tile.tile for tile in stack.tiles):
            there = tile.cells.on_device()
            sent += [*tile._keys, there._rates, there._streams, there._lengths]
            tables = [known[1]._table for known in tile._numbers if known is not None]
            kept += [table for table in tables if table is not None]
        kept += [numbers._tensor for numbers in sent]
        return kept + [count.on(torch.device("cpu")) for count in counts]

    def record(work: Callable[[], None]) -> Callable[[], None]:
        known = tensors()
        before = [tensor.clone() for tensor in known]
        work()
        for tensor, values in zip(known, before, strict=True):
            tensor.copy_(values)

        def replay() -> None:
            numbers = [count.number for count in counts]
            for count in counts:
                count.number = count._known = 10**6
            # Rates of the host that nobody trains at, and nothing is sent.
            wrong = mock.patch.object(run.replay, "_rates", [9.9] * 3)
            with wrong, mock.patch.object(SentNumbers, "on", lambda sent, *_: sent._tensor):
                work()
            for count, number in zip(counts, numbers, strict=True):
                count.number = count._known = number
            assert [tensor.data_ptr() for tensor in tensors()] == [tensor.data_ptr() for tensor in known]

        return replay

    return record


def trained(factor: str, steps: int, replayed: bool) -> tuple[list[dict[str, torch.Tensor]], list[float]]:
    """States and losses of all trials after some steps, from the sixth on at half the rate with one trial frozen."""
    run = training(factor)
    with kernels_of_a_gpu():
        run.pulses, counts = None, run.stack.counts()
        assert counts is not None
        recorded = mock.Mock(side_effect=mock_graph(run, counts))
        run.replay = Replay(run._work, run.stack.forget, counts, recorded) if replayed else None
        run.stack.train(True)
        order, rates = run.next_order(), run.rates()
        for step in range(steps):
            now = [0.0, *(rate / 2 for rate in rates[1:])] if step >= 5 else rates
            run.step(order[:, 2 * step : 2 * step + 2], now)
            if step == 4:
                run.stack.scores(run.x[:3].repeat(3, *(1,) * (run.x.dim() - 1)))  # as a test does, which counts too
        assert recorded.call_count == replayed
        assert run.resumable is not None
        return [run.resumable.state(k) for k in range(3)], run.total.tolist()


def check_replayed(factor: str) -> None:
    """The states, the counts of calls among them, and the losses are the same bits."""
    assert_alike(*(trained(factor, 7, replayed) for replayed in (False, True)))


def assert_alike(*runs: tuple[list[dict[str, torch.Tensor]], list[float]]) -> None:
    (states, losses), (others, as_well) = runs
    assert losses == as_well
    for state, other in zip(states, others, strict=True):
        for name, values in state.items():
            assert torch.equal(values, other[name]), name
        assert min(state["tile.1.counters"][:2]) > 10  # pulses of both signs


@needs_triton
@pytest.mark.xdist_group("interpreted")
@pytest.mark.parametrize("factor", [FACTORS[0], pytest.param(FACTORS[1], marks=pytest.mark.slow)])
def test_replayed_steps_are_steps_with_a_mock_of_cudas_graphs(factor):
    command = [sys.executable, "-m", "tests.sweep.training.test_replay", factor]
    env = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("factor", FACTORS)
def test_replayed_steps_are_steps_on_a_gpu(factor):
    """By a real graph, over a change of rates and a test in between."""
    found = []
    for replayed in (False, True):
        run = training(factor, "cuda")
        assert run.replay is not None
        assert run.resumable is not None
        if not replayed:
            run.replay = None
        run.stack.train(True)
        order, rates = run.next_order(), run.rates()
        for step in range(24):
            run.step(order[:, 2 * step : 2 * step + 2], [0.0, *rates[1:]] if step >= 15 else rates)
            if step == 9:
                run.accuracies(run.data.test_x, run.data.test_y)
        assert Replay.possible
        found.append(([run.resumable.state(k) for k in range(3)], run.total.tolist()))
    assert_alike(*found)


class Work:
    """Stands for a stack: notes what it is asked."""

    def __init__(self) -> None:
        self.count, self.done, self.forgotten = Count(), list[tuple[int, list[float]]](), 0

    def __call__(self, rows: torch.Tensor, rates: Any) -> None:
        self.done.append((int(rows), list(rates)))
        self.count.add()

    def forget(self) -> None:
        self.forgotten += 1


def stepped(record: Any, rates: list[list[float]]) -> tuple[Work, Replay]:
    work = Work()
    replay = Replay(work, work.forget, [work.count], record)
    for number, rate in enumerate(rates):
        replay.step(torch.tensor([number]), rate)
    return work, replay


def test_new_learning_rates_are_sent_by_a_step_that_is_not_replayed():
    """And the graph that there is goes on with them."""
    replays: list[int] = []

    def record(work: Callable[[], None]) -> Callable[[], None]:
        work()
        return lambda: replays.append(1)

    work, _ = stepped(record, [[1.0]] * 6 + [[0.5]] * 3)
    # The fourth was recorded, and the seventh sends the new rate.
    assert work.done == [(0, [1.0]), (1, [1.0]), (2, [1.0]), (3, [1.0]), (6, [0.5])]
    assert len(replays) == 5
    assert work.count.number == 9


def test_a_loaded_state_is_sent_by_a_step_that_is_not_replayed():
    """Its counts of calls are others than those that the GPU would go on from."""
    work = Work()
    work.count.on(torch.device("cpu"))

    def record(step: Callable[[], None]) -> Callable[[], None]:
        step()
        return lambda: None

    replay = Replay(work, work.forget, [work.count], record)
    for number in range(8):
        if number == 6:
            work.count.number = 100
        replay.step(torch.tensor([number]), [1.0])
        if number == 6:
            work.count.on(torch.device("cpu"))  # as its kernels do
    assert [number for number, _ in work.done] == [0, 1, 2, 3, 6]


def test_where_a_step_is_not_recorded_all_are_started_one_by_one(caplog, monkeypatch):
    """With one line of the log, nothing left of the attempt, and no step lost or counted twice."""

    def record(work: Callable[[], None]) -> Callable[[], None]:
        work()
        try:
            raise RuntimeError("operation not permitted\nwhen stream is capturing")
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")  # as torch says it

    monkeypatch.setattr(Replay, "possible", True)  # and what it was comes back after the test
    work, _ = stepped(record, [[1.0]] * 6)
    assert not Replay.possible
    assert work.forgotten == 1
    assert [number for number, _ in work.done] == [0, 1, 2, 3, 3, 4, 5]  # the attempt did nothing
    assert work.count.number == 6
    (line,) = caplog.messages
    assert line.endswith("did not record one: operation not permitted when stream is capturing")
    # Another stack of this process does not try.
    again, _ = stepped(mock.Mock(side_effect=AssertionError), [[1.0]] * 6)
    assert again.count.number == 6


if __name__ == "__main__":
    torch.set_num_threads(1)
    check_replayed(sys.argv[1])
