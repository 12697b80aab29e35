"""``edgehar live``: the device on samples that come in while it runs, in the terminal or in a browser."""

from __future__ import annotations

import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    from device_sim.live.__main__ import add_options

    add_options(subparsers.add_parser("live", help="listen to a sensor, a socket or a file", description=__doc__))


def run(args: argparse.Namespace) -> int:
    """Listen until the source ends."""
    from device_sim.live.__main__ import run as run_live

    return run_live(args)
