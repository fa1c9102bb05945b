"""The [device.intervention] table: its canonical form, its mistakes, and trainings in every arm."""

import dataclasses
import json
from pathlib import Path

import pytest

from vcm_sweep.device import INTERVENTIONS
from vcm_sweep.sweep import SobolDesign, Study, StudyError, train
from vcm_sweep.sweep.study.tables.build_device import build_device
from vcm_sweep.sweep.study.tables.device import canonical_device
from vcm_sweep.sweep.study.tables.intervention import nominal_table
from vcm_sweep.sweep.training.cell_stack import CellStack

TEXT = """
[study]
name = "tiny"
[network]
data = "digits"
hidden = [12]
epochs = 2
batch = 32
lr = 0.02
train_samples = 160
test_samples = 60
[device]
dw_min = 1e-3
[device.c2c.l]
direct = 0.01
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.05]
[[factor]]
name = "r.c2c.direct"
range = [0.0, 0.01]
[design]
n = 2
"""


def arm(kind: str) -> str:
    return TEXT.replace("[[factor]]", f'[device.intervention]\nkind = "{kind}"\n[[factor]]', 1)


def plain_records(trials, **options):
    return [dataclasses.replace(record, wall_s=0.0, cpu_s=0.0) for record in train(trials, **options)]


def test_a_study_without_an_intervention_has_the_keys_that_it_had():
    assert "intervention" not in canonical_device({})


def test_the_nominal_device_is_written_out_and_is_the_studys_own_without_what_varies():
    given = {"T_0": 310.0, "model": "explicit", "d2d": {"r": {"sigma": 0.05}}, "mismatch": {"mean": 0.2}}
    plain = canonical_device(given | {"intervention": {"kind": "matched"}})
    nominal = plain["intervention"]["nominal"]
    assert nominal == nominal_table(canonical_device({"T_0": 310.0, "model": "explicit"}))
    assert json.loads(json.dumps(plain)) == plain == canonical_device(plain)
    other = {"kind": "matched", "nominal": {"T_0": 293.0, "read_noise": {"sigma": 0.1}}}
    device = build_device(canonical_device(given | {"intervention": other}))
    assert device.intervention.nominal.parameters.T_0 == 293
    assert device.intervention.nominal.variability.read_noise.sigma == 0.1
    assert device.parameters.T_0 == 310


def test_a_whole_device_table_may_be_given_as_the_nominal_one():
    """As the mediation's arms do: the study's device before its factors, with its layer settings."""
    whole = canonical_device({"update": {"desired_bl": 7}, "read_noise": {"sigma": 0.02}})
    plain = canonical_device(whole | {"intervention": {"kind": "matched", "nominal": whole}})
    assert plain["intervention"]["nominal"] == nominal_table(whole)
    built = build_device(whole | {"intervention": {"kind": "matched", "nominal": whole}})
    assert built.intervention.nominal.variability.read_noise.sigma == 0.02


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"kind": "match"}, ["[device.intervention] kind = 'match'", "'speed_only'"]),
        ({}, ["[device.intervention] kind is missing"]),
        ({"kind": "matched", "arm": 1}, ["[device.intervention]", "'arm'"]),
        ({"kind": "matched", "nominal": {"T_1": 300.0}}, ["intervention.nominal", "'T_0'"]),
        ({"kind": "matched", "nominal": {"r": 1.0}}, ["intervention.nominal", "r = 1.0"]),
        ({"kind": "matched", "nominal": {"model": "explicit"}}, ["model", "must mean the same"]),
        ({"kind": "matched", "nominal": {"io": {"inp_res": 0.1}}}, ["io", "leave it out"]),
        ({"kind": "matched", "nominal": {"aihwkit": "SoftBoundsDevice"}}, ["aihwkit", "leave it out"]),
        (3, ["[device.intervention] must be a table"]),
    ],
)
def test_mistakes_are_one_line(table, words):
    with pytest.raises(StudyError) as caught:
        canonical_device({"intervention": table})
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_trainings_run_in_every_arm_and_differ():
    """Each arm is another training; records say the mismatch that the pulses had."""
    records = {}
    for kind in ("", *INTERVENTIONS):
        trials = list(SobolDesign(Study.from_text(arm(kind) if kind else TEXT)).trials())[:2]
        records[kind] = plain_records(trials)
        assert all(record.status == "ok" and record.pulses_set > 1000 for record in records[kind]), kind
    assert len({record[1].loss for record in records.values()}) == len(records)
    sd = {kind: both[1].asymmetry_sd for kind, both in records.items()}
    for kind in ("", "speed_matched", "mismatch_only"):
        assert sd[kind] == pytest.approx(sd["speed_matched"], rel=0.2)
        assert sd[kind] > 0.01
    assert sd["matched"] < 1e-3
    assert sd["speed_only"] < 1e-3


@pytest.mark.parametrize("kind", ["matched", "mismatch_only"])
def test_an_interrupted_training_goes_on_to_the_same_bits(kind, tmp_path: Path, monkeypatch):
    """The walk of the cells that do not act is part of what is saved."""

    class Interrupted(BaseException):
        pass

    chosen = list(SobolDesign(Study.from_text(arm(kind))).trials())[:2]
    whole = plain_records(chosen)
    step, taken = CellStack.step, [0]

    def counted(self, rates):
        if taken[0] == 7:
            raise Interrupted
        taken[0] += 1
        step(self, rates)

    with monkeypatch.context() as patch:
        patch.setattr(CellStack, "step", counted)
        with pytest.raises(Interrupted):
            train(chosen, checkpoints=str(tmp_path), checkpoint_s=1e-9)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
    assert plain_records(chosen, checkpoints=str(tmp_path)) == whole
