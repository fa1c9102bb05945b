"""Every benchmark runs, at a size that measures nothing, and prints its table."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SMALL = {
    "analysis": ("--factors 3 --n 64 --resamples 100 --salib", ("first and total", "SALib", "hdmr_indices of all 320")),
    "device": (
        "--cells 64 --rounds 2",
        ("ns per cell", "full RK4 step, float32", "integrate, explicit, adaptive", "all of studies/mnist.toml"),
    ),
    "executor": ("--smoke", ("tiny trials, one by one", "two workers to one", "the whole study's epochs")),
    "gpu": (
        "--rehearse --out out",
        ("0 machine", "3 our kernels alone", "ms per step of all K trials", "0 failed; sections that failed: none"),
    ),
    "gpu_host": ("--smoke", ("| the host, one trial |", "| step | cells times samples |", "| 2 | 19,840 |")),
    "interval_coverage": (
        "--repetitions 1 --points 256 --luck 0.2 --functions stairs --processes 1",
        ("covered, worst / all", "| stairs | 256 | 20 % | 1 |", "1 studies in"),
    ),
    "intervention": ("--smoke", ("| mismatch | plain |", "| mismatch-explicit |")),
    "report": ("--n 16 32", ("| trainings |", "| 320 |", "| 640 |")),
    "service": (
        "--studies 5 --points 256 --watchers 3",
        ("| list of 5 studies |", "| study of 768 trainings |", "| core for 3 watchers, %", "| memory in MB"),
    ),
    "watched_run": (
        "--watchers 3 --turns 2 --turn-s 2 --warm-up-s 0",
        ("| watchers | trainings per hour |", "| 3 |", "lost: "),
    ),
    "store": ("--records 640 --parts 20", ("append 640 records", "640 rows, 20 parts", "640 rows, compacted")),
    "training": (
        "--data digits --stack 2 --samples 64",
        ("aihwkit ConstantStep", "VCM full, 2 stacked", "Euler steps per pulse, noise-free", "largest difference"),
    ),
}


def test_none_is_left_out() -> None:
    programs = {path.stem for path in BENCHMARKS.glob("*.py") if "__main__" in path.read_text(encoding="utf-8")}
    assert set(SMALL) == programs


def test_none_hides_a_package() -> None:
    """Their folder comes first where Python looks for what others import: numba imports coverage."""
    assert set(SMALL) & importlib.metadata.packages_distributions().keys() == set()


# The rehearsal for a GPU is always tried: no line of it is to run for the first time when there is one.
MARKS = {
    "executor": [pytest.mark.slow, pytest.mark.ray],
    "gpu": [],
    "training": [pytest.mark.slow, pytest.mark.engine],
    "watched_run": [pytest.mark.slow, pytest.mark.ray],
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS.get(name, pytest.mark.slow)) for name in SMALL])
def test_a_benchmark_prints_its_table(name: str, mnist_root: str, tmp_path: Path) -> None:
    options, words = SMALL[name]
    # To files: who waits for a pipe's end also waits for processes of Ray that a benchmark leaves when it is killed.
    printed, complained = tmp_path / "printed", tmp_path / "complained"
    with printed.open("w") as out, complained.open("w") as errors:
        done = subprocess.run(
            [sys.executable, BENCHMARKS / f"{name}.py", *options.split()], stdout=out, stderr=errors, timeout=900,
            cwd=tmp_path, env={**os.environ, "VCM_SWEEP_DATA": mnist_root},
        )  # fmt: skip
    assert done.returncode == 0, complained.read_text()
    assert [word for word in words if word not in printed.read_text()] == []
