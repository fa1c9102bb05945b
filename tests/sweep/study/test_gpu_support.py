"""A study that a GPU cannot compute is refused before it starts, not by its first pack."""

from dataclasses import replace
from pathlib import Path

import pytest

from vcm_sweep.device import ArraySeeds
from vcm_sweep.device.array.cell_arrays import CellArrays
from vcm_sweep.sweep import Study, StudyError
from vcm_sweep.sweep.study.gpu_support import check_gpu_study, pulsed_by_cpu, refused_by_gpu
from vcm_sweep.sweep.study.tables.build_device import build_device

ROOT = Path(__file__).parents[3]
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
DEVICE
[[factor]]
name = "FIRST"
range = [0.0, 0.01]
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.02]
[design]
n = 8
"""


def study(device: str, first: str) -> Study:
    return Study.from_text(STUDY.replace("DEVICE", device).replace("FIRST", first))


@pytest.mark.parametrize(
    ("device", "first", "words"),
    [
        ("aihwkit = 'SoftBoundsDevice'", "aihwkit.dw_min", r"compiled tiles \(\[device\] aihwkit = 'SoftBoundsDevice'"),
    ],
)
def test_what_a_gpu_cannot_do_names_the_field_and_the_way_out(device: str, first: str, words: str) -> None:
    text = STUDY.replace("DEVICE", device).replace("FIRST", first)
    if "aihwkit" in device:
        text = text.replace("r.d2d.sigma", "network.lr").replace("range = [0.0,", "range = [0.001,")
    made = Study.from_text(text)
    with pytest.raises(StudyError, match=words) as refused:
        made.check_each(check_gpu_study)
    assert str(refused.value).endswith("; or train on the CPU, without it")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("device", "first"),
    [
        ("model = 'full'", "r.c2c.direct"),
        ("model = 'full'", "l.target.sigma"),
        ("model = 'explicit'", "pulse.width.sigma"),
        ("model = 'explicit'\nmethod = 'direct'", "l.d2d.sigma"),
        ("model = 'explicit'\nmethod = 'euler'", "r.c2c.direct"),
        ("intervention = { kind = 'matched' }", "l.d2d.sigma"),
        ("d2d = { R_TiOx = { sigma = 0.01 }, dW_A = { sigma = 0.001, clip = 0.1 } }", "l.d2d.sigma"),
    ],
)
def test_what_a_gpu_can_do_is_not_refused(device: str, first: str) -> None:
    made = study(device, first)
    made.check_each(check_gpu_study)
    arrays = CellArrays([build_device(made.device)], 2, 3, [ArraySeeds(1, 2, 3)], 0)
    assert arrays.on_device() is not None


def test_what_the_cpu_pulses_is_said() -> None:
    said = pulsed_by_cpu(Study.from_toml(ROOT / "studies" / "mismatch.toml"))
    assert said is not None
    assert "intervention" in said
    assert pulsed_by_cpu(study("intervention = { kind = 'matched' }", "l.d2d.sigma")) == said
    assert pulsed_by_cpu(study("model = 'full'", "r.c2c.direct")) is None


# docs/performance.md says so.
REFUSED = {"analytic": ("aihwkit's compiled tiles",)}


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_study_runs_on_a_gpu_or_is_refused_for_a_known_reason(path: Path) -> None:
    made = Study.from_toml(path)
    found = [refusal for setting in made.settings if (refusal := refused_by_gpu(setting.device))]
    reasons = list(dict.fromkeys(f"{refusal.what}: {refusal.fix}" for refusal in found))
    expected = REFUSED.get(path.stem, ())
    assert len(reasons) == len(expected)
    assert all(words in reason for words, reason in zip(expected, reasons, strict=True))


def test_the_study_for_a_gpu_is_the_one_of_the_paper_s_network() -> None:
    gpu, cpu = (Study.from_toml(ROOT / "studies" / name) for name in ("mnist-gpu.toml", "mnist.toml"))
    assert gpu.network == replace(cpu.network, epochs=30, lr=0.05)
