"""How many trials are trained side by side: as many as pay, and as fit into memory."""

import subprocess
import sys
import time
from collections.abc import Sequence

import pytest

from vcm_sweep.sweep import Study, Trial

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


def test_the_pack_is_chosen_from_time_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from vcm_sweep.sweep.packs import size

    study = Study.from_text(THREE_EPOCHS.replace("n = 4", "n = 16"))
    assert 2 <= size.choose_pack(study) <= 64
    assert size.choose_pack(study, workers=32) <= 2
    monkeypatch.setattr(size, "_free_bytes", lambda device: 1e6)
    assert size.choose_pack(study) <= 4


def test_no_larger_pack_is_tried_once_a_try_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    from vcm_sweep.sweep.packs import size

    tried: list[int] = []

    def measured(trials: Sequence[Trial], data_dir: str | None, device: str) -> tuple[float, float]:
        tried.append(len(trials))
        time.sleep(0.02)
        return 1.0 / len(trials), 1e3

    monkeypatch.setattr(size, "_measure", measured)
    study = Study.from_text(THREE_EPOCHS.replace("n = 4", "n = 16"))
    assert size.choose_pack(study) == 64
    monkeypatch.setattr(size, "_LONGEST_TRY_S", 0.01)
    tried.clear()
    assert size.choose_pack(study) == 2
    # The first one may have been compiled for.
    assert tried == [1, 2]


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
