"""`write_report`: analyse once, gather the sections, write the page and its files."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from vcm_sweep.analysis.conditions.costs import condition_costs
from vcm_sweep.analysis.conditions.result import Conditions
from vcm_sweep.analysis.files import replace_file, write_json, write_parquet
from vcm_sweep.analysis.limits.costs import limit_costs
from vcm_sweep.analysis.limits.result import Limits
from vcm_sweep.analysis.records.chance import ChanceError
from vcm_sweep.analysis.records.provisional import finished_part
from vcm_sweep.analysis.records.source import ResultsSource, opened
from vcm_sweep.analysis.report.answer import answer, facts
from vcm_sweep.analysis.report.chance_page import write_chance_page
from vcm_sweep.analysis.report.companions import read_limits, read_tolerance_answers
from vcm_sweep.analysis.report.conditions_page import write_conditions_page
from vcm_sweep.analysis.report.content.material import Material
from vcm_sweep.analysis.report.content.parts import Page, Section
from vcm_sweep.analysis.report.content.snapshot import Snapshot
from vcm_sweep.analysis.report.frame import refuse_unwritable, write_page
from vcm_sweep.analysis.report.limits_page import write_limits_page
from vcm_sweep.analysis.report.sections.asked import asked
from vcm_sweep.analysis.report.sections.device import device
from vcm_sweep.analysis.report.sections.effects import effects
from vcm_sweep.analysis.report.sections.failures import failures
from vcm_sweep.analysis.report.sections.halves import halves
from vcm_sweep.analysis.report.sections.humps import humps
from vcm_sweep.analysis.report.sections.interactions import interactions
from vcm_sweep.analysis.report.sections.luck import luck
from vcm_sweep.analysis.report.sections.order import order
from vcm_sweep.analysis.report.sections.provenance import provenance
from vcm_sweep.analysis.report.sections.rankings import rankings
from vcm_sweep.analysis.report.sections.settled import settled
from vcm_sweep.analysis.report.sections.tolerances import tolerances
from vcm_sweep.analysis.report.sections.trainings import trainings
from vcm_sweep.analysis.report.sections.why import why
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.studies.analysis import analyze
from vcm_sweep.sweep.store.results import Results

SECTIONS: tuple[Callable[[Material], Section | None], ...] = (
    asked, rankings, order, effects, halves, interactions, why, tolerances, settled, luck, humps,
    failures, trainings, device, provenance,
)  # fmt: skip
_FILES = (
    ("report.md", "summary in Markdown"),
    ("indices.json", "all indices, JSON"),
    ("indices.parquet", "all indices, Parquet"),
    ("trainings.parquet", "every training with its factors and outputs"),
    ("histories.parquet", "accuracy of every training after every epoch"),
)


class Report(NamedTuple):
    """A report that was written.

    ``page``: path of report.html. ``no_ranking``: why there is no ranking in it, or "".
    """

    page: Path
    no_ranking: str = ""


def write_report(
    results: ResultsSource,
    directory: str | os.PathLike[str],
    metric: str = "accuracy",
    *,
    method: str = "",
    policy: str = "fail",
) -> Path:
    """Write ``report.html``, with a summary, the numbers and ``report/`` for the pictures beside it; returns its path.

    The page is self-contained: no script, font or picture is loaded from elsewhere. Each file is replaced in one step,
    so nobody reads a half-written one.

    Args:
        metric, method, policy: as `analyze` has them.

    Raises:
        AnalysisError: the records cannot be analysed (as `analyze`), or the directory cannot be written.
    """
    return written(opened(results), directory, metric, method=method, policy=policy).page


def written(
    results: Results, directory: str | os.PathLike[str], metric: str, *, method: str = "", policy: str = "fail"
) -> Report:
    """`write_report`, and whether there is a ranking in it."""
    snapshot = Snapshot(results)
    if snapshot.study.design.method == "limits":
        return _write_limits(snapshot, Path(directory), metric, policy)
    if snapshot.study.conditions:
        return _write_conditions(snapshot, Path(directory), metric, policy)
    snapshot = Snapshot(finished_part(snapshot))
    try:
        result = analyze(snapshot, metric, method=method, policy=policy)
    except ChanceError as error:
        return _write_chance(snapshot, Path(directory), metric, error)
    limits, no_limits = read_limits(snapshot.folder, result.metric, policy)
    answers, no_answers = read_tolerance_answers(snapshot.folder)
    material = Material(snapshot, result, policy, limits, answers, no_limits, no_answers)
    found = [section(material) for section in SECTIONS]
    page = Page(
        title=f"{snapshot.study.name}: what costs {material.quantity.label}",
        heading=f"{snapshot.study.name} · sensitivity of {material.quantity.label}",
        answer=answer(material),
        open=bool(result.rivals(result.ranking()[0].factor)),
        facts=facts(material),
        sections=[section for section in found if section is not None],
        numbers=_numbers(material),
        files=_FILES,
    )
    target = Path(directory)
    with refuse_unwritable(target):
        target.mkdir(parents=True, exist_ok=True)
        write_json(target / "indices.json", page.numbers)
        write_parquet(target / "indices.parquet", _lines(snapshot, result), {"study": snapshot.study.name})
        _write_trainings(target, snapshot.table())
        return Report(write_page(page, target, "report"))


def _write_limits(snapshot: Snapshot, target: Path, metric: str, policy: str) -> Report:
    try:
        limits = limit_costs(snapshot, metric, policy=policy)
    except ChanceError as error:
        return _write_chance(snapshot, target, metric, error)
    with _written_beside(snapshot, limits, target):
        return Report(write_limits_page(snapshot, limits, target, _FILES))


def _write_conditions(snapshot: Snapshot, target: Path, metric: str, policy: str) -> Report:
    found = condition_costs(snapshot, metric, policy=policy)
    with _written_beside(snapshot, found, target):
        return Report(write_conditions_page(snapshot, found, target, _FILES))


@contextmanager
def _written_beside(snapshot: Snapshot, found: Limits | Conditions, target: Path) -> Iterator[None]:
    """The numbers and trainings beside a page that has results of its own."""
    with refuse_unwritable(target):
        target.mkdir(parents=True, exist_ok=True)
        found.write_json(target / "indices.json")
        found.write_parquet(target / "indices.parquet")
        _write_trainings(target, snapshot.table())
        yield


def _write_chance(snapshot: Snapshot, target: Path, metric: str, why: ChanceError) -> Report:
    with refuse_unwritable(target):
        target.mkdir(parents=True, exist_ok=True)
        _write_trainings(target, snapshot.table())
        files = tuple(file for file in _FILES if not file[0].startswith("indices"))
        return Report(write_chance_page(snapshot, why, target, metric, files), str(why))


def _write_trainings(target: Path, table: pa.Table) -> None:
    """Write the records, and in a file of their own the histories, which are most of the bytes."""
    named = [name for name in ("key", "point", "replicate", "history") if name in table.column_names]
    replace_file(target / "histories.parquet", lambda path: pq.write_table(table.select(named), path))
    rest = table.drop_columns(["history"])
    replace_file(target / "trainings.parquet", lambda path: pq.write_table(rest, path))


def _numbers(material: Material) -> dict[str, Any]:
    plain = [factor.plain() | {"unit": factor.unit} for factor in material.factors]
    ranges = {factor.pop("name"): factor for factor in plain}
    numbers = {"study": material.results.study.name, "ranges": ranges, **material.result.to_dict()}
    numbers |= {"second_opinions": [opinion.to_dict() for opinion in material.opinions]}
    numbers |= {"limits": material.limits.to_dict()} if material.limits else {}
    if material.tolerances:
        numbers["tolerances"] = [found.to_dict() for found in material.tolerances]
    return numbers


def _lines(results: Results, result: Sensitivity) -> list[dict[str, Any]]:
    """The lines of the indices, each with the range of the factor for which it holds."""
    ranges = {f.name: (f.low, f.high) for f in results.study.factors}
    lines = []
    for line in result.lines():
        low, high = ranges.get(line["factor"], (None, None))
        lines.append(line | {"range_low": low, "range_high": high})
    return lines
