"""A worker that only trains needs neither Ray nor what designs and reports need, nor aihwkit's compiled engine."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from vcm_sweep.sweep import SobolDesign, Study, train

from ...engines import without_engine
from ...studies import TINY

WORKER = """
import pickle, sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[2:]:
            raise ModuleNotFoundError(f"{name} is not on a worker")

sys.meta_path.insert(0, Refused())
import torch
torch.set_num_threads(1)
from vcm_sweep.sweep.training.training import train
with open(sys.argv[1], "rb") as file:
    print([(r.status, r.history, r.pulses_set, r.energy_j) for r in train(pickle.load(file))])
"""
ABSENT = ("ray", "SALib", "optuna", "altair", "vl_convert", "matplotlib", "rich", "torchvision")


@pytest.mark.parametrize("engine", [pytest.param(True, marks=pytest.mark.slow), False], ids=["engine", "no engine"])
def test_a_worker_trains_with_little_else_than_torch(engine: bool, tmp_path: Path) -> None:
    trials = list(SobolDesign(Study.from_text(TINY)).trials())[:2]
    (tmp_path / "trials.pkl").write_bytes(pickle.dumps(trials))
    done = subprocess.run(
        [sys.executable, "-c", WORKER, tmp_path / "trials.pkl", *ABSENT],
        capture_output=True, text=True, env=None if engine else without_engine(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    here = [(r.status, r.history, r.pulses_set, r.energy_j) for r in train(trials)]
    assert done.stdout.strip() == str(here)
