"""Section 1: the GPU's tests in processes of their own, while this one makes the stacks that others need."""

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
# Most of the time they compile, the CPU's loops and a kernel for each kind of stack: so several processes share them.
# These are pytest's -k; one more process takes what is in none of them.
SHARES = ("walks", "its_stack", "by_equations or targets", "window or full_model")
# The parts of making a stack, by the names of the functions that do them.
PARTS = ("fabricate", "draw_parameters", "shared_tables", "_set_window", "program", "array_figures")


def run(call: Call, report: Report) -> None:
    """All tests that need a GPU; meanwhile the stack of the goal is made on one core."""
    torch.set_num_threads(1)
    chosen = [*SHARES, f"not ({' or '.join(SHARES)})"]
    logs = [call.out / f"pytest-{number}.txt" for number in range(len(chosen))]
    tests = [_start(which, log) for which, log in zip(chosen, logs, strict=True)]
    try:
        _make(call, report)
        # Tests that hang must leave time to the other sections.
        for process in tests:
            process.wait(timeout=max(call.section_left(), 1.0))
    except subprocess.TimeoutExpired:
        report.checks["GPU tests"] = f"not done after {call.section_left():+.0f} s of the section: see pytest-*.txt"
    finally:
        for process in tests:
            process.kill()
            process.wait()
    _read(logs, [process.returncode for process in tests], call, report)


def _start(which: str, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-k", which, "-q", "-p", "no:cacheprovider", TESTS]
    with log.open("w", encoding="utf-8") as said:
        return subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)


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


def _read(logs: list[Path], codes: list[int], call: Call, report: Report) -> None:
    said = [[line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()] for log in logs]
    summaries = [lines[-1].strip("= ") if lines else "pytest said nothing" for lines in said]
    failed = [line for lines in said for line in lines if line.startswith(("FAILED", "ERROR"))]
    report.figures |= {"tests": summaries, "tests_exit": codes, "failed_tests": failed}
    report.lines += [*summaries, *(line[:160] for line in failed[:4])]
    for code, summary in zip(codes, summaries, strict=True):
        if code != 0 or not (call.rehearse or " passed" in summary):
            report.checks.setdefault("GPU tests", f"exit {code}: {summary}")
    report.checks.setdefault("GPU tests", "")
