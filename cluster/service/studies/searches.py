"""Searches for the tolerances of a study: how far they are, what they found, and their start."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow.compute as pc

from vcm_sweep.analysis.tolerance.answer import ToleranceAnswer, read_tolerances
from vcm_sweep.cluster.service.problems import ConflictError, NotFoundError, ServiceError
from vcm_sweep.cluster.service.settings import ServiceSettings
from vcm_sweep.cluster.service.studies.actions import Actions, Done
from vcm_sweep.cluster.service.studies.catalogue import SEARCH, Catalogue, StudyCard
from vcm_sweep.cluster.service.studies.runs import Runs
from vcm_sweep.cluster.service.studies.view import Views
from vcm_sweep.device.errors import VcmSweepError
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.session.state import SessionState
from vcm_sweep.sweep.study.tables.tolerance import ToleranceSpec

_MOST_POINTS = 10


@dataclass(frozen=True)
class Point:
    """A point that a search has trained: factor values in their units, mean accuracy, and how often it was trained."""

    values: dict[str, float]
    accuracy: float
    trainings: int


@dataclass(frozen=True)
class SearchView:
    """A study's search for tolerances.

    Attributes:
        study: the id. card: of the search, in state "new" where there was none yet.
        question: the [tolerance] table of the study, with defaults. asks: whether the study has that table.
        answers: what ``vcm-sweep tolerance --json`` prints, one for each question that is answered.
        best: the points of highest mean accuracy. trouble: why records or answers cannot be read.
        session: the latest run. printed: its last lines.
    """

    study: str
    card: StudyCard
    question: dict[str, Any] = field(default_factory=dict)
    asks: bool = False
    answers: list[dict[str, Any]] = field(default_factory=list)
    best: list[Point] = field(default_factory=list)
    trouble: str = ""
    session: SessionState | None = None
    printed: str = ""


class Searches:
    """The searches for tolerances of a service; each lies in the folder of its study, and runs beside the study's runs.

    Args:
        settings: of the service. catalogue, views: of its studies. actions: which read and stop. runs: of its machine.
    """

    def __init__(
        self, settings: ServiceSettings, catalogue: Catalogue, views: Views, actions: Actions, runs: Runs
    ) -> None:
        self._settings, self._catalogue, self._views, self._runs = settings, catalogue, views, runs
        self._actions = actions

    def search(self, study: str) -> SearchView:
        """The search of a study, also of one that was never searched; NotFoundError where there is no such study."""
        self._catalogue.card(study)
        try:
            known = self._views.results(study).study
            question = vars(known.tolerance or ToleranceSpec()) if known.factors else {}
            asks = known.tolerance is not None
        except VcmSweepError as error:
            return SearchView(study, StudyCard(study + SEARCH, study), trouble=str(error))
        try:
            card, session = self._catalogue.card(study + SEARCH), self._catalogue.session(study + SEARCH)
        except NotFoundError:
            return SearchView(study, StudyCard(study + SEARCH, known.name), question, asks)
        printed = self._runs.printed(study + SEARCH)
        try:
            answers = [answer.to_dict() for answer in self.answers(study)]
            best, trouble = self._best(study), ""
        except VcmSweepError as error:
            answers, best, trouble = [], [], str(error)
        return SearchView(study, card, question, asks, answers, best, trouble, session, printed)

    def answers(self, study: str) -> tuple[ToleranceAnswer, ...]:
        """What was found; AnalysisError for a file that is torn."""
        return read_tolerances(self._catalogue.folder(study))

    def start(self, study: str, **given: Any) -> Done:
        """Search the tolerances of a study, or go on with it.

        Args:
            study: the id.
            given: ``question``, ``target``, ``drop``, ``against`` and ``trials`` in place of those of the study.

        Raises:
            NotFoundError: no such study. StudyError: it has no factors, or a value is out of its range.
            ConflictError: a search of it is under way. ServiceError: studies of this service run on a cluster.
        """
        self._check_here()
        self._actions.check_opens(study)
        known = self._views.results(study).study
        wanted = {name: value for name, value in given.items() if value is not None}
        (known.tolerance or ToleranceSpec()).asked(wanted, tuple(factor.name for factor in known.factors))
        path = self._settings.root / study
        with self._actions.alone(study + SEARCH, new=True):
            # As a study's own folder, it is whole or not there before anything runs.
            try:
                self._actions.check_opens(study + SEARCH)
            except NotFoundError:
                self._actions.make_folder(known, study + SEARCH)
            if self._actions.under_way(study + SEARCH):
                raise ConflictError(f"{study}: a search for its tolerances is under way: watch it, or stop it first")
            words = [f"--{name}={value}" for name, value in wanted.items()]
            run = self._runs.start(study + SEARCH, ["tolerance", str(path / "study.toml"), "--out", str(path), *words])
        return Done(study, run)

    def begin(self, text: str, note: str = "") -> Done:
        """Make the folder of a study that has a [tolerance] table, and search; a search that goes on is left alone.

        Raises:
            StudyError: it has no such table, or is no study. TooLargeError, ConflictError, ServiceError: see `start`.
        """
        self._check_here()
        known = self._actions.read(text)
        if known.tolerance is None:
            raise StudyError("[tolerance] is missing: it is what a search asks; add the table, or run the study")
        done = self._actions.make(text, note)
        if self._runs.live(done.study + SEARCH):
            session = self._catalogue.session(done.study + SEARCH)
            return Done(done.study, session.id if session else "", fresh=False)
        return self.start(done.study)

    @property
    def elsewhere(self) -> str:
        """Why this service starts no search; "" where it does."""
        if self._settings.place.address is None:
            return ""
        return (
            "searches for tolerances run on the machine of the service, and this one sends its studies to a cluster: "
            "run vcm-sweep tolerance there"
        )

    def _check_here(self) -> None:
        if self.elsewhere:
            raise ServiceError(self.elsewhere)

    def stop(self, study: str) -> Done:
        """Ask a search to stop, as Ctrl-C would; StoreError where none is under way."""
        return Done(study, self._actions.stop(study + SEARCH).run, fresh=False)

    def _best(self, study: str) -> list[Point]:
        """The points of highest mean accuracy, of all that the search has trained."""
        names = [factor.name for factor in self._views.results(study).study.factors]
        columns = [f"x_{name}" for name in names]
        table = self._views.results(study + SEARCH).records(["point", "status", "accuracy", *columns])
        table = table.filter(pc.equal(table["status"], "ok"))
        if not len(table):
            return []
        _, first, group = np.unique(table["point"].to_numpy(), return_index=True, return_inverse=True)
        counts = np.bincount(group)
        means = np.bincount(group, weights=table["accuracy"].to_numpy(zero_copy_only=False)) / counts
        best = np.argsort(-means, kind="stable")[:_MOST_POINTS]
        values = {
            name: table[column].to_numpy(zero_copy_only=False) for name, column in zip(names, columns, strict=True)
        }
        return [
            Point({name: float(own[first[k]]) for name, own in values.items()}, float(means[k]), int(counts[k]))
            for k in best
        ]
