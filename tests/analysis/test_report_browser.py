"""The report in a real browser: it opens clean, shows its pictures, and fits a phone."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vcm_sweep.analysis import write_report

from ._synthetic import SyntheticFactor, SyntheticResults, device_like, synthetic_results

pytestmark = pytest.mark.browser


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (chromium and driver):
        reason = "chromium and chromedriver are not on PATH"
        if os.environ.get("VCM_SWEEP_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    session = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield session
    session.quit()


def _long_names() -> SyntheticResults:
    names = ("a_parameter_with_a_rather_long_name.mechanism.moment", "short", "x" * 60)
    return synthetic_results(tuple(SyntheticFactor(n) for n in names), lambda u: 0.4 * u[..., 0] + 0.4 * u[..., 1])


@pytest.mark.parametrize("make", [device_like, _long_names], ids=["device-like", "long names"])
def test_opens_clean_and_fits_a_phone(browser: Any, tmp_path: Path, make: Any) -> None:
    path = write_report(make(base=32) if make is device_like else make(), tmp_path)
    # Headless windows have a minimum width; the emulated device has the phone's.
    for width, height in ((1280, 900), (390, 844)):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(path.as_uri())
        assert browser.execute_script("return window.innerWidth") == width
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        pictures = browser.find_elements("css selector", "svg[role=img]")
        assert len(pictures) >= 6
        assert all(p.size["width"] > 100 and p.size["height"] > 50 for p in pictures)
        # What answers the question is on the first screen.
        answer = browser.find_element("css selector", ".answer")
        assert answer.rect["y"] + answer.rect["height"] < height
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
