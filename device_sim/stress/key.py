"""What a result depends on besides its fault: a cell that was finished under another key is another result."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import device_sim
import edgehar.signal
from edgehar.bundle import Bundle
from edgehar.files import sha256_bytes
from edgehar.recording import Recording


@dataclass(frozen=True)
class StressKey:
    """Bundle, recordings and code of a matrix.

    Attributes:
        bundle_sha256: of everything in it.
        recordings_sha256: names, rates, samples and labels, in order.
        code_sha256: of the simulator's and the front end's sources.
    """

    bundle_sha256: str
    recordings_sha256: str
    code_sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)


def key_of(bundle: Bundle, recordings: Sequence[Recording]) -> StressKey:
    """Return the key of a bundle on some recordings, by the code that is here."""
    return StressKey(bundle.sha256, _recordings_sha256(recordings), _code_sha256())


def _recordings_sha256(recordings: Sequence[Recording]) -> str:
    digest = hashlib.sha256()
    for r in recordings:
        facts = (r.name, r.subject, r.rate_hz, r.channels, r.samples.shape, r.label_names, r.labels is None)
        digest.update(repr(facts).encode())
        digest.update(r.samples.tobytes())
        if r.labels is not None:
            digest.update(r.labels.tobytes())
    return digest.hexdigest()


def _code_sha256() -> str:
    folders = [Path(package.__file__ or "").parent for package in (device_sim, edgehar.signal)]
    paths = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return sha256_bytes(b"".join(path.name.encode() + path.read_bytes() for path in paths))
