"""Cut the power in every flash operation of an update, and look what boots; then update again.

    python tools/power_cuts.py --json docs/results/power_cuts.json

The update is signed, from zoo:ds_cnn_3k (release 1) to zoo:ds_cnn (release 2). A cut counts as survived if the device
boots the old bundle or the new one, whole, and the update goes through when it is tried again.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

from device_sim.update.flash import SECTOR_BYTES, Flash, PowerCutError
from device_sim.update.slots import RECORD_SECTORS, SLOTS, Slots
from edgehar.bundle import Bundle
from edgehar.errors import BundleError
from edgehar.files import write_json
from edgehar.package import packed
from edgehar.signing import sign, write_new_key


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", default="zoo:ds_cnn_3k")
    parser.add_argument("--new", default="zoo:ds_cnn")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "maker.pem"
        public = write_new_key(key)
        old, new = (release(name, number, key) for number, name in enumerate((options.old, options.new), start=1))
        result = cut_everywhere(Path(folder) / "flash.bin", public, old, new)
    print(", ".join(f"{name} {value}" for name, value in result.items()))
    if options.json:
        write_json(
            options.json, {"command": "python tools/power_cuts.py", "old": options.old, "new": options.new, **result}
        )
    return 0 if result["survived"] == result["cuts"] else 1


def release(name: str, version: int, key: Path) -> bytes:
    bundle = Bundle.open(name)
    package = packed(bundle.manifest.name, version, bundle.sha256, bundle.contents())
    return package.signed(sign(package.release, key)).to_bytes()


def cut_everywhere(path: Path, public: Path, old: bytes, new: bytes) -> dict[str, int]:
    slot_sectors = -(-max(len(old), len(new)) // SECTOR_BYTES)
    Flash.create(path, RECORD_SECTORS + SLOTS * slot_sectors)
    update(path, public, old, None)
    before = path.read_bytes()
    operations = update(path, public, new, None)
    found = {1: 0, 2: 0}
    survived = 0
    for cut_at in range(1, operations + 1):
        path.write_bytes(before)
        update(path, public, new, cut_at)
        version = booted(path, public)
        found[version] = found.get(version, 0) + 1
        update(path, public, new, None)
        survived += version in (1, 2) and booted(path, public) == 2
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{cut_at} of {operations} cuts, {survived} survived")
    return {
        "package_bytes": len(new),
        "cuts": operations,
        "survived": survived,
        "booted_old": found[1],
        "booted_new": found[2],
    }


def update(path: Path, public: Path, data: bytes, cut_at: int | None) -> int:
    with Flash(path, cut_at, seed=cut_at or 0) as flash:
        with contextlib.suppress(PowerCutError):
            Slots(flash, public).update(data)
        return flash.operations


def booted(path: Path, public: Path) -> int:
    """Release number of what boots; 0 nothing, -1 not what it was installed as."""
    with Flash(path) as flash:
        try:
            boot = Slots(flash, public).boot()
        except BundleError:
            return 0
    return -1 if boot.trouble else boot.record.version


if __name__ == "__main__":
    sys.exit(main())
