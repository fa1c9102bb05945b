"""The data sets: scikit-learn's digits, the MNIST family, or a user's own; all trials use the same split."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from vcm_sweep.device.torch_later import torch
from vcm_sweep.sweep.data.own_data import FIELD, read_own_data
from vcm_sweep.sweep.errors import StudyError, one_line
from vcm_sweep.sweep.nearest_names import did_you_mean

CACHE = Path.home() / ".cache" / "vcm-sweep"
DATA_VARIABLE = "VCM_SWEEP_DATA"
_DIGITS_TEST = 360

# Name in a study -> torchvision's class, which is also the folder under the root.
TORCHVISION = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}
DATA_SETS = ("digits", *TORCHVISION)
# Prefix of the raw files -> torchvision's `train`.
_RAW_PARTS = {"train": True, "t10k": False}
_RAW_FILES = tuple(f"{part}-{kind}-ubyte" for part in _RAW_PARTS for kind in ("images-idx3", "labels-idx1"))


@dataclass(frozen=True, eq=False)
class DataSet:
    """Samples and labels in memory.

    Attributes:
        train_x, valid_x, test_x: (samples, ...) float32. Images are (samples, channels, height, width) in 0..1;
            a user's samples keep their own shape.
        train_y, valid_y, test_y: (samples,) int64, 0..classes-1.
        classes: largest label of the training part + 1.

    The validation part is empty until :meth:`first` holds some samples out.
    """

    train_x: torch.Tensor
    train_y: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor
    classes: int
    valid_x: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    valid_y: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))

    def first(self, train_samples: int, test_samples: int, validation_samples: int = 0) -> DataSet:
        """The first samples of each part (0: all), with the last of the training samples held out for validation.

        Raises:
            StudyError: more samples than there are, or none left to train on.

        >>> part = load("digits").first(1000, 0, validation_samples=200)
        >>> len(part.train_y), len(part.valid_y), len(part.test_y)
        (800, 200, 360)
        """
        train, test = train_samples or len(self.train_y), test_samples or len(self.test_y)
        for name, asked, there in (("train", train, len(self.train_y)), ("test", test, len(self.test_y))):
            if not 0 < asked <= there:
                raise StudyError(
                    f"[network] {name}_samples = {asked} must be at most {there}, all that this data set has; 0 is all"
                )
        if not 0 <= validation_samples < train:
            raise StudyError(
                f"[network] validation_samples = {validation_samples} must be at least 0 and below the {train} "
                "training samples, whose last ones it holds out: lower it"
            )
        fitted = train - validation_samples
        return DataSet(
            train_x=self.train_x[:fitted],
            train_y=self.train_y[:fitted],
            test_x=self.test_x[:test],
            test_y=self.test_y[:test],
            classes=self.classes,
            valid_x=self.train_x[fitted:train],
            valid_y=self.train_y[fitted:train],
        )


@lru_cache(maxsize=4)
def fingerprint(data: DataSet) -> str:
    """A digest of all samples and labels, 16 hex digits."""
    digest = hashlib.sha256()
    for part in (data.train_x, data.train_y, data.valid_x, data.valid_y, data.test_x, data.test_y):
        digest.update(f"{part.dtype} {tuple(part.shape)} ".encode())
        digest.update(part.contiguous().reshape(-1).numpy())
    return digest.hexdigest()[:16]


def is_own(name: str) -> bool:
    """Whether a data set's name is the path of a user's function."""
    return ":" in name


def load(name: str, data_dir: str | None = None) -> DataSet:
    """A data set by name; each is read once per process.

    ``digits`` comes with scikit-learn (8x8) and needs no network. ``mnist``, ``fashion_mnist`` and ``kmnist``
    (28x28) are read by torchvision from ``data_dir``, else from the folder that VCM_SWEEP_DATA names, else from a
    cache folder, into which torchvision downloads them. ``package.module:function`` is a user's own: the function
    takes nothing and returns two map-style torch datasets (train, test) of (sample, label), the same at every call.

    Raises:
        StudyError: one line; the name is unknown, or the data are missing, broken or not fit for training.

    Example:
        >>> load("digits").train_x.shape
        torch.Size([1437, 1, 8, 8])
    """
    return _load(name, (data_dir or os.environ.get(DATA_VARIABLE)) if name in TORCHVISION else None)


def is_at_hand(name: str, data_dir: str | None = None) -> bool:
    """Whether a data set is read without downloading it."""
    if name not in TORCHVISION:
        return True
    raw = Path(data_dir or os.environ.get(DATA_VARIABLE) or CACHE) / TORCHVISION[name] / "raw"
    return all((raw / file).exists() for file in _RAW_FILES)


def sample_shape(name: str) -> tuple[tuple[int, ...], int]:
    """(shape of a sample, classes) of a data set, without reading files of the MNIST family.

    >>> sample_shape("mnist")
    ((1, 28, 28), 10)
    """
    if name in TORCHVISION:
        return (1, 28, 28), 10
    data = load(name)
    return tuple(data.train_x.shape[1:]), data.classes


@lru_cache(maxsize=4)
def _load(name: str, folder: str | None) -> DataSet:
    if name == "digits":
        return _digits()
    if name in TORCHVISION:
        return _from_torchvision(TORCHVISION[name], folder)
    if is_own(name):
        return DataSet(*read_own_data(name))
    hint = did_you_mean(name, DATA_SETS)
    raise StudyError(
        f"{FIELD} = {name!r} must be one of {', '.join(map(repr, DATA_SETS))}, or your own function as "
        f"'package.module:function'{hint and f'; {hint}'}"
    )


def _digits() -> DataSet:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    # The samples are ordered by writer, so they are shuffled before the split, with a fixed seed for all trials.
    order = np.random.default_rng(0).permutation(len(labels))
    x = torch.tensor(images[order] / 16.0, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels[order], dtype=torch.int64)
    return DataSet(x[:-_DIGITS_TEST], y[:-_DIGITS_TEST], x[-_DIGITS_TEST:], y[-_DIGITS_TEST:], 10)


def _from_torchvision(kind: str, folder: str | None) -> DataSet:
    root = Path(folder) if folder else CACHE
    raw = root / kind / "raw"
    there = all((raw / name).exists() for name in _RAW_FILES)
    if not there and folder:
        missing = next(name for name in _RAW_FILES if not (raw / name).exists())
        raise StudyError(
            f"{kind} is not in {root} (looked for {kind}/raw/{missing}): give the torchvision root with "
            f"--data-dir or {DATA_VARIABLE}, or leave both out to download it"
        )
    if not there:
        _download(kind, root)
    train, test = (_read_part(kind, root, part) for part in _RAW_PARTS)
    return DataSet(*train, *test, classes=10)


def _read_part(kind: str, root: Path, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (n, 1, 28, 28) float32 in 0..1 and labels (n,) of one part."""
    import torchvision.datasets

    try:
        read = getattr(torchvision.datasets, kind)(str(root), train=_RAW_PARTS[part], download=False)
        images, labels = read.data, read.targets.to(torch.int64)
        if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1] or not len(images):
            raise ValueError(f"images {tuple(images.shape)} and labels {tuple(labels.shape)}, not n x 28 x 28 and n")
        if labels.min() < 0 or labels.max() > 9:
            raise ValueError(f"labels from {int(labels.min())} to {int(labels.max())}, not 0 to 9")
    except Exception as error:  # torchvision reads the bytes unchecked: a broken file can fail in any way
        raise StudyError(
            f"{kind} in {root} is broken: {kind}/raw/{part}-* gives {one_line(error)}: copy the files there again, or "
            f"remove them and leave out --data-dir and {DATA_VARIABLE} to download it"
        ) from None
    return images[:, None].to(torch.float32) / 255.0, labels


def _download(kind: str, root: Path) -> None:
    import torchvision.datasets

    try:
        root.mkdir(parents=True, exist_ok=True)
        getattr(torchvision.datasets, kind)(str(root), download=True)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise StudyError(
            f"{kind} could not be downloaded to {root} ({reason}): without a network give a folder that holds it "
            f'with --data-dir or {DATA_VARIABLE}, or set data = "digits" in [network]'
        ) from None
