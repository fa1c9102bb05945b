"""Conditions are the study's own tables with some fields changed; every slip is one line that names the condition."""

from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vcm_sweep.sweep import Study, StudyError, build_design
from vcm_sweep.sweep.study.cautions import cautions
from vcm_sweep.sweep.study.tables.network import NetworkSpec

HEAD = """
[study]
name = "tiny"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[device]
T_0 = 300.0
[device.d2d]
r = { sigma = 0.02, clip = 0.2 }
[design]
method = "conditions"
baseline = "plain"
"""
PLAIN = '[[condition]]\nname = "plain"\n'


def study(*rows: str, head: str = HEAD) -> Study:
    return Study.from_text(
        head + PLAIN + "".join(f'[[condition]]\nname = "{chr(97 + i)}"\n{r}\n' for i, r in enumerate(rows))
    )


def test_fields_and_factors_are_laid_over_the_study_s_own_tables() -> None:
    by_field, by_factor = study("device.d2d.r.sigma = 0.05"), study('"r.d2d.sigma" = 0.05')
    assert by_field.conditions[1].device == by_factor.conditions[1].device
    assert by_field.conditions[1].device["d2d"]["r"] == {"sigma": 0.05, "clip": 0.2, "distribution": "truncated"}
    assert by_field.conditions[1].device["T_0"] == 300.0
    assert by_field.conditions[0].device == by_field.device
    made = study('"network.batch" = 16\n"io.inp_bits" = 5\n"io.noise_management" = "MAX"').conditions[1]
    assert made.network.batch == 16
    assert made.device["io"] == {"inp_res": 1 / 30, "noise_management": "MAX"}


def test_another_device_keeps_the_layers_alone() -> None:
    head = HEAD.replace("[device.d2d]", "[device.io]\nout_noise = 0.0\n[device.d2d]")
    made = study('device.aihwkit = "SoftBoundsDevice"\ndevice.settings.dw_min = 1e-3', head=head).conditions[1].device
    assert (made["aihwkit"], made["settings"], made["io"]) == ("SoftBoundsDevice", {"dw_min": 1e-3}, {"out_noise": 0.0})


def test_the_rows_of_a_file_are_the_same_study(tmp_path: Path) -> None:
    head = HEAD + 'conditions = "rows.csv"\n'
    names = "name,published,published_sd,published_n,network.batch,device.d2d.l.sigma,r.d2d.sigma"
    (tmp_path / "rows.csv").write_text(f"{names}\nplain,,,,,,\n2,89.2,0.5,5,16,0.05,\nc,,,,,,0.1\n", encoding="utf-8")
    (tmp_path / "study.toml").write_text(head, encoding="utf-8")
    of_csv = Study.from_toml(tmp_path / "study.toml")
    written = HEAD + PLAIN + (
        '[[condition]]\nname = "2"\npublished = 89.2\npublished_sd = 0.5\npublished_n = 5\nnetwork.batch = 16\n'
        'device.d2d.l.sigma = 0.05\n[[condition]]\nname = "c"\n"r.d2d.sigma" = 0.1\n'
    )  # fmt: skip
    assert of_csv.digest == Study.from_text(written).digest
    # A results folder keeps the text, and has no file beside it.
    assert Study.from_text(of_csv.text).digest == of_csv.digest
    rows = [{"name": "plain"}, {"name": "d", "network.hidden": [8, 4]}]
    columns = pa.schema([("name", pa.string()), ("network.hidden", pa.list_(pa.int64()))])
    pq.write_table(pa.Table.from_pylist(rows, columns), tmp_path / "rows.parquet")
    (tmp_path / "study.toml").write_text(head.replace("rows.csv", "rows.parquet"), encoding="utf-8")
    assert Study.from_toml(tmp_path / "study.toml").conditions[1].network.hidden == (8, 4)
    # pandas writes whole numbers beside an empty cell as fractions.
    pd.DataFrame({"name": ["plain", "e"], "network.batch": [None, 16.0]}).to_parquet(tmp_path / "rows.parquet")
    assert Study.from_toml(tmp_path / "study.toml").conditions[1].network.batch == 16


SECOND = '[[condition]]\nname = "b"\nnetwork.lr = 1.0\n'
FACTOR = '[[factor]]\nname = "r.d2d.sigma"\nrange = [0.0, 0.1]\n'
SLIPS = {
    "device.d2d.q.sigma = 0.1": "condition 'a': [device.d2d] unknown name 'q'",
    "device.periphary.w_min = -1.0": "condition 'a': [device] unknown key 'periphary'; did you mean 'periphery'?",
    "network.epoch = 3": "condition 'a': [network] unknown key 'epoch'; did you mean 'epochs'?",
    'device.d2d.r.sigma = 0.1\n"r.d2d.sigma" = 0.2': "condition 'a': 'r.d2d.sigma' and device.d2d.r.sigma are one",
    'network.lr = 0.1\n"network.lr" = 0.2': "condition 'a': 'network.lr' and network.lr are one and the same: give",
    "network.lr = -1.0": "condition 'a': [network] lr = -1.0 must be a finite number from 1e-09 to 100",
    '"r.d2d.sigmas" = 0.1': "condition 'a': unknown key 'r.d2d.sigmas', neither a field nor a factor; did you mean",
    '"r.d2d.sigma" = 11.0': "condition 'a': [factors] r.d2d.sigma = 11.0 must be a finite number from 0 to 10",
    '"network.batch" = 1.5': "condition 'a': [factors] network.batch = 1.5 must be a whole number",
    '"update.pulse_type" = "MANY"': "condition 'a': [factors] update.pulse_type = 'MANY' must be one of",
    'network.data = "mnist"': "condition 'a': [network] data is of the whole study: leave it out",
    "published = 940": "[condition 2: a] published = 940 must be a finite number from 0 to 100",
    "published_sd = 0.5\npublished_n = 5": "condition 'a': published_sd = 0.5 without published: give published,",
    "published = 94\npublished_sd = 0.5": "condition 'a': published_sd = 0.5 without published_n: give published,",
    "published = 94\npublished_n = 5": "condition 'a': published_n = 5 without published_sd: give published,",
    "published = 94": "condition 'a' differs from the baseline 'plain' in nothing: give it a field",
    "device.d2d.r = { sigma = 0.02 }": "condition 'a' differs from the baseline 'plain' in nothing",
    'device = "VCM"': "[condition 2: a.device] must be a table, not 'VCM'",
}  # fmt: skip


@pytest.mark.parametrize(("row", "said"), SLIPS.items())
def test_a_slip_is_one_line(row: str, said: str) -> None:
    with pytest.raises(StudyError) as caught:
        study(row)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


OF_THE_LIST = [
    (HEAD + PLAIN, "[[condition]] a study of conditions compares at least two"),
    (HEAD, "[[condition]] a study of conditions compares at least two"),
    (HEAD + PLAIN + "[[condition]]\nnetwork.lr = 1.0\n", "[condition 2] name is missing: give it"),
    (HEAD + 2 * PLAIN, "[[condition]] name = 'plain' is given 2 times: rename all but one"),
    (HEAD.replace("plain", "plan") + PLAIN + SECOND,
     "[design] baseline = 'plan' is no condition of the study: did you mean 'plain'?"),
    (HEAD.replace('baseline = "plain"', "") + PLAIN + SECOND,
     "[design] baseline is missing: name one of 'plain', 'b'"),
    (HEAD + "n = 8\n" + PLAIN + SECOND,
     "[design] n = 8 is not for method = 'conditions', which are counted"),
    (HEAD + 'conditions = "none.csv"\n', "[design] conditions = 'none.csv' cannot be read: there is no such file in"),
    (HEAD + 'conditions = "rows.txt"\n', "[design] conditions = 'rows.txt' must end in .csv or .parquet"),
    (HEAD + 'conditions = "rows.csv"\n' + PLAIN, "[design] conditions = 'rows.csv' and [[condition]] both"),
    (HEAD + 'seeds = "independent"\n' + PLAIN + SECOND,
     "[design] seeds = 'independent' is not for method = 'conditions'"),
    (HEAD + PLAIN + SECOND + '[[condition]]\nname = "c"\n"network.lr" = 1.0\n',
     "condition 'c' differs from condition 'b' in nothing"),
    (HEAD.replace("conditions", "space") + PLAIN, "[[factor]] is missing"),
    (HEAD + PLAIN + FACTOR, "[[factor]] is not for method = 'conditions'"),
    (HEAD + PLAIN + SECOND + "[tolerance]\ndrop = 0.01\n", "[tolerance] is of factors"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), OF_THE_LIST)
def test_a_list_that_cannot_be_compared_is_refused(text: str, said: str) -> None:
    with pytest.raises(StudyError) as caught:
        Study.from_text(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


CELLS = [
    ([{"name": "plain"}, {"name": "b", "network.lr": Decimal("0.2")}], "network.lr (Decimal)"),
    ([{"name": b"plain"}, {"name": b"b", "network.lr": 0.2}], "name (bytes)"),
]


@pytest.mark.parametrize(("rows", "said"), CELLS)
def test_a_value_that_toml_has_no_word_for_is_refused(tmp_path: Path, rows: list[dict], said: str) -> None:
    columns = {name: pa.array([row.get(name) for row in rows], from_pandas=True) for name in rows[-1]}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    (tmp_path / "study.toml").write_text(HEAD + 'conditions = "rows.parquet"\n', encoding="utf-8")
    with pytest.raises(StudyError) as caught:
        Study.from_toml(tmp_path / "study.toml")
    assert said in str(caught.value)


def test_a_column_is_given_once_and_na_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(HEAD + 'conditions = "rows.csv"\n', encoding="utf-8")
    (tmp_path / "rows.csv").write_text("name,network.lr,network.lr\nplain,0.1,0.2\nb,0.3,0.4\n", encoding="utf-8")
    with pytest.raises(StudyError, match=r"has 'network\.lr' in two columns: keep one"):
        Study.from_toml(tmp_path / "study.toml")
    (tmp_path / "rows.csv").write_text("name,network.lr\nplain,\nNA,0.3\n", encoding="utf-8")
    assert [each.name for each in Study.from_toml(tmp_path / "study.toml").conditions] == ["plain", "NA"]


def test_what_would_end_at_chance_names_the_condition() -> None:
    made = study("network.lr = 100.0", "network.lr = 0.03")
    (told,) = cautions(made.settings)
    assert told.startswith("condition 'a': one pulse moves the nominal cell's weight by")
    (all_of_them,) = cautions(study("network.batch = 16", head=HEAD.replace("T_0 = 300.0", "dw_min = 10.0")).settings)
    assert all_of_them.startswith("one pulse moves")


def test_pulses_that_never_suffice_are_refused_by_the_condition_that_has_them() -> None:
    with pytest.raises(StudyError, match=r"^condition 'a': \[device\] one SET pulse .* nothing can be trained"):
        study("device.pulse_s = 1e-12").check()


def test_a_condition_whose_cells_cannot_be_trained_is_named() -> None:
    with pytest.raises(StudyError, match=r"^condition 'a': \[device\] one SET pulse of pulse_s = 0.5 s"):
        study("device.pulse_s = 0.5").check()


def test_one_training_of_each_has_no_interval() -> None:
    made = study("network.lr = 1.0", head=HEAD + "replicates = 1\n")
    assert made.design.no_verdict().startswith("[design] replicates = 1 is one training of each condition")
    assert len(build_design(made)) == 2


def test_a_mistake_in_the_study_s_own_tables_is_told_once_and_not_of_each_condition() -> None:
    with pytest.raises(StudyError, match=r"^\[network\] lr is missing: give it$"):
        study("network.lr = 0.01", "device.T_0 = 290.0", head=HEAD.replace("lr = 0.02\n", ""))


def test_the_mistakes_of_all_conditions_are_told_at_once() -> None:
    rows = (
        PLAIN,
        '[[condition]]\nname = "a"\nnetwork.batsh = 16\ndevice.pulse_s = 5.0\n',
        '[[condition]]\nname = "b"\nnetwork.lr = -1.0\n',
        "[[condition]]\nnetwork.lr = 1.0\n",
    )
    with pytest.raises(StudyError) as caught:
        Study.from_text(HEAD + "".join(rows))
    told = str(caught.value)
    assert "\n" not in told
    assert told.startswith("4 mistakes: (1) condition 'a': [network] unknown key 'batsh'")
    for part in (
        "(2) condition 'a': [device] pulse_s = 5.0",
        "(3) condition 'b': [network] lr",
        "(4) [condition 4] name",
    ):
        assert part in told


def test_many_conditions_are_read_in_a_time_that_grows_as_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is compared with what is equal to it alone: counted, since times differ."""
    compared = 0
    equal = NetworkSpec.__eq__

    def counted(one: NetworkSpec, other: object) -> bool:
        nonlocal compared
        compared += 1
        return equal(one, other)

    monkeypatch.setattr(NetworkSpec, "__eq__", counted)
    rows = "".join(f'[[condition]]\nname = "{k}"\n"r.c2c.direct" = {k / 1e5}\n' for k in range(1, 201))
    assert len(Study.from_text(HEAD + PLAIN + rows).conditions) == 201
    assert compared < 2000  # of 20,100 pairs


def test_a_results_folder_that_gives_a_field_twice_is_read_as_it_was_trained() -> None:
    twice = '[[condition]]\nname = "b"\ndevice.d2d.r.sigma = 0.1\n"r.d2d.sigma" = 0.2\n'
    with pytest.raises(StudyError, match="are one and the same"):
        Study.from_text(HEAD + PLAIN + twice)
    frozen = Study.from_text(HEAD + PLAIN + twice.replace("device.d2d.r.sigma = 0.1\n", "")).frozen
    assert Study.from_text(HEAD + PLAIN + twice, frozen).conditions[1].device["d2d"]["r"]["sigma"] == 0.2
