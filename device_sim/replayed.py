"""Which recordings a run replayed, so that another can tell whether it saw the same: names, people and a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgehar.recording import Recording


def replayed(recordings: Sequence[Recording]) -> list[dict[str, Any]]:
    """Return name, subject, number of samples and SHA-256 of each recording as it came, before any bundle fits it."""
    return [
        {"recording": r.name, "subject": r.subject, "samples": len(r.samples), "sha256": _sha256(r)} for r in recordings
    ]


def _sha256(recording: Recording) -> str:
    """Hash of samples, labels and what they mean; not of source and licence, which are words about them."""
    labels = None if recording.labels is None else recording.label_names
    meaning = [recording.rate_hz, [str(channel) for channel in recording.channels], recording.samples.shape, labels]
    digest = hashlib.sha256(json.dumps(meaning).encode())
    digest.update(np.ascontiguousarray(recording.samples, "<f4").data)
    if recording.labels is not None:
        digest.update(np.ascontiguousarray(recording.labels, "<i2").data)
    return digest.hexdigest()
