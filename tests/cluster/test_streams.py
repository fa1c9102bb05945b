"""What is printed goes wherever standard output goes, or one line says why it does not."""

import os
import subprocess
from pathlib import Path

import pytest

from .calling import COMMAND, call


def test_a_full_standard_output_is_one_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, "device", "list"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "cannot be written (No space left on device): make room there" in done.stderr


def test_a_locale_without_signs_is_no_traceback() -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    done = call("plan", "--factors", env=os.environ | ascii_only, fresh=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_version_is_told() -> None:
    done = call("--version")
    assert done.stdout.startswith("vcm-sweep ")


def test_a_folder_is_not_compared_or_merged_with_itself(tmp_path: Path) -> None:
    from vcm_sweep.sweep import Store, Study

    Store.create(Study.from_toml("studies/demo.toml"), tmp_path / "r")
    merged = call("merge", tmp_path / "r", "--into", f"{tmp_path}/../{tmp_path.name}/r")
    assert (merged.returncode, merged.stderr.count("\n")) == (3, 1)
    assert "cannot be merged with itself" in merged.stderr
    compared = call("compare", tmp_path / "r", tmp_path / "r")
    assert (compared.returncode, compared.stderr.count("\n")) == (5, 1)
    assert "are one folder: name two studies" in compared.stderr
