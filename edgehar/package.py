"""A bundle as one file: ``NAME.edgehar``, a zip whose bytes depend on the bundle, its release number and key alone.

Members, stored without compression, in this order: ``release.json``, ``signature.json`` where it is signed,
``manifest.json``, then the manifest's files by name. A file that is not exactly what :func:`pack` writes is refused,
so there is nothing in it that nobody looked at.

What is signed is ``release.json``: name, release number and the bundle's SHA-256, which covers every byte of it.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from edgehar.errors import BundleError, UsageError
from edgehar.files import sha256_bytes

MANIFEST = "manifest.json"
RELEASE = "release.json"
SIGNATURE = "signature.json"
RELEASE_SCHEMA_VERSION = 1
SIGNED_PREFIX = b"edgehar release 1\n"  # so that a signature of anything else is none of a release
LAST_RELEASE = 2**32 - 1  # a device keeps it in 32 bits
MAX_PACKAGE_BYTES = 256 * 2**20
MAX_MEMBERS = 4096
TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip can state


@dataclass(frozen=True)
class Release:
    """What a signature vouches for.

    Attributes:
        name: of the bundle.
        version: counts up; a device takes no lower one than it has had.
        bundle_sha256: identity of the bundle.
    """

    name: str
    version: int
    bundle_sha256: str

    def to_bytes(self) -> bytes:
        """Return the canonical ``release.json``."""
        return _json({"schema_version": RELEASE_SCHEMA_VERSION, **asdict(self)})

    @property
    def message(self) -> bytes:
        """The bytes that are signed."""
        return SIGNED_PREFIX + self.to_bytes()


@dataclass(frozen=True)
class Signature:
    """An Ed25519 signature of a release.

    Attributes:
        key_id: the first 16 hex digits of the SHA-256 of the raw public key.
        value: 64 bytes.
    """

    key_id: str
    value: bytes

    def to_bytes(self) -> bytes:
        """Return the canonical ``signature.json``."""
        return _json({"algorithm": "ed25519", "key_id": self.key_id, "signature": self.value.hex()})


@dataclass(frozen=True)
class Package:
    """A packed bundle; its files are as they came, and only :class:`edgehar.bundle.Bundle` vouches for them.

    Attributes:
        release: name, number and identity.
        signature: None where it is unsigned. Nobody has checked it yet: :func:`edgehar.signing.verify`.
        files: contents by name, the manifest among them.
    """

    release: Release
    signature: Signature | None
    files: Mapping[str, bytes]

    def to_bytes(self) -> bytes:
        """Return the file."""
        members = {RELEASE: self.release.to_bytes()}
        if self.signature is not None:
            members[SIGNATURE] = self.signature.to_bytes()
        members[MANIFEST] = self.files[MANIFEST]
        members |= {name: self.files[name] for name in sorted(self.files) if name != MANIFEST}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for name, data in members.items():
                member = zipfile.ZipInfo(name, TIME)
                member.create_system = 3  # as on Unix, wherever it is written
                member.external_attr = 0o644 << 16
                archive.writestr(member, data)
        return buffer.getvalue()

    def signed(self, signature: Signature) -> Package:
        """Return the same package with a signature."""
        return replace(self, signature=signature)

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Package:
        """Take a file apart.

        Raises:
            BundleError: it is not exactly what :meth:`to_bytes` writes.
        """
        if len(data) > MAX_PACKAGE_BYTES:
            raise BundleError(f"{where}: {len(data)} bytes, expected at most {MAX_PACKAGE_BYTES}")
        members = _members(data, where)
        if RELEASE not in members or MANIFEST not in members:
            raise BundleError(f"{where}: no {RELEASE} and {MANIFEST} in it; is this a packed bundle?")
        release = _release(members.pop(RELEASE), where)
        signature = _signature(members.pop(SIGNATURE), where) if SIGNATURE in members else None
        package = cls(release, signature, members)
        if package.to_bytes() != data:
            raise BundleError(f"{where}: is not in the form that `edgehar pack` writes; get the file again")
        return package


def read_package(path: Path) -> Package:
    """Read a packed bundle.

    Raises:
        BundleError: it cannot be read, is too large, or is no packed bundle.
    """
    try:
        size = path.stat().st_size
        if size > MAX_PACKAGE_BYTES:
            raise BundleError(f"{path}: {size} bytes, expected at most {MAX_PACKAGE_BYTES}")
        return Package.from_bytes(path.read_bytes(), str(path))
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror})") from None


def packed(name: str, version: int, bundle_sha256: str, files: Mapping[str, bytes]) -> Package:
    """Return a bundle's contents as an unsigned package.

    Raises:
        UsageError: the release number is out of range.
        BundleError: a file has a name that does not stay inside a folder on every system.
    """
    if not 0 <= version <= LAST_RELEASE:
        raise UsageError(f"release {version}, expected 0..{LAST_RELEASE}")
    strange = [name for name in files if not _is_plain(name) or name in (RELEASE, SIGNATURE)]
    if strange:
        raise BundleError(f"a file called {strange[0]!r} cannot be packed")
    return Package(Release(name, version, bundle_sha256), None, files)


def _members(data: bytes, where: str) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if len(infos) > MAX_MEMBERS or any(info.compress_type != zipfile.ZIP_STORED for info in infos):
                raise BundleError(f"{where}: compressed or more than {MAX_MEMBERS} members; is this a packed bundle?")
            if sum(info.file_size for info in infos) > len(data):
                raise BundleError(f"{where}: its members claim more bytes than the file has")
            members: dict[str, bytes] = {}
            for info in infos:
                if not _is_plain(info.filename) or info.filename in members:
                    raise BundleError(f"{where}: a member is called {info.filename[:80]!r}; nothing was unpacked")
                members[info.filename] = archive.read(info)
            return members
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError, RuntimeError, MemoryError) as error:
        raise BundleError(f"{where}: is no readable zip ({error}); get the file again") from None


def _is_plain(name: str) -> bool:
    """Whether a name stays inside the folder that it is unpacked into, on every system."""
    path = PurePosixPath(name)
    return (
        bool(name)
        and str(path) == name
        and not path.is_absolute()
        and not set("\\:\0") & set(name)
        and (".." not in path.parts)
    )


def _release(raw: bytes, where: str) -> Release:
    data = _parsed(raw, where, RELEASE)
    match data:
        case {"schema_version": 1, "name": str(name), "version": int(version), "bundle_sha256": str(digest)} if (
            0 <= version <= LAST_RELEASE and not isinstance(version, bool)
        ):
            return Release(name, version, digest)
    raise BundleError(f"{where}: its {RELEASE} is malformed or of a newer edgehar; get the file again")


def _signature(raw: bytes, where: str) -> Signature:
    data = _parsed(raw, where, SIGNATURE)
    match data:
        case {"algorithm": "ed25519", "key_id": str(key_id), "signature": str(text)}:
            try:
                return Signature(key_id, bytes.fromhex(text))
            except ValueError:
                pass
    raise BundleError(f"{where}: its {SIGNATURE} is malformed; get the file again")


def _parsed(raw: bytes, where: str, name: str) -> Any:
    try:
        return json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BundleError(f"{where}: its {name} is not JSON; get the file again") from None


def _json(data: Mapping[str, Any]) -> bytes:
    return (json.dumps(data, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def key_id_of(raw_public_key: bytes) -> str:
    """Return the short name of a raw public key (32 bytes)."""
    return sha256_bytes(raw_public_key)[:16]
