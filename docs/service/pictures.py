"""Take the pictures of docs/service.md: ``python docs/service/pictures.py``, which needs Chromium and chromedriver.

A service of its own shows docs/example, beside a study that compiles its kernels; the pages are opened as people do.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from vcm_sweep.sweep import Store, Study, open_results
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.session.log import utc_now
from vcm_sweep.sweep.session.state import SessionState, write_state
from vcm_sweep.sweep.session.tally import Figures

HERE = Path(__file__).parent


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """A headless browser."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for word in ("--headless=new", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={profile}"):
        options.add_argument(word)
    browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield browser
    finally:
        browser.quit()


def main(out: Path = HERE, opened: Callable[[Path], AbstractContextManager[Any]] = chromium) -> None:
    """Write the pictures into a folder; ``opened`` is a browser, by the folder of its profile."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "studies"
        fill(root)
        command = [sys.executable, "-m", "vcm_sweep.cluster.cli", "serve", "--root", str(root), "--port", "0", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=scratch) as process:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            try:
                with opened(Path(scratch) / "profile") as browser:
                    take(browser, said["service"], said["token_run"].split()[0], out)
            finally:
                process.terminate()


def fill(root: Path) -> None:
    """Make a folder of three studies: one finished, one that is made longer, one that begins."""
    text = (HERE.parent / "example" / "study.toml").read_text(encoding="utf-8")
    shutil.copytree(HERE.parent / "example", root / "demo-example")
    (root / "demo-example" / "note.txt").write_text("The chip of May, for the group meeting")
    session = SessionState("20260101-000000-abcd", "node1", 1, tick_s=60.0, started=utc_now(), seen=utc_now())
    of_all = open_results(root / "demo-example").records(["accuracy"])["accuracy"].to_numpy()
    ended = Figures(done=len(of_all), total=len(of_all), best=float(of_all.max()), worst=float(of_all.min()))
    write_state(Folder(root / "demo-example"), replace(session, state="done", figures=ended))
    figures = Figures(done=448, total=1024, failed=3, rate_per_h=4100.0, eta_s=505.0, best=0.91, worst=0.4)
    nodes = {"node1": {"packs": 2, "trials": 230}, "node2": {"packs": 2, "trials": 218}}
    running = replace(figures, nodes=nodes, failures={"out of memory": 3})
    beginning = Figures(total=1024, doing="compiling the kernels, once after an installation")
    for name, own in (("demo-00c0ffee", running), ("wider-ranges-0badcafe", beginning)):
        with Store.create(Study.from_text(text), root / name):
            pass
        write_state(Folder(root / name), replace(session, figures=own))


def take(browser: Any, url: str, token: str, out: Path) -> None:
    """Open the pages, and write what they look like."""
    browser.get(f"{url}login")
    browser.find_element("id", "token").send_keys(token)
    browser.find_element("css selector", "main button").click()
    _until(lambda: "/login" not in browser.current_url)

    def shot(name: str, path: str, width: int, height: int, ready: Callable[[], bool], dark: bool = False) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        browser.get(f"{url}{path}")
        _until(ready)
        browser.save_screenshot(str(out / name))

    def mistaken() -> bool:
        field = browser.find_element("id", "/network/lr")
        if field.get_attribute("value") != "quick":
            field.clear()
            field.send_keys("quick")
        told = browser.find_elements("css selector", ".wrong .problem")
        browser.execute_script("document.getElementById('verdict').scrollIntoView()")
        return bool(told)

    def drawn() -> bool:
        return len(browser.find_elements("css selector", "#ranking .is-live svg")) == 1

    shot("new.png", "new", 1180, 860, mistaken)
    shot("list.png", "", 1180, 640, lambda: True)
    shot("study.png", "studies/demo-example", 1180, 1000, drawn)
    shot("phone.png", "studies/demo-example", 390, 860, drawn, dark=True)


def _until(true: Callable[[], bool], within_s: float = 120.0) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, true
        time.sleep(0.3)


if __name__ == "__main__":
    main()
