"""The SHA-256 that each data file must have, out of ``checksums.txt``."""

from __future__ import annotations

from pathlib import Path

from edgehar.errors import DataError
from edgehar.files import sha256_file

_REGISTRY = Path(__file__).with_name("checksums.txt")


def known_sha256(name: str) -> str:
    """Return the 64 hex digits recorded for the file called ``name``.

    Raises:
        KeyError: ``checksums.txt`` has no line for it.
    """
    lines = (line.split() for line in _REGISTRY.read_text(encoding="utf-8").splitlines())
    return {fields[0]: fields[1] for fields in lines if fields and not fields[0].startswith("#")}[name]


def check_sha256(path: Path, expected: str, remedy: str) -> None:
    """Make sure that a file is the one it should be.

    Args:
        path: the file.
        expected: 64 hex digits.
        remedy: what the reader of the error can do about it.

    Raises:
        DataError: it differs or cannot be read.
    """
    try:
        found = sha256_file(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); {remedy}") from error
    if found != expected.lower():
        raise DataError(f"{path} has SHA-256 {found}, expected {expected.lower()}; {remedy}")
