"""Does this engine on this computer reproduce the golden stream that the exporter put into the bundle?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.engines import ENGINES
from device_sim.sources import golden_arrays, stream_of
from edgehar.bundle import Bundle
from edgehar.errors import EngineError
from edgehar.signal import sliding_windows

# In a bundle's evidence some engines have the name of the verification's run that stands for them.
VERIFIED_AS = {"litert_ref": "litert_reference", "tflite_runtime": "litert"}
FLOAT_BOUND_SD = 0.2  # where a bundle does not say, of its float outputs


@dataclass(frozen=True)
class GoldenCheck:
    """Comparison with ``golden.npz``.

    Attributes:
        windows: compared.
        equal: windows with all logits equal, bit for bit.
        largest: largest difference of a logit.
        bound: what the engine is allowed: what the exporter allowed it, else what ``ENGINES`` says.
        unit: of both: ``LSB`` of integer logits, ``sd`` (standard deviations of the golden logits) of float ones.
        features_equal: the front end gave the golden features, bit for bit.
    """

    windows: int
    equal: int
    largest: float
    bound: float
    unit: str
    features_equal: bool

    @property
    def passed(self) -> bool:
        """Features exact, outputs within the bound."""
        return self.features_equal and self.largest <= self.bound


def check_golden(
    bundle: Bundle, engine: str, outputs: NDArray[Any], others: Sequence[NDArray[Any]] = ()
) -> GoldenCheck:
    """Compare the outputs ``[N, K]`` of the golden stream's first N windows with the golden ones.

    Args:
        bundle: holds them.
        engine: key of ``ENGINES``.
        outputs: of the first head.
        others: of the outputs after it, if they are to be compared too.

    Raises:
        EngineError: there are more windows than golden ones, or none.
        BundleError: the bundle has no golden stream.
    """
    arrays = golden_arrays(bundle)
    manifest = bundle.manifest
    every = [outputs, *others]
    count = len(outputs)
    equal, largest = np.ones(count, bool), 0.0
    for index, found in enumerate(every):
        golden = stream_of(arrays, "outputs", index)
        if not 0 < count <= len(golden) or golden.shape[1:] != found.shape[1:]:
            raise EngineError(
                f"engine {engine}: outputs {found.shape} on the golden stream, {bundle.path} holds {golden.shape}; "
                "replay at least one window of the golden stream itself"
            )
        difference = np.abs(found.astype(np.float64) - golden[:count])
        equal &= (difference == 0).all(axis=1)
        step = float(golden.std()) or 1.0 if manifest.outputs[index].quant.dtype == "float32" else 1.0
        largest = max(largest, float(difference.max()) / step)
    windows = sliding_windows(manifest.front_end.run(arrays["stream_samples"]), manifest.window, manifest.hop)
    tensors = [each.quant.quantize(each.tensor(windows)) for each in manifest.inputs]
    bound, unit = _bound(bundle, engine)
    return GoldenCheck(
        windows=count,
        equal=int(equal.sum()),
        largest=largest,
        bound=bound,
        unit=unit,
        features_equal=all(np.array_equal(x, stream_of(arrays, "windows", i)) for i, x in enumerate(tensors)),
    )


def _bound(bundle: Bundle, engine: str) -> tuple[float, str]:
    """What the exporter's verification allowed this engine on this network, and the unit."""
    floats = bundle.manifest.heads[0].quant.dtype == "float32"
    key, default = ("bound_sd", FLOAT_BOUND_SD) if floats else ("bound_lsb", ENGINES[engine].golden_lsb)
    rows = bundle.manifest.provenance.get("verification", {}).get("engines", [])
    stated = {row.get("engine"): row.get(key) for row in rows}.get(VERIFIED_AS.get(engine, engine))
    return (default if stated is None else stated), key.removeprefix("bound_").replace("lsb", "LSB")
