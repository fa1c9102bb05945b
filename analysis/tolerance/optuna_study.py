"""A question as a study of Optuna: kept in a file that optuna-dashboard opens, asked in batches, gone on with."""

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
"""Of the studies of a results folder; ``optuna-dashboard sqlite:///<folder>/tolerance/optuna.db`` shows them."""

CONSTRAINT = "below target by"
KNOWN = "known from"
"""Note of a trial that was entered with its result, and never asked for."""
_MOVED = "moved"


class OptunaStudy:
    """One study of Optuna, driven by ask and tell.

    Nothing but its file outlives a process: a sampler is made anew for each batch, seeded by the number of trials, so
    that a search that goes on draws what it would have drawn. What was running when the process was killed is failed,
    and its point enqueued again.

    Args:
        path: of the SQLite file, made if missing. name: of the study. directions: "maximize" or "minimize" each.
        objectives: their names. space: of the parameters.
        make_sampler: a sampler, from a seed and the number of trials with a result.
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
            # Parameters are written one by one: one that was enqueued may have been killed before it took all of them.
            params = trial.system_attrs.get("fixed_params", {}) | trial.params
            # A proposal that was killed half drawn is none: nothing of it was trained, and the sampler draws anew.
            whole = set(params) >= set(trial.user_attrs.get(_MOVED) or self._space)
            # In this order: killed in between, it is asked twice, which costs nothing, and never lost.
            if whole:
                self.study.enqueue_trial(params, user_attrs=dict(trial.user_attrs))
            self.study.tell(trial.number, state=state.FAIL)

    def done(self) -> "list[FrozenTrial]":
        """Trials with a result, those that were known before among them."""
        return self.study.get_trials(deepcopy=False, states=(_states().COMPLETE,))

    def begun(self) -> "list[FrozenTrial]":
        """Trials that were asked for, with or without a result; not those that were known before."""
        ended = (_states().COMPLETE, _states().FAIL)
        trials = self.study.get_trials(deepcopy=False, states=ended)
        return [trial for trial in trials if set(trial.params) == set(self._space) and KNOWN not in trial.user_attrs]

    @property
    def waiting(self) -> int:
        """Trials that are enqueued."""
        return len(self.study.get_trials(deepcopy=False, states=(_states().WAITING,)))

    def enqueue(self, params: Mapping[str, float], **notes: Any) -> None:
        """Ask for this point next: those of the parameters that move."""
        with quiet():
            self.study.enqueue_trial(dict(params), user_attrs={**notes, _MOVED: list(params)})

    def ask(self, count: int) -> "list[Trial]":
        """``count`` trials: what is enqueued first, then what the sampler proposes."""
        with quiet():
            trials = self.study.get_trials(deepcopy=False)
            done = sum(trial.state == _states().COMPLETE for trial in trials)
            self.study.sampler = self._make(self._seed + len(trials), done)
            # Optuna takes them in this order, too.
            moved = [trial.user_attrs.get(_MOVED) for trial in trials if trial.state == _states().WAITING]
            spaces = [{name: self._space[name] for name in names or self._space} for names in moved[:count]]
            return [self.study.ask(space) for space in (*spaces, *[self._space] * (count - len(spaces)))]

    def tell(
        self, trial: "Trial", values: Sequence[float] | None, notes: Mapping[str, Any], below: float | None = None
    ) -> None:
        """The objectives of a trial, None where it failed; ``below``: how far it stays below the target."""
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
        """Enter a point whose result is known as a trial that is complete."""
        import optuna

        with quiet():
            self.study.add_trial(
                optuna.trial.create_trial(
                    values=list(values), params=dict(params), distributions=dict(self._space), user_attrs=dict(notes),
                    constraints=None if below is None else {CONSTRAINT: below},
                )
            )  # fmt: skip


def processes_first(most: int) -> "Callable[[int, int], BaseSampler]":
    """Makes samplers: Gaussian processes for so many trials, then TPE, since these cost the cube of their number.

    Both heed constraints.
    """
    from optuna.samplers import GPSampler, RandomSampler, TPESampler

    def made(seed: int, done: int) -> "BaseSampler":
        if done < most:
            return GPSampler(seed=seed, independent_sampler=RandomSampler(seed=seed))
        return TPESampler(seed=seed, multivariate=True, constant_liar=True)

    return made


@contextmanager
def quiet() -> "Iterator[None]":
    """Optuna without its lines on the terminal, where ours are."""
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
