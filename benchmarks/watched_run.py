"""What people who watch a run cost it: trainings in turns with no watcher and with many.

    OMP_NUM_THREADS=1 python benchmarks/watched_run.py [--watchers 200] [--turns 6] [--turn-s 20]

The run is of the service itself, on all cores of this machine, of many short trainings on digits. Those who watch are
on this machine, too, and read as fast as they can; so their own work is part of what they cost here.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from statistics import mean, stdev
from urllib.parse import urlsplit

import psutil
import requests

STUDY = """
[study]
name = "watched"
[network]
hidden = [8]
data = "digits"
epochs = 4
batch = 32
lr = 0.02
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[design]
method = "space"
n = 16384
replicates = 2
[run]
pack = 4
"""


class Watchers:
    """People who watch a study, each on a connection of its own."""

    def __init__(self, url: str, token: str, count: int) -> None:
        self._url, self._token, self._count = urlsplit(url), token, count
        self.events = 0
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def __enter__(self) -> "Watchers":
        futures = [asyncio.run_coroutine_threadsafe(self._begin(), self._loop) for _ in range(self._count)]
        begun = [future.result(30) for future in futures]
        self._tasks = [asyncio.run_coroutine_threadsafe(self._read(reader), self._loop) for reader, _ in begun]
        self._writers = [writer for _, writer in begun]
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._writers:
            self._loop.call_soon_threadsafe(writer.close)
        for task in self._tasks:
            with suppress(OSError):
                task.result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _begin(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(self._url.hostname, self._url.port)
        request = f"GET {self._url.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self._token}\r\n\r\n"
        writer.write(request.encode())
        assert b" 200 " in await reader.readline()
        return reader, writer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while piece := await reader.read(65536):
            self.events += piece.count(b"event: state")


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--watchers", type=int, default=200)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--turn-s", type=float, default=20.0)
    parser.add_argument("--warm-up-s", type=float, default=30.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "vcm_sweep.cluster.cli", "serve", "--root", f"{scratch}/root", "--port", "0"]
        process = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True, cwd=Path(scratch))
        assert process.stdout is not None
        try:
            said = json.loads(process.stdout.readline())
            token = said["token_run"].split()[0]
            session = requests.Session()
            session.headers["Authorization"] = f"Bearer {token}"
            started = session.post(f"{said['service']}api/studies", json={"study": STUDY}, timeout=120)
            started.raise_for_status()
            of = f"{said['service']}api/studies/{started.json()['study']}"
            measure(of, session, token, psutil.Process(process.pid), options)
            session.post(f"{of}/stop", timeout=60)
            while session.get(f"{of}/card", timeout=60).json()["state"] == "running":
                time.sleep(1.0)
        finally:
            process.terminate()
            process.wait()


def measure(
    of: str, session: requests.Session, token: str, service: psutil.Process, options: argparse.Namespace
) -> None:
    """Print the row of each turn and what the turns say."""

    def done() -> int:
        return int(session.get(f"{of}/card", timeout=60).json()["done"] or 0)

    while not done():
        time.sleep(0.5)
    time.sleep(options.warm_up_s)
    rates: dict[int, list[float]] = {0: [], options.watchers: []}
    print("| watchers | trainings per hour | events | core of the service, % |\n|---|---|---|---|")
    for turn in range(2 * options.turns):
        # 0 W W 0 0 W W 0: what drifts hits both alike
        watchers = options.watchers if turn % 4 in (1, 2) else 0
        with Watchers(f"{of}/events", token, watchers) as watching:
            before, cpu, began = done(), sum(service.cpu_times()[:2]), time.perf_counter()
            time.sleep(options.turn_s)
            while done() == before:  # on a machine as busy as that a rate would be 0, of which nobody loses a share
                time.sleep(0.5)
            after, used, took = done(), sum(service.cpu_times()[:2]) - cpu, time.perf_counter() - began
        rates[watchers].append(3600 * (after - before) / took)
        shown = f"{rates[watchers][-1]:,.0f} | {watching.events} | {100 * used / took:.1f}"
        print(f"| {watchers} | {shown} |", flush=True)
    without, having = rates[0], rates[options.watchers]
    lost = 1 - mean(having) / mean(without)
    error = (stdev(having) ** 2 / len(having) + stdev(without) ** 2 / len(without)) ** 0.5 / mean(without)
    print(f"lost: {100 * lost:.1f} % +- {100 * error:.1f} % (standard error)")


if __name__ == "__main__":
    main()
