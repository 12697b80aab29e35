"""Updates in the field: whenever the power goes the device boots the old bundle or the new one, whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from device_fixtures import make_tiny_bundle
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sim.update.__main__ import main
from device_sim.update.flash import PAGE_BYTES, SECTOR_BYTES, Flash, PowerCutError
from device_sim.update.slots import RECORD_SECTORS, Record, Slots
from edgehar.bundle import Bundle, write_bundle
from edgehar.errors import BundleError
from edgehar.package import packed
from edgehar.signing import sign, write_new_key

SECTORS = 34


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "maker.pem"


@pytest.fixture(scope="module")
def public(key: Path) -> Path:
    return write_new_key(key)


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory, key: Path, public: Path) -> dict[int, bytes]:
    """Signed packages of two bundles, by release number."""
    folder = tmp_path_factory.mktemp("bundles")
    first = make_tiny_bundle(folder, window=32, hop=16)
    wanted = ("manifest.json", "model_i8.tflite", "golden.npz")
    files = {name: data for name, data in first.contents().items() if name in wanted[1:]}
    made = {}
    for version in (1, 2, 3):
        bundle = write_bundle(folder / f"{version}.edgehar", replace(first.manifest, name=f"tiny_{version}"), files)
        package = packed(bundle.manifest.name, version, bundle.sha256, bundle.contents())
        made[version] = package.signed(sign(package.release, key)).to_bytes()
    return made


@pytest.fixture
def flash(tmp_path: Path) -> Path:
    path = tmp_path / "flash.bin"
    Flash.create(path, SECTORS)
    return path


def update(path: Path, public: Path, data: bytes, cut_at: int | None = None, seed: int = 0) -> int:
    """Install; returns how many operations that took, also where the power was cut."""
    with Flash(path, cut_at, seed) as memory:
        try:
            Slots(memory, public).update(data)
        except PowerCutError:
            assert memory.operations == cut_at
        return memory.operations


def booted(path: Path, public: Path) -> int:
    with Flash(path) as memory:
        boot = Slots(memory, public).boot()
    assert boot.trouble == "" and boot.bundle.manifest.name == f"tiny_{boot.record.version}"
    return boot.record.version


def test_a_cut_in_every_operation(flash: Path, public: Path, releases: dict[int, bytes]) -> None:
    update(flash, public, releases[1])
    before = flash.read_bytes()
    operations = update(flash, public, releases[2])
    assert operations > 2 * RECORD_SECTORS + len(releases[2]) // PAGE_BYTES
    for cut_at in range(1, operations + 1):
        flash.write_bytes(before)
        update(flash, public, releases[2], cut_at, seed=cut_at)
        assert booted(flash, public) == 1
        update(flash, public, releases[2])  # once more, with power
        assert booted(flash, public) == 2


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.integers(1, 150), st.integers(0, 9)), max_size=6))
def test_cut_after_cut_never_goes_back(
    tmp_path_factory: pytest.TempPathFactory, public: Path, releases: dict[int, bytes], work: list[tuple[int, int, int]]
) -> None:
    path = tmp_path_factory.mktemp("flash") / "flash.bin"
    Flash.create(path, SECTORS)
    update(path, public, releases[1])
    running = 1
    for version, cut_at, seed in work:
        if version < running:
            with pytest.raises(BundleError, match="no way back"):
                update(path, public, releases[version], cut_at, seed)
        else:
            update(path, public, releases[version], cut_at, seed)
        now = booted(path, public)
        assert now in (running, max(running, version))
        running = now


def test_nothing_is_written_for_a_package_that_is_refused(
    flash: Path, public: Path, releases: dict[int, bytes], tmp_path: Path
) -> None:
    before = flash.read_bytes()
    other = write_new_key(tmp_path / "other.pem")
    for data, trusted in ((releases[1], other), (releases[1][:-1], public), (b"", public)):
        with Flash(flash) as memory, pytest.raises(BundleError):
            Slots(memory, trusted).update(data)
    with Flash(flash) as memory, pytest.raises(BundleError, match="no package was ever installed"):
        Slots(memory, public).boot()
    assert flash.read_bytes() == before


def test_a_bundle_that_fails_its_self_test_is_not_switched_to(
    flash: Path, public: Path, releases: dict[int, bytes]
) -> None:
    update(flash, public, releases[1])

    def refuse(bundle: Bundle) -> None:
        raise BundleError(f"{bundle.manifest.name} is wrong")

    with Flash(flash) as memory, pytest.raises(BundleError, match="tiny_2 is wrong"):
        Slots(memory, public).update(releases[2], refuse)
    assert booted(flash, public) == 1


def test_worn_out_cells_boot_the_other_slot_and_say_so(flash: Path, public: Path, releases: dict[int, bytes]) -> None:
    update(flash, public, releases[1])
    update(flash, public, releases[2])
    with Flash(flash) as memory:
        record = Slots(memory, public).records()[0]
        memory.program(SECTOR_BYTES * (RECORD_SECTORS + record.slot * (SECTORS - RECORD_SECTORS) // 2) + 600, bytes(9))
    with Flash(flash) as memory:
        boot = Slots(memory, public).boot()
        assert boot.record.version == 1 and "not those that were installed" in boot.trouble
        with pytest.raises(BundleError, match="no way back"):
            Slots(memory, public).update(releases[1])


@given(st.binary(min_size=PAGE_BYTES, max_size=PAGE_BYTES))
def test_what_is_no_record_is_none(page: bytes) -> None:
    assert Record.from_bytes(page) is None


def test_flash_clears_bits_and_erases_sectors(flash: Path) -> None:
    with Flash(flash) as memory:
        memory.program(0, b"\xf0")
        memory.program(0, b"\x3f")
        assert memory.read(0, 2) == b"\x30\xff"
        memory.erase(0)
        assert memory.read(0, 1) == b"\xff"
        with pytest.raises(ValueError, match="cross a page"):
            memory.program(PAGE_BYTES - 1, b"ab")


def test_the_command(
    flash: Path, public: Path, releases: dict[int, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "tiny.edgehar"
    package.write_bytes(releases[1])
    assert main([str(tmp_path / "new.bin"), str(package), "--key", str(public), "--new", "64"]) == 0
    assert "boots slot A: tiny_1, release 1" in capsys.readouterr().out
    package.write_bytes(releases[2])
    assert main([str(tmp_path / "new.bin"), str(package), "--key", str(public), "--cut-at", "9"]) == 0
    said = capsys.readouterr().out
    assert "power cut in operation 9" in said and "tiny_1" in said
    assert main([str(tmp_path / "new.bin"), "--new", "64"]) == 2
    assert main([str(tmp_path / "nothing.bin")]) == 1


def test_no_flash_is_made_for_a_package_that_is_not_there(public: Path, tmp_path: Path) -> None:
    arguments = [str(tmp_path / "new.bin"), str(tmp_path / "nothing.edgehar"), "--key", str(public), "--new", "64"]
    assert main(arguments) == 2 and not (tmp_path / "new.bin").exists()
