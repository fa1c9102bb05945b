"""``run --until`` and ``resume --until``: the options, and what is said on the way."""

import argparse
from typing import Any

from .commands import EXIT_BUDGET, EXIT_FAILED_TRIALS, EXIT_INTERRUPTED, positive
from .printing import show


def add_until_options(sub: argparse.ArgumentParser) -> None:
    """Options of what makes a study longer by itself."""
    sub.add_argument(
        "--until", type=float, metavar="H",
        help="make the study longer until half the interval of every ranking index is at most H, as 0.05",
    )  # fmt: skip
    sub.add_argument("--budget-trials", type=positive, metavar="N", help="with --until: trainings in all, at most")
    sub.add_argument("--budget-hours", type=float, metavar="H", help="with --until: hours of this command, at most")
    sub.add_argument("--metric", help="with --until: whose indices; default accuracy")
    sub.add_argument("--policy", help="with --until: of failed trainings: fail (default), drop-block or worst-case")


def goes_on(arguments: argparse.Namespace) -> bool:
    """Whether --until is given; StudyError for its companions without it."""
    from vcm_sweep.sweep.errors import StudyError

    if arguments.until is not None:
        return True
    for option in ("budget_trials", "budget_hours", "metric", "policy"):
        if getattr(arguments, option) is not None:
            raise StudyError(f"--{option.replace('_', '-')} goes with --until: give that as well, as --until 0.05")
    return False


def run_until_known(
    arguments: argparse.Namespace, study: Any, out: str | None, retry: Any = False, reuse: tuple[str, ...] = ()
) -> int:
    """Run a study and make it longer as long as is needed; the exit code."""
    from vcm_sweep.analysis.until import Stage, run_until
    from vcm_sweep.sweep.designs import checked_design
    from vcm_sweep.sweep.folder import Folder
    from vcm_sweep.sweep.running import default_directory
    from vcm_sweep.sweep.store import Store, holds_study

    from .reports import written_report
    from .run_study import how_to_go_on, run_once, workers_of

    checked_design(study)  # before anything is said or tried
    folder = Folder(out or default_directory(study))
    fresh = not holds_study(folder)
    if not fresh:
        held = Store.open(folder)
        # It may have been made longer already: then that is what goes on.
        study = held.study if study.digest in held.digests else study
    budget = _budget(arguments)
    last: Any = None

    def run(longer: Any) -> Any:
        nonlocal last
        first = last is None
        # A new folder in its default place begins with what its siblings hold.
        where = out if first and fresh else str(folder)
        last = run_once(arguments, longer, where, retry if first else False, reuse if first else (), report=False)
        # Its size was found by trying some, once.
        arguments.pack = last.pack
        return last.results

    def tell(stage: Stage) -> None:
        if not arguments.json:
            print(stage.words(), flush=True)

    _say_beforehand(arguments, study)
    try:
        ended = run_until(
            study, folder, run, arguments.until, metric=arguments.metric or "accuracy",
            policy=arguments.policy or "fail", budget=budget, workers=workers_of(arguments), tell=tell,
        )  # fmt: skip
    except KeyboardInterrupt:
        if not holds_study(folder):
            raise
        how_to_go_on(arguments, folder, *_options(arguments))
        return EXIT_INTERRUPTED
    report = {} if arguments.no_report else written_report(last.results)
    counts = last.results.counts()
    goal = "reached" if ended.met else "not reached"
    said = ended.to_dict() if arguments.json else {"goal": goal, "stopped": ended.why}
    show({"folder": str(folder), **counts, **said, **report}, arguments.json)
    if not ended.met:
        return EXIT_BUDGET
    return EXIT_FAILED_TRIALS if sum(counts.values()) - counts["ok"] else 0


def _budget(arguments: argparse.Namespace) -> Any:
    from vcm_sweep.analysis.until import Budget
    from vcm_sweep.sweep.errors import StudyError

    hours = arguments.budget_hours
    if hours is not None and not hours > 0:
        raise StudyError(f"--budget-hours {hours:g} must be above 0")
    return Budget(
        **({} if arguments.budget_trials is None else {"trials": arguments.budget_trials}),
        **({} if hours is None else {"seconds": 3600.0 * hours}),
    )


def _say_beforehand(arguments: argparse.Namespace, study: Any) -> None:
    from vcm_sweep.analysis.failures import check_policy
    from vcm_sweep.analysis.metrics import find_metric
    from vcm_sweep.analysis.until import check_goal, first_guess

    check_goal(study, arguments.until)
    find_metric(arguments.metric or "accuracy")
    check_policy(arguments.policy or "fail")
    guess = first_guess(study, arguments.until)
    if arguments.json:
        return
    begins = f"begins with n = {study.design.n}"
    if guess is None:
        print(f"until {arguments.until:g}: {begins}; what it takes is known after that", flush=True)
    else:
        print(
            f"until {arguments.until:g}: {begins}; by rule of thumb it takes n = {guess[0]}, {guess[1]} trainings",
            flush=True,
        )


def _options(arguments: argparse.Namespace) -> list[str]:
    """Those of --until, to go on with."""
    names = ("until", "budget_trials", "budget_hours", "metric", "policy")
    given = [(name, getattr(arguments, name)) for name in names if getattr(arguments, name) is not None]
    return [word for name, value in given for word in (f"--{name.replace('_', '-')}", str(value))]
