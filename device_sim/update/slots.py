"""Two slots for packages and a record that says which one boots; whenever the power goes, one of them does.

Layout: two sectors of records, then slot A, then slot B, of equal size.

1. A record is one page: which slot, how long, its SHA-256, the release number, a sequence number, a CRC-32 of all.
   The sector that does not hold the newest record is erased and gets the next one, so the newest stays until the next
   is whole.
2. An update writes to the slot that does not boot, reads it back, and only then writes the record. That page is the
   one moment at which the device changes; half written its CRC is wrong, and the old record stands.
3. The lowest release number that is taken is that of the newest record: no way back to an older one, nor by cutting
   the power.
4. What boots is checked against its record; if its bytes have changed, the device boots the other slot if that is
   whole, and says so.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from device_sim.update.flash import PAGE_BYTES, SECTOR_BYTES, Flash
from edgehar.bundle import Bundle
from edgehar.errors import BundleError, DataError
from edgehar.package import Package
from edgehar.signing import verify

RECORD = struct.Struct("<8sIIII32sI")  # magic, sequence, slot, release, length, SHA-256, CRC-32
MAGIC = b"EDGEHAR1"
RECORD_SECTORS = 2
LAST_SEQUENCE = 2**32 - 1
SLOTS = 2


@dataclass(frozen=True)
class Record:
    """Which slot boots.

    Attributes:
        sequence: of two records the higher one counts.
        slot: 0 (A) or 1 (B).
        version: release number of what is in it.
        length: bytes of the package.
        sha256: of them, 32 bytes.
    """

    sequence: int
    slot: int
    version: int
    length: int
    sha256: bytes

    def to_bytes(self) -> bytes:
        """Return the page."""
        head = RECORD.pack(MAGIC, self.sequence, self.slot, self.version, self.length, self.sha256, 0)[:-4]
        return head + struct.pack("<I", zlib.crc32(head))

    @classmethod
    def from_bytes(cls, page: bytes) -> Record | None:
        """Return what is on a page, None where it is erased, half written or something else."""
        magic, sequence, slot, version, length, digest, crc = RECORD.unpack(page[: RECORD.size])
        if magic != MAGIC or crc != zlib.crc32(page[: RECORD.size - 4]) or slot >= SLOTS:
            return None
        return cls(sequence, slot, version, length, digest)


@dataclass(frozen=True)
class Boot:
    """What a device runs.

    Attributes:
        record: of the slot.
        bundle: verified.
        trouble: why it is not the newest; empty where it is.
    """

    record: Record
    bundle: Bundle
    trouble: str = ""


class Slots:
    """What a device keeps in its flash.

    Args:
        flash: the memory.
        key_path: public key (PEM); None takes unsigned packages too.

    Raises:
        DataError: the flash is too small for two slots.
    """

    def __init__(self, flash: Flash, key_path: Path | None) -> None:
        self._flash = flash
        self._key_path = key_path
        self._slot_sectors = (flash.sectors - RECORD_SECTORS) // SLOTS
        if self._slot_sectors < 1:
            raise DataError(f"{flash.path}: {flash.sectors} sectors, expected at least {RECORD_SECTORS + SLOTS}")

    @property
    def slot_bytes(self) -> int:
        """The largest package that fits."""
        return self._slot_sectors * SECTOR_BYTES

    def records(self) -> list[Record]:
        """Return the whole records, the one that counts first."""
        pages = (self._flash.read(sector * SECTOR_BYTES, RECORD.size) for sector in range(RECORD_SECTORS))
        found = [record for record in map(Record.from_bytes, pages) if record is not None]
        return sorted(found, key=lambda record: -record.sequence)

    def boot(self) -> Boot:
        """Return what runs after power-on.

        Raises:
            BundleError: neither slot holds a whole package.
        """
        troubles: list[str] = []
        for record in self.records():
            try:
                return Boot(record, self._stored(record), "; ".join(troubles))
            except BundleError as error:
                troubles.append(str(error))
        raise BundleError(
            f"{self._flash.path}: nothing to boot; {'; '.join(troubles) or 'no package was ever installed'}"
        )

    def update(self, data: bytes, self_test: Callable[[Bundle], None] | None = None) -> Record:
        """Install a package; until this returns the device boots what it booted before.

        Args:
            data: the packed bundle.
            self_test: raises if the bundle, as it stands in the slot, must not run.

        Raises:
            BundleError: unsigned, signed by another, altered, older than what is installed, or too large; nothing is
                written.
            PowerCutError: the power was cut.
        """
        records = self.records()
        package = self._checked(data, "the package")
        newest = records[0] if records else None
        if newest is not None and package.release.version < newest.version:
            raise BundleError(
                f"release {package.release.version} is older than the installed {newest.version}; there is no way back"
            )
        if len(data) > self.slot_bytes:
            raise BundleError(f"the package has {len(data)} bytes, a slot {self.slot_bytes}; make the flash larger")
        sequence = 0 if newest is None else newest.sequence + 1
        if sequence > LAST_SEQUENCE:
            raise BundleError("the flash has had all the updates that it can count")
        slot = 0 if newest is None else 1 - newest.slot
        record = Record(sequence, slot, package.release.version, len(data), hashlib.sha256(data).digest())
        self._fill(slot, data)
        bundle = self._stored(record)
        if self_test is not None:
            self_test(bundle)
        sector = sequence % RECORD_SECTORS
        self._flash.erase(sector)
        self._flash.program(sector * SECTOR_BYTES, record.to_bytes())
        return record

    def _fill(self, slot: int, data: bytes) -> None:
        first = self._first_sector(slot)
        for sector in range(-(-len(data) // SECTOR_BYTES)):
            self._flash.erase(first + sector)
        for at in range(0, len(data), PAGE_BYTES):
            self._flash.program(first * SECTOR_BYTES + at, data[at : at + PAGE_BYTES])

    def _stored(self, record: Record) -> Bundle:
        where = f"slot {'AB'[record.slot]}"
        if record.length > self.slot_bytes:
            raise BundleError(f"{where}: its record says {record.length} bytes, a slot has {self.slot_bytes}")
        data = self._flash.read(self._first_sector(record.slot) * SECTOR_BYTES, record.length)
        if hashlib.sha256(data).digest() != record.sha256:
            raise BundleError(f"{where}: its bytes are not those that were installed")
        return Bundle.from_package(self._checked(data, where), Path(where))

    def _checked(self, data: bytes, where: str) -> Package:
        package = Package.from_bytes(data, where)
        if self._key_path is not None:
            verify(package, self._key_path, where)
        return package

    def _first_sector(self, slot: int) -> int:
        return RECORD_SECTORS + slot * self._slot_sectors
