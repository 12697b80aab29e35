"""``edgehar profile``: what a bundle or a .tflite costs on a board, layer by layer, on an emulated processor.

Instructions are exact, and so are flash, RAM and stack of the image; cycles, time and energy are modelled
(docs/emulator.md).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgehar.cli.hops import DEFAULT_HOPS, all_exact, deployable, hop_costs, hops_of, hops_table
from edgehar.cli.networks import DEFAULT_WINDOWS
from edgehar.files import output_file

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from edgehar.cli.networks import Network

DEFAULT_BOARD = "nucleo_l4r5zi"
STAGE_NAMES = {"front_end": "front end", "network": "network", "decision": "decision", "other": "(calls)"}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("profile", help="instructions, time, energy, memory per layer", description=__doc__)
    parser.add_argument("model", metavar="BUNDLE|MODEL.tflite", help="bundle folder, zoo:NAME, or an int8 .tflite")
    add_board_options(parser)
    parser.add_argument(
        "--streaming",
        action="store_true",
        help="also the whole firmware with and without streaming, at several hops (docs/firmware.md)",
    )
    parser.add_argument(
        "--hops", default=DEFAULT_HOPS, metavar="N[,N...]", help=f"of --streaming, in samples (default: {DEFAULT_HOPS})"
    )
    parser.add_argument("--qemu", action="store_true", help="also count on QEMU's Cortex-M4, M7 and M55")
    parser.add_argument("--out", type=output_file, metavar="FILE", help="draw the layers (png)")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="also write profile.json")


def add_board_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say on what and how the network runs."""
    parser.add_argument("--board", default=DEFAULT_BOARD, help=f"see docs/emulator.md (default: {DEFAULT_BOARD})")
    parser.add_argument("--compiler", default="zig", help="zig, or gcc for your arm-none-eabi-gcc (default: zig)")
    parser.add_argument(
        "--optimize",
        choices=("speed", "balanced", "size", "mve"),
        help="speed: kernels in pairs of int16, compiled with -O3; balanced: the same with int8 weights; size: plain "
        "ones with -Os; mve: vectors of 16 bytes, which Cortex-M55 has (default: the bundle's own firmware with -O3; "
        "speed where it has none)",
    )
    parser.add_argument(
        "--windows",
        type=int,
        default=DEFAULT_WINDOWS,
        metavar="N",
        help=f"how many to run (default: {DEFAULT_WINDOWS})",
    )


def optimisation(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the compiler flags that the options ask for."""
    return ("-Os",) if args.optimize == "size" else ()


def layer_table(summary: Mapping[str, Any]) -> Table:
    """Return one row a layer, in running order."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in ("layer", "op"):
        table.add_column(name, header_style="dim", overflow="fold")
    for name in ("MACs", "instructions", "cycles", "share", "instr/MAC"):
        table.add_column(name, justify="right", header_style="dim", no_wrap=True)
    total = summary["cycles"]
    rows = [*summary["layers"], _between(summary)]
    largest = max(row["cycles"] for row in rows)
    for row in rows:
        figures = [f"{row[key]:,}" for key in ("macs", "instructions", "cycles")]
        cells = [short_name(row["name"]), row["op"], *figures, f"{row['cycles'] / total:.1%}", _per_mac(row)]
        table.add_row(*(Text(cell, style="bold" if row["cycles"] == largest else "") for cell in cells))
    figures = [f"{summary[key]:,}" for key in ("macs", "instructions", "cycles")]
    table.add_row("all", "", *figures, "100.0%", _per_mac(summary), style="dim")
    return table


def short_name(name: str) -> str:
    """Return what tells a layer from others: the last of the modules whose path a converter made its name of."""
    parts = [part for part in name.split(";") if part and not part.isdecimal()]
    last = (parts[-1] if parts else name).rpartition("/")[2]
    return last.rpartition(".")[2] or name


def _between(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What is left of the totals: the calls between the layers."""
    left = {key: summary[key] - sum(row[key] for row in summary["layers"]) for key in ("instructions", "cycles")}
    return {"name": "(calls)", "op": "", "macs": 0, **left}


def _per_mac(row: Mapping[str, Any]) -> str:
    return f"{row['instructions'] / row['macs']:.2f}" if row["macs"] else "–"


def stage_table(summary: Mapping[str, Any]) -> Table:
    """Return one row a stage of the whole firmware, per decision."""
    from rich.table import Table

    whole = summary["pipeline"]
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("stage", header_style="dim")
    for name in ("instructions", "cycles", "ms", "share"):
        table.add_column(name, justify="right", header_style="dim", no_wrap=True)
    for stage in [*whole["stages"][1:], whole["stages"][0]]:  # what is left comes last
        milliseconds = whole["latency_ms"] * stage["cycles"] / whole["cycles"]
        cells = [f"{stage['instructions']:,}", f"{stage['cycles']:,}", f"{milliseconds:.3f}"]
        table.add_row(STAGE_NAMES[stage["name"]], *cells, f"{stage['cycles'] / whole['cycles']:.1%}")
    cells = [f"{whole['instructions']:,}", f"{whole['cycles']:,}", f"{whole['latency_ms']:.3f}"]
    table.add_row("all", *cells, "100.0%", style="dim")
    return table


def profile_report(summary: Mapping[str, Any], label: str, core: str) -> Group:
    """Return the tables of layers and stages, and the figures of the whole."""
    from rich.console import Group
    from rich.text import Text

    title = f"{summary['name']} on {label}, {core} at {summary['clock_hz'] / 1e6:g} MHz"
    note = f"instructions exact; cycles modelled: {summary['cycles_source']}"
    parts: list[Text | Table] = [Text(title, style="bold"), Text(note, style="dim"), layer_table(summary), Text("")]
    if summary["pipeline"]:
        heading = f"whole firmware, raw samples to events, a decision every {summary['hop_s']:g} s"
        parts += [Text(heading), stage_table(summary), Text("")]
    return Group(*parts, _totals(summary, label))


def _totals(summary: Mapping[str, Any], label: str) -> Table:
    from rich.table import Table
    from rich.text import Text

    whole, current = summary["pipeline"] or summary, summary["current"]
    mark = "" if current["verified"] else ", not verified"
    if summary["pipeline"]:
        latency = (f"{whole['deciding_push_ms']:.3f} ms", f"modelled: a sample that brings a decision, the longest; "
                   f"others {whole['push_ms']:.3f} ms")  # fmt: skip
    else:
        latency = (f"{whole['worst_latency_ms']:.3f} ms", "modelled: the network on the slowest window")
    rows = [
        ("latency", *latency),
        ("energy", f"{whole['energy_uj']:.1f} µJ", f"modelled: a decision, from {current['active_ma']:g} mA at "
         f"{current['supply_v']:g} V{mark}: {current['source']}"),
        *_duty(summary, whole),
        ("flash", f"{whole['flash_bytes']:,} B", "exact: code, constants, start-up"),
        ("RAM", f"{whole['ram_bytes']:,} B", "exact, without the stack"),
        ("stack", f"{whole['stack_bytes']:,} B", "exact: deepest use, without interrupts"),
        ("fits", "yes" if whole["fits"] else "NO", f"flash and RAM of {label}"),
        ("bit exact", "yes" if is_exact(summary) else "NO", f"outputs of {summary['windows']} windows"
         + (", from raw samples too" if summary["pipeline"] else "")),
    ]  # fmt: skip
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, figure, note in rows:
        table.add_row(Text(name), Text(figure, justify="right"), Text(note, style="dim"))
    return table


def is_exact(summary: Mapping[str, Any]) -> bool:
    """Return whether every output, of the network alone and from raw samples, was the expected one."""
    return bool(summary["bit_exact"] and (summary["pipeline"] or summary)["bit_exact"])


def _duty(summary: Mapping[str, Any], whole: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    if summary["hop_s"] is None:
        return []
    return [
        ("duty cycle", f"{whole['duty_cycle']:.2%}", f"of a hop of {summary['hop_s']:g} s"),
        ("coin cell", f"{whole['cr2032_days']:,.0f} days", f"modelled: CR2032 of {summary['cr2032_mah']:g} mAh spent "
         "on this alone; no sensor, radio or sleep current"),
    ]  # fmt: skip


def draw(summary: Mapping[str, Any], title: str, path: Path) -> None:
    """Write a bar chart: cycles of each layer, first layer on top."""
    import io

    from matplotlib.figure import Figure

    from edgehar.files import write_atomic

    rows = [*summary["layers"], _between(summary)][::-1]
    cycles = [row["cycles"] for row in rows]
    figure = Figure(figsize=(9, 1.5 + 0.36 * len(rows)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(range(len(rows)), cycles, color="#0072B2", height=0.66)
    axes.set_yticks(
        range(len(rows)), [f"{short_name(row['name'])} ({row['op']})" if row["op"] else row["name"] for row in rows]
    )
    notes = [
        f"{row['cycles'] / summary['cycles']:.1%}, {row['instructions']:,} instructions"
        + (f", {row['instructions'] / row['macs']:.2f} a MAC" if row["macs"] else "")
        for row in rows
    ]
    axes.bar_label(bars, notes, padding=4, fontsize=8)
    axes.set_xlim(0, 1.65 * max(cycles))  # room for the notes
    axes.set_xlabel("modelled cycles a window")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    write_atomic(path, buffer.getvalue())


def qemu_table(network: Network, compiler: str, optimise: tuple[str, ...]) -> tuple[Table, list[dict[str, Any]]]:
    """Return what QEMU counts, as a table and as plain records.

    Raises:
        UsageError: QEMU is not installed.
        EngineError: the image does not run there.
    """
    from rich.table import Table

    from device_sim.emulator import CORES, profile_network
    from device_sim.emulator.qemu import MACHINES, count_on_qemu

    table = Table(title="a second opinion: QEMU", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("core", "machine"):
        table.add_column(name, header_style="dim")
    for name in ("instructions", "± (timer)", "here", "bit exact"):
        table.add_column(name, justify="right", header_style="dim")
    records = []
    for name, machine in MACHINES.items():
        count = count_on_qemu(network.sources, network.windows, name, compiler, optimise)
        here = None
        if name in CORES:
            here = profile_network(network.sources, network.windows, CORES[name], compiler, optimise).instructions
        record = {
            "core": name,
            "machine": machine.name,
            "instructions": count.instructions,
            "tick": machine.tick,
            "here": here,
            "bit_exact": network.is_exact(count.outputs),
        }
        exact = "yes" if record["bit_exact"] else "NO"
        shown = "–" if here is None else f"{here:,}"
        table.add_row(
            machine.core.label, machine.name, f"{count.instructions:,.0f}", f"{machine.tick:.0f}", shown, exact
        )
        records.append(record)
    return table, records


def run(args: argparse.Namespace) -> int:
    """Build, run, print; 1 if an output is not the expected one."""
    from rich.console import Console

    from device_sim.emulator.boards import board_of
    from edgehar.bundle import Bundle
    from edgehar.cli.networks import cost_on, network_of
    from edgehar.errors import UsageError
    from edgehar.files import write_json

    board, hops = board_of(args.board), hops_of(args.hops)
    if args.streaming and args.model.endswith(".tflite"):
        raise UsageError(f"{args.model}: --streaming is about whole firmware; give the bundle of this network")
    network = network_of(args.model, args.windows, args.optimize)
    summary = cost_on(network, board, args.compiler, optimisation(args))
    console = Console()
    console.print(profile_report(summary, board.label, board.processor.label))
    if args.qemu:
        table, summary["qemu"] = qemu_table(network, args.compiler, optimisation(args))
        console.print()
        console.print(table)
    exact = is_exact(summary)
    if args.streaming:
        summary["streaming"] = hop_costs(
            deployable(Bundle.open(args.model)),
            hops,
            board,
            decisions=args.windows,
            optimize=args.optimize,
            compiler=args.compiler,
            flags=optimisation(args),
        )
        console.print()
        console.print(hops_table(summary["streaming"]))
        exact = exact and all_exact(summary["streaming"])
    if args.out:
        draw(summary, f"{network.name} on {board.label}, modelled", args.out)
    if args.json:
        write_json(args.json, summary)
    return 0 if exact else 1
