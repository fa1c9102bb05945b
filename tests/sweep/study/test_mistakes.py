"""A study that cannot answer says so when it is read, and all of its mistakes at once."""

from pathlib import Path

import pytest
import torch

from vcm_sweep.sweep import Study, StudyError
from vcm_sweep.sweep.data.sets import DataSet, load
from vcm_sweep.sweep.packs.size import check_size
from vcm_sweep.sweep.study.cautions import cautions, check_reach
from vcm_sweep.sweep.study.tables.nominal_step import fitting_pulse, nominal_step

TEXT = """
[study]
name = "tiny"
[network]
hidden = [8]
data = "digits"
epochs = 2
batch = 32
lr = 0.02
[device]
model = "explicit"
dw_min = 1e-3
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[design]
n = 16
"""


def said(text: str) -> str:
    with pytest.raises(StudyError) as caught:
        Study.from_text(text)
    return str(caught.value)


def changed(*pairs: tuple[str, str]) -> str:
    text = TEXT
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    told = said(
        changed(
            ("lr = 0.02", "learning_rate = 0.02"), ("batch = 32", "batch = 0"), ("dw_min = 1e-3", "dw_mni = 1e-3"),
            ("0.08", "-1"), ("n = 16", "n = 1.5"),
        )
    )  # fmt: skip
    assert told.startswith("6 mistakes: (1) [factor 1: r.d2d.sigma] high = -1 must be")
    for part in (
        "[network] batch = 0 must be a whole number", "[network] lr is missing: give it",
        "[network] unknown key 'learning_rate'; did you mean 'lr'?", "[device] unknown key 'dw_mni'",
        "[design] n = 1.5 must be",
    ):  # fmt: skip
        assert part in told
    assert "\n" not in told


def test_a_misspelled_table_is_named_and_what_is_in_it_is_read() -> None:
    assert said(changed(("[study]", "[studi]"))) == "[top level] unknown key 'studi'; did you mean 'study'?"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_is_nothing(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "study.toml").write_text(TEXT, encoding=encoding)
    assert Study.from_toml(tmp_path / "study.toml").digest == Study.from_text(TEXT).digest


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_another_encoding_is_named(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "study.toml").write_text(f"# ü\n{TEXT}", encoding=encoding)
    with pytest.raises(StudyError, match=r"study.toml: not UTF-8 \(.*\): save it as UTF-8"):
        Study.from_toml(tmp_path / "study.toml")


def test_limits_of_one_factor_are_a_study_and_shares_of_one_are_not() -> None:
    one = TEXT[: TEXT.rindex("[[factor]]")] + '[design]\nn = 16\nmethod = "{}"\n'
    assert len(Study.from_text(one.format("limits")).factors) == 1
    assert "at least two factors" in said(one.format("sobol"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("lr = 0.02", "lr = 100"), "so that lr = 100 acts as 3e+03: lower lr"),
        (("lr = 0.02", "lr = 0.02\ninit = 100"), "init = 100 draws first weights from +-100"),
        (("dw_min = 1e-3", "dw_min = 10"), "lower dw_min to 0.03"),
        (("dw_min = 1e-3", "dw_min = 1e-9"), "overshoots: raise dw_min, up to 0.03"),
        (("dw_min = 1e-3", "pulse_s = 1e-4"), "so that it has few states: pulse_s = 1e-06 would do"),
    ],
)
def test_what_trains_at_chance_is_said_beforehand(change: tuple[str, str], words: str) -> None:
    (told,) = cautions(Study.from_text(changed(change)).settings)
    assert words in told


def test_pulses_that_are_too_weak_are_refused_with_ones_that_would_do() -> None:
    study = Study.from_text(changed(("dw_min = 1e-3", "dw_min = 1e-3\npulse_s = 1e-12")))
    with pytest.raises(StudyError, match=r"by 2e-08 \(dw_min = 0.001\).* nothing can be trained; pulse_s = 1e-06"):
        study.check()
    with pytest.raises(StudyError, match="nothing can be trained"):
        check_reach(*study.settings)


def test_the_default_study_needs_no_caution() -> None:
    study = Study.from_text(TEXT)
    assert cautions(study.settings, load("digits")) == ()


def test_a_pulse_that_is_advised_moves_a_weight_by_a_small_part_of_the_window() -> None:
    from vcm_sweep.device import VCMDevice

    assert "pulse_s = 1e-06 would do" in fitting_pulse(VCMDevice(pulse_s=1e-4))
    told = fitting_pulse(VCMDevice(set_voltage_v=-0.9))
    up, down = nominal_step(
        VCMDevice(
            set_voltage_v=float(told.partition("set_voltage_v = ")[2].split()[0]),
            reset_voltage_v=float(told.partition("reset_voltage_v = ")[2].split()[0]),
        )
    )
    assert 0.02 < min(up, down) <= max(up, down) < 0.05


def sorted_by_class() -> DataSet:
    y = torch.arange(10).repeat_interleave(30)
    x = torch.zeros(300, 1, 8, 8)
    return DataSet(x, y, x[:100], torch.arange(10).repeat(10), 10)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("train_samples = 90", "hold none of the classes 3 to 9 of the test set, so that no training can exceed 30 %"),
        ("validation_samples = 60", "after validation_samples hold none of the classes 8 and 9 of the test set"),
        ("test_samples = 3", "the 3 test samples hold none of the classes 3 to 9"),
    ],
)
def test_samples_that_miss_classes_are_said(given: str, words: str) -> None:
    study = Study.from_text(changed(("lr = 0.02", f"lr = 0.02\n{given}")))
    (told,) = cautions(study.settings, sorted_by_class())
    assert words in told


def test_a_network_that_no_memory_holds_is_refused_with_what_it_takes() -> None:
    with pytest.raises(StudyError, match=r"\[100000, 100000\] makes 1e\+10 weights, which take about 1,86\d GB"):
        check_size({"hidden": [100_000, 100_000]}, (1, 8, 8), 10)


def test_trains_of_pulses_that_no_tile_fires_are_refused_when_a_study_is_checked() -> None:
    study = Study.from_text(changed(("dw_min = 1e-3", "update = {desired_bl = 100}")))
    with pytest.raises(StudyError, match="desired_bl = 100 must be from 1 to 64"):
        study.check()


@pytest.mark.parametrize("name", ["-rf", "--out", "-"])
def test_a_name_that_a_command_would_take_for_an_option_is_refused(name: str) -> None:
    assert "the first no '-'" in said(changed(('"tiny"', f'"{name}"')))


def test_ranges_are_told_with_their_units() -> None:
    told = said(changed(("dw_min = 1e-3", "dw_min = 1e-3\nT_0 = 25\nr = 45")))
    assert "T_0 = 25 must be a finite number from 77 to 1000 K" in told
    assert "r = 45 must be a finite number from 5e-09 to 1e-07 m" in told


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lr = 0.02", "[top level] lr = 0.02 belongs to [network]: move it below that line"),
        ("pulse_s = 1e-6", "[top level] pulse_s = 1e-06 belongs to [device]: move"),
        ("n = 16", "[top level] n = 16 belongs to [design]: move"),
        ("name = 'x'", "[top level] name = 'x' belongs to [study]: move"),
        ("model = 'full'", "[top level] model = 'full' belongs to [network] or [device]: move it below one of these"),
    ],
)
def test_a_field_before_any_table_is_told_its_table(line: str, words: str) -> None:
    key = line.split(" ", maxsplit=1)[0]
    # Without the field in its own table: nothing is said to be missing there.
    text = "\n".join(one for one in TEXT.splitlines() if not one.startswith(f"{key} = ") or key in ("name", "model"))
    told = said(f"{line}\n{text}".replace('name = "tiny"', "") if key == "name" else f"{line}\n{text}")
    assert told.startswith(words)
    assert "mistakes" not in told


def test_fields_below_the_line_of_another_table_are_told_theirs() -> None:
    told = said(changed(("[network]", ""), ("[design]", "")))
    assert "[study] lr = 0.02 belongs to [network]: move it below that line, before the next table" in told
    assert "[factor] n = 16 belongs to [design]" in told
    assert "is missing" not in told
    assert "unknown key" not in told


def test_a_built_in_network_is_a_preset_and_no_model() -> None:
    told = said(changed(("hidden = [8]", 'model = "lenet"')))
    assert told == "[network] model = 'lenet' is built in: write preset = 'lenet' instead"


def test_a_condition_with_another_network_leaves_the_studys_widths() -> None:
    text = TEXT.partition("[[factor]]")[0].replace('"digits"', '"mnist"')
    study = Study.from_text(
        text + '[[condition]]\nname = "a"\n[[condition]]\nname = "b"\n[condition.network]\npreset = "lenet"\n'
        '[design]\nmethod = "conditions"\nbaseline = "a"\n'
    )
    assert study.conditions[0].network.hidden == (8,)
    assert study.conditions[1].network.hidden == ()
