"""The report: one page that answers first, and the numbers beside it for other programs."""

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from vcm_sweep.analysis import plots
from vcm_sweep.analysis._package import read_template
from vcm_sweep.analysis.convergence import converge
from vcm_sweep.analysis.effects import EffectCurve, effect_curves
from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.files import replace_file, write_json, write_parquet
from vcm_sweep.analysis.result import Sensitivity
from vcm_sweep.analysis.source import FactorSource, ResultsSource
from vcm_sweep.analysis.study import analyze


@dataclass(frozen=True)
class _Row:
    """One line of the factor table, as text."""

    name: str
    range: str
    total: str
    first: str
    single_total: str
    single_first: str
    effect: str
    verdict: str


def write_report(results: ResultsSource, directory: str | os.PathLike[str], metric: str = "accuracy") -> Path:
    """The path of ``report.html``; ``indices.json`` and ``indices.parquet`` are written beside it.

    The page is self-contained: no script, no font, no picture from elsewhere. Files are replaced whole, so a
    reader never sees half of one.

    Raises:
        AnalysisError: the records cannot be analysed (as `analyze`), or the directory cannot be written.
    """
    result = analyze(results, metric)
    if result.method != "sobol":
        raise AnalysisError(
            f"report: needs a study of [design] method = 'sobol', and this one is {result.method!r}; vcm-sweep analyze "
            "gives its numbers"
        )
    page = _render(results, result, metric)
    target = Path(directory)
    try:
        target.mkdir(parents=True, exist_ok=True)
        write_json(target / "indices.json", _numbers(results, result))
        write_parquet(target / "indices.parquet", _lines(results, result), {"study": results.study.name})
        replace_file(target / "report.html", lambda path: path.write_text(page, encoding="utf-8"))
    except OSError as error:
        raise AnalysisError(f"report: cannot write to {target} ({error.strerror}); name another directory") from error
    return target / "report.html"


def _render(results: ResultsSource, result: Sensitivity, metric: str) -> str:
    study, table = results.study, results.table()
    blocks = np.asarray(results.blocks(metric), dtype=np.float64)
    means: NDArray[np.float64] = np.nanmean(blocks, axis=2).reshape(-1)
    block = np.repeat(np.arange(blocks.shape[0]), blocks.shape[1])
    curves = effect_curves(results.points(), means, result.factors, blocks=block, confidence=result.confidence)
    parts = converge(blocks, result.factors, seeds=result.seeds, confidence=result.confidence)
    flags = table.column("at_chance").to_pylist()
    at_chance = sum(bool(flag) for flag in flags)
    histories = [history for history in table.column("history").to_pylist() if history]
    wall = np.array([s for s in table.column("wall_s").to_pylist() if s is not None], dtype=np.float64)
    environment = Environment(
        loader=FunctionLoader(read_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    top = result.ranking()[0]
    return environment.get_template("report.html.j2").render(
        study=study,
        metric=metric,
        result=result,
        answer=result.answer(metric),
        rivals=result.rivals(top.factor),
        confidence=f"{100 * result.confidence:g}",
        luck_words=_luck_words(result, metric),
        single_words=_single_words(result, metric),
        rankings_words=_rankings_words(result, curves, metric),
        rows=_rows(study.factors, result, curves),
        pairs=[f"{pair.larger} and {pair.smaller}" for pair in result.not_separated()],
        trainings=table.num_rows,
        at_chance=at_chance,
        statuses=Counter(table.column("status").to_pylist()).most_common(),
        seconds={
            "median": f"{np.median(wall):.3g}" if wall.size else "?",
            "total": _duration(float(wall.sum())),
        },
        model_versions=", ".join(sorted({str(v) for v in table.column("model_version").to_pylist()})),
        versions=_versions(table.column("versions").to_pylist()),
        indices_svg=Markup(plots.indices_figure(result)),
        convergence_svg=Markup(plots.convergence_figure(parts)),
        effect_svgs=[Markup(svg) for svg in plots.effect_figures(curves, [f.unit for f in study.factors], metric)],
        histogram_svg=Markup(plots.histogram_figure(blocks.reshape(-1), metric, at_chance / max(1, len(flags)))),
        training_svg=Markup(plots.training_figure(histories)) if histories else "",
    )


def _rows(factors: Any, result: Sensitivity, curves: tuple[EffectCurve, ...]) -> list[_Row]:
    place = {name: i for i, name in enumerate(result.factors)}
    rows = []
    for index in result.ranking():
        i = place[index.factor]
        curve = curves[i]
        rows.append(
            _Row(
                name=index.factor,
                range=_range(factors[i]),
                total=index.percent(),
                first=result.first[i].percent(),
                single_total=result.single_total[i].percent(),
                single_first=result.single_first[i].percent(),
                effect=curve.shape(),
                verdict=result.verdict(index.factor),
            )
        )
    return rows


def _breakable(name: str) -> Markup:
    """The escaped name, which may break after each dot: a browser takes a dotted name for one word."""
    return Markup(".<wbr>").join(name.split("."))


def _range(factor: FactorSource) -> str:
    unit = f" {factor.unit}" if factor.unit else ""
    return f"{factor.low:g} to {factor.high:g}{unit}, {factor.distribution}"


def _luck_words(result: Sensitivity, metric: str) -> str:
    if np.isnan(result.luck.value):
        return "no point was trained twice, so the share of the seed is unknown"
    return f"of the variance of {metric} of a single training comes from its seed alone"


def _single_words(result: Sensitivity, metric: str) -> str:
    if np.isnan(result.luck.value):
        shares = "shares of the variance of one training, the effect of its seed included"
    else:
        shares = f"shares of the variance of one training, of which luck holds {result.luck.percent()}"
    return (
        f"The indices above are those of {metric} averaged over seeds. Who trains once also meets luck: "
        f"below are {shares}."
    )


def _rankings_words(result: Sensitivity, curves: tuple[EffectCurve, ...], metric: str) -> str:
    """Variance share and change across the range answer different questions; say where they disagree."""
    top = result.ranking()[0].factor
    widest = max(curves, key=lambda curve: curve.span)
    change = f"by {widest.span:.3f}, between bin means"
    if widest.factor == top:
        agreement = f"{top} also moves mean {metric} most across its range ({change})."
    else:
        agreement = (
            f"By another measure the first place goes to {widest.factor}: it moves mean {metric} most across "
            f"its range ({change})."
        )
    return f"{agreement} The cost at the upper limit against the nominal device needs trainings of its own."


def _versions(recorded: list[str | None]) -> list[tuple[str, str]]:
    """Each package with every version that any training used, so that a mixed study shows."""
    found: dict[str, set[str]] = {}
    for text in {text for text in recorded if text}:
        for name, version in json.loads(text).items():
            found.setdefault(name, set()).add(str(version))
    return [(name, " and ".join(sorted(found[name]))) for name in sorted(found)]


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def _numbers(results: ResultsSource, result: Sensitivity) -> dict[str, Any]:
    ranges = {
        f.name: {"low": f.low, "high": f.high, "distribution": f.distribution, "unit": f.unit}
        for f in results.study.factors
    }
    return {"study": results.study.name, "ranges": ranges, **result.to_dict()}


def _lines(results: ResultsSource, result: Sensitivity) -> list[dict[str, Any]]:
    """The indices with the ranges they hold for."""
    ranges = {f.name: (f.low, f.high) for f in results.study.factors}
    lines = []
    for line in result.lines():
        low, high = ranges.get(line["factor"], (None, None))
        lines.append(line | {"range_low": low, "range_high": high})
    return lines
