"""The bundle: the one thing that passes from export to device. Write, open, verify. numpy only.

``NAME.edgehar/`` holds ``manifest.json`` and the files it lists with size and SHA-256. The manifest is written in
one canonical form and carries the SHA-256 of itself without that field, so a changed byte anywhere is found and
the file is named. What the manifest says is :mod:`edgehar.manifest`; the same in one file :mod:`edgehar.package`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgehar.arrays import load_npz
from edgehar.errors import BundleError, UsageError
from edgehar.files import atomic_directory, sha256_bytes
from edgehar.manifest import FileEntry, Manifest
from edgehar.package import MANIFEST, Package, packed, read_package

REFERENCES = "references.npz"  # embeddings of known windows, in bundles to which labels can be enrolled
MAX_FILE_BYTES = 256 * 2**20  # a HAR bundle is kilobytes; anything near this is not one
MAX_MANIFEST_BYTES = 4 * 2**20
ZOO_PREFIX = "zoo:"
ZOO_FOLDER = Path(__file__).parent / "zoo"


@dataclass(frozen=True)
class Bundle:
    """An opened, verified bundle. ``read`` hands out only bytes whose hash the manifest states.

    Attributes:
        path: folder, or packed file, or where one is to be written.
        manifest: what it is.
        package: the files themselves, of a packed bundle or one that is not written yet; None of a folder.
    """

    path: Path
    manifest: Manifest
    package: Package | None = None

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """Open a bundle folder, a packed bundle or ``zoo:NAME``, and verify every file in it.

        A packed bundle's signature is not looked at (:func:`edgehar.signing.open_bundle`).

        Raises:
            UsageError: there is no such bundle.
            BundleError: a file is missing, truncated, altered, or not listed; the message names it.
        """
        folder = resolve(path)
        if folder.is_file():
            return cls.from_package(read_package(folder), folder)
        try:
            size = (folder / MANIFEST).stat().st_size
            if size > MAX_MANIFEST_BYTES:
                raise BundleError(f"{folder / MANIFEST}: {size} bytes, expected at most {MAX_MANIFEST_BYTES}")
            raw = (folder / MANIFEST).read_bytes()
        except OSError as error:
            raise BundleError(f"{folder}: cannot read {MANIFEST} ({error.strerror}); is this a bundle?") from None
        try:
            manifest = Manifest.from_bytes(raw)
        except BundleError as error:
            raise BundleError(f"{folder}: {error}") from None
        found = {str(p.relative_to(folder).as_posix()) for p in folder.rglob("*") if not p.is_dir() or p.is_symlink()}
        return cls(folder, manifest)._verified(found)

    @classmethod
    def from_package(cls, package: Package, path: Path) -> Bundle:
        """Open a packed bundle and verify every file in it.

        Raises:
            BundleError: a file is missing, altered, or not listed, or it is not the bundle that was released.
        """
        try:
            manifest = Manifest.from_bytes(package.files[MANIFEST])
        except BundleError as error:
            raise BundleError(f"{path}: {error}") from None
        if (manifest.name, manifest.sha256) != (package.release.name, package.release.bundle_sha256):
            raise BundleError(f"{path}: holds another bundle than the released one; get the file again")
        return cls(path, manifest, package)._verified(set(package.files))

    def _verified(self, found: set[str]) -> Bundle:
        """Itself, after reading every file; ``found`` are those that are there."""
        for name in self.manifest.files:
            self.read(name)
        unlisted = sorted(found - set(self.manifest.files) - {MANIFEST})
        if unlisted:
            raise BundleError(f"{self.path}: {unlisted[0]!r} is not listed in the manifest; remove it or export again")
        return self

    @property
    def sha256(self) -> str:
        """Identity of the bundle."""
        return self.manifest.sha256

    def read(self, name: str) -> bytes:
        """Return one file's bytes after checking size and hash.

        Raises:
            BundleError: the file is not listed, missing, a symbolic link, truncated or altered.
        """
        entry = self.manifest.files.get(name)
        if entry is None:
            raise BundleError(
                f"{self.path}: no file {name!r} in this bundle; it has {', '.join(sorted(self.manifest.files))}"
            )
        path = self.path / name
        data = self._stored(path, entry.bytes) if self.package is None else self.package.files.get(name, b"")
        if len(data) != entry.bytes:
            raise BundleError(f"{path}: {len(data)} bytes, the manifest says {entry.bytes}; get the bundle again")
        found = sha256_bytes(data)
        if found != entry.sha256:
            raise BundleError(
                f"{path}: SHA-256 is {found[:12]}…, the manifest says {entry.sha256[:12]}…: the file was altered; "
                "get the bundle again"
            )
        return data

    @staticmethod
    def _stored(path: Path, expected: int) -> bytes:
        try:
            if path.is_symlink():
                raise BundleError(f"{path}: is a symbolic link, expected a plain file")
            size = path.stat().st_size
            if size != expected or size > MAX_FILE_BYTES:
                raise BundleError(f"{path}: {size} bytes, the manifest says {expected}; get the bundle again")
            return path.read_bytes()
        except OSError as error:
            raise BundleError(f"{path}: cannot be read ({error.strerror}); get the bundle again") from None

    def contents(self) -> dict[str, bytes]:
        """Return every file by name, the manifest among them.

        Raises:
            BundleError: see :meth:`read`.
        """
        return {MANIFEST: self.manifest.to_bytes(), **{name: self.read(name) for name in self.manifest.files}}

    def write(self) -> Bundle:
        """Write it to its path, see :func:`write_bundle`, and return it as it lies there."""
        return write_bundle(self.path, self.manifest, {name: self.read(name) for name in self.manifest.files})

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of an ``.npz`` file of the bundle, pickles refused."""
        return load_npz(self.read(name), f"{self.path / name}")


def resolve(path: str | Path) -> Path:
    """Return the folder or file behind a bundle path or ``zoo:NAME``.

    Raises:
        UsageError: there is none; lists the zoo when a zoo name was asked for.
    """
    text = str(path)
    if text.startswith(ZOO_PREFIX):
        names = zoo_names()
        name = text.removeprefix(ZOO_PREFIX)
        if name not in names:
            raise UsageError(f"no bundle {text!r} in the zoo; there are {', '.join(ZOO_PREFIX + n for n in names)}")
        return ZOO_FOLDER / f"{name}.edgehar"
    found = Path(text)
    if not (found.is_dir() or found.is_file()):
        raise UsageError(f"{text}: no such bundle; a bundle is a folder or a packed file NAME.edgehar, or zoo:NAME")
    return found


def zoo_names() -> list[str]:
    """Return the names of the bundles that ship with the package."""
    return sorted(p.name.removesuffix(".edgehar") for p in ZOO_FOLDER.glob("*.edgehar"))


def write_bundle(path: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Bundle:
    """Write ``files`` and the manifest listing them; ``path`` holds the old bundle or the whole new one.

    Raises:
        UsageError: ``path`` exists and is not a bundle (nothing of the user's is replaced by accident).
        OSError: the disk is full or not writable; nothing is left behind.
    """
    if path.exists() and not (path / MANIFEST).is_file():
        raise UsageError(f"{path}: exists and is not a bundle; choose another --out, nothing was written")
    made = assemble(path, manifest, files)
    with atomic_directory(path) as folder:
        for name, data in made.contents().items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    return Bundle(path, made.manifest)


def assemble(path: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Bundle:
    """Return the bundle of ``files`` and the manifest listing them, in memory; nothing is written to ``path``."""
    entries = {name: FileEntry(len(data), sha256_bytes(data)) for name, data in files.items()}
    complete = Manifest(**{**{f: getattr(manifest, f) for f in manifest.__dataclass_fields__}, "files": entries})
    complete._check()
    everything = {MANIFEST: complete.to_bytes(), **files}
    return Bundle(path, complete, packed(complete.name, 0, complete.sha256, everything))
