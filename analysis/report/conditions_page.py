"""The report of a study of conditions: ours beside what was published, what each costs, who left the plateau."""

import math
from pathlib import Path

from vcm_sweep.analysis.conditions.result import ConditionResult, Conditions, precise
from vcm_sweep.analysis.plots.intervals import Interval, intervals
from vcm_sweep.analysis.report.content.parts import Chart, Charts, Fact, Page, Section, Table, Text
from vcm_sweep.analysis.report.content.quantity import Quantity
from vcm_sweep.analysis.report.content.snapshot import Snapshot
from vcm_sweep.analysis.report.frame import write_page
from vcm_sweep.analysis.report.sections.provenance import made
from vcm_sweep.analysis.results.index import Index

_OURS, _THEIRS = "ours", "published"


def write_conditions_page(
    snapshot: Snapshot, found: Conditions, target: Path, files: tuple[tuple[str, str], ...]
) -> Path:
    """Write ``report.html`` of a study of conditions, and return its path."""
    quantity = Quantity(found.metric)
    base = found[found.baseline]
    told = [row.published.verdict for row in found.rows if row.published]
    count = f"{len(found.rows) + len(found.waiting)}"
    page = Page(
        title=f"{snapshot.study.name}: {quantity.label} of its conditions",
        heading=f"{snapshot.study.name} · {quantity.label} of {count} conditions",
        answer=found.answer(),
        open=False,
        facts=(
            Fact("Baseline", _with_unit(base.mean, quantity), found.baseline),
            Fact("Conditions", count, f"{snapshot.table().num_rows:,} trainings"),
            Fact("Published", f"{told.count('agrees')} of {len(told)} agree", f"{told.count('differs')} differ"),
            Fact("Failures", f"{found.failures.failed or 'none'}", f"of {found.failures.trainings} trainings"),
        ),
        sections=[
            _beside(found, quantity),
            _costs(found, quantity),
            _plateau(found, quantity),
            made(snapshot, found.notes()),
        ],
        numbers={"study": snapshot.study.name, **found.to_dict()},
        files=files,
    )
    return write_page(page, target, "report")


def _beside(found: Conditions, quantity: Quantity) -> Section:
    """The picture and the table of means, sorted as published."""
    rows = found.as_published()
    unit = ", %" if quantity.share else ""
    columns = ("condition", f"ours{unit}", "sd", "trainings", f"published{unit}", "ours - published", "verdict")
    cells = [
        [
            row.name,
            precise(row.mean, quantity.share),
            _spread(row.ours.sd, quantity),
            f"{row.trainings}",
            _theirs(row),
            precise(row.published.difference, quantity.share) if row.published else "",
            row.published.words() if row.published else "",
        ]
        for row in rows
    ]
    note = f"Means with {100 * found.confidence:g} % intervals, sorted as published."
    return Section(
        "Ours and published",
        "published",
        [
            Text(note, soft=True),
            Charts([_picture(rows, found, quantity)]),
            Table("published", "Ours and published", columns, cells, frozenset(columns[1:6])),
        ],
    )


def _picture(rows: tuple[ConditionResult, ...], found: Conditions, quantity: Quantity) -> Chart:
    """Means with intervals; of accuracy the errors, whose logarithm shows half a point beside eighty."""
    error = found.metric == "accuracy"
    marks = []
    for row in rows:
        if row.published and error:
            marks.append(_mark(row.name, _THEIRS, _interval(row), error, quantity))
        marks.append(_mark(row.name, _OURS, row.mean, error, quantity))
    marks = [mark for mark in marks if math.isfinite(mark.value)]
    words = "; ".join(f"{mark.factor}, {mark.series}, {mark.words}" for mark in marks)
    axis = "error: 1 - accuracy of the test set" if error else quantity.label
    log = error and all(mark.value > 0 for mark in marks)
    spec = intervals(marks, axis, share=quantity.share, tooltip=quantity.label, log=log)
    return Chart("published", spec, f"{quantity.label} of each condition: {words}", f"Mean {axis}, with intervals.")


def _mark(name: str, series: str, mean: Index, error: bool, quantity: Quantity) -> Interval:
    words = precise(mean, quantity.share)
    low, high = _or(mean.low, mean.value), _or(mean.high, mean.value)
    if not error:
        return Interval(name, series, mean.value, low, high, words)
    value = 1 - mean.value
    # On a logarithmic axis nothing is at 0 or below.
    return Interval(name, series, value, max(1 - high, value / 10), 1 - low, words)


def _interval(row: ConditionResult) -> Index:
    """A published mean with Student's interval, as far as its spread was published."""
    assert row.published is not None
    theirs = row.published.theirs
    if theirs.sd is None or theirs.n is None:
        return Index(row.name, theirs.mean, math.nan, math.nan)
    from scipy import stats

    half = float(stats.t.ppf(0.975, theirs.n - 1)) * theirs.sd / math.sqrt(theirs.n)
    return Index(row.name, theirs.mean, theirs.mean - half, theirs.mean + half)


def _costs(found: Conditions, quantity: Quantity) -> Section:
    """What each costs against the baseline, dearest first."""
    ranked = [row for row in found.ranking() if math.isfinite(row.cost.value)]
    unit = f", {quantity.unit}" if quantity.unit else ""
    marks = [
        Interval(
            row.name, "cost", quantity.scale * row.cost.value, quantity.scale * _or(row.cost.low, row.cost.value),
            quantity.scale * _or(row.cost.high, row.cost.value), precise(row.cost, quantity.share),
        )
        for row in ranked
    ]  # fmt: skip
    words = "; ".join(f"{mark.factor} {mark.words}" for mark in marks)
    columns = ("condition", f"cost{unit}", "p (Holm)", "is it real?")
    cells = [
        [row.name, precise(row.cost, quantity.share), _p(row.p), "yes" if row.costs(found.level) else "open"]
        for row in ranked
    ]
    spec = intervals(marks, f"cost in {quantity.label}{unit}", share=False, tooltip="cost")
    return Section(
        "What each condition costs",
        "costs",
        [
            Text(f"Against {found.baseline}, in pairs of trainings with the same seeds; below 0 is a gain.", soft=True),
            Charts([Chart("costs", spec, f"Cost in {quantity.label}{unit} against {found.baseline}: {words}")]),
            Table("costs", f"Costs against {found.baseline}", columns, cells, frozenset(columns[1:3])),
        ],
    )


def _or(end: float, value: float) -> float:
    """The end of an interval; the value itself where there is no interval."""
    return end if math.isfinite(end) else value


def _plateau(found: Conditions, quantity: Quantity) -> Section:
    """How many trainings left the plateau, and what those reach."""
    unit = ", %" if quantity.share else ""
    columns = ("condition", "left the plateau", f"mean of those{unit}", "trainings")
    cells = [
        [row.name, row.left.percent(), precise(row.trained, quantity.share), f"{row.trainings}"] for row in found.rows
    ]
    return Section(
        "Who left the plateau",
        "plateau",
        [
            Text(
                "A training that diverged or ended within what guessing gives did not leave the plateau on which it "
                "began. Shares have Wilson's intervals.",
                soft=True,
            ),
            Table("plateau", "Trainings that left the plateau", columns, cells, frozenset(columns[1:])),
        ],
    )


def _theirs(row: ConditionResult) -> str:
    if row.published is None:
        return ""
    theirs = row.published.theirs
    spread = "" if theirs.sd is None else f" (sd {100 * theirs.sd:.2f}, {theirs.n} trainings)"
    return f"{100 * theirs.mean:.2f}{spread}"


def _spread(sd: float | None, quantity: Quantity) -> str:
    if sd is None:
        return ""
    return f"{100 * sd:.2f}" if quantity.share else f"{sd:.3g}"


def _with_unit(mean: Index, quantity: Quantity) -> str:
    words = precise(mean, quantity.share)
    return words.replace(" [", " % [") if quantity.share else words


def _p(p: float) -> str:
    return "" if math.isnan(p) else f"{p:.3f}" if p >= 1e-3 else "below 0.001"
