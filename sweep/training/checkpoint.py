"""Trainings on their way: one file per trial, tensors and JSON, nothing that could be executed.

A file belongs to a trial, not to a pack, so that a pack may be cut otherwise when it goes on, and in an object store
on another machine. It lives until its trial has a result: a trial that ended without one, by an error or its deadline,
goes on from it when it is retried.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import torch

from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.training.trial_progress import TrialProgress

_SUFFIX = ".safetensors"
_log = logging.getLogger("vcm_sweep")


def save_checkpoint(
    folder: str | Path | Folder, key: str, tensors: Mapping[str, torch.Tensor], progress: TrialProgress
) -> None:
    """Write a trial's state; the file is whole or the old one, whenever the machine stops.

    Args:
        folder: a path, made if missing, or a URI that pyarrow knows.
        key: of the trial.
        tensors: its state. progress: where it stands.
    """
    from safetensors.torch import save

    plain = json.dumps(progress.to_plain())
    content = save(dict(tensors), {"key": key, "progress": plain, "checksum": _checksum(key, plain, tensors)})
    Folder(folder).write(f"{key}{_SUFFIX}", content)


def load_checkpoint(folder: str | Path | Folder, key: str) -> tuple[dict[str, torch.Tensor], TrialProgress] | None:
    """(tensors, progress) of a trial; None without a file. One that cannot be used is reported and passed over."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    folder = Folder(folder)
    try:
        content = folder.read(f"{key}{_SUFFIX}")
        tensors = load(content)
        metadata = _metadata(content)
        if metadata["key"] != key:
            raise ValueError(f"is of trial {metadata['key']}")
        if metadata["checksum"] != _checksum(key, metadata["progress"], tensors):
            raise ValueError("its bytes have changed")
        return tensors, TrialProgress.from_plain(json.loads(metadata["progress"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        new_start(f"{folder}/{key}{_SUFFIX}", str(error))
        return None


def _metadata(content: bytes) -> Mapping[str, str]:
    """The texts beside the tensors: the file begins with the length of its header and the header, in JSON."""
    length = int.from_bytes(content[:8], "little")
    texts: dict[str, str] = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    return texts


def new_start(which: str, why: str) -> None:
    """Report in one line a checkpoint that cannot be used."""
    _log.warning("checkpoint %s cannot be used (%s): the trial starts anew", which, " ".join(why.split())[:200])


def discard_checkpoints(folder: str | Path | Folder, keys: Iterable[str]) -> None:
    """Remove the files of finished trials; one that cannot be removed stays, and is not looked at again."""
    folder = Folder(folder)
    for key in keys:
        with suppress(OSError):
            folder.delete(f"{key}{_SUFFIX}")


def tidy_checkpoints(folder: str | Path | Folder) -> None:
    """Remove what a killed worker left half written, and the folder if nothing is left. Nobody may be saving.

    An object store keeps neither half files nor empty folders.
    """
    local = Folder(folder).local
    if local is None:
        return
    with suppress(OSError):
        for leftover in local.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        local.rmdir()


def _checksum(key: str, plain: str, tensors: Mapping[str, torch.Tensor]) -> str:
    """Of all that a file says."""
    digest = hashlib.sha256(f"{key} {plain}".encode())
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)} ".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
