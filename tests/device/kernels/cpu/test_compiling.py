"""Compiled code on disk: used again as long as nothing changes, and never after a change in any of its sources."""

import importlib
import os
import re
import sys
import threading
import time
from pathlib import Path

import pytest

from vcm_sweep.device.kernels.cpu import compiling

INNER = (
    "from vcm_sweep.device.kernels.cpu.compiling import compiled\n\n\n@compiled()\ndef inner(x):\n    return x + {}\n"
)
OUTER = """from inner_of_test import inner

from vcm_sweep.device.kernels.cpu.compiling import compiled


@compiled()
def outer(x):
    return inner(x)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Write and load the two modules as a fresh process would; give outer(1) and how often code came from disk."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(compiling, "digest", lambda: (tmp_path / "inner_of_test.py").read_text())
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load(added):
        for name, text in (("inner_of_test", INNER.format(added)), ("outer_of_test", OUTER)):
            sys.modules.pop(name, None)
            path = tmp_path / f"{name}.py"
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
            if name == "outer_of_test":
                os.utime(path, (1e9, 1e9))
        importlib.invalidate_caches()
        outer = importlib.import_module("outer_of_test").outer
        return outer(1), sum(outer.stats.cache_hits.values())

    yield load
    for name in ("inner_of_test", "outer_of_test"):
        sys.modules.pop(name, None)


def test_code_is_kept_until_a_source_that_it_inlines_changes(run):
    assert run(10) == (11, 0)
    assert run(10) == (11, 1)
    assert run(20) == (21, 0)
    assert run(20) == (21, 1)


def test_other_threads_go_on_while_compiled_code_runs():
    @compiling.compiled()
    def worked(count):
        x = 1.0
        for _ in range(count):
            x = x * 0.5 + 1.0
        return x

    worked(1)
    thread = threading.Thread(target=worked, args=(300_000_000,))
    thread.start()
    turns = 0
    while thread.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 20


def test_what_compiled_code_inlines_stands_in_the_folders_of_the_digest():
    device = Path(compiling.__file__).parents[2]
    compiled = re.compile(r"\n@(kernel|inlined|compiled\()")
    users = {file for file in device.rglob("*.py") if compiled.search(file.read_text(encoding="utf-8"))}
    assert len(users) > 5
    for file in users:
        # What Triton compiles is no part of numba's code, and its changes compile nothing of that anew.
        assert not file.is_relative_to(device / "kernels" / "gpu")
        if not file.is_relative_to(device / "kernels"):
            # Compiled for its own file's sake: no compiled function of another file may call it.
            name = ".".join(file.relative_to(device).with_suffix("").parts)
            assert not [user for user in users if f"vcm_sweep.device.{name} import" in user.read_text(encoding="utf-8")]
        assert "\n@nb.njit(cache" not in file.read_text(encoding="utf-8")
