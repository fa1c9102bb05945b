"""``run --until`` and ``resume --until``: make a study longer until its indices are known, and print each stage."""

import math
from dataclasses import replace
from typing import Any

from vcm_sweep.cluster.exit_codes import EXIT_BUDGET, EXIT_FAILED_TRIALS, EXIT_INTERRUPTED
from vcm_sweep.cluster.options import RunOptions, UntilOptions, in_words
from vcm_sweep.cluster.terminal.printing import show


def run_until_known(study: Any, options: RunOptions, goal: UntilOptions) -> int:
    """Run a study, make it longer as long as needed, and return the exit code."""
    from vcm_sweep.analysis.studies.until import Stage, run_until
    from vcm_sweep.cluster.ray_executor.resources import PackNeeds
    from vcm_sweep.cluster.running.places import places_of
    from vcm_sweep.cluster.running.reports import written_report
    from vcm_sweep.cluster.running.run_study import how_to_go_on, run_once
    from vcm_sweep.sweep.designs.build import checked_design
    from vcm_sweep.sweep.folder import Folder
    from vcm_sweep.sweep.running.running import default_directory
    from vcm_sweep.sweep.store import Store, holds_study

    checked_design(study)  # before anything is said or tried
    folder = Folder(options.out or default_directory(study))
    fresh = not holds_study(folder)
    if not fresh:
        held = Store.open(folder)
        # If the study was made longer already, the longer one in the folder is continued.
        study = held.study if study.digest in held.digests else study
    budget = _budget(goal, places_of(options.place, PackNeeds.of(study.run, options.place.device)))
    # A new folder in its default place first takes over what earlier versions of the study have, as run does.
    first = replace(options, out=options.out if fresh else str(folder), no_report=True)
    last: Any = None

    def run(longer: Any) -> Any:
        nonlocal last
        # The pack size was found by trying in the first stage, and is kept.
        how = first if last is None else replace(first, out=str(folder), retry=False, reuse=(), pack=last.pack)
        last = run_once(longer, how)
        return last.results

    def tell(stage: Stage) -> None:
        if not options.json:
            print(stage.words(), flush=True)

    _say_beforehand(study, goal, quiet=options.json)
    try:
        ended = run_until(
            study, folder, run, goal.until, metric=goal.metric, policy=goal.policy, budget=budget, tell=tell,
        )  # fmt: skip
    except KeyboardInterrupt:
        if not holds_study(folder):
            raise
        how_to_go_on(folder, options.json, *in_words(goal))
        return EXIT_INTERRUPTED
    report = {} if options.no_report else written_report(last.results)
    counts = last.results.counts()
    reached = "reached" if ended.met else "not reached"
    said = ended.to_dict() if options.json else {"goal": reached, "stopped": ended.why}
    show({"folder": str(folder), **counts, **said, **report}, options.json)
    if not ended.met:
        return EXIT_BUDGET
    return EXIT_FAILED_TRIALS if sum(counts.values()) - counts["ok"] else 0


def _budget(goal: UntilOptions, workers: int) -> Any:
    from vcm_sweep.analysis.studies.until import Budget
    from vcm_sweep.sweep.errors import StudyError

    hours = goal.budget_hours
    if hours is not None and not hours > 0:
        raise StudyError(f"--budget-hours {hours:g} must be above 0")
    return Budget(
        trials=math.inf if goal.budget_trials is None else goal.budget_trials,
        seconds=math.inf if hours is None else 3600.0 * hours,
        workers=workers,
    )


def _say_beforehand(study: Any, goal: UntilOptions, quiet: bool) -> None:
    from vcm_sweep.analysis.records.metrics import metric_of
    from vcm_sweep.analysis.records.policies import check_policy
    from vcm_sweep.analysis.studies.until import check_goal, first_guess

    check_goal(study, goal.until)
    metric_of(goal.metric, study)
    check_policy(goal.policy)
    guess = first_guess(study, goal.until)
    if quiet:
        return
    takes = guess or "what it takes is known after that"
    print(f"until {goal.until:g}: begins with n = {study.design.n}; {takes}", flush=True)
