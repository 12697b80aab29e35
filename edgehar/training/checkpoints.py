"""Checkpoints that a kill at any moment leaves whole.

Lightning writes into the system's temporary folder and moves the file from there. To another file system that is a
copy, not a rename: killed in the middle of it, the only checkpoint is half of one.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from edgehar.files import write_atomic


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside the old one, and then in its place."""

    def save_checkpoint(self, checkpoint: Mapping[str, Any], path: str | Path, storage_options: object = None) -> None:
        """Write it; ``storage_options`` are for other stores than files."""
        del storage_options
        stream = io.BytesIO()
        torch.save(checkpoint, stream)
        write_atomic(Path(path), stream.getvalue())
