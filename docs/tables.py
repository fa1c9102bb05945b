"""Write the tables of the documentation that can be made from the code: ``python docs/tables.py``; a test compares
them.

A table stands between ``<!-- name -->`` and ``<!-- /name -->``. In the README of a folder of code each line of a file,
or of a folder in it, has the first sentence of the docstring there.
"""

import ast
import json
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import PackageMetadata, metadata
from pathlib import Path

from vcm_sweep.analysis import condition_costs, limit_costs
from vcm_sweep.analysis.conditions.result import precise
from vcm_sweep.analysis.records.metrics import AFTER_AN_EPOCH, METRICS
from vcm_sweep.analysis.results.index import Index
from vcm_sweep.device.declared import NEEDED, Declared
from vcm_sweep.sweep.study.catalogue import CATALOGUE
from vcm_sweep.sweep.study.sections import BY_NAME, CELL, DEVICE, INTERVENTION, LAYER, MECHANISMS, PERIPHERY, PLAIN
from vcm_sweep.sweep.trial import RECORD_COLUMNS

HERE = Path(__file__).parent
ROOT = HERE.parent
READMES = sorted(path for top in ("device", "sweep", "analysis", "cluster") for path in (ROOT / top).rglob("README.md"))
_HUGE = 1e30


def record_columns() -> str:
    """The table of the columns of the results."""
    names = {"factors": "x_<factor>"}
    return _table(
        ("column", "type", "unit", "what it holds"),
        [
            (f"`{names.get(column.name, column.name)}`", column.kind, column.unit, column.meaning)
            for column in RECORD_COLUMNS.values()
        ],
    )


def metrics() -> str:
    """The table of the metrics that can be analysed."""
    return _table(
        ("metric", "what it is", "unit", "better"),
        [
            (
                f"`{name}`", metric.meaning if name == metric.name else f"short for `{metric.name}`", metric.unit,
                "more" if metric.more_is_better else "less",
            )
            for name, metric in METRICS.items()
        ]
        + [(f"`{AFTER_AN_EPOCH}`", "accuracy after epoch K = 1, 2, ...: of `history`", "", "more")],
    )  # fmt: skip


def licences() -> str:
    """The table of the packages that an installation takes in, with the licences that they declare."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = dict.fromkeys(re.split(r"[ <>=!~;\[]", line)[0] for line in project["dependencies"])
    return _table(("package", "licence"), [(name, _licence(metadata(name))) for name in names])


def _licence(package: PackageMetadata) -> str:
    classified = [line.rpartition(" :: ")[2] for line in package.get_all("Classifier", []) if "License ::" in line]
    return package.get("License-Expression") or ", ".join(classified) or str(package.get("License"))


def fields_of(fields: Mapping[str, Declared]) -> str:
    """The table of the fields in one table of a study file."""
    rows = [(name, _meaning(field), _allowed(field), _default(field)) for name, field in fields.items()]
    return _table(("field", "meaning", "allowed", "default"), rows)


def mechanisms() -> str:
    """The table of all mechanisms of variability, with the factor that each of their numbers can be."""
    rows: list[tuple[str, ...]] = []
    for kind, (names, fields) in BY_NAME.items():
        which = f"of {', '.join(names)}" if len(names) < 5 else "any parameter of the cell"
        rows += _rows(f"`[device.{kind}.X]`, X {which}", fields, (kind, names[0]))
    for kind, fields in MECHANISMS.items():
        rows += _rows(f"`[device.{kind}]`", fields, (kind,))
    return _table(("table", "field", "meaning", "allowed", "default", "factor"), rows)


def factors() -> str:
    """The table of all factors."""
    rows = []
    for name, entry in CATALOGUE.items():
        own = CELL.get(entry.path[-1]) if len(entry.path) == 2 else None
        meaning = f"{own.meaning}, of the whole array" if own else entry.meaning
        span = "words" if entry.words else f"{'whole, ' * entry.whole}{entry.low:g} to {entry.high:g}"
        rows.append((f"`{name}`", meaning, span, "" if entry.unit in ("1", "-") else entry.unit))
    return _table(("factor", "meaning", "allowed", "unit"), rows)


def published_rows() -> str:
    """The table of the conditions of docs/published/ that have run, beside what was published of them."""
    floating = condition_costs(HERE / "published/floating")["floating point"]
    rows = [
        (row.name, str(row.trainings), precise(row.mean, share=True), f"{100 * row.published.theirs.mean:.2f}",
         precise(row.published.difference, share=True), row.published.words())
        for row in (floating, *condition_costs(HERE / "published").as_published())
        if row.published
    ]  # fmt: skip
    return _table(("condition", "trainings", "ours, %", "published, %", "ours - published", "verdict"), rows)


def other_rows() -> str:
    """The table of the conditions of docs/published/ that have run, and of which no published value is known here."""
    found = condition_costs(HERE / "published")
    rows = [
        (row.name, str(row.trainings), precise(row.mean, share=True), precise(row.cost, share=True))
        for row in found.rows
        if row.published is None
    ]
    return _table(("condition", "trainings", "ours, %", "cost against noise-free, points"), rows)


def beside(folder: str, other: str, head: str) -> str:
    """The table of the conditions of a folder of docs/ that have run, beside those of another one of these names."""
    found = {row.name: row for row in condition_costs(HERE / other).rows}
    rows = [
        (row.name, str(row.trainings), f"{row.left.value * row.trainings:.0f}", precise(row.trained, share=True),
         precise(found[row.name].trained, share=True) if row.name in found else "")
        for row in condition_costs(HERE / folder).rows
    ]  # fmt: skip
    return _table(("condition", "trainings", "left the plateau", "accuracy of those, %", head), rows)


def walking_rows() -> str:
    """The table of docs/published/walking/: what a walk of the radius changes that makes networks learn more."""
    rows = [
        (row.name, f"{row.left.value * row.trainings:.0f} of {row.trainings}", precise(row.trained, share=True))
        for row in condition_costs(HERE / "published/walking").rows
    ]
    return _table(("condition", "left the plateau", "accuracy of those after 3 epochs, %"), rows)


def foundry_limits() -> str:
    """The table of what each nonideality of docs/foundry costs at the end of its range, dearest first."""
    costs = sorted(limit_costs(HERE / "foundry/limits").costs, key=lambda cost: -cost.cost.value)
    rows = [
        (
            f"`{cost.factor}` = {cost.level:g}",
            f"{100 * cost.cost.value:.1f} [{100 * cost.cost.low:.1f}, {100 * cost.cost.high:.1f}]",
        )
        for cost in costs
    ]
    return _table(("at the end of its range", "costs, points"), rows)


def mnist_tolerances() -> str:
    """The table of how far each imperfection of docs/mnist/tolerance may go for one point of accuracy."""
    found = json.loads((HERE / "mnist/tolerance/one.json").read_text(encoding="utf-8"))
    rows = [
        (
            f"`{row['factor']}`", f"{row['nominal']:g}", f"{row['value']:.2g}",
            f"{row['low']:.2g} .. {row['high']:.2g}", precise(Index(**row["accuracy"]), share=True),
        )
        for row in found["rows"]
    ]  # fmt: skip
    heads = ("factor", "nominal", "may go to", "where the limit is, 95 %", "accuracy there, % (16 fresh seeds)")
    return _table(heads, rows)


def mnist_ten_passes() -> str:
    """The table of what the conditions of docs/mnist/ten cost after one pass and after ten, dearest first."""
    one, ten = (condition_costs(HERE / "mnist/ten", metric) for metric in ("accuracy_epoch_1", "accuracy"))
    rows = [
        (row.name, *(precise(index, share=True) for index in (one[row.name].cost, row.cost, row.mean)))
        for row in ten.ranking()
    ]
    heads = ("condition", "cost after one pass, points", "cost after ten, points", "accuracy after ten, %")
    return _table(heads, rows)


def mnist_steps() -> str:
    """The table of docs/mnist/step/: a lowered match and a larger step, each alone and together."""
    rows = [
        (row.name, precise(row.mean, share=True), "" if math.isnan(row.p) else precise(row.cost, share=True))
        for row in condition_costs(HERE / "mnist/step").rows
    ]
    return _table(("match lowered by, temperature, pulses", "accuracy after ten passes, %", "cost, points"), rows)


DEVICE_ALONE = {name: field for name, field in DEVICE.items() if name not in CELL}
FIELDS = PLAIN | {"device": DEVICE_ALONE, "cell": CELL, "periphery": PERIPHERY, "intervention": INTERVENTION} | LAYER
TABLES: dict[str, dict[str, Callable[[], str]]] = {
    "factors.md": {"factors": factors},
    "foundry/README.md": {"limits": foundry_limits},
    "licences.md": {"licences": licences},
    "nonidealities.md": {"tolerances": mnist_tolerances, "passes": mnist_ten_passes, "steps": mnist_steps},
    "published.md": {
        "rows": published_rows,
        "others": other_rows,
        "described": partial(beside, "published/described", "published", "the same as published, %"),
        "full": partial(beside, "published/full", "published/described", "the same with the fitted current, %"),
        "walking": walking_rows,
    },
    "results.md": {"columns": record_columns, "metrics": metrics},
    "studies.md": {name: partial(fields_of, fields) for name, fields in FIELDS.items()} | {"mechanisms": mechanisms},
}


def written(page: str, text: str) -> str:
    """The text of a page, with its tables made anew from the code."""
    for name, table in TABLES[page].items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}{table()}\n{end}{rest.partition(end)[2]}"
    return text


def contents(readme: Path, text: str) -> str:
    """The text of a folder's README with what its files say of themselves."""
    return re.sub(r"(?m)^\| (\S+) \|.*\|$", lambda row: _row(readme.parent, row), text)


def _row(folder: Path, row: re.Match[str]) -> str:
    name = row[1]
    path = folder / name / "__init__.py" if name.endswith("/") else folder / name
    if path.suffix != ".py" or not path.exists():
        return row[0]
    said = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
    sentence = re.split(r"(?<!\.)\.(?= |$)", " ".join(said.split()))[0]
    cell = sentence.replace("``", "`").replace("|", "\\|")
    return f"| {name} | {cell} |"


def _allowed(field: Declared) -> str:
    """The allowed values of a field, in words."""
    span = _span(field)
    words: dict[str, Callable[[], str]] = {
        "number": lambda: span,
        "whole": lambda: f"whole, {span}",
        "word": lambda: ", ".join(f'`"{word}"`' for word in field.words),
        "flag": lambda: "true, false",
        "text": lambda: field.form or "text",
        "wholes": lambda: f"list of whole numbers, {span}",
        "table": lambda: "table" if field.schema["type"] == "object" else "list",
    }
    return ", ".join((words[field.kind](), *(f'`"{word}"`' for word in field.instead)))


def _span(field: Declared) -> str:
    low = f"{field.low:g}"
    high = f"{int(field.high)}" if field.kind in ("whole", "wholes") else f"{field.high:g}"
    span = f"{low} to {high}" if field.high < _HUGE else f"at least {low}"
    return span if field.unit in ("", "-") else f"{span} {field.unit}"


def _default(field: Declared) -> str:
    if field.default is NEEDED:
        return "needed"
    for word, value in field.instead.items():
        if value == field.default:
            return f'`"{word}"`'
    if field.default is None or field.default == "" or field.default == {}:
        return ""
    if isinstance(field.default, bool):
        return str(field.default).lower()
    return f'`"{field.default}"`' if isinstance(field.default, str) else f"{field.default:g}"


def _meaning(field: Declared) -> str:
    if field.only is None:
        return field.meaning
    other, words = field.only
    return f"{field.meaning}; with {other} = {' or '.join(words)} alone"


def _rows(place: str, fields: Mapping[str, Declared], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The rows of one mechanism; where its path names what varies, its factors have an X in that place."""
    factors = {entry.path: factor for factor, entry in CATALOGUE.items()}
    for name, field in fields.items():
        parts = factors.get(("device", *path, name), "").split(".")
        factor = ".".join("X" if part in path[1:] else part for part in parts)
        yield place, name, _meaning(field), _allowed(field), _default(field), f"`{factor}`" if factor else ""
        place = ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    for page in TABLES:
        path = HERE / page
        path.write_text(written(page, path.read_text(encoding="utf-8")), encoding="utf-8")
    for readme in READMES:
        readme.write_text(contents(readme, readme.read_text(encoding="utf-8")), encoding="utf-8")
