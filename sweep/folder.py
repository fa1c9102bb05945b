"""A folder of results, on a disk or under a prefix of an object store, behind one small interface.

A file is either there as a whole or not there at all. On a disk it is written under a temporary name, synced and
renamed; on an object store it is one put. No file is ever appended to.
"""

import errno
import os
import re
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

from pyarrow import NativeFile, fs

from vcm_sweep.sweep.errors import StoreError

T = TypeVar("T")

# If an object store answers with an error, or not at all, the request is repeated for about a minute.
_ATTEMPTS = 8
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 15.0
_PIECE = 4 << 20  # bytes: pyarrow's streams send files in pieces of at least this size
# Errors for which it is useless to try again.
_FINAL = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)


class Folder:
    """A local folder, or a URI that pyarrow knows (``s3://bucket/prefix``, ``gs://...``).

    Args:
        where: path or URI. Credentials belong in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and
            AWS_ENDPOINT_URL for a server of your own), never in the URI, which is printed and stored.

    Raises:
        StoreError: a URI that cannot be used, or one with credentials in it.

    Names of files are relative, with "/" between folders. Errors of the system are raised as OSError; with an object
    store only after several attempts.

    Example:
        >>> import tempfile
        >>> folder = Folder(tempfile.mkdtemp())
        >>> folder.write("parts/one.txt", b"1")
        >>> folder.names("parts"), folder.read("parts/one.txt")
        (['one.txt'], b'1')
    """

    def __init__(self, where: "str | Path | Folder") -> None:
        self.local: Path | None = None
        self.filesystem: fs.FileSystem
        self.path: str
        self.uri: str
        if isinstance(where, Folder):
            self.filesystem, self.path, self.uri, self.local = where.filesystem, where.path, where.uri, where.local
            return
        if where == "":
            raise StoreError("'' is no results folder: give a path, or a URI such as s3://bucket/name")
        if isinstance(where, Path) or "://" not in where:
            self.local = Path(where)
            self.uri = str(where)
            self.filesystem, self.path = fs.LocalFileSystem(), str(self.local.absolute())
            return
        parts = urlsplit(where)
        if parts.username or parts.password:
            shown = urlunsplit((parts.scheme, parts.hostname or "", parts.path, "", ""))
            raise StoreError(
                f"{shown}: credentials in a URI end up in logs: put them into the environment (AWS_ACCESS_KEY_ID, "
                "AWS_SECRET_ACCESS_KEY) and leave them out here"
            )
        try:
            self.filesystem, path = fs.FileSystem.from_uri(where)
        except (OSError, ValueError, NotImplementedError) as error:
            first = (str(error).splitlines() or [""])[0]
            raise StoreError(
                f"{where} cannot be used ({first}): give a path, or a URI such as s3://bucket/name"
            ) from None
        if not path.strip("/"):
            raise StoreError(f"{where} names no bucket: give a path, or a URI such as s3://bucket/name")
        before, mark, query = where.partition("?")
        self.path, self.uri = path.rstrip("/"), f"{before.rstrip('/')}{mark}{query}"

    def __str__(self) -> str:
        """Path or URI, as it was given."""
        return self.uri

    def __truediv__(self, name: str) -> "Folder":
        """A folder in this one."""
        made = Folder(self)
        made.path, made.uri = f"{self.path}/{name}", f"{self.uri}/{name}"
        if self.local is not None:
            made.local = self.local / name
        else:
            # What follows a question mark (region, endpoint) is not part of the path and stays at the end.
            before, mark, query = self.uri.partition("?")
            made.uri = f"{before}/{name}{mark}{query}"
        return made

    def write(self, name: str, content: "bytes | memoryview") -> None:
        """Write a file, as a whole or not at all; once this returns, the file survives a crash."""
        if self.local is not None:
            write_durably(self.local / name, content)
            return

        path = f"{self.path}/{name}"

        def put() -> None:
            # Without ``compression=None`` a file whose name ends in .gz or .zst would be compressed.
            with self.filesystem.open_output_stream(path, compression=None) as stream:
                stream.write(content)
            # A large file is sent in pieces, and a stream that fails half-way completes the file with what it has.
            if len(content) > _PIECE and self.filesystem.get_file_info(path).size != len(content):
                raise OSError(f"{self.uri}/{name} was written in part")

        _patiently(put)

    def read(self, name: str) -> bytes:
        """The bytes of a file; FileNotFoundError if there is none."""

        def get() -> bytes:
            with self.filesystem.open_input_stream(f"{self.path}/{name}", compression=None) as stream:
                return bytes(stream.read())

        return get() if self.local is not None else _patiently(get)

    def open(self, name: str, use: Callable[[NativeFile], T]) -> T:
        """The result of ``use``, called with an open file in which it can seek; FileNotFoundError if there is none.

        On an object store only the parts that ``use`` reads are fetched. If a request fails, ``use`` is called again.
        """

        def get() -> T:
            with self.filesystem.open_input_file(f"{self.path}/{name}") as file:
                return use(file)

        return self._asked(get)

    def exists(self, name: str = "") -> bool:
        """Whether there is a file or folder of this name."""
        info = self._info(name)
        return bool(info.type != fs.FileType.NotFound)

    def names(self, under: str = "", suffix: str = "") -> list[str]:
        """Sorted names of the files directly in a folder of this one; none if the folder does not exist.

        Names with a leading dot are files that are still being written, and are left out.
        """
        return sorted(self.sizes(under, suffix))

    def sizes(self, under: str = "", suffix: str = "") -> dict[str, int]:
        """Size in bytes of the files that :meth:`names` lists, by name."""
        selector = fs.FileSelector(f"{self.path}/{under}".rstrip("/"), allow_not_found=True)
        found = self._asked(lambda: self.filesystem.get_file_info(selector))
        files = {info.base_name: int(info.size) for info in found if info.type == fs.FileType.File}
        return {name: size for name, size in files.items() if name.endswith(suffix) and not name.startswith(".")}

    def folders(self) -> list[str]:
        """Sorted names of the folders directly in this one."""
        selector = fs.FileSelector(self.path, allow_not_found=True)
        found = self._asked(lambda: self.filesystem.get_file_info(selector))
        return sorted(info.base_name for info in found if info.type == fs.FileType.Directory)

    def touch(self, name: str) -> None:
        """Set the time of a file on a disk to now, which works where the disk is full; OSError if it is not there."""
        if self.local is not None:
            os.utime(self.local / name)

    def touched(self, name: str) -> float:
        """When a file on a disk was written or touched, in seconds of the epoch; 0 if it is not there or elsewhere."""
        with suppress(OSError):
            return (self.local / name).stat().st_mtime if self.local is not None else 0.0
        return 0.0

    def delete(self, name: str) -> None:
        """Remove a file; it is not an error if there is none."""
        with suppress(FileNotFoundError):
            self._asked(lambda: self.filesystem.delete_file(f"{self.path}/{name}"))

    def _info(self, name: str) -> fs.FileInfo:
        return self._asked(lambda: self.filesystem.get_file_info(f"{self.path}/{name}".rstrip("/")))

    def _asked(self, ask: Callable[[], T]) -> T:
        return ask() if self.local is not None else _patiently(ask)


def in_words(error: OSError) -> str:
    """Why the system or an object store refused, in a few words without the path."""
    first = (str(error).splitlines() or [""])[0]
    # pyarrow: "Failed stat()ing path '...'. Detail: [errno 13] Permission denied"
    found = re.search(r"\[errno \d+\] ([^\[\]]+)$", first, re.IGNORECASE)
    return found[1] if found else error.strerror or first[:200]


def remedy(error: OSError) -> str:
    """What helps against an error of the system, to follow a colon: room, another place, or rights.

    >>> remedy(OSError(28, "No space left on device"))
    'free space there, or choose another --out'
    """
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "free space there, or choose another --out"
        case errno.EROFS | errno.ENOENT | errno.ENOTDIR:
            return "choose another --out"
        case errno.ENAMETOOLONG:
            return "choose a shorter --out"
    return "give yourself the rights, or choose another --out"


def write_durably(path: Path, content: "bytes | memoryview") -> None:
    """Write a file as a whole or not at all, so that it survives a crash; its folder is made if it is missing.

    The folder above that one must be there: what somebody has deleted is not made anew, a piece of it at a time.
    The content goes to a temporary file beside it, which is synced and renamed; then the folder is synced.
    """
    path.parent.mkdir(exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _patiently(ask: Callable[[], T]) -> T:
    """The answer of an object store; failed requests are repeated several times."""
    wait = _FIRST_WAIT_S
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return ask()
        except _FINAL:
            raise
        except OSError as error:
            if attempt == _ATTEMPTS or "NO_SUCH_BUCKET" in str(error):
                raise
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_S)
    raise AssertionError("unreachable")
