"""``har_model.c`` and ``har_model.h``: a quantized graph as C99 functions, one a layer, and one that calls them."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources

import numpy as np

from edgehar.c_pipeline import Streaming
from edgehar.errors import UnsupportedOpError
from firmware_export.graph import Graph, Value
from firmware_export.ops import node_macs
from firmware_export.ops.lstm import sigmoids
from firmware_export.targets.c.fast import FAST_EMITTERS, OTHER_CORES, PACKED_EMITTERS
from firmware_export.targets.c.layer import Kernel, Layer, layers, of_shape
from firmware_export.targets.c.memory import MemoryPlan, Place, is_view, plan_memory
from firmware_export.targets.c.mve import MVE_EMITTERS
from firmware_export.targets.c.ops import EMITTERS
from firmware_export.targets.c.streaming import Stream
from firmware_export.targets.c.text import array, comment, comment_lines, definition, identifier, string
from firmware_export.targets.target import no_emitter

SIGMOIDS = "har_sigmoids.c"
SIGMOID_BYTES = 512
INDENT = "    "


@dataclass(frozen=True)
class LayerFunction:
    """The C function of one layer, as a profiler finds it in the symbols of an image."""

    function: str
    name: str
    op: str
    macs: int


@dataclass(frozen=True)
class Network:
    """A network in C.

    Attributes:
        files: contents by name.
        arena_bytes: of working memory, the caller's.
        weight_bytes: of constants.
        name: of the files, and what every public C name begins with.
        input_bytes, output_bytes: of each parameter of ``{name}_run``, in order.
        layers: in running order; a layer that only renames bytes has no function.
        streaming: how it is fed; None where it is given whole windows.
        kept_bytes: of the arena, from its start, what stays from run to run.
    """

    files: Mapping[str, bytes]
    arena_bytes: int
    weight_bytes: int
    name: str
    input_bytes: tuple[int, ...]
    output_bytes: tuple[int, ...]
    layers: tuple[LayerFunction, ...]
    streaming: Streaming | None = None
    kept_bytes: int = 0


class Optimize(StrEnum):
    """What kernels are chosen for."""

    SIZE = "size"  # least flash and RAM
    BALANCED = "balanced"  # nearly as few instructions as for speed, nearly as little flash as for size
    SPEED = "speed"  # fewest instructions on a core with the DSP extension
    MVE = "mve"  # fewest instructions on a core with vectors of 16 bytes: Cortex-M52, M55, M85


# Kernels that are tried before the plain ones, in this order.
SPECIAL: Mapping[Optimize, Sequence[Mapping[str, Callable[[Layer], Kernel | None]]]] = {
    Optimize.SIZE: (),
    Optimize.BALANCED: (PACKED_EMITTERS,),
    Optimize.SPEED: (FAST_EMITTERS,),
    Optimize.MVE: (MVE_EMITTERS, FAST_EMITTERS),  # these cores have the DSP extension too
}


def write_network(
    graph: Graph | Stream, name: str = "har_model", origin: str = "edgehar", optimize: Optimize = Optimize.SIZE
) -> Network:
    """Return the C99 sources of a quantized graph.

    Args:
        graph: int8 activations and weights, int32 biases; or what runs of such a graph every hop.
        name: of the files, and what every public C name begins with.
        origin: what the network was made from, for the first comment.
        optimize: what kernels are chosen for; the outputs are the same.

    Raises:
        UnsupportedOpError: an op has no emitter, or activations are not int8; names it and the node.
        ExportError: sums do not fit into int32.
    """
    graph, hops = (graph.graph, graph) if isinstance(graph, Stream) else (graph, None)
    kept = {} if hops is None else hops.kept
    every = layers(graph)
    kernels = {layer.node.output: _kernels(layer, optimize) for layer in every if not is_view(graph, layer.node)}
    plan = plan_memory(graph, {key: _scratch_bytes(choices) for key, choices in kernels.items()}, kept)
    arena_bytes = max(plan.arena_bytes, 8)
    headers = sorted({"har_fixed_point.h", *(h for choices in kernels.values() for k in choices for h in k.headers)})
    tables = {SIGMOIDS: _sigmoid_file()} if "har_lstm.h" in headers else {}
    weight_bytes = sum(map(_weight_bytes, kernels.values())) + (SIGMOID_BYTES if tables else 0)
    functions = "\n".join(
        _function(layer, kernels[layer.node.output]) for layer in every if layer.node.output in kernels
    )
    source = f"""/* {comment_lines(origin)} */
#include "{name}.h"

#include <string.h>

{"".join(f'#include "{header}"{chr(10)}' for header in headers)}
{functions}
{_signature(graph, name)}
{{
{_calls(graph, every, kernels, plan, kept)}
}}
"""
    files = {
        f"{name}.c": source.encode(),
        f"{name}.h": _header(
            graph,
            name,
            origin,
            hops,
            arena_bytes=arena_bytes,
            kept_bytes=plan.kept_bytes,
            weight_bytes=weight_bytes,
        ).encode(),
        **{header: runtime(header) for header in headers},
        **tables,
    }
    return Network(
        files,
        arena_bytes,
        weight_bytes,
        name,
        tuple(_size(graph.values[i]) for i in graph.inputs),
        tuple(_size(graph.values[o]) for o in graph.outputs),
        _layer_functions(graph),
        None if hops is None else hops.feeding,
        plan.kept_bytes,
    )


def _kernels(layer: Layer, optimize: Optimize) -> list[Kernel]:
    """The kernels of a layer: one, or one for some cores and one for the others."""
    emitter = EMITTERS.get(layer.node.op)
    if emitter is None:
        raise no_emitter("c", layer.node, EMITTERS)
    activations = [value for value in (*layer.inputs, layer.outputs[0]) if value.data is None]
    for value in activations:
        if value.dtype != "int8":
            raise UnsupportedOpError(
                f"target 'c': node {layer.node.name!r} ({layer.node.op}) works on {value.dtype} activations "
                f"({value.name!r}), expected int8; choose the recipe static_wi8_ai8"
            )
    for emitters in SPECIAL[optimize]:
        special = emitters.get(layer.node.op)
        kernel = None if special is None else special(layer)
        if kernel is not None:
            others = OTHER_CORES.get(layer.node.op, emitter)
            return [kernel, others(layer)] if kernel.condition else [kernel]
    return [emitter(layer)]


def _scratch_bytes(choices: Sequence[Kernel]) -> int:
    return max(0 if kernel.scratch is None else kernel.scratch.size for kernel in choices)


def _weight_bytes(choices: Sequence[Kernel]) -> int:
    return max(sum(data.nbytes for data in kernel.constants.values()) for kernel in choices)


def _function(layer: Layer, choices: Sequence[Kernel]) -> str:
    sources = [value for value in layer.inputs if value.data is None]
    title = f"{layer.node.name}: {layer.node.op}, {of_shape(sources)} to {of_shape(layer.outputs[:1])}"
    if len(choices) == 1:
        (kernel,) = choices
        scratch = [] if kernel.scratch is None else [f"int{kernel.scratch.bits}_t *{kernel.scratch.name}"]
        return _definition(layer, kernel, title, scratch, kernel.body)
    scratch = ["void *scratch"] if _scratch_bytes(choices) else []
    special, other = (_definition(layer, kernel, title, scratch, _of_scratch(kernel, choices)) for kernel in choices)
    return f"#if {choices[0].condition}\n{special}\n#else\n{other}\n#endif\n"


def _of_scratch(kernel: Kernel, choices: Sequence[Kernel]) -> str:
    """The body of a kernel whose scratch is a parameter that another kernel of the layer has, too."""
    if kernel.scratch is not None:
        return f"int{kernel.scratch.bits}_t *{kernel.scratch.name} = scratch;\n{kernel.body}"
    return f"(void)scratch;\n{kernel.body}" if _scratch_bytes(choices) else kernel.body


def _definition(layer: Layer, kernel: Kernel, title: str, scratch: list[str], body: str) -> str:
    constants = "\n".join(array(f"{layer.prefix}_{end}", data) for end, data in kernel.constants.items())
    parameters = [*(f"const int8_t *{name}" for name in kernel.reads), "int8_t *y", *scratch]
    return f"""{constants}
{kernel.functions}
/* {comment(title)} */
HAR_LAYER static void {layer.prefix}({", ".join(parameters)})
{{
{textwrap.indent(body, INDENT)}
}}
"""


def _calls(
    graph: Graph,
    every: list[Layer],
    kernels: Mapping[str, Sequence[Kernel]],
    plan: MemoryPlan,
    kept: Mapping[str, int],
) -> str:
    names = _parameters(graph)

    def at(place: Place) -> str:
        base = "arena->s8" if place.base is None else names[place.base]
        return f"{base} + {place.offset}" if place.offset else base

    lines = []
    for layer in every:
        choices = kernels.get(layer.node.output)
        if choices is None:
            continue
        sources = [value.name for value in layer.inputs if value.data is None]
        arguments = [at(plan.places[name]) for name in (*sources, layer.node.output)]
        if layer.node.output in plan.scratch:
            scratch = choices[0].scratch
            bits = 8 if scratch is None or len(choices) > 1 else scratch.bits
            arguments.append(f"arena->s{bits} + {8 * plan.scratch[layer.node.output] // bits}")
        if layer.node.output in kept:
            lines.append(_make_room(layer.outputs[0], kept[layer.node.output], plan.places[layer.node.output]))
        lines.append(f"{layer.prefix}({', '.join(arguments)});")
    uses_arena = any("arena->" in line for line in lines)
    return textwrap.indent("\n".join([*lines, *([] if uses_arena else ["(void)arena;"])]), INDENT)


def _make_room(value: Value, columns: int, place: Place) -> str:
    """The columns before a value's new ones move up, by as many as are new."""
    new, width = value.shape[1:]
    begin = place.offset - columns * width
    return f"memmove(arena->s8 + {begin}, arena->s8 + {begin + new * width}, {columns * width});"


def _parameters(graph: Graph) -> dict[str, str]:
    names = {name: f"in{i}_{identifier(name)}" for i, name in enumerate(graph.inputs)}
    return names | {name: f"out{i}_{identifier(name)}" for i, name in enumerate(graph.outputs)}


def _signature(graph: Graph, name: str) -> str:
    names = _parameters(graph)
    parameters = [f"{name}_arena *arena"]
    parameters += [f"const int8_t {names[i]}[{_size(graph.values[i])}]" for i in graph.inputs]
    parameters += [f"int8_t {names[o]}[{_size(graph.values[o])}]" for o in graph.outputs]
    return f"void {name}_run({', '.join(parameters)})"


def _size(value: Value) -> int:
    return int(np.prod(value.shape))


def _header(
    graph: Graph, name: str, origin: str, hops: Stream | None, *, arena_bytes: int, kept_bytes: int, weight_bytes: int
) -> str:
    upper = name.upper()
    described = [_describe("in", graph.values[i]) for i in graph.inputs]
    described += [_describe("out", graph.values[o]) for o in graph.outputs]
    macs = sum(node_macs(graph, node) for node in graph.nodes)
    use = "nothing in it is kept from run to run"
    count, period, streaming, run = len(graph.nodes), "window", "", "Run the network over one window."
    if hops is not None:
        use = f"its first {kept_bytes} bytes are columns of the past, which the next run needs"
        count, period, run = (
            len(_layer_functions(graph)),
            "hop",
            f"Take the newest {hops.feeding.rows} samples, of which {hops.feeding.hop} are new.",
        )
        described += _streaming_words(hops)
        facts = [hops.feeding.window, hops.feeding.hop, hops.feeding.rows]
        streaming = f'#define {upper}_STREAMING "{facts}" /* window, hop, and the newest samples that it is given */\n'
    return f"""/* {comment_lines(origin)}
 *
 * {count} layers, {macs} multiply-accumulates a {period}. No allocation, no globals that change, no float.
 */
#ifndef {upper}_H
#define {upper}_H

#include <stdint.h>

#define {upper}_ARENA_BYTES {arena_bytes} /* working memory; {use} */
#define {upper}_WEIGHT_BYTES {weight_bytes} /* constants, in flash */
#define {upper}_LAYERS {_layers(graph)} /* function, name, op, products */
#define {upper}_FACTS {_facts(graph)} /* shape, scale, zero point of inputs, outputs */
{streaming}
typedef union {name}_arena {{
    int8_t s8[{upper}_ARENA_BYTES];
    int16_t s16[{upper}_ARENA_BYTES / 2];
    int64_t s64[{upper}_ARENA_BYTES / 8];
}} {name}_arena;

/* {run} Buffers must not overlap.
 *
{chr(10).join(f" * {line}".rstrip() for line in described)}
 */
{_signature(graph, name)};

#endif
"""


def _streaming_words(hops: Stream) -> list[str]:
    """What a caller has to know of a network that keeps columns."""
    window, hop = hops.feeding.window, hops.feeding.hop
    text = (
        f"To be called after sample {(window - 1) % hop + 1} and then every {hop} samples; those before the first are "
        f"any numbers. From sample {window} on, the outputs are those of the last {window} samples, bit for bit as if "
        "all of them had been computed anew."
    )
    if hops.rest:
        text += f" The whole window is seen from here on: {hops.rest}."
    return ["", *comment_lines(text).replace("\n * ", "\n").splitlines()]


def _layer_functions(graph: Graph) -> tuple[LayerFunction, ...]:
    return tuple(
        LayerFunction(layer.prefix, layer.node.name, layer.node.op, node_macs(graph, layer.node))
        for layer in layers(graph)
        if not is_view(graph, layer.node)
    )


def _layers(graph: Graph) -> str:
    """The functions of the layers as JSON in a C string: for programs that tell layers apart."""
    return string(json.dumps([[f.function, f.name, f.op, f.macs] for f in _layer_functions(graph)]))


def _facts(graph: Graph) -> str:
    """The tensors that a caller sees, inputs and outputs, as JSON in a C string: for programs that load the network."""
    tensors = [[graph.values[name] for name in names] for names in (graph.inputs, graph.outputs)]
    return string(
        json.dumps([[[v.shape, v.quantization.scale, v.quantization.zero_point] for v in t] for t in tensors])
    )


def _describe(role: str, value: Value) -> str:
    quant = value.quantization
    return comment(f"{role} {value.name}: {of_shape([value])}, real = {quant.scale:.9g} * (q - ({quant.zero_point}))")


def runtime(name: str) -> bytes:
    """Return a header that generated sources include."""
    return resources.files(__package__).joinpath("runtime", name).read_bytes()


def _sigmoid_file() -> bytes:
    table = definition("const uint16_t har_sigmoids[256]", (str(v) for v in sigmoids().tolist()))
    return f'#include "har_lstm.h"\n\n{table}'.encode()
