"""The [device] table: every mechanism can be said, is checked, and has one canonical form."""

import json

import pytest

from vcm_sweep.device import CellParameters, DeviceError, ReadNoise, Spread, TargetWalk
from vcm_sweep.device.physics import currents
from vcm_sweep.sweep import StudyError
from vcm_sweep.sweep.study.tables.build_device import build_device
from vcm_sweep.sweep.study.tables.device import canonical_device
from vcm_sweep.sweep.study.tables.window_check import check_device

EVERYTHING = {
    "T_0": 300.0,
    "on_invalid": "error",
    "d2d": {"dW_A": {"sigma": 0.01, "clip": 0.05}, "r": {"sigma": 0.05}},
    "correlation": {"names": ["r", "dW_A"], "matrix": [[1.0, 0.5], [0.5, 1]]},
    "c2c": {"r": {"direct": 0.01}},
    "target": {"l": {"sigma": 0.05, "renew": "polarity"}},
    "mismatch": {"mean": 0.2},
    "window": {"w_max": {"sigma": 0.1, "distribution": "uniform"}},
    "read_noise": {"sigma": 0.01, "flicker": 0.02, "decades": 4},
    "telegraph": {"amplitude": 0.1, "fraction": 0.3, "switching": 0.05, "state_exponent": 0.5},
    "write": {"sigma": 0.02},
    "stuck": {"low": 0.01, "total": 0.02},
    "pulse_error": {"amplitude": 0.001, "width": 0.02},
}


@pytest.fixture
def full_model(monkeypatch):
    """The word "full", whatever stands behind it: these tests are about words."""
    try:
        currents.current_function("full")
    except DeviceError:
        monkeypatch.setitem(currents._MODELS, "full", currents.current_function("explicit"))


def test_every_mechanism_of_the_table_reaches_the_device():
    device = build_device(canonical_device(EVERYTHING))
    varied = device.variability
    assert device.parameters.T_0 == 300
    assert device.on_invalid == "error"
    assert varied.d2d == {"dW_A": Spread(0.01, 0.05), "r": Spread(0.05, 0.3)}
    assert (varied.correlation.names, varied.correlation.matrix) == (("dW_A", "r"), ((1, 0.5), (0.5, 1)))
    assert varied.c2c["r"].direct == 0.01
    assert varied.targets == {"l": TargetWalk(0.05, 0.1, "polarity")}
    assert varied.mismatch.mean == 0.2
    assert (varied.window.w_min, varied.window.w_max) == (None, Spread(0.1, 0.3, "uniform"))
    assert varied.read_noise == ReadNoise(0.01, 0.02, 4)
    assert (varied.telegraph.amplitude, varied.telegraph.fraction) == (0.1, 0.3)
    assert varied.write.sigma == 0.02
    assert (varied.stuck.low, varied.stuck.high) == pytest.approx((0.02, 0.01))
    assert (varied.pulse.amplitude, varied.pulse.width, varied.pulse.clip) == (0.001, 0.02, 3)


@pytest.mark.parametrize("table", [{}, EVERYTHING, {"telegraph": {"switching": 0.1}}, {"d2d": {"r": {}}}])
def test_a_canonical_table_is_plain_and_its_own_canonical_form(table):
    plain = canonical_device(table)
    assert json.loads(json.dumps(plain)) == plain == canonical_device(plain)


def test_one_device_has_one_table_however_it_is_written():
    assert canonical_device({}) == canonical_device(
        {"stuck": {"low": 0}, "write": {}, "telegraph": {"amplitude": 0.0}, "read_path": "cell", "target": {}}
    )
    assert canonical_device({}) == canonical_device({"model": "tabulated"})
    other = EVERYTHING | {
        "correlation": {"names": ["dW_A", "r"], "matrix": [[1, 0.5], [0.5, 1.0]]},
        "read_noise": {"decades": 4, "sigma": 0.01, "flicker": 0.02},
    }
    assert canonical_device(other) == canonical_device(EVERYTHING)


def test_the_former_name_of_the_read_noise_is_taken_with_a_warning():
    with pytest.warns(FutureWarning, match=r"\[device.read_noise\]: white is named sigma now"):
        plain = canonical_device({"read_noise": {"white": 0.01}})
    assert plain == canonical_device({"read_noise": {"sigma": 0.01}})


def test_tables_of_version_2_keep_the_form_that_version_2_gave_them():
    """Their form is in the keys of finished trials: another one would have them all run again."""
    spread = {"sigma": 0.1, "clip": 0.2, "distribution": "clipped"}
    walk = {"direct": 0.01, "slope": 0.0, "clip": 0.1}
    written = {
        "model": "explicit", "dw_min": 1e-4, "set_voltage_v": -0.342, "reset_voltage_v": 0.7065, "pulse_s": 1e-6,
        "T_0": 293.0, "eps": 17.0, "eps_phiB": 5.5, "phi_Bn0": 0.18, "phi_n": 0.1, "mu_n": 4e-6, "N_max": 20.0,
        "N_min": 0.008, "N_plug": 20.0, "a": 0.25e-9, "nu_0": 2e13, "dW_A": 1.35, "R_th0": 15.72e6, "r": 42e-9,
        "r_nominal": 45e-9, "l_cell": 3e-9, "l": 0.4e-9, "R_theff_scaling": 0.27, "R_TiOx": 650.0, "R_0": 719.2437,
        "R_th_line": 90471.47, "alpha_line": 3.92e-3,
        "periphery": {"w_min": -1.5, "w_max": 1.5, "clamped": True},
        "d2d": {"r": spread}, "c2c": {"l": walk}, "mismatch": {"mean": 0.0, "sigma": 0.3},
        "read_noise": {"sigma": 0.02}, "io": {}, "update": {"desired_bl": 7},
    }  # fmt: skip
    given = {"model": "explicit", "r": 42e-9, "d2d": {"r": spread}, "c2c": {"l": {"direct": 0.01}}}
    given |= {"mismatch": {"sigma": 0.3}}
    assert canonical_device(given | {"read_noise": {"sigma": 0.02}, "update": {"desired_bl": 7}}) == written


@pytest.mark.usefixtures("full_model")
def test_tabulated_is_another_word_for_tables_of_the_full_model():
    full = canonical_device({"model": "full", "method": "tabulated"})
    assert canonical_device({"model": "tabulated"}) == canonical_device({"model": "full"}) == full
    assert (full["model"], full["method"], full["read_path"]) == ("full", "tabulated", "cell")
    nominal = canonical_device({"model": "full", "read_path": "nominal"})
    assert canonical_device(nominal) == nominal
    assert not build_device(nominal).reads_cell
    assert build_device(full).reads_cell
    with pytest.raises(StudyError, match="method = 'direct' contradicts model = 'tabulated'"):
        canonical_device({"model": "tabulated", "method": "direct"})


def test_a_cell_of_the_library_gives_the_parameters_that_the_table_does_not(monkeypatch):
    import sys
    import types

    library = types.ModuleType("vcm_sweep.device.library.library")
    library.load_cell = lambda name: {"wide": CellParameters(r=60e-9, T_0=350.0)}[name]
    monkeypatch.setitem(sys.modules, "vcm_sweep.device.library.library", library)
    plain = canonical_device({"cell": "wide", "T_0": 310.0})
    assert (plain["r"], plain["T_0"]) == (60e-9, 310.0)
    assert plain == canonical_device({"r": 60e-9, "T_0": 310.0}), "the name is no part of the key, the numbers are"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"d2d": {"dWA": {}}}, ["[device.d2d]", "'dWA'", "did you mean 'dW_A'"]),
        ({"c2c": {"dW_A": {}}}, ["[device.c2c]", "'dW_A'", "N_max, N_min, r, l"]),
        ({"target": {"r": {"renew": "never"}}}, ["[device.target.r]", "'never'", "'pulse', 'polarity'"]),
        ({"window": {"w_min": {"sigma": -1}}}, ["[device.window.w_min]", "sigma = -1", "from 0 to 10"]),
        ({"telegraph": {"amplitud": 0.1}}, ["[device.telegraph]", "did you mean 'amplitude'"]),
        ({"read_noise": {"sigma": 0.1, "white": 0.1}}, ["[device.read_noise]", "keep sigma alone"]),
        ({"read_noise": {"decades": 2.0}}, ["decades = 2.0", "whole number from 1 to 8"]),
        ({"write": {"sigma": "big"}}, ["[device.write]", "'big'"]),
        ({"stuck": {"low": 0.8, "total": 0.8}}, ["low + high + total = 1.6", "at most 1"]),
        ({"stuck": {"mask": [1]}}, ["[device.stuck]", "'mask'"]),
        ({"correlation": {"names": ["r"]}}, ["[device.correlation]", "matrix"]),
        ({"correlation": {"names": ["r", "l"], "matrix": [[1, 0.5], [0.4, 1]]}}, ["[device]", "must equal"]),
        ({"correlation": {"names": ["r", ["l"]], "matrix": [[1, 0.5], [0.5, 1]]}}, ["[device]", "['l']"]),
        ({"d2d": {"r": {"sigma": 0.2, "distribution": "uniform"}}}, ["[device] d2d.r:", "uniform", "clip / sqrt(3)"]),
        ({"d2d": {"dW_A": {"sigma": 0.01}}}, ["dW_A of a cell", "1.5", "clip"]),
        ({"method": "exact"}, ["method = 'exact'", "'tabulated', 'direct'"]),
        ({"read_path": "both"}, ["read_path = 'both'", "'cell', 'nominal'"]),
        ({"on_invalid": "skip"}, ["on_invalid = 'skip'", "'record', 'error'"]),
        ({"d2d": 3}, ["[device.d2d] must be a table"]),
        ({"d2d": {"r": 3}}, ["[device.d2d.r] must be a table"]),
    ],
)
def test_a_mistake_is_one_line_that_names_its_table(table, words):
    with pytest.raises(StudyError) as caught:
        canonical_device(table)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


LEAVES_MODEL = {"model": "explicit", "a": 1e-9, "r": 1e-8, "mu_n": 1e-6, "set_voltage_v": -0.3, "pulse_s": 1e-12}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (LEAVES_MODEL, ["[device] set_voltage_v = -0.3 V", "|gamma| >= 1", "nearer to the default cell's"]),
        ({"pulse_s": 1e-2}, ["[device] one SET pulse of pulse_s = 0.01 s", "shorten the pulse or lower the voltage"]),
        (
            {"intervention": {"kind": "matched", "nominal": {"pulse_s": 1e-2}}},
            ["intervention.nominal: [device] one SET pulse"],
        ),
        pytest.param(
            {"aihwkit": "ConstantStepDevice", "settings": {"w_min": 1.0}},
            ["[device] aihwkit refuses ConstantStepDevice"],
            marks=pytest.mark.engine,
        ),
    ],
)
def test_what_takes_a_pulse_to_know_is_said_by_the_check(table, words):
    plain = canonical_device(table)
    with pytest.raises(StudyError) as caught:
        check_device(plain)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
