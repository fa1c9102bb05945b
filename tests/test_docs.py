"""The tables of the documentation and of the READMEs that are made from the code agree with it."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from vcm_sweep.device import CellParameters

DOCS = Path(__file__).parents[1] / "docs"


def script(path: str) -> Any:
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, DOCS / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tables = script("tables.py")


@pytest.mark.parametrize("page", tables.TABLES)
def test_the_tables_of_a_page_are_current(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert text == tables.written(page, text), "run make docs"


@pytest.mark.parametrize("readme", tables.READMES, ids=lambda path: str(path.parent.relative_to(tables.ROOT)))
def test_a_folder_s_readme_says_what_its_files_say(readme: Path) -> None:
    text = readme.read_text(encoding="utf-8")
    assert text == tables.contents(readme, text), "run make docs"


def test_the_pictures_of_mnist_are_drawn_and_what_is_said_of_the_match_is_so(tmp_path: Path) -> None:
    match = script("mnist/match.py")
    match.draw(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"match.png", "fit.png"}
    # A spread of the radius costs the match of all movement in the fit, and not with the full physics.
    assert match.lost_match("explicit", 0.08) > 0.25
    assert abs(match.lost_match("full", 0.08)) < 0.05


def test_the_picture_of_the_factors_has_every_parameter() -> None:
    pictures = script("pulse_pictures.py")
    found = pictures.responses(pulses=1)
    assert list(found) == list(CellParameters.names())
    start, risen, fallen = found["r"].unbind(0)
    assert abs(float(start[1])) < 1e-3  # the nominal cell begins in the middle of the window
    assert float(risen[0] - start[0]) > 2 * float(risen[2] - start[2]) > 0  # a thin filament is hot, and fast
    assert float(fallen[1]) < float(risen[1])
    drawn = (DOCS / "factors.svg").read_text(encoding="utf-8")
    titles = [axes.get_title(loc="left") for axes in pictures.draw(found).axes]
    assert [title for title in titles if title and f">{title}</text>" not in drawn] == []
    assert set(CellParameters.names()) <= set(titles)
    assert len(drawn) < 400_000
