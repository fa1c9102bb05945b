"""Writing a page: HTML with its pictures inside, the pictures and tables as files beside it, and Markdown."""

import base64
import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.files import replace_file
from vcm_sweep.analysis.plots.render import alone, inline, png, svg, viewer_script
from vcm_sweep.analysis.report.content.parts import Chart, Page, Table
from vcm_sweep.analysis.report.markdown import markdown

_OURS = (".svg", ".png", ".csv")


def write_page(page: Page, directory: Path, stem: str) -> Path:
    """Write ``stem.html``, ``stem.md`` and ``stem/`` with a file per picture and table; returns the page's path."""
    beside = directory / stem
    beside.mkdir(exist_ok=True)
    written = set()
    drawn = {chart.name: svg(chart.spec) for chart in page.charts()}
    for chart in page.charts():
        for name, content in _chart_files(chart, drawn[chart.name]):
            replace_file(beside / name, lambda path, content=content: path.write_bytes(content))  # type: ignore[misc]
            written.add(name)
    for table in page.tables():
        name = f"{table.name}.table.csv"
        text = _csv([table.columns, *table.rows])
        replace_file(beside / name, lambda path, text=text: path.write_text(text, encoding="utf-8"))  # type: ignore[misc]
        written.add(name)
    # Remove the files of an earlier report that had other sections.
    for old in beside.iterdir():
        if old.suffix in _OURS and not old.name.startswith(".") and old.name not in written:
            old.unlink()
    replace_file(directory / f"{stem}.md", lambda path: path.write_text(markdown(page, stem), encoding="utf-8"))
    html = render(page, stem, drawn)
    replace_file(directory / f"{stem}.html", lambda path: path.write_text(html, encoding="utf-8"))
    return directory / f"{stem}.html"


def render(page: Page, stem: str, drawn: Mapping[str, str]) -> str:
    """The page as one HTML document; every text is escaped, and nothing is loaded from anywhere.

    ``drawn``: the SVG of every picture, by its name.
    """
    environment = Environment(
        loader=FunctionLoader(read_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"breakable": _breakable, "tied": _tied}
    charts, asking = page.charts(), page.asking()
    return environment.get_template("report.html.j2").render(
        page=page,
        stem=stem,
        style=Markup(read_template("report.css")),
        script=Markup(read_template("report.js")),
        viewer=Markup(viewer_script()),
        svgs={name: Markup(inline(picture)) for name, picture in drawn.items()},
        response=_script_json(asking.response) if asking else "",
        ask=Markup(read_template("ask.js")),
        specs=_script_json({chart.name: chart.spec for chart in charts}),
        numbers=_data_link(json.dumps(page.numbers, indent=1, allow_nan=False)),
        tables=_data_link(_all_tables(page.tables()), "text/csv"),
    )


@contextmanager
def refuse_unwritable(target: Path) -> Iterator[None]:
    """Turn an error of the system while writing into an AnalysisError of one line."""
    try:
        yield
    except OSError as error:
        raise AnalysisError(f"report: cannot write to {target} ({error.strerror}); name another directory") from error


def _chart_files(chart: Chart, drawn: str) -> Iterator[tuple[str, bytes]]:
    yield f"{chart.name}.svg", alone(drawn, chart.label).encode()
    yield f"{chart.name}.png", png(drawn)
    yield f"{chart.name}.csv", _csv(_rows(chart.spec)).encode()


def _rows(spec: dict[str, Any]) -> list[list[Any]]:
    """The data of a picture as rows, for its CSV file: those of its largest layer."""
    found = [layer["data"]["values"] for layer in (spec, *spec.get("layer", ())) if "values" in layer.get("data", {})]
    found += list(spec.get("datasets", {}).values())
    rows: list[dict[str, Any]] = max(found, key=lambda rows: (len(rows), len(rows[0]) if rows else 0), default=[])
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return [columns, *([row.get(key, "") for key in columns] for row in rows)]


def _csv(rows: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _all_tables(tables: list[Table]) -> str:
    return "\n".join(_csv([[table.title], table.columns, *table.rows]) for table in tables)


def _data_link(text: str, kind: str = "application/json") -> str:
    return f"data:{kind};base64,{base64.b64encode(text.encode()).decode()}"


def _script_json(value: Any) -> Markup:
    """JSON that is safe inside a script element, whatever names a user chose."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def _tied(text: str) -> str:
    """The text with a non-breaking space inside each interval, so that it stays on one line."""
    text = text.replace(" %", "\u00a0%")
    return re.sub(r"\[(-?[\d.e+-]+), (-?[\d.e+-]+)\]", "[\\1,\u00a0\\2]", text)


def _breakable(name: str) -> Markup:
    """The escaped name, with a place to break after each dot, since a browser takes a dotted name for one word."""
    return Markup(".<wbr>").join(re.split(r"\.(?=[A-Za-z_])", name))


def read_template(name: str) -> str:
    """The text of ``templates/<name>``, from a checkout, a wheel or a zip alike."""
    return resources.files("vcm_sweep.analysis.report").joinpath("templates", name).read_text(encoding="utf-8")
