"""A torch module to a float ``.tflite`` with litert-torch: the other way in, for layers that our ONNX reader lacks."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgehar.errors import ExportError, MissingExtraError

if TYPE_CHECKING:
    import torch


def export_litert(module: torch.nn.Module, examples: Sequence[torch.Tensor]) -> bytes:
    """Return the float ``.tflite`` of a module.

    Args:
        module: takes ``[N, T, C]`` float32, or several tensors, one an argument; put into evaluation mode meanwhile.
        examples: ``[1, T, C]``, one an input.

    Raises:
        MissingExtraError: litert-torch is not installed.
        ExportError: it cannot follow the module; carries its first line.
    """
    try:
        import litert_torch  # noqa: PLC0415 (2 GB and nine seconds, on demand)
    except ImportError:
        raise MissingExtraError("litert-torch", "litert", "the converter 'litert'") from None
    training = {name: part.training for name, part in module.named_modules()}
    module.eval()
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.tflite"
            litert_torch.convert(module, tuple(examples)).export(str(path))
            return path.read_bytes()
    except Exception as error:  # torch.export and the lowering raise dozens of types
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ExportError(f"litert-torch cannot convert {type(module).__name__}: {reason[0]}") from error
    finally:
        for name, part in module.named_modules():
            part.training = training[name]
