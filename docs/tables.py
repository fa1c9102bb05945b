"""Tables of these pages that the code knows: ``python docs/tables.py`` writes them, a test looks at them.

A table stands between ``<!-- name -->`` and ``<!-- /name -->``.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from vcm_sweep.analysis.metrics import METRICS
from vcm_sweep.sweep.trial import RECORD_COLUMNS

HERE = Path(__file__).parent


def record_columns() -> str:
    """What every column of the results holds."""
    names = {"factors": "x_<factor>"}
    return _table(
        ("column", "type", "unit", "what it holds"),
        [
            (f"`{names.get(column.name, column.name)}`", column.kind, column.unit, column.meaning)
            for column in RECORD_COLUMNS.values()
        ],
    )


def metrics() -> str:
    """What may be analysed."""
    return _table(
        ("metric", "what it is", "unit", "better"),
        [
            (
                f"`{name}`", metric.meaning if name == metric.name else f"short for `{metric.name}`", metric.unit,
                "more" if metric.more_is_better else "less",
            )
            for name, metric in METRICS.items()
        ],
    )  # fmt: skip


TABLES = {"results.md": {"columns": record_columns, "metrics": metrics}}


def written(page: str, text: str) -> str:
    """A page's text with its tables as the code has them."""
    for name, table in TABLES[page].items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}{table()}\n{end}{rest.partition(end)[2]}"
    return text


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    for page in TABLES:
        path = HERE / page
        path.write_text(written(page, path.read_text(encoding="utf-8")), encoding="utf-8")
