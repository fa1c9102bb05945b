"""Trainings on their way: one file per trial, tensors and JSON, nothing that could be executed.

A file belongs to a trial, not to a pack, so that a pack may be cut otherwise when it goes on. It lives until its
trial has a result: a trial that ended without one, by an error or its deadline, goes on from it when it is retried.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import torch

from .progress import Progress

_SUFFIX = ".safetensors"
_log = logging.getLogger("vcm_sweep")


def save_checkpoint(folder: str | Path, key: str, tensors: Mapping[str, torch.Tensor], progress: Progress) -> None:
    """Write a trial's state; the file is whole or the old one, whenever the machine stops.

    Args:
        folder: made if missing.
        key: of the trial.
        tensors: its state. progress: where it stands.
    """
    from safetensors.torch import save

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{key}.{os.getpid()}.tmp"
    plain = json.dumps(progress.to_plain())
    content = save(dict(tensors), {"key": key, "progress": plain, "checksum": _checksum(key, plain, tensors)})
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / f"{key}{_SUFFIX}")


def load_checkpoint(folder: str | Path, key: str) -> tuple[dict[str, torch.Tensor], Progress] | None:
    """(tensors, progress) of a trial; None without a file. One that cannot be used is reported and passed over."""
    from safetensors import SafetensorError, safe_open

    path = Path(folder) / f"{key}{_SUFFIX}"
    try:
        if not path.exists():
            return None
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata["key"] != key:
            raise ValueError(f"is of trial {metadata['key']}")
        if metadata["checksum"] != _checksum(key, metadata["progress"], tensors):
            raise ValueError("its bytes have changed")
        return tensors, Progress.from_plain(json.loads(metadata["progress"]))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        new_start(str(path), str(error))
        return None


def new_start(which: str, why: str) -> None:
    """Report in one line a checkpoint that cannot be used."""
    _log.warning("checkpoint %s cannot be used (%s): the trial starts anew", which, " ".join(why.split())[:200])


def discard_checkpoints(folder: str | Path, keys: Iterable[str]) -> None:
    """Remove the files of finished trials; one that cannot be removed stays, and is not looked at again."""
    for key in keys:
        with suppress(OSError):
            (Path(folder) / f"{key}{_SUFFIX}").unlink(missing_ok=True)


def tidy_checkpoints(folder: str | Path) -> None:
    """Remove what a killed worker left half written, and the folder if nothing is left. Nobody may be saving."""
    folder = Path(folder)
    with suppress(OSError):
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        folder.rmdir()


def _checksum(key: str, plain: str, tensors: Mapping[str, torch.Tensor]) -> str:
    """Of all that a file says."""
    digest = hashlib.sha256(f"{key} {plain}".encode())
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)} ".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
