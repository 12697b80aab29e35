"""``MODEL_CARD.md``: what the bundle is, what it was shown to do, and where that ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgehar.errors import BundleError
from edgehar.manifest import Manifest


def model_card(manifest: Manifest, sizes: Mapping[str, int], baseline: Mapping[str, Any]) -> str:
    """Return the card as Markdown; every figure comes from the export itself.

    Args:
        manifest: of the bundle; ``provenance`` holds verification and scores.
        sizes: bytes of each file.
        baseline: the full-precision scores, ``baseline.json``.

    Raises:
        BundleError: somebody's manifest or baseline does not tell what a card says.
    """
    try:
        return _card(manifest, sizes, baseline)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BundleError(
            f"the manifest of {manifest.name!r} does not tell what its model card says ({error!r:.100}); export the "
            "model again"
        ) from None


def _card(manifest: Manifest, sizes: Mapping[str, int], baseline: Mapping[str, Any]) -> str:
    evidence, provenance = manifest.provenance["verification"], manifest.provenance
    model, labels = manifest.model, ", ".join(manifest.heads[0].labels)
    label, unit = manifest.precision.label, difference_unit(evidence["engines"])
    accuracy, macro_f1 = evidence[f"{label}_accuracy"], evidence[f"{label}_macro_f1"]
    drop = 100 * (baseline["accuracy"] - accuracy)
    macs = f"{model['macs']:,} MACs a decision{streaming_words(evidence)}"
    engines = "\n".join(
        f"| {e['engine']} | {e['windows']:,} | {largest_difference(e)} | {100 * e['exact']:.2f} % "
        f"| {100 * e['same_label']:.2f} % |"
        if e["windows"]
        else f"| {e['engine']} | not run: no C compiler | – | – | – |"
        for e in evidence["engines"]
    )
    files = "\n".join(f"| {name} | {size:,} |" for name, size in sorted(sizes.items()))
    channels = ", ".join(f"{c.name} ({c.unit})" for c in manifest.channels)
    return f"""# {manifest.name}

Recognises **{labels}** from {channels} at {manifest.rate_hz:g} Hz, one decision every {manifest.hop} samples
({manifest.hop / manifest.rate_hz:.2f} s) over a window of {manifest.window} samples
({manifest.window / manifest.rate_hz:.2f} s).

| | |
|---|---|
| model | {model["name"]}, {model["parameters"]:,} parameters, {macs} |
| recipe | {manifest.recipe}{mixed_words(evidence)} |
{_inputs(manifest)}
{_embedding(manifest)}{_decision(manifest)}| data | {provenance["data"]["dataset"]}: {provenance["data"]["source"]} |
| trained on | people {", ".join(provenance["data"]["train_subjects"])} |
| scored on | people {", ".join(provenance["data"]["test_subjects"])}, in no way used before |
| licence | data: {manifest.licence["data"]}; model: {manifest.licence["model"]} |
| made by | `{provenance["command"]}` |

## What it was shown to do

{evidence["scored_windows"]:,} held-out windows that carry one activity:

| | accuracy | macro-F1 |
|---|---|---|
| full precision on {baseline["device"]} | {100 * baseline["accuracy"]:.2f} % | {100 * baseline["macro_f1"]:.2f} % |
| {label} | {100 * accuracy:.2f} % | {100 * macro_f1:.2f} % |

Drop {drop:.2f} points; the same label as full precision for {100 * evidence["agreement_with_baseline"]:.2f} %.
{_heads(evidence, label)}
The device's network on held-out windows, as many as stand in the table, against the numpy reference:

| engine | windows | largest difference ({unit}) | equal outputs | same label |
|---|---|---|---|---|
{engines}

## Where that ends

One device, worn where these people wore it, doing scripted activities; windows across a change of activity are
streamed but not scored. Other placements, other people's habits and activities outside the list were not measured:
such a window still gets one of the labels above. Not a medical device.

## Files

| file | bytes |
|---|---|
{files}
"""


def difference_unit(engines: Sequence[Mapping[str, Any]]) -> str:
    """Return what the engines' largest differences are counted in: steps of integers, or standard deviations."""
    return "sd" if any("max_sd" in engine for engine in engines) else "LSB"


def largest_difference(engine: Mapping[str, Any]) -> str:
    """Return an engine's largest difference without its unit."""
    return f"{engine['max_sd']:.1g}" if "max_sd" in engine else str(engine["max_lsb"])


def streaming_words(evidence: Mapping[str, Any]) -> str:
    """Return how much of the network firmware that streams computes every hop, nothing for other firmware."""
    if "streaming" not in evidence:
        return ""
    found = evidence["streaming"]
    rest = f"; over the whole window: {found['rest']} and what follows" if found["rest"] else ""
    return f"; the firmware streams, {found['macs']:,} a hop{rest}"


def mixed_words(evidence: Mapping[str, Any]) -> str:
    """Return what a mixed recipe chose, nothing under other recipes."""
    if "mixed" not in evidence:
        return ""
    choice = evidence["mixed"]
    nodes = sum(len(step["nodes"]) for step in choice["steps"])
    layers = ", ".join(step["layer"] for step in choice["steps"]) or "none"
    return (
        f": {nodes} of {choice['layers']} operations in int16 (for {layers}); logits {choice['int8_db']:.1f} dB with "
        f"int8 throughout, {choice['logits_db']:.1f} dB so, target {choice['target_db']:.1f} dB"
    )


def _inputs(manifest: Manifest) -> str:
    """One row an input: the columns it gets, and what of them."""
    names = manifest.front_end.names
    rows = []
    for each in manifest.inputs:
        columns = ", ".join(names[i] for i in each.columns)
        features = each.features
        of = "" if features is None else f"{features.width} features ({', '.join(features.families)}) of "
        rows.append((each.name, of + columns))
    return "\n".join(f"| input {name} | {columns} |" for name, columns in rows)


def _embedding(manifest: Manifest) -> str:
    """A row for the embedding, nothing where there is none."""
    if manifest.embedding is None:
        return ""
    cosine = manifest.provenance["verification"]["embedding_cosine"]
    return (
        f"| embedding | {manifest.embedding.width} numbers, to enrol labels with; cosine with full precision on "
        f"held-out windows: mean {cosine['mean']:.4f}, 1 % below {cosine['p1']:.4f} |\n"
    )


def _decision(manifest: Manifest) -> str:
    """A row for what makes decisions of logits, nothing where that is the most probable label of each window."""
    spec = manifest.decision
    words = {
        "ema": f"moving average of the probabilities, {spec.strength:g} of the past",
        "majority": f"vote of {spec.strength:g} windows",
        "hmm": "forward filter of a hidden Markov model, grammar of the training people",
    }
    said = [words[spec.smoothing]] if spec.smoothing in words else []
    said += [f"about the window {spec.delay} decisions ago"] if spec.delay else []
    said += [f"a lead of {spec.hysteresis:g} to change"] if spec.hysteresis else []
    said += [f"uncertain below {spec.uncertain_below:g}"] if spec.uncertain_below else []
    said += ["unknown beyond the windows it was trained on"] if spec.familiar is not None else []
    said += [f"{spec.min_decisions} in a row to announce"] if spec.min_decisions > 1 else []
    said += [f"temperature {spec.temperature:g}"] if spec.temperature != 1 else []
    return f"| decisions | {'; '.join(said)} |\n" if said else ""


def _heads(evidence: Mapping[str, Any], label: str) -> str:
    """The scores of each head, nothing where there is one."""
    if "heads" not in evidence:
        return ""
    rows = "\n".join(
        f"| {h['name']} | {h['kind']} | {', '.join(label['label'] for label in h['labels'])} | {h['windows']:,} "
        f"| {_percent(h['baseline_accuracy'])} | {_percent(h['accuracy'])} | {_percent(h['baseline_macro_f1'])} "
        f"| {_percent(h['macro_f1'])} | {_percent(h['agreement'])} |"
        for h in evidence["heads"]
    )
    figures = (f"{what}, {whose}" for what in ("accuracy", "macro-F1") for whose in ("full precision", label))
    return f"""
Every head on the windows whose truth it knows; the table above is the first one's:

| head | kind | labels | windows | {" | ".join(figures)} | same answer |
|---|---|---|---|---|---|---|---|---|
{rows}
"""


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f} %"
