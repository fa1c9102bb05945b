"""A user's own network: what cannot become stacked cells is refused when the study is read; an edit changes the key."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from vcm_sweep.sweep import SobolDesign, Study, StudyError, Trial, train

TEXT = """
[study]
name = "tiny"
[network]
data = "digits"
batch = 32
lr = 0.02
epochs = 1
train_samples = 64
test_samples = 50
init = "fan_in"
model = "{model}"
[[factor]]
name = "mismatch.global.mean"
range = [-0.5, 0.5]
[[factor]]
name = "network.lr"
range = [0.01, 0.05]
[design]
n = 4
"""

PREAMBLE = """
import numpy as np
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.a, self.b = nn.Linear(64, 64), nn.Linear(64, classes)
    def forward(self, x):
        return self.b(torch.tanh(self.a(x.flatten(1))))
"""

Own: TypeAlias = Callable[[str], str]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Own:
    """Writes a module of the given code, imported anew; gives the path of its ``get``."""
    monkeypatch.syspath_prepend(tmp_path)
    # Two edits within a second look alike to Python's cache of compiled modules.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name = f"own_model_{tmp_path.name}"

    def write(code: str) -> str:
        (tmp_path / f"{name}.py").write_text(PREAMBLE + code)
        sys.modules.pop(name, None)
        return f"{name}:get"

    return write


def read(model: str) -> Study:
    return Study.from_text(TEXT.format(model=model))


def first_trial(model: str) -> Trial:
    return next(iter(SobolDesign(read(model)).trials()))


@pytest.mark.parametrize(
    "body",
    [
        "return Net(classes)",
        "return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, stride=2, bias=False), nn.ReLU(), nn.Flatten(),"
        " nn.Linear(64, classes))",
        "return nn.Sequential(nn.Sequential(nn.Flatten(), nn.Linear(64, 8)), nn.Softplus(), nn.Linear(8, classes))",
    ],
    ids=["attributes", "convolution", "nested"],
)
def test_what_can_become_cells_trains(own: Own, body: str) -> None:
    record = train([first_trial(own(f"def get(shape, classes):\n    {body}"))])[0]
    assert record.status == "ok"
    assert record.pulses_set


@pytest.mark.parametrize(
    ("code", "words"),
    [
        # layers
        (
            "class Mine(nn.Linear):\n    def forward(self, x): return 2 * super().forward(x)\n"
            "def get(shape, classes): return nn.Sequential(nn.Flatten(), Mine(64, classes))",
            ["'1' (Mine)", "no subclasses"],
        ),
        (
            "def get(shape, classes):\n    net = Net(64)\n    net.b.weight = net.a.weight\n    return net",
            ["'a' and 'b' are tied", "its own weights"],
        ),
        (
            "class Twice(Net):\n    def forward(self, x): return self.b(self.a(self.a(x.flatten(1))))\n"
            "def get(shape, classes): return Twice(classes)",
            ["'a' is called 2 times", "a layer of its own"],
        ),
        (
            "def get(shape, classes):\n    layer = nn.Linear(64, 64)\n"
            "    return nn.Sequential(nn.Flatten(), layer, layer, nn.Linear(64, classes))",
            ["'1' and '2' are tied"],
        ),
        (
            "class Unused(Net):\n    def forward(self, x): return self.b(x.flatten(1))\n"
            "def get(shape, classes): return Unused(classes)",
            ["'a' is called 0 times"],
        ),
        (
            "class Weight(Net):\n    def forward(self, x):\n"
            "        h = self.a(x.flatten(1))\n        return self.b(h @ self.a.weight.detach().T)\n"
            "def get(shape, classes): return Weight(classes)",
            ["as cells"],
        ),
        (
            "class Cut(Net):\n    def forward(self, x): return self.b(self.a(x.flatten(1)).detach())\n"
            "def get(shape, classes): return Cut(classes)",
            ["no gradient reaches the layer 'a'"],
        ),
        (
            "def get(shape, classes):\n    net = Net(classes)\n    net.a.weight.requires_grad_(False)\n    return net",
            ["a.weight has requires_grad = False", "leave True"],
        ),
        ("def get(shape, classes): return Net(classes).double()", ["a.weight is torch.float64", "torch.float32"]),
        (
            "def get(shape, classes):\n    net = Net(classes)\n"
            "    net.a.register_forward_hook(lambda m, x, y: 2 * y)\n    return net",
            ["other scores when its layers are arrays of cells", "without hooks"],
        ),
        (
            "def get(shape, classes):\n    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, groups=2),"
            " nn.Flatten(), nn.Linear(64, classes))",
            ["'1' has groups = 2", "leave 1"],
        ),
        (
            "def get(shape, classes):\n"
            "    return nn.Sequential(nn.Conv2d(1, 4, 3, padding='same'), nn.Flatten(), nn.Linear(256, classes))",
            ["padding = 'same'", "in numbers"],
        ),
        (
            "def get(shape, classes):\n    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, padding_mode='reflect'),"
            " nn.Flatten(), nn.Linear(256, classes))",
            ["padding_mode = 'reflect'", "'zeros'"],
        ),
        # what is neither weight nor sample
        (
            "class Three(Net):\n    def __init__(self, classes):\n        super().__init__(classes)\n"
            "        self.register_buffer('shift', torch.ones(3, 1))\n"
            "    def forward(self, x): return super().forward(x.flatten(1) + self.shift)\n"
            "def get(shape, classes): return Three(classes)",
            ["in a batch of 1", "number of samples"],
        ),
        (
            "class Count(Net):\n    def forward(self, x): return super().forward(x) / len(x)\n"
            "def get(shape, classes): return Count(classes)",
            ["other scores in a batch of 1", "number of samples"],
        ),
        (
            "class Squeezed(Net):\n    def forward(self, x): return super().forward(x).squeeze()\n"
            "def get(shape, classes): return Squeezed(classes)",
            ["in a batch of 1"],
        ),
        (
            "class Masked(Net):\n    def __init__(self, classes):\n        super().__init__(classes)\n"
            "        self.register_buffer('mask', torch.rand(64).round())\n"
            "    def forward(self, x): return super().forward(x.flatten(1) * self.mask)\n"
            "def get(shape, classes): return Masked(classes)",
            ["buffer 'mask'", "a seed of its own"],
        ),
        (
            "class Hidden(Net):\n    def __init__(self, classes):\n        super().__init__(classes)\n"
            "        self.factor = np.random.rand()\n"
            "    def forward(self, x): return self.factor * super().forward(x)\n"
            "def get(shape, classes): return Hidden(classes)",
            ["other scores with equal weights"],
        ),
        (
            "class Counting(Net):\n    def __init__(self, classes):\n        super().__init__(classes)\n"
            "        self.register_buffer('seen', torch.zeros(()))\n"
            "    def forward(self, x):\n        self.seen += 1\n        return super().forward(x)\n"
            "def get(shape, classes): return Counting(classes)",
            ["changes its buffer 'seen'"],
        ),
        # code that leaves
        ("import sys\ndef get(shape, classes): sys.exit('no')", ["failed with SystemExit: no"]),
        (
            "import sys\nclass Leaving(Net):\n    def forward(self, x): sys.exit(3)\n"
            "def get(shape, classes): return Leaving(classes)",
            ["failed on a batch", "SystemExit: 3"],
        ),
    ],
)  # fmt: skip
def test_what_cannot_is_one_line_when_the_study_is_read(own: Own, code: str, words: list[str]) -> None:
    path = own(code)
    with pytest.raises(StudyError) as caught:
        read(path)
    line = str(caught.value)
    assert line.startswith("[network] model")
    assert "\n" not in line
    for word in words:
        assert word in line


def test_an_edited_model_is_another_study_with_other_keys(own: Own) -> None:
    code = "def get(shape, classes): return nn.Sequential(nn.Flatten(), nn.{}(), nn.Linear(64, classes))"
    path = own(code.format("Tanh"))
    before, key = read(path).digest, first_trial(path).key
    assert (read(path).digest, first_trial(path).key) == (before, key)
    own(code.format("ReLU"))
    assert read(path).digest != before
    assert first_trial(path).key != key


def test_a_worker_that_sees_another_model_says_so(own: Own) -> None:
    code = "def get(shape, classes): return nn.Sequential(nn.Flatten(), nn.{}(), nn.Linear(64, classes))"
    trial = first_trial(own(code.format("Tanh")))
    own(code.format("ReLU"))
    with pytest.raises(StudyError, match=r"\[network\] model = .* other content where it is trained"):
        train([trial])


def test_results_are_opened_without_running_a_users_code(own: Own) -> None:
    path = own("def get(shape, classes): return Net(classes)")
    study = read(path)
    own("raise RuntimeError('somebody else wrote this')")
    assert Study.from_text(study.text, study.frozen).digest == study.digest


@pytest.mark.parametrize(
    "first",
    [
        "nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(72, classes))",
        "nn.Sequential(nn.Flatten(), nn.Linear(64, 8, bias=False), nn.ReLU(inplace=True), nn.Linear(8, classes))",
        "nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.Tanh(), nn.LazyLinear(classes))",
        "nn.Sequential(nn.LazyConv2d(2, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(classes), nn.LogSoftmax(1))",
    ],
)
def test_layers_in_place_without_bias_and_lazy_ones_train(own: Own, first: str) -> None:
    study = Study.from_text(TEXT.format(model=own(f"def get(shape, classes):\n    return {first}\n")))
    (record,) = train([SobolDesign(study).trial(0, 0)])
    assert record.status == "ok"


@pytest.mark.parametrize("last", ["nn.Softmax(1)", "nn.Softmax(dim=-1)"])
def test_scores_that_are_probabilities_already_are_refused(own: Own, last: str) -> None:
    code = f"def get(shape, classes):\n    return nn.Sequential(Net(classes), {last})\n"
    with pytest.raises(StudyError, match=r"gives probabilities .* loss has a softmax of its own: leave its softmax"):
        Study.from_text(TEXT.format(model=own(code)))


def test_a_lazy_network_that_cannot_be_called_is_one_line(own: Own) -> None:
    code = (
        "def get(shape, classes):\n    return nn.Sequential(nn.LazyConv2d(2, 3), nn.LazyLinear(2), nn.Linear(7, 2))\n"
    )
    with pytest.raises(StudyError, match=r"lazy layers take their shapes from a first call, .* failed with Runtime"):
        Study.from_text(TEXT.format(model=own(code)))
