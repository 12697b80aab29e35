"""Whole events: what became of each true one, what is behind each announced one, how long they took to come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from device_sim.report.figures import clock_time, count, interval, mapping, number, percent, plural, seconds
from device_sim.report.markup import Cell, empty, plain, section, table, text
from device_sim.report.palette import readable

# key in the summary: words; the order is that of the colours e0 to e4
TRUE = {
    "correct": "Correct",
    "fragmented": "Fragmented",
    "merged": "Merged",
    "fragmented_merged": "Both",
    "deleted": "Deleted",
}
ANNOUNCED = {
    "correct": "Correct",
    "fragmenting": "Fragmenting",
    "merging": "Merging",
    "fragmenting_merging": "Both",
    "inserted": "Inserted",
}
MEANINGS = {
    "correct": "one announced event for one true one, early or late",
    "fragmented": "announced in several parts",
    "merged": "announced as one with another true event of its activity",
    "fragmented_merged": "in several parts, one of which goes on into another event",
    "deleted": "never announced",
    "fragmenting": "one of several parts of a true event",
    "merging": "goes on from one true event into the next",
    "fragmenting_merging": "a part of one event that goes on into the next",
    "inserted": "nothing of the kind happened",
}
TRUE_TIME = {
    "correct": "Right",
    "underfill_start": "Late start",
    "underfill_end": "Early end",
    "fragmented": "In gaps",
    "deleted": "In deleted",
    "substituted": "As another",
}
ANNOUNCED_TIME = {
    "overfill_start": "Early start",
    "overfill_end": "Late end",
    "merged": "Over gaps",
    "inserted": "Inserted",
    "announced_in_null": "Unlabelled",
}
DELAY = ("#Delay p50", "#p90", "#Longest", "#Undetected")
SHARES = ("#Precision", "#F1")
TITLE = "What it announced, event by event"


def section_html(summary: Mapping[str, Any]) -> str:
    """Return the tables of true events, announced events and their time, or what is missing."""
    events = mapping(summary.get("events"))
    rows = activities(events)
    if not rows:
        return section("events", TITLE, "", empty("No events were scored: these recordings have no labels."))
    true = [[*_counts(row, "true", "true_count", TRUE), *_delay(row)] for row in rows]
    announced = [[*_counts(row, "announced", "count", ANNOUNCED), *_shares(row)] for row in rows]
    parts = [
        _block("True events: what became of them", TRUE, true, DELAY),
        _block("Announced events: what is behind them", ANNOUNCED, announced, SHARES),
        _time(rows, number(summary.get("rate_hz"))),
    ]
    body = "".join(f"<div>{part}</div>" for part in parts)
    return section("events", TITLE, lead(events), f'<div class="stack">{body}</div>')


def activities(events: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the activities that occur in the truth or were announced."""
    found = events.get("per_activity")
    rows = [mapping(item) for item in found] if isinstance(found, list | tuple) else []
    return [row for row in rows if number(row.get("true_count")) or number(row.get("count"))]


def lead(events: Mapping[str, Any]) -> str:
    """Return the section's figures in words."""
    spread = interval(events.get("f1_interval"), 100)
    delay = mapping(events.get("delay_s"))
    matched, true, announced = (events.get(key) for key in ("matched", "true_count", "count"))
    sentences = [
        f"Event F1 {percent(events.get('f1'))}{f' (95 % interval over people {spread})' if spread else ''}: "
        f"{count(matched)} of {plural(true, 'true event')} match one of {count(announced)} announced, both being "
        f"mostly the same stretch of time; {percent(events.get('f1_where_labelled'))} where only labelled time counts.",
    ]
    if delay:
        sentences.append(
            f"A change is announced {seconds(delay.get('p50'))} after it happened in the median, "
            f"{seconds(delay.get('p90'))} or less in nine of ten"
            f"{_undetected(events)}."
        )
    if number(events.get("flips_per_hour")) is not None:
        sentences.append(f"Within an activity the device flips {count(events.get('flips_per_hour'))} times an hour.")
    if number(events.get("false_alarms_per_hour")) is not None:
        sentences.append(
            f"Where nothing is labelled it raises {count(events.get('false_alarms_per_hour'))} false alarms an hour."
        )
    return " ".join(sentences)


def _undetected(events: Mapping[str, Any]) -> str:
    missed = number(events.get("undetected"))
    return f"; {plural(missed, 'event')} ended first" if missed else ""


def _block(title: str, names: Mapping[str, str], rows: Sequence[Sequence[Cell]], more: Sequence[str]) -> str:
    legend = "".join(
        f'<li><i class="e{i}"></i><b>{text(word)}</b> {text(MEANINGS[key])}</li>'
        for i, (key, word) in enumerate(names.items())
    )
    columns = ["Activity", "Share of each", "#Events", *(f"#{word}" for word in names.values()), *more]
    box = table(f"{title.partition(':')[0]}, each in one category", columns, rows, "events")
    return f'<h3>{text(title)}</h3><ul class="legend kinds">{legend}</ul>{box}'


def _delay(row: Mapping[str, Any]) -> list[Cell]:
    delay = mapping(row.get("delay_s"))
    figures = [seconds(delay.get(key)) for key in ("p50", "p90", "max")]
    return [*map(plain, figures), plain(count(row.get("undetected")))]


def _shares(row: Mapping[str, Any]) -> list[Cell]:
    return [plain(percent(row.get(key))) for key in ("precision", "f1")]


def _counts(row: Mapping[str, Any], key: str, total: str, names: Mapping[str, str]) -> list[Cell]:
    counts = mapping(row.get(key))
    name = readable(str(row.get("label")))
    figures = [count(counts.get(part)) for part in names]
    return [
        plain(name),
        Cell(_bar(name, [number(counts.get(part)) or 0.0 for part in names], list(names.values())), "parts"),
        plain(count(row.get(total))),
        *map(plain, figures),
    ]


def _bar(name: str, values: Sequence[float], words: Sequence[str]) -> str:
    total = sum(max(value, 0.0) for value in values)
    label = ", ".join(f"{word.lower()} {count(v)}" for word, v in zip(words, values, strict=True) if v > 0)
    shapes, at = [], 0.0
    for index, value in enumerate(values):
        if value > 0:
            width = 100 * value / total
            shapes.append(
                f'<rect class="e{index}" x="{at:.2f}%" width="{width:.2f}%" height="14">'
                f"<title>{text(words[index])}: {count(value)}</title></rect>"
            )
            at += width
    return (
        f'<svg width="100%" height="14" role="img" aria-label="{text(name)}: {text(label or "none")}">'
        f"{''.join(shapes)}</svg>"
    )


def _time(rows: Sequence[Mapping[str, Any]], rate_hz: float | None) -> str:
    columns = ["Activity", "#True", *(f"#{word}" for word in (*TRUE_TIME.values(), *ANNOUNCED_TIME.values()))]
    cells = []
    for row in rows:
        samples = mapping(row.get("samples"))
        true = number(samples.get("true"))
        whole = clock_time(true / rate_hz) if true is not None and rate_hz and rate_hz > 0 else count(true)
        shares = [_share(samples.get(key), true) for key in (*TRUE_TIME, *ANNOUNCED_TIME)]
        cells.append([plain(readable(str(row.get("label")))), plain(whole), *map(plain, shares)])
    caption = (
        "Shares of each activity's true time. Right to In deleted add up to it, As another being what of that was "
        "announced as another activity; the rest was announced beyond it, Unlabelled where nothing is labelled"
    )
    return f"<h3>Where the time went</h3>{table(caption, columns, cells, 'events')}"


def _share(value: Any, whole: float | None) -> str:
    found = number(value)
    return percent(found / whole if found is not None and whole else None)
