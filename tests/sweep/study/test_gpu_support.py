"""A study that a GPU cannot compute is refused before it starts, not by its first pack."""

from dataclasses import replace
from pathlib import Path

import pytest

from vcm_sweep.sweep import Study, StudyError
from vcm_sweep.sweep.study.gpu_support import check_gpu_study, refused_by_gpu

ROOT = Path(__file__).parents[3]
WALKS, PULSES = "read_path = 'nominal'", "errors of single pulses"
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
        ("model = 'explicit'", "pulse.width.sigma", rf"{PULSES} \(factor pulse.width.sigma: leave them out\)"),
        ("model = 'full'", "r.c2c.direct", rf"the cell's own reading \(factor r.c2c.direct: set {WALKS}\)"),
        ("model = 'full'", "l.target.sigma", r"targets of r and l \(factor l.target.sigma: use c2c walks\)"),
        ("model = 'explicit'\nmethod = 'direct'", "l.d2d.sigma", r"method = 'direct' \(\[device\]: set method = 'tab"),
        (
            "d2d = { R_TiOx = { sigma = 0.01 }, dW_A = { sigma = 0.001, clip = 0.1 } }",
            "l.d2d.sigma",
            r"more than 3 parameters that differ: dW_A, r, l, R_TiOx \(factors together: let fewer differ\)",
        ),
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


def test_all_that_is_in_the_way_is_said_at_once() -> None:
    made = Study.from_toml(ROOT / "studies" / "mnist.toml")
    walks, pulses, many = refused_by_gpu(made.device, made.factors)
    assert walks.where == "factors r.c2c.direct, l.c2c.direct"
    assert pulses.where == "factor pulse.amplitude.sigma"
    # One more than tables have axes.
    assert many.what.endswith("dW_A, r, l, R_TiOx")


@pytest.mark.parametrize(
    ("device", "first"),
    [
        ("model = 'full'", "l.d2d.sigma"),
        ("model = 'explicit'", "r.c2c.direct"),
        ("model = 'full'\nread_path = 'nominal'", "r.c2c.direct"),
    ],
)
def test_what_a_gpu_can_do_is_not_refused(device: str, first: str) -> None:
    made = study(device, first)
    made.check_each(check_gpu_study)


# The table of docs/performance.md is made by the same function, so this says independently what it must say.
REFUSED = {
    "analytic": ("aihwkit's compiled tiles",),
    "mnist": (WALKS, PULSES, "more than 3"),
    "demo": (WALKS,),
    "mismatch": (WALKS, PULSES),
    "mismatch-explicit": (PULSES,),
    "mnist-short": (WALKS, PULSES, "more than 3"),
    "paper-full": (WALKS,),
    "paper-pulses": ("'as-published'", "'euler'"),
}


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_study_runs_on_a_gpu_or_is_refused_for_a_known_reason(path: Path) -> None:
    made = Study.from_toml(path)
    found = [refusal for setting in made.settings for refusal in refused_by_gpu(setting.device, setting.factors)]
    reasons = list(dict.fromkeys(f"{refusal.what}: {refusal.fix}" for refusal in found))
    expected = REFUSED.get(path.stem, ())
    assert len(reasons) == len(expected)
    assert all(words in reason for words, reason in zip(expected, reasons, strict=True))


def test_the_study_for_a_gpu_is_the_one_of_the_paper_s_network() -> None:
    gpu, cpu = (Study.from_toml(ROOT / "studies" / name) for name in ("mnist-gpu.toml", "mnist.toml"))
    assert gpu.network == replace(cpu.network, epochs=30, lr=0.05)
