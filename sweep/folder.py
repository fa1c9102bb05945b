"""A folder of results, on a disk or under a prefix of an object store, behind one small interface.

Whatever is written is whole or not there. On a disk a file is written beside, synced and renamed; on an object store
it is one put. Nothing is ever appended to.
"""

import os
import re
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from pyarrow import NativeFile, fs

from vcm_sweep.sweep.errors import StoreError

# An object store that answers 500, or not at all, is asked again for about a minute.
_ATTEMPTS = 8
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 15.0
_PIECE = 4 << 20  # pyarrow's streams send no smaller ones
# What more attempts do not mend.
_FINAL = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)


class Folder:
    """A local folder, or a URI that pyarrow knows (``s3://bucket/prefix``, ``gs://...``).

    Args:
        where: path or URI. Credentials belong into the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
            AWS_ENDPOINT_URL for a server of one's own), never into the URI, since that is printed and kept.

    Raises:
        StoreError: a URI that cannot be used, or one with credentials in it.

    Names of files are relative, with "/" between folders. Errors of the system pass through as OSError, after an
    object store was asked several times.

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
                f"{shown}: credentials in a URI end in logs: put them into the environment (AWS_ACCESS_KEY_ID, "
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
            # A region or an endpoint after a question mark is no part of the path.
            before, mark, query = self.uri.partition("?")
            made.uri = f"{before}/{name}{mark}{query}"
        return made

    def write(self, name: str, content: "bytes | memoryview") -> None:
        """Write a file that is whole or not there; when this returns it survives a crash."""
        if self.local is not None:
            write_durably(self.local / name, content)
            return

        path = f"{self.path}/{name}"

        def put() -> None:
            # By default a file whose name ends in .gz or .zst would be compressed.
            with self.filesystem.open_output_stream(path, compression=None) as stream:
                stream.write(content)
            # A large file goes up in pieces, and a stream that fails half-way closes what it has.
            if len(content) > _PIECE and self.filesystem.get_file_info(path).size != len(content):
                raise OSError(f"{self.uri}/{name} was written in part")

        _patiently(put)

    def read(self, name: str) -> bytes:
        """The bytes of a file; FileNotFoundError without one."""

        def get() -> bytes:
            with self.filesystem.open_input_stream(f"{self.path}/{name}", compression=None) as stream:
                return bytes(stream.read())

        return get() if self.local is not None else _patiently(get)

    def open[T](self, name: str, use: Callable[[NativeFile], T]) -> T:
        """What ``use`` makes of a file that can be read in any order; FileNotFoundError without one.

        On an object store only what is asked for is fetched; ``use`` may be called again after an answer that failed.
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
        """Sorted names of the files directly in a folder of this one; none where it is not there.

        Names with a leading dot are files on their way, and left out.
        """
        return sorted(self.sizes(under, suffix))

    def sizes(self, under: str = "", suffix: str = "") -> dict[str, int]:
        """Names and bytes of the files directly in a folder of this one, as :meth:`names` gives them."""
        selector = fs.FileSelector(f"{self.path}/{under}".rstrip("/"), allow_not_found=True)
        found = self._asked(lambda: self.filesystem.get_file_info(selector))
        files = {info.base_name: int(info.size) for info in found if info.type == fs.FileType.File}
        return {name: size for name, size in files.items() if name.endswith(suffix) and not name.startswith(".")}

    def folders(self) -> list[str]:
        """Sorted names of the folders directly in this one."""
        selector = fs.FileSelector(self.path, allow_not_found=True)
        found = self._asked(lambda: self.filesystem.get_file_info(selector))
        return sorted(info.base_name for info in found if info.type == fs.FileType.Directory)

    def delete(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""
        with suppress(FileNotFoundError):
            self._asked(lambda: self.filesystem.delete_file(f"{self.path}/{name}"))

    def _info(self, name: str) -> fs.FileInfo:
        return self._asked(lambda: self.filesystem.get_file_info(f"{self.path}/{name}".rstrip("/")))

    def _asked[T](self, ask: Callable[[], T]) -> T:
        return ask() if self.local is not None else _patiently(ask)


def in_words(error: OSError) -> str:
    """Why the system, or an object store, refuses: a few words, without the path."""
    first = (str(error).splitlines() or [""])[0]
    # pyarrow: "Failed stat()ing path '...'. Detail: [errno 13] Permission denied"
    found = re.search(r"\[errno \d+\] ([^\[\]]+)$", first, re.IGNORECASE)
    return found[1] if found else error.strerror or first[:200]


def write_durably(path: Path, content: "bytes | memoryview") -> None:
    """Write beside, sync, rename, sync the folder: the file is whole or not there. The folder is made if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
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


def _patiently[T](ask: Callable[[], T]) -> T:
    """What an object store answers, after some attempts that fail."""
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
