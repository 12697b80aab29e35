"""Counts of basic blocks, filled by a hook in C (``runtime/block_counter.c``) that the emulator calls."""

from __future__ import annotations

import ctypes
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.c_compiler import find_compiler, shared_library
from edgehar.errors import EngineError, MissingExtraError

SOURCE = "block_counter.c"


class _Fields(ctypes.Structure):
    _fields_ = (
        ("base", ctypes.c_uint64),
        ("slots", ctypes.c_uint64),
        ("owner", ctypes.c_void_p),
        ("counts", ctypes.c_void_p),
        ("taken", ctypes.c_void_p),
        ("sizes", ctypes.c_void_p),
        ("region", ctypes.c_int64),
        ("last", ctypes.c_int64),
        ("next", ctypes.c_uint64),
        ("outside", ctypes.c_uint64),
        ("split", ctypes.c_uint64),
    )


class BlockCounter:
    """How often each block ran on behalf of each region. A slot is a halfword of code at which a block can begin.

    Args:
        base: address of the code.
        slots: halfwords of code.
        owner: ``[slots]`` int16 region that code belongs to, -1: it belongs to whatever called it.
        regions: how many there are; counting begins in region 0.

    Attributes:
        counts: ``[regions, slots]`` uint64.
        taken: ``[regions, slots]`` uint64 how often the block was not followed by the one after it.
        sizes: ``[slots]`` uint32 bytes of a block, 0 where none began.
    """

    def __init__(self, base: int, slots: int, owner: NDArray[np.int16], regions: int) -> None:
        self.counts = np.zeros((regions, slots), np.uint64)
        self.taken = np.zeros((regions, slots), np.uint64)
        self.sizes = np.zeros(slots, np.uint32)
        self._owner = np.ascontiguousarray(owner, np.int16)
        arrays = (self._owner, self.counts, self.taken, self.sizes)
        self._fields = _Fields(base, slots, *(a.ctypes.data for a in arrays), 0, -1, 0, 0, 0)
        self._hook = _library().count_block

    def attach(self, engine: Any) -> None:
        """Let a ``unicorn.Uc`` call the hook before every block.

        Raises:
            EngineError: this version of Unicorn cannot take it.
        """
        try:
            from unicorn.unicorn_py3 import unicorn

            handle = ctypes.c_size_t()
            hook = ctypes.cast(self._hook, ctypes.c_void_p)
            # the binding's own hook_add takes Python functions alone
            status = unicorn.uclib.uc_hook_add(
                engine._uch, ctypes.byref(handle), unicorn.uc.UC_HOOK_BLOCK, hook, ctypes.byref(self._fields), 1, 0
            )
        except (ImportError, AttributeError) as error:
            raise EngineError(f"this Unicorn takes no native hook ({error}); install unicorn>=2.1.3,<2.2") from None
        if status != 0:
            raise EngineError(f"Unicorn refuses the block counter (error {status})")

    def begin(self, region: int = 0) -> None:
        """Call before the program counter is set anew: what runs next is no jump, and belongs to ``region``."""
        self._fields.last = -1
        self._fields.region = region

    def check(self) -> None:
        """See that every block was counted once.

        Raises:
            EngineError: code ran outside of the image, or a block changed its length.
        """
        if self._fields.outside or self._fields.split:
            raise EngineError(
                f"{self._fields.outside} blocks ran outside of the image's code and {self._fields.split} changed "
                "their length, expected none; the counts would be wrong"
            )

    def clear(self) -> None:
        """Forget all counts."""
        for array in (self.counts, self.taken, self.sizes):
            array[:] = 0
        self._fields.outside = self._fields.split = 0


def _library() -> ctypes.CDLL:
    compiler = find_compiler()
    if compiler is None:
        raise MissingExtraError("ziglang", "firmware", "counting instructions")
    source = resources.files(__package__).joinpath("runtime", SOURCE).read_bytes()
    path: Path = shared_library(compiler, {SOURCE: source})
    return ctypes.CDLL(str(path))
