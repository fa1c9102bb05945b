"""The size and predicted time of a study, before it is run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vcm_sweep.sweep.designs.build import checked_design
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.packs.costs import makespan
from vcm_sweep.sweep.packs.order import Order
from vcm_sweep.sweep.running.reuse import missing
from vcm_sweep.sweep.running.running import PACK, default_directory, known_costs
from vcm_sweep.sweep.store import Store, holds_study
from vcm_sweep.sweep.study.study import Study


@dataclass(frozen=True)
class Plan:
    """The size of a study.

    Attributes:
        points: number of rows of the design.
        trials: number of runs of all points.
        done: number of trials that have a record.
        packs: number of packs still to run.
        order: the trials that are left, with their predicted costs.
    """

    points: int
    trials: int
    done: int
    packs: int
    order: Order

    def lost_share(self, failure_rate: float) -> float:
        """Expected share of blocks that an analysis loses if each row fails with this probability.

        >>> round(1 - (1 - 0.01) ** 7, 3)  # Sobol, five factors
        0.068
        """
        return float(1 - (1 - failure_rate) ** self.order.design.block)

    def wall_s(self, workers: int) -> float:
        """Predicted wall seconds until all packs that are left are done, with this number of workers."""
        costs = self.order.predicted()
        if not len(costs):
            return 0.0
        return makespan(np.array([costs[places].sum() for places in self.order.cut()]), workers)


def plan(study: Study | str | Path, directory: str | Path | Folder | None = None, pack: int | None = None) -> Plan:
    """The size of a study, and how much of it is done in the folder; no folder or file is made.

    ``directory`` and ``pack`` as for :func:`vcm_sweep.sweep.running.running.run`.
    """
    study = Study.of(study)
    folder = Folder(default_directory(study) if directory is None else directory)
    design = checked_design(study)
    left, costs = np.arange(len(design)), None
    if holds_study(folder):
        store = Store.create(study, folder)
        left, costs = missing(store, design), known_costs(store)
    order = Order(design, left, pack or study.run.pack or PACK)
    if costs:
        order.learn(*costs)
    return Plan(len(design.points), len(design), len(design) - order.left, len(order.cut()), order)


def check_failure_rate(rate: float) -> float:
    """The rate, if it is from 0 to below 1; otherwise StudyError."""
    if not 0 <= rate < 1:
        raise StudyError(f"--failure-rate = {rate:g} must be from 0 to below 1: the share of trainings that fail")
    return rate
