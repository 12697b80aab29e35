"""``edgehar keygen``: a key pair to sign packed bundles with."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("keygen", help="make a key pair to sign bundles with", description=__doc__)
    parser.add_argument("key", metavar="KEY.pem", type=Path, help="private key to write; KEY.pub.pem is put beside it")


def run(args: argparse.Namespace) -> int:
    """Write the pair; never over another."""
    from edgehar.signing import write_new_key

    public = write_new_key(args.key)
    sys.stdout.write(f"{args.key}: private, not encrypted; keep it off the device\n{public}: public, for the devices\n")
    return 0
