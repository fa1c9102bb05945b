"""Where records go when their folder can no longer be written."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.folder import write_durably
from vcm_sweep.sweep.store.schema import encode, schema, to_table
from vcm_sweep.sweep.study.study import Study
from vcm_sweep.sweep.trial import TrialRecord


def rescue(study: Study, name: str, records: Sequence[TrialRecord]) -> str:
    """Write records into a Parquet file in the temporary or the home folder; returns a sentence on what to do next."""
    try:
        content = encode(to_table(records, schema(study)))
    except StoreError as error:
        return f"{len(records)} records are lost ({error})"
    # Functions, called one after the other, since finding either folder can fail: the first on a full disk, the second
    # in a container.
    places: tuple[Callable[[], str | Path], ...] = (tempfile.gettempdir, Path.home)
    for place in places:
        try:
            file = Path(place()) / f"{name}.parquet"
            write_durably(file, content)
        except (OSError, RuntimeError):
            continue
        return f"{len(records)} records are in {file} instead: run again with --reuse {file} once there is room"
    return (
        f"{len(records)} records are lost, since neither the folder for temporary files nor the home can be written: "
        "make room and run again"
    )
