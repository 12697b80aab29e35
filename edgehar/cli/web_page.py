"""``edgehar export BUNDLE --target web``: one HTML file that runs the bundle's firmware in a browser."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

HOW = "edgehar export BUNDLE --target web --out PAGE.html"


def export_page(args: argparse.Namespace, targets: Sequence[str]) -> int:
    """Build the page, check its module, write it.

    Raises:
        UsageError: the options are not those of a page.
        EngineError: the bundle has no C sources, or the compiler refuses them.
        MissingExtraError: compiler or wasmtime are not installed.
        VerificationError: the module does not give the golden outputs; nothing is written.
    """
    from rich.console import Console

    from device_sim.sources import golden_arrays, stream_of
    from edgehar.bundle import Bundle
    from edgehar.c_pipeline import firmware_files
    from edgehar.errors import UsageError
    from edgehar.files import write_atomic, write_json
    from firmware_export.targets.web import write_page
    from firmware_export.verify_web import verify_page

    if list(targets) != ["web"] or args.run is None or args.out.suffix != ".html":
        raise UsageError(f"a page is made of a bundle and has no other formats beside it: {HOW}")
    if args.foreign or args.calibration or args.slim or args.streaming or args.hop is not None:
        raise UsageError(f"--from, --calibration, --slim, --streaming and --hop make bundles; a page takes none: {HOW}")
    bundle = Bundle.open(str(args.run))
    files, arrays = firmware_files(bundle), golden_arrays(bundle)
    logits = [stream_of(arrays, "outputs", i) for i in range(len(bundle.manifest.heads))]
    page = write_page(bundle.manifest, files, arrays["stream_samples"], logits)
    windows = verify_page(page, arrays["stream_samples"], logits)
    write_atomic(args.out, page.html)
    facts = {
        "bundle_sha256": bundle.sha256,
        "page_bytes": len(page.html),
        "module_bytes": len(page.module),
        "windows": windows,
    }
    Console().print(
        f"{args.out}: {len(page.html):,} B, of it {len(page.module):,} B of WebAssembly before base64; "
        f"{windows} golden windows bit for bit. Phones give their sensors to pages from https:// alone.",
        highlight=False,
    )
    if args.json:
        write_json(args.json, facts)
    return 0
