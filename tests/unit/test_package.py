"""Packed bundles: the same bytes each time, nothing hidden, nothing altered, nobody else's signature."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest
from device_fixtures import make_tiny_bundle
from hypothesis import given
from hypothesis import strategies as st

from edgehar.bundle import Bundle
from edgehar.cli import main
from edgehar.errors import BundleError, UsageError
from edgehar.package import Package, Signature, packed, read_package
from edgehar.signing import open_bundle, sign, verify, write_new_key


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("package"), window=32, hop=16)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    private = tmp_path_factory.mktemp("keys") / "maker.pem"
    return private, write_new_key(private)


@pytest.fixture(scope="module")
def package(bundle: Bundle, keys: tuple[Path, Path]) -> Package:
    unsigned = packed(bundle.manifest.name, 7, bundle.sha256, bundle.contents())
    return unsigned.signed(sign(unsigned.release, keys[0]))


def test_a_packed_bundle_is_the_bundle(bundle: Bundle, package: Package, tmp_path: Path) -> None:
    path = tmp_path / "tiny-7.edgehar"
    path.write_bytes(package.to_bytes())
    opened = Bundle.open(path)
    assert opened.sha256 == bundle.sha256 and opened.contents() == bundle.contents()
    assert read_package(path) == package


def test_the_bytes_depend_on_the_bundle_alone(bundle: Bundle, package: Package) -> None:
    backwards = dict(reversed(bundle.contents().items()))
    again = packed(bundle.manifest.name, 7, bundle.sha256, backwards)
    assert again.signed(package.signature).to_bytes() == package.to_bytes()  # type: ignore[arg-type]


@given(st.data())
def test_a_changed_byte_anywhere_is_found(package: Package, keys: tuple[Path, Path], data: st.DataObject) -> None:
    raw = bytearray(package.to_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BundleError):
        found = Package.from_bytes(bytes(raw), "changed")
        verify(found, keys[1], "changed")
        Bundle.from_package(found, Path("changed"))


@given(st.integers(0, 10_000), st.binary(max_size=40))
def test_a_cut_or_longer_file_is_refused(package: Package, cut: int, more: bytes) -> None:
    raw = package.to_bytes()
    for changed in (raw[: -1 - cut % len(raw)], raw + more + b"x"):
        with pytest.raises(BundleError):
            Package.from_bytes(changed, "changed")


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED, mode: int = 0o644) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = method
            archive.writestr(info, data)
    return buffer.getvalue()


HOSTILE = {
    "bomb": zipped(("release.json", b"0" * 10**7), method=zipfile.ZIP_DEFLATED),
    "parent": zipped(("../release.json", b"{}")),
    "absolute": zipped(("/etc/passwd", b"")),
    "drive": zipped(("C:\\x", b"")),
    "link": zipped(("release.json", b"/etc/passwd"), ("manifest.json", b"{}"), mode=stat.S_IFLNK | 0o777),
    "deep json": zipped(("release.json", b"[" * 100_000), ("manifest.json", b"{}")),
    "many": zipped(*((f"f{i}", b"") for i in range(5000))),
    "nothing": b"",
    "no zip": b"PK" + bytes(100),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name: str) -> None:
    with pytest.raises(BundleError, match="hostile"):
        Package.from_bytes(HOSTILE[name], "hostile")


def test_who_signed(bundle: Bundle, package: Package, keys: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "tiny.edgehar"
    path.write_bytes(package.to_bytes())
    assert open_bundle(path, keys[1], 7).sha256 == bundle.sha256
    with pytest.raises(BundleError, match="release 7, expected at least 8"):
        open_bundle(path, keys[1], 8)
    other = write_new_key(tmp_path / "other.pem")
    with pytest.raises(BundleError, match="is signed with the key"):
        open_bundle(path, other)
    assert package.signature is not None
    forged = package.signed(Signature(package.signature.key_id, bytes(64)))
    path.write_bytes(forged.to_bytes())
    with pytest.raises(BundleError, match="signature is wrong"):
        open_bundle(path, keys[1])
    path.write_bytes(Package(package.release, None, package.files).to_bytes())
    with pytest.raises(BundleError, match="not signed"):
        open_bundle(path, keys[1])
    with pytest.raises(BundleError, match="no packed bundle"):
        open_bundle(bundle.path, keys[1])
    with pytest.raises(UsageError, match="needs a key"):
        open_bundle(path, None, 1)


def test_a_signature_is_of_one_bundle(bundle: Bundle, package: Package, keys: tuple[Path, Path]) -> None:
    files = {**bundle.contents(), "MODEL_CARD.md": b"other"}
    swapped = Package(package.release, package.signature, files)
    verify(swapped, keys[1], "swapped")  # the release itself is in order
    with pytest.raises(BundleError):
        Bundle.from_package(swapped, Path("swapped"))


def test_keys(tmp_path: Path, keys: tuple[Path, Path], package: Package) -> None:
    assert keys[0].stat().st_mode & 0o077 == 0
    with pytest.raises(UsageError, match="exists"):
        write_new_key(keys[0])
    junk = tmp_path / "junk.pem"
    junk.write_bytes(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    for work in (lambda: verify(package, junk, "x"), lambda: sign(package.release, junk)):
        with pytest.raises(UsageError, match="no key"):
            work()
    with pytest.raises(UsageError, match="no key in PEM form"):
        verify(package, keys[0], "x")


def test_the_commands(bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, out = tmp_path / "k.pem", tmp_path / "t.edgehar"
    assert main(["keygen", str(key)]) == 0
    assert main(["pack", str(bundle.path), "-o", str(out), "--release", "3", "--key", str(key)]) == 0
    assert main(["verify", str(out), "--key", str(tmp_path / "k.pub.pem"), "--unpack", str(tmp_path / "u")]) == 0
    assert "release 3" in capsys.readouterr().out
    assert Bundle.open(tmp_path / "u").sha256 == bundle.sha256
    assert main(["verify", str(out), "--key", str(tmp_path / "k.pub.pem"), "--min-release", "4"]) == 1
    assert main(["pack", str(bundle.path), "-o", str(out), "--release", "-1"]) == 2
    assert read_package(out).release.version == 3  # what was there is untouched
