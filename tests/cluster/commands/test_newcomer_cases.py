"""Studies as people have written them, by command: what each met once, and what is right. The measured files of the
same people are in tests/device/measured/test_cases.py."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from aihwkit.nn.conversion import convert_to_analog

from tests.cluster.calling import call
from vcm_sweep.device import VCMDevice, VCMRPUConfig

STUDY = """[study]
name = "case"
seed = 3
[network]
{network}epochs = 2
batch = 32
lr = 0.05
init = "fan_in"
[device]
dw_min = 1e-3
{device}[[factor]]
name = "r.d2d.sigma"
{law}
[[factor]]
name = "{second}"
range = {range}
[design]
method = "shapley"
n = 2
"""
DIGITS = 'data = "digits"\ntrain_samples = 400\ntest_samples = 200\n'
# Rounded numbers of published cells, which had to be found by others to be outside of the model, or far too slow.
WIDE_CELL = """name = "wide-filament"
source = "rounded numbers of another oxide"
[validity]
[parameters]
dW_A = 0.88
R_th0 = 1.5e4
R_theff_scaling = 3.3333
r = 200e-9
r_nominal = 200e-9
l_cell = 33e-9
"""
SLOW_CELL = """name = "slow-bilayer"
source = "rounded numbers of a bilayer"
[validity]
[parameters]
eps_phiB = 5.5
l = 1e-9
r = 30e-9
r_nominal = 30e-9
a = 0.4e-9
nu_0 = 3e11
dW_A = 0.9
phi_Bn0 = 0.3
mu_n = 1e-5
N_min = 0.04
R_TiOx = 1200.0
R_0 = 0.0
R_th0 = 1.06e6
R_theff_scaling = 1.0
"""
SORTED = """import torch
from sklearn.datasets import load_digits
from torch.utils.data import TensorDataset

def load(sort=True):
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    y = torch.tensor(digits.target)
    train = torch.argsort(y[:1200], stable=True) if sort else torch.arange(1200)
    return TensorDataset(x[:1200][train], y[:1200][train]), TensorDataset(x[1200:1500], y[1200:1500])

def mixed():
    return load(sort=False)
"""
PICTURES = """import numpy as np

class Pictures:
    def __init__(self, count):
        self.y = np.arange(count) % 4
        self.x = np.zeros((count, 28, 28, 3), np.uint8)
    def __len__(self):
        return len(self.y)
    def __getitem__(self, index):
        return self.x[index], self.y[index]

def load():
    return Pictures(80), Pictures(40)
"""
NETS = """from torch import nn

def in_place(shape, classes, yes=True):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.ReLU(inplace=yes), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(4 * (shape[-1] // 2) ** 2, classes),
    )

def not_in_place(shape, classes):
    return in_place(shape, classes, False)

def lazy(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(16), nn.ReLU(), nn.Linear(16, classes))

def softmax(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, classes), nn.Softmax(dim=1))
"""


def study(
    network: str = "hidden = [16]\n" + DIGITS, device: str = "", law: str = "range = [0.0, 0.02]",
    second: str = "read.noise.sigma", ends: str = "[0.0, 0.05]",
) -> str:  # fmt: skip
    return STUDY.format(network=network, device=device, law=law, second=second, range=ends)


ONE_FACTOR = study().replace('[[factor]]\nname = "read.noise.sigma"\nrange = [0.0, 0.05]\n', "")
PLAN, RUN = ("plan", "study.toml", "--no-pilot"), ("run", "study.toml", "--in-process", "--out", "results")
SORTED_STUDY = 'hidden = [16]\ndata = "data:{}"\ntrain_samples = 300\n'
# What it is about: the files, the command, the exit code, and what is said (not, after a minus).
CASES: dict[str, tuple[dict[str, str], tuple[str, ...], int, list[str]]] = {
    "a cell outside the model: all violations at once": (
        {"cell.toml": WIDE_CELL},
        ("device", "show", "cell.toml"),
        2,
        [
            "R_th0 = 15000 K/W must be",
            "r = 2e-07 m must",
            "l_cell = 3.3e-08 m must",
            "R_theff_scaling = 3.3333 must be",
        ],
    ),
    "pulses that are too weak: pulses that would do": (
        {"cell.toml": SLOW_CELL, "study.toml": study(device='cell = "cell.toml"\n')},
        PLAN,
        2,
        [
            "one SET pulse of pulse_s = 1e-06 s moves the nominal cell's weight by",
            "(dw_min = 0.001)",
            "nothing can be trained; set_voltage_v = -",
        ],
    ),
    "data in the order of their classes": (
        {"data.py": SORTED, "study.toml": study(SORTED_STUDY.format("load"))},
        PLAN,
        0,
        ["the 300 training samples hold none of the classes 3 to 9 of the test set, so that no training can exceed 32"],
    ),
    "the same data, mixed": (
        {"data.py": SORTED, "study.toml": study(SORTED_STUDY.format("mixed"))},
        PLAN,
        0,
        ["-beware", "2 factors, shapley, n = 2"],
    ),
    "a factor known as mean and spread": (
        {"study.toml": study(law='distribution = "normal"\nmean = 0.03\nsd = 0.003')},
        PLAN,
        0,
        ["2 factors, shapley, n = 2"],
    ),
    "its mean and spread as a range": (
        {"study.toml": study(law='distribution = "normal"\nrange = [0.03, 0.003]')},
        PLAN,
        2,
        ["[factor 1: r.d2d.sigma] mean is missing: give it"],
    ),
    "a factor by its printed name": (
        {"study.toml": study(second="R_th0.global.mean", ends="[15e6, 16.4e6]")},
        PLAN,
        0,
        ["2 factors"],
    ),
    "a factor by the name that was printed once": (
        {"study.toml": study(second="R th0.global.mean")},
        PLAN,
        2,
        ["unknown factor 'R th0.global.mean'; did you mean 'R_th0.global.mean'"],
    ),
    "pictures with their channels last": (
        {"data.py": PICTURES, "study.toml": study('preset = "lenet"\ndata = "data:load"\n')},
        RUN,
        2,
        ["not samples of shape (28, 28, 3): channels come first in torch: give samples of shape (3, 28, 28)"],
    ),
    "limits of one factor": (
        {"study.toml": ONE_FACTOR.replace("shapley", "limits").replace("n = 2", "n = 8")},
        PLAN,
        0,
        ["1 factor, limits, n = 8"],
    ),
    "shares of one factor": ({"study.toml": ONE_FACTOR}, PLAN, 2, ["a study compares at least two factors"]),
    "a lazy layer": (
        {"nets.py": NETS, "study.toml": study('model = "nets:lazy"\n' + DIGITS)},
        RUN,
        0,
        ["ok         6"],
    ),
    "a softmax at the end": (
        {"nets.py": NETS, "study.toml": study('model = "nets:softmax"\n' + DIGITS)},
        PLAN,
        2,
        ["gives probabilities (each sample's scores add up to 1), and the loss has a softmax of its own: leave its"],
    ),
    "a byte order mark": ({"study.toml": "\ufeff" + study()}, PLAN, 0, ["2 factors, shapley, n = 2"]),
}


@pytest.fixture
def put(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path

    return write


@pytest.mark.parametrize(("files", "command", "code", "words"), CASES.values(), ids=CASES)
def test_what_people_wrote(put: Callable, files: dict, command: tuple, code: int, words: list[str]) -> None:
    folder = put(files)
    done = call(*command, cwd=folder)
    told = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == code, told
    for part in words:
        assert (part[1:] not in told) if part.startswith("-") else (" ".join(part.split()) in told), told
    if code:
        assert "Traceback" not in told
        assert not (folder / "results").exists()


def test_names_are_listed_as_a_study_takes_them() -> None:
    listed = call("plan", "--factors").stdout
    assert "\nR_th0.d2d.sigma " in listed
    assert "R th0" not in listed


def test_a_layer_that_works_in_place_gives_the_scores_of_one_that_does_not() -> None:
    """Outside of a study, where nothing but the layer differs: studies of two sources have other seeds."""
    found = []
    nets: dict[str, Callable[..., torch.nn.Module]] = {}
    exec(NETS, nets)
    for name in ("in_place", "not_in_place"):
        torch.manual_seed(1)
        net = convert_to_analog(nets[name]((1, 8, 8), 10), VCMRPUConfig(device=VCMDevice(model="explicit")))
        scores = net(torch.linspace(0, 1, 128).reshape(2, 1, 8, 8))
        scores.square().sum().backward()
        found.append(scores.detach())
    assert found[0].std() > 0
    assert torch.equal(*found)


def test_a_file_system_without_locks(put: Callable) -> None:
    """flock() fails as on Lustre without its flock option; the file system itself cannot be had here."""
    folder = put({"study.toml": study(), "nolock.py": (
        "import errno, fcntl, os, sys\n"
        "def flock(*_):\n    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))\n"
        "fcntl.flock = flock\n"
        "from vcm_sweep.cluster.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )})  # fmt: skip
    done = subprocess.run(
        [sys.executable, "nolock.py", *RUN], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "its file system has no locks" in done.stderr
    assert "in use by another run" not in done.stderr


@pytest.mark.ray
def test_a_temporary_folder_with_a_long_path(put: Callable) -> None:
    folder = put({"study.toml": study()})
    long = Path("/tmp") / ("x" * 70) / str(os.getpid())
    long.mkdir(parents=True)
    try:
        done = call("run", "study.toml", cwd=folder, env={**os.environ, "TMPDIR": str(long)}, fresh=True)
    finally:
        shutil.rmtree(long)
    assert done.returncode == 0, done.stderr
    assert "ok         6" in done.stdout
