"""A torch module to ONNX with PyTorch's own exporter. The only file of this package that touches torch."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from edgehar.errors import ExportError, MissingExtraError

if TYPE_CHECKING:
    import torch

OPSET = 20
INPUT, OUTPUT = "features", "logits"


def export_onnx(
    module: torch.nn.Module,
    example_input: torch.Tensor | Sequence[torch.Tensor],
    outputs: Sequence[str] = (OUTPUT,),
    inputs: Sequence[str] = (INPUT,),
) -> bytes:
    """Return the float ONNX file of a module; the same module gives the same bytes.

    Batch norm is folded, the batch is fixed at 1, and nothing of this machine (paths, stack traces) stays inside.
    The module is put into evaluation mode for the export and back into its own afterwards.

    Args:
        module: takes ``[N, T, C]`` float32 (its first line transposes if it has to), or several tensors, one an
            argument; returns logits ``[N, K]``, or a tuple of them.
        example_input: ``[N, T, C]``, one an input where there are several; the first window is used.
        outputs: name of each output, in order.
        inputs: name of each input, in order.

    Raises:
        MissingExtraError: torch or onnxscript is not installed.
        ExportError: the exporter cannot follow the module; carries its first line.
    """
    try:
        import onnxscript  # noqa: F401, PLC0415 (torch.onnx asks for it late and with a long traceback)
        import torch  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(error.name or "torch", "export", "exporting a torch module to ONNX") from None
    if taken := set(inputs) & set(outputs):
        raise ExportError(f"an output is called {min(taken)!r}, which is an input's name; give that head another name")
    given = [example_input] if isinstance(example_input, torch.Tensor) else example_input
    # a copy with plain strides: the exporter specialises on those of the example
    examples = tuple(x[:1].detach().clone(memory_format=torch.contiguous_format) for x in given)
    training = {name: part.training for name, part in module.named_modules()}
    module.eval()
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                module,
                examples,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(inputs),
                output_names=list(outputs),
                verbose=False,
            )
    except Exception as error:  # torch.export raises dozens of types, many of them private
        reason = str(error).strip().splitlines() or [type(error).__name__]
        shapes = ", ".join(str(list(x.shape)) for x in examples)
        raise ExportError(f"torch cannot export {type(module).__name__} for input {shapes}: {reason[0]}") from error
    finally:
        for name, part in module.named_modules():
            part.training = training[name]
    if program is None:
        raise ExportError(f"torch exported nothing for {type(module).__name__}")
    return _anonymous(program.model_proto)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's progress log and the deprecation warnings of its own internals."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _anonymous(model: object) -> bytes:
    """Return the serialized model without stack traces and with node names that count from 0.

    The exporter numbers some nodes from a counter of the process, so a second export would differ.
    """
    import onnx  # noqa: PLC0415

    assert isinstance(model, onnx.ModelProto)
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:]
    model.doc_string = graph.doc_string = ""
    for index, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{index}"
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.doc_string = ""
        del value.metadata_props[:]
    return bytes(model.SerializeToString(deterministic=True))
