"""Tables of results for the terminal: of indices, of a comparison, of tolerances."""

import math

from vcm_sweep.analysis import Comparison, Index, Sensitivity
from vcm_sweep.analysis.records.metrics import as_metric
from vcm_sweep.analysis.results.kinds import BESIDE, KINDS
from vcm_sweep.analysis.tolerance import ToleranceAnswer
from vcm_sweep.analysis.tolerance.answer import END_OF_RANGE
from vcm_sweep.cluster.terminal.printing import aligned, prose

_NOT_TOLD = "not distinguishable from no effect"
# A value below this fraction of the largest one is rounding error, and shown as 0.
_ROUNDING = 1e-9
# At most this many interactions are shown; all of them are in --json.
_PAIRS = 10


def index_table(result: Sensitivity) -> str:
    """The factors by their ranking index, with intervals and verdicts; luck; and the strongest interactions."""
    kinds = [result.kind, *([BESIDE[result.method]] if result.method in BESIDE else [])]
    beside = {kind: {index.factor: index for index in result[kind]} for kind in kinds}
    largest = {kind: 1.0 if KINDS[kind].share else _largest(result) for kind in kinds}
    interval = f"{100 * result.confidence:g} % interval"
    settled = {verdict.factor: verdict for verdict in result.enough()}
    rows = [["factor", *(word for kind in kinds for word in (kind, interval)), "verdict", "enough?"]]
    for index in result.ranking():
        own = [cell for kind in kinds for cell in _cells(beside[kind][index.factor], kind, largest[kind])]
        known = settled[index.factor]
        verdict = result.verdict(index.factor).replace(_NOT_TOLD, "open")
        rows.append([index.factor, *own, verdict, "settled" if known.settled else f"needs {known.needs} more"])
    empty = [""] * (len(rows[0]) - 5)
    if missed := result.indices.get("unexplained"):
        rows.append(["unexplained", *_cells(missed[0]), *empty, "may be any factor's", ""])
    rows.append(["luck", *_cells(result.luck), *empty, "of one training's variance", ""])
    if split := result.luck_split:
        rows.append(["  which array", *_cells(split.array), *empty, "of the luck", ""])
        rows.append(["  which training", *_cells(split.training), *empty, "of the luck", ""])
    tables = [aligned(rows)]
    if pairs := result.told_interactions()[:_PAIRS]:
        lines = [["interaction", "second", interval], *([pair.name, *_cells(pair)] for pair in pairs)]
        tables.append(aligned(lines))
    if others := result.other_interactions():
        tables.append(prose(others))
    unit = result.enough()[0].unit
    narrow = (
        f"Open: {_NOT_TOLD}.\nEnough: known to +-{_narrow(result)}, half of the interval; "
        f"else it needs about so many more {unit}.\n"
        f"{result.rank_stability().words()}"
    )
    return "\n\n".join([*tables, prose(narrow, *result.notes())])


def _largest(result: Sensitivity) -> float:
    return float(max(abs(index.value) for index in result[result.kind]))


def _narrow(result: Sensitivity) -> str:
    goal = result.enough()[0].goal
    return f"{100 * goal:g} points" if KINDS[result.kind].share else f"{goal:.2g}"


def comparison_table(found: Comparison) -> str:
    """The common factors with their index in both studies and whether the difference is real; then the remarks."""
    one, other = found.names
    rows = [["factor", one, other, "difference", "is it real?"]]
    for shift in found.shifts:
        told = "yes" if shift.real else "open"
        note = "" if shift.same_range else ", other range"
        cells = (found.text(shift.one), found.text(shift.other), found.difference(shift))
        rows.append([shift.factor, *cells, told + note])
    return "\n\n".join([aligned(rows), prose(*found.remarks)]).rstrip()


def tolerance_table(answer: ToleranceAnswer) -> str:
    """The tolerances, as an engineer puts them into a specification; for a trade-off, the points of the front."""
    if answer.question == "trade-off":
        names = [index.factor for index in answer.front[0].objectives] if answer.front else []
        rows = [[*names, "at"]]
        for point in answer.front:
            at = ", ".join(f"{name} = {value:.3g}" for name, value in point.values.items())
            rows.append([*(as_metric(i.factor).text(i) for i in point.objectives), at])
        return aligned(rows)
    rows = [["factor", "unit", "tolerance", f"{100 * answer.confidence:g} % interval", "limited by", "accuracy there"]]
    for row in answer.rows:
        known = not math.isnan(row.value)
        # The search ends at the end of the range; what lies beyond is not known, so there is no interval.
        ended = row.limited_by == END_OF_RANGE
        interval = f"[{row.low:.3g}, {row.high:.3g}]" if known and not ended else ""
        value = f"{row.value:.3g}{f' {row.beyond}' if ended else ''}" if known else "none"
        rows.append([row.factor, row.unit, value, interval, row.limited_by, row.accuracy.percent()])
    return aligned(rows)


def _cells(index: Index, kind: str = "first", largest: float = 1.0) -> list[str]:
    """Value and interval: shares with the same number of decimals in every row, other numbers with three digits.

    Rounding errors, compared with the ``largest`` value of the table, are shown as 0.
    """
    if math.isnan(index.value):
        return ["", "not measured"]
    value, low, high = (0.0 if abs(v) <= _ROUNDING * largest else v for v in (index.value, index.low, index.high))
    if not KINDS[kind].share:
        return [f"{value:.3g}", f"[{low:.3g}, {high:.3g}]"]
    # Adding 0.0 turns a rounded -0.0 into 0.0. The ends of an interval keep their sign, which shows whether 0 is
    # inside.
    return [f"{round(value, 2) + 0.0:.2f}", f"[{low:.3f}, {high:.3f}]"]
