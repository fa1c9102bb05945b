"""``SharedData``: a data set for workers, stored in shared memory once per node and mapped by each process."""

import warnings
from typing import Any

import numpy as np
import torch

from vcm_sweep.sweep.data.sets import DataSet, fingerprint

_PARTS = ("train_x", "train_y", "test_x", "test_y")
_mapped: dict[str, "SharedData"] = {}


class SharedData:
    """A data set that pickles as numpy arrays, which Ray puts into shared memory and maps without a copy.

    A process keeps the data set that it has received, so that its digest is computed only once. The received arrays are
    shared and read-only: nobody may write into them.

    Args:
        data: as :func:`vcm_sweep.sweep.data.sets.load` gives it, without a validation part.

    Example:
        >>> import pickle
        >>> from vcm_sweep.sweep.data.sets import load
        >>> shared = SharedData(load("digits"))
        >>> received = pickle.loads(pickle.dumps(shared)).data
        >>> torch.equal(received.train_x, load("digits").train_x)
        True
    """

    def __init__(self, data: DataSet) -> None:
        self.data = data

    def __reduce__(self) -> tuple[Any, ...]:
        arrays = [getattr(self.data, part).numpy() for part in _PARTS]
        return _receive, (fingerprint(self.data), self.data.classes, *arrays)


def _receive(digest: str, classes: int, *arrays: np.ndarray[Any, Any]) -> SharedData:
    """The data set that this process already has, or else one made from the received arrays."""
    if digest not in _mapped:
        with warnings.catch_warnings():
            # torch has no read-only tensors, and warns about read-only arrays.
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            parts = dict(zip(_PARTS, map(torch.from_numpy, arrays), strict=True))
        # Only one is kept, since a worker serves one study at a time.
        _mapped.clear()
        _mapped[digest] = SharedData(DataSet(**parts, classes=classes))
    return _mapped[digest]
