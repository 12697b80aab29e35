"""The ``edgehar`` command: one file a subcommand; each parses, calls the library, and prints.

Exit codes: 0 done, 1 failed, 2 called wrongly, 130 stopped by Ctrl-C. An error is one line on stderr.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
from collections.abc import Sequence

from edgehar import __version__
from edgehar.errors import EdgeharError

# In the order of the work. Each module has add_parser(subparsers) and run(args) -> exit code, and imports what is
# heavy (torch, rich, an interpreter) only when it runs.
COMMANDS = (
    "run", "data", "init", "train", "crossval", "export", "sensitivity", "decide", "simulate", "stress", "fleet",
    "enroll", "live", "profile", "report", "compare", "check", "keygen", "pack", "verify", "update", "zoo", "doctor",
)  # fmt: skip


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands."""
    parser = argparse.ArgumentParser(
        prog="edgehar",
        description="Train a HAR model, quantize it once, and prove it sample by sample on the device's interpreter.",
    )
    parser.add_argument("--version", action="version", version=f"edgehar {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        importlib.import_module(f"edgehar.cli.{name}").add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        args = build_parser().parse_args(argv)
        return int(importlib.import_module(f"edgehar.cli.{args.command}").run(args))
    except EdgeharError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("stopped by Ctrl-C; what was there before is unchanged", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; nothing more to say
        return 0
    except OSError as error:
        return _fail(_describe(error), 1)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("edgehar", "firmware_export", "device_sim"):
            raise
        return _fail(_which_extra(error.name or ""), 1)


def _which_extra(module: str) -> str:
    from edgehar.cli.doctor import NEEDS

    extra = next((need.extra for need in NEEDS if need.module == module.partition(".")[0]), "all")
    return (
        f"the package {module!r} is not installed here; install it with: pip install 'edgehar[{extra}]', or everything "
        "with: pip install 'edgehar[all]'"
    )


def _describe(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    advice = {
        errno.ENOSPC: "free some space and run the command again",
        errno.EDQUOT: "free some space and run the command again",
        errno.EACCES: "choose a folder you may write to",
        errno.EROFS: "choose a folder you may write to",
        errno.EPERM: "choose a folder you may write to",
        errno.EEXIST: "a part of this path is a file, not a folder; choose another path",
        errno.ENOTDIR: "a part of this path is a file, not a folder; choose another path",
    }.get(error.errno or 0, "check the path and run the command again")
    return f"{place}{error.strerror or error}; {advice}; nothing that was there before has changed"


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"edgehar: error: {' '.join(message.split())}\n")
    return code
