"""Section 0: what the machine is, and which imports work there."""

import importlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

from gpu_sections.call import Call, Report

# What the other sections need, and last what they must do without.
NEEDED = (
    "numpy", "scipy", "numba", "torch", "torchvision", "triton", "pyarrow", "safetensors", "sklearn", "lazy_loader",
    "pytest", "vcm_sweep.device", "aihwkit.nn", "vcm_sweep.sweep.training.training",
)  # fmt: skip
NOT_NEEDED = ("ray", "SALib", "optuna", "tomlkit", "rich", "altair", "jinja2")
DISTRIBUTIONS = {"sklearn": "scikit-learn", "aihwkit.nn": "aihwkit"}
SMI = "name,driver_version,clocks.sm,clocks.max.sm,clocks.mem,temperature.gpu,power.limit"


def run(call: Call, report: Report) -> None:
    """Names, versions and sizes; a missing import is named by itself and fails."""
    versions: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for name in NEEDED:
        began = time.perf_counter()
        try:
            importlib.import_module(name)
        except Exception as error:
            report.checks[f"import {name}"] = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        else:
            report.checks[f"import {name}"] = ""
            versions |= _version(name)
        seconds[name] = round(time.perf_counter() - began, 2)
    present = [name for name in NOT_NEEDED if importlib.util.find_spec(name)]
    processor = _processor()
    report.figures |= {"versions": versions, "python": platform.python_version(), "processor": processor}
    report.figures["import_s"] = seconds
    report.lines += [
        f"{processor}, {os.cpu_count()} cores, {_memory_gb():.0f} GB; Python {platform.python_version()}",
        ", ".join(f"{name} {version}" for name, version in versions.items()),
        f"imports took {sum(seconds.values()):.1f} s; longest: "
        + ", ".join(f"{name} {seconds[name]:.1f}" for name in sorted(seconds, key=lambda name: -seconds[name])[:3]),
        f"not needed: there {', '.join(present) or 'none'}; not there "
        f"{', '.join(name for name in NOT_NEEDED if name not in present) or 'none'}",
    ]
    _card(call, report)


def _card(call: Call, report: Report) -> None:
    import torch

    if call.rehearse:
        report.lines.append("no GPU: a rehearsal on the CPU")
        return
    began = time.perf_counter()
    torch.zeros(1, device="cuda")
    report.figures["context_s"] = time.perf_counter() - began
    card = torch.cuda.get_device_properties(0)
    free, total = torch.cuda.mem_get_info()
    report.figures |= {
        "card": card.name, "capability": f"{card.major}.{card.minor}", "sms": card.multi_processor_count,
        "l2_bytes": getattr(card, "L2_cache_size", None), "free_bytes": free, "bytes": total,
    }  # fmt: skip
    report.lines.append(
        f"{card.name}, sm_{card.major}{card.minor}, {card.multi_processor_count} SMs, "
        f"L2 {(report.figures['l2_bytes'] or 0) / 2**20:.0f} MiB, {free / 2**30:.0f} of {total / 2**30:.0f} GiB free; "
        f"context in {report.figures['context_s']:.1f} s"
    )
    if smi := shutil.which("nvidia-smi"):
        asked = [smi, f"--query-gpu={SMI}", "--format=csv,noheader"]
        said = subprocess.run(asked, capture_output=True, text=True, timeout=20).stdout.strip()
        report.figures["nvidia_smi"] = {"asked": SMI, "said": said}
        report.lines.append(said)


def _version(name: str) -> dict[str, str]:
    name = DISTRIBUTIONS.get(name, name)
    if name.startswith("vcm_sweep"):
        return {}
    try:
        return {name: importlib.metadata.version(name)}
    except importlib.metadata.PackageNotFoundError:
        return {name: "?"}


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")


def _memory_gb() -> float:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
