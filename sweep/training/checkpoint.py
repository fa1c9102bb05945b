"""Checkpoints of unfinished trainings: one file per trial, with tensors and JSON but nothing that could be executed.

A file belongs to a trial, not to a pack, so that the trials can be packed differently when they go on; with an object
store even on another machine. It is kept until its trial has a result: a trial that ended without one, by an error or
its deadline, continues from it when it is retried.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from vcm_sweep.device.torch_later import torch
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.training.trial_progress import TrialProgress

_SUFFIX = ".safetensors"
_log = logging.getLogger("vcm_sweep")


def save_checkpoint(
    folder: str | Path | Folder, key: str, tensors: Mapping[str, torch.Tensor], progress: TrialProgress
) -> None:
    """Write a trial's state. If the machine stops meanwhile, the file is either the new or the old one, never a part.

    Args:
        folder: a path, which is made if missing, or a URI that pyarrow knows.
        key: the trial's key.
        tensors: the trial's state, as ``ResumableStack.state`` gives it.
        progress: how far the trial is.
    """
    from safetensors.torch import save

    plain = json.dumps(progress.to_plain())
    content = save(dict(tensors), {"key": key, "progress": plain, "checksum": _checksum(key, plain, tensors)})
    Folder(folder).write(f"{key}{_SUFFIX}", content)


def load_checkpoint(folder: str | Path | Folder, key: str) -> tuple[dict[str, torch.Tensor], TrialProgress] | None:
    """(tensors, progress) of a trial; None if there is no file, or one that cannot be used, which is logged."""
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
    """The texts beside the tensors: a safetensors file begins with the length of its header, and that in JSON."""
    length = int.from_bytes(content[:8], "little")
    texts: dict[str, str] = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    return texts


def new_start(which: str, why: str) -> None:
    """Log, in one line, that a checkpoint cannot be used and its trial starts anew."""
    _log.warning("checkpoint %s cannot be used (%s): the trial starts anew", which, " ".join(why.split())[:200])


def discard_checkpoints(folder: str | Path | Folder, keys: Iterable[str]) -> None:
    """Remove the files of finished trials. One that cannot be removed stays, and does no harm."""
    folder = Folder(folder)
    for key in keys:
        with suppress(OSError):
            folder.delete(f"{key}{_SUFFIX}")


def tidy_checkpoints(folder: str | Path | Folder) -> None:
    """Remove half-written files of killed workers, and the folder if it is then empty; nobody may be saving meanwhile.

    An object store has neither half-written files nor empty folders, so nothing is done there.
    """
    local = Folder(folder).local
    if local is None:
        return
    with suppress(OSError):
        for leftover in local.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        local.rmdir()


def _checksum(key: str, plain: str, tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of everything that a checkpoint file contains."""
    digest = hashlib.sha256(f"{key} {plain}".encode())
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)} ".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
