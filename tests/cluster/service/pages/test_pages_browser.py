"""The service in a real browser: from the form to the report, without a mouse, on a phone, in the dark, accessible."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vcm_sweep.cluster.service.pages.render import read_file
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.session.log import utc_now
from vcm_sweep.sweep.session.state import SessionState, write_state
from vcm_sweep.sweep.session.tally import Figures
from vcm_sweep.sweep.store import Store
from vcm_sweep.sweep.study.study import Study

from ....analysis.browser import chromium, complaints, until
from ....studies import TINY
from ..cells.measuring import measured
from .serving import Serving, log_in, serving

pytestmark = pytest.mark.browser

RANKED = (
    TINY.replace('"sobol"', '"morris"').replace("n = 4", "n = 8\nreplicates = 2").replace("epochs = 1", "epochs = 2")
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as session:
        yield session


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("service") / "studies") as made:
        yield made


def look(browser: Any, width: int = 1280, height: int = 900, dark: bool = False) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def hindrances(browser: Any) -> list[str]:
    """What axe-core finds on the page that hinders people seriously."""
    import axe_core_python

    browser.execute_script((Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    found = browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    assert len(found["passes"]) > 10
    return [
        f"{violation['id']}: {violation['nodes'][0]['html'][:200]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
    ]


def by_id(browser: Any, name: str) -> Any:
    return browser.find_element("id", name)


def value(browser: Any, name: str) -> str:
    return str(browser.execute_script("return document.getElementById(arguments[0])?.value ?? ''", name))


def out_of_reach(browser: Any) -> bool:
    """Whether the form takes no change."""
    return bool(browser.execute_script("return document.getElementById('form')?.inert ?? false"))


def write(browser: Any, name: str, text: str) -> None:
    field = by_id(browser, name)
    field.clear()
    field.send_keys(text)


def test_form_and_text_follow_each_other(browser: Any, at: Serving) -> None:
    from selenium.webdriver import Keys

    look(browser)
    log_in(browser, at)
    browser.get(f"{at.url}/new")
    before = value(browser, "text")
    assert before == read_file("templates", "first.toml")
    write(browser, "/network/epochs", "7")
    until(lambda: "epochs = 7" in value(browser, "text"))
    # Nothing else has changed, and the caret is still there.
    assert value(browser, "text") == before.replace("epochs = 4", "epochs = 7")
    assert browser.switch_to.active_element.get_attribute("id") == "/network/epochs"
    text = by_id(browser, "text")
    text.send_keys("\n[device.d2d.r]\nclip = 0.2\n")
    until(lambda: browser.find_elements("id", "/device/d2d/r/clip"))
    assert value(browser, "/device/d2d/r/clip") == "0.2"
    assert browser.switch_to.active_element == text
    write(browser, "/network/lr", "quick")
    beside = "[network] lr = 'quick' must be a number from 1e-09 to 100"
    until(lambda: [p.text for p in browser.find_elements("id", "/network/lr-problem")] == [beside])
    assert by_id(browser, "/network/lr").get_attribute("aria-invalid") == "true"
    write(browser, "/network/lr", "0.02")
    until(lambda: not browser.find_elements("css selector", "#form .problem"))
    # Half-written TOML leaves the form as it was, out of reach, until it can be read again.
    text.send_keys("[")
    until(lambda: out_of_reach(browser))
    assert value(browser, "/network/epochs") == "7"
    text.send_keys(Keys.BACKSPACE)
    until(lambda: not out_of_reach(browser))
    assert complaints(browser) == []


@pytest.mark.slow
def test_without_a_mouse_from_the_form_to_the_finished_report(browser: Any, at: Serving) -> None:
    from selenium.webdriver import ActionChains, Keys

    look(browser)
    browser.delete_all_cookies()

    def press(*keys: str) -> None:
        ActionChains(browser).send_keys(*keys).perform()

    def reach(selector: str) -> None:
        """Tab to an element, which must be seen to have the focus there."""
        for _ in range(200):
            press(Keys.TAB)
            if browser.execute_script("return document.activeElement.matches(arguments[0])", selector):
                shown = browser.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
                assert shown != "none"
                return
        raise AssertionError(f"{selector} cannot be reached")

    browser.get(f"{at.url}/new")
    until(lambda: "/login?next=%2Fnew" in browser.current_url)
    press(at.token(), Keys.ENTER)  # the field has the focus
    until(lambda: browser.current_url == f"{at.url}/new")
    reach("#text")
    ActionChains(browser).key_down(Keys.CONTROL).send_keys("a").key_up(Keys.CONTROL).perform()
    browser.execute_cdp_cmd("Input.insertText", {"text": RANKED})
    until(lambda: value(browser, "/study/name") == "tiny")
    reach("#note")
    press("for Ada")
    reach('button[value="plan"]')
    press(Keys.ENTER)
    until(lambda: browser.find_elements("id", "cost"), 300)
    until(lambda: browser.find_elements("css selector", "#plan dl"), 300)
    plan = by_id(browser, "plan").text
    assert "core time" in plan
    assert " to " in plan
    reach('button[value="run"]')
    press(Keys.ENTER)
    name = f"tiny-{Study.from_text(RANKED).digest[:8]}"
    until(lambda: browser.current_url == f"{at.url}/studies/{name}")
    # The page follows the run to its end by itself: the ranking with its picture, and the report.
    until(lambda: browser.find_element("css selector", "[data-of=state]").text == "done", 300)
    until(lambda: browser.find_elements("css selector", "#ranking .is-live svg"), 60)
    assert browser.find_element("css selector", "[data-of=done]").text == "48"
    assert "r.d2d.sigma" in by_id(browser, "ranking").text
    assert value(browser, "note") == "for Ada"
    reach("#doing a.first")
    press(Keys.ENTER)
    until(lambda: browser.current_url.endswith("/report.html"))
    browser.switch_to.frame(browser.find_element("css selector", "iframe.shown"))
    until(lambda: browser.find_elements("css selector", "[data-chart]"))
    # Pictures come alive where they are seen, and the frame is lower than the page was.
    browser.execute_script("document.querySelector('[data-chart]').scrollIntoView()")
    until(lambda: browser.find_elements("css selector", ".is-live svg"), 60)
    browser.switch_to.default_content()
    assert complaints(browser) == []
    browser.back()
    until(lambda: browser.current_url.endswith(name))
    clone = next(link for link in browser.find_elements("css selector", "#doing a") if link.text == "Clone and edit")
    clone.click()
    until(lambda: value(browser, "text") == RANKED)


@pytest.mark.slow
def test_a_run_is_stopped_and_gone_on_with(browser: Any, at: Serving) -> None:
    look(browser)
    log_in(browser, at)
    long = TINY.replace("n = 4", "n = 512\nreplicates = 2").replace("epochs = 1", "epochs = 30")
    study = at.service.actions.start(long).study
    browser.get(f"{at.url}/studies/{study}")
    state = lambda: browser.find_element("css selector", "[data-of=state]").text  # noqa: E731
    until(lambda: state() == "running", 120)

    def press(name: str) -> None:
        # Found and pressed in one go: the page may put new buttons in their place at any time.
        script = """
            const found = [...document.querySelectorAll("#doing button")].find((b) => b.textContent === arguments[0]);
            found?.click();
            return Boolean(found);
        """
        until(lambda: browser.execute_script(script, name), 30)

    press("Stop")
    until(lambda: state() == "stopped", 120)
    press("Resume")
    until(lambda: state() == "running", 120)
    press("Stop")
    until(lambda: state() == "stopped", 120)
    assert complaints(browser) == []


def test_what_takes_long_is_said_as_it_goes_and_in_the_list(browser: Any, at: Serving) -> None:
    look(browser)
    log_in(browser, at)
    folder = Folder(at.service.settings.root / "busy")
    Store.create(Study.from_text(TINY), folder)
    state = SessionState("20260101-000000-abcd", "elsewhere", 5, started=utc_now())

    def say(doing: str, beat: int) -> None:
        figures = Figures(done=beat, total=16, doing=doing)
        write_state(folder, replace(state, seen=utc_now(), beat=beat, figures=figures))

    say("compiling the kernels, once after an installation", 1)
    browser.get(f"{at.url}/studies/busy")
    now = lambda: browser.find_element("css selector", "[data-of=doing]").text  # noqa: E731
    assert now() == "compiling the kernels, once after an installation"
    say("waiting for 64 cores", 2)
    until(lambda: now() == "waiting for 64 cores", 20)
    at.service.actions.note("busy", "of <b>Ada</b>")
    browser.get(at.url)
    row = browser.find_element("xpath", "//tr[.//a[contains(@href, '/studies/busy')]]").text
    assert "waiting for 64 cores" in row
    assert "of <b>Ada</b>" in row
    browser.get(f"{at.url}/studies/busy")
    say("", 3)
    until(lambda: now() == "", 20)
    write_state(folder, replace(state, state="done", seen=utc_now(), beat=4))
    assert complaints(browser) == []


@pytest.mark.slow
def test_every_page_is_accessible_fits_a_phone_and_complains_of_nothing(browser: Any, at: Serving) -> None:
    from vcm_sweep.sweep import InProcessExecutor, run, train

    look(browser)
    log_in(browser, at)
    for folder, text in (("one", RANKED), ("other", RANKED.replace("lr = 0.02", "lr = 0.03"))):
        study = Study.from_text(text)
        run(study, InProcessExecutor(train), at.service.settings.root / folder)
    at.service.actions.note("one", "<b>for</b> Ada")
    at.service.rankings.report("one", wait_s=300)
    pages = (
        "/login", "/", "/new", "/studies/one", "/compare?study=one&study=other", "/new?of=one",
        "/studies/one/shown/report.html",
    )  # fmt: skip
    for path in pages:
        for width, dark in ((1280, False), (1280, True), (390, False), (390, True)):
            look(browser, width, dark=dark)
            browser.get(at.url + path)
            pictures = len(browser.find_elements("css selector", "[data-spec]"))
            until(lambda pictures=pictures: len(browser.find_elements("css selector", ".is-live svg")) == pictures)  # type: ignore[misc]
            assert hindrances(browser) == [], (path, width, dark)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width
            for frame in browser.find_elements("css selector", "iframe"):
                browser.switch_to.frame(frame)
                assert browser.find_element("css selector", "h1").is_displayed()
                assert hindrances(browser) == [], ("within", path, width, dark)
                assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
                browser.switch_to.default_content()
            assert complaints(browser) == [], (path, width, dark)


@pytest.mark.slow
def test_a_measured_file_is_sent_fitted_and_made_a_study(browser: Any, at: Serving, tmp_path: Path) -> None:
    file = tmp_path / "measured.csv"
    file.write_bytes(measured())
    look(browser)
    log_in(browser, at)
    browser.get(f"{at.url}/cells")
    by_id(browser, "data").send_keys(str(file))
    by_id(browser, "name").send_keys("mine")
    write(browser, "fit", "r")
    browser.execute_script("document.getElementById('model').value = 'explicit'")
    browser.find_element("css selector", "section form button").click()
    until(lambda: browser.current_url == f"{at.url}/cells/mine")
    # The page is loaded again by itself: fitted first, and then drawn.
    until(lambda: "r fitted to mine.csv" in browser.page_source, 120)
    until(lambda: len(browser.find_elements("css selector", "figure img")) == 3, 240)
    broken = "return [...document.images].filter((own) => !own.complete || !own.naturalWidth).length"
    until(lambda: browser.execute_script(broken) == 0)
    for path in ("/cells/mine", "/cells", "/tolerances"):
        for width, dark in ((1280, False), (1280, True), (400, False), (400, True)):
            look(browser, width, dark=dark)
            browser.get(at.url + path)
            assert hindrances(browser) == [], (path, width, dark)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width, (path, width)
    browser.get(f"{at.url}/cells/mine")
    browser.find_element("css selector", ".doing a.first").click()
    until(lambda: 'cell = "cells/mine/cell.toml"' in value(browser, "text"))
    assert "A valid study" in by_id(browser, "verdict").text
    assert complaints(browser) == []


@pytest.mark.slow
def test_a_search_for_tolerances_from_its_question_to_its_front(browser: Any, at: Serving) -> None:
    asked = TINY.replace("[design]", '[tolerance]\nquestion = "trade-off"\ntarget = 0.02\ntrials = 16\n[design]')
    look(browser)
    log_in(browser, at)
    study = at.service.searches.begin(asked).study
    browser.get(f"{at.url}/studies/{study}/tolerance")
    until(lambda: browser.find_element("css selector", "[data-of=state]").text == "done", 300)
    until(lambda: browser.find_elements("css selector", "#ranking .is-live svg"), 60)
    assert "nothing beats" in by_id(browser, "ranking").text
    for width, dark in ((1280, False), (400, True)):
        look(browser, width, dark=dark)
        browser.get(f"{at.url}/studies/{study}/tolerance")
        until(lambda: browser.find_elements("css selector", "#ranking .is-live svg"), 60)
        assert hindrances(browser) == [], (width, dark)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert complaints(browser) == []


def test_whoever_logs_out_is_out(browser: Any, at: Serving) -> None:
    look(browser)
    log_in(browser, at, "read")
    until(lambda: browser.find_element("css selector", ".answer").text.endswith("running"))
    assert "New study" not in browser.find_element("css selector", "nav").text
    browser.find_element("css selector", "nav form button").click()
    until(lambda: browser.current_url == f"{at.url}/login")
    browser.get(f"{at.url}/new")
    until(lambda: "/login?next=" in browser.current_url)
    browser.get_log("browser")
