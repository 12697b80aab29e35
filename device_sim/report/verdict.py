"""The sentence a reader needs first, the cards under it, and the facts of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from device_sim.report.figures import (
    DASH,
    SPACE,
    count,
    duration,
    interval,
    mapping,
    number,
    percent,
    plural,
    seconds,
    signed,
    size,
)
from device_sim.report.markup import text

MODEL_SUFFIXES = (".tflite", ".onnx")
NO_LABELS = "no window with a known activity"
NO_BASELINE = "the bundle has no baseline for these recordings"


@dataclass(frozen=True)
class Card:
    """One key figure: what it is, the figure, a line of context, and whether it is good, bad or neither."""

    title: str
    figure: str
    context: str
    tone: str = ""  # "", good, bad


def sample_period_us(rate_hz: float | None) -> float | None:
    """Return the time from one sample to the next, the deadline of a decision."""
    return None if not rate_hz else 1e6 / rate_hz


def headline(summary: Mapping[str, Any], rate_hz: float | None) -> str:
    """Return the verdict as one plain sentence, not escaped.

    Example: ``int8 on litert: 96.8 % of 2,713 windows right, 0.1 points below the full-precision baseline; slowest
    decision 0.41 ms of 20.0 ms; 9 people``.
    """
    parts = [_right(summary)]
    slowest = number(mapping(mapping(summary.get("latency_us")).get("total")).get("max"))
    if slowest is not None:
        period = sample_period_us(rate_hz)
        limit = f" of {duration(period)}" if period else ""
        modelled = " (modelled)" if summary.get("latency_kind") == "modelled" else ""
        parts.append(f"slowest decision {duration(slowest)}{limit}{modelled}")
    subjects = summary.get("subjects")
    if isinstance(subjects, list | tuple) and subjects:
        parts.append(plural(len(subjects), "person", "people"))
    spec = mapping(summary.get("faults")).get("spec")
    if spec:
        parts.append(f"with faults {spec}")
    return f"{_precision(summary)} on {summary.get('engine') or 'an unnamed engine'}: {'; '.join(parts)}"


def _precision(summary: Mapping[str, Any]) -> str:
    recipe = str(summary.get("recipe") or "")
    words = {
        "static_wi8_ai8": "int8",
        "static_wi8_ai8_percentile": "int8, percentile ranges,",
        "static_wi8_ai8_mse": "int8, least-error ranges,",
        "static_wi8_ai16": "int8 × int16",
        "mixed_wi8": "mixed int8 and int16",
        "dynamic_wi8": "dynamic int8",
        "float32": "float32",
    }
    return words.get(recipe, recipe or "model")


def _right(summary: Mapping[str, Any]) -> str:
    accuracy, drop = number(summary.get("accuracy")), number(summary.get("accuracy_drop_points"))
    if accuracy is None:
        return f"{plural(summary.get('windows_streamed'), 'window')} decided, none scored ({NO_LABELS})"
    right = f"{percent(accuracy)} of {plural(summary.get('windows'), 'window')} right"
    if drop is None:
        return right
    points = f"{abs(drop):.1f}"
    alone = "window by window " if _is_alone(mapping(summary.get("baseline"))) else ""
    if points == "0.0":
        return f"{right}, {alone}level with the full-precision baseline"
    return f"{right}, {alone}{points} points {'below' if drop > 0 else 'above'} the full-precision baseline"


def _is_alone(baseline: Mapping[str, Any]) -> bool:
    """Whether the baseline is of single windows and the device's own figures are not."""
    return baseline.get("smoothed") is False


def cards(summary: Mapping[str, Any], rate_hz: float | None) -> list[Card]:
    """Return the key figures, the most important first; one that is missing says why."""
    baseline = mapping(summary.get("baseline"))
    return [
        _accuracy(summary, baseline),
        _drop(summary, baseline),
        _agreement(summary),
        _macro_f1(summary, baseline),
        *_event_f1(mapping(summary.get("events"))),
        *_faults(mapping(summary.get("faults"))),
        _latency(summary),
        _misses(summary, rate_hz),
        _realtime(summary),
        *_energy(mapping(summary.get("energy"))),
        _model_size(summary),
    ]


def _accuracy(summary: Mapping[str, Any], baseline: Mapping[str, Any]) -> Card:
    if number(summary.get("accuracy")) is None:
        return Card("Accuracy", DASH, NO_LABELS)
    spread = interval(summary.get("accuracy_interval"), 100)
    parts = [f"95 % interval over people {spread}" if spread else "too few people for an interval"]
    if number(baseline.get("accuracy")) is not None:
        alone = ", of single windows" if _is_alone(baseline) else ""
        parts.append(f"baseline {percent(baseline.get('accuracy'))}{alone}")
    return Card("Accuracy", percent(summary.get("accuracy")), "; ".join(parts))


def _drop(summary: Mapping[str, Any], baseline: Mapping[str, Any]) -> Card:
    drop = number(summary.get("accuracy_drop_points"))
    if drop is None:
        return Card("Drop in points", DASH, NO_LABELS if baseline else NO_BASELINE)
    spread = interval(summary.get("accuracy_drop_interval_points"))
    where = f"95 % interval {spread}" if spread else "no interval"
    device = baseline.get("device")
    return Card("Drop in points", signed(drop), f"{where}; against full precision{f' on {device}' if device else ''}")


def _agreement(summary: Mapping[str, Any]) -> Card:
    if number(summary.get("agreement")) is None:
        return Card("Agreement", DASH, NO_BASELINE)
    alone = " about single windows" if _is_alone(mapping(summary.get("baseline"))) else ""
    words = f"same decision as the baseline{alone}, right or wrong"
    return Card("Agreement", percent(summary.get("agreement"), 2), words)


def _macro_f1(summary: Mapping[str, Any], baseline: Mapping[str, Any]) -> Card:
    if number(summary.get("macro_f1")) is None:
        return Card("Macro-F1", DASH, NO_LABELS)
    other = f"baseline {percent(baseline.get('macro_f1'))}" if number(baseline.get("macro_f1")) is not None else ""
    return Card("Macro-F1", percent(summary.get("macro_f1")), other or "every activity counts the same")


def _faults(faults: Mapping[str, Any]) -> list[Card]:
    """What the device did about faults; no card without them."""
    device = mapping(faults.get("device"))
    if not device:
        return []
    dropped = sum(int(number(device.get(name)) or 0) for name in ("late", "duplicates"))
    what = [
        f"dropped {count(dropped)}",
        f"filled in {count(device.get('interpolated'))}",
        f"held {count(device.get('held'))} samples",
        f"began anew {count((number(device.get('breaks')) or 0) + (number(device.get('reboots')) or 0))} times",
    ]
    kinds = plural(len(mapping(faults.get("touched"))), "kind")
    return [Card("Faults", kinds, f"{faults.get('spec')}; {', '.join(what)}")]


def _event_f1(events: Mapping[str, Any]) -> list[Card]:
    if number(events.get("f1")) is None:
        return []
    delay = mapping(events.get("delay_s"))
    parts = [f"{count(events.get('matched'))} of {plural(events.get('true_count'), 'true event')} matched"]
    parts += [f"delay {seconds(delay.get('p50'))} median, {seconds(delay.get('max'))} longest"] if delay else []
    flips = events.get("flips_per_hour")
    parts += [f"{count(flips)} flips an hour of one activity"] if number(flips) is not None else []
    return [Card("Event F1", percent(events.get("f1")), "; ".join(parts))]


def _latency(summary: Mapping[str, Any]) -> Card:
    total = mapping(mapping(summary.get("latency_us")).get("total"))
    if number(total.get("p50")) is None:
        return Card("Decision latency", DASH, "no latency was recorded")
    kind = f", {summary['latency_kind']}" if summary.get("latency_kind") else ""
    return Card(
        "Decision latency", duration(total.get("p50")), f"median{kind}; p99 {duration(total.get('p99'))}, "
        f"max {duration(total.get('max'))}"
    )  # fmt: skip


def _misses(summary: Mapping[str, Any], rate_hz: float | None) -> Card:
    misses, hop = number(summary.get("deadline_misses")), number(summary.get("deadline_misses_hop"))
    if misses is None:
        return Card("Deadline misses", DASH, "not recorded")
    period = sample_period_us(rate_hz)
    stages = mapping(summary.get("latency_us"))
    timed = number(mapping(stages.get("response", stages.get("total"))).get("count"))
    limit = f"longer than {duration(period)}, one sample" if period else "longer than one sample"
    of_timed = f"of {count(timed)} timed, " if timed is not None else ""
    against_hop = f"; {count(hop)} longer than one hop" if hop is not None else ""
    return Card("Deadline misses", count(misses), of_timed + limit + against_hop, "bad" if misses else "good")


def _realtime(summary: Mapping[str, Any]) -> Card:
    factor = number(summary.get("realtime_factor"))
    if factor is None:
        return Card("Speed", DASH, "not recorded")
    figure = f"{factor:,.0f}×" if factor >= 10 else f"{factor:.2g}×"
    clock = f", {summary['clock']} clock" if summary.get("clock") else ""
    return Card("Speed", figure, f"of real time on this host{clock}")


def _energy(energy: Mapping[str, Any]) -> list[Card]:
    joules = number(energy.get("energy_uj"))
    if joules is None:
        return []
    board = energy.get("board_label") or energy.get("board") or "the board"
    duty = (
        f", duty cycle {percent(energy.get('duty_cycle'), 2)}" if number(energy.get("duty_cycle")) is not None else ""
    )
    return [Card("Energy", f"{joules:,.1f}{SPACE}µJ", f"a decision on {board}, modelled{duty}")]


def _model_size(summary: Mapping[str, Any]) -> Card:
    sizes = mapping(summary.get("sizes"))
    models = {name: number(value) for name, value in sizes.items() if str(name).endswith(MODEL_SUFFIXES)}
    known = {name: value for name, value in models.items() if value is not None}
    if not known:
        return Card("Model size", DASH, "no model file listed")
    preferred = ".onnx" if str(summary.get("engine")).startswith("onnx") else ".tflite"
    smallest = min(known, key=lambda name: (not str(name).endswith(preferred), known[name], str(name)))
    return Card("Model size", size(known[smallest]), str(smallest))


def facts(summary: Mapping[str, Any], window: int, hop: int, rate_hz: float | None) -> list[tuple[str, str]]:
    """Return what was run on what, as pairs of term and plain text."""
    period = f" ({window / rate_hz:.2f} s, every {hop / rate_hz:.2f} s)" if rate_hz else ""
    rows = [
        ("Engine", " ".join(str(summary[k]) for k in ("engine", "engine_version") if summary.get(k))),
        ("Recipe", str(summary.get("recipe") or "")),
        ("Data", str(summary.get("dataset") or "")),
        ("Recordings", count(summary["recordings"]) if "recordings" in summary else ""),
        ("Samples", _samples(summary)),
        ("Window", f"{window} samples, hop {hop}{period}"),
        ("Decisions", f"{count(summary.get('windows_streamed'))} streamed, {count(summary.get('windows'))} scored"),
        ("Events", _events(mapping(summary.get("events")))),
    ]  # fmt: skip
    return [(term, value) for term, value in rows if value]


def _events(events: Mapping[str, Any]) -> str:
    if number(events.get("count")) is None:
        return ""
    per_hour, true = number(events.get("per_hour")), number(events.get("true_count"))
    rate = f", {count(per_hour)} an hour" if per_hour is not None else ""
    return f"{count(events['count'])} announced{rate}{f', {count(true)} in the truth' if true else ''}"


def notices(summary: Mapping[str, Any]) -> list[str]:
    """Return what a reader must know before trusting the figures; usually nothing."""
    found = []
    if summary.get("interrupted") is True:
        found.append("The run was interrupted: only the part that was streamed until then is shown and scored.")
    paired, scored = number(mapping(summary.get("baseline")).get("windows")), number(summary.get("windows"))
    if paired is not None and scored is not None and paired < scored:
        found.append(
            f"Only {count(paired)} of {count(scored)} scored windows have a baseline: drop and agreement are of these, "
            "the accuracy of the device is of all."
        )
    if invalid := number(summary.get("invalid_samples")):
        found.append(f"{plural(invalid, 'sample')} held NaN or infinite values; the device kept the last good ones.")
    return found


def _samples(summary: Mapping[str, Any]) -> str:
    if number(summary.get("samples")) is None:
        return ""
    invalid = number(summary.get("invalid_samples"))
    return count(summary["samples"]) + (f", {count(invalid)} invalid" if invalid else "")


def section_html(summary: Mapping[str, Any], window: int, hop: int, rate_hz: float | None) -> str:
    """Return the head of the page: name, verdict, cards, facts."""
    name = text(summary.get("bundle_name") or "unnamed bundle")
    shown = "\n".join(
        f'<div class="card {card.tone}"><dt>{text(card.title)}</dt><dd><b>{text(card.figure)}</b>'
        f"<span>{text(card.context)}</span></dd></div>"
        for card in cards(summary, rate_hz)
    )
    pairs = "".join(
        f"<div><dt>{text(term)}</dt><dd>{text(value)}</dd></div>"
        for term, value in facts(summary, window, hop, rate_hz)
    )
    warnings = "".join(f'<p class="notice">{text(notice)}</p>' for notice in notices(summary))
    return (
        f'<header class="top"><p class="eyebrow">{name} <span>edgehar simulation</span></p>\n'
        f"<h1>{text(headline(summary, rate_hz))}</h1>\n{warnings}"
        f'<dl class="cards" aria-label="Key figures">\n{shown}\n</dl>\n<dl class="facts">{pairs}</dl></header>'
    )
