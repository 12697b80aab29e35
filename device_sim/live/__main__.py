"""``python -m device_sim.live BUNDLE [SOURCE]``: the device on samples that come in while it runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from device_sim.command_line import INTERRUPTED, Parser, answered
from device_sim.engines import DEFAULT_ENGINE, open_engine
from device_sim.live.page import Page
from device_sim.live.session import Session
from device_sim.live.sources import Source, line_source, played
from device_sim.live.terminal import Terminal
from device_sim.live.transports import TRANSPORTS
from device_sim.sources import golden_recording, read_csv
from edgehar.bundle import Bundle
from edgehar.errors import UsageError
from edgehar.files import output_file, write_json

WAVE_POINTS = 300


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    kinds = ", ".join(f"{kind}:..." for kind in TRANSPORTS)
    parser.add_argument("bundle", metavar="BUNDLE", help="folder NAME.edgehar, or zoo:NAME")
    parser.add_argument(
        "source",
        metavar="SOURCE",
        nargs="?",
        help=f"a recording NAME.csv played at its own pace, - for standard input, or {kinds} (default: the bundle's "
        "golden stream)",
    )
    parser.add_argument(
        "--engine", default=DEFAULT_ENGINE, metavar="E", help=f"interpreter (default: {DEFAULT_ENGINE})"
    )
    parser.add_argument("--columns", default="", metavar="NAMES", help="of lines without names: t_ms,acc_x,acc_y,...")
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="play a recording X times as fast")
    parser.add_argument("--resample", action="store_true", help="bring a recording with t_s to the bundle's rate")
    parser.add_argument("--browser", action="store_true", help="show a page at http://127.0.0.1:PORT/ instead")
    parser.add_argument("--port", type=int, default=8050, metavar="PORT", help="of the page (default: 8050; 0: any)")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="write the last view here")


def run(options: argparse.Namespace) -> int:
    """Listen until the source ends or Ctrl-C; returns the exit code.

    Raises:
        EdgeharError: bundle, engine or source failed.
    """
    bundle = Bundle.open(options.bundle)
    source = _source(options, bundle)
    session = Session(bundle, open_engine(options.engine, bundle), source)
    if options.browser:
        page = Page(options.port, session.labels, f"{bundle.manifest.name} live")
        print(f"watch {page.address}   (Ctrl-C ends)", flush=True)
    shown: Page | Terminal = page if options.browser else Terminal(sys.stdout)
    interrupted = False
    try:
        for _ in session.run():
            if shown.due():
                shown.show(session.view(WAVE_POINTS))
    except KeyboardInterrupt:
        interrupted = True
    finally:
        last = session.view(WAVE_POINTS)
        shown.close(last)
    if options.json is not None:
        write_json(options.json, {key: value for key, value in last.items() if key != "wave"})
    return INTERRUPTED if interrupted else 0


def _source(options: argparse.Namespace, bundle: Bundle) -> Source:
    if not 0 < options.speed < float("inf"):
        raise UsageError(f"--speed is {options.speed}, expected more than 0")
    if not 0 <= options.port < 65_536:
        raise UsageError(f"--port is {options.port}, expected 0..65535")
    spec: str | None = options.source
    manifest = bundle.manifest
    if spec is None:
        return played(golden_recording(bundle), manifest, options.speed)
    if spec != "-" and (":" not in spec or Path(spec).is_file()):
        return played(read_csv(Path(spec), manifest, options.resample), manifest, options.speed)
    return line_source(spec, manifest, tuple(name.strip() for name in options.columns.split(",") if name.strip()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, 1 failed, 2 called wrongly, 130 interrupted."""
    parser = Parser(prog="python -m device_sim.live", description=__doc__)
    add_options(parser)
    return answered(lambda: run(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
