"""The results folder of a study: records in immutable Parquet parts, one driver at a time."""

from .store import Store, holds_study, open_source
from .taking import LeftBehind

__all__ = ["LeftBehind", "Store", "holds_study", "open_source"]
