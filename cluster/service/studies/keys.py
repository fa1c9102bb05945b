"""Idempotency keys: a click that is sent twice starts one study."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from vcm_sweep.cluster.service.problems import ConflictError, ServiceError
from vcm_sweep.sweep.folder import write_durably

_LONGEST = 200


@dataclass(frozen=True)
class Started:
    """A study that a key was used for; ``run``: whether its run was started."""

    study: str
    run: bool = False


class Keys:
    """A file per key, since a server that is killed has to know them afterwards.

    Args:
        folder: of the files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str, study: str) -> Started | None:
        """What a key has started; None for "" and for one that is new.

        Raises:
            ServiceError: the key is too long. ConflictError: it was used for another study.
        """
        if len(key) > _LONGEST:
            raise ServiceError(f"Idempotency-Key has {len(key)} characters, and at most {_LONGEST} are taken")
        try:
            before = Started(**json.loads(self._file(key).read_text(encoding="utf-8"))) if key else None
        except (FileNotFoundError, ValueError, TypeError):
            return None
        if before is not None and before.study != study:
            raise ConflictError(
                f"Idempotency-Key {key!r} has started {before.study}, and this study is {study}: send a new key"
            )
        return before

    def put(self, key: str, started: Started) -> None:
        """Note what a key stands for."""
        if key:
            write_durably(self._file(key), json.dumps(asdict(started)).encode())

    def _file(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:32]}.json"
