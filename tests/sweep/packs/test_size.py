"""How many trials are trained side by side: as many as pay, and as fit into memory."""

import subprocess
import sys
import weakref
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from vcm_sweep.device import DeviceError
from vcm_sweep.sweep import Study, Trial, build_design
from vcm_sweep.sweep.data.sets import DataSet, load
from vcm_sweep.sweep.packs import size

from ...studies import THREE_EPOCHS

# Peaks are of a process: each network is measured in one of its own, after a first small one has loaded everything.
MEASURE = """
import sys
import torch
from vcm_sweep.sweep import SobolDesign, Study
from vcm_sweep.sweep.data.sets import DataSet
from vcm_sweep.sweep.training.stacked_training import StackedTraining

torch.set_num_threads(1)
small, trials = (list(SobolDesign(Study.from_text(text)).trials())[:4] for text in sys.argv[1:])
x, y = torch.rand(600, 1, 28, 28), torch.arange(600) % 10
data = DataSet(x, y, x[:500], y[:500], 10)

def peak():
    # Not getrusage: that starts from the peak of the process which started this one.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

StackedTraining(small[:1], small[0].inputs["network"], data, "cpu").take_steps(2)
before = peak()
run = StackedTraining(trials, trials[0].inputs["network"], data, "cpu")
run.take_steps(2)
run.accuracies(data.test_x, data.test_y)
print(peak() - before, run.bytes_used())
"""


STUDY = Study.from_text(THREE_EPOCHS.replace("n = 4", "n = 16"))
DESIGN = build_design(STUDY)
MANY = list(DESIGN.trials()) * (1024 // len(DESIGN))


def choose(device: str = "cpu", total: int = len(DESIGN), places: int = 1, sharing: int = 1) -> int:
    trials = size.sample(DESIGN, device)
    return size.choose_pack(trials, load("digits"), device, total=total, places=places, sharing=sharing)


class Stopwatch:
    """Stands in for the measurement: seconds are made up, sizes are noted."""

    def __init__(self, made_s: float = 0.0, step_s: float = 1e-3, tried_s: float = 0.1) -> None:
        self.made_s, self.step_s, self.tried_s = made_s, step_s, tried_s
        self.sizes: list[int] = []

    def __call__(self, trials: Sequence[Trial], data: DataSet, device: str) -> size.Measured:
        self.sizes.append(len(trials))
        made_s, step_s = self.made_s * len(trials), self.step_s / len(trials)
        return size.Measured(made_s, step_s, 1000, self.tried_s)


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Stopwatch]:
    free_bytes = size.free_bytes

    def start(**seconds: float) -> Stopwatch:
        made = Stopwatch(**seconds)
        monkeypatch.setattr(size, "measured", made)
        monkeypatch.setattr(size, "pack_memory", lambda trials, data: size.PackMemory(18e6, 0.0))
        # What other processes leave free is not the question.
        monkeypatch.setattr(size, "free_bytes", lambda device: 16e9 if device == "cpu" else free_bytes(device))
        return made

    return start


@pytest.fixture
def mock_card(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A card that is none, with so many free bytes."""

    def put_in(free: float) -> None:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 80e9))
        # The design has too few trials for the largest packs.
        monkeypatch.setattr(size, "sample", lambda design, device: MANY)

    return put_in


def test_the_pack_is_chosen_from_time_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 2 <= choose() <= 64
    assert choose(places=32) <= 2
    monkeypatch.setattr(size, "free_bytes", lambda device: 1e6)
    assert choose() <= 4


def test_no_larger_pack_is_tried_once_its_steps_take_long(stopwatch: Callable[..., Stopwatch]) -> None:
    stopwatch()
    assert choose() == 64
    slow = stopwatch(tried_s=11.0)
    assert choose() == 2
    # The first one may have been compiled for.
    assert slow.sizes == [1, 2]


def test_a_sample_is_from_all_over_the_design_with_the_costliest_trial_first() -> None:
    sampled = size.sample(DESIGN, "cpu")
    assert len(sampled) == min(64, len(DESIGN))
    assert all(
        value > 0.6 * factor.high for factor, value in zip(STUDY.factors, sampled[0].factors.values(), strict=True)
    )
    assert {trial.point for trial in sampled[1:]} >= {0, max(DESIGN.places(np.arange(len(DESIGN)))[0]) // 2}


def test_a_trial_that_cannot_be_made_bounds_no_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sick(size.StackedTraining):
        def __init__(self, trials: Sequence[Trial], *others: object) -> None:
            if any(trial.point == worst.point for trial in trials):
                raise DeviceError("this cell is on fire")
            super().__init__(trials, *others)  # type: ignore[arg-type]

    trials = size.sample(DESIGN, "cpu")
    worst = trials[0]
    monkeypatch.setattr(size, "StackedTraining", Sick)
    assert size.pack_memory(trials, load("digits")) is not None
    assert size.pack_memory(trials[:1], load("digits")) is None


def test_packs_on_a_mock_card_grow_to_what_its_memory_holds(
    mock_card: Callable[[float], None], stopwatch: Callable[..., Stopwatch]
) -> None:
    tried = stopwatch()
    # Six tenths of it, and of a share of it, at 18 MB per trial.
    for free, sharing, expected in ((80e9, 1, 1024), (20e9, 1, 666), (20e9, 4, 166), (0.3e9, 1, 10), (1e6, 1, 1)):
        mock_card(free)
        assert choose("cuda", total=4096, sharing=sharing) == expected
    assert tried.sizes == [16, 64, 256, 1024, 16, 64, 256, 666, 16, 64, 166, 10, 1]


def test_packs_on_mock_cards_leave_none_of_them_without_one(
    mock_card: Callable[[float], None], stopwatch: Callable[..., Stopwatch]
) -> None:
    mock_card(80e9)
    stopwatch()
    assert choose("cuda", total=1280, places=1) == 1024
    assert choose("cuda", total=1280, places=4) == 320
    assert choose("cuda", total=1280, places=8) == 160


def test_making_cells_for_minutes_ends_no_trying_on_a_mock_card_but_may_take_no_more_than_a_tenth_of_the_study(
    mock_card: Callable[[float], None], stopwatch: Callable[..., Stopwatch]
) -> None:
    mock_card(80e9)
    # The cells of 1,024 trials take 205 s, all trainings in packs of 256 (1,000 steps of 0.1 s) 800 s or 11 hours.
    short = stopwatch(made_s=0.2, step_s=0.1)
    assert choose("cuda", total=2048) == 256
    long = stopwatch(made_s=0.2, step_s=0.1)
    assert choose("cuda", total=100_000) == 1024
    assert (short.sizes, long.sizes) == ([16, 64, 256], [16, 64, 256, 1024])


def test_a_try_on_a_mock_card_gives_its_memory_back(
    mock_card: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch takes cpu:0 for the CPU, and vcm-sweep for another device."""
    alive: list[weakref.ref[object]] = []
    emptied: list[int] = []

    class Watched(size.StackedTraining):
        def __init__(self, trials: Sequence[Trial], *others: object) -> None:
            if len(trials) == 64:
                raise torch.OutOfMemoryError("the card is full")
            super().__init__(trials, *others)  # type: ignore[arg-type]
            alive.append(weakref.ref(self))

    mock_card(80e9)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(sum(ref() is not None for ref in alive)))
    monkeypatch.setattr(size, "StackedTraining", Watched)
    assert choose("cpu:0", total=4096) == 16
    # After each try, when nothing of it is left.
    assert emptied == [0, 0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "network",
    ["preset = 'lenet'\nbatch = 16", "preset = 'lenet'\nbatch = 256", "hidden = [1500, 1500]\nbatch = 16"],
    ids=["lenet", "large batch", "mlp"],
)
def test_the_memory_of_a_pack_is_what_a_process_takes(network: str) -> None:
    """A pack that is thought to be smaller than it is, is killed by the system."""
    text = THREE_EPOCHS.replace("hidden = [16]\n", "").replace("batch = 32", network)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, THREE_EPOCHS, text], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    measured, estimated = map(float, done.stdout.split())
    assert measured > 5e7
    assert 0.9 * measured < estimated < 4 * measured
