"""``edgehar pack``: a bundle as one file, signed if a key is given; the same bytes each time."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edgehar.files import output_file


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("pack", help="make one signed file of a bundle", description=__doc__)
    parser.add_argument("bundle", metavar="BUNDLE", help="bundle folder or zoo:NAME")
    parser.add_argument(
        "-o", "--out", type=output_file, required=True, metavar="FILE", help="NAME-1.edgehar, for example"
    )
    parser.add_argument(
        "--release", type=int, required=True, metavar="N", help="counts up; devices refuse one lower than theirs"
    )
    parser.add_argument("--key", type=Path, metavar="KEY.pem", help="private key to sign with (edgehar keygen)")


def run(args: argparse.Namespace) -> int:
    """Pack; what was at ``--out`` is replaced whole or not at all."""
    from edgehar.bundle import Bundle
    from edgehar.files import sha256_bytes, write_atomic
    from edgehar.package import packed
    from edgehar.signing import sign

    bundle = Bundle.open(args.bundle)
    package = packed(bundle.manifest.name, args.release, bundle.sha256, bundle.contents())
    if args.key is not None:
        package = package.signed(sign(package.release, args.key))
    data = package.to_bytes()
    write_atomic(args.out, data)
    by = f"signed with key {package.signature.key_id}" if package.signature is not None else "not signed"
    sys.stdout.write(
        f"{args.out}: {bundle.manifest.name}, release {args.release}, {by}, {len(data):,} bytes, "
        f"SHA-256 {sha256_bytes(data)}\n"
    )
    return 0
