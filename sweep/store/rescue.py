"""Where records go when their folder can no longer be written."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..errors import StoreError
from ..folder import write_durably
from ..study import Study
from ..trial import TrialRecord
from .schema import encode, schema, to_table


def rescue(study: Study, name: str, records: Sequence[TrialRecord]) -> str:
    """Leave records in a Parquet file in the folder for temporary files, or at home; what to do with it, in words."""
    try:
        content = encode(to_table(records, schema(study)))
    except StoreError as error:
        return f"{len(records)} records are lost ({error})"
    places = [Path(tempfile.gettempdir()), Path("~").expanduser()]
    for place in places:
        file = place / f"{name}.parquet"
        try:
            write_durably(file, content)
        except OSError:
            continue
        return f"{len(records)} records are in {file} instead: make room, and run again with --reuse {file}"
    tried = " and ".join(map(str, places))
    return f"{len(records)} records are lost, since {tried} cannot be written either: make room and run again"
