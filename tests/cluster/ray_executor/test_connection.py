"""A cluster that does not come up is one line, whatever Ray raises."""

import pytest

from vcm_sweep.cluster import RayExecutor
from vcm_sweep.sweep import ExecutorError


def test_a_cluster_that_does_not_start_in_time_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**options: object) -> None:
        # As Ray does, with no class of its own.
        raise Exception("The current node timed out during startup.\nmore lines")

    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", init)
    with pytest.raises(ExecutorError, match=r"a Ray cluster on this machine cannot be used \(The current node"):
        next(RayExecutor(len).run([[]]))  # type: ignore[arg-type]
