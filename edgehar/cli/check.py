"""``edgehar check``: hold a bundle against limits; exit code 1 names what is over. A gate for continuous integration.

Flash, RAM and stack are exact, latency and energy modelled for the board (docs/emulator.md), the accuracy drop is the
one the bundle was exported with.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from edgehar.cli.profile import add_board_options, optimisation
from edgehar.files import output_file

if TYPE_CHECKING:
    from edgehar.bundle import Bundle

# option: what it limits, unit
LIMITS = {
    "max_flash_kb": ("flash", "KiB", "code, constants, start-up; 1 KiB is 1024 bytes"),
    "max_ram_kb": ("RAM", "KiB", "of the firmware, deepest stack included"),
    "max_latency_ms": ("latency", "ms", "of a sample that brings a decision, the longest, modelled"),
    "max_energy_uj": ("energy", "µJ", "of a decision, the samples of a hop included, modelled"),
    "max_accuracy_drop": ("accuracy drop", "points", "of the quantized model below full precision, held-out people"),
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("check", help="exit 1 where a bundle exceeds limits", description=__doc__)
    parser.add_argument("bundle", metavar="BUNDLE", help="bundle folder or zoo:NAME")
    add_board_options(parser)
    for option, (name, unit, note) in LIMITS.items():
        parser.add_argument(f"--{option.replace('_', '-')}", type=float, metavar=unit, help=f"{name}: {note}")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="also write found and allowed as JSON")


def accuracy_drop_points(bundle: Bundle) -> float:
    """Return 100 x (full precision - quantized) on the held-out windows, as exported.

    Raises:
        BundleError: the bundle does not say.
    """
    from edgehar.errors import BundleError

    key = f"{bundle.manifest.precision.label}_accuracy"
    try:
        quantized = float(bundle.manifest.provenance["verification"][key])
        full = float(json.loads(bundle.read("baseline.json"))["accuracy"])
    except (KeyError, TypeError, ValueError):
        raise BundleError(
            f"{bundle.path}: it does not state both accuracies (verification.{key}, baseline.json); export "
            "the model again, or leave --max-accuracy-drop away"
        ) from None
    return 100 * (full - quantized)


def measure(bundle: Bundle, args: argparse.Namespace) -> dict[str, float]:
    """Return what the asked limits are about, by option name; of the whole firmware where it has a form in C."""
    from device_sim.emulator.boards import board_of
    from edgehar.cli.networks import cost_on, network_of_bundle
    from edgehar.errors import VerificationError

    board = board_of(args.board)
    found = {}
    if args.max_accuracy_drop is not None:
        found["max_accuracy_drop"] = accuracy_drop_points(bundle)
    if any(getattr(args, option) is not None for option in LIMITS if option != "max_accuracy_drop"):
        network = network_of_bundle(bundle, args.windows, args.optimize)
        summary = cost_on(network, board, args.compiler, optimisation(args))
        whole = summary["pipeline"] or summary
        if not (summary["bit_exact"] and whole["bit_exact"]):
            raise VerificationError(
                f"{bundle.path}: on {board.label} it does not give the bundle's golden outputs; see edgehar profile"
            )
        found |= {
            "max_flash_kb": whole["flash_bytes"] / 1024,
            "max_ram_kb": (whole["ram_bytes"] + whole["stack_bytes"]) / 1024,
            "max_latency_ms": whole["deciding_push_ms" if summary["pipeline"] else "worst_latency_ms"],
            "max_energy_uj": whole["energy_uj"],
        }
    return found


def run(args: argparse.Namespace) -> int:
    """Measure, compare, print."""
    from rich.console import Console
    from rich.table import Table

    from edgehar.bundle import Bundle
    from edgehar.errors import UsageError
    from edgehar.files import write_json

    limits = {option: getattr(args, option) for option in LIMITS if getattr(args, option) is not None}
    if not limits:
        options = ", ".join(f"--{option.replace('_', '-')}" for option in LIMITS)
        raise UsageError(f"nothing to check; give at least one of {options}")
    if wrong := [option for option, limit in limits.items() if not limit >= 0]:
        raise UsageError(f"--{wrong[0].replace('_', '-')} {limits[wrong[0]]}: expected a limit of at least 0")
    found = measure(Bundle.open(args.bundle), args)
    exceeded = [option for option, limit in limits.items() if not found[option] <= limit]
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("", "found", "allowed", ""):
        table.add_column(column, justify="left" if not column else "right")
    for option, limit in limits.items():
        name, unit, _ = LIMITS[option]
        verdict = "[bold red]over[/bold red]" if option in exceeded else "[green]ok[/green]"
        table.add_row(f"{name}, {unit}", f"{found[option]:.3f}", f"{limit:g}", verdict)
    Console().print(table)
    if args.json:
        rows = {o: {"found": found[o], "allowed": limit, "over": o in exceeded} for o, limit in limits.items()}
        write_json(args.json, {"bundle": args.bundle, "board": args.board, "limits": rows})
    for option in exceeded:
        name, unit, _ = LIMITS[option]
        sys.stderr.write(f"edgehar: over: {name} {found[option]:.3f} {unit}, allowed {limits[option]:g} {unit}\n")
    return 1 if exceeded else 0
