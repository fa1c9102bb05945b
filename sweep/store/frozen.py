"""The study that a results folder holds, frozen when the folder was made.

study.toml      its text
frozen.json     what it only implies: see Study.frozen
lineage.json    digests of it and of the shorter studies that it was extended from
"""

import json
import shlex
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from vcm_sweep.sweep.errors import StoreError, StudyError
from vcm_sweep.sweep.folder import Folder, in_words, remedy
from vcm_sweep.sweep.nearest_names import nearest_names
from vcm_sweep.sweep.store.difference import difference
from vcm_sweep.sweep.study.study import Study

T = TypeVar("T")

_LARGEST = 16_000_000  # bytes of a study file
STUDY, FROZEN, LINEAGE = "study.toml", "frozen.json", "lineage.json"


def not_results(folder: Folder) -> StoreError:
    """The error of a folder that holds no study, with the one beside it or in ``runs`` that may have been meant."""
    local, near = folder.local, ""
    if local is not None:
        runs = [] if local.is_absolute() else [Path("runs")]
        with suppress(OSError):
            found = sorted(
                (file.parent for place in (local.parent, *runs) for file in place.glob(f"*/{STUDY}")),
                key=lambda path: path.stat().st_mtime,
            )
            named = {path.name.rpartition("-")[0]: path for path in found} | {path.name: path for path in found}
            named.pop("", None)
            near = "".join(f"; did you mean {named[name]}?" for name in nearest_names(local.name or ".", named))
    return StoreError(f"{folder} is no results folder (no study.toml){near or ': give the folder that run printed'}")


def read_frozen(folder: Folder) -> tuple[Study, list[str]]:
    """(study, digests of those that it was extended from) of a results folder.

    Raises:
        StoreError: it is none, or cannot be read. StudyError: its study makes no sense.
    """
    with reported(folder, "read"):
        if not folder.exists(STUDY):
            if str(folder).endswith(".toml"):
                raise StoreError(
                    f"{folder} is a study file: train it first, vcm-sweep run {shlex.quote(str(folder))}, and give the "
                    "folder that it prints"
                )
            raise not_results(folder)
        # The first version wrote no frozen.json.
        frozen = _small(folder, FROZEN, {"model_version": 1})
        lineage: list[str] = _small(folder, LINEAGE, [])
        if type(version := frozen.get("model_version")) is not int:
            raise _unusable(folder, FROZEN, f"model_version is {version!r} and no whole number")
        if not all(isinstance(digest, str) for digest in lineage):
            raise _unusable(folder, LINEAGE, "no list of digests")
        text = folder.read(STUDY, _LARGEST)
    try:
        return Study.from_text(text.decode(), frozen, f"{folder}/{STUDY}"), lineage
    except UnicodeDecodeError as error:
        raise StudyError(f"{folder}/{STUDY}: {error}") from None


def write_frozen(folder: Folder, study: Study, lineage: Collection[str]) -> None:
    """Write the files that make a folder the results folder of a study; study.toml comes last and completes it."""
    if lineage:
        folder.write(LINEAGE, json.dumps(sorted({study.digest, *lineage})).encode())
    folder.write(FROZEN, json.dumps(study.frozen).encode())
    folder.write(STUDY, study.text.encode())


def replace_frozen(folder: Folder, old: Study, new: Study, lineage: Collection[str]) -> None:
    """Put a longer version of its study into a folder.

    Args:
        lineage: digests whose parts count there, those of ``old`` and ``new`` among them.

    Raises:
        StoreError: the studies differ in more than their design.
    """
    if {**new.canonical(), "design": 0} != {**old.canonical(), "design": 0}:
        raise StoreError(
            f"{folder} holds another study ({difference(old, new)}), and only [design] can be extended: "
            "choose another --out"
        )
    # The lineage is written first, so that all parts belong to the study in the folder wherever this is cut short.
    folder.write(LINEAGE, json.dumps(sorted(lineage)).encode())
    folder.write(STUDY, new.text.encode())


@contextmanager
def reported(folder: Folder, verb: str) -> Iterator[None]:
    """Turn an OSError of the block into a StoreError of one line; ``verb``: what was done with the folder."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{folder} cannot be {verb} ({in_words(error)}): {remedy(error)}") from None


def _small(folder: Folder, name: str, default: T) -> T:
    """The content of a small JSON file in a folder; ``default`` if there is none."""
    try:
        content = folder.read_json(name)
        if not isinstance(content, type(default)):
            raise ValueError("no " + type(default).__name__)
        return content
    except FileNotFoundError:
        return default
    except (OSError, ValueError) as error:
        raise _unusable(folder, name, error) from None


def _unusable(folder: Folder, name: str, why: object) -> StoreError:
    return StoreError(f"{folder}/{name} cannot be read ({why}): restore it, or start a new folder")
