"""The report and the files beside it, from synthetic records."""

import base64
import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import qmc

from vcm_sweep.analysis import AnalysisError, analyze, write_report

from ..stored import stored
from ..synthetic import (
    Array,
    SyntheticFactor,
    SyntheticResults,
    by_trajectories,
    device_like,
    synthetic_design,
    synthetic_results,
    synthetic_study,
    with_noise,
)


def _equal_pair(u: Array) -> Array:
    return np.asarray(0.3 + 0.25 * u[..., 0] + 0.25 * u[..., 1])


class _Links(HTMLParser):
    """Everything that a page would load or link to."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.tags: list[str] = []
        self.scripts_from: list[str | None] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.scripts_from += [v for k, v in attrs if tag == "script" and k == "src"]
        self.attributes |= {name for name, _ in attrs}
        self.targets += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "srcset", "data")]


@pytest.fixture(scope="module")
def device_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(device_like(base=16), tmp_path_factory.mktemp("report") / "new" / "folder")


def test_answers_first_and_says_what_indices_are(device_page: Path) -> None:
    page = device_page.read_text(encoding="utf-8").replace("\u00a0", " ")
    body = page[page.index("<body>") :]
    answer = body.index("Over the stated ranges, mismatch.global accounts for")
    assert answer < body.index("<table")
    assert re.search(r"\d+ % \[-?\d+, \d+\] of the variance of accuracy \(total index\)", body)
    assert "not of accuracy lost" in body
    for words in (
        "Luck", "Settled", "Failures", "at chance level", "By status", "Seeds: independent", "torch 2.13.0",
        "T_0.array.mean (K)", "vcm-sweep limits synthetic", "needs about", "in the median (12 min in all)",
    ):  # fmt: skip
        assert words in body, words
    assert "vcm-sweep tolerance synthetic/study.toml --out synthetic" in body
    # Of why it hurts nothing is known, and nothing is said.
    assert "Why it hurts" not in body


def test_points_in_space_are_reported_with_what_the_model_leaves(tmp_path: Path) -> None:
    u = qmc.Sobol(2, rng=1).random_base2(8)[:, None, :]
    y = with_noise(np.random.default_rng(1), _equal_pair(u), 2, 0.05)
    study = synthetic_study((SyntheticFactor("a"), SyntheticFactor("b")), design=synthetic_design("space", n=256))
    page = write_report(SyntheticResults(study, u, y), tmp_path).read_text(encoding="utf-8").replace("\u00a0", " ")
    assert "Intervals are 95 % ones by standard errors over points, and hold what the model" in page
    assert "bootstrap intervals" not in page
    assert "of the variance unexplained, at most" in page


def test_needs_no_network(device_page: Path) -> None:
    page = device_page.read_text(encoding="utf-8")
    links = _Links()
    links.feed(page)
    beside = {path.relative_to(device_page.parent).as_posix() for path in device_page.parent.rglob("*")}
    for target in links.targets:
        assert target.startswith(("#", "data:")) or target.rstrip("/") in beside, target
    assert not links.scripts_from
    style = page[page.index("<style>") : page.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style
    assert not re.search(r"<svg[^>]*>(?:(?!</svg>).)*url\((?!#)", page, re.DOTALL)


def test_every_picture_is_a_file_with_its_numbers(device_page: Path) -> None:
    folder = device_page.parent / "report"
    names = {path.stem for path in folder.glob("*.svg")}
    assert {"indices", "effect-1", "effect-7", "convergence", "luck", "histogram",
            "training-curves", "p-chance", "accuracy-trained"} <= names  # fmt: skip
    for name in names:
        svg = ElementTree.parse(folder / f"{name}.svg").getroot()
        assert svg.get("role") == "img"
        assert len(str(svg.get("aria-label"))) > 20
        assert (folder / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    rows = list(csv.DictReader((folder / "indices.csv").open()))
    result = analyze(device_like(base=16))
    for index in result.total:
        (row,) = (r for r in rows if (r["factor"], r["series"]) == (index.factor, "total index"))
        assert [float(row[key]) for key in ("value", "low", "high")] == [index.value, index.low, index.high]
    # Bins of the histogram hold every training.
    assert sum(int(row["count"]) for row in csv.DictReader((folder / "histogram.csv").open())) == 16 * 9 * 2


def test_training_curves_are_numpys_quantiles(device_page: Path) -> None:
    histories = pq.read_table(device_page.parent / "histories.parquet")["history"].to_pylist()
    expected = np.quantile(np.array(histories), [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
    rows = list(csv.DictReader((device_page.parent / "report" / "training-curves.csv").open()))
    found = np.array([[float(row[key]) for key in "abcde"] for row in rows]).T
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_summary_in_markdown_gives_the_same_answer_and_links_the_pictures(device_page: Path) -> None:
    summary = device_page.with_suffix(".md").read_text(encoding="utf-8")
    answer = analyze(device_like(base=16)).answer()[0]
    assert summary.splitlines()[2] == f"**{answer.replace('_', chr(92) + '_')}**"
    pictures = re.findall(r"\]\((report/[^)]+)\)", summary)
    assert len(pictures) >= 14
    assert all((device_page.parent / target).is_file() for target in pictures)
    assert "| 1. mismatch.global |" in summary


def test_the_page_carries_its_numbers_wherever_it_travels(device_page: Path) -> None:
    page = device_page.read_text(encoding="utf-8")
    (inside,) = re.findall(r'download="report-indices.json" href="data:application/json;base64,([^"]+)"', page)
    assert json.loads(base64.b64decode(inside)) == json.loads((device_page.parent / "indices.json").read_text())


def test_numbers_beside_the_page_agree_with_the_analysis(device_page: Path) -> None:
    result = analyze(device_like(base=16))
    stored = json.loads((device_page.parent / "indices.json").read_text())
    assert stored["ranking"] == [index.factor for index in result.ranking()]
    assert stored["ranges"]["r.d2d.sigma"]["high"] == 0.08
    rows = pq.read_table(device_page.parent / "indices.parquet").to_pylist()
    totals = {row["factor"]: row["value"] for row in rows if row["kind"] == "total"}
    assert totals == {index.factor: index.value for index in result.total}
    assert [row["value"] for row in rows if row["kind"] == "luck"] == [result.luck.value]
    trainings = pq.read_table(device_page.parent / "trainings.parquet")
    assert trainings.num_rows == 16 * 9 * 2
    assert "x_r.d2d.sigma" in trainings.column_names
    assert sorted(p.name for p in device_page.parent.iterdir()) == [
        "histories.parquet", "indices.json", "indices.parquet", "report", "report.html", "report.md",
        "trainings.parquet",
    ]  # fmt: skip


def test_says_when_the_first_place_is_open(tmp_path: Path) -> None:
    factors = (SyntheticFactor("left"), SyntheticFactor("right"))
    page = write_report(synthetic_results(factors, _equal_pair), tmp_path).read_text()
    header = page[page.index("<header>") : page.index("</header>")]
    assert re.search(r"The data do not separate it from (left|right)", header)
    assert "1 of 1 pairs of factors are not separated" in page


def test_escapes_what_the_user_named(tmp_path: Path) -> None:
    factors = (SyntheticFactor("<script>alert(1)</script>$x^2$"), SyntheticFactor('a" onload="b&c'))
    results = synthetic_results(factors, _equal_pair)
    results = replace(results, study=replace(results.study, name="<b>", text="</pre><script>\n```\n<i>"))
    page = write_report(results, tmp_path).read_text()
    links = _Links()
    links.feed(page)
    assert links.tags.count("script") == 5
    assert "b" not in links.tags
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    summary, fenced, _ = (tmp_path / "report.md").read_text().split("\n````\n")
    assert fenced == "</pre><script>\n```\n<i>"
    assert "<" not in summary
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


def test_pictures_of_an_earlier_report_do_not_stay(tmp_path: Path) -> None:
    write_report(device_like(base=16), tmp_path)
    assert (tmp_path / "report" / "effect-7.svg").exists()
    (tmp_path / "report" / "notes.txt").write_text("mine")
    write_report(_small(), tmp_path)
    assert not (tmp_path / "report" / "effect-7.svg").exists()
    assert (tmp_path / "report" / "notes.txt").exists()


@pytest.mark.parametrize("method", ["morris", "shapley", "pawn", "hdmr"])
def test_every_method_has_a_report(tmp_path: Path, method: str) -> None:
    if method in ("morris", "shapley"):
        results = by_trajectories(method)
        page = write_report(results, tmp_path).read_text()
    else:
        page = write_report(_small(), tmp_path, method=method).read_text()
    words = {"morris": "mean absolute effect across its range", "shapley": "Shapley effect", "pawn": "PAWN index",
             "hdmr": "total index"}  # fmt: skip
    assert words[method] in page
    assert "Direction and shape" in page
    assert json.loads((tmp_path / "indices.json").read_text())["method"] == method


def test_failures_have_a_section_with_their_own_sensitivity(tmp_path: Path) -> None:
    results = stored(tmp_path / "runs", 32, diverge=0.9)
    with pytest.raises(AnalysisError, match="name a policy: drop-block or worst-case"):
        write_report(results, tmp_path / "out")
    for policy in ("drop-block", "worst-case"):
        page = write_report(results, tmp_path / policy, method="sobol", policy=policy).read_text()
        failed = results.counts()["diverged"]
        assert f"<dd>{failed} of {32 * 6 * 2}" in page
        assert "What failing depends on" in page
        assert (tmp_path / policy / "report" / "failures.svg").exists()
        # The first factor alone decides: whoever looks at P(diverged) sees it first.
        rows = list(csv.reader((tmp_path / policy / "report" / "failures.table.csv").open()))
        assert rows[1][0] == "r.d2d.sigma"
        assert (tmp_path / policy / "report" / "p-diverged.svg").exists()


def test_second_order_of_the_design_is_its_own_map(tmp_path: Path) -> None:
    def output(u: Array) -> Array:
        return np.asarray(0.1 + 0.8 * (u[:, 0] - 0.5) * (u[:, 1] - 0.5) + 0.4 * u[:, 2])

    results = stored(tmp_path / "runs", 256, factors=3, design="second_order = true", output=output)
    page = write_report(results, tmp_path / "out", method="sobol").read_text()
    assert "Second-order Sobol indices" in page
    pairs, told = (
        list(csv.DictReader((tmp_path / "out" / "report" / f"{name}.csv").open()))
        for name in ("interaction-map", "interactions")
    )
    assert len(pairs) == 3
    assert [row["factor"] for row in told] == ["r.d2d.sigma × l.d2d.sigma"]
    assert "No other of 3 interactions is distinguishable from none: each of them is at most " in page


def test_groups_are_ranked_and_their_factors_are_drawn(tmp_path: Path) -> None:
    design = '[design.groups]\nsize = ["r.d2d.sigma", "l.d2d.sigma"]'
    results = stored(tmp_path / "runs", 64, factors=4, design=design)
    page = write_report(results, tmp_path / "out").read_text()
    assert "r.d2d.sigma: 0 to 0.08; l.d2d.sigma: 0 to 0.1" in page
    assert len(list((tmp_path / "out" / "report").glob("effect-*.svg"))) == 4
    assert "The device" in page


def test_other_metrics_have_their_own_words(tmp_path: Path) -> None:
    page = write_report(_small(), tmp_path, "loss").read_text()
    assert "of the variance of loss" in page
    assert "standard deviation over the ranges 0.1" in page


def _small() -> SyntheticResults:
    return synthetic_results((SyntheticFactor("left"), SyntheticFactor("right")), _equal_pair, base=16)


def test_refuses_failed_trainings_with_their_number() -> None:
    results = replace(_small(), statuses={3: "diverged", 4: "diverged", 9: "oom"})
    with pytest.raises(AnalysisError, match=r"3 of 128 trainings failed \(2 diverged, 1 oom\).*vcm-sweep run --retry"):
        analyze(results)


def test_refuses_unfinished_points_with_their_number(tmp_path: Path) -> None:
    results = _small()
    y = results.y.copy()
    y[:6, 1] = np.nan
    with pytest.raises(AnalysisError, match="6 of 64 points are not finished; vcm-sweep resume"):
        write_report(replace(results, y=y), tmp_path)
    assert not list(tmp_path.iterdir())


def test_refuses_an_unknown_metric_and_a_directory_that_is_a_file(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="'accurracy' is not one of accuracy, loss"):
        analyze(_small(), "accurracy")
    (tmp_path / "file").touch()
    with pytest.raises(AnalysisError, match="cannot write to"):
        write_report(_small(), tmp_path / "file")
