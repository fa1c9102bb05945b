"""What takes long is made once, one after the other, and waited for no longer than an answer may take."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from vcm_sweep.cluster.service.problems import BusyError, UnfinishedError
from vcm_sweep.cluster.service.service import Service
from vcm_sweep.cluster.service.studies.in_turn import InTurn
from vcm_sweep.sweep.errors import StudyError

from ..waiting import until


def test_it_is_made_once_for_all_who_ask_and_anew_when_it_has_changed() -> None:
    in_turn, made = InTurn(), []

    def make() -> int:
        time.sleep(0.05)
        made.append(1)
        return len(made)

    with ThreadPoolExecutor(8) as many:
        assert set(many.map(lambda _: in_turn("a", "old", make), range(8))) == {1}
    assert in_turn("a", "old", make) == 1
    assert in_turn("a", "new", make, age_s=60.0) == 1  # it is young
    assert in_turn("a", "new", make) == 2
    assert in_turn("a", "newer", make, age_factor=1e6) == 2  # it took long, for its age
    assert in_turn("b", "new", make) == 3


def test_two_are_never_made_at_once() -> None:
    in_turn, at_once, most = InTurn(), 0, 0

    def make() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.02)
        at_once -= 1

    with ThreadPoolExecutor(6) as many:
        list(many.map(lambda number: in_turn(number, "", make), range(6)))
    assert most == 1


def test_whoever_waits_too_long_is_told_and_finds_it_later() -> None:
    in_turn, free = InTurn(), threading.Event()

    def slow() -> str:
        free.wait(60.0)
        return "slow"

    with pytest.raises(BusyError, match="it is being made, ask again in a moment"):
        in_turn("a", "", slow, wait_s=0.01)
    free.set()
    assert in_turn("a", "", lambda: "a second one", wait_s=60.0) == "slow"


def test_what_there_was_before_is_given_where_the_new_one_takes_long() -> None:
    in_turn, free = InTurn(), threading.Event()
    assert in_turn("a", 1, lambda: "first") == "first"
    assert in_turn("a", 2, lambda: free.wait(60.0) and "second", wait_s=0.01, or_older=True) == "first"
    free.set()
    until(lambda: in_turn("a", 2, lambda: "third", wait_s=60.0) == "second")


def test_few_wait_and_the_others_are_told_at_once() -> None:
    in_turn, free = InTurn(), threading.Event()

    def ask(_: int) -> bool:
        try:
            return in_turn("a", "", lambda: free.wait(60.0), wait_s=60.0)
        except BusyError:
            return False

    with ThreadPoolExecutor(40) as many:
        asked = [many.submit(ask, number) for number in range(40)]
        until(lambda: sum(own.done() for own in asked) == 24)
        free.set()
    assert sum(own.result() for own in asked) == 16


def test_errors_of_ours_are_held_and_bugs_are_not() -> None:
    in_turn = InTurn()

    def refuse() -> int:
        raise StudyError("too few")

    with pytest.raises(StudyError, match="too few"):
        in_turn("a", "", refuse)
    with pytest.raises(StudyError, match="too few"):
        in_turn("a", "", lambda: 1)
    with pytest.raises(ZeroDivisionError):
        in_turn("b", "", lambda: 1 // 0)
    assert in_turn("b", "", lambda: 1) == 1


def test_a_page_says_that_it_comes_and_asks_again(
    client: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise BusyError("this takes {longer}")

    monkeypatch.setattr(InTurn, "__call__", busy)
    for name in ("one", "two"):
        (service.settings.root / name).mkdir()
        (service.settings.root / name / "study.toml").touch()
    page = client.get("/compare", params={"study": ["one", "two"]}, headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["refresh"], page.headers["retry-after"]) == (503, "5", "5")
    assert "this takes {longer}" in page.text
    data = client.get("/api/compare", params={"one": "one", "other": "two"})
    assert (data.status_code, data.headers["retry-after"], "refresh" in data.headers) == (503, "5", False)


def test_what_was_cut_short_is_held_for_a_while_and_what_was_busy_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    in_turn = InTurn()

    def raised(error: Exception) -> int:
        raise error

    with pytest.raises(BusyError, match="others"):
        in_turn("a", "", lambda: raised(BusyError("others are served")))
    assert in_turn("a", "", lambda: 1) == 1
    with pytest.raises(UnfinishedError, match="killed"):
        in_turn("b", "", lambda: raised(UnfinishedError("killed")))
    with pytest.raises(UnfinishedError, match="killed"):
        in_turn("b", "", lambda: 1)
    monkeypatch.setattr("vcm_sweep.cluster.service.studies.in_turn._CUT_SHORT_S", 0.0)
    assert in_turn("b", "", lambda: 1) == 1
