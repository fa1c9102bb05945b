"""Time a service whose folder holds thousands of studies, one of them large and one of them running before many eyes.

    OMP_NUM_THREADS=1 python benchmarks/service.py [--studies 2000] [--points 32768] [--watchers 200]

The folder is made up, and `vcm-sweep serve` answers from a process of its own. Asked "first", it has read nothing yet.
Where there is a Chromium, pages are opened in it, until they are loaded.
What watchers cost is the processor time of the service, in parts of one core: a run on all cores loses that much.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import requests

from vcm_sweep.sweep import Store, Study, TrialRecord, build_design
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.session.log import utc_now
from vcm_sweep.sweep.session.state import SessionState, write_state
from vcm_sweep.sweep.session.tally import Figures

STUDY = """
[study]
name = "{name}"
[network]
hidden = [8]
data = "digits"
epochs = 10
batch = 32
lr = 0.02
{factors}
[design]
method = "space"
n = {n}
replicates = 3
"""
NAMES = ("r.d2d.sigma", "l.d2d.sigma", "N_max.d2d.sigma", "N_min.d2d.sigma", "mismatch.d2d.sigma", "read.noise.sigma")
WATCHED_S = 10.0


def study(name: str, n: int) -> Study:
    """A study of six factors."""
    factors = "".join(f'[[factor]]\nname = "{own}"\nrange = [0.0, 0.05]\n' for own in NAMES)
    return Study.from_text(STUDY.format(name=name, factors=factors, n=n))


def fill(root: Path, studies: int, points: int) -> tuple[str, str, int]:
    """Make the folder; (the large study, the running one, trainings of the large one)."""
    small = study("small", 16)
    for number in range(studies - 2):
        folder = Folder(root / f"small-{number:08x}")
        with Store.create(small, folder):
            pass
        figures = Figures(done=48, total=48, best=0.9, worst=0.1)
        write_state(folder, replace(_state("done"), figures=figures))
    large = study("large", points)
    random, weights = np.random.default_rng(1), np.linspace(1.0, 0.0, len(NAMES))
    design = build_design(large)
    with Store.create(large, root / "large-00000000") as store:
        for trial in design.trials():
            u = np.array(list(trial.factors.values())) / 0.05
            accuracy = float(0.95 - 0.1 * weights @ u**2 + 0.01 * random.normal())
            store.append([
                TrialRecord(
                    trial.key, trial.point, trial.replicate, trial.factors, trial.seed, "ok", accuracy=accuracy,
                    history=[accuracy * (1 - 0.5**k) for k in range(1, 11)], wall_s=1.0, cpu_s=1.0,
                )
            ])  # fmt: skip
    with Store.create(study("running", 16), root / "running-00000000"):
        pass
    return "large-00000000", "running-00000000", len(design)


def _state(state: str) -> SessionState:
    return SessionState("20260101-000000-ffff", os.uname().nodename, os.getpid(), state=state, started=utc_now(),
                        seen=utc_now())  # fmt: skip


def run(root: Path, name: str, over: threading.Event) -> None:
    """Write what a run writes, every two seconds."""
    beat = 0
    while not over.is_set():
        beat += 1
        figures = Figures(done=beat, total=48, running=1, rate_per_h=100.0, eta_s=10.0, best=0.5, worst=0.1)
        write_state(Folder(root / name), replace(_state("running"), beat=beat, figures=figures))
        over.wait(2.0)


class Asked:
    """A service that was started for this, and what asking it takes."""

    def __init__(self, root: Path) -> None:
        command = [sys.executable, "-m", "vcm_sweep.cluster.cli", "serve", "--root", str(root), "--port", "0", "--json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root.parent)
        assert self.process.stdout is not None
        said = json.loads(self.process.stdout.readline())
        self.address = said["service"]
        self.session = requests.Session()
        self.token = said["token_read"].split()[0]
        self.session.headers["Authorization"] = f"Bearer {self.token}"
        self.measured = psutil.Process(self.process.pid)

    def seconds(self, path: str) -> float:
        """Until the whole answer is here."""
        began = time.perf_counter()
        answer = self.session.get(f"{self.address}api/{path}", timeout=600)
        answer.raise_for_status()
        return time.perf_counter() - began

    def row(self, what: str, path: str) -> None:
        """Print how long an answer takes, the first time and the median of five."""
        first = self.seconds(path)
        again = sorted(self.seconds(path) for _ in range(5))[2]
        print(f"| {what} | {first:.3f} | {again:.3f} |", flush=True)

    def watched(self, name: str, watchers: int) -> tuple[int, float]:
        """(events that came, processor seconds per second) while many watch."""
        over, came = threading.Event(), [0] * watchers

        def watch(number: int) -> None:
            with suppress(requests.RequestException), requests.get(
                f"{self.address}api/studies/{name}/events", headers=dict(self.session.headers), stream=True, timeout=30
            ) as answer:  # fmt: skip
                for line in answer.iter_lines():
                    came[number] += line.startswith(b"event: state")
                    if over.is_set():
                        return

        threads = [threading.Thread(target=watch, args=(number,), daemon=True) for number in range(watchers)]
        for thread in threads:
            thread.start()
        while min(came) == 0:
            time.sleep(0.1)
        before, began = self._cpu(), time.perf_counter()
        time.sleep(WATCHED_S)
        share = (self._cpu() - before) / (time.perf_counter() - began)
        total = sum(came)
        over.set()
        return total, share

    def pages(self, root: Path, paths: dict[str, str]) -> None:
        """Print how long a browser takes, from the click to a page whose pictures can be drawn: first, and again."""
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        for word in ("--headless=new", "--no-sandbox", f"--user-data-dir={root.parent / 'profile'}"):
            options.add_argument(word)
        browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            browser.get(f"{self.address}login")
            browser.find_element("id", "token").send_keys(self.token)
            browser.find_element("css selector", "main button").click()
            took = "const t = performance.getEntriesByType('navigation')[0]; return t.loadEventEnd - t.startTime"
            for what, path in paths.items():
                seconds = []
                for _ in range(6):
                    browser.get(f"{self.address}{path}")
                    seconds.append(browser.execute_script(took) / 1000)
                print(f"| {what}, in a browser | {seconds[0]:.3f} | {sorted(seconds[1:])[2]:.3f} |", flush=True)
        finally:
            browser.quit()

    def _cpu(self) -> float:
        times: Any = self.measured.cpu_times()
        return float(times.user + times.system)

    def megabytes(self) -> str:
        """Memory of the service: what is its own, and all of it with the files of libraries that others map as well."""
        found = self.measured.memory_full_info()
        return f"{found.uss / 1e6:.0f} | {found.rss / 1e6:.0f}"


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--points", type=int, default=32768, help="of the large study; three trainings each")
    parser.add_argument("--watchers", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "studies"
        root.mkdir()
        large, running, trainings = fill(root, options.studies, options.points)
        over = threading.Event()
        writing = threading.Thread(target=run, args=(root, running, over))
        writing.start()
        asked = Asked(root)
        try:
            print("| what | first s | again s |\n|---|---|---|")
            asked.row(f"list of {options.studies:,} studies", "studies")
            asked.row(f"study of {trainings:,} trainings", f"studies/{large}")
            asked.row("its training curves", f"studies/{large}/curves")
            asked.row("the running study", f"studies/{running}")
            pages = {"the list's page": "", "the page of the running study": f"studies/{running}"}
            browser = shutil.which("chromium") and shutil.which("chromedriver")
            if browser:
                asked.pages(root, pages)
            idle = asked.watched(running, 1)
            events, share = asked.watched(running, options.watchers)
            print(f"| core for 1 watcher, % | {100 * idle[1]:.2f} | |")
            print(f"| core for {options.watchers} watchers, % ({events} events) | {100 * share:.2f} | |")
            print(f"| memory in MB, own and with shared libraries | {asked.megabytes()} |")
            if browser:  # last, since its ranking takes minutes of a core
                asked.pages(root, {"the page of the large study": f"studies/{large}"})
        finally:
            over.set()
            writing.join()
            asked.process.terminate()
            asked.process.wait()


if __name__ == "__main__":
    main()
