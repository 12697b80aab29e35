"""Files that are either the old version or the new one: temporary, fsync, rename.

A crash, a full disk, Ctrl-C or kill -9 at any moment leaves what was there before. numpy-free, so the device side can
use it too.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import functools
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PART = ".edgehar-part"
PARTS = re.compile(rf"\..+\.[a-z0-9_]{{8}}{re.escape(PART)}")  # .NAME.RANDOM.edgehar-part
STALE_S = 3600.0
AT_FDCWD, RENAME_EXCHANGE = -100, 2
CANNOT_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EXDEV)


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fsync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_part(path: Path) -> bool:
    """Whether this is what a process that was killed had begun to write, or one that lives is writing."""
    return PARTS.fullmatch(path.name) is not None


@functools.cache  # once a process and folder: a folder of thousands of results is not searched for each
def _remove_stale_parts(folder: Path) -> None:
    """Remove what killed processes left in a folder; what is younger than an hour may belong to one that lives."""
    with contextlib.suppress(OSError):
        for part in filter(is_part, folder.iterdir()):
            with contextlib.suppress(OSError):
                if time.time() - part.stat().st_mtime < STALE_S:
                    continue
                if part.is_dir():
                    shutil.rmtree(part)
                else:
                    part.unlink()


def _random() -> str:
    return os.urandom(4).hex()


def beside(path: Path) -> Path:
    """Return where to write what is to become ``path``: a hidden name beside it that nothing has.

    Chosen before anything is made there, inside of the ``try`` that removes it: Ctrl-C in between leaves nothing.
    """
    return path.parent / f".{path.name}.{_random()}{PART}"


def _remove_tree(path: Path) -> None:
    """Remove a folder if it is there; a first Ctrl-C in the middle waits for the rest."""
    try:
        shutil.rmtree(path, ignore_errors=True)
    except (KeyboardInterrupt, OSError):  # OSError: as rmtree closes for a second time what Ctrl-C found just closed
        shutil.rmtree(path, ignore_errors=True)
        raise KeyboardInterrupt from None


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` so that a reader sees the old file or the whole new one, never a part.

    Raises:
        OSError: the folder cannot be written or the disk is full; ``path`` is then unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale_parts(path.parent)
    temporary = beside(path)
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _fsync_directory(path.parent)


def output_file(text: str) -> Path:
    """Return the path of a file to write, as ``type`` of an argument: a folder is refused before any work is done."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder; give the name of a file")
    return path


def write_json(path: Path, data: Any) -> None:
    """Write indented JSON, atomically; NaN and infinity are refused, as JSON has none."""
    write_atomic(path, (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


@contextlib.contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside ``path``; on success it takes ``path``'s place.

    An older folder at ``path`` is exchanged for it in one step and removed last. If the block raises, the temporary
    folder is removed and ``path`` is left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale_parts(path.parent)
    temporary = beside(path)
    try:
        temporary.mkdir(mode=0o700)
        yield temporary
        for file in sorted(temporary.rglob("*")):
            if file.is_file():
                with file.open("rb") as stream:
                    os.fsync(stream.fileno())
        temporary.chmod(0o755)
        _replace_directory(temporary, path)
        _fsync_directory(path.parent)
    finally:
        _remove_tree(temporary)  # what was not finished, or the old folder


def _replace_directory(new: Path, path: Path) -> None:
    """Put ``new`` at ``path``; an older folder from there is at ``new`` afterwards, or gone."""
    if not path.exists():
        new.rename(path)
    elif not _exchanged(new, path):
        _replace_in_two_steps(new, path)


def _exchanged(one: Path, other: Path) -> bool:
    """Let two folders change places in one step; False where system or file system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in CANNOT_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(other))


def _replace_in_two_steps(new: Path, path: Path) -> None:
    """Move the old folder aside first: a process killed right then leaves it as ``.NAME.old.RANDOM/NAME``."""
    old = path.parent / f".{path.name}.old.{_random()}"
    aside = old / path.name
    try:
        old.mkdir(mode=0o700)
        path.rename(aside)
        new.rename(path)
    except BaseException:
        if aside.exists() and not path.exists():
            aside.rename(path)  # where even this fails, the old folder stays aside
        _remove_tree(old)
        raise
    _remove_tree(old)
