"""The firmware of a bundle whose manifest changed and whose network did not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgehar.bundle import Bundle
    from edgehar.manifest import Manifest


def firmware_writer(
    bundle: Bundle, origin: Callable[[Manifest], str]
) -> Callable[[Manifest], Mapping[str, bytes]] | None:
    """Return what writes the firmware of a changed manifest around the bundle's network, with the bundle's own kernels.

    Args:
        bundle: whose network, references and choice of kernels are kept.
        origin: the first comment of each file.

    Returns:
        A function from manifest to contents by name; None where the bundle has no firmware.
    """
    from edgehar.c_pipeline import FOLDER, is_streaming

    if not any(name.startswith(FOLDER) for name in bundle.manifest.files):
        return None

    def write(manifest: Manifest) -> Mapping[str, bytes]:
        from edgehar.cli.networks import integers_of
        from edgehar.references import find_references
        from firmware_export.targets.c import Optimize, write_firmware

        signs = {"har_mve.h": Optimize.MVE, "har_packed.h": Optimize.BALANCED, "har_dsp.h": Optimize.SPEED}
        files = bundle.manifest.files
        optimize = next((kind for header, kind in signs.items() if FOLDER + header in files), Optimize.SIZE)
        known, streaming = find_references(bundle), is_streaming(bundle)
        integers = integers_of(bundle)
        return write_firmware(manifest, integers, origin(manifest), optimize, known, streaming=streaming).files

    return write
