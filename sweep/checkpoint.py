"""Trainings on their way: one file per trial, tensors and JSON, nothing that could be executed.

A file belongs to a trial, not to a pack, so that a pack may be cut otherwise when it goes on.
"""

import json
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

_SUFFIX = ".safetensors"
_log = logging.getLogger("vcm_sweep")


def save_checkpoint(
    folder: str | Path, key: str, tensors: Mapping[str, torch.Tensor], progress: Mapping[str, Any]
) -> None:
    """Write a trial's state; the file is whole or the old one, whenever the machine stops.

    Args:
        folder: made if missing.
        key: of the trial.
        tensors: its state. progress: plain JSON types, NaN included.
    """
    from safetensors.torch import save

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{key}.{os.getpid()}.tmp"
    with open(temporary, "wb") as file:
        file.write(save(dict(tensors), {"key": key, "progress": json.dumps(progress)}))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / f"{key}{_SUFFIX}")


def load_checkpoint(folder: str | Path, key: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """(tensors, progress) of a trial; None without a file. One that cannot be read is reported and passed over."""
    from safetensors import SafetensorError, safe_open

    path = Path(folder) / f"{key}{_SUFFIX}"
    if not path.exists():
        return None
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata["key"] != key:
                raise ValueError(f"is of trial {metadata['key']}")
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(metadata["progress"])  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        _log.warning(
            "checkpoint %s cannot be used (%s): the trial starts anew", path, " ".join(str(error).split())[:200]
        )
        return None


def discard_checkpoints(folder: str | Path, keys: Iterable[str]) -> None:
    """Remove the files of finished trials, and the folder with the last one."""
    folder = Path(folder)
    if not folder.is_dir():
        return
    for key in keys:
        (folder / f"{key}{_SUFFIX}").unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
