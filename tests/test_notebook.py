"""The notebook of the documentation runs from its first cell to its last, and is kept without what came out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"
CELLS = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def test_it_is_kept_without_what_came_out() -> None:
    assert [(cell["outputs"], cell["execution_count"]) for cell in CELLS] == [([], None)] * len(CELLS)


@pytest.mark.slow
def test_it_runs(tmp_path: Path) -> None:
    code = "\n".join("".join(cell["source"]) for cell in CELLS)
    code += "\nassert len(records) == 32 and records.accuracy.between(0.1, 1.0).all(), records.accuracy"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "MPLBACKEND": "agg"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "mismatch.global.mean" in done.stdout
