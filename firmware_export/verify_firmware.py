"""The firmware on the held-out recordings, sample by sample: windows and logits must be the reference's.

What comes after the logits is compared with the device simulator by ``device_sim.firmware``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgehar.c_compiler import find_compiler
from edgehar.c_pipeline import CPipeline, raw_outputs
from edgehar.errors import VerificationError
from edgehar.manifest import Manifest
from firmware_export.verify import Bound, EngineReport, Outputs, compare

ENGINE = "c_native"
BOUND = Bound(0, 1.0, "our C computes the reference's bits")


def verify_firmware(
    files: Mapping[str, bytes],
    manifest: Manifest,
    recordings: Sequence[NDArray[np.float32]],
    windows: Outputs,
    expected: Outputs,
) -> EngineReport:
    """Compile the firmware, stream the recordings through it, and compare every window.

    Args:
        files: of ``firmware/``.
        manifest: of the bundle.
        recordings: raw samples ``[T, C]`` of each.
        windows: int8 of each input for all windows of all recordings, ``[N, ...]``.
        expected: the reference's logits ``[N, K]`` of each head, then the embedding ``[N, E]`` if there is one.

    Returns:
        The report; with no windows in it where this computer has no C compiler.

    Raises:
        VerificationError: a bit differs.
        EngineError: the compiler refuses the files.
    """
    compiler = find_compiler()
    if compiler is None:
        return EngineReport(ENGINE, 0, 0, 0.0, 0.0, 0)
    pipeline = CPipeline(files, compiler)
    context = pipeline.context(manifest.heads)
    parts = []
    for samples in recordings:
        context.reset()
        parts.append(context.replay(samples, windows=True))
    found = np.concatenate([part.windows for part in parts if part.windows is not None])
    different = (found != pipeline.held(windows)).any(axis=1)
    if different.any():
        raise VerificationError(
            f"engine {ENGINE!r}: {int(different.sum())} of {len(found)} windows differ from the front end's, the first "
            f"is window {int(different.argmax())}; {compiler.command[0]} {compiler.version} may not round as IEEE 754"
        )
    outputs = raw_outputs(np.concatenate([part.decisions for part in parts]))
    kinds = [(head.kind, head.quant.zero_point) for head in manifest.heads]
    if manifest.embedding is not None:
        kinds.append(("embedding", manifest.embedding.quant.zero_point))
    return compare(ENGINE, BOUND, expected, tuple(outputs), kinds)
