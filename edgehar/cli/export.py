"""``edgehar export``: run folder in, verified bundle out; or a model file of somebody else's in, device files out."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgehar.files import output_file

if TYPE_CHECKING:
    from rich.table import Table

    from edgehar.recording import Recording
    from edgehar.training.run_folder import TrainedRun
    from firmware_export.bundle_export import Exported, ExportPlan, ReferenceWindows
    from firmware_export.foreign import Imported

REFERENCE_WINDOWS = 300  # to enrol labels against
REPORT = "report.json"  # of a folder that --from made
PACKAGES = ("torch", "onnx", "onnx-ir", "numpy")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("export", help="quantize, convert and verify a trained run", description=__doc__)
    parser.add_argument("run", type=Path, nargs="?", metavar="RUN", help="run folder of `edgehar train`")
    parser.add_argument(
        "--from", type=Path, dest="foreign", metavar="MODEL", help="a .tflite or .onnx of any origin instead of a run"
    )
    parser.add_argument(
        "--calibration", type=Path, metavar="FILE", help="windows for a float model of --from: .npz, .npy or .csv"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="BUNDLE", help="bundle folder, NAME.edgehar; a plain one with --from"
    )
    parser.add_argument(
        "--target",
        default="tflite,onnx",
        help="formats, comma separated: tflite, onnx, c (default: tflite,onnx); web: a page, of a BUNDLE, not a RUN",
    )
    parser.add_argument("--recipe", default="static_wi8_ai8", help="how to quantize (default: static_wi8_ai8)")
    parser.add_argument(
        "--optimize",
        choices=("speed", "balanced", "size", "mve"),
        default="speed",
        help="the C kernels: fewest instructions with int16 weights, nearly as few with int8 weights, least flash and "
        "RAM, or vectors of 16 bytes for Cortex-M52, M55, M85 (default: speed)",
    )
    parser.add_argument(
        "--streaming",
        action="store_true",
        help="C that computes only the columns which a hop brings, and keeps the others: the same bits",
    )
    parser.add_argument(
        "--hop", type=int, metavar="SAMPLES", help="from decision to decision on the device (default: the run's)"
    )
    parser.add_argument(
        "--converter",
        choices=("onnx", "litert"),
        default="onnx",
        help="how torch becomes a graph: PyTorch's ONNX exporter, or litert-torch for layers it cannot place "
        "(default: onnx)",
    )
    parser.add_argument(
        "--decision",
        metavar="SPEC",
        help="decision stage, fitted to training and validation people, as none, ema:0.6, hmm:lag=1,unknown=1%% "
        "(docs/decision_stage.md; default: hmm where the run has validation people and the network "
        "no embedding, else none)",
    )
    parser.add_argument("--slim", action="store_true", help="leave out float files and baseline logits")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="also write verification and timings as JSON")


def plan_from_run(
    trained: TrainedRun,
    name: str,
    *,
    targets: Sequence[str],
    recipe: str,
    slim: bool,
    converter: str = "onnx",
    hop: int | None = None,
) -> ExportPlan:
    """Gather what an export needs: ONNX, calibration windows, held-out recordings with their baseline.

    ``hop`` is the device's, None: that of the training; calibration windows, and so the integers, are the same.
    """
    import importlib.metadata

    import torch

    from edgehar.datasets import load_dataset
    from edgehar.datasets.splits import select
    from edgehar.signal import input_tensors
    from edgehar.training.baseline import baseline_files, compute_baseline
    from edgehar.training.config import EMBEDDING
    from edgehar.training.run_folder import check_same_data, data_record
    from edgehar.training.windows import calibration_choice, scored_windows
    from firmware_export.bundle_export import ExportPlan, HeldOut
    from firmware_export.to_litert import export_litert
    from firmware_export.to_onnx import INPUT, OUTPUT, export_onnx

    config, front_end = trained.config, trained.front_end
    recordings = load_dataset(config.dataset)
    check_same_data(trained.path, trained.record["data"], data_record(recordings))
    windows, _ = scored_windows(select(recordings, trained.split.train_subjects), front_end, config)
    held_out = select(recordings, trained.split.test_subjects)
    deployed = replace(config, hop=hop or config.hop)
    baseline = compute_baseline(trained.network, front_end, trained.inputs, deployed, held_out)
    record = trained.record
    outputs = [task.name for task in config.truths] if len(config.truths) > 1 else [OUTPUT]
    inputs = [each.name for each in trained.inputs] if len(trained.inputs) > 1 else [INPUT]
    examples = [torch.zeros(1, *each.shape(config.window)) for each in trained.inputs]
    return ExportPlan(
        name=name,
        onnx=(
            export_litert(trained.network, examples)
            if converter == "litert"
            else export_onnx(trained.network, examples, outputs, inputs)
        ),
        front_end=front_end,
        inputs=trained.inputs,
        window=config.window,
        hop=deployed.hop,
        tasks=config.tasks,
        calibration=input_tensors(trained.inputs, windows[calibration_choice(len(windows), config.seed)]),
        held_out=[HeldOut(r, baseline.logits[r.name]) for r in held_out if r.name in baseline.logits],
        baseline=baseline_files(baseline),
        model={"name": config.model, "total_stride": record["total_stride"]},
        provenance={
            "command": _training_command(trained),
            "config": record["config"],
            "seed": config.seed,
            "data": {"dataset": config.dataset, **record["data"], **record["split"]},
            "packages": {**record["packages"], **{n: importlib.metadata.version(n) for n in PACKAGES}},
            "training_device": record["training_device"],
            "converter": converter,
        },
        licence={"data": record["data"]["licence"], "model": "Apache-2.0"},
        recipe=recipe,
        targets=tuple(targets),
        embedding=EMBEDDING if config.embedding.width else "",
        references=_references(trained, recordings) if config.embedding.width else None,
        slim=slim,
    )


def _references(trained: TrainedRun, recordings: Sequence[Recording]) -> ReferenceWindows:
    """Windows of training and validation people, as many of each class of the first head."""
    import numpy as np

    from edgehar.datasets.splits import select
    from edgehar.signal import input_tensors
    from edgehar.training.windows import scored_windows
    from firmware_export.bundle_export import ReferenceWindows

    subjects = (*trained.split.train_subjects, *trained.split.validation_subjects)
    labels = trained.config.tasks[0].labels
    rng, windows, people = np.random.default_rng(trained.config.seed), [], []
    share = max(1, REFERENCE_WINDOWS // (len(labels) * len(subjects)))
    for person, subject in enumerate(subjects):
        found, answers = scored_windows(select(recordings, [subject]), trained.front_end, trained.config)
        for value in range(len(labels)):
            chosen = np.sort(rng.permutation(np.flatnonzero(answers[:, 0] == value))[:share])
            windows.append(found[chosen])
            people.append(np.full(len(chosen), person, np.int16))
    return ReferenceWindows(input_tensors(trained.inputs, np.concatenate(windows)), np.concatenate(people))


def _training_command(trained: TrainedRun) -> str:
    """The command that makes this run again, after that of the run it went on from, if it did."""
    from edgehar.training.config import TrainConfig

    config, defaults = (json.loads(json.dumps(each.to_dict())) for each in (trained.config, TrainConfig()))
    start = trained.record.get("start")
    if start is not None:
        first = _command(start["config"], defaults, "START")
        again = {key: value for key, value in config.items() if key != "quantization_aware"}
        again = {key: value for key, value in again.items() if value != start["config"].get(key)}
        return f"{first} && {shlex.join(['edgehar', 'train', '--qat', 'START', *_sets(again), '--out', 'RUN'])}"
    return _command(config, defaults, "RUN")


def _command(config: Mapping[str, Any], defaults: Mapping[str, Any], out: str) -> str:
    words = ["edgehar", "train", "--model", config["model"], "--dataset", config["dataset"]]
    changed = {k: v for k, v in config.items() if k not in ("model", "dataset") and v != defaults[k]}
    return shlex.join([*words, *_sets(changed), "--out", out])


def _sets(changed: Mapping[str, Any]) -> list[str]:
    return [word for key, value in changed.items() for word in ("--set", f"{key}={_toml(value)}")]


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')


def _toml_key(key: str) -> str:
    return key if key.isidentifier() and key.isascii() else repr(key).replace("'", '"')


def export_table(exported: Exported) -> Table:
    """Return the verification and the sizes as a rich table."""
    from rich.table import Table

    from firmware_export.model_card import difference_unit, largest_difference, mixed_words, streaming_words

    manifest = exported.bundle.manifest
    evidence, label = manifest.provenance["verification"], manifest.precision.label
    table = Table(
        title=f"{exported.bundle.path}: {label} {100 * evidence[f'{label}_accuracy']:.2f} % of "
        f"{evidence['scored_windows']:,} held-out windows, same label as full precision "
        f"{100 * evidence['agreement_with_baseline']:.2f} %"
    )
    for column in (
        "engine",
        "windows",
        f"largest {difference_unit(evidence['engines'])}",
        "equal outputs",
        "same label",
    ):
        table.add_column(column, justify="left" if column == "engine" else "right")
    for engine in evidence["engines"]:
        if not engine["windows"]:
            table.add_row(f"{engine['engine']}: no C compiler here", *["not run"] * 4)
            continue
        table.add_row(
            engine["engine"],
            f"{engine['windows']:,}",
            largest_difference(engine),
            f"{100 * engine['exact']:.2f} %",
            f"{100 * engine['same_label']:.2f} %",
        )
    sizes = ", ".join(f"{n} {e.bytes:,} B" for n, e in manifest.files.items() if n.startswith("model_"))
    macs = f"{manifest.model['macs']:,} MACs{streaming_words(evidence)}"
    table.caption = f"{manifest.model['parameters']:,} parameters, {macs}; {sizes}{mixed_words(evidence)}"
    return table


def run(args: argparse.Namespace) -> int:
    """Export and print the evidence."""
    from rich.console import Console

    from device_sim.decisions.wish import parse_decision
    from edgehar.cli.web_page import export_page
    from edgehar.errors import UsageError
    from edgehar.files import write_json
    from edgehar.training.run_folder import open_run
    from firmware_export.bundle_export import export_bundle
    from firmware_export.targets.c import Optimize

    targets = [t for t in args.target.split(",") if t]
    if "web" in targets:
        return export_page(args, targets)
    if (args.run is None) == (args.foreign is None):
        raise UsageError("name either a run folder or, with --from, a .tflite or .onnx file")
    if args.foreign is not None:
        return run_foreign(args, targets)
    if args.calibration is not None:
        raise UsageError("--calibration belongs to --from: a run is calibrated on its own training windows")
    if args.streaming and "c" not in targets:
        raise UsageError("--streaming is about the C sources; ask for them: --target tflite,onnx,c")
    if args.hop is not None and args.hop < 1:
        raise UsageError(f"--hop {args.hop}: expected at least 1 sample")
    if args.decision is not None:
        parse_decision(args.decision)  # not after minutes of export
    err = Console(stderr=True)
    with err.status("reading the run", spinner="line") if sys.stderr.isatty() else _Silent() as status:
        trained = open_run(args.run)
        name = args.out.name.removesuffix(".edgehar")
        status.update(f"torch to a graph by way of {args.converter}")
        plan = plan_from_run(
            trained,
            name,
            targets=targets,
            recipe=args.recipe,
            slim=args.slim,
            converter=args.converter,
            hop=args.hop,
        )
        plan = replace(plan, optimize=Optimize(args.optimize), streaming=args.streaming)
        exported = export_bundle(plan, args.out, status.update)
        status.update("fitting the decision stage")
        exported, decides = _decided(exported, args.decision)
        status.update("writing the bundle")
        exported.bundle.write()
    Console().print(export_table(exported))
    Console().print(decides)
    if args.json:
        evidence = exported.bundle.manifest.provenance["verification"]
        write_json(args.json, {"verification": evidence, "timings_s": dict(exported.timings_s)})
    return 0


def _decided(exported: Exported, wish: str | None) -> tuple[Exported, str]:
    """The export with the decision stage asked for, and a line that says which; what was not asked for may fail."""
    from edgehar.cli.decide import DEFAULT, fit_into
    from edgehar.errors import DataError, EngineError, UsageError

    if wish is None and exported.bundle.manifest.embedding is not None:
        return exported, "decides window by window: so what is enrolled changes nothing about other windows"
    if wish == "none":
        return exported, "decides window by window"
    try:
        bundle = fit_into(exported.bundle, wish or DEFAULT)
    except (UsageError, DataError, EngineError) as error:
        if wish is not None:
            raise
        return exported, f"decides window by window: {error}"
    return replace(exported, bundle=bundle), f"decides by {wish or DEFAULT}"


def run_foreign(args: argparse.Namespace, targets: Sequence[str]) -> int:
    """Convert somebody else's file, write the folder and print the evidence."""
    from rich.console import Console

    from edgehar.errors import UsageError
    from edgehar.files import atomic_directory, write_json
    from firmware_export.calibration_file import read_windows
    from firmware_export.foreign import import_model, read_foreign
    from firmware_export.targets.c import Optimize

    if args.slim:
        raise UsageError("--slim belongs to a run: a folder of --from has no float files to leave out")
    if args.decision is not None:
        raise UsageError("--decision belongs to a run: a file of --from has no activities")
    if args.converter != "onnx":
        raise UsageError("--converter belongs to a run: a file of --from is converted already")
    if args.streaming or args.hop is not None:
        raise UsageError("--streaming and --hop belong to a run: nobody knows how a file of --from is fed")
    if args.out.exists() and not (args.out / REPORT).is_file() and (args.out.is_file() or any(args.out.iterdir())):
        raise UsageError(f"{args.out} exists and no export of ours made it; name a folder that is not there yet")
    try:
        data = args.foreign.read_bytes()
    except OSError as error:
        raise UsageError(f"{args.foreign}: cannot be read ({error.strerror})") from None
    model = read_foreign(args.foreign.name, data)
    windows = read_windows(args.calibration, model.graph) if args.calibration else None
    imported = import_model(model, windows, targets, args.recipe, Optimize(args.optimize))
    with atomic_directory(args.out) as folder:
        for path, content in imported.files.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(content)
        write_json(folder / REPORT, imported.report)
    Console().print(foreign_table(imported, str(args.out)))
    if args.json:
        write_json(args.json, imported.report)
    return 0


def foreign_table(imported: Imported, out: str) -> Table:
    """Return the engines on our files and on the stranger's own, and the sizes."""
    from rich.table import Table

    report = imported.report
    verification, source = report["verification"], report["source"]
    table = Table(title=f"{out}: {source['file']}, integers {source['integers']}")
    for column in ("engine", "file", "windows", "largest LSB", "equal outputs"):
        table.add_column(column, justify="left" if column in ("engine", "file") else "right")
    rows = [("ours", row) for row in verification["engines"]]
    rows += [(source["file"], row) for row in verification["source"]["engines"]]
    for file, row in rows:
        figures = [f"{row['max_lsb']:g}", f"{100 * row['exact']:.2f} %"] if row["windows"] else [row["reason"], ""]
        table.add_row(row["engine"], file, f"{row['windows']:,}", *figures)
    sizes = ", ".join(f"{name} {size:,} B" for name, size in report["files"].items())
    table.caption = f"{report['parameters']:,} parameters, {report['macs']:,} MACs; {sizes}"
    if verification.get("c", {"compiler": ""})["compiler"] is None:
        table.caption += "; no C compiler here, so the C was not run"
    return table


class _Silent:
    """A status line for output that nobody watches."""

    def __enter__(self) -> _Silent:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, text: str) -> None:
        """Say nothing."""
