"""The compiled loops of a product see rows without gaps: others they go through one by one, slowly."""

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import numpy as np, torch
from aihwkit.simulator.parameters import IOParameters
from vcm_sweep.device.kernels.cpu import converters
from vcm_sweep.device.tile.compiled_product import CompiledProduct, new_suspects
from vcm_sweep.device.tile.io_numbers import IoNumbers
keys = np.arange(2).astype(np.uint64)
for sd in (None, torch.ones(2, 3, 4)):
    given = torch.ones(2, 3, 4), torch.ones(2, 5, 4), IoNumbers([IOParameters()], True), keys, new_suspects(2), sd
    CompiledProduct()(*given)
for name in ("_dot", "_dot_of_square", "_add", "_add_each", "_cut", "_discretise", "_multiply", "fill_normal"):
    arguments = [each for made in getattr(converters, name).signatures for each in made]
    print(name, *sorted({each.layout for each in arguments if hasattr(each, "layout")}))
"""


def test_rows_have_no_gaps_with_read_noise_or_without(tmp_path: Path) -> None:
    """Compiled anew, since of a loop that is loaded from the disk the inner ones are not known."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    layouts = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert layouts == dict.fromkeys(layouts, "C")
    assert len(layouts) == 8
