"""A user's own data: two map-style torch datasets, read into tensors and checked item by item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vcm_sweep.device.torch_later import torch
from vcm_sweep.sweep.errors import StudyError, one_line
from vcm_sweep.sweep.user_code import load_attribute

MAX_GB = 10.0
MAX_CLASSES = 100_000
FIELD = "[network] data"


def read_own_data(path: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, int]:
    """(train_x, train_y, test_x, test_y, classes) of the function that ``path`` names, read once and checked.

    Raises:
        StudyError: one line that names the item and what to change.
    """
    where = f"{FIELD} = {path!r}"
    function = load_attribute(path, FIELD)
    if not callable(function):
        raise StudyError(f"{where} is a {_kind(function)}: name a function that returns (train, test)")
    try:
        parts = function()
    except (Exception, SystemExit) as error:
        raise StudyError(f"{where}: calling it failed with {one_line(error)}") from None
    if not isinstance(parts, (tuple, list)) or len(parts) != 2:
        found = f"{len(parts)} values" if isinstance(parts, (tuple, list)) else f"a {_kind(parts)}"
        raise StudyError(f"{where} returned {found}: return two datasets, (train, test)")
    (train_x, train_y), (test_x, test_y) = _read_own(where, parts)
    classes = int(train_y.max()) + 1
    if classes < 2:
        raise StudyError(f"{where}: all labels of train are 0: number the classes 0, 1, ..., at least two of them")
    if int(test_y.max()) >= classes:
        raise StudyError(
            f"{where}: test has the label {int(test_y.max())}, but the largest of train is {classes - 1}: give every "
            "class samples to train on"
        )
    return train_x, train_y, test_x, test_y, classes


def _read_own(where: str, parts: Sequence[Any]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Samples and labels of both parts, all samples of one shape and type."""
    samples = sum(_length(where, part, dataset) for part, dataset in zip(("train", "test"), parts, strict=True))
    first: torch.Tensor | None = None
    read = []
    for part, dataset in zip(("train", "test"), parts, strict=True):
        for index in range(len(dataset)):
            item = f"{where}: sample {index} of {part}"
            x, label = _item(item, dataset, index)
            if first is None:
                first = x
                gigabytes = samples * x.numel() * 4 / 1e9
                if gigabytes > MAX_GB:
                    raise StudyError(
                        f"{where}: {samples} samples of shape {tuple(x.shape)} take {gigabytes:.1f} GB in memory, "
                        f"at most {MAX_GB:g} are allowed: return fewer or smaller ones"
                    )
            if x.shape != first.shape or x.dtype != first.dtype:
                raise StudyError(
                    f"{item} is {_shape(x)}, the first of train {_shape(first)}: give all samples one shape and type"
                )
            if index == 0:
                xs = torch.empty(len(dataset), *first.shape)
                ys = torch.empty(len(dataset), dtype=torch.int64)
            xs[index], ys[index] = x, label
            if not bool(torch.isfinite(xs[index]).all()):
                raise StudyError(f"{item} has NaN or infinite values (in float32): remove or replace them")
        if first is not None and first.dtype == torch.uint8:
            xs /= 255.0
        read.append((xs, ys))
    return read


def _length(where: str, part: str, dataset: Any) -> int:
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise StudyError(f"{where}: {part} is a {_kind(dataset)}: return a map-style dataset, with len() and [index]")
    try:
        length = len(dataset)
    except (Exception, SystemExit) as error:
        raise StudyError(f"{where}: len() of {part} failed with {one_line(error)}") from None
    if not length:
        raise StudyError(f"{where}: {part} is empty: give it at least one sample")
    return length


def _item(item: str, dataset: Any, index: int) -> tuple[torch.Tensor, int]:
    """One sample, of floating-point or uint8 numbers, and its label."""
    try:
        pair = dataset[index]
    except (Exception, SystemExit) as error:
        raise StudyError(f"{item}: reading it failed with {one_line(error)}") from None
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise StudyError(f"{item} is a {_kind(pair)}: each item must be a pair (sample, label)")
    values, label = pair
    if not isinstance(values, (torch.Tensor, np.ndarray)):
        raise StudyError(f"{item} is a {_kind(values)}: make it a tensor, as torchvision's ToTensor() does")
    if isinstance(values, torch.Tensor) and values.layout != torch.strided:
        raise StudyError(f"{item} is a sparse tensor: make it dense, with to_dense()")
    try:
        # ``np.array`` copies, since torch has no tensors with negative strides, which views in numpy may have.
        x = values.detach() if isinstance(values, torch.Tensor) else torch.from_numpy(np.array(values, order="C"))
    except (TypeError, ValueError) as error:
        raise StudyError(f"{item} cannot be made a tensor ({one_line(error)}): make it float32") from None
    if not (x.is_floating_point() or x.dtype == torch.uint8):
        raise StudyError(f"{item} is {_shape(x)}: make it floating-point, or uint8 from 0 to 255")
    if x.dim() == 0 or x.numel() == 0:
        raise StudyError(f"{item} is {_shape(x)}: a sample needs an axis and at least one value")
    if isinstance(label, (torch.Tensor, np.ndarray, np.generic)):
        label = label.tolist()
    if not isinstance(label, (int, float)) or not 0 <= label < MAX_CLASSES or label != int(label):
        raise StudyError(f"{item} has the label {_brief(label)}: labels are whole numbers from 0 to {MAX_CLASSES - 1}")
    return x, int(label)


def _kind(value: Any) -> str:
    return type(value).__name__


def _shape(x: torch.Tensor) -> str:
    return f"{x.dtype} of shape {tuple(x.shape)}".removeprefix("torch.")


def _brief(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
