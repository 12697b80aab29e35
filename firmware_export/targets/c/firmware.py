"""``firmware/``: the whole pipeline as C99 sources, from one raw sample to an event."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources

import numpy as np

from edgehar.decision_spec import DecisionSpec
from edgehar.errors import ExportError
from edgehar.files import sha256_bytes
from edgehar.manifest import Manifest
from edgehar.references import References
from edgehar.signal.grid import grid_of
from firmware_export.graph import Graph
from firmware_export.targets.c.decision import (
    HeadNames,
    decision_member,
    decision_members,
    decision_parts,
    head_names,
    head_types,
    label_tables,
)
from firmware_export.targets.c.features import HEADER, features_part
from firmware_export.targets.c.front_end import front_end_part
from firmware_export.targets.c.layer import code
from firmware_export.targets.c.network import Network, Optimize, runtime, write_network
from firmware_export.targets.c.part import Member, Part, struct_bytes, tables_bytes, tables_text
from firmware_export.targets.c.prototypes import HEADER as PROTOTYPES_HEADER
from firmware_export.targets.c.prototypes import enrolled_labels, enrolment_parts
from firmware_export.targets.c.smoothing import headers as smoothing_headers
from firmware_export.targets.c.streaming import Stream, stream
from firmware_export.targets.c.text import comment, comment_lines, filled, float32

TEMPLATES = ("har.h", "har.c", "har_resample.h", "example_main.c", "CMakeLists.txt", "README.md")
HEADERS = ("har_decision.h", "har_signal.h")

# Of har_context, the wide ones first, so that no byte is lost between them.
STATE = (
    Member("uint64_t", "samples"),
    Member("uint64_t", "decisions"),
    Member("uint64_t", "invalid_samples"),
    Member("uint64_t", "candidate_start", note="first decision for a label that is not announced yet"),
    Member("uint64_t", "label_start", note="first decision for the announced label"),
    Member("uint32_t", "candidate_ms"),
    Member("uint32_t", "candidate_count"),
    Member("uint32_t", "label_ms"),
    Member("uint32_t", "magic"),
    Member("int32_t", "rows", note="samples in the windows"),
)
SMALL_STATE = (
    Member("int16_t", "label", note="announced"),
    Member("int16_t", "candidate"),
    Member("uint8_t", "settled", note="the last decision was for the announced label"),
    Member("uint8_t", "decided", note="the last sample completed a window"),
)
ROW = """
for (int i = 0; i < @count@; i++) {
    ctx->inputs[@base@@count@ * ctx->rows + i] = har_quantize(column[@at@], @inverse_scale@, @zero@);
}
"""
SLIDE = """
if (ctx->rows == @rows@) { /* the windows of the last decision: keep what the next ones share with them */
    @moves@
    ctx->rows = @rows@ - HAR_HOP;
}
"""
KEEP = """
for (int i = 0; i < @count@; i++) {
    ctx->columns_@index@[@count@ * ctx->rows + i] = column[@at@];
}
"""
MOVE_COLUMNS = """
memmove(ctx->columns_@index@, ctx->columns_@index@ + @count@ * HAR_HOP,
        @count@ * (HAR_WINDOW - HAR_HOP) * sizeof *ctx->columns_@index@);
"""
MOVE = "memmove(ctx->inputs@base@, ctx->inputs@base@ + @count@ * HAR_HOP, @count@ * (@rows@ - HAR_HOP));"
SKIP = """
if (ctx->rows == @rows@) {
    ctx->rows = 0;
    ctx->skip = HAR_HOP - HAR_WINDOW;
}
if (ctx->skip > 0) {
    ctx->skip--;
    return 0;
}
"""
# Of a network that keeps columns: the first window, too, is completed by hops.
ROWS = """
#define HAR_ROWS @rows@ /* newest samples, which are kept; of those before, the network keeps what it computed */
"""
BEGIN = "ctx->rows = HAR_ROWS - 1 - (HAR_WINDOW - 1) % HAR_HOP;"
FILL = """
if (ctx->decided && ctx->samples < HAR_WINDOW) { /* a hop of the first window */
    har_infer(ctx);
    ctx->decided = 0;
}
"""


@dataclass(frozen=True)
class Firmware:
    """C sources of a whole pipeline.

    Attributes:
        files: contents by name.
        context_bytes: of RAM.
        arena_bytes: of it the network's working memory.
        constant_bytes: weights and tables in flash.
        stream: what of the network runs every hop; None where all of it does.
    """

    files: Mapping[str, bytes]
    context_bytes: int
    arena_bytes: int
    constant_bytes: int
    stream: Stream | None


def write_firmware(
    manifest: Manifest,
    graph: Graph,
    origin: str = "edgehar",
    optimize: Optimize = Optimize.SPEED,
    references: References | None = None,
    *,
    streaming: bool = False,
) -> Firmware:
    """Return the C99 sources of a bundle's pipeline.

    Args:
        manifest: front end, inputs, window, heads, embedding, enrolled labels, decision stage.
        graph: the quantized network; its inputs and outputs are in the manifest's order.
        origin: what it was made from and how, for the first comment of each file.
        optimize: what the network's kernels are chosen for.
        references: what enrolled labels are compared with; without them nothing can be enrolled.
        streaming: compute only the columns that a hop brings and keep the others; the bits are the same.

    Raises:
        UnsupportedOpError: an op, front-end step, kind of input or head has no form in C, or nothing of the network
            streams; names it.
        UsageError: the hop is no multiple of the stride of a network that is to stream.
        ExportError: graph, manifest and references do not fit together.
    """
    _check(manifest, graph)
    of_hop = stream(graph, manifest.window, manifest.hop) if streaming else None
    network = write_network(of_hop or graph, "har_model", origin, optimize)
    held = sum(network.input_bytes)
    names = head_names(manifest.heads, enrolled_labels(manifest, references))
    enrolment = enrolment_parts(manifest, references, names[0])
    front_end = front_end_part(manifest.front_end)
    windows = _windows_part(manifest, network)
    decisions = decision_parts(manifest.heads, names, manifest.decision, enrolment.wanted)
    features = _features_parts(manifest, network)
    parts = [front_end, windows, *features, *decisions, enrolment.part]
    members = (
        Member("har_model_arena", "arena", dtype=np.dtype((np.int64, network.arena_bytes // 8))),
        Member("int8_t", "inputs", (-(-held // 8) * 8,), "what the network is given, one input after another"),
        decision_member(names, enrolment.answer),
        *STATE,
        Member("float", "good", (len(manifest.channels),), "last good value of each channel"),
        *(member for part in parts for member in part.members),
        *SMALL_STATE,
    )
    further = [HEADER] * bool(features) + [PROTOTYPES_HEADER] * enrolment.wanted
    further += smoothing_headers(manifest.decision)
    channels = [f"{c.name} ({c.unit})" for c in manifest.channels]
    minimum = manifest.decision.min_decisions
    words: dict[str, object] = {
        "origin": comment_lines(origin),
        "origin_line": comment(origin),
        "name": comment(manifest.name),
        "rate": f"{manifest.rate_hz:.15g}",
        "channels": len(manifest.channels),
        "channel_list": comment(", ".join(channels)),
        "channel_units": _listed(channels),
        "window": manifest.window,
        "hop": manifest.hop,
        "columns": manifest.front_end.width,
        "column_names": _listed(manifest.front_end.names),
        "input_bytes": held,
        "rows": code(ROWS, rows=of_hop.feeding.rows) if of_hop else "",
        "last": "HAR_ROWS" if of_hop else "HAR_WINDOW",
        "begin": BEGIN if of_hop else "",
        "fill": code(FILL) if of_hop else "",
        "arena_use": "columns that are kept from hop to hop"
        if of_hop
        else "working memory of the network, free between windows",
        "context_bytes": struct_bytes(members),
        "arena_bytes": network.arena_bytes,
        "constant_bytes": network.weight_bytes + tables_bytes(parts),
        "first": names[0].member,
        "first_labels": names[0].table,
        "sources": " ".join(sorted({"har.c", *(name for name in network.files if name.endswith(".c"))})),
        "heads": head_types(manifest.heads, names, manifest.decision.rejections),
        "lag": manifest.decision.delay,
        "members": "\n".join(member.text for member in decision_members(names, enrolment.answer)[2:]),
        "context": "\n".join(member.text for member in members),
        "tables": f"{label_tables(names, manifest.decision.rejections)}\n{tables_text(parts)}",
        "magic": f"0x{sha256_bytes(network.files['har_model.c'])[:8]}",
        "front_end": front_end.body,
        "windows": windows.body,
        "features": "\n\n".join(part.body for part in features),
        "further_headers": "\n".join(f'#include "{name}"' for name in further),
        "embedding": enrolment.structs,
        "enrolment_error": enrolment.error,
        "enrolment_declarations": enrolment.declarations,
        "enrolment_stage": enrolment.stage,
        "enrolment_functions": enrolment.functions,
        "infer": _infer(manifest, network, names),
        "decide": "\n".join(part.body for part in decisions),
        "debounce": f"{minimum} equal decisions in a row" if minimum > 1 else "a single decision for it",
        "min_decisions": minimum,
        "smoothing": f"smoothing {manifest.decision.smoothing}",
        **asdict(grid_of(manifest.rate_hz)),
        **_announcing(manifest.decision, len(names[0].labels)),
    }
    files = {name: _template(name, words) for name in TEMPLATES} | {
        name: runtime(name) for name in (*HEADERS, *further)
    }
    return Firmware(
        files={**files, **network.files},
        context_bytes=struct_bytes(members),
        arena_bytes=network.arena_bytes,
        constant_bytes=network.weight_bytes + tables_bytes(parts),
        stream=of_hop,
    )


def _announcing(decision: DecisionSpec, labels: int) -> dict[str, str]:
    """Words of ``har_announce``: when the window was that a decision is about, and how probable its label is."""
    probability = "answer->probability[label]"
    if decision.rejections:
        probability = f"label < {labels} ? {probability} : 0.0F"
    words = {"about": "ctx->samples - 1", "about_ms": "ctx->decision.t_ms", "probability": probability}
    if decision.delay:
        lag = "(ctx->decisions > HAR_LAG ? HAR_LAG : ctx->decisions - 1)"
        words |= {"about": f"ctx->samples - 1 - HAR_HOP * {lag}", "about_ms": "ctx->times_ms[0]"}
    return words


def _check(manifest: Manifest, graph: Graph) -> None:
    found = [graph.values[name].shape for name in (*graph.inputs, *graph.outputs)]
    expected = [*manifest.input_shapes, *((1, output.width) for output in manifest.outputs)]
    if found != expected:
        raise ExportError(f"target 'c': the network's inputs and outputs are {found}, the manifest says {expected}")


def _starts(network: Network) -> list[int]:
    """Where in ``ctx->inputs`` each input's tensor begins."""
    return [sum(network.input_bytes[:index]) for index in range(len(network.input_bytes))]


def _windows_part(manifest: Manifest, network: Network) -> Part:
    """The statements that take ``column`` into the window of each input: as int8, or as it is where features follow."""
    tables = {}
    rows, moves = [], []
    kept = manifest.window if network.streaming is None else network.streaming.rows
    last = "HAR_WINDOW" if network.streaming is None else "HAR_ROWS"
    for index, (each, start) in enumerate(zip(manifest.inputs, _starts(network), strict=True)):
        count = len(each.columns)
        at = "i"
        if each.columns != tuple(range(count)):
            at = f"har_input_{index}_columns[i]"
            tables[f"har_input_{index}_columns"] = np.asarray(each.columns, np.uint16)
        if each.features is not None:
            rows.append(code(KEEP, count=count, at=at, index=index))
            moves.append(code(MOVE_COLUMNS, count=count, index=index))
            continue
        inverse = float32(float(np.float32(1) / np.float32(each.quant.scale)))
        base = f"{start} + " if start else ""
        rows.append(code(ROW, count=count, at=at, inverse_scale=inverse, zero=each.quant.zero_point, base=base))
        if kept > manifest.hop:
            moves.append(code(MOVE, count=count, base=f" + {start}" if start else "", rows=last))
    slides = manifest.hop < manifest.window
    before = code(SLIDE, moves="\n".join(moves), rows=last) if slides else code(SKIP, rows=last)
    members = () if slides else (Member("int32_t", "skip", note="samples until the next window begins"),)
    return Part("\n".join([before, *rows]), members, tables)


def _features_parts(manifest: Manifest, network: Network) -> list[Part]:
    """A function for each input that gets features, ``har_features_{index}``."""
    return [
        features_part(index, each, each.features, start)
        for index, (each, start) in enumerate(zip(manifest.inputs, _starts(network), strict=True))
        if each.features is not None
    ]


def _infer(manifest: Manifest, network: Network, names: Sequence[HeadNames]) -> str:
    calls = [f"har_features_{i}(ctx);" for i, each in enumerate(manifest.inputs) if each.features is not None]
    starts = _starts(network)
    arguments = ["&ctx->arena", *(f"ctx->inputs + {start}" if start else "ctx->inputs" for start in starts)]
    arguments += [f"ctx->decision.{each.member}.logits" for each in names]
    arguments += ["ctx->decision.embedding"] if manifest.embedding is not None else []
    return "\n".join([*calls, f"har_model_run({', '.join(arguments)});"])


def _listed(words: Iterable[str]) -> str:
    return filled((comment(word) for word in words), " * ")


def _template(name: str, words: Mapping[str, object]) -> bytes:
    text = resources.files(__package__).joinpath("templates", name).read_text("utf-8")
    return (re.sub(r"\n{3,}", "\n\n", code(text, **words)) + "\n").encode()
