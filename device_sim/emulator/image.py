"""What an ELF image holds: bytes to load, functions, symbols, and how much flash and RAM it takes."""

from __future__ import annotations

import bisect
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgehar.errors import EngineError, MissingExtraError

CODE = ".text"
STACK = ".stack"  # its size is a choice of the linker script, not a need; what is used of it is measured
SHF_ALLOC = 2


@dataclass(frozen=True)
class Function:
    """Code of one symbol; ``address`` without the Thumb bit."""

    name: str
    address: int
    size: int


@dataclass(frozen=True, eq=False)
class Image:
    """A linked program.

    Attributes:
        path: the ELF file.
        segments: bytes by load address.
        functions: by address; of several names for one place, one.
        symbols: addresses by name, without the Thumb bit.
        code: address and bytes of ``.text``.
        flash_bytes: of code, constants, vectors and first values of variables.
        ram_bytes: of variables, without the stack.
    """

    path: Path
    segments: Mapping[int, bytes]
    functions: tuple[Function, ...]
    symbols: Mapping[str, int]
    code: tuple[int, bytes]
    flash_bytes: int
    ram_bytes: int

    def symbol(self, name: str) -> int:
        """Return an address.

        Raises:
            EngineError: the image has no such symbol.
        """
        address = self.symbols.get(name)
        if address is None:
            raise EngineError(f"the image has no symbol {name!r}; its sources do not define it, or it was left out")
        return address

    def function_at(self, address: int) -> Function | None:
        """Return the function that an address is in."""
        index = bisect.bisect_right(self.functions, address, key=lambda f: f.address) - 1
        if index < 0:
            return None
        found = self.functions[index]
        return found if address < found.address + max(found.size, 2) else None


def read_image(path: Path) -> Image:
    """Return the contents of an ELF file.

    Raises:
        MissingExtraError: ``pyelftools`` is not installed.
        EngineError: it is no ELF file of a 32-bit little-endian program with code and symbols.
    """
    try:
        from elftools.common.exceptions import ELFError
        from elftools.construct.core import ConstructError
        from elftools.elf.elffile import ELFFile
    except ModuleNotFoundError:
        raise MissingExtraError("pyelftools", "firmware", "reading an image") from None
    try:
        elf = ELFFile(io.BytesIO(path.read_bytes()))
        if elf.elfclass != 32 or not elf.little_endian:
            raise EngineError(f"{path}: {elf.elfclass}-bit, expected a 32-bit little-endian image")
        sections = {s.name: s for s in elf.iter_sections()}
        text, table = sections.get(CODE), sections.get(".symtab")
        if text is None or table is None:
            raise EngineError(f"{path}: no {CODE} or no symbols; link without --strip-all")
        symbols = [(s.name, s["st_value"], s["st_size"], s["st_info"]["type"]) for s in table.iter_symbols()]
        segments = {s["p_paddr"]: s.data() for s in elf.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_filesz"]}
        placed = [s for s in sections.values() if s["sh_flags"] & SHF_ALLOC and s.name != STACK]
        code = (int(text["sh_addr"]), bytes(text.data()))
    except (ELFError, ConstructError, ValueError, KeyError, TypeError) as error:
        raise EngineError(f"{path}: not a readable ELF image ({' '.join(str(error).split())[:200]})") from None
    writable = [s for s in placed if s["sh_flags"] & 1]
    functions = {
        value & ~1: Function(name, value & ~1, size)
        for name, value, size, kind in symbols
        if kind == "STT_FUNC" and size
    }
    return Image(
        path=path,
        segments=segments,
        functions=tuple(functions[address] for address in sorted(functions)),
        symbols={n: value & ~1 if kind == "STT_FUNC" else value for n, value, _, kind in symbols if n},
        code=code,
        flash_bytes=sum(s["sh_size"] for s in placed if s["sh_type"] == "SHT_PROGBITS"),
        ram_bytes=sum(s["sh_size"] for s in writable),
    )
