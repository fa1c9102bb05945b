"""Every array of a stack is made once, and written once with its own weights."""

from collections import Counter
from collections.abc import Callable

import pytest
import torch

from vcm_sweep.device.array.cell_arrays import CellArrays
from vcm_sweep.sweep import Study, build_design
from vcm_sweep.sweep.training.cell_stack import CellStack

TEXT = """
[study]
name = "tiny"
[network]
{network}
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[device]
model = "explicit"
write = {{ sigma = 0.05 }}
{more}
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[design]
n = 4
"""


def stacked(text: str, count: int) -> CellStack:
    trials = list(build_design(Study.from_text(text)).trials(range(count)))
    spec = trials[0].inputs["network"]
    return CellStack(trials, [trial.inputs["device"] for trial in trials], spec, (1, 8, 8), 10)


def counting(counts: Counter[str], name: str) -> Callable[..., None]:
    method = getattr(CellArrays, name)

    def counted(*args: object, **more: object) -> None:
        counts[name] += 1
        method(*args, **more)

    return counted


@pytest.mark.parametrize(
    ("network", "more", "layers"),
    [("hidden = [8]", "", 2), ("hidden = [8]", "mapping = { max_input_size = 40 }", 3), ("preset = 'lenet'", "", 5)],
)
def test_every_array_is_made_once_and_written_with_its_own_weights_alone(
    network: str, more: str, layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: Counter[str] = Counter()
    for name in ("fabricate", "program"):
        monkeypatch.setattr(CellArrays, name, counting(counts, name))
    stack = stacked(TEXT.format(network=network, more=more), 3)
    assert len(stack.tiles) == layers
    # Fabrication leaves all weights at 0; then come those that each trial draws.
    assert counts == {"fabricate": layers, "program": 2 * layers}
    assert all(torch.equal(tile.tile.cells.writes, torch.ones(3, dtype=torch.int64)) for tile in stack.tiles)
