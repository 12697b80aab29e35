r"""What each decision stage buys and what it costs: chosen on training people, then scored once on test people.

    edgehar train --model ds_cnn --dataset hapt --set 'test_subjects=[FOLD, OFFICIAL]' \
        --set validation_subjects=0 --out RUN
    edgehar export RUN --target tflite,onnx --out FOLD.edgehar
    python tools/decisions.py --folds FOLD.edgehar ... --json docs/results/decisions.json \
        --figure docs/results/decisions.png

A fold's network is scored on training people that it was not trained on; temperature and thresholds of each of them
come from the others. The bundles in the package have theirs from their validation people.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from device_sim import scores
from device_sim.decisions import softmax
from device_sim.decisions.fitting import Heard, fit_decision, negative_log_likelihood
from device_sim.decisions.wish import parse_decision
from device_sim.events import event_scores
from device_sim.results import RecordingTrace
from device_sim.simulate import simulate
from edgehar.bundle import Bundle
from edgehar.cli.decide import labels_of, listen, people_of
from edgehar.datasets import load_dataset
from edgehar.datasets.splits import select
from edgehar.decision_spec import DecisionSpec, Grammar
from edgehar.files import write_json
from edgehar.recording import Recording
from edgehar.signal import window_labels

ENGINE = "litert_ref"
BUNDLES = ("ds_cnn_3k", "ds_cnn", "ds_cnn_30k")
STAGES = (
    *("none", "none:debounce=2", "none:debounce=3", "none:hysteresis=0.3", "ema:0.3", "ema:0.5", "ema:0.7"),
    *("ema:0.5,debounce=2", "majority:3", "majority:5", "hmm", "hmm:debounce=2", "hmm:debounce=3"),
    *("hmm:hysteresis=0.3", "hmm:lag=1", "hmm:lag=2", "hmm:lag=4"),
)
HOPS = (16, 32, 64, 128)
HOP_STAGES = ("none", "ema:0.5", "hmm", "hmm:lag=1")
CHOSEN = "hmm"  # on the training people, by the first table


def even(spec: DecisionSpec) -> DecisionSpec:
    """Every change of activity as likely as any other; only how long activities last is learnt."""
    assert spec.grammar is not None
    count = len(spec.grammar.transitions)
    stay = sum(spec.grammar.transitions[i][i] for i in range(count)) / count
    rows = tuple(tuple(stay if i == j else (1 - stay) / (count - 1) for j in range(count)) for i in range(count))
    return replace(spec, grammar=Grammar(rows, spec.grammar.prior))


def without_prior(spec: DecisionSpec) -> DecisionSpec:
    """The network's probabilities as they are."""
    assert spec.grammar is not None
    return replace(spec, grammar=Grammar(spec.grammar.transitions))


Change = Callable[[DecisionSpec], DecisionSpec]
VARIANTS: dict[str, Change] = {
    "hmm, not divided by the prior": without_prior,
    "hmm, every change equally likely": even,
    "hmm, both": lambda spec: without_prior(even(spec)),
    "hmm, temperature 1": lambda spec: replace(spec, temperature=1.0),
}


def figures(traces: Sequence[RecordingTrace], labels: Sequence[str]) -> dict[str, Any]:
    """Scores of windows and events over recordings."""
    classes = len(labels)
    people = sorted({trace.subject for trace in traces})
    counts = [
        sum(scores.confusion(t.truth, t.decisions, classes) for t in traces if t.subject == person) for person in people
    ]
    total = np.sum(counts, axis=0)
    interval = scores.subject_interval([int(np.trace(c)) for c in counts], [int(c.sum()) for c in counts])
    events = event_scores(traces, labels)
    return {
        "people": len(people),
        "windows": int(total.sum()),
        "accuracy": scores.accuracy(total),
        "accuracy_interval": interval,
        "macro_f1": scores.macro_f1(total),
        "worst_person": min(float(np.trace(c) / c.sum()) for c in counts),
        **{key: events[key] for key in ("f1", "f1_interval", "f1_where_labelled", "macro_f1_where_labelled")},
        **{key: events[key] for key in ("delay_s", "undetected", "flips_per_hour", "false_alarms_per_hour")},
    }


def decided(bundle: Bundle, spec: DecisionSpec, recordings: Sequence[Recording]) -> tuple[RecordingTrace, ...]:
    """What a bundle with this stage says."""
    changed = replace(bundle, manifest=replace(bundle.manifest, decision=spec))
    return simulate(changed, recordings, ENGINE).traces


def fitted(bundle: Bundle, train: Sequence[Heard], others: Sequence[Heard]) -> DecisionSpec:
    """Grammar and temperature, learnt from what the bundle's network says; the same for every stage."""
    return fit_decision(parse_decision(CHOSEN), train, others, bundle.manifest.window, bundle.manifest.hop).spec


def at_hop(bundle: Bundle, hop: int) -> Bundle:
    """The bundle deciding more or less often; the network stays."""
    return replace(bundle, manifest=replace(bundle.manifest, hop=hop))


class Fold:
    """A network, training people that it has not seen, and what it says about all."""

    def __init__(self, bundle: Bundle, recordings: Sequence[Recording], official: Sequence[str]) -> None:
        data = bundle.manifest.provenance["data"]
        self.bundle = bundle
        self.people = [s for s in data["test_subjects"] if s not in official]
        self.mine = {person: select(recordings, [person]) for person in self.people}
        train = labels_of(bundle, select(recordings, data["train_subjects"]))
        heard = {person: listen(bundle, mine, ENGINE) for person, mine in self.mine.items()}
        self._specs = {}
        for person in self.people:
            others = [each for other, several in heard.items() if other != person for each in several]
            self._specs[person] = fitted(bundle, train, others)

    def decide(self, stage: str, change: Change | None = None) -> list[RecordingTrace]:
        """What each unseen person is said to do, the stage calibrated on the other unseen people."""
        traces: list[RecordingTrace] = []
        for person in self.people:
            spec = parse_decision(stage).of(self._specs[person])
            spec = change(spec) if change is not None else spec
            traces += decided(self.bundle, spec, self.mine[person])
        return traces


def on_folds(paths: Sequence[Path], recordings: Sequence[Recording]) -> dict[str, Any]:
    """Every stage, variant and hop on the training people."""
    official = Bundle.open("zoo:ds_cnn").manifest.provenance["data"]["test_subjects"]
    bundles = [Bundle.open(path) for path in paths]
    labels = bundles[0].manifest.heads[0].labels
    folds = [Fold(bundle, recordings, official) for bundle in bundles]
    rows = {stage: figures([t for f in folds for t in f.decide(stage)], labels) for stage in STAGES}
    rows |= {
        name: figures([t for f in folds for t in f.decide("hmm", change)], labels) for name, change in VARIANTS.items()
    }
    hops = []
    for hop in HOPS:
        changed = folds if hop == bundles[0].manifest.hop else [
            Fold(at_hop(bundle, hop), recordings, official) for bundle in bundles
        ]  # fmt: skip
        for stage in HOP_STAGES:
            hops.append({"hop": hop, "stage": stage, **figures([t for f in changed for t in f.decide(stage)], labels)})
    return {"stages": rows, "hops": hops}


def calibration(heard: Sequence[Heard], temperature: float, window: int, hop: int) -> dict[str, Any]:
    """How well probabilities of windows say how often the label is right, at temperature 1 and at the fitted one.

    Source of the expected calibration error: Guo et al., ICML 2017, equation 3, with 15 bins.
    """
    truth = np.concatenate([window_labels(each.labels, window, hop) for each in heard])
    logits = np.concatenate([each.logits for each in heard])[truth >= 0]
    known = truth[truth >= 0]
    found = {"windows": len(known), "temperature": temperature}
    for name, value in (("before", 1.0), ("after", temperature)):
        probabilities = softmax(logits, value)
        sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == known
        bins = np.minimum((sure * 15).astype(int), 14)
        gaps = [abs(float((right[bins == b] - sure[bins == b]).sum())) for b in range(15)]
        found[f"nll_{name}"] = negative_log_likelihood(logits, known, value)
        found[f"ece_{name}"] = sum(gaps) / len(known)
        found[f"mean_probability_{name}"] = float(sure.mean())
    return found


def on_test_people(name: str, recordings: Sequence[Recording], stages: Sequence[str]) -> dict[str, Any]:
    """Stages of a bundle in the package on the people held out from it."""
    bundle = Bundle.open(f"zoo:{name}")
    train, validation = people_of(bundle)
    spec = fitted(bundle, labels_of(bundle, train), listen(bundle, validation, ENGINE))
    test = select(recordings, bundle.manifest.provenance["data"]["test_subjects"])
    labels = bundle.manifest.heads[0].labels
    rows = {}
    for stage in stages:
        rows[stage] = figures(decided(bundle, parse_decision(stage).of(spec), test), labels)
    timing = (bundle.manifest.window, bundle.manifest.hop)
    sureness = calibration(listen(bundle, test, ENGINE), spec.temperature, *timing)
    return {
        "bundle": name,
        "calibration": sureness,
        "model_sha256": bundle.manifest.files["model_i8.tflite"].sha256,
        "stages": rows,
    }


HEAD = (
    "accuracy, % | worst person, % | macro-F1, % | event F1, % | of it where labelled, % | delay mean / p90, s "
    "| undetected | flips an hour |"
)


def cells(row: dict[str, Any]) -> str:
    """The figures of one row of a table."""
    delay = row["delay_s"]
    shares = [f"{100 * row[key]:.2f}" for key in ("accuracy", "worst_person", "macro_f1", "f1", "f1_where_labelled")]
    return " | ".join(
        [*shares, f"{delay['mean']:.2f} / {delay['p90']:.2f}", str(row["undetected"]), f"{row['flips_per_hour']:.0f}"]
    )


CALIBRATION = (
    "| bundle | temperature | negative log-likelihood | calibration error, points | mean probability, % |\n"
    "|---|---:|---:|---:|---:|\n"
)


def _sure(row: dict[str, Any]) -> str:
    """At temperature 1 and at the fitted one."""
    pairs = [f"{row['nll_before']:.3f} to {row['nll_after']:.3f}"]
    pairs += [
        f"{100 * row[f'{key}_before']:.1f} to {100 * row[f'{key}_after']:.1f}" for key in ("ece", "mean_probability")
    ]
    return " | ".join([f"{row['temperature']:g}", *pairs])


def tables(found: dict[str, Any]) -> str:
    """All tables of the page."""
    rule = "|---" + "|---:" * 8 + "|\n"
    parts = ["\n### Training people, by networks that had not seen them\n\n", f"| stage | {HEAD}\n{rule}"]
    parts += [f"| {name} | {cells(row)} |\n" for name, row in found["folds"]["stages"].items()]
    parts += ["\nAnother hop, the same networks:\n\n", f"| hop, stage | {HEAD}\n{rule}"]
    parts += [f"| {row['hop']}, {row['stage']} | {cells(row)} |\n" for row in found["folds"]["hops"]]
    parts += ["\n### Temperature, on test people\n\n", CALIBRATION]
    parts += [f"| {each['bundle']} | {_sure(each['calibration'])} |\n" for each in found["test"]]
    for each in found["test"]:
        parts += [f"\n### Test people, zoo:{each['bundle']}\n\n", f"| stage | {HEAD}\n{rule}"]
        parts += [f"| {name} | {cells(row)} |\n" for name, row in each["stages"].items()]
    return "".join([*parts, "\n"])


def draw(path: Path, found: dict[str, Any]) -> None:
    """Event F1 and window accuracy against the mean delay, one point a stage."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.2), sharex=True)
    (rows,) = [each["stages"] for each in found["test"] if each["bundle"] == "ds_cnn"]
    for axis, key, title in zip(axes, ("accuracy", "f1"), ("windows right, %", "event F1, %"), strict=True):
        for name, row in rows.items():
            family = name.partition(":")[0]
            colour = {"none": "#626262", "ema": "#e69f00", "majority": "#56b4e9", "hmm": "#0072b2"}[family]
            x, y = row["delay_s"]["mean"], 100 * row[key]
            axis.plot(x, y, "o", color=colour, markersize=5)
            axis.annotate(name, (x, y), xytext=(4, 3), textcoords="offset points", fontsize=7)
        axis.set(xlabel="mean delay from a change of activity to its announcement, s", ylabel=title)
        axis.grid(alpha=0.3)
    figure.suptitle("zoo:ds_cnn on the nine test people of HAPT", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Score all, write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=Path, nargs="+", required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    recordings = load_dataset("hapt")
    found = {
        "engine": ENGINE,
        "folds": on_folds(options.folds, recordings),
        "test": [on_test_people(name, recordings, STAGES) for name in BUNDLES],
    }
    write_json(options.json, found)
    if options.figure:
        draw(options.figure, found)
    print(tables(found))


if __name__ == "__main__":
    main()
