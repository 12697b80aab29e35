"""``python -m device_sim BUNDLE [RECORDING.csv ...]``: replay recordings through a bundle, with numpy and an engine.

Without a recording it replays the golden stream inside the bundle and compares the outputs with the golden ones.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from device_sim.command_line import INTERRUPTED, Parser, answered
from device_sim.engines import DEFAULT_ENGINE, ENGINES
from device_sim.faults import EXAMPLE, read_faults
from device_sim.firmware import Twins, firmware_beside_device
from device_sim.golden import GoldenCheck, check_golden
from device_sim.results import SimulationResult
from device_sim.simulate import simulate, write_summary
from device_sim.sources import first_seconds, golden_recording, read_csv
from device_sim.telemetry import STAGES
from edgehar.files import output_file
from edgehar.signing import open_bundle


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, 1 failed, 2 called wrongly, 130 interrupted."""
    return answered(lambda: _run(_parser().parse_args(arguments)))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m device_sim", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bundle", metavar="BUNDLE", help="folder or packed file NAME.edgehar, or zoo:NAME")
    add_trust_options(parser)
    parser.add_argument("recordings", metavar="RECORDING.csv", nargs="*", type=Path, help="default: the golden stream")
    parser.add_argument(
        "--engine",
        default=DEFAULT_ENGINE,
        metavar="E",
        help="\n".join(f"{name:15} {entry.label}" for name, entry in ENGINES.items()),
    )
    parser.add_argument("--realtime", action="store_true", help="one sample a period of wall time")
    parser.add_argument("--seconds", type=_positive, metavar="S", help="only the first S seconds of each recording")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="write summary.json here")
    parser.add_argument("--resample", action="store_true", help="bring recordings with t_s to the bundle's rate")
    parser.add_argument("--faults", metavar="SPEC", help=f"what goes wrong, as {EXAMPLE}")
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="of the faults (default: 0)")
    parser.add_argument(
        "--firmware",
        action="store_true",
        help="also push the samples through the bundle's C pipeline, and compare every decision",
    )
    return parser


def add_trust_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which bundles are taken."""
    parser.add_argument("--key", type=Path, metavar="PUB.pem", help="refuse bundles that are not signed with this key")
    parser.add_argument("--min-release", type=int, metavar="N", help="with --key: refuse releases lower than N")


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number from 0")
    return int(text)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} s, expected a positive number of seconds")
    return value


def _run(options: argparse.Namespace) -> int:
    bundle = open_bundle(options.bundle, options.key, options.min_release)
    if options.recordings:
        recordings = [read_csv(path, bundle.manifest, options.resample) for path in options.recordings]
    else:
        recordings = [golden_recording(bundle)]
    if options.seconds is not None:
        recordings = [first_seconds(recording, options.seconds) for recording in recordings]
    faults, seed = read_faults(options.faults) if options.faults else (), options.seed
    result = simulate(bundle, recordings, options.engine, realtime=options.realtime, faults=faults, seed=seed)
    check = None
    if not options.recordings and not faults and result.traces and len(result.traces[0].outputs):
        trace = result.traces[0]
        others = [head.outputs for head in trace.others]
        others += [] if trace.embeddings is None else [trace.embeddings]
        check = check_golden(bundle, options.engine, trace.outputs, others)
    twins = firmware_beside_device(bundle, recordings, faults, seed) if options.firmware else None
    if options.json is not None:
        write_summary(options.json, result)
    print("\n".join([*_table(result, check), *_firmware_lines(twins)]))
    if result.summary["interrupted"]:
        return INTERRUPTED
    return 0 if (check is None or check.passed) and (twins is None or not twins.differences) else 1


def _table(result: SimulationResult, check: GoldenCheck | None) -> list[str]:
    summary = result.summary
    engine = ENGINES[summary["engine"]]
    seconds = summary["samples"] * result.traces[0].rate_hz ** -1 if result.traces else 0.0
    lines = [
        f"bundle      {summary['bundle_name']} ({summary['bundle_sha256'][:12]})  recipe {summary['recipe']}",
        f"engine      {summary['engine']} {summary['engine_version']}  ({engine.label})",
        f"streamed    {summary['recordings']} recording(s), {summary['samples']} samples, {seconds:.1f} s, "
        f"{summary['windows_streamed']} decisions, {summary['events']['count']} events",
        f"speed       {summary['realtime_factor']:.1f} x real time ({summary['clock']} clock), deadline misses "
        f"{summary['deadline_misses']} (sample period), {summary['deadline_misses_hop']} (hop)",
        *_fault_lines(summary["faults"]),
        *_score_lines(summary),
        *_event_lines(summary["events"]),
        *_head_lines(summary),
        *_golden_lines(check),
        "",
        f"{'latency µs':12}{'p50':>10}{'p90':>10}{'p99':>10}{'p99.9':>10}{'max':>10}{'count':>10}",
    ]
    for stage, row in summary["latency_us"].items():
        figures = "".join(f"{row[name]:10.1f}" for name in ("p50", "p90", "p99", "p999", "max"))
        lines.append(f"{stage:12}{figures}{row['count']:10d}   {STAGES[stage]}")
    if summary["interrupted"]:
        lines.append("interrupted: figures cover what was streamed until then")
    return lines


def _fault_lines(faults: dict[str, Any] | None) -> list[str]:
    if faults is None:
        return []
    did = ", ".join(f"{name} {count}" for name, count in faults["device"].items())
    return [f"faults      {faults['spec']} (seed {faults['seed']}); device: {did}"]


def _score_lines(summary: dict[str, Any]) -> list[str]:
    if summary["accuracy"] is None:
        return ["accuracy    no labelled window to score"]
    line = (
        f"accuracy    {100 * summary['accuracy']:.2f} %  macro-F1 {100 * summary['macro_f1']:.2f} %  "
        f"({summary['windows']} scored windows)"
    )
    baseline = summary["baseline"]
    if baseline is None:
        return [line]
    return [
        line,
        f"baseline    {100 * baseline['accuracy']:.2f} %  full precision on {baseline['device']}; drop "
        f"{summary['accuracy_drop_points']:+.2f} points, agreement {100 * summary['agreement']:.2f} %",
    ]


def _event_lines(events: dict[str, Any]) -> list[str]:
    """F1, delay and flips, where there is a truth."""
    if events["f1"] is None:
        return []
    matched = f"{events['matched']} of {events['true_count']} true events matched"
    line = f"events      F1 {100 * events['f1']:.2f} %  ({matched})"
    if (delay := events["delay_s"]) is not None:
        line += f"; delay {delay['p50']:.2f} s p50, {delay['p90']:.2f} s p90, {delay['max']:.2f} s max"
    rates = [(events["flips_per_hour"], "flips"), (events["false_alarms_per_hour"], "false alarms")]
    words = ", ".join(f"{rate:.0f} {name} an hour" for rate, name in rates if rate is not None)
    return [line, f"            {words}"] if words else [line]


def _head_lines(summary: dict[str, Any]) -> list[str]:
    """One line a head, where there are several."""
    heads = summary["heads"]
    if len(heads) < 2:
        return []
    lines = []
    for head in heads:
        figures = [(head["accuracy"], "accuracy"), (head["macro_f1"], "macro-F1"), (head["agreement"], "agreement")]
        words = "  ".join(f"{name} {100 * value:.2f} %" for value, name in figures if value is not None)
        title = f"head        {head['name']} ({head['kind']})"
        lines.append(f"{title}  {words or 'no known answer'}  ({head['windows']} windows)")
    return lines


def _firmware_lines(twins: Twins | None) -> list[str]:
    if twins is None:
        return []
    found = "; ".join(dict.fromkeys(twins.differences)) or "every bit as in the simulated device"
    verdict = "FAILED" if twins.differences else "ok"
    return ["", f"firmware    {verdict}: {twins.decisions} decisions, {twins.events} events in C; {found}"]


def _golden_lines(check: GoldenCheck | None) -> list[str]:
    if check is None:
        return []
    exact = "bit for bit" if check.bound == 0 else f"at most {check.bound:g} {check.unit}"
    verdict = "ok" if check.passed else "FAILED"
    features = "exact" if check.features_equal else "DIFFERENT"
    return [
        f"golden      {verdict}: {check.equal} of {check.windows} windows equal, largest difference "
        f"{check.largest:.3g} {check.unit} (expected {exact}), front end {features}"
    ]


if __name__ == "__main__":
    sys.exit(main())
