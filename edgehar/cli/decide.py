"""``edgehar decide``: compare decision stages on a bundle's validation people, and fit one into a new bundle."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgehar.files import output_file

if TYPE_CHECKING:
    from rich.table import Table

    from device_sim.decisions.fitting import Fitted, Heard
    from device_sim.decisions.wish import DecisionWish
    from edgehar.bundle import Bundle
    from edgehar.recording import Recording

DEFAULT = "hmm"  # of exports: docs/results/decisions.md
ENGINES = ("litert_ref", "tflm", "onnxruntime")  # that fit a new export, the first that can
COMPARED = ("none", "ema:0.5", "majority:3", "majority:5", "hmm", "hmm:lag=1", "hmm:lag=2")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("decide", help="fit and compare decision stages", description=__doc__)
    parser.add_argument("bundle", metavar="BUNDLE", help="bundle folder or zoo:NAME")
    parser.add_argument(
        "--decision", metavar="SPEC", help="the stage to fit, as ema:0.6, hmm, hmm:lag=2,uncertain=1%% "
        "(docs/decision_stage.md); without it the usual ones are compared",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="BUNDLE", help="folder of the bundle with the stage fitted")
    parser.add_argument("--engine", default="litert_ref", help="on-device interpreter (default: litert_ref)")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="also write the figures as JSON")


def run(args: argparse.Namespace) -> int:
    """Fit, print what each stage does on validation people, write the new bundle."""
    from rich.console import Console

    from device_sim.decisions.wish import parse_decision
    from edgehar.bundle import Bundle
    from edgehar.errors import UsageError
    from edgehar.files import write_json

    if args.out is not None and args.decision is None:
        raise UsageError("--out needs --decision: say which stage the new bundle is to have")
    wishes = [parse_decision(text) for text in ([args.decision] if args.decision else COMPARED)]
    bundle = Bundle.open(args.bundle)
    train, validation = people_of(bundle)
    needs_train = any(wish.unknown_rate is not None for wish in wishes)
    known = listen(bundle, train, args.engine) if needs_train else labels_of(bundle, train)
    heard = listen(bundle, validation, args.engine)
    rows, fits = [], []
    for wish in wishes:
        fits.append(fit(wish, bundle, known, heard))
        rows.append({"decision": wish.text, **figures(bundle, fits[-1], validation, args.engine)})
    console = Console()
    console.print(table(rows, fits[0], validation))
    if args.out is not None:
        written = decided(bundle, wishes[0], fits[0], args.out).write()
        console.print(f"{args.out}: decides by {wishes[0].text}; {written.sha256[:12]}")
    if args.json:
        write_json(args.json, {"bundle_sha256": bundle.sha256, "engine": args.engine, "stages": rows})
    return 0


def people_of(bundle: Bundle) -> tuple[tuple[Recording, ...], tuple[Recording, ...]]:
    """Return the recordings of the people a bundle's network was trained on, and of its validation people.

    Raises:
        UsageError: it was trained without validation people.
        DataError: the data set is not on this machine, or another one.
    """
    from edgehar.cli.held_out import recordings_of
    from edgehar.datasets.splits import select
    from edgehar.errors import UsageError

    training, validation = (
        bundle.manifest.fact(f"provenance.data.{part}_subjects") for part in ("train", "validation")
    )
    if not validation:
        raise UsageError(
            f"{bundle.path}: was trained without validation people, and how sure it is of those it was trained on "
            "says little of others; train it with validation_subjects of at least 1"
        )
    recordings = recordings_of(bundle)
    return select(recordings, training), select(recordings, validation)


def listen(bundle: Bundle, recordings: Sequence[Recording], engine: str) -> list[Heard]:
    """Return what the bundle's network says about each recording."""
    import numpy as np

    from device_sim.decisions.fitting import Heard
    from device_sim.device import Device
    from device_sim.engines import open_engine
    from device_sim.sources import on_device
    from edgehar.decision_spec import DecisionSpec
    from edgehar.errors import DataError

    plain = replace(bundle, manifest=replace(bundle.manifest, decision=DecisionSpec(), enrolled=()))
    head = plain.manifest.heads[0]
    device = Device(plain, open_engine(engine, bundle))
    heard = []
    for recording in recordings:
        fitted = on_device(recording, plain.manifest)
        if fitted.labels is None:
            raise DataError(f"recording {recording.name!r} has no labels to fit to")
        device.reset()
        none = np.empty((0, len(head.labels)), head.quant.dtype)
        outputs = np.concatenate([none, *(batch.outputs for batch in device.batches(fitted.samples))])
        heard.append(Heard(head.quant.dequantize(outputs), fitted.labels))
    return heard


def labels_of(bundle: Bundle, recordings: Sequence[Recording]) -> list[Heard]:
    """Return the labels of recordings alone, which is all that a grammar needs."""
    import numpy as np

    from device_sim.decisions.fitting import Heard
    from device_sim.sources import on_device

    none = np.empty((0, len(bundle.manifest.heads[0].labels)), np.float32)
    labels = [on_device(recording, bundle.manifest).labels for recording in recordings]
    return [Heard(none, each) for each in labels if each is not None]


def fit_into(bundle: Bundle, text: str) -> Bundle:
    """Return the bundle with the stage asked for, fitted to its own network's answers; it is not written.

    Raises:
        UsageError: the bundle has no validation people, or there is no such stage.
        DataError: there is too little to fit on.
        EngineError: no engine here runs the bundle.
    """
    from device_sim.decisions.wish import parse_decision
    from device_sim.engines import ENGINES as TABLE
    from edgehar.errors import EngineError

    wish = parse_decision(text)
    train, validation = people_of(bundle)
    able = [name for name in ENGINES if TABLE[name].runs(bundle.manifest) and _has_file(bundle, TABLE[name].extension)]
    if not able:
        raise EngineError(f"{bundle.path}: none of {', '.join(ENGINES)} runs it, so no decision stage can be fitted")
    known = listen(bundle, train, able[0]) if wish.unknown_rate is not None else labels_of(bundle, train)
    return decided(bundle, wish, fit(wish, bundle, known, listen(bundle, validation, able[0])), bundle.path)


def _has_file(bundle: Bundle, extension: str) -> bool:
    return bundle.manifest.precision.model_file(extension) in bundle.manifest.files


def fit(wish: DecisionWish, bundle: Bundle, train: Sequence[Heard], validation: Sequence[Heard]) -> Fitted:
    """Return the stage asked for, fitted to what the bundle's network says."""
    from device_sim.decisions.fitting import fit_decision

    return fit_decision(wish, train, validation, bundle.manifest.window, bundle.manifest.hop)


def with_decision(bundle: Bundle, fitted: Fitted) -> Bundle:
    """Return the bundle with another decision stage, not written."""
    return replace(bundle, manifest=replace(bundle.manifest, decision=fitted.spec))


def figures(bundle: Bundle, fitted: Fitted, recordings: Sequence[Recording], engine: str) -> dict[str, Any]:
    """Return what a stage does on recordings: windows, events, and time."""
    from device_sim.simulate import simulate

    summary = simulate(with_decision(bundle, fitted), recordings, engine).summary
    events, decision = summary["events"], summary["decision"]
    return {
        "accuracy": summary["accuracy"],
        "macro_f1": summary["macro_f1"],
        "coverage": decision["coverage"],
        "covered_accuracy": decision["covered_accuracy"],
        "event_f1": events["f1"],
        "event_f1_where_labelled": events["f1_where_labelled"],
        "event_macro_f1": events["macro_f1"],
        "delay_s": events["delay_s"],
        "undetected": events["undetected"],
        "flips_per_hour": events["flips_per_hour"],
        "temperature": fitted.spec.temperature,
        "uncertain_below": fitted.spec.uncertain_below,
        "windows": summary["windows"],
    }


def table(rows: Sequence[Mapping[str, Any]], fitted: Fitted, recordings: Sequence[Recording]) -> Table:
    """Return one row a stage."""
    from rich.table import Table

    people = ", ".join(dict.fromkeys(recording.subject for recording in recordings))
    found = Table(title=f"decision stages on validation people {people}", title_justify="left", box=None)
    for name in ("decision", "accuracy", "macro-F1", "named", "event F1", "mean delay", "p90", "flips/h"):
        found.add_column(name, justify="left" if name == "decision" else "right", no_wrap=name == "decision")
    for row in rows:
        delay = row["delay_s"] or {}
        shares = (row["accuracy"], row["macro_f1"], row["coverage"], row["event_f1"])
        seconds = (delay.get("mean"), delay.get("p90"))
        found.add_row(
            row["decision"],
            *("–" if share is None else f"{100 * share:.2f} %" for share in shares),
            *("–" if value is None else f"{value:.2f} s" for value in seconds),
            "–" if row["flips_per_hour"] is None else f"{row['flips_per_hour']:.1f}",
        )
    found.caption = (
        f"temperature {fitted.spec.temperature:g}: negative log-likelihood {fitted.nll:.4f} instead of "
        f"{fitted.nll_before:.4f} on {fitted.windows:,} windows"
    )
    return found


def decided(bundle: Bundle, wish: DecisionWish, fitted: Fitted, out: Path) -> Bundle:
    """Return the bundle with its new stage, in the manifest and in its firmware, not written to ``out`` yet."""
    import json

    from edgehar.bundle import assemble
    from edgehar.c_pipeline import FOLDER
    from edgehar.cli.rewriting import firmware_writer
    from firmware_export.model_card import model_card

    data = bundle.manifest.provenance["data"]
    provenance = {
        **bundle.manifest.provenance,
        "decision": {
            "wish": wish.text,
            "grammar_of": data["train_subjects"],
            "calibrated_on": data["validation_subjects"],
            "windows": fitted.windows,
            "nll": fitted.nll,
            "nll_before": fitted.nll_before,
        },
    }
    manifest = replace(bundle.manifest, decision=fitted.spec, provenance=provenance)
    files = {name: bundle.read(name) for name in manifest.files if not name.startswith(FOLDER)}
    firmware = firmware_writer(bundle, lambda m: f"{m.name} deciding by {wish.text}, from the bundle {bundle.sha256}")
    if firmware is not None:
        files |= {FOLDER + name: content for name, content in firmware(manifest).items()}
    if "baseline.json" in files:
        sizes = {name: len(content) for name, content in files.items() if name != "MODEL_CARD.md"}
        files["MODEL_CARD.md"] = model_card(manifest, sizes, json.loads(files["baseline.json"])).encode()
    return assemble(out, manifest, files)
