"""The checks of ``vcm-sweep doctor``: their result does not depend on luck."""

import os

import pytest

from vcm_sweep.cluster.commands import doctor

from ..calling import call


@pytest.mark.ray
def test_every_check_passes_here(mnist_root: str) -> None:
    """What the README tells a newcomer to run first, Ray's start included."""
    done = call("doctor", fresh=True, env={**os.environ, "VCM_SWEEP_DATA": mnist_root})
    assert done.returncode == 0, done.stdout
    for name in ("aihwkit with torch", "cell kernel", "ray", "MNIST"):
        assert name in done.stdout


def test_the_check_of_the_compiled_tile_does_not_depend_on_luck() -> None:
    # aihwkit's default device draws its bounds; in one tile of thirteen one cut a weight of the check.
    for _ in range(100):
        assert "keeps its weights" in doctor._aihwkit()
