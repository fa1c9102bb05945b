"""Chooses which of several records with the same key counts."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def chosen(keys: pa.ChunkedArray, statuses: pa.ChunkedArray) -> np.ndarray | None:
    """(k,) int64 rows, ascending: of equal keys the last one that is ok, else the last; None where no key is twice.

    Example:
        >>> keys = pa.chunked_array([["a", "b", "a", "a"]])
        >>> chosen(keys, pa.chunked_array([["error", "ok", "ok", "timeout"]]))
        array([1, 2])
    """
    codes = pc.dictionary_encode(keys).combine_chunks()
    codes = codes.chunk(0) if isinstance(codes, pa.ChunkedArray) else codes
    rows, different = len(keys), len(codes.dictionary)
    if rows == different:
        return None
    code = codes.indices.to_numpy()
    ok = pc.fill_null(pc.equal(statuses, "ok"), False).to_numpy()
    # Numpy keeps the last of several values for one place: first the rows that are not ok, then those that are.
    best = np.empty(different, np.int64)
    for part in (np.flatnonzero(~ok), np.flatnonzero(ok)):
        best[code[part]] = part
    return np.sort(best)
