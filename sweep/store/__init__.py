"""The results folder of a study: records in immutable Parquet parts, one driver at a time."""

from vcm_sweep.sweep.store.store import Store, holds_study, open_source
from vcm_sweep.sweep.store.take_over import LeftBehind

__all__ = ["LeftBehind", "Store", "holds_study", "open_source"]
