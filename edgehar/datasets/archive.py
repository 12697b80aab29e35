"""Members of a zip file, of a zip file inside it, or of a folder: read into memory, never unpacked to disk.

Only members asked for by name are read, each up to a limit that the caller states, whatever the archive claims
about its own sizes.
"""

from __future__ import annotations

import contextlib
import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from edgehar.errors import DataError

INNER_ZIP_LIMIT = 256 << 20  # bytes of a zip inside a zip
_SAFE_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile bounds the output of these two while it unpacks


class Members(Protocol):
    """Something that holds files by name."""

    def read(self, name: str, limit: int) -> bytes:
        """Return the content of ``name``, at most ``limit`` bytes."""
        ...


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str, limit: int) -> bytes:
        path = self._path / name
        try:
            with path.open("rb") as stream:
                return _bounded(stream, limit, str(path))
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror or error}); it belongs to the data set") from error


class _Zip:
    def __init__(self, archive: zipfile.ZipFile, root: str, where: str) -> None:
        self._archive, self._root, self._where = archive, root, where

    def read(self, name: str, limit: int) -> bytes:
        return _read_member(self._archive, self._root + name, limit, self._where)


def _bounded(stream: IO[bytes], limit: int, where: str) -> bytes:
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise DataError(
            f"{where} is larger than {limit} bytes, the most this file may have; it is not the official one"
        )
    return data


def _read_member(archive: zipfile.ZipFile, name: str, limit: int, where: str) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise DataError(f"{where} holds no {name!r}; it is not the official archive, or not the whole of it") from None
    if info.compress_type not in _SAFE_METHODS:
        raise DataError(f"{where}: {name!r} is compressed by method {info.compress_type}, expected stored or deflated")
    try:
        with archive.open(info) as stream:
            return _bounded(stream, limit, f"{where}: {name!r}")
    except (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{where}: {name!r} cannot be unpacked ({error}); fetch the archive again") from error


def _root_of(archive: zipfile.ZipFile, marker: str) -> str | None:
    """Return the folder inside the zip under which ``marker`` lies (the shortest one), or None."""
    roots = [n.removesuffix(marker) for n in archive.namelist() if n == marker or n.endswith("/" + marker)]
    return min(roots, key=len, default=None)


@contextlib.contextmanager
def open_members(path: Path, marker: str) -> Iterator[Members]:
    """Open a folder, a zip, or a zip that holds the zip.

    Args:
        path: the folder or zip file.
        marker: name of a file that the data set has; names passed to ``read`` are relative to the folder it lies in.

    Raises:
        DataError: ``path`` is none of these, or holds no ``marker``.
    """
    if path.is_dir():
        folders = [path, *sorted(p for p in path.iterdir() if p.is_dir())]
        for folder in folders:
            if (folder / marker).is_file():
                yield _Folder(folder)
                return
        raise DataError(f"{path} and the folders in it hold no {marker!r}; name the folder that does")
    with contextlib.ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(path))
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} cannot be opened as a zip file ({error}); fetch it again") from error
        yield _in_zip(stack, archive, marker, str(path))


def _in_zip(stack: contextlib.ExitStack, archive: zipfile.ZipFile, marker: str, where: str) -> _Zip:
    root = _root_of(archive, marker)
    if root is not None:
        return _Zip(archive, root, where)
    for name in archive.namelist():
        if not name.endswith(".zip") or name.startswith("__MACOSX/"):
            continue
        data = _read_member(archive, name, INNER_ZIP_LIMIT, where)
        try:
            inner = stack.enter_context(zipfile.ZipFile(io.BytesIO(data)))
        except zipfile.BadZipFile as error:
            raise DataError(f"{where}: {name!r} inside it is not a zip file ({error}); fetch it again") from error
        root = _root_of(inner, marker)
        if root is not None:
            return _Zip(inner, root, f"{where}: {name}")
    raise DataError(f"{where} holds no {marker!r}, nor does a zip inside it; it is not the official archive")
