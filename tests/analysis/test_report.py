"""The report and the files beside it, from synthetic records."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from vcm_sweep.analysis import AnalysisError, analyze, write_report

from ._synthetic import Array, SyntheticFactor, SyntheticResults, device_like, synthetic_results


def _equal_pair(u: Array) -> Array:
    return np.asarray(0.3 + 0.25 * u[..., 0] + 0.25 * u[..., 1])


class _Links(HTMLParser):
    """Everything that a page would load or link to."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.targets += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "srcset", "data")]


@pytest.fixture(scope="module")
def device_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(device_like(base=64), tmp_path_factory.mktemp("report") / "new" / "folder")


def test_answers_first_and_says_what_indices_are(device_page: Path) -> None:
    page = device_page.read_text(encoding="utf-8")
    body = page[page.index("<body>") :]
    answer = body.index("Over the stated ranges, mismatch.global accounts for")
    assert answer < body.index("<table")
    assert re.search(r"\d+ % \[-?\d+, \d+\] of the variance of accuracy \(total index\)", body)
    assert "not of accuracy lost" in body
    for words in (
        "Luck",
        "At chance level",
        "By status",
        "Seeds: independent",
        "torch 2.13.0",
        "T_0.array.mean (K)",
    ):
        assert words in body
    assert body.count('role="img"') == 7 + 4
    assert body.count("aria-label") == 7 + 4


def test_needs_no_network_and_no_script(device_page: Path) -> None:
    page = device_page.read_text(encoding="utf-8")
    links = _Links()
    links.feed(page)
    assert all(target.startswith(("#", "data:")) for target in links.targets), links.targets
    assert "script" not in links.tags
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_numbers_beside_the_page_agree_with_the_analysis(device_page: Path) -> None:
    result = analyze(device_like(base=64))
    stored = json.loads((device_page.parent / "indices.json").read_text())
    assert stored["ranking"] == [index.factor for index in result.ranking()]
    assert stored["ranges"]["r.d2d.sigma"]["high"] == 0.08
    rows = pq.read_table(device_page.parent / "indices.parquet").to_pylist()
    totals = {row["factor"]: row["value"] for row in rows if row["kind"] == "total"}
    assert totals == {index.factor: index.value for index in result.total}
    assert [row["value"] for row in rows if row["kind"] == "luck"] == [result.luck.value]
    assert sorted(p.name for p in device_page.parent.iterdir()) == [
        "indices.json",
        "indices.parquet",
        "report.html",
    ]


def test_says_when_the_first_place_is_open(tmp_path: Path) -> None:
    factors = (SyntheticFactor("left"), SyntheticFactor("right"))
    page = write_report(synthetic_results(factors, _equal_pair), tmp_path).read_text()
    header = page[page.index("<header>") : page.index("</header>")]
    assert re.search(r"The data do not separate it from (left|right)", header)
    assert "1 of 1 pairs of factors are not separated" in page


def test_escapes_what_the_user_named(tmp_path: Path) -> None:
    factors = (SyntheticFactor("<script>alert(1)</script>$x^2$"), SyntheticFactor('a" onload="b&c'))
    results = synthetic_results(factors, _equal_pair)
    results = replace(results, study=replace(results.study, name="<b>", text="</pre><script>"))
    page = write_report(results, tmp_path).read_text()
    links = _Links()
    links.feed(page)
    assert "script" not in links.tags
    assert "b" not in links.tags
    assert "&lt;script&gt;alert(1)" in page
    assert not any(name.startswith("on") for name in links.attributes)


@pytest.mark.parametrize("seeds", ["independent", "common"])
def test_renders_with_one_factor_and_either_seed_policy(tmp_path: Path, seeds: str) -> None:
    results = synthetic_results((SyntheticFactor("only"),), lambda u: 0.5 * u[..., 0], seeds=seeds)
    page = write_report(results, tmp_path).read_text()
    assert f"Seeds: {seeds}" in page
    assert ("per seed" in page) == (seeds == "common")


def test_common_seeds_without_replicates_say_that_luck_is_unknown(tmp_path: Path) -> None:
    factors = (SyntheticFactor("left"), SyntheticFactor("right"))
    results = synthetic_results(factors, _equal_pair, seeds="common", replicates=1)
    page = write_report(results, tmp_path).read_text()
    assert "not measured" in page
    assert json.loads((tmp_path / "indices.json").read_text())["luck"]["value"] is None


def test_same_records_give_the_same_page(tmp_path: Path) -> None:
    results = device_like(base=16)
    one, two = (write_report(results, tmp_path / name).read_bytes() for name in "ab")
    assert one == two


def _small() -> SyntheticResults:
    return synthetic_results((SyntheticFactor("left"), SyntheticFactor("right")), _equal_pair, base=16)


def test_refuses_failed_trainings_with_their_number() -> None:
    results = replace(_small(), statuses={3: "diverged", 4: "diverged", 9: "oom"})
    with pytest.raises(AnalysisError, match=r"3 of 128 trainings failed \(2 diverged, 1 oom\).*vcm-sweep run --retry"):
        analyze(results)


def test_refuses_unfinished_points_with_their_number(tmp_path: Path) -> None:
    results = _small()
    y = results.y.copy()
    y[10:, 1] = np.nan
    with pytest.raises(AnalysisError, match="6 of 64 points are not finished; vcm-sweep run"):
        write_report(replace(results, y=y), tmp_path)
    assert not list(tmp_path.iterdir())


def test_refuses_an_unknown_metric_and_a_directory_that_is_a_file(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="'accurracy' is not one of accuracy, loss"):
        analyze(_small(), "accurracy")
    (tmp_path / "file").touch()
    with pytest.raises(AnalysisError, match="cannot write to"):
        write_report(_small(), tmp_path / "file")
