"""Each factor of the catalogue moves one number of the device, and takes its mechanism's settings from the table."""

import dataclasses

import pytest

from vcm_sweep.device import CellParameters
from vcm_sweep.sweep import Study
from vcm_sweep.sweep.designs.limits import nominal_value
from vcm_sweep.sweep.study.catalogue import CATALOGUE, apply_factors
from vcm_sweep.sweep.study.tables.build_device import build_device

STUDY = """
[study]
name = "tiny"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[device]
model = "explicit"   # with this phi_n the full current jumps in N
phi_n = 0.15
[device.d2d.dW_A]
clip = 0.05
[device.d2d.R_th0]
clip = 0.2
[device.target.r]
clip = 0.07
renew = "polarity"
[device.window.w_max]
distribution = "uniform"
[device.telegraph]
switching = 0.3
[device.read_noise]
decades = 5
[device.pulse_error]
clip = 2.0
[[factor]]
name = "FIRST"
range = [0.0, 0.01]
[[factor]]
name = "network.lr"
range = [0.01, 0.02]
[design]
n = 4
"""

EXPECTED = {
    **{f"{name}.d2d.sigma": f"d2d.{name}.sigma" for name in CellParameters.names()},
    **{f"{n}.c2c.{step}": f"c2c.{n}.{step}" for n in ("N_max", "N_min", "r", "l") for step in ("direct", "slope")},
    "r.target.sigma": "targets.r.sigma",
    "l.target.sigma": "targets.l.sigma",
    "mismatch.global.mean": "mismatch.mean",
    "mismatch.d2d.sigma": "mismatch.sigma",
    "window.w_min.sigma": "window.w_min.sigma",
    "window.w_max.sigma": "window.w_max.sigma",
    "read.noise.sigma": "read_noise.sigma",
    "read.flicker.sigma": "read_noise.flicker",
    "read.telegraph.amplitude": "telegraph.amplitude",
    "write.error.sigma": "write.sigma",
    "stuck.low.fraction": "stuck.low",
    "stuck.high.fraction": "stuck.high",
    "pulse.amplitude.sigma": "pulse.amplitude",
    "pulse.width.sigma": "pulse.width",
}


def _flat(value, path=""):
    """All numbers and words of a variability by their path."""
    if dataclasses.is_dataclass(value):
        value = {spec.name: getattr(value, spec.name) for spec in dataclasses.fields(value)}
    if not isinstance(value, dict):
        return {path: value}
    return {k: v for key, item in value.items() for k, v in _flat(item, f"{path}.{key}".lstrip(".")).items()}


def _varied(name, value):
    study = Study.from_text(STUDY.replace("FIRST", name))
    return _flat(build_device(study.inputs({name: value})["device"]).variability)


@pytest.mark.parametrize(("name", "place"), EXPECTED.items())
def test_a_factor_moves_its_number_alone(name, place):
    one, two = _varied(name, 0.004), _varied(name, 0.008)
    assert (one.pop(place), two.pop(place)) == (0.004, 0.008)
    assert one == two


def test_half_of_the_stuck_cells_are_stuck_at_either_end():
    varied = _varied("stuck.total.fraction", 0.008)
    assert (varied["stuck.low"], varied["stuck.high"]) == (0.004, 0.004)


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("dW_A.d2d.sigma", "d2d.dW_A.clip", 0.05),
        ("r.target.sigma", "targets.r.renew", "polarity"),
        ("window.w_max.sigma", "window.w_max.distribution", "uniform"),
        ("read.telegraph.amplitude", "telegraph.switching", 0.3),
        ("read.flicker.sigma", "read_noise.decades", 5),
        ("pulse.amplitude.sigma", "pulse.clip", 2.0),
    ],
)
def test_a_factor_takes_the_settings_of_its_mechanism_from_the_table(name, setting, value):
    assert _varied(name, 0.004)[setting] == value


def test_a_factor_of_a_mechanism_that_the_table_leaves_out_has_its_defaults():
    bare = STUDY[: STUDY.index("[device]")] + STUDY[STUDY.index("[[factor]]") :]
    study = Study.from_text(bare.replace("FIRST", "read.telegraph.amplitude"))
    varied = _flat(build_device(study.inputs({"read.telegraph.amplitude": 0.1})["device"]).variability)
    assert (varied["telegraph.amplitude"], varied["telegraph.switching"]) == (0.1, 0.01)


CHOSEN = {
    "device": ("set_voltage_v", "reset_voltage_v", "pulse_s", "dw_min"),
    "periphery": ("w_min", "w_max"),
    "io": (
        "inp_bound", "inp_noise", "inp_res", "inp_bits", "inp_asymmetry", "out_bound", "out_noise", "out_res",
        "out_bits", "out_scale", "out_asymmetry", "w_noise", "max_bm_factor", "max_bm_res", "nm_thres", "mv_type",
        "bound_management", "noise_management", "w_noise_type",
    ),
    "update": ("res", "x_res_implicit", "d_res_implicit", "desired_bl", "pulse_type"),
    "network": ("activation", "epochs", "batch", "lr", "lr_step_epochs", "lr_gamma", "init", "train_samples"),
}  # fmt: skip


def test_the_catalogue_has_all_of_these_and_every_parameter_of_the_whole_array():
    chosen = {f"{table}.{field}" for table, fields in CHOSEN.items() for field in fields}
    of_array = {f"{name}.global.mean" for name in CellParameters.names()}
    assert set(EXPECTED) | {"stuck.total.fraction"} | chosen | of_array == set(CATALOGUE)


@pytest.mark.parametrize(
    ("name", "value", "path", "there"),
    [
        ("device.set_voltage_v", -0.35, ("device", "set_voltage_v"), -0.35),
        ("periphery.w_max", 2.0, ("device", "periphery", "w_max"), 2.0),
        ("io.out_noise", 0.1, ("device", "io", "out_noise"), 0.1),
        ("io.inp_bits", 7.0, ("device", "io", "inp_res"), 1 / 126),
        ("io.out_bits", 2.0, ("device", "io", "out_res"), 0.5),
        ("update.desired_bl", 7.0, ("device", "update", "desired_bl"), 7),
        ("network.batch", 10.0, ("network", "batch"), 10),
        ("network.activation", 1.0, ("network", "activation"), "tanh"),
        ("update.pulse_type", 3.0, ("device", "update", "pulse_type"), "MEAN_COUNT"),
        ("network.init", 0.25, ("network", "init"), 0.25),
    ],
)
def test_a_chosen_number_goes_into_its_field_in_its_type(name, value, path, there):
    found = apply_factors({"device": {}, "network": {}}, {name: value})
    for key in path:
        found = found[key]
    assert (found, type(found)) == (there, type(there))


def test_bits_in_a_table_are_the_step_of_the_converter():
    text = STUDY.replace("FIRST", "r.d2d.sigma").replace(
        "[device.read_noise]", "[device.io]\nout_bits = 9\n[device.read_noise]"
    )
    assert Study.from_text(text).device["io"] == {"out_res": 1 / 510}  # aihwkit's own default


@pytest.mark.parametrize(
    ("name", "span", "nominal"),
    [
        ("io.out_noise", "[0.0, 0.1]", 0.06),  # aihwkit's own defaults
        ("io.inp_bits", "[4, 9]", 7.0),
        ("update.desired_bl", "[3, 60]", 31.0),
        ("device.pulse_s", "[1e-7, 1e-6]", 1e-6),
        ("network.batch", "[8, 64]", 32.0),
        ("network.init", "[0.1, 0.9]", 0.5),
    ],
)
def test_the_nominal_value_of_what_no_table_gives_is_its_default(name, span, nominal):
    study = Study.from_text(STUDY.replace("FIRST", name).replace("[0.0, 0.01]", span))
    assert nominal_value(study, study.factors[0]) == pytest.approx(nominal, rel=1e-12)


def test_inputs_of_the_study_are_not_changed():
    inputs = {"device": {"stuck": {"low": 0.0}}, "network": {}}
    assert apply_factors(inputs, {"stuck.low.fraction": 0.1})["device"]["stuck"]["low"] == 0.1
    assert inputs == {"device": {"stuck": {"low": 0.0}}, "network": {}}
