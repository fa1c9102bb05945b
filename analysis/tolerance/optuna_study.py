"""A question as a study of Optuna, kept in a file: it can be continued later, and optuna-dashboard can show it."""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

FILE = "optuna.db"
"""The file of all Optuna studies of a results folder: ``optuna-dashboard sqlite:///<folder>/tolerance/optuna.db``."""

CONSTRAINT = "below target by"
KNOWN = "known from"
"""A trial with this note was entered with a result that was known before, and was never asked for."""
_MOVED = "moved"


class OptunaStudy:
    """One study of Optuna, driven by ask and tell.

    Only the file outlives a process. A sampler is made anew for each batch, and its seed depends on the number of
    trials, so a search that is continued draws what it would have drawn without the break. Trials that were running
    when the process was killed are marked as failed, and their points are enqueued again.

    Args:
        path: of the SQLite file, made if missing. name: of the study.
        directions: "maximize" or "minimize" for each objective. objectives: their names. space: of the parameters.
        make_sampler: makes a sampler of a seed and the number of trials with a result. seed: of the study.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        directions: Sequence[str],
        objectives: Sequence[str],
        make_sampler: "Callable[[int, int], BaseSampler]",
        space: "Mapping[str, BaseDistribution]",
        seed: int = 1,
    ) -> None:
        import optuna
        from optuna.study import StudyDirection

        self._make, self._seed, self._space = make_sampler, seed, dict(space)
        path.parent.mkdir(parents=True, exist_ok=True)
        with quiet():
            storage = optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}})
            self.study = optuna.create_study(
                storage=storage,
                study_name=name,
                directions=[StudyDirection[word.upper()] for word in directions],
                load_if_exists=True,
            )
            if self.study.metric_names is None:
                self.study.set_metric_names(list(objectives))
            self._recover()

    def _recover(self) -> None:
        state = _states()
        for trial in self.study.get_trials(deepcopy=False, states=(state.RUNNING,)):
            # Parameters are written one by one, so a process may have been killed before an enqueued trial had them
            # all.
            params = trial.system_attrs.get("fixed_params", {}) | trial.params
            # A proposal of the sampler that was only half drawn is dropped: nothing of it was trained.
            whole = set(params) >= set(trial.user_attrs.get(_MOVED) or self._space)
            # Enqueue first, then mark as failed: if killed in between, the point is asked twice, which costs nothing,
            # but it is never lost.
            if whole:
                self.study.enqueue_trial(params, user_attrs=dict(trial.user_attrs))
            self.study.tell(trial.number, state=state.FAIL)

    def done(self) -> "list[FrozenTrial]":
        """Trials with a result, including those that were known before."""
        return self.study.get_trials(deepcopy=False, states=(_states().COMPLETE,))

    def begun(self) -> "list[FrozenTrial]":
        """Ended trials that were asked for, with or without a result; without those that were known before."""
        ended = (_states().COMPLETE, _states().FAIL)
        trials = self.study.get_trials(deepcopy=False, states=ended)
        return [trial for trial in trials if set(trial.params) == set(self._space) and KNOWN not in trial.user_attrs]

    @property
    def waiting(self) -> int:
        """Number of trials that are enqueued."""
        return len(self.study.get_trials(deepcopy=False, states=(_states().WAITING,)))

    def enqueue(self, params: Mapping[str, float], **notes: Any) -> None:
        """Enqueue a point to be asked for next; ``params``: only those parameters that move."""
        with quiet():
            self.study.enqueue_trial(dict(params), user_attrs={**notes, _MOVED: list(params)})

    def ask(self, count: int) -> "list[Trial]":
        """``count`` trials: what is enqueued first, then what the sampler proposes."""
        with quiet():
            trials = self.study.get_trials(deepcopy=False)
            done = sum(trial.state == _states().COMPLETE for trial in trials)
            self.study.sampler = self._make(self._seed + len(trials), done)
            # Optuna takes enqueued trials in the same order.
            moved = [trial.user_attrs.get(_MOVED) for trial in trials if trial.state == _states().WAITING]
            spaces = [{name: self._space[name] for name in names or self._space} for names in moved[:count]]
            return [self.study.ask(space) for space in (*spaces, *[self._space] * (count - len(spaces)))]

    def tell(
        self, trial: "Trial", values: Sequence[float] | None, notes: Mapping[str, Any], below: float | None = None
    ) -> None:
        """Tell the objectives of a trial, None where it failed; ``below``: how far it stays below the target."""
        with quiet():
            for name, value in notes.items():
                trial.set_user_attr(name, value)
            if below is not None:
                trial.set_constraint(CONSTRAINT, below)
            if values is None:
                self.study.tell(trial, state=_states().FAIL)
            else:
                self.study.tell(trial, list(values))

    def add(
        self, params: Mapping[str, float], values: Sequence[float], notes: Mapping[str, Any], below: float | None = None
    ) -> None:
        """Enter a point whose result is known already, as a complete trial."""
        import optuna

        with quiet():
            self.study.add_trial(
                optuna.trial.create_trial(
                    values=list(values), params=dict(params), distributions=dict(self._space), user_attrs=dict(notes),
                    constraints=None if below is None else {CONSTRAINT: below},
                )
            )  # fmt: skip


def processes_first(most: int) -> "Callable[[int, int], BaseSampler]":
    """Returns a maker of samplers: Gaussian processes for the first ``most`` trials, then TPE.

    The cost of a Gaussian process is the cube of the number of trials. Both samplers take constraints.
    """
    from optuna.samplers import GPSampler, RandomSampler, TPESampler

    def made(seed: int, done: int) -> "BaseSampler":
        if done < most:
            return GPSampler(seed=seed, independent_sampler=RandomSampler(seed=seed))
        return TPESampler(seed=seed, multivariate=True, constant_liar=True)

    return made


@contextmanager
def quiet() -> "Iterator[None]":
    """Silence Optuna's own lines on the terminal, where ours are."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def _states() -> Any:
    from optuna.trial import TrialState

    return TrialState
