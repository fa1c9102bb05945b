"""The report in a real browser: it opens clean, is quick, can be hovered, fits a phone and paper, and is accessible."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from vcm_sweep.analysis import write_report

from ..browser import chromium, complaints, hover, scroll_through, show, until
from ..stored import stored
from ..synthetic import SyntheticFactor, device_like, synthetic_results

pytestmark = pytest.mark.browser

HOSTILE = (
    '<script>document.title="broken"</script>.d2d.sigma',
    "\"'><img src=x onerror=alert(1)>",
    "a_parameter_with_a_rather_long_name.mechanism.moment",
    "{{ 7 * 7 }} ${x} $x^2$ \\ </style>",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as session:
        yield session


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(device_like(base=32), tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    factors = tuple(SyntheticFactor(name) for name in HOSTILE)
    results = synthetic_results(factors, lambda u: 0.3 + 0.4 * u[..., 0] * u[..., 1] + 0.2 * u[..., 3], base=32)
    return write_report(results, tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("which", ["page", "hostile"])
def test_opens_clean_with_all_pictures_and_no_sideways_scroll(
    browser: Any, which: str, width: int, request: pytest.FixtureRequest
) -> None:
    show(browser, request.getfixturevalue(which), width, 800)
    assert browser.execute_script("return window.innerWidth") == width
    # What answers the question is on the first screen.
    answer = browser.find_element("css selector", ".answer")
    assert answer.rect["y"] + answer.rect["height"] < 800
    scroll_through(browser)
    pictures = browser.find_elements("css selector", ".live svg")
    assert len(pictures) == len(browser.find_elements("css selector", "[data-chart]")) >= 9
    assert all(p.size["width"] > 100 and p.size["height"] > 40 for p in pictures)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert "broken" not in browser.title
    # Names of common length stand whole beside their marks.
    shown = browser.execute_script("return [...document.querySelectorAll('.live svg text')].map(t => t.textContent)")
    assert which == "hostile" or not [text for text in shown if "…" in text]
    assert complaints(browser) == []


def test_hovering_shows_the_numbers(browser: Any, page: Path) -> None:
    show(browser, page)
    scroll_through(browser)
    box = browser.find_element("css selector", '[data-chart="indices"]')
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", box)
    dot = box.find_elements("css selector", ".live .mark-symbol.role-mark path")[0]
    shown = hover(browser, dot)
    assert "mismatch.global" in shown
    assert "%" in shown
    assert "[" in shown


@pytest.mark.slow
def test_a_hostile_name_is_shown_as_it_is_in_pictures_and_tooltips(browser: Any, hostile: Path) -> None:
    show(browser, hostile)
    scroll_through(browser)
    headers = [cell.text for cell in browser.find_elements("css selector", "tbody th")]
    assert any(HOSTILE[0] in text for text in headers)
    box = browser.find_element("css selector", '[data-chart="indices"]')
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", box)
    for dot in box.find_elements("css selector", ".live .mark-symbol.role-mark path")[:4]:
        assert any(name in hover(browser, dot) for name in HOSTILE)
    assert browser.find_elements("css selector", "#vg-tooltip-element img, #vg-tooltip-element script") == []
    assert browser.find_elements("css selector", "img") == []
    assert complaints(browser) == []


def test_print_shows_every_picture_without_scrolling_to_it(browser: Any, page: Path) -> None:
    show(browser, page, 800, 1100)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        still = browser.find_elements("css selector", ".still svg")
        assert still
        assert all(svg.is_displayed() and svg.size["height"] > 30 for svg in still)
        assert not any(e.is_displayed() for e in browser.find_elements("css selector", ".files, nav"))
        # The reader's font may be wider than the one that the picture was measured with.
        cut = browser.execute_script(
            "return [...document.querySelectorAll('.still svg')].filter(svg => [...svg.querySelectorAll('text')].some("
            "t => t.getBoundingClientRect().left < svg.getBoundingClientRect().left - 1)).length"
        )
        assert cut == 0
        laps = browser.execute_script(
            "const laps = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;"
            "const boxes = query => [...document.querySelectorAll('.still svg')].map("
            "svg => [...svg.querySelectorAll(query)].map(e => e.getBoundingClientRect()));"
            "const names = boxes('.role-legend-label text'), symbols = boxes('.role-legend-symbol path');"
            "return [names.flat().length, names.flatMap((of, k) => of.filter("
            "name => symbols[k].some(symbol => laps(name, symbol)))).length]"
        )
        assert laps[0] > 3
        assert laps[1] == 0
        # Paper cannot be clicked.
        for folded in browser.find_elements("css selector", "details > :not(summary)"):
            assert browser.execute_script("return arguments[0].getBoundingClientRect().height", folded) > 0
        pdf = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"]
        assert len(pdf) > 50_000
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_without_javascript_the_pictures_stand(browser: Any, page: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(browser, page)
        still = browser.find_elements("css selector", ".still svg")
        assert len(still) >= 9
        assert all(svg.size["width"] > 100 for svg in still)
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_screen_reader_finds_its_way(browser: Any, page: Path) -> None:
    show(browser, page)
    count = lambda css: len(browser.find_elements("css selector", css))  # noqa: E731
    assert count("h1") == 1
    assert count("header") == count("main") == count("nav[aria-label]") == 1
    # Headings descend without a gap, and sections are named by theirs.
    levels = [int(h.tag_name[1]) for h in browser.find_elements("css selector", "h1,h2,h3,h4")]
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert count("main section") == count("main section[aria-labelledby]")
    for name in browser.execute_script(
        "return [...document.querySelectorAll('[role=img]')].map(e => e.getAttribute('aria-label'))"
    ):
        assert len(name) > 20
    assert count("svg") == count("[role=img] svg")
    # Tables have captions, and headers for columns and rows.
    assert count("table") == count("table > caption")
    assert count("thead th") == count("thead th[scope=col]")
    assert count("tbody tr") == count("tbody tr th[scope=row]")
    assert count("a:not([href])") == 0
    assert browser.execute_script("return document.documentElement.lang") == "en"
    assert all(
        link.get_attribute("aria-label") or link.text for link in browser.find_elements("css selector", "main a")
    )


_CONTRAST = """
const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
const light = c => { const [r, g, b] = c.map(v => linear(v / 255));
  return .2126 * r + .7152 * g + .0722 * b; };
const parse = s => s.match(/[\\d.]+/g).map(Number);
const ground = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
  if (c.length < 4 || c[3] > 0) return c.slice(0, 3); } return [255, 255, 255]; };
return [...document.querySelectorAll('h1, h2, p, li, dt, dd, small, th, td, a, figcaption, summary, pre')].map(e => {
  const [a, b] = [light(parse(getComputedStyle(e).color).slice(0, 3)), light(ground(e))].sort((x, y) => y - x);
  return [(a + .05) / (b + .05), e.tagName + '.' + e.className]; }).sort((x, y) => x[0] - y[0])[0];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(browser: Any, page: Path, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    show(browser, page)
    worst, where = browser.execute_script(_CONTRAST)
    assert worst >= 4.5, where  # WCAG 2 AA


@pytest.mark.parametrize("n", [256, pytest.param(2048, marks=pytest.mark.slow)], ids=["6,656", "53,248"])
def test_a_large_study_has_a_small_page(browser: Any, tmp_path: Path, n: int) -> None:
    """A page that holds no more for more trainings is as quick: benchmarks/report.py says how quick."""
    path = write_report(stored(tmp_path / "runs", n, factors=11), tmp_path / "out", method="sobol")
    assert path.stat().st_size < 8e6
    histories = path.parent / "histories.parquet"
    import pyarrow.parquet as pq

    assert pq.read_metadata(histories).num_rows == 26 * n
    show(browser, path)
    until(lambda: browser.execute_script("return performance.getEntriesByName('interactive').length"))
    # What is drawn at once is what a reader sees at once.
    assert browser.execute_script("return document.getElementsByTagName('*').length") < 30_000
    assert complaints(browser) == []
