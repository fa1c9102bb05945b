"""What ``vcm-sweep analyze`` and ``compare`` print of studies of conditions."""

import argparse
import json
from typing import Any

from vcm_sweep.cluster.terminal.printing import aligned, prose
from vcm_sweep.cluster.terminal.waiting import bar


def analyze_conditions(arguments: argparse.Namespace, results: Any) -> int:
    """What ``vcm-sweep analyze`` does for a study of conditions."""
    from vcm_sweep.analysis import condition_costs

    with bar("analyze", quiet=arguments.json):
        found = condition_costs(results, arguments.metric, policy=arguments.policy)
    if arguments.json:
        print(json.dumps(found.to_dict()))
    else:
        print(prose(*found.answer()), conditions_table(found), prose(*found.notes()), sep="\n\n")
    return 0


def compare_conditions(arguments: argparse.Namespace, one: Any, other: Any) -> tuple[Any, Any, str]:
    """(the comparison of two studies of conditions, the function that writes its page, its table)."""
    from vcm_sweep.analysis import compare_conditions, write_conditions_comparison
    from vcm_sweep.analysis.conditions.result import precise
    from vcm_sweep.analysis.records.metrics import find_metric

    found = compare_conditions(one, other, arguments.metric, policy=arguments.policy)
    share = find_metric(found.metric).share
    rows = [["condition", *found.names, "difference", "is it real?"]]
    for shift in found.shifts:
        means = (precise(shift.one.mean, share), precise(shift.other.mean, share), precise(shift.difference, share))
        rows.append([shift.name, *means, "yes" if found.real(shift) else "open"])
    return found, write_conditions_comparison, "\n\n".join([aligned(rows), prose(*found.remarks)])


def conditions_table(found: Any) -> str:
    """The conditions in the order of the file: mean, published, cost, plateau; accuracies in per cent."""
    from vcm_sweep.analysis.conditions.result import precise
    from vcm_sweep.analysis.records.metrics import find_metric

    share = find_metric(found.metric).share
    rows = [["condition", "trainings", "mean", "published", "verdict", "cost", "is it real?", "left the plateau"]]
    for row in found.rows:
        theirs = row.published
        baseline = row.name == found.baseline
        rows.append(
            [
                row.name,
                f"{row.trainings}",
                precise(row.mean, share),
                f"{100 * theirs.theirs.mean:.2f}" if theirs else "",
                theirs.words() if theirs else "",
                "the baseline" if baseline else precise(row.cost, share),
                "" if baseline else "yes" if row.costs(found.level) else "open",
                row.left.percent(),
            ]
        )
    return aligned([*rows, *([name, "none yet", *[""] * 6] for name in found.waiting)])
