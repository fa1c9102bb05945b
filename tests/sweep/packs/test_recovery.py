"""What becomes of a failed pack, cause by cause."""

from collections import Counter, deque

import pytest

from vcm_sweep.sweep import Trial
from vcm_sweep.sweep.packs.recovery import Cause, Failure, PackAttempt, judge, whole


def pack(size: int) -> tuple[Trial, ...]:
    return tuple(Trial(k, 0, {}, {"k": k}, seed=k) for k in range(size))


def play(size: int, causes: dict[int, Cause], retries: int = 1) -> tuple[dict[int, tuple[str, int]], int]:
    """({point: (status, attempts)}, packs run) of a pack in which some trials always fail."""
    waiting, ended, runs = deque([whole(pack(size))]), {}, 0
    while waiting:
        attempt, runs = waiting.popleft(), runs + 1
        bad = [causes[trial.point] for trial in attempt.trials if trial.point in causes]
        if not bad:
            ended |= {trial.point: ("ok", attempt.number) for trial in attempt.trials}
            continue
        verdict = judge(attempt, Failure(bad[0], "why", "n"), retries)
        waiting.extend(verdict.again)
        for record in verdict.records:
            assert record.point not in ended
            ended[record.point] = (record.status, record.attempts)
    return ended, runs


@pytest.mark.parametrize(
    ("cause", "status"),
    [(Cause.WORKER, "error"), (Cause.MEMORY, "oom"), (Cause.DEADLINE, "timeout"), (Cause.ERROR, "error")],
)
def test_a_poison_point_is_found_and_every_other_trial_ends_well(cause: Cause, status: str) -> None:
    ended, runs = play(16, {5: cause})
    assert Counter(s for s, _ in ended.values()) == {"ok": 15, status: 1}
    assert ended[5][0] == status
    # Whole at most twice, one half of each level, and the single one at most three times.
    assert runs <= 2 + 2 * 4 + 2


def test_two_poison_points_of_two_kinds_are_told_apart() -> None:
    ended, _ = play(9, {0: Cause.WORKER, 8: Cause.MEMORY})
    assert (ended[0][0], ended[8][0]) == ("error", "oom")
    assert [ended[k][0] for k in range(1, 8)] == ["ok"] * 7


@pytest.mark.parametrize("retries", [0, 1, 4])
def test_a_trials_own_error_is_tried_again_as_often_as_asked(retries: int) -> None:
    assert play(1, {0: Cause.ERROR}, retries) == ({0: ("error", 1 + retries)}, 1 + retries)


def test_lost_nodes_are_no_trials_fault_however_often() -> None:
    attempt = whole(pack(4))
    for _ in range(50):
        (attempt,) = judge(attempt, Failure(Cause.NODE, "gone", "n"), retries=1).again
    assert (len(attempt.trials), attempt.number) == (4, 51)


def test_a_worker_that_went_with_its_node_does_not_count() -> None:
    """Its death is seen before the node's."""
    attempt, lost = PackAttempt(pack(1)), Failure(Cause.WORKER, "killed", "n")
    for _ in range(2):
        (attempt,) = judge(attempt, lost, retries=1).again
    assert judge(attempt, lost, retries=1).records
    assert judge(attempt, lost, retries=1, lost_nodes={"n"}).again
    assert judge(attempt, lost, retries=1, lost_nodes={"another"}).records


def test_a_pack_that_loses_its_worker_once_is_run_again_whole() -> None:
    """Most losses are the machine's; halves would train slower."""
    (attempt,) = judge(whole(pack(8)), Failure(Cause.WORKER, "killed"), retries=1).again
    assert len(attempt.trials) == 8
    verdict = judge(attempt, Failure(Cause.WORKER, "killed"), retries=1)
    assert verdict.halved
    assert [half.suspect for half in verdict.again] == [True, True]
    assert judge(verdict.again[0], Failure(Cause.WORKER, "killed"), retries=1).halved
