"""Every study in studies/ is trained, in small: two points of its design, on 64 digits for one epoch."""

import re
from pathlib import Path

import pytest

from vcm_sweep.sweep import Study, build_design, train

STUDIES = sorted((Path(__file__).parents[1] / "studies").glob("*.toml"))


def small(path: Path) -> Study:
    """The study on 64 digits, one epoch; its cells, factors and conditions are as they are."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^(train|validation|test)_samples = .*\n", "", text)
    text = re.sub(r'(?m)^data = "\w+"', 'data = "digits"\ntrain_samples = 64\ntest_samples = 100', text)
    return Study.from_text(re.sub(r"(?m)^epochs = \d+", "epochs = 1", text))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_it_is_trained_in_small(path: Path) -> None:
    design = build_design(small(path))
    other = min(len(design.points), 3) - 1  # not the last: floating point needs aihwkit's compiled engine
    records = train([design.trial(0, 0)]) + train([design.trial(other, 0)])
    assert [record.status for record in records] == ["ok", "ok"], [record.reason for record in records]
    assert all(0.0 <= record.accuracy <= 1.0 for record in records)
