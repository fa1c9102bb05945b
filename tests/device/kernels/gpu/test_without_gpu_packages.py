"""Without the packages that only a GPU needs a study is planned, trained and analysed, and Triton is not asked for.

This torch was built for CUDA and loads those libraries itself; nobody else may, as with PyTorch's CPU-only build.
"""

import subprocess
import sys
from pathlib import Path

REFUSING = """
import sys
import torch
for name in [name for name in sys.modules if name.split(".")[0] in {"triton", "nvidia", "cuda"}]:
    del sys.modules[name]
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"triton", "nvidia", "cuda"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
import vcm_sweep.device, vcm_sweep.sweep, vcm_sweep.analysis, vcm_sweep.cluster
from vcm_sweep.device.kernels.gpu import triton_or_none, update
from vcm_sweep.cluster.cli import main
assert not triton_or_none.PRESENT
assert main(["run", sys.argv[1], "--out", sys.argv[2], "--in-process"]) == 0
assert not any(name.split(".")[0] in {"triton", "nvidia", "cuda"} for name in sys.modules)
"""
STUDY = """
study = { name = "bare" }
network = { data = "digits", hidden = [8], epochs = 1, batch = 32, lr = 0.02, train_samples = 64, test_samples = 64 }
device = { dw_min = 4e-4 }
design = { method = "limits", n = 8 }
[[factor]]
name = "mismatch.global.mean"
range = [0.0, 0.5]
"""


def test_a_study_runs_without_triton_and_cuda_packages(tmp_path: Path) -> None:
    (tmp_path / "bare.toml").write_text(STUDY, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", REFUSING, str(tmp_path / "bare.toml"), str(tmp_path / "out")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert list((tmp_path / "out" / "parts").iterdir())
