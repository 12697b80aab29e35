"""A stranger's ``.tflite`` in the interpreters, in a process of its own: a damaged file may bring native code down.

The child is ``python -m firmware_export.source_runner FOLDER`` with ``model.tflite`` and ``inputs.npz`` there. It
leaves ``ENGINE.npz`` with outputs, or ``ENGINE.txt`` with the reason, for each engine that it came to.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_export.tflite_reader import read_tflite
from firmware_export.verify import Candidate, run_litert_default, run_litert_reference, run_tflm

SECONDS = 300  # for all engines together
ENGINES: Mapping[str, Callable[[Candidate, tuple[NDArray[Any], ...]], tuple[NDArray[Any], ...]]] = {
    "tflm": run_tflm,
    "litert_reference": run_litert_reference,
    "litert": run_litert_default,
}

Outputs = tuple[NDArray[Any], ...]


def run_engines(data: bytes, windows: tuple[NDArray[Any], ...]) -> dict[str, Outputs | str]:
    """Return each engine's outputs ``[N, ...]``, or why it has none.

    Args:
        data: a ``.tflite`` that our reader takes.
        windows: ``[N, ...]`` of each input in the file's own types and shapes, batch 1 left out.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.tflite").write_bytes(data)
        np.savez(folder / "inputs.npz", *windows)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-m", __name__, name]
        try:
            done = subprocess.run(command, env=environment, capture_output=True, timeout=SECONDS, check=False)
            ended = f"the interpreter's process ended with {done.returncode}"
        except subprocess.TimeoutExpired:
            ended = f"the interpreters did not end within {SECONDS} s"
        return {engine: _left(folder, engine, ended) for engine in ENGINES}


def _left(folder: Path, engine: str, ended: str) -> Outputs | str:
    outputs, reason = folder / f"{engine}.npz", folder / f"{engine}.txt"
    if outputs.is_file():
        with np.load(outputs, allow_pickle=False) as stored:
            return tuple(stored[f"arr_{i}"] for i in range(len(stored.files)))
    return reason.read_text("utf-8") if reason.is_file() else ended


def main(folder: Path) -> None:
    """Run every engine; be the child."""
    data = (folder / "model.tflite").read_bytes()
    candidate = Candidate(read_tflite(data), data, None)
    with np.load(folder / "inputs.npz", allow_pickle=False) as stored:
        windows = tuple(stored[f"arr_{i}"] for i in range(len(stored.files)))
    for engine, run in ENGINES.items():
        try:
            outputs = run(candidate, windows)
        except Exception as error:  # interpreters raise whatever their native code and flatbuffers do
            (folder / f"{engine}.txt").write_text(" ".join(str(error).split())[:200] or type(error).__name__, "utf-8")
            continue
        partial = folder / f"{engine}.part.npz"
        np.savez(partial, *outputs)
        partial.rename(folder / f"{engine}.npz")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
