"""``python -m device_sim.update FLASH [PACKAGE]``: install a packed bundle into a device's flash, or say what boots.

FLASH is a file that stands for the memory; ``--new KB`` makes it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from device_sim.command_line import Parser, answered
from device_sim.device import Device
from device_sim.engines import DEFAULT_ENGINE, open_engine
from device_sim.golden import check_golden
from device_sim.sources import golden_recording
from device_sim.update.flash import SECTOR_BYTES, Flash, PowerCutError
from device_sim.update.slots import RECORD_SECTORS, SLOTS, Boot, Slots
from edgehar.bundle import Bundle
from edgehar.errors import BundleError, UsageError
from edgehar.package import MAX_PACKAGE_BYTES


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("flash", metavar="FLASH", type=Path, help="file that stands for the device's flash")
    parser.add_argument("package", metavar="PACKAGE", nargs="?", type=Path, help="packed bundle; none: say what boots")
    parser.add_argument("--key", type=Path, metavar="PUB.pem", help="take packages signed with this key alone")
    parser.add_argument("--new", type=int, metavar="KB", help="make FLASH, with two slots of so many kB")
    parser.add_argument("--cut-at", type=int, metavar="N", help="cut the power in flash operation N")
    parser.add_argument("--engine", default=DEFAULT_ENGINE, help="that replays the golden stream before it is trusted")


def run(options: argparse.Namespace) -> int:
    """Install or look; returns the exit code.

    Raises:
        EdgeharError: flash or package are not what they should be.
    """
    package = None if options.package is None else _bytes(options.package)  # before a flash is made for it
    if options.new is not None:
        _create(options.flash, options.new)
    with Flash(options.flash, options.cut_at) as flash:
        slots = Slots(flash, options.key)
        if package is not None:
            try:
                slots.update(package, lambda bundle: _replay(bundle, options.engine))
            except PowerCutError as error:
                sys.stdout.write(f"{error}; the device boots again\n")
    with Flash(options.flash) as flash:
        boot = Slots(flash, options.key).boot()
    sys.stdout.write(f"{_line(boot)}\n")
    return 1 if boot.trouble else 0


def _create(path: Path, slot_kb: int) -> None:
    if not 4 <= slot_kb <= MAX_PACKAGE_BYTES // 1024:
        raise UsageError(f"--new {slot_kb}, expected 4..{MAX_PACKAGE_BYTES // 1024} kB a slot")
    try:
        Flash.create(path, RECORD_SECTORS + SLOTS * -(-slot_kb * 1024 // SECTOR_BYTES))
    except FileExistsError:
        raise UsageError(f"{path}: exists; leave --new out to use it, nothing was written") from None


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_PACKAGE_BYTES:
            raise BundleError(f"{path}: is too large for a package")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}); pack a bundle with: edgehar pack BUNDLE"
        ) from None


def _replay(bundle: Bundle, engine: str) -> None:
    """The device's self test: the golden stream, before the new slot may boot."""
    device = Device(bundle, open_engine(engine, bundle))
    outputs = np.array([decision.outputs for decision in device.run(golden_recording(bundle).samples)])
    if not check_golden(bundle, engine, outputs).passed:
        raise BundleError(f"{bundle.path}: does not give its golden outputs on {engine}; it was not switched to")


def _line(boot: Boot) -> str:
    manifest, record = boot.bundle.manifest, boot.record
    trouble = f"; {boot.trouble}" if boot.trouble else ""
    return (
        f"boots slot {'AB'[record.slot]}: {manifest.name}, release {record.version} ({boot.bundle.sha256[:12]})"
        f", update {record.sequence}{trouble}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, 1 failed, 2 called wrongly."""
    parser = Parser(prog="python -m device_sim.update", description=__doc__)
    add_options(parser)
    return answered(lambda: run(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
