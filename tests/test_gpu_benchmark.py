"""The benchmark that is tried on a card for the first time: what one section does must not cost the others."""

import importlib
import json
import re
import subprocess
import sys
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch.autograd.profiler_util import FunctionEvent

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "benchmarks" / "gpu.py"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program as a module."""
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
    return importlib.import_module("gpu")


@pytest.fixture
def conducted(gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[bool, Any]]:
    """Runs sections made of functions, and returns whether all passed and what gpu.json holds."""

    def conduct(limit_s: float = 100.0, **sections: Callable[[Any, Any], None]) -> tuple[bool, Any]:
        for name, work in sections.items():
            module = ModuleType(name)
            module.run = work  # type: ignore[attr-defined]
            monkeypatch.setitem(sys.modules, f"gpu_sections.{name}", module)
        call = gpu.Call(True, tmp_path, None, time.monotonic(), limit_s)
        table = tuple(gpu.Section(name, 10, name) for name in sections)
        passed = gpu.run(table, call)
        gpu.conclude(table, call)
        return passed, json.loads((tmp_path / "gpu.json").read_text())["sections"]

    return conduct


def fails(call: Any, report: Any) -> None:
    report.figures["before"] = 1
    raise ValueError("two lines\nof text")


def finds_a_fault(call: Any, report: Any) -> None:
    report.checks |= {"sound": "", "unsound": "3 values differ"}


def is_well(call: Any, report: Any) -> None:
    report.lines += [f"line {k}" for k in range(30)]


def test_a_section_that_fails_stops_no_other(conducted: Any, capsys: pytest.CaptureFixture[str]) -> None:
    passed, sections = conducted(first=fails, second=is_well)
    assert not passed
    assert sections["first"]["figures"]["before"] == 1
    assert "ValueError" in sections["first"]["figures"]["traceback"][-2]
    assert len(sections["second"]["lines"]) == 30
    out = capsys.readouterr().out
    assert "FAILED: ValueError: two lines of text" in out
    assert "sections that failed: first" in out
    # At most ten lines of each.
    assert "line 8" in out
    assert "line 9" not in out


def test_a_check_that_fails_is_named(conducted: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert conducted(first=is_well)[0]
    assert not conducted(first=finds_a_fault)[0]
    assert "checks: 1 passed, 1 failed: unsound" in capsys.readouterr().out


def test_a_section_that_does_not_fit_is_left_out(conducted: Any, capsys: pytest.CaptureFixture[str]) -> None:
    passed, sections = conducted(limit_s=9.0, first=fails)
    assert passed
    assert "needs 10 s" in sections["first"]["left_out"]
    assert "left out: first" in capsys.readouterr().out


def test_all_sections_fit_into_six_minutes(gpu: ModuleType) -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    said = re.findall(r"^\| (\d) [a-z][\w ]+ \| (\d+) \|", page, re.MULTILINE)
    assert said == [(section.title[0], str(section.seconds)) for section in gpu.SECTIONS]
    # Ten seconds to import torch before the first.
    assert sum(section.seconds for section in gpu.SECTIONS) + 10 <= 345


def test_a_figure_that_differs_is_found(gpu: ModuleType) -> None:
    numpy = importlib.import_module("numpy")
    against = importlib.import_module("gpu_sections.against_cpu")
    draws = numpy.random.default_rng(1)
    rows, others, report = {"same": draws.normal(size=64)}, {"same": draws.normal(size=64)}, gpu.Report()
    # A shift that Welch sees, a spread that only Kolmogorov-Smirnov sees, a constant that is another one.
    rows |= {"shift": rows["same"] + 2, "spread": 9 * rows["same"], "constant": numpy.ones(64)}
    others |= {"shift": others["same"], "spread": others["same"], "constant": numpy.zeros(64)}
    rows["accuracy"] = others["accuracy"] = rows["same"]
    against._compare("all", rows, others, report)
    assert report.checks["all"] == "3 of 5 figures differ: shift, spread, constant"
    # A small sample is not taken for a different one: 4.5 standard errors of three values are not rare.
    few = numpy.array([0.0, 0.4, 0.8])
    assert abs(against.z_of(few + 1.0, few)) < abs(against.z_of(numpy.tile(few + 1.0, 20), numpy.tile(few, 20))) / 2


def test_steps_stand_beside_what_was_expected(gpu: ModuleType, tmp_path: Path) -> None:
    table = importlib.import_module("gpu_sections.table")
    row = {"trials": 256, "replayed_ms": 2.0, "wall_ms": 4.0, "host_ms": 18.0, "busy_ms": 3.0, "others": 400, "ours": 9}
    row |= {"waits": {"device/tile/analog_product.py:80": 11, "device/tile/optimizer.py:65": 19}}
    call = gpu.Call(False, tmp_path, None, 0.0, 1.0)
    call.reports["steps"] = gpu.Report(figures={"stacks": [row]})
    call.reports["epoch"] = gpu.Report(figures={"minutes": 2.71})
    *_, steps, _, minutes = table.lines(call)
    assert " ".join(steps.split()) == "256 2 (1-3.5) 4 (1.6-3.5) 18 (1.3-2)! 3.00 409 (70-95)! 30 (0-0)! 0.008"
    assert minutes.startswith("256 x 30 epochs: 2.7 min")


def test_what_is_carried_can_be_unpacked(gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    carry = importlib.import_module("gpu_sections.carry")
    raw, carried = tmp_path / "data" / "MNIST" / "raw", tmp_path / "carried"
    raw.mkdir(parents=True)
    for name in carry.FILES:
        (raw / name).write_bytes(name.encode() * 100)
    offline = False

    def tool(command: list[Any], **_: Any) -> Any:
        if "pip" in command and not offline:
            name, _, version = command[-1].partition("==")
            wheel = carried / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
            with zipfile.ZipFile(wheel, "w") as content:
                content.writestr(f"{name}/__init__.py", "")
        return subprocess.CompletedProcess(command, offline, "", "a warning\nno network\n")

    monkeypatch.setenv("VCM_SWEEP_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(carry.subprocess, "run", tool)
    monkeypatch.setattr(carry.reference, "make", lambda path: path.write_bytes(b"rows"))
    carry.make(carried)
    unpacked = gpu.unpack_data(carried, tmp_path / "there") / "MNIST" / "raw"
    assert {p.name: p.read_bytes() for p in unpacked.iterdir()} == {p.name: p.read_bytes() for p in raw.iterdir()}
    (wheel,) = carried.glob("aihwkit-*.whl")
    assert (Path(gpu.unpack(wheel, tmp_path / "site")) / "aihwkit" / "__init__.py").exists()
    # What is there is not fetched again, and what cannot be had is said in one line.
    offline = True
    carry.make(carried)
    wheel.unlink()
    with pytest.raises(carry.CannotMake, match=r"^no wheel of aihwkit [\d.]+ \(no network\): put it into \S+ by hand"):
        carry.make(carried)


class Stub:
    """Stands in for an event, a stream or a graph, and for what they are made by."""

    def __call__(self, *_: Any, **__: Any) -> "Stub":
        return self

    def __enter__(self) -> "Stub":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __getattr__(self, name: str) -> "Stub":
        return self

    def __int__(self) -> int:
        return 7

    def __float__(self) -> float:
        return 7.0


@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_what_a_card_is_asked_can_be_asked(gpu: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name of torch.cuda that is used is there, and a profile is counted as its events say."""
    places = importlib.import_module("gpu_sections.places")
    asked = ("synchronize", "Event", "_sleep", "Stream", "stream", "current_stream", "CUDAGraph", "graph",
             "set_sync_debug_mode", "max_memory_allocated", "reset_peak_memory_stats", "memory_reserved")  # fmt: skip
    for name in asked:
        monkeypatch.setattr(torch.cuda, name, Stub())  # raises where torch has no such name
    card = places.Gpu()
    assert places.median_ms(card, lambda: None, 3) == 7.0
    card.recorded(lambda: None)()
    assert (card.peak_bytes(), card.held_bytes()) == (7, 7)

    def waiting() -> None:
        warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        warnings.warn("something else", stacklevel=1)

    assert [where.split(":")[0] for where in card.waits(waiting)] == ["tests/test_gpu_benchmark.py"]
    one = torch.ones(3)
    real = card.profile(lambda: one.add_(1))
    assert (real.ours, real.others, real.copies, real.busy_ms) == (0, 0, 0, 0.0)
    # Two of ours, a copy, another kernel, a range that is no work, and a wait of the host.
    names = ("draw_lines", "pulse_cells", "Memcpy HtoD", "vectorized_add", "Optimizer.step#X", "cudaStreamSynchronize")
    kinds = [torch.autograd.DeviceType.CUDA] * 5 + [torch.autograd.DeviceType.CPU]
    events = [
        FunctionEvent(k, name, 0, 0, 1000 * (k + 1), device_type=kind)
        for k, (name, kind) in enumerate(zip(names, kinds, strict=True))
    ]
    monkeypatch.setattr(torch.profiler.profile, "events", lambda self: events)
    assert card.profile(lambda: None)[:5] == (2, 1, 1, 1.0 + 2 + 3 + 4, 6.0)


def test_a_card_is_described(gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = importlib.import_module("gpu_sections.machine")
    card = SimpleNamespace(name="NVIDIA X", major=9, minor=0, multi_processor_count=132, L2_cache_size=50 * 2**20)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (78 * 2**30, 80 * 2**30))
    monkeypatch.setattr(torch, "zeros", Stub())
    monkeypatch.setattr(machine.shutil, "which", lambda _: sys.executable)
    said = SimpleNamespace(stdout="NVIDIA X, 580.1, 1980 MHz\n")
    monkeypatch.setattr(machine.subprocess, "run", lambda *_, **__: said)
    report = gpu.Report()
    machine._card(gpu.Call(False, tmp_path, tmp_path, 0.0, 1.0), report)
    described, smi = report.lines
    assert described.startswith("NVIDIA X, sm_90, 132 SMs, L2 50 MiB, 78 of 80 GiB free; context in ")
    assert smi == "NVIDIA X, 580.1, 1980 MHz"


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a card")
def test_without_a_card_it_ends_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM, "--carried", tmp_path], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 3
    assert done.stderr == ""
    assert done.stdout.startswith("no GPU that torch")
    assert done.stdout.count("\n") == 1


BARE = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name in {"ray", "SALib", "optuna", "tomlkit", "rich", "altair", "jinja2", "vl_convert", "matplotlib"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
# An editable installation is no installation.
sys.meta_path[:] = [finder for finder in sys.meta_path if "__editable__" not in repr(finder)]
sys.path[:] = [path for path in sys.path if "__editable__" not in path]
"""


def test_a_bare_machine_needs_no_installation(tmp_path: Path) -> None:
    """The package comes from the repository's folders; what only drivers, analyses and pages need is not there."""
    (tmp_path / "sitecustomize.py").write_text(BARE)
    code = f"import sys; sys.path.insert(0, {str(PROGRAM.parent)!r}); import gpu; gpu.install(None); " + (
        "import vcm_sweep.sweep.training.training, vcm_sweep.sweep.training.cell_stack as module; "
        "from vcm_sweep.sweep.training.outcome import _versions; print(module.__file__, _versions())"
    )
    environment = {"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert str(ROOT / "build") in done.stdout
    assert '"vcm-sweep"' in done.stdout
