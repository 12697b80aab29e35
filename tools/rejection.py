"""What the decision stage refuses to name: uncertain windows of known activities, and windows of none of them.

    python tools/rejection.py --json docs/results/rejection.json

Thresholds come from the validation people of each bundle at a stated rate of false alarms; all figures are of its test
people, of their samples with something done to them, and of another data set.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.decisions.fitting import Heard, fit_decision, fit_familiar
from device_sim.decisions.unfamiliar import Unfamiliar
from device_sim.decisions.wish import parse_decision
from device_sim.simulate import simulate
from edgehar.bundle import Bundle
from edgehar.cli.decide import labels_of, listen, people_of
from edgehar.datasets import load_dataset
from edgehar.datasets.splits import select
from edgehar.files import write_json
from edgehar.recording import Recording
from edgehar.signal import FLOAT32, sliding_windows, window_labels

ENGINE = "litert_ref"
BUNDLES = ("ds_cnn_3k", "ds_cnn", "ds_cnn_30k")
RATE = 0.01  # of false alarms, for windows of none of the activities
STAGES, UNCERTAIN_RATES = ("none", "hmm"), ("1%", "2%", "5%")
F64 = NDArray[np.float64]
F32 = NDArray[np.float32]


def turned(x: F32) -> F32:
    """Worn with its axes in another order."""
    return x[:, [1, 2, 0, 4, 5, 3]]


def reversed_axes(x: F32) -> F32:
    """Worn upside down and back to front, which no rotation is."""
    return -x


def without_gravity(x: F32) -> F32:
    """Linear acceleration where acceleration is expected."""
    return np.concatenate([x[:, :3] - x[:, :3].mean(axis=0), x[:, 3:]], axis=1)


def noise(x: F32) -> F32:
    """White noise of the size of walking, no gravity."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(0, 0.5, (len(x), 3)), rng.normal(0, 1, (len(x), 3))], axis=1)


def shaken(x: F32) -> F32:
    """Shaken at 6 Hz, 1.5 g and 3 rad/s on top of gravity."""
    phase = 2 * np.pi * 6 * np.arange(len(x)) / 50
    waves = [1.5 * np.sin(phase), 1.5 * np.cos(phase), 1 + 0 * phase, 3 * np.sin(phase), 2 * np.cos(phase), 0 * phase]
    return np.stack(waves, axis=1)


HARMS: dict[str, Callable[[F32], F32]] = {
    "axes in another order": turned,
    "all axes reversed": reversed_axes,
    "gravity taken away": without_gravity,
    "white noise": noise,
    "shaken at 6 Hz": shaken,
}


def most_probable(logits: F64) -> F64:
    """One minus the largest probability. Source: Hendrycks & Gimpel 2017, maximum softmax probability."""
    return 1 - 1 / np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)


def energy(logits: F64) -> F64:
    """Free energy at temperature 1. Source: Liu et al., Energy-based Out-of-distribution Detection, NeurIPS 2020."""
    top = logits.max(axis=1)
    return -(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)))


def scores_of(heard: Sequence[Heard], window: int, hop: int) -> dict[str, Callable[[F64], F64]]:
    """Each score, higher for stranger windows; the last is what the decision stage has."""
    labels = heard[0].logits.shape[1]
    unfamiliar = Unfamiliar(fit_familiar(heard, labels, window, hop), FLOAT32)
    return {
        "largest probability": most_probable,
        "largest logit": lambda logits: -logits.max(axis=1),
        "energy": energy,
        "distance": lambda logits: unfamiliar.distances(logits).astype(np.float64),
    }


def auroc(known: F64, strange: F64) -> float:
    """Chance that a strange window scores higher than a known one (ties: one half)."""
    both = np.concatenate([known, strange])
    _, ranks, counts = np.unique(both, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    mine = middle[ranks[len(known) :]].sum()
    return float((mine - len(strange) * (len(strange) + 1) / 2) / (len(known) * len(strange)))


def strange_windows(bundle: Bundle, recordings: Sequence[Recording]) -> Iterator[tuple[str, F64]]:
    """Logits of windows of no activity that the network knows."""
    manifest = bundle.manifest
    window, hop = manifest.window, manifest.hop
    for name, harm in HARMS.items():
        harmed = [replace(r, samples=np.ascontiguousarray(harm(r.samples), np.float32)) for r in recordings]
        yield name, together(listen(bundle, harmed, ENGINE))
    for name, share in (("posture changes (HAPT)", changing), ("unlabelled (HAPT)", unlabelled)):
        chosen = np.concatenate([share(r, window, hop) for r in recordings])
        yield name, together(listen(bundle, recordings, ENGINE))[chosen]
    others = [on_phone(r) for r in load_dataset("sp_sw_har")]
    logits = together(listen(bundle, others, ENGINE))
    for index, name in enumerate(others[0].label_names):
        chosen = np.concatenate([mostly(r, index, window, hop) for r in others])
        yield f"{name.replace('_', ' ')} (sp_sw_har, phone)", logits[chosen]


def together(heard: Sequence[Heard]) -> F64:
    """``[N, K]`` of all recordings."""
    return np.concatenate([each.logits for each in heard]).astype(np.float64)


def changing(recording: Recording, window: int, hop: int) -> NDArray[np.bool_]:
    """Windows of which seven tenths are a change of posture."""
    assert recording.labels is not None
    steps = [i for i, name in enumerate(recording.label_names) if "_to_" in name]
    return sliding_windows(np.isin(recording.labels, steps)[:, None], window, hop)[:, :, 0].mean(axis=1) >= 0.7


def unlabelled(recording: Recording, window: int, hop: int) -> NDArray[np.bool_]:
    """Windows without any label."""
    assert recording.labels is not None
    return sliding_windows((recording.labels >= 0)[:, None], window, hop)[:, :, 0].sum(axis=1) == 0


def mostly(recording: Recording, index: int, window: int, hop: int) -> NDArray[np.bool_]:
    """Windows of which half carry one label."""
    assert recording.labels is not None
    return sliding_windows((recording.labels == index)[:, None], window, hop)[:, :, 0].mean(axis=1) >= 0.5


def on_phone(recording: Recording) -> Recording:
    """The phone of two devices, under the names that bundles of one have."""
    mine = [i for i, channel in enumerate(recording.channels) if channel.name.startswith("phone_")]
    channels = tuple(
        replace(recording.channels[i], name=recording.channels[i].name.removeprefix("phone_"), frame="device")
        for i in mine
    )
    return replace(recording, channels=channels, samples=np.ascontiguousarray(recording.samples[:, mine]))


def unknown(bundle: Bundle, recordings: Sequence[Recording]) -> dict[str, Any]:
    """How well each score tells strange windows from known ones of the test people."""
    manifest = bundle.manifest
    train, validation = (listen(bundle, people, ENGINE) for people in people_of(bundle))
    test = select(recordings, manifest.provenance["data"]["test_subjects"])
    known = {}
    for name, heard in (("validation", validation), ("test", listen(bundle, test, ENGINE))):
        truth = np.concatenate([window_labels(h.labels, manifest.window, manifest.hop) for h in heard])
        known[name] = together(heard)[truth >= 0]
    scores = scores_of(train, manifest.window, manifest.hop)
    most = {name: np.quantile(score(known["validation"]), 1 - RATE) for name, score in scores.items()}
    false = {name: float((score(known["test"]) > most[name]).mean()) for name, score in scores.items()}
    rows = []
    for title, logits in strange_windows(bundle, test):
        found = {
            name: {
                "auroc": auroc(score(known["test"]), score(logits)),
                "detected": float((score(logits) > most[name]).mean()),
            }
            for name, score in scores.items()
        }
        rows.append({"windows": title, "count": len(logits), **found})
    return {"known_windows": len(known["test"]), "false_alarms": false, "strange": rows}


def uncertain(bundle: Bundle, recordings: Sequence[Recording]) -> list[dict[str, Any]]:
    """What is left and how right that is, at each rate."""
    manifest = bundle.manifest
    train, validation = people_of(bundle)
    known, heard = labels_of(bundle, train), listen(bundle, validation, ENGINE)
    test = select(recordings, manifest.provenance["data"]["test_subjects"])
    rows = []
    for stage in STAGES:
        wishes = [parse_decision(f"{stage}:uncertain={rate}") for rate in UNCERTAIN_RATES]
        specs = [fit_decision(wish, known, heard, manifest.window, manifest.hop).spec for wish in wishes]
        plain = replace(manifest, decision=replace(specs[0], uncertain_below=0.0))
        traces = simulate(replace(bundle, manifest=plain), test, ENGINE).traces
        truth, decided = (np.concatenate([getattr(t, name) for t in traces]) for name in ("truth", "decisions"))
        sure = np.concatenate([t.probabilities for t in traces])[np.arange(len(decided)), decided]
        right = (decided == truth)[truth >= 0]
        for wish, spec in zip(wishes, specs, strict=True):
            named = (sure >= np.float32(spec.uncertain_below))[truth >= 0]
            rows.append(
                {
                    "decision": wish.text,
                    "below": spec.uncertain_below,
                    "coverage": float(named.mean()),
                    "covered_accuracy": float(right[named].mean()),
                    "wrong_left": float((named & ~right).mean()),
                    "false_alarms": float((~named)[right].mean()),
                }
            )
    return rows


UNCERTAIN = (
    "| stage | uncertain below | named, % | of these right, % | wrong and named, % of all | right and refused, % |\n"
    "|---|---:|---:|---:|---:|---:|\n"
)


def tables(found: dict[str, Any]) -> str:
    """All tables of the page."""
    parts = []
    for each in found["bundles"]:
        names = list(each["unknown"]["false_alarms"])
        parts += [f"\n### zoo:{each['bundle']}\n\n", UNCERTAIN]
        for row in each["uncertain"]:
            shares = (row["coverage"], row["covered_accuracy"], row["wrong_left"], row["false_alarms"])
            cells = " | ".join(f"{100 * share:.2f}" for share in shares)
            parts.append(f"| {row['decision']} | {row['below']:.3f} | {cells} |\n")
        parts.append(f"\n| windows | count | {' | '.join(names)} |\n|---|---:{'|---:' * len(names)}|\n")
        false = " | ".join(f"{100 * each['unknown']['false_alarms'][name]:.1f} %" for name in names)
        parts.append(f"| known, called unknown | {each['unknown']['known_windows']:,} | {false} |\n")
        for row in each["unknown"]["strange"]:
            cells = " | ".join(f"{row[name]['auroc']:.3f}, {100 * row[name]['detected']:.0f} %" for name in names)
            parts.append(f"| {row['windows']} | {row['count']:,} | {cells} |\n")
    return "".join([*parts, "\n"])


def main() -> None:
    """Score all, write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    recordings = load_dataset("hapt")
    found = []
    for name in BUNDLES:
        bundle = Bundle.open(f"zoo:{name}")
        refused = {"uncertain": uncertain(bundle, recordings), "unknown": unknown(bundle, recordings)}
        found.append({"bundle": name, "model_sha256": bundle.manifest.files["model_i8.tflite"].sha256, **refused})
        print(tables({"bundles": found[-1:]}), flush=True)
    write_json(options.json, {"engine": ENGINE, "rate": RATE, "bundles": found})


if __name__ == "__main__":
    main()
