"""Ed25519 signatures of packed bundles (RFC 8032), by the package ``cryptography``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from edgehar.bundle import Bundle
from edgehar.errors import BundleError, MissingExtraError, UsageError
from edgehar.package import Package, Release, Signature, key_id_of, read_package

MAX_KEY_BYTES = 4096


def write_new_key(path: Path) -> Path:
    """Write a new private key to ``path`` (only its owner may read it) and its public key beside it.

    Returns:
        Path of the public key: ``NAME.pub.pem`` for ``NAME.pem``.

    Raises:
        UsageError: one of the files exists: a key that is overwritten is lost.
        MissingExtraError: ``cryptography`` is not installed.
    """
    serialization, ed25519 = _cryptography()
    public_path = path.with_name(f"{path.name.removesuffix('.pem')}.pub.pem")
    for each in (path, public_path):
        if each.exists():
            raise UsageError(f"{each}: exists; choose another name, a key that is overwritten is lost")
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    path.parent.mkdir(parents=True, exist_ok=True)
    for file, data, mode in ((path, private, 0o600), (public_path, public, 0o644)):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    return public_path


def sign(release: Release, key_path: Path) -> Signature:
    """Sign a release with the private key in a PEM file.

    Raises:
        UsageError: the file is no Ed25519 private key.
    """
    serialization, ed25519 = _cryptography()
    key = _load(key_path, lambda data: serialization.load_pem_private_key(data, password=None))
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise UsageError(f"{key_path}: is a key of another kind, expected an Ed25519 private key (edgehar keygen)")
    return Signature(_key_id(key.public_key()), key.sign(release.message))


def verify(package: Package, key_path: Path, where: str) -> None:
    """Check that a package is signed with the private key that belongs to the public one in a PEM file.

    The files are not looked at: :class:`edgehar.bundle.Bundle` holds them against ``release.bundle_sha256``.

    Raises:
        UsageError: the file is no Ed25519 public key.
        BundleError: unsigned, signed with another key, or the signature is wrong.
    """
    serialization, ed25519 = _cryptography()
    key = _load(key_path, serialization.load_pem_public_key)
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise UsageError(f"{key_path}: is a key of another kind, expected an Ed25519 public key (NAME.pub.pem)")
    if package.signature is None:
        raise BundleError(f"{where}: is not signed; sign it with: edgehar pack BUNDLE --key KEY.pem")
    if package.signature.key_id != _key_id(key):
        raise BundleError(
            f"{where}: is signed with the key {package.signature.key_id[:16]!r}, expected {_key_id(key)!r} ({key_path})"
        )
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(package.signature.value, package.release.message)
    except InvalidSignature:
        raise BundleError(f"{where}: its signature is wrong: {package.release.name} was altered after it") from None


def open_bundle(path: str | Path, key_path: Path | None, min_release: int | None = None) -> Bundle:
    """Open a bundle; where a key is given, only one that is signed and new enough, before anything of it is used.

    Args:
        path: folder, packed file or ``zoo:NAME``.
        key_path: public key (PEM); None takes any bundle.
        min_release: the lowest release that is taken; needs a key.

    Raises:
        UsageError: there is no such bundle, or the key is none.
        BundleError: damaged; with a key also unsigned, signed by another, or older than ``min_release``.
    """
    if key_path is None:
        if min_release is not None:
            raise UsageError("a lowest release needs a key: anybody can write a number into a file that nobody signed")
        return Bundle.open(path)
    if not Path(path).is_file():
        raise BundleError(
            f"{path}: is no packed bundle, so nobody signed it; pack it with: edgehar pack BUNDLE --key K"
        )
    package = read_package(Path(path))
    verify(package, key_path, str(path))
    if min_release is not None and package.release.version < min_release:
        raise BundleError(f"{path}: is release {package.release.version}, expected at least {min_release}")
    return Bundle.from_package(package, Path(path))


def _key_id(public_key: Any) -> str:
    return key_id_of(public_key.public_bytes_raw())


def _load(path: Path, parse: Any) -> Any:
    try:
        if path.stat().st_size > MAX_KEY_BYTES:
            raise UsageError(f"{path}: is too large for a key")
        return parse(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path}: is no key in PEM form ({error}); make one with: edgehar keygen KEY.pem") from None


def _cryptography() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ModuleNotFoundError:
        raise MissingExtraError("cryptography", "sign", "a signature") from None
    return serialization, ed25519
