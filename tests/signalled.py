"""``edgehar`` in a process that gets a signal at an exact place, however busy the computer is."""

from __future__ import annotations

import signal
import subprocess
import sys

PROGRAM = """
import os, re, sys

number, place, left = int(sys.argv[1]), re.compile(sys.argv[2]), int(sys.argv[3])

def watch(event, details):
    global left
    if left and (event == "open" or event.startswith("os.")) and place.search(" ".join(map(str, (event, *details)))):
        left -= 1
        if not left:
            os.kill(os.getpid(), number)

sys.addaudithook(watch)

from edgehar.cli import main

sys.exit(main(sys.argv[4:]))
"""


def run_signalled(
    number: signal.Signals, place: str, count: int, *arguments: object
) -> subprocess.CompletedProcess[str]:
    """Run a command; as it is about to do what ``place`` says for the ``count``-th time, it sends itself a signal.

    Args:
        number: which one.
        place: regular expression on an audit event of the interpreter and its details, as ``os.rename .* /a/b.json``.
        count: from 1.
        arguments: of ``edgehar``.
    """
    command = [sys.executable, "-c", PROGRAM, str(int(number)), place, str(count), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
