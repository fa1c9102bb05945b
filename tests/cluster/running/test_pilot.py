"""The pilot of ``plan`` stays short, even if a single trial takes long to begin."""

from collections.abc import Sequence
from typing import Any

import pytest

from vcm_sweep.cluster.ray_executor.tasks import TrainSettings
from vcm_sweep.cluster.running import pilot
from vcm_sweep.sweep import Study, Trial, build_design
from vcm_sweep.sweep.training.stacked_training import StackedTraining

STUDY = """
[study]
name = "slow"
[network]
hidden = [8]
data = "digits"
epochs = 400
batch = 32
lr = 0.02
train_samples = 320
test_samples = 100
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[design]
method = "sobol"
n = 8
"""


@pytest.mark.parametrize(("long_s", "packs"), [(1e-6, [1, 1]), (1e6, [1, 1, 6])], ids=["long", "short"])
def test_one_trial_stands_for_a_pack_that_takes_long_to_begin(
    long_s: float, packs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []

    class Noted(StackedTraining):
        def __init__(self, trials: Sequence[Trial], *rest: Any) -> None:
            begun.append(len(trials))
            super().__init__(trials, *rest)

    monkeypatch.setattr("vcm_sweep.sweep.training.stacked_training.StackedTraining", Noted)
    monkeypatch.setattr(pilot, "_LONG_S", long_s)
    monkeypatch.setattr(pilot, "_WARM", set())
    design = build_design(Study.from_text(STUDY))
    settings = TrainSettings(data_dir=None, import_dirs=(), device="cpu")
    records = pilot.measure(settings, 1e-5, [design.trial(0, replicate) for replicate in range(6)])
    assert begun == packs  # the first one is to warm up
    assert len(records) == 6
    (cost,) = {(record.cpu_s, record.share, record.bytes) for record in records}  # type: ignore[attr-defined]
    assert 0 < cost[1] < 0.01
    whole = Noted([design.trial(0, replicate) for replicate in range(6)], *_spec(design))
    assert cost[2] == whole.bytes_used()


def _spec(design: Any) -> tuple[dict[str, Any], Any, str]:
    from vcm_sweep.sweep.data.sets import load

    spec = design.trial(0, 0).inputs["network"]
    return spec, load("digits", None).first(320, 100, 0), "cpu"
