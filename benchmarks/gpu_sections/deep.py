"""A second call, if there is time: hardware counters of our kernels, and the memory checker on the smallest tests."""

import shutil
import subprocess
import sys

from gpu_sections.call import Call, Report
from gpu_sections.correctness import TESTS
from gpu_sections.places import OURS, ROOT

# One launch of each kernel for each of three layers, in the warm-up of section 7, before torch's own profiler.
LAUNCHES, SKIPPED_STEPS = 9, 4
SMALLEST = "one_direction_to_the_window_and_back or a_pulse_of_the_full_model"


def run(call: Call, report: Report) -> None:
    """Each tool for half of the time; what they say goes to files."""
    python, here = sys.executable, str(ROOT / "benchmarks" / "gpu.py")
    counters = [
        "ncu", "--clock-control", "none", "--kernel-name", f"regex:^({'|'.join(OURS)})$", "--launch-skip",
        str(LAUNCHES * SKIPPED_STEPS), "--launch-count", str(LAUNCHES), "--set", "detailed", "--kill", "yes", python,
        here, "--carried", str(call.carried), "--out", str(call.out / "under-ncu"), "--only", "profile",
    ]  # fmt: skip
    memory = ["compute-sanitizer", "--tool", "memcheck", python, "-m", "pytest", "-m", "gpu", "-q", TESTS]
    memory += ["-k", SMALLEST]
    half = call.section_left() / 2
    for name, command in (("ncu", counters), ("sanitizer", memory)):
        _tool(name, command, half, call, report)


def _tool(name: str, command: list[str], seconds: float, call: Call, report: Report) -> None:
    if not shutil.which(command[0]):
        report.lines.append(f"{command[0]} is not on this machine: would run {' '.join(command)[:90]}...")
        return
    path = call.out / f"{name}.txt"
    with path.open("w", encoding="utf-8") as said:
        try:
            code: int | str = subprocess.run(
                command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT, timeout=seconds
            ).returncode
        except subprocess.TimeoutExpired:
            code = f"stopped after {seconds:.0f} s"
    text = path.read_text(encoding="utf-8", errors="replace")
    report.figures[name] = {"exit": code, "bytes": len(text)}
    report.lines += [f"{name}: exit {code}, {path.name}", *text.strip().splitlines()[-2:]]
    if name == "sanitizer":
        clean = "ERROR SUMMARY: 0 errors" in text
        report.checks["compute-sanitizer"] = "" if clean else f"no 'ERROR SUMMARY: 0 errors' in {path.name}"
