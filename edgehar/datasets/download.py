"""Fetch one file over HTTPS: whole or not at all, bounded in size and in waiting."""

from __future__ import annotations

import contextlib
import hashlib
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from edgehar.errors import DataError
from edgehar.files import beside

SIZE_LIMIT = 256 << 20  # bytes; UCI HAR, the largest here, has 60 MB
TIMEOUT_S = 30.0  # of silence, not of the whole transfer
_BLOCK = 1 << 18


def download(url: str, path: Path, progress: Callable[[int, int], None], sha256: str = "") -> str:
    """Write what ``url`` serves to ``path`` and return its SHA-256; ``path`` is untouched when anything fails.

    Args:
        url: ``https://`` address.
        path: where the file goes.
        progress: called with bytes so far and bytes in all (0 when the server does not say).
        sha256: 64 hex digits the file must have; empty accepts any.

    Raises:
        DataError: no connection, an HTTP error, a truncated or oversized answer, another SHA-256, or a folder that
            cannot be written.
    """
    if urllib.parse.urlsplit(url).scheme != "https":
        raise ValueError(f"{url}: expected an https address")
    by_hand = "fetch it by hand and pass it with --from, or put it in the folder that EDGEHAR_DATA names"
    request = urllib.request.Request(url, headers={"User-Agent": "edgehar"})
    temporary = beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as out, urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            if urllib.parse.urlsplit(answer.url).scheme != "https":
                raise DataError(f"{url} leads to {answer.url}, which is not https; {by_hand}")
            total = int(answer.headers.get("Content-Length") or 0)
            found, done = hashlib.sha256(), 0
            while block := answer.read(_BLOCK):
                done += len(block)
                if done > SIZE_LIMIT:
                    raise DataError(f"{url} serves more than {SIZE_LIMIT} bytes; this is not the expected file")
                found.update(block)
                out.write(block)
                progress(done, total)
            if done < total:
                raise DataError(f"{url}: the connection ended after {done} of {total} bytes; try again, or {by_hand}")
            out.flush()
            os.fsync(out.fileno())
        if sha256 and found.hexdigest() != sha256.lower():
            raise DataError(f"{url} serves SHA-256 {found.hexdigest()}, expected {sha256.lower()}; nothing was kept")
        temporary.chmod(0o644)
        temporary.replace(path)
        return found.hexdigest()
    except urllib.error.URLError as error:
        raise DataError(f"{url} cannot be reached ({error.reason}); check the network, or {by_hand}") from error
    except (HTTPException, OSError, ValueError) as error:
        raise DataError(f"{url} could not be saved to {path} ({error}); try again, or {by_hand}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
