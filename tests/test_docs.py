"""The tables of the documentation and of the READMEs that are made from the code agree with it."""

import importlib.util
import math
import re
from pathlib import Path
from typing import Any

import pytest

from vcm_sweep.device import CellParameters
from vcm_sweep.device.array.cell_arrays import CellArrays

from .analysis.browser import chromium

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
    # Accuracies after one pass are in the order of those after ten.
    assert match.alike_passes(tables.HERE / "mnist/box/parts")[2] > 0.8


def test_the_picture_of_the_walk_is_drawn_and_at_one_match_both_devices_learn_alike(tmp_path: Path) -> None:
    walk = script("published/walking/match.py")
    walk.draw(tmp_path)
    assert (tmp_path / "match.png").stat().st_size > 20_000
    found = walk.points()
    (at, walks, *_), (near, stays, *_) = found["r c2c direct 1 %"][1], found["noise-free"][2]
    assert (at, near) == (pytest.approx(0.276, abs=0.01), pytest.approx(0.276, abs=0.002))
    assert walks == pytest.approx(stays, abs=0.003)
    # Radii at the ends of the walk, and the nominal one.
    up, down = zip(*map(walk.steps, (40.5, 45.0, 49.5)), strict=True)
    assert [round(float(math.log(b / a)), 2) for a, b in zip(up, down, strict=True)] == [0.19, 0.48, 0.76]
    assert up[0] / up[2] == pytest.approx(240, rel=0.05)


@pytest.mark.browser
@pytest.mark.slow
def test_the_pictures_of_the_service_are_taken(tmp_path: Path) -> None:
    script("service/pictures.py").main(tmp_path, chromium)
    taken = {path.name for path in tmp_path.iterdir()}
    assert taken == {path.name for path in (DOCS / "service").glob("*.png")}
    assert taken == set(re.findall(r"\(service/(\w+\.png)\)", (DOCS / "service.md").read_text(encoding="utf-8")))
    assert all(path.stat().st_size > 20_000 for path in tmp_path.iterdir())


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


def test_the_picture_of_the_mechanisms_shows_what_is_said_of_them() -> None:
    pictures = script("mechanism_pictures.py")
    catalogue = (DOCS / "factors.md").read_text(encoding="utf-8")
    drawn = (DOCS / "mechanisms.svg").read_text(encoding="utf-8")
    assert [name for name, _ in pictures.SHOWN if f"| `{name}` |" not in catalogue] == []
    assert [key for key in pictures.SHOWN if f">{key[0]} = {key[1]:g}</text>" not in drawn] == []
    assert len(drawn) < 300_000
    found = {name: pictures.response(varied, pulses=3) for (name, _), varied in pictures.SHOWN.items()}
    nominal = pictures.response(pictures.Variability(), pulses=3)
    apart = {name: weights[0].std() > 1e-3 for name, weights in found.items()}
    reads = {"read.noise.sigma", "read.flicker.sigma", "read.telegraph.amplitude"}
    assert {name for name in apart if apart[name]} == reads | {"write.error.sigma", "stuck.total.fraction"}
    up = {name: (weights[3] - weights[0]).std() for name, weights in found.items()}
    assert all(
        up[name] > 1e-3 for name in ("r.d2d.sigma", "mismatch.d2d.sigma", "r.c2c.direct", "pulse.amplitude.sigma")
    )
    assert up["r.target.sigma"] < up["r.c2c.direct"] / 10
    assert float(nominal[3, 0]) > float(nominal[6, 0]) > -0.2
    ends = found["stuck.total.fraction"]
    assert set(ends[:, [0, 5]].flatten().round(decimals=3).tolist()) == {-1.5, 1.5}


def test_the_devices_of_the_analytic_example_step_alike_and_its_page_says_what_its_records_say() -> None:
    example = script("analytic/draw.py")
    assert (DOCS / "analytic/study.toml").read_bytes() == (DOCS.parent / "studies/analytic.toml").read_bytes()
    for kind in example.NOMINAL:
        start, risen, fallen = example.response(kind, False, pulses=1)[:, 0].tolist()
        assert (start, risen) == (pytest.approx(0, abs=1e-6), pytest.approx(0.0248, rel=0.01)), kind
        assert risen - fallen == pytest.approx(0.038, rel=0.04), kind
    spread = example.VCMDevice(model="full", variability=example.Variability(d2d={"r": example.Spread(0.08)}))
    steps = CellArrays([spread], 40, 40, [example.ArraySeeds(1, 2, 3)], 0).steps(0)
    assert [round(float(step.log().std()), 2) for step in steps] == [1.65, 1.71]
    page = (DOCS / "analytic/README.md").read_text(encoding="utf-8")
    found = example.costs()
    assert [name for name, values in found.items() if "{:.1f} [{:.1f}, {:.1f}]".format(*values) not in page] == []
    assert len(found) == 12


def test_the_page_of_the_foundry_has_the_table_of_its_records() -> None:
    example = script("foundry/draw.py")
    page = (DOCS / "foundry/README.md").read_text(encoding="utf-8")
    assert example.table() in page
    assert (DOCS / "foundry/tolerance/study.toml").read_bytes() == (DOCS.parent / "studies/foundry.toml").read_bytes()
    assert len(example.draw().axes[0].get_yticklabels()) == len(example.rows()) == 6
