"""``vcm-sweep ask``: what finished records say of other ranges, of any setting and of gains, without a training."""

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vcm_sweep.cluster.commands.shared import AddCommand, factor_range, factor_value, once
from vcm_sweep.cluster.terminal.printing import aligned, prose

if TYPE_CHECKING:
    from vcm_sweep.analysis import Gain, RangeIndices, Region


def add_ask_command(command: AddCommand) -> None:
    """Add the subcommand that asks records."""
    sub = command("ask", _ask, "ask finished records about other ranges, settings and gains, without a training")
    sub.add_argument("dir", help="results folder, path or URI")
    sub.add_argument(
        "--range", type=factor_range, action="append", default=[], metavar="F=LOW:HIGH",
        help="let factor F vary over less than was sampled, for all questions; F=LOW:HIGH:loguniform too; repeatable",
    )  # fmt: skip
    sub.add_argument(
        "--at", type=factor_value, action="append", default=[], metavar="F=VALUE",
        help="predict with factor F held at a value, the others over their ranges; repeatable, all hold at once",
    )  # fmt: skip
    sub.add_argument(
        "--fix", type=factor_value, action="append", default=[], metavar="F=VALUE",
        help="what it would buy to hold factor F at a value; repeatable, each by itself; default all at their low ends",
    )  # fmt: skip
    sub.add_argument(
        "--keep", type=float, metavar="T",
        help="the box of all factors, from their low ends, that keeps the mean at T or better, as 0.9",
    )  # fmt: skip
    sub.add_argument("--metric", default="accuracy", help="what is predicted: accuracy, energy, p_diverged, ...")
    sub.add_argument("--policy", default="fail", help="of failed trainings: fail, drop-block or worst-case")


def _ask(arguments: argparse.Namespace) -> int:
    from vcm_sweep.analysis import TooFewError, ask, gains, keeps, predict, range_indices
    from vcm_sweep.analysis.asking.marginals import read_marginals
    from vcm_sweep.analysis.asking.region import check_threshold
    from vcm_sweep.sweep.store.results import open_results

    ranges, at = once("--range", arguments.range), once("--at", arguments.at)
    fixes = once("--fix", arguments.fix)
    once("--range and --at", [*ranges.items(), *at.items()])
    results = open_results(arguments.dir)
    # Names and values are looked at before anything is fitted.
    factors = results.study.factors
    groups = results.study.design.grouped([factor.name for factor in factors])
    for given in ({**ranges, **at}, fixes):
        read_marginals(factors, given, groups)
    if arguments.keep is not None:
        check_threshold(arguments.metric, arguments.keep)
    response = ask(results, arguments.metric, policy=arguments.policy)
    here = predict(response, ranges)
    indices, no_indices = None, ""
    if ranges and not at:
        try:
            indices = range_indices(response, ranges)
        except TooFewError as error:
            no_indices = str(error)
    there = predict(response, at, base=ranges) if at else None
    kept = keeps(response, arguments.keep, base={**ranges, **at}) if arguments.keep is not None else None
    asked = at or arguments.keep is not None
    bought = gains(response, fixes or None, base={**ranges, **at}) if fixes or not asked else None
    if arguments.json:
        found = {"here": here, "indices": indices, "at": there, "keep": kept}
        print(
            json.dumps(
                {"metric": response.metric, "confidence": response.confidence}
                | {name: part.to_dict() for name, part in found.items() if part}
                | ({"no_indices": no_indices} if no_indices else {})
                | ({"gains": [gain.to_dict() for gain in bought]} if bought else {})
                | {"notes": response.notes()}
            )
        )
        return 0
    base = f"the range of {', '.join(ranges)}" if ranges else "the ranges of the study"
    said = [prose(*here.sentences("the ranges of the study" if ranges else ""))]
    said += [_index_table(indices)] if indices else []
    said += [prose(f"No shares of the variance there: {no_indices}.")] if no_indices else []
    said += [prose(*there.sentences(base))] if there else []
    said += [prose(*kept.sentences()), _side_table(kept)] if kept else []
    said += [_gain_table(bought, response.metric)] if bought else []
    print("\n\n".join([*said, prose(*response.notes())]))
    return 0


def _index_table(found: "RangeIndices") -> str:
    """Total and first indices over the ranges asked for, largest total first."""
    first = {index.factor: index for index in found.first}
    rows = [["factor", "total, interval", "first, interval"]]
    rows += [[index.factor, index.percent(), first[index.factor].percent()] for index in found.ranking()]
    rows.append(["unexplained", found.unexplained.percent(), ""])
    return f"Shares of the variance there:\n\n{aligned(rows)}"


def _side_table(found: "Region") -> str:
    """How far each factor may go while the others stay within theirs."""
    rows = [["factor", "from", "to, as predicted", "surely to", "at most to"]]
    for side in found.sides:
        rows.append([side.factor, *(side.text(value) for value in (side.low, side.to, side.sure, side.most))])
    return aligned(rows)


def _gain_table(found: "Sequence[Gain]", metric: str) -> str:
    """What changes of factors buy, a line per factor, the largest gain first."""
    from vcm_sweep.analysis.records.metrics import as_metric

    lines: dict[str, list[str]] = {}
    for gain in found:
        bought = gain.prediction
        cells = [as_metric(metric).change(index) if index else "to nothing" for index in (bought.gain, bought.less)]
        lines.setdefault(gain.factor, []).extend([gain.change, *cells])
    # A factor without a lower half has its low end alone.
    longest = max(map(len, lines.values()))
    heads = ["change", f"{metric} rises by", "spread falls by"] * (longest // 3)
    rows = [["factor", *heads], *([name, *line, *[""] * (longest - len(line))] for name, line in lines.items())]
    return f"What one more setting buys, each by itself:\n\n{aligned(rows)}"
