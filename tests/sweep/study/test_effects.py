"""A factor that would do nothing in a study, or whose range has no one meaning, is refused in one line."""

import pytest

from vcm_sweep.cluster.running.places import Place, executor_of, settings_of
from vcm_sweep.sweep import Study, StudyError
from vcm_sweep.sweep.study.effects import check_samples

TEXT = """
[study]
name = "tiny"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
MORE
[device]
DEVICE
[[factor]]
name = "network.lr"
range = [0.01, 0.1]
[[factor]]
name = "NAME"
range = RANGE
[design]
n = 4
"""
NEAREST = '[device.io]\nnoise_management = "NONE"'
CASES = [
    (
        "io.w_noise",
        "[0, 0.1]",
        "",
        "",
        r"no effect: \[device\.io\] w_noise_type is 'NONE': give 'ADDITIVE_CONSTANT' or",
    ),
    ("io.out_noise", "[0, 0.1]", "", "[device.io]\nis_perfect = true", r"no effect: \[device\.io\] is_perfect = true"),
    (
        "update.x_res_implicit",
        "[0, 0.1]",
        "",
        "",
        r"no effect: \[device\.update\] pulse_type is 'STOCHASTIC_COMPRESSED'",
    ),
    (
        "io.nm_thres",
        "[0.5, 2]",
        "",
        NEAREST,
        r"no effect: \[device\.io\] noise_management is 'NONE': give 'ABS_MAX' or",
    ),
    ("io.inp_asymmetry", "[0, 0.1]", "", "", r"no effect: \[device\.io\] mv_type is 'ONE_PASS': give 'POS_NEG_SEP"),
    ("update.desired_bl", "[3, 9]", "", '[device.update]\npulse_type = "NONE"', r"no effect: .*pulse_type is 'NONE'"),
    ("network.lr_gamma", "[0.1, 0.9]", "", "", r"no effect: \[network\] lr_step_epochs is 0: give it"),
    ("network.lr_step_epochs", "[1, 3]", "", "", r"no effect: \[network\] lr_gamma is 1: give it"),
    ("network.batch", "[8, 64]", "", NEAREST, r"last batches that are not full, which noise_management = 'NONE' reads"),
    ("io.out_res", "[0.01, 64]", "", "", r"range = \[0\.01, 64\] spans 1, up to which a value is a step and above it"),
    ("update.desired_bl", "[2.5, 9]", "", "", r"range = \[2\.5, 9\] must have whole numbers as its ends"),
    ("network.batch", "[0, 64]", "", "", r"= 0 must be a finite number from 1 to 100000"),
    (
        "device.pulse_s",
        "[1e-7, 1e-6]",
        "",
        'aihwkit = "ConstantStepDevice"',
        r"no effect on the study's device \(Constant",
    ),
    (
        "aihwkit.dw_min",
        "[1e-4, 1e-3]",
        "",
        "",
        r"no effect on the study's device \(VCM cells\): aihwkit\.<field> is for",
    ),
    ("io.w_noise_type", "[0, 1]", "", "", r"varies over words: give distribution = 'categorical' and choices of them"),
    ("device.model", "[0, 1]", "", "", r"unknown factor 'device\.model'"),
]


@pytest.mark.parametrize(("name", "span", "more", "device", "message"), CASES)
def test_a_factor_that_does_nothing_is_refused(name: str, span: str, more: str, device: str, message: str) -> None:
    text = TEXT.replace("MORE", more).replace("DEVICE", device).replace("NAME", name).replace("RANGE", span)
    with pytest.raises(StudyError, match=message):
        Study.from_text(text)


MANAGEMENT = """
[[factor]]
name = "io.noise_management"
distribution = "categorical"
choices = ["NONE", "ABS_MAX"]
[design]"""


@pytest.mark.parametrize("name", ["network.batch", "network.train_samples"])
def test_last_batches_that_a_varied_noise_management_reads_as_noise(name: str) -> None:
    text = TEXT.replace("MORE", "").replace("DEVICE", "").replace("NAME", name).replace("RANGE", "[8, 64]")
    with pytest.raises(StudyError, match=rf"factor {name} makes last batches .* noise_management = 'NONE' reads as"):
        Study.from_text(text.replace("[design]", MANAGEMENT))
    Study.from_text(text.replace("[design]", MANAGEMENT.replace("NONE", "MAX")))


@pytest.mark.parametrize(
    ("span", "more", "message"),
    [
        (
            "[1000, 100000]",
            "",
            r"factor network\.train_samples: range = \[1000, 100000\] ends beyond the 1437 training",
        ),
        (
            "[100, 1437]",
            "validation_samples = 100",
            r"range = \[100, 1437\] begins within the \[network\] validation_s",
        ),
        ("[101, 1437]", "validation_samples = 100", ""),
    ],
)
def test_train_samples_are_those_of_the_data(span: str, more: str, message: str) -> None:
    text = TEXT.replace("MORE", more).replace("DEVICE", "").replace("NAME", "network.train_samples")
    study = Study.from_text(text.replace("RANGE", span))
    place = Place(in_process=True)
    if message:
        with pytest.raises(StudyError, match=message):
            executor_of(place, study, settings_of(place, study))
        return
    executor_of(place, study, settings_of(place, study))


def test_a_varied_noise_management_needs_full_batches() -> None:
    text = TEXT.replace("DEVICE", "").replace("NAME", "io.out_noise").replace("RANGE", "[0, 0.1]")
    text = text.replace("[design]", MANAGEMENT)
    study = Study.from_text(text.replace("MORE", ""))
    with pytest.raises(StudyError, match=r"io.noise_management with \[network\] batch = 32 makes last batches that"):
        check_samples(study.network, study.device, study.factors, 1437)
    full = Study.from_text(text.replace("MORE", "train_samples = 64"))
    check_samples(full.network, full.device, full.factors, 1437)


def test_two_factors_of_one_field_are_refused() -> None:
    text = TEXT.replace("MORE", "").replace("DEVICE", "").replace("NAME", "io.inp_bits").replace("RANGE", "[4, 8]")
    both = text.replace("[design]", '[[factor]]\nname = "io.inp_res"\nrange = [0.01, 0.1]\n[design]')
    with pytest.raises(StudyError, match=r"factors io\.inp_bits and io\.inp_res set the same field: keep one"):
        Study.from_text(both)


def test_a_field_that_another_factor_switches_on_has_an_effect() -> None:
    text = (
        TEXT.replace("MORE", "").replace("DEVICE", "").replace("NAME", "network.lr_gamma").replace("RANGE", "[0.1, 1]")
    )
    Study.from_text(text.replace("[design]", '[[factor]]\nname = "network.lr_step_epochs"\nrange = [1, 3]\n[design]'))


def test_io_and_update_are_factors_of_aihwkits_own_devices_too() -> None:
    device = 'aihwkit = "ConstantStepDevice"'
    text = (
        TEXT.replace("MORE", "").replace("DEVICE", device).replace("NAME", "io.out_noise").replace("RANGE", "[0, 0.1]")
    )
    assert Study.from_text(text).inputs({"io.out_noise": 0.05})["device"]["io"] == {"out_noise": 0.05}


def test_bits_and_steps_of_a_converter_are_one_field() -> None:
    with pytest.raises(StudyError, match=r"\[device\.io\] inp_bits and inp_res both give a converter's step: keep one"):
        Study.from_text(
            TEXT.replace("MORE", "").replace("DEVICE", "[device.io]\ninp_bits = 7\ninp_res = 0.01")
            .replace("NAME", "io.out_noise").replace("RANGE", "[0, 0.1]")
        )  # fmt: skip


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ('["NONE", "PCM_READ"]', ""),
        ('["NONE", "PCM"]', r"choices holds 'PCM', and must hold words of 'NONE', 'ADDITIVE_CONSTANT', 'PCM_READ'"),
        ('["NONE", 1]', r"choices holds 1, and must hold words of 'NONE'"),
        ('["NONE", "NONE"]', r"choices: 'NONE' is given 2 times: keep one"),
    ],
)
def test_choices_of_words(choices: str, message: str) -> None:
    text = TEXT.replace("MORE", "").replace("DEVICE", "").replace("NAME", "io.w_noise_type")
    text = text.replace("range = RANGE", f"distribution = 'categorical'\nchoices = {choices}")
    # What a word switches on has an effect.
    text = text.replace("[design]", '[[factor]]\nname = "io.w_noise"\nrange = [0.0, 0.1]\n[design]')
    if message:
        with pytest.raises(StudyError, match=message):
            Study.from_text(text)
        return
    study = Study.from_text(text)
    study.check()
    law = study.factors[1].law
    assert (law.levels, law.words(), law.plain()["values"]) == ((0, 2), "one of NONE, PCM_READ", ["NONE", "PCM_READ"])
    assert study.inputs({"io.w_noise_type": 2.0})["device"]["io"] == {"w_noise_type": "PCM_READ"}
