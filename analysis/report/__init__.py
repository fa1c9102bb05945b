"""The report of a study: one page that answers first, pictures and numbers beside it, and a summary in Markdown."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vcm_sweep.analysis.report.write import write_report

__all__ = ["write_report"]


def __getattr__(name: str) -> Any:
    if name != "write_report":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from vcm_sweep.analysis.report.write import write_report

    return write_report
