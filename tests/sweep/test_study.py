"""A study file that cannot be used gives one line that says what to mend."""

import pytest

from vcm_sweep.sweep import Study, StudyError

GOOD = """
[study]
name = "tiny"
seed = 3
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[device]
model = "explicit"
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[[factor]]
name = "mismatch.global.mean"
range = [-0.5, 0.5]
[design]
n = 8
[run]
pack = 4
"""


def test_good_study_reads() -> None:
    study = Study.from_text(GOOD)
    assert [f.name for f in study.factors] == ["r.d2d.sigma", "mismatch.global.mean"]
    assert study.network.hidden == (8,)
    assert study.device["d2d"]["r"] == {"sigma": 0.0, "clip": 0.3, "distribution": "truncated"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("epochs = 1", "epoch = 1", ["epochs is missing"]),
        ("lr = 0.02", "lr = 0.02\nbtach = 3", ["btach", "did you mean 'batch'"]),
        ("lr = 0.02", "lr = -1", ["lr", "-1", "1e-09", "100"]),
        ("lr = 0.02", "lr = nan", ["lr", "nan", "finite"]),
        ("lr = 0.02", "lr = inf", ["lr", "inf", "finite"]),
        ("lr = 0.02", 'lr = "fast"', ["lr", "'fast'", "number"]),
        ("n = 8", "n = 12", ["n = 12", "power of 2"]),
        ("[0.0, 0.08]", "[0.08, 0.0]", ["low", "0.08", "below", "high"]),
        ("[0.0, 0.08]", "[0.0, 0.0]", ["low", "below"]),
        ("[0.0, 0.08]", "[0.0, 99]", ["high", "99", "from 0 to 10"]),
        ("[0.0, 0.08]", "[0.0, inf]", ["inf", "finite"]),
        ("r.d2d.sigma", "r.d2d.sgima", ["r.d2d.sgima", "did you mean", "'r.d2d.sigma'"]),
        ("mismatch.global.mean", "r.d2d.sigma", ["r.d2d.sigma", "2 times"]),
        ("[run]\npack = 4", "[run]\npack = 0", ["pack = 0", "from 1 to 4096"]),
        ('model = "explicit"', 'model = "ful"', ["model", "'ful'", "'explicit'"]),
        ('model = "explicit"', "r = 1.0", ["r = 1", "5e-09", "1e-07"]),
        ('model = "explicit"', "l = 4e-9", ["l = 4e-09", "below l_cell"]),
        ('model = "explicit"', "N_min = 50.0", ["N_min", "below N_max"]),
        ('model = "explicit"', "N_min = 3.0", ["N_min = 3", "no cell reaches the window"]),
        ('model = "explicit"', "[device.io]\nout_nosie = 0.1", ["out_nosie", "did you mean 'out_noise'"]),
        ('name = "tiny"', 'name = "../../x"', ["name", "letters"]),
        ("seed = 3", "seed = -3", ["seed = -3"]),
        ("[study]", "[study", ["not TOML"]),
        ("[design]\nn = 8", "[design]\nn = 8\n[extra]\na = 1", ["extra"]),
    ],
)
def test_bad_input_is_one_line_with_field_value_and_range(old: str, new: str, words: list[str]) -> None:
    assert old in GOOD
    with pytest.raises(StudyError) as caught:
        Study.from_text(GOOD.replace(old, new, 1))
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_single_factor_is_refused() -> None:
    with pytest.raises(StudyError, match="at least two factors"):
        Study.from_text(GOOD.replace('[[factor]]\nname = "mismatch.global.mean"\nrange = [-0.5, 0.5]\n', ""))


def test_run_section_is_no_part_of_the_study() -> None:
    assert Study.from_text(GOOD).digest == Study.from_text(GOOD.replace("pack = 4", "pack = 7")).digest
    assert Study.from_text(GOOD).digest != Study.from_text(GOOD.replace("lr = 0.02", "lr = 0.03")).digest


def test_another_model_version_is_another_study_and_the_first_stays_readable() -> None:
    now, first = Study.from_text(GOOD), Study.from_text(GOOD, {"model_version": 1})
    assert now.frozen["model_version"] > 1
    assert now.digest != first.digest
    assert "frozen" not in first.canonical()
    assert first.inputs({})["network"] == now.inputs({})["network"]
