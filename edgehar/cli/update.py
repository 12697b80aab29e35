"""``edgehar update``: a packed bundle into the flash of a simulated device, with power cuts where they are wanted."""

from __future__ import annotations

import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    from device_sim.update.__main__ import add_options

    add_options(subparsers.add_parser("update", help="install a package in a device's flash", description=__doc__))


def run(args: argparse.Namespace) -> int:
    """Install, boot, and say what runs."""
    from device_sim.update.__main__ import run as run_update

    return run_update(args)
