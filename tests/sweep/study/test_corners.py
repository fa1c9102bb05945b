"""A study that a GPU cannot compute is refused before it starts, not by its first pack."""

import pytest

from vcm_sweep.sweep import Study, StudyError
from vcm_sweep.sweep.study.corners import check_gpu_corners

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
        ("model = 'explicit'", "pulse.width.sigma", r"factor pulse.width.sigma at 0.01: .*errors of single pulses"),
        ("model = 'full'", "r.c2c.direct", r"factor r.c2c.direct at 0.01: .*read_path = 'nominal'"),
        ("model = 'explicit'\nmethod = 'direct'", "l.d2d.sigma", r"\[device\] .*method = 'direct'"),
    ],
)
def test_what_a_gpu_cannot_do_names_the_field_and_the_way_out(device: str, first: str, words: str) -> None:
    made = study(device, first)
    with pytest.raises(StudyError, match=words) as refused:
        check_gpu_corners(made.device, made.factors)
    assert "run on a CPU" in str(refused.value)
    assert "\n" not in str(refused.value)


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
    check_gpu_corners(made.device, made.factors)
