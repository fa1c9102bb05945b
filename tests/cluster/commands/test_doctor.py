"""The checks of ``vcm-sweep doctor``: what is missing, and what that costs."""

import os
import re
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from vcm_sweep.cluster.commands import doctor
from vcm_sweep.device import aihwkit_engine

from ..calling import call

ROOT = Path(__file__).parents[3]


@pytest.mark.ray
@pytest.mark.engine
def test_every_check_passes_here(mnist_root: str) -> None:
    """What the README tells a newcomer to run first, Ray's start included."""
    done = call("doctor", fresh=True, env={**os.environ, "VCM_SWEEP_DATA": mnist_root})
    assert done.returncode == 0, done.stdout
    for name in ("python", "torch", "aihwkit", "compiled engine", "torchvision", "cell kernel", "ray", "MNIST"):
        assert re.search(rf"^ok +{name}  ", done.stdout, re.MULTILINE), done.stdout


def test_its_ranges_are_those_of_the_installation() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {needed.name: needed.specifier for needed in map(Requirement, project["dependencies"])}
    for (first, last), allowed in (
        (doctor.PYTHONS, SpecifierSet(project["requires-python"])),
        (doctor.TORCHES, named["torch"]),
    ):
        before, after = (first[0], first[1] - 1), (last[0], last[1] + 1)
        inside = [f"{major}.{minor}" in allowed for major, minor in (before, first, last, after)]
        assert inside == [False, True, True, False]


def test_a_torch_that_was_not_tried_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.10.1+cpu")
    check = doctor._one("torch", doctor._torch)
    assert (check.verdict, check.detail) == (
        "FAIL", "torch 2.10.1+cpu is in use, and 2.11 to 2.13 were tried: install one of these"
    )  # fmt: skip


def test_a_missing_engine_is_no_failure_but_its_cost_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aihwkit_engine, "engine_fault", lambda: "there is no engine")
    check = doctor._one("compiled engine", doctor._engine)
    assert check.passed
    assert check.verdict == "lacks"
    for words in ("there is no engine", "VCM cells train all the same", "[device] aihwkit", "vcm-sweep[aihwkit]"):
        assert words in check.detail


def test_a_gpu_without_triton_is_slow_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda place: "a mock of a card")
    monkeypatch.setitem(sys.modules, "triton", None)
    check = doctor._one("GPU", doctor._gpu)
    assert check.verdict == "lacks"
    assert "triton" in check.detail
    assert check.detail.endswith(
        "a mock of a card computes the products and one core of the CPU the pulses; install triton"
    )


def test_an_old_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def init() -> None:
        raise RuntimeError(
            "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver by ..."
        )

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    check = doctor._one("GPU", doctor._gpu)
    assert check.verdict == "lacks"
    assert check.detail.startswith("the NVIDIA driver is for CUDA 11.4 and torch ")
    assert check.detail.endswith(": the CPU is used, and --device cuda is refused")
