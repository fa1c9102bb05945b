"""What takes long says what it is: the tables of a cell, the making of layers, the compiling of kernels."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from vcm_sweep.device import Spread, Variability, VCMDevice
from vcm_sweep.device.doing import Doing, words_now
from vcm_sweep.device.tables import building


def test_the_words_of_a_thread_are_its_own() -> None:
    begun, over = threading.Event(), threading.Event()

    def other() -> None:
        with Doing("cells of the next pack"):
            begun.set()
            over.wait(10)

    thread = threading.Thread(target=other)
    with Doing("training"):
        thread.start()
        begun.wait(10)
        assert words_now() == "cells of the next pack"
        over.set()
        thread.join()
        assert words_now() == "training"
    assert words_now() == ""


def test_tables_say_which_is_made_and_how_far_they_are_from_accurate(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(building.Doing, "__call__", lambda _self, how_far: said.append(how_far))
    device = VCMDevice(model="full", variability=Variability(d2d={"r": Spread(0.1)}))
    # A tolerance that the first attempt misses.
    monkeypatch.setattr(building, "TOLERANCE", 0.1 * building.build_tables(device).error)
    said.clear()
    building.build_tables(device)
    assert said[:4] == ["attempt 1: read", "attempt 1: SET", "attempt 1: RESET", "attempt 1: checks"]
    assert any(
        words.startswith("attempt 2 (error ") and words.endswith(" times what is allowed): SET") for words in said
    )


def test_compiling_says_that_it_is_once_and_a_loaded_kernel_says_nothing(tmp_path: Path) -> None:
    """A kernel in a file of its own, compiled by one process and loaded from the disk by the next."""
    (tmp_path / "own.py").write_text(
        "from vcm_sweep.device.kernels.cpu.compiling import kernel\n"
        "from vcm_sweep.device.doing import Doing, words_now\n"
        "said, enter = [], Doing.__enter__\n"
        "Doing.__enter__ = lambda self: said.append(self.words) or enter(self)\n"
        "@kernel\ndef inner(x):\n    return x + 1.0\n"
        "@kernel\ndef outer(x):\n    return 2.0 * inner(x)\n"
        "assert outer(1.0) == 4.0\n"
        "print(said, words_now() == '')\n"
    )

    def run() -> str:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        command = [sys.executable, "-c", "import own"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert run() == "['compiling the kernels, once per installation: some minutes'] True"
    assert run() == "[] True"
