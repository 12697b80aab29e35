"""Arrays in ``.npz`` files: bytes that depend on the arrays alone; files of strangers read with care. numpy only."""

from __future__ import annotations

import io
import struct
import tokenize
import warnings
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import BundleError

MAX_UNPACKED_BYTES = 256 * 2**20
# What zipfile and numpy raise on a file with arbitrary bytes changed.
DAMAGED_NPZ = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    SyntaxError,
    RuntimeError,
    MemoryError,
    OverflowError,
    struct.error,
    tokenize.TokenError,
    NotImplementedError,
    RecursionError,
    zlib.error,
    zipfile.BadZipFile,
)


def dump_npz(**arrays: NDArray[Any]) -> bytes:
    """Return a compressed ``.npz`` whose bytes depend on the arrays alone (no time stamps)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in sorted(arrays.items()):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), member.getvalue(), zipfile.ZIP_DEFLATED
            )
    return buffer.getvalue()


def load_npz(data: bytes, where: str, max_bytes: int = MAX_UNPACKED_BYTES) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz``, after checking what they unpack to.

    Raises:
        BundleError: not an npz, an object array (a pickle), or more than ``max_bytes`` when unpacked.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # numpy's of a header as Python 2 wrote it
            total = sum(info.file_size for info in archive.infolist())
            if total > max_bytes:
                raise BundleError(f"{where}: unpacks to {total} bytes, expected at most {max_bytes}")
            arrays = {}
            for info in archive.infolist():
                with archive.open(info) as member:
                    arrays[info.filename.removesuffix(".npy")] = np.lib.format.read_array(member, allow_pickle=False)
            return arrays
    except DAMAGED_NPZ as error:
        raise BundleError(f"{where}: not a readable .npz ({error}); get it again") from None
