"""``vcm-sweep limits``: run what each factor of a study costs at the ends of its range, and print the costs."""

import argparse
import json
from typing import Any

from vcm_sweep.cluster.commands.shared import AddCommand
from vcm_sweep.cluster.options import RunOptions, add_run_options, positive
from vcm_sweep.cluster.running.run_study import run_study
from vcm_sweep.cluster.terminal.printing import aligned, prose
from vcm_sweep.cluster.terminal.waiting import bar


def add_limits_command(command: AddCommand) -> None:
    """Add the subcommand for costs at the limits."""
    sub = command("limits", _limits, "run each factor of a study alone at the ends of its range, and print the costs")
    sub.add_argument("dir", help="results folder of the study, path or URI; the costs go to DIR/limits")
    sub.add_argument("--n", type=positive, metavar="N", help="pairs of trainings per end (default 32)")
    sub.add_argument("--mediation", action="store_true", help="run the interventions on mismatch and speed as well")
    sub.add_argument("--metric", default="accuracy", help="what the cost is of: accuracy, energy, p_diverged, ...")
    sub.add_argument("--policy", default="fail", help="of failed trainings: fail, drop-block or worst-case")
    add_run_options(sub)


def _limits(arguments: argparse.Namespace) -> int:
    from vcm_sweep.analysis import limit_costs
    from vcm_sweep.analysis.records.metrics import find_metric, metric_of
    from vcm_sweep.analysis.records.policies import check_policy
    from vcm_sweep.device.errors import VcmSweepError
    from vcm_sweep.sweep.running.limits_study import open_limits

    find_metric(arguments.metric)
    check_policy(arguments.policy)
    study, folder, costs = open_limits(arguments.dir, arguments.n, "mediation" if arguments.mediation else "cost")
    metric_of(arguments.metric, study)
    options = RunOptions.of(arguments, out=str(folder), reuse=tuple(map(str, costs)))
    found: list[Any] = []

    def conclude(results: Any) -> dict[str, Any]:
        """The costs as ``run_study`` shows them, or the reason why there are none."""
        try:
            found.append(limit_costs(results, arguments.metric, policy=arguments.policy))
        except VcmSweepError as error:
            return {"no_costs": str(error)}
        return {"limits": found[0].to_dict()} if options.json else {}

    code = run_study(study, options, conclude)
    if found and not options.json:
        print("", *_said(found[0]), sep="\n")
    return code


def analyze_limits(arguments: argparse.Namespace, results: Any) -> int:
    """What ``vcm-sweep analyze`` does for a limits study."""
    from vcm_sweep.analysis import limit_costs

    with bar("analyze", quiet=arguments.json):
        result = limit_costs(results, arguments.metric, policy=arguments.policy)
    if arguments.json:
        print(json.dumps(result.to_dict()))
    else:
        print(*_said(result), sep="\n")
    return 0


def _said(result: Any) -> list[str]:
    """The conclusion, the table and the notes, as paragraphs."""
    return [prose(" ".join(result.answer())), "", limits_table(result), "", prose(*result.notes())]


def limits_table(result: Any) -> str:
    """The table of the costs, from the highest to the lowest, and how much of each goes through mismatch and speed."""
    from vcm_sweep.analysis.limits.result import level_words
    from vcm_sweep.analysis.records.metrics import find_metric

    shares = {(part.factor, part.end, part.through): part for part in result.mediations}
    through = ("mismatch", "speed") if shares else ()
    interval = f"{100 * result.confidence:g} % interval"
    rows = [["factor", "end", "at", f"cost, {interval}", "diverged", *(f"through {one}" for one in through)]]
    for cost in result.ranking():
        parts = [shares.get((cost.factor, cost.end, one)) for one in through]
        told = ["" if part is None else part.indirect.percent() if part.indirect else "no share" for part in parts]
        times = f"{100 * cost.diverged.value:.0f} %, below {100 * cost.diverged.high:.0f} %"
        rows.append(
            [cost.factor, cost.end, level_words(cost.level, cost.unit), cost.words(result.metric), times, *told]
        )
    nominal = find_metric(result.metric).text(result.nominal)
    return f"{aligned(rows)}\n\nnominal device: {result.metric} {nominal}, {result.pairs} pairs"
