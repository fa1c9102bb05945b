"""A headless Chromium for tests of pages, or the reason why there is none."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """A browser session. Without a browser the test is skipped, or fails where one is required."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (binary and driver):
        reason = "chromium and chromedriver are not on PATH"
        if os.environ.get("VCM_SWEEP_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    session = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield session
    finally:
        session.quit()


def show(browser: Any, page: Path, width: int = 1280, height: int = 900) -> None:
    """Open a page on an emulated device of this size: headless windows have a minimum width, the device has none."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())


def scroll_through(browser: Any) -> None:
    """Scroll to every picture, and wait until each one reacts to the pointer."""
    for box in browser.find_elements("css selector", "[data-chart]"):
        browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", box)
        until(lambda box=box: "is-live" in box.get_attribute("class"))  # type: ignore[misc]


def hover(browser: Any, mark: Any) -> str:
    """The text that is shown when the pointer rests on a mark of a picture."""
    from selenium.webdriver import ActionChains

    tooltip = lambda: browser.find_element("id", "vg-tooltip-element")  # noqa: E731
    ActionChains(browser).move_by_offset(0, 0).move_to_element(mark).perform()

    def shown() -> bool:
        # A single event may come before the picture listens, so the pointer is moved again and again, as a hand would.
        ActionChains(browser).move_to_element_with_offset(mark, 1, 0).move_to_element(mark).perform()
        return bool(browser.find_elements("id", "vg-tooltip-element")) and bool(tooltip().text)

    until(shown)
    return str(tooltip().text)


def until(true: Any, timeout_s: float = 20.0) -> None:
    """Wait until ``true()`` is true."""
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def complaints(browser: Any) -> list[Any]:
    """The warnings and errors in the browser's console."""
    return [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
