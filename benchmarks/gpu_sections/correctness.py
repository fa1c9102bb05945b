"""Section 1: the GPU's tests in a process of their own, while this one makes the stacks that others need."""

import cProfile
import pstats
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from gpu_sections.call import Call, Report
from gpu_sections.places import ROOT, place, seconds_into
from gpu_sections.stacks import kept, sizes

TESTS = "tests/device/kernels/gpu"
# The parts of making a stack, by the names of the functions that do them.
PARTS = ("fabricate", "draw_parameters", "shared_tables", "_set_window", "program", "array_figures")


def run(call: Call, report: Report) -> None:
    """All tests that need a GPU; meanwhile the stack of the goal is made on one core."""
    torch.set_num_threads(1)
    log = call.out / "pytest.txt"
    with log.open("w", encoding="utf-8") as said:
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", TESTS]
        tests = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
        try:
            _make(call, report)
            # Tests that hang must leave time to the other sections.
            tests.wait(timeout=max(call.section_left(), 1.0))
        except subprocess.TimeoutExpired:
            report.checks["GPU tests"] = f"not done after {call.section_left():+.0f} s of the section: see {log.name}"
        finally:
            tests.kill()
            tests.wait()
    _read(log, tests.returncode, call, report)


def _make(call: Call, report: Report) -> None:
    where = place(call)
    seconds: dict[str, float] = {}
    # The first stack compiles the loops of the CPU.
    with seconds_into(seconds, "compiling and a stack of 1", where):
        kept(call, where.device, "noise-free", 1)
    count = sizes(call).stacks[-1]
    profile = cProfile.Profile()
    with seconds_into(seconds, f"a stack of {count}", where):
        profile.runcall(kept, call, where.device, "noise-free", count)
    stats: Any = pstats.Stats(profile)
    parts = dict.fromkeys(PARTS, 0.0)
    for (_, _, function), (_, _, _, cumulative, _) in stats.stats.items():
        if function in parts:
            parts[function] += cumulative
    report.figures |= {"making_s": seconds, "making_parts_s": {name: round(s, 3) for name, s in parts.items()}}
    per_trial = seconds[f"a stack of {count}"] / count
    report.lines += [
        "; ".join(f"{name}: {s:.1f} s" for name, s in seconds.items()) + f" ({per_trial:.3f} s per trial)",
        "of the latter, some in others: " + ", ".join(f"{name} {s:.1f}" for name, s in parts.items()),
    ]


def _read(log: Path, code: int, call: Call, report: Report) -> None:
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    summary = lines[-1].strip("= ") if lines else "pytest said nothing"
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    report.figures |= {"tests": summary, "tests_exit": code, "failed_tests": failed}
    report.lines += [summary, *(line[:160] for line in failed[:5])]
    passed = code == 0 and (call.rehearse or " passed" in summary)
    report.checks.setdefault("GPU tests", "" if passed else f"exit {code}: {summary}")
