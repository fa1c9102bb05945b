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
        ('"r.d2d.sigma"', '"lr"', ["unknown factor 'lr'", "did you mean 'network.lr'?"]),
        ('"r.d2d.sigma"', '"training.learning_rate"', ["did you mean 'network.lr'?"]),
        ('"r.d2d.sigma"', '"T_0"', ["unknown factor 'T_0'", "'T_0.global.mean'"]),
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
        ("seed = 3", f"seed = {'1' * 400}", ["seed = 1111", "...", "from 0 to 2147483647"]),
        ("seed = 3", f"seed = {'1' * 5000}", ["not TOML", "4300 digits"]),
        ("lr = 0.02", f"lr = {'1' * 400}", ["lr = 1111", "...", "finite number"]),
        ("hidden = [8]", f"hidden = [{'1' * 400}]", ["hidden = [1111", "...", "whole numbers"]),
        ("[0.0, 0.08]", f"[0.0, {'1' * 400}]", ["high = 1111", "from 0 to 10"]),
        ('model = "explicit"', f"r = {'1' * 400}", ["r = 1111", "finite number"]),
        ("hidden = [8]", f"hidden = {'[' * 3000}{']' * 3000}", ["not TOML"]),
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


def with_factors(device: str, *factors: tuple[str, float, float]) -> str:
    head = GOOD[: GOOD.index("[[factor]]")].replace('model = "explicit"', device)
    tables = "".join(f'[[factor]]\nname = "{name}"\nrange = [{low}, {high}]\n' for name, low, high in factors)
    return head + tables + "[design]\nn = 8\n"


@pytest.mark.parametrize(
    ("device", "factors", "words"),
    [
        # N_min below N_max, l below l_cell: each range is within both bounds of the nominal cell.
        (
            "[device.periphery]\nclamped = false",
            [("N_min.global.mean", 0.01, 15.0), ("N_max.global.mean", 10.0, 30.0), ("network.lr", 0.1, 0.2)],
            ["N_min.global.mean at 15 and N_max.global.mean at 10", "N_min", "below N_max", "narrow"],
        ),
        (
            "",
            [("r.d2d.sigma", 0.0, 0.1), ("l.global.mean", 0.4e-9, 2.5e-9), ("l_cell.global.mean", 2e-9, 4e-9)],
            ["l.global.mean at 2.5e-09 and l_cell.global.mean at 2e-09", "below l_cell", "narrow"],
        ),
    ],
)
def test_ranges_that_make_no_device_together_are_one_line(
    device: str, factors: list[tuple[str, float, float]], words: list[str]
) -> None:
    study = Study.from_text(with_factors(device, *factors))
    with pytest.raises(StudyError) as caught:
        study.check()
    line = str(caught.value)
    assert "\n" not in line
    for word in words:
        assert word in line


def test_ranges_that_always_make_a_device_are_taken() -> None:
    factors = [("N_min.global.mean", 0.005, 1.0), ("N_max.global.mean", 1.5, 30.0), ("r.d2d.sigma", 0.0, 0.3)]
    Study.from_text(with_factors("", *factors)).check()


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
