"""A study of what an engineer chooses, from the file to the ranking; and what records say of their points' physics."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from vcm_sweep.analysis import analyze
from vcm_sweep.sweep import InProcessExecutor, Study, run, train
from vcm_sweep.sweep.trial import Trial

TEXT = """
[study]
name = "chosen"
[network]
hidden = [4]
data = "digits"
epochs = 1
batch = 32
lr = 0.05
train_samples = 64
test_samples = 50
[device]
model = "explicit"
[design]
method = "morris"
n = 8
seeds = "common"
[[factor]]
name = "device.set_voltage_v"
range = [-0.349, -0.335]
[[factor]]
name = "device.reset_voltage_v"
range = [0.692, 0.721]
[[factor]]
name = "device.pulse_s"
range = [3e-7, 3e-6]
distribution = "loguniform"
[[factor]]
name = "device.dw_min"
range = [5e-5, 1e-3]
distribution = "loguniform"
[[factor]]
name = "update.desired_bl"
range = [5, 63]
[[factor]]
name = "io.inp_res"
range = [0.002, 0.1]
[[factor]]
name = "io.out_noise"
range = [0.0, 0.12]
"""


def test_a_screening_of_the_operating_point_runs_to_its_ranking(tmp_path: Path) -> None:
    study = Study.from_text(TEXT)
    study.check()
    results = run(study, InProcessExecutor(train), tmp_path / "out", pack=16)
    records = results.table().to_pandas()
    assert len(records) == 8 * 8
    assert set(records.status) == {"ok"}
    assert set(records["x_update.desired_bl"] % 1) == {0.0}
    found = analyze(results, metric="energy_j", method="morris")
    assert found.factors == tuple(factor.name for factor in study.factors)
    assert all(np.isfinite(effect.value) for effect in found["mu_star"])


def a_trial(point: Mapping[str, float]) -> Trial:
    study = Study.from_text(TEXT)
    whole = {"device.dw_min": 1e-4, "update.desired_bl": 31.0, "io.inp_res": 0.01, "io.out_noise": 0.06} | point
    return Trial(0, 0, dict(whole), study.inputs(whole), seed=5)


def test_figures_of_a_record_are_those_of_its_own_operating_point() -> None:
    """Voltages and pulse length change the cells' figures, the asymmetry by the difference of two speeds."""
    low = {"device.set_voltage_v": -0.335, "device.reset_voltage_v": 0.7065, "device.pulse_s": 1e-6}
    high = low | {"device.set_voltage_v": -0.349}
    long = low | {"device.pulse_s": 2e-6}
    first, fast, slow = train([a_trial(point) for point in (low, high, long)])
    # The step of a SET grows with its voltage, that of a RESET stays.
    assert first.asymmetry_mean is not None
    assert fast.asymmetry_mean is not None
    assert fast.asymmetry_mean < first.asymmetry_mean - 0.5
    per_pulse = [
        record.energy_j / (record.pulses_set + record.pulses_reset)
        for record in (first, slow)
        if record.energy_j and record.pulses_set is not None and record.pulses_reset is not None
    ]
    assert per_pulse[1] == pytest.approx(2 * per_pulse[0], rel=0.2)  # V I t: twice as long
