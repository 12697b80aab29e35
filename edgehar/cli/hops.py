"""The whole firmware of a bundle at several hops, on an emulated core: on whole windows, and streaming."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rich.table import Table

    from device_sim.emulator.boards import Board
    from edgehar.bundle import Bundle
    from edgehar.manifest import Manifest
    from edgehar.references import References
    from firmware_export.graph import Graph

DEFAULT_HOPS = "64,24,8"


@dataclass(frozen=True, eq=False)
class Deployable:
    """What firmware is made of, and what it is fed.

    Attributes:
        manifest: of a bundle, whose hop does not count.
        integers: the quantized network.
        samples: ``[T, C]`` float32, raw.
        references: what enrolled labels are compared with.
    """

    manifest: Manifest
    integers: Graph
    samples: NDArray[np.float32]
    references: References | None = None


def deployable(bundle: Bundle) -> Deployable:
    """Return what a bundle's firmware is made of, with its golden stream.

    Raises:
        BundleError: the bundle has no golden stream or no model.
    """
    from device_sim.sources import golden_arrays
    from edgehar.cli.networks import integers_of
    from edgehar.references import find_references

    samples = golden_arrays(bundle)["stream_samples"]
    return Deployable(bundle.manifest, integers_of(bundle), samples, find_references(bundle))


def hops_of(text: str) -> list[int]:
    """Return the hops in samples that a user named.

    Raises:
        UsageError: they are not positive integers with commas between them.
    """
    from edgehar.errors import UsageError

    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdecimal() and int(word) for word in words):
        raise UsageError(f"--hops {text}: expected samples with commas between them, as in {DEFAULT_HOPS}")
    return [int(word) for word in words]


def hop_costs(
    given: Deployable,
    hops: Sequence[int],
    board: Board,
    *,
    decisions: int,
    optimize: str | None = None,
    compiler: str = "zig",
    flags: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Return for each hop what a decision costs, as plain data: ``streaming`` of ``profile.json``.

    Args:
        given: network and pipeline, which are written anew for every hop.
        hops: samples.
        board: where the firmware runs.
        decisions: how many are made, as far as the samples last.
        optimize: what kernels are chosen for; None: speed.
        compiler: ``zig`` or ``gcc``.
        flags: of the compiler, that replace the usual ones.

    Raises:
        UsageError: a hop does not stream.
        UnsupportedOpError: nothing of the network streams, or the pipeline has no form in C.
    """
    from device_sim.emulator.firmware import EmulatedFirmware
    from device_sim.emulator.summary import pipeline_summary
    from edgehar.c_pipeline import raw_outputs
    from edgehar.signal import input_tensors, sliding_windows
    from firmware_export.reference import run
    from firmware_export.targets.c import Optimize, write_firmware

    kernels = Optimize(optimize or "speed")
    manifests = [replace(given.manifest, hop=hop) for hop in hops]
    both = [
        [
            write_firmware(manifest, given.integers, manifest.name, kernels, given.references, streaming=streaming)
            for streaming in (False, True)
        ]
        for manifest in manifests
    ]
    rows = []
    for manifest, written in zip(manifests, both, strict=True):
        hop = manifest.hop
        samples = given.samples[: manifest.window + (decisions - 1) * hop]
        windows = sliding_windows(manifest.front_end.run(samples), manifest.window, hop)
        tensors = zip(manifest.inputs, input_tensors(manifest.inputs, windows), strict=True)
        expected = run(given.integers, [each.quant.quantize(x) for each, x in tensors])
        row: dict[str, Any] = {"hop": hop, "hop_s": hop / manifest.rate_hz}
        for name, made in zip(("window", "streaming"), written, strict=True):
            firmware = EmulatedFirmware(made.files, manifest.heads, board.processor, compiler, flags)
            found = raw_outputs(firmware.replay(samples).decisions)
            exact = all(map(np.array_equal, found, expected))
            row[name] = pipeline_summary(firmware.profile(), board, bit_exact=exact, hop_s=row["hop_s"])
            if made.stream is not None:
                row |= {"macs": made.stream.macs, "window_macs": made.stream.window_macs, "rest": made.stream.rest}
        rows.append(row)
    return rows


def all_exact(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether every decision at every hop, streaming or not, was made of the expected logits."""
    return all(row[name]["bit_exact"] for row in rows for name in ("window", "streaming"))


def network_instructions(summary: Mapping[str, Any]) -> int:
    """Return those of the network alone in a firmware's summary, per decision."""
    return next(int(stage["instructions"]) for stage in summary["stages"] if stage["name"] == "network")


def figures(row: Mapping[str, Any], name: str) -> list[float]:
    """Return MACs, instructions of the network and of the firmware, µJ, flash and RAM of one way, per decision."""
    found = row[name]
    macs = row["macs" if name == "streaming" else "window_macs"]
    firmware = (found["instructions"], found["energy_uj"], found["flash_bytes"], found["ram_bytes"])
    return [macs, network_instructions(found), *firmware]


def hops_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return three rows a hop: a decision on whole windows, streaming, and the second as a share of the first."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0), title="a decision, with the same bits", title_justify="left")
    for name in ("hop", "made on"):
        table.add_column(name, justify="right" if name == "hop" else "left", header_style="dim")
    for name in ("MACs", "network", "firmware", "µJ", "flash B", "RAM B", "bit exact"):
        table.add_column(name, justify="right", header_style="dim", no_wrap=True)
    for row in rows:
        both = figures(row, "window"), figures(row, "streaming")
        for name, way, each in (("window", "the window", both[0]), ("streaming", "a hop", both[1])):
            cells = [str(row["hop"]) if name == "window" else "", way, *(f"{value:,.0f}" for value in each)]
            table.add_row(*(Text(cell) for cell in (*cells, "yes" if row[name]["bit_exact"] else "NO")))
        shares = (f"{after / before:.1%}" for before, after in zip(*both, strict=True))
        table.add_row(*(Text(cell, style="dim") for cell in ("", "share", *shares, "")))
    table.caption = f"on the window in any case: {rows[0]['rest']}, and what follows"
    table.caption_justify = "left"
    return table
