"""Small trainings give what they gave: their states after one epoch, and from there on their records.

Bit for bit on a machine that rounds as the one did that made the files (``measured.arithmetic``). On another CPU the
products of torch and MKL are summed in another order, which moves the last bits of a step: there whole numbers
(pulses, accuracies, keys, reads) must be equal and all else must be within a millionth. Tried with the vector code for
AVX-512, AVX2 and SSE: no pulse more or less, and 3e-7 at most.
"""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vcm_sweep.sweep import train

from . import measured

CLOSE = 1e-6


@pytest.fixture(scope="module")
def same_arithmetic() -> bool:
    return measured.arithmetic() == measured.read("trainings.json")["arithmetic"]


@pytest.mark.parametrize("name", measured.TRAININGS)
def test_the_first_epoch_leads_to_the_same_state(name: str, tmp_path: Path, same_arithmetic: bool) -> None:
    trials = measured.trials(name)
    assert [record.status for record in measured.first_epoch(trials, tmp_path)] == ["preempted"] * len(trials)
    for trial in trials:
        file = f"{trial.key}.safetensors"
        made, kept = load_file(tmp_path / file), load_file(measured.HERE / "checkpoints" / file)
        assert made.keys() == kept.keys()
        for tensor in kept:
            exact = same_arithmetic or not kept[tensor].is_floating_point()
            tolerance = 0.0 if exact else CLOSE
            torch.testing.assert_close(
                made[tensor], kept[tensor], rtol=tolerance, atol=tolerance, msg=lambda m, t=tensor: f"{t}: {m}"
            )


@pytest.mark.parametrize("name", measured.TRAININGS)
def test_the_kept_states_lead_to_the_same_records(name: str, tmp_path: Path, same_arithmetic: bool) -> None:
    folder = shutil.copytree(measured.HERE / "checkpoints", tmp_path / "checkpoints")
    records = [measured.plain(record) for record in train(measured.trials(name), checkpoints=str(folder))]
    kept = measured.read("trainings.json")["records"][name]
    assert [record["exact"] for record in records] == [record["exact"] for record in kept]
    for record, golden in zip(records, kept, strict=True):
        expected = golden["close"] if same_arithmetic else pytest.approx(golden["close"], rel=CLOSE)
        assert record["close"] == expected
