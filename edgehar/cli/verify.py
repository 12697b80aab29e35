"""``edgehar verify``: is every byte of a bundle as it was written, and who says so?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    from device_sim.__main__ import add_trust_options

    parser = subparsers.add_parser("verify", help="check hashes and signature of a bundle", description=__doc__)
    parser.add_argument("bundle", metavar="BUNDLE", help="packed file, bundle folder or zoo:NAME")
    add_trust_options(parser)
    parser.add_argument("--unpack", type=Path, metavar="DIR", help="write it as a folder, if it is in order")


def run(args: argparse.Namespace) -> int:
    """Verify; exit code 1 if something is wrong."""
    from edgehar.bundle import write_bundle
    from edgehar.signing import open_bundle

    bundle = open_bundle(args.bundle, args.key, args.min_release)
    package = bundle.package
    said = f"{len(bundle.manifest.files)} files as their manifest says"
    if package is not None:
        signature = package.signature
        who = "not signed" if signature is None else f"says it is signed with {signature.key_id}, not checked (--key)"
        who = f"signature of {args.key} in order" if args.key is not None else who
        said += f", release {package.release.version}, {who}"
    sys.stdout.write(f"{args.bundle}: {bundle.manifest.name} ({bundle.sha256}): {said}\n")
    if args.unpack is not None:
        files = {name: bundle.read(name) for name in bundle.manifest.files}
        write_bundle(args.unpack, bundle.manifest, files)
        sys.stdout.write(f"unpacked into {args.unpack}\n")
    return 0
