"""Compiled code on disk: used again as long as nothing changes, and never after a change in any of its sources."""

import importlib
import os
import sys
from pathlib import Path

import pytest

from vcm_sweep.device import _compiled

INNER = "from vcm_sweep.device._compiled import compiled\n\n\n@compiled()\ndef inner(x):\n    return x + {}\n"
OUTER = """from inner_of_test import inner

from vcm_sweep.device._compiled import compiled


@compiled()
def outer(x):
    return inner(x)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Write and load the two modules as a fresh process would; give outer(1) and how often code came from disk."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(_compiled, "digest", lambda _folder, _modules: (tmp_path / "inner_of_test.py").read_text())
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


def test_every_module_with_compiled_functions_is_a_source():
    folder = Path(_compiled.__file__).parent
    users = {path.stem for path in folder.glob("*.py") if "from ._compiled import" in path.read_text(encoding="utf-8")}
    assert users <= set(_compiled.SOURCES)
    assert len(users) > 5
    assert not [path.stem for path in folder.rglob("*.py") if "\n@nb.njit(cache" in path.read_text(encoding="utf-8")]
