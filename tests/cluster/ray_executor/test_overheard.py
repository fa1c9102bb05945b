"""What workers do that takes long is nice to know, and nothing ends for want of it."""

from typing import Any

import pytest

from vcm_sweep.cluster.ray_executor import overheard
from vcm_sweep.cluster.ray_executor.overheard import Overheard
from vcm_sweep.sweep.errors import ExecutorError


def test_a_head_that_tells_nothing_ends_no_run_with_its_answers_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overheard, "_key", lambda: "doing-01")
    monkeypatch.setattr(overheard, "_TELL_EVERY_S", 0.0)
    answers: list[bytes | Exception] = [b"1.5 compiling", RuntimeError("Failed to get key"), ExecutorError("gone")]

    def asked(question: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    heard = Overheard(asked)
    while answers:
        heard.listen()
        assert heard.words() == "compiling"
