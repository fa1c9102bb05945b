"""The data sets: real images, one split for all trials."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from .errors import StudyError

CACHE = Path.home() / ".cache" / "vcm-sweep"
DATA_VARIABLE = "VCM_SWEEP_DATA"
_DIGITS_TEST = 360


@dataclass(frozen=True)
class DataSet:
    """Images as rows of float32 in 0..1, labels as int64.

    Attributes:
        train_x, test_x: (samples, pixels) float32. train_y, test_y: (samples,) int64, 0..classes-1.
    """

    train_x: torch.Tensor
    train_y: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor
    classes: int

    def first(self, train_samples: int, test_samples: int) -> "DataSet":
        """The first samples of each part; 0 is all."""
        train, test = train_samples or len(self.train_y), test_samples or len(self.test_y)
        if train > len(self.train_y) or test > len(self.test_y):
            raise StudyError(
                f"[network] train_samples = {train} and test_samples = {test} must be at most "
                f"{len(self.train_y)} and {len(self.test_y)} of this data set"
            )
        return DataSet(self.train_x[:train], self.train_y[:train], self.test_x[:test], self.test_y[:test], self.classes)


@lru_cache(maxsize=4)
def load(name: str, data_dir: str | None = None) -> DataSet:
    """A data set by name: ``digits`` (scikit-learn, 8x8, no network) or ``mnist`` (torchvision, 28x28).

    MNIST is read from ``data_dir``, else from the folder that VCM_SWEEP_DATA names, else from a cache folder,
    into which torchvision downloads it.

    Raises:
        StudyError: an unknown name, or data that is neither there nor to be had.
    """
    if name == "digits":
        return _digits()
    if name == "mnist":
        return _mnist(data_dir or os.environ.get(DATA_VARIABLE))
    raise StudyError(f"[network] data = {name!r} must be 'digits' or 'mnist'")


def _digits() -> DataSet:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    # The file is ordered by writer; one fixed shuffle gives the split of every trial.
    order = np.random.default_rng(0).permutation(len(labels))
    x = torch.tensor(images[order] / 16.0, dtype=torch.float32)
    y = torch.tensor(labels[order], dtype=torch.int64)
    return DataSet(x[:-_DIGITS_TEST], y[:-_DIGITS_TEST], x[-_DIGITS_TEST:], y[-_DIGITS_TEST:], 10)


def _mnist(folder: str | None) -> DataSet:
    from torchvision.datasets import MNIST

    root = Path(folder) if folder else CACHE
    there = all((root / "MNIST" / "raw" / name).exists() for name in _MNIST_FILES)
    if not there and folder:
        raise StudyError(
            f"MNIST is not in {root} (looked for MNIST/raw/{_MNIST_FILES[0]}): give the torchvision root with "
            f"--data-dir or {DATA_VARIABLE}, or leave both out to download it"
        )
    if not there:
        _download(root)
    parts = [MNIST(str(root), train=train, download=False) for train in (True, False)]
    x = [part.data.reshape(len(part), -1).to(torch.float32) / 255.0 for part in parts]
    y = [part.targets.to(torch.int64) for part in parts]
    return DataSet(x[0], y[0], x[1], y[1], 10)


_MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def _download(root: Path) -> None:
    from torchvision.datasets import MNIST

    try:
        root.mkdir(parents=True, exist_ok=True)
        MNIST(str(root), download=True)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise StudyError(
            f"MNIST could not be downloaded to {root} ({reason}): without a network give a folder that holds it "
            f'with --data-dir or {DATA_VARIABLE}, or set data = "digits" in [network]'
        ) from None
