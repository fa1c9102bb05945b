"""The sliders of the report in a real browser: they compute what `predict` does, and go by keyboard."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vcm_sweep.analysis import Response, ask, predict, write_report

from ..browser import chromium, complaints, show, until
from ..stored import stored

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as session:
        yield session


@pytest.fixture(scope="module", params=["space", "sobol"])
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Response]:
    """256 points of their own, or 64 base blocks of 4 rows."""
    folder = tmp_path_factory.mktemp(request.param)
    n, factors = (256, 3) if request.param == "space" else (64, 2)
    results = stored(folder / "study", n, factors=factors, design=f'method = "{request.param}"\n')
    return write_report(results, folder), ask(results)


def test_the_page_and_python_say_the_same(browser: Any, study: tuple[Path, Response]) -> None:
    page, response = study
    show(browser, page)
    rng = np.random.default_rng(1)
    count = len(response.factors)
    shares = [np.tile([0.0, 1.0], (count, 1)), np.tile([0.0, 0.0], (count, 1)), np.tile([0.37, 0.37], (count, 1))]
    shares += [np.sort(rng.integers(0, 101, (count, 2)) / 100, axis=1) for _ in range(10)]
    shares += [
        np.array([[0.0, 0.6], *[[0.0, 1.0]] * (count - 1)]),
        np.array([[0.25, 0.25], *[[0.1, 1.0]] * (count - 1)]),
    ]
    measured = 0
    for share in shares:
        given: dict[str, Any] = {}
        for factor, (low, high) in zip(response.factors, share, strict=True):
            low, high = (factor.low + at * (factor.high - factor.low) for at in (low, high))
            given[factor.name] = float(low) if low == high else (float(low), float(high))
        found = browser.execute_script("return window.vcmSweepPredict(arguments[0])", share.tolist())
        wanted = predict(response, given)
        measured += wanted.measured
        assert found["value"] == pytest.approx(wanted.mean.value, abs=1e-6)
        assert found["half"] == pytest.approx(wanted.mean.high - wanted.mean.value, abs=1e-6)
        assert found["gain"] == pytest.approx(wanted.gain.value, abs=1e-6)
        assert found["gainHalf"] == pytest.approx(wanted.gain.high - wanted.gain.value, abs=1e-6)
    assert 0 < measured < len(shares)


def test_sliders_move_by_keyboard_and_say_what_is_predicted(browser: Any, study: tuple[Path, Response]) -> None:
    from selenium.webdriver import Keys

    page, response = study
    show(browser, page)
    box = browser.find_element("id", "asking")
    told = box.find_element("css selector", "[role=status]")
    assert box.is_displayed()
    assert "over the whole ranges" in told.text
    first = response.factors[0]
    row = box.find_element("css selector", "[data-factor]")
    assert (row.find_element("tag name", "legend").text, row.find_element("tag name", "output").text) == (
        first.name, f"{first.low:g} to {first.high:g}"
    )  # fmt: skip
    to = row.find_element("css selector", "[data-end=high]")
    assert to.get_attribute("aria-label") == f"{first.name} to"
    to.send_keys(Keys.HOME)
    until(lambda: row.find_element("tag name", "output").text == f"at {first.low:g}")
    wanted = predict(response, {first.name: first.low})
    said = re.match(r"mean accuracy\s+([\d.]+)\s%\s+\[([\d.]+), ([\d.]+)\]", told.text)
    assert said, told.text
    assert [float(v) for v in said.groups()] == pytest.approx(
        [100 * v for v in (wanted.mean.value, wanted.mean.low, wanted.mean.high)], abs=0.051
    )
    assert "against the whole ranges" in told.text
    assert "not in each" in box.find_element("css selector", "[data-why]").text
    # The low end goes along with a high end that passes it, and the other way round.
    low = row.find_element("css selector", "[data-end=low]")
    low.send_keys(Keys.END)
    until(lambda: row.find_element("tag name", "output").text == f"at {first.high:g}")
    box.find_element("css selector", "[data-set=half]").send_keys(Keys.ENTER)
    until(lambda: to.get_attribute("value") == "50")
    assert low.get_attribute("value") == "0"
    assert not complaints(browser)


def test_the_numbers_are_few(study: tuple[Path, Response]) -> None:
    page, response = study
    html = page.read_text()
    data = re.search(r'<script type="application/json" id="response">(.*?)</script>', html, re.S)
    assert data
    assert len(data[1]) < 200_000
    assert len(json.loads(data[1])["residual"]) == response.points.count


def test_sliders_of_a_list_hold_whole_values(browser: Any, tmp_path: Path) -> None:
    """Of three values and of two: what is said to be in is what is computed, and as `predict` computes it."""
    from selenium.webdriver import Keys

    lists = {"r.d2d.sigma": (0.0, 0.04, 0.08), "l.d2d.sigma": (0.0, 0.1)}
    results = stored(tmp_path / "study", 256, factors=2, design='method = "space"\n', lists=lists)
    page, response = write_report(results, tmp_path), ask(results)
    show(browser, page)
    radius, length = browser.find_elements("css selector", "#asking [data-factor]")
    for low, high, words, given in (
        (0, 100, "0 to 0.08", (0.0, 0.08)), (0, 66, "0 to 0.04", (0.0, 0.04)), (0, 67, "0 to 0.08", (0.0, 0.08)),
        (34, 66, "at 0.04", 0.04), (0, 0, "at 0", 0.0), (100, 100, "at 0.08", 0.08),
        (50, 100, "0.04 to 0.08", (0.04, 0.08)),
    ):  # fmt: skip
        browser.execute_script(
            "for (const [end, at] of [['low', arguments[1]], ['high', arguments[2]]])"
            " arguments[0].querySelector(`[data-end=${end}]`).value = at;"
            "arguments[0].querySelector('[data-end=high]').dispatchEvent(new Event('input'))",
            radius, low, high,
        )  # fmt: skip
        assert radius.find_element("tag name", "output").text == words
        assert length.find_element("tag name", "output").text == "0 to 0.1"
        told = browser.find_element("css selector", "#asking [data-value]").text
        wanted = predict(response, {"r.d2d.sigma": given}).mean
        found = [float(number) for number in re.findall(r"[\d.]+", told)]
        rounded = 0.051 if "." in told else 0.51
        assert found == pytest.approx([100 * v for v in (wanted.value, wanted.low, wanted.high)], abs=rounded)
    browser.find_element("css selector", "#asking [data-set=half]").send_keys(Keys.ENTER)
    until(lambda: length.find_element("tag name", "output").text == "at 0")
    assert not complaints(browser)
