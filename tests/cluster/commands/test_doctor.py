"""The checks of the installation."""

from vcm_sweep.cluster.commands import doctor


def test_the_check_of_the_compiled_tile_does_not_depend_on_luck() -> None:
    # aihwkit's default device draws its bounds; in one tile of thirteen one cut a weight of the check.
    for _ in range(100):
        assert "keeps its weights" in doctor._aihwkit()
