"""How the commands of this package answer: one line for whatever went wrong, and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

from edgehar.errors import EdgeharError, UsageError

INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class Parser(argparse.ArgumentParser):
    """Reports in the one line that all errors of edgehar have."""

    def error(self, message: str) -> Any:
        """Raise what :func:`answered` prints."""
        raise UsageError(f"{message}; see {self.prog} --help")


def answered(work: Callable[[], int]) -> int:
    """Do the work; return its exit code, or 1 if it failed, 2 if it was called wrongly, 130 if interrupted."""
    try:
        code = work()
        sys.stdout.flush()
        return code
    except EdgeharError as error:
        return _fail(f"error: {error}", error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # the reader left (``| head``); without this Python complains once more when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(f"error: {error.filename or ''}: {error.strerror or error}", 1)


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"edgehar: {message}\n")
    return code
