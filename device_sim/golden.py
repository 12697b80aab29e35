"""Does this engine on this computer reproduce the golden stream that the exporter put into the bundle?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device_sim.engines import ENGINES
from device_sim.sources import golden_arrays, stream_of
from edgehar.bundle import Bundle
from edgehar.errors import EngineError
from edgehar.signal import sliding_windows


@dataclass(frozen=True)
class GoldenCheck:
    """Comparison with ``golden.npz``.

    Attributes:
        windows: compared.
        equal: windows with all logits equal, bit for bit.
        max_lsb: largest difference of an int8 logit.
        bound_lsb: what the engine is allowed (``ENGINES``).
        features_equal: the front end gave the golden features, bit for bit.
    """

    windows: int
    equal: int
    max_lsb: int
    bound_lsb: int
    features_equal: bool

    @property
    def passed(self) -> bool:
        """Features exact, outputs within the bound."""
        return self.features_equal and self.max_lsb <= self.bound_lsb


def check_golden(
    bundle: Bundle, engine: str, outputs: NDArray[np.int8], others: Sequence[NDArray[np.int8]] = ()
) -> GoldenCheck:
    """Compare the outputs ``[N, K]`` of the golden stream's first N windows with the golden ones.

    Args:
        bundle: holds them.
        engine: key of ``ENGINES``.
        outputs: of the first head.
        others: of the heads after it, if they are to be compared too.

    Raises:
        EngineError: there are more windows than golden ones, or none.
        BundleError: the bundle has no golden stream.
    """
    arrays = golden_arrays(bundle)
    golden = np.concatenate([stream_of(arrays, "outputs", i) for i in range(1 + len(others))], axis=1)
    outputs = np.concatenate([outputs, *others], axis=1)
    count = len(outputs)
    if not 0 < count <= len(golden) or golden.shape[1:] != outputs.shape[1:]:
        raise EngineError(
            f"engine {engine}: outputs {outputs.shape} on the golden stream, {bundle.path} holds {golden.shape}; "
            "replay at least one window of the golden stream itself"
        )
    difference = np.abs(outputs.astype(np.int16) - golden[:count].astype(np.int16))
    manifest = bundle.manifest
    windows = sliding_windows(manifest.front_end.run(arrays["stream_samples"]), manifest.window, manifest.hop)
    tensors = [each.quant.quantize(each.tensor(windows)) for each in manifest.inputs]
    return GoldenCheck(
        windows=count,
        equal=int((difference == 0).all(axis=1).sum()),
        max_lsb=int(difference.max()),
        bound_lsb=ENGINES[engine].golden_lsb,
        features_equal=all(np.array_equal(x, stream_of(arrays, "windows", i)) for i, x in enumerate(tensors)),
    )
