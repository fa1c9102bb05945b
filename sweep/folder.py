"""A folder of results, on a disk or under a prefix of an object store, behind one small interface.

A file is either there as a whole or not there at all. On a disk it is written under a temporary name, synced and
renamed; on an object store it is one put. No file is ever appended to.
"""

import errno
import os
import re
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from pyarrow import NativeFile, fs

from vcm_sweep.sweep.errors import StoreError, has_credentials, without_credentials
from vcm_sweep.sweep.foreign import parse_json

T = TypeVar("T")

# If an object store answers with an error, or not at all, the request is repeated for about a minute.
_ATTEMPTS = 8
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 15.0
_LARGEST_JSON = 16_000_000  # bytes
_DEEPEST = 20  # folders in one another
_PIECE = 4 << 20  # bytes: pyarrow's streams send files in pieces of at least this size
# Errors for which it is useless to try again.
_FINAL = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)


class Folder:
    """A local folder, or a URI that pyarrow knows (``s3://bucket/prefix``, ``gs://...``).

    Args:
        where: path or URI. Credentials belong in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and
            AWS_ENDPOINT_URL for a server of your own), never in the URI, which is printed and stored.
        links: whether links in a folder on a disk are followed, as in one's own; a link that others may have put there
            leads anywhere: it is in no list then, and where it would be read or written a StoreError.

    Raises:
        StoreError: a URI that cannot be used, or one with credentials in it.

    Names of files are relative, with "/" between folders; on a disk only regular files are files. Errors of the system
    are raised as OSError; with an object store only after several attempts.

    Example:
        >>> import tempfile
        >>> folder = Folder(tempfile.mkdtemp())
        >>> folder.write("parts/one.txt", b"1")
        >>> folder.names("parts"), folder.read("parts/one.txt")
        (['one.txt'], b'1')
    """

    def __init__(self, where: "str | Path | Folder", links: bool = True) -> None:
        self.links = links
        self.local: Path | None = None
        self.filesystem: fs.FileSystem
        self.path: str
        self.uri: str
        if isinstance(where, Folder):
            self.filesystem, self.path, self.uri, self.local = where.filesystem, where.path, where.uri, where.local
            self.links = links and where.links
            return
        if where == "":
            raise StoreError("'' is no results folder: give a path, or a URI such as s3://bucket/name")
        if isinstance(where, Path) or "://" not in where:
            self.local = Path(where)
            self.uri = str(where)
            self.filesystem, self.path = fs.LocalFileSystem(), str(self.local.absolute())
            return
        if where.startswith(("http://", "https://")):
            raise StoreError(
                f"{without_credentials(where)} is an address; status, logs, stop and fetch take that of a study's "
                "page, other commands a folder, such as fetch makes, or a URI such as s3://bucket/name"
            )
        if has_credentials(where):
            raise StoreError(
                f"{without_credentials(where)}: credentials in a URI end up in logs: put them into the environment "
                "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) and leave them out here"
            )
        try:
            self.filesystem, path = fs.FileSystem.from_uri(where)
        except (OSError, ValueError, NotImplementedError) as error:
            first = (str(error).splitlines() or [""])[0]
            raise StoreError(
                f"{where} cannot be used ({first}): give a path, or a URI such as s3://bucket/name"
            ) from None
        if isinstance(self.filesystem, fs.LocalFileSystem):
            self.local, self.uri, self.path = Path(path), path, path
            return
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
            above = name.rpartition("/")[0]
            if above:
                with self._at(above) as (at, path), suppress(FileExistsError):
                    os.mkdir(path, dir_fd=at)
            with self._at(name) as (at, path):
                write_durably(Path(path), content, at)
            return

        where = f"{self.path}/{name}"

        def put() -> None:
            # Without ``compression=None`` a file whose name ends in .gz or .zst would be compressed.
            with self.filesystem.open_output_stream(where, compression=None) as stream:
                stream.write(content)
            # A large file is sent in pieces, and a stream that fails half-way completes the file with what it has.
            if len(content) > _PIECE and self.filesystem.get_file_info(where).size != len(content):
                raise OSError(f"{self.uri}/{name} was written in part")

        _patiently(put)

    def read(self, name: str, most: int | None = None) -> bytes:
        """The bytes of a file; FileNotFoundError if there is none, OSError if it has more than ``most``."""

        def get(file: NativeFile) -> bytes:
            size = file.size()
            if most is not None and size > most:
                raise OSError(errno.EFBIG, f"{name} has {size:,} bytes, and at most {most:,} are read", name)
            return bytes(file.read())

        return self._used(name, get)

    def read_json(self, name: str, most: int = _LARGEST_JSON) -> Any:
        """The values of a JSON file; ValueError as ``parse_json``, OSError as :meth:`read`."""
        return parse_json(self.read(name, most))

    def open(self, name: str, use: Callable[[NativeFile], T]) -> T:
        """The result of ``use``, called with an open file in which it can seek; FileNotFoundError if there is none.

        On an object store only the parts that ``use`` reads are fetched. If a request fails, ``use`` is called again.
        """
        return self._used(name, use)

    def _used(self, name: str, use: Callable[[NativeFile], T]) -> T:
        def get() -> T:
            with self.filesystem.open_input_file(f"{self.path}/{name}") as file:
                return use(file)

        if self.local is None:
            return _patiently(get)
        with self.stream(name) as own, self.filesystem.open_input_file(f"/dev/fd/{own.fileno()}") as file:
            return use(file)

    def stream(self, name: str) -> BinaryIO:
        """A regular file on a disk, open: what stands in its place later is not what is read.

        FileNotFoundError if there is none, OSError for what is no file, StoreError for a link that is not followed.
        """
        # A pipe or a device is not waited for, however it came there.
        with self._opened(name, os.O_RDONLY | os.O_NONBLOCK) as own:
            if not stat.S_ISREG(os.fstat(own).st_mode):
                raise OSError(errno.EINVAL, f"{name} is no regular file", name)
            return os.fdopen(os.dup(own), "rb")

    def exists(self, name: str = "") -> bool:
        """Whether there is a file or folder of this name."""
        if self.local is not None:
            return self._stat(name) is not None
        info = _patiently(lambda: self.filesystem.get_file_info(f"{self.path}/{name}".rstrip("/")))
        return bool(info.type != fs.FileType.NotFound)

    def is_file(self, name: str) -> bool:
        """Whether there is a file of this name on a disk."""
        found = self._stat(name)
        return found is not None and stat.S_ISREG(found.st_mode)

    def names(self, under: str = "", suffix: str = "") -> list[str]:
        """Sorted names of the files directly in a folder of this one; none if the folder does not exist.

        Names with a leading dot are files that are still being written, and are left out, as is a name that is no text.
        """
        return sorted(self.sizes(under, suffix))

    def sizes(self, under: str = "", suffix: str = "") -> dict[str, int]:
        """Size in bytes of the files that :meth:`names` lists, by name."""
        files = self._files(under) if self.local is not None else self._objects(under)
        return {name: size for name, size in files.items() if name.endswith(suffix) and not name.startswith(".")}

    def folders(self) -> list[str]:
        """Sorted names of the folders directly in this one."""
        selector = fs.FileSelector(self.path, allow_not_found=True)
        asked = partial(self.filesystem.get_file_info, selector)
        found = asked() if self.local is not None else _patiently(asked)
        return sorted(info.base_name for info in found if info.type == fs.FileType.Directory)

    def tree(self) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
        """Path from here and entry of all that is in a folder on a disk, 20 folders deep; no link is followed."""
        waiting = [""]
        while waiting:
            under = waiting.pop()
            with os.scandir(f"{self.path}/{under}") as entries:
                found = sorted(filter(_is_text, entries), key=lambda entry: entry.name)
            yield from ((f"{under}{entry.name}", entry) for entry in found)
            if under.count("/") < _DEEPEST:
                deeper = [f"{under}{entry.name}/" for entry in found if entry.is_dir(follow_symlinks=False)]
                waiting += reversed(deeper)

    def refuse_links(self) -> None:
        """StoreError where a link is in a folder on a disk, since what is written there would be written elsewhere."""
        for name, entry in self.tree():
            if entry.is_symlink():
                raise StoreError(_link(f"{self}/{name}"))

    def touch(self, name: str) -> None:
        """Set the time of a file on a disk to now, which works where the disk is full; OSError if it is not there."""
        if self.local is not None:
            with self._at(name) as (at, path):
                os.utime(path, dir_fd=at, follow_symlinks=self.links)

    def touched(self, name: str) -> float:
        """When a file on a disk was written or touched, in seconds of the epoch; 0 if it is not there or elsewhere."""
        with suppress(OSError):
            found = self._stat(name) if self.local is not None else None
            return found.st_mtime if found is not None else 0.0
        return 0.0

    def delete(self, name: str) -> None:
        """Remove a file; it is not an error if there is none."""
        with suppress(FileNotFoundError):
            if self.local is None:
                _patiently(lambda: self.filesystem.delete_file(f"{self.path}/{name}"))
                return
            with self._at(name) as (at, path):
                os.unlink(path, dir_fd=at)

    @contextmanager
    def _at(self, name: str) -> Iterator[tuple[int | None, str]]:
        """(an open folder, a path from there) of a file on a disk, with no link on the way where none is followed."""
        if self.links:
            yield None, f"{self.path}/{name}".rstrip("/")
            return
        *folders, last = (name or ".").split("/")
        at = self._open("", os.O_DIRECTORY, None, self.path)
        try:
            for folder in folders:
                at, above = self._open(name, os.O_DIRECTORY, at, folder), at
                os.close(above)
            yield at, last
        finally:
            os.close(at)

    @contextmanager
    def _opened(self, name: str, flags: int) -> Iterator[int]:
        with self._at(name) as (at, path):
            own = self._open(name, flags, at, path)
        try:
            yield own
        finally:
            os.close(own)

    def _open(self, name: str, flags: int, at: int | None, path: str) -> int:
        """What is on the way to a file, open; StoreError where it is a link and none is followed."""
        try:
            return os.open(path, flags if self.links else flags | os.O_NOFOLLOW, dir_fd=at)
        except OSError as error:
            # The system says of a link that it is no folder, or one of too many.
            if not self.links and error.errno in (errno.ELOOP, errno.ENOTDIR):
                with suppress(OSError):
                    os.readlink(path, dir_fd=at)
                    raise StoreError(_link(f"{self}/{name}".rstrip("/"))) from None
            raise

    def _stat(self, name: str) -> os.stat_result | None:
        """What the system says of a file or folder; None if it is not there, or is a link that is not followed."""
        try:
            with self._at(name) as (at, path):
                found = os.stat(path, dir_fd=at, follow_symlinks=self.links)
        except (FileNotFoundError, NotADirectoryError, StoreError):
            return None
        return None if stat.S_ISLNK(found.st_mode) else found

    def _files(self, under: str) -> dict[str, int]:
        try:
            with self._opened(under, os.O_RDONLY | os.O_DIRECTORY) as own, os.scandir(own) as entries:
                found = {}
                for entry in entries:
                    with suppress(FileNotFoundError):  # deleted meanwhile
                        if entry.is_file(follow_symlinks=self.links) and _is_text(entry):
                            found[entry.name] = entry.stat().st_size
                return found
        except FileNotFoundError:
            return {}

    def _objects(self, under: str) -> dict[str, int]:
        selector = fs.FileSelector(f"{self.path}/{under}".rstrip("/"), allow_not_found=True)
        found = _patiently(lambda: self.filesystem.get_file_info(selector))
        return {info.base_name: int(info.size) for info in found if info.type == fs.FileType.File}


def in_words(error: OSError) -> str:
    """Why the system or an object store refused, in a few words without the path."""
    if error.filename is not None and error.strerror:
        return error.strerror
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


def write_durably(path: Path, content: "bytes | memoryview", at: int | None = None) -> None:
    """Write a file as a whole or not at all, so that it survives a crash; its folder is made if it is missing.

    The folder above that one must be there: what somebody has deleted is not made anew, a piece of it at a time.
    The content goes to a temporary file beside it, which is synced and renamed; then the folder is synced.
    ``at``: an open folder that the path starts from.
    """
    with suppress(FileExistsError):
        os.mkdir(path.parent, dir_fd=at)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        new = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=at)
        with open(new, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path, src_dir_fd=at, dst_dir_fd=at)
    except OSError:
        with suppress(OSError):
            os.unlink(beside, dir_fd=at)
        raise
    folder = os.open(path.parent, os.O_RDONLY, dir_fd=at)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _link(where: str) -> str:
    return f"{where} is a link, which may lead anywhere and is not followed here: put what it leads to in its place"


def _is_text(entry: "os.DirEntry[str]") -> bool:
    """Whether a name can be written elsewhere; on a disk it may be any bytes."""
    try:
        return bool(entry.name.encode())
    except UnicodeEncodeError:
        return False


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
