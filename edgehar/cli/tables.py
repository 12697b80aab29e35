"""A simulation's summary as tables for the terminal: the same words and figures as the HTML report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from device_sim.report.confusion import matrix
from device_sim.report.events import TRUE
from device_sim.report.events import activities as activities_of
from device_sim.report.figures import SPACE, count, duration, mapping, number, percent, seconds, signed, size
from device_sim.report.heads import figures, several
from device_sim.report.histogram import STAGES
from device_sim.report.palette import activities, readable
from device_sim.report.subjects import ranked
from device_sim.report.verdict import Card, cards, headline

PERCENTILES = {"p50": "p50", "p90": "p90", "p99": "p99", "p99.9": "p999", "max": "max"}
TONES = {"good": "green", "bad": "bold red", "": ""}


def summary_table(summary: Mapping[str, Any]) -> Group:
    """Return headline, key figures, latency per stage and sizes; parts that are missing are left out or say why."""
    rate_hz = number(summary.get("rate_hz"))
    parts: list[Text | Table] = [Text(headline(summary, rate_hz), style="bold"), _key_figures(cards(summary, rate_hz))]
    tables = (events_table(summary), heads_table(summary), latency_table(summary), sizes_table(summary))
    parts += [table for table in tables if table.row_count]
    return Group(*parts)


def _key_figures(shown: list[Card]) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for card in shown:
        table.add_row(Text(card.title), Text(card.figure, style=TONES[card.tone], justify="right"), Text(card.context))
    return table


def events_table(summary: Mapping[str, Any]) -> Table:
    """Return what became of the true events of each activity, in Ward's letters; no rows without labels."""
    title = (
        "Events: correct, fragmented, merged, both, deleted, inserted; F1 in percent, seconds until announced: "
        "p50, p90, max"
    )
    table = _table(title, ["Activity", "true", "C", "F", "M", "FM", "D", "I", "F1", "p50", "p90", "max"])
    for row in activities_of(mapping(summary.get("events"))):
        true, announced, delay = (mapping(row.get(key)) for key in ("true", "announced", "delay_s"))
        counts = [row.get("true_count"), *(true.get(key) for key in TRUE), announced.get("inserted")]
        figures = [percent(row.get("f1")), *(seconds(delay.get(key)) for key in ("p50", "p90", "max"))]
        bare = [figure.split(SPACE)[0] for figure in figures]
        table.add_row(*map(Text, [readable(str(row.get("label"))), *map(count, counts), *bare]))
    return table


def heads_table(summary: Mapping[str, Any]) -> Table:
    """Return one row a head; no rows if there is only one."""
    table = _table("Heads", ["Head", "windows", "accuracy", "macro-F1", "baseline", "agreement"])
    for head in several(summary):
        table.add_row(Text(f"{head.get('name')} ({head.get('kind')})"), *map(Text, figures(head)))
    return table


def latency_table(summary: Mapping[str, Any]) -> Table:
    """Return the percentiles of each stage; no rows if no latency was recorded."""
    table = _table(f"Latency, {summary.get('latency_kind') or 'kind unknown'}", ["Stage", *PERCENTILES, "count"])
    stages = mapping(summary.get("latency_us"))
    for name in [*STAGES, *(name for name in stages if name not in STAGES)]:
        stage = mapping(stages.get(name))
        if stage:
            figures = [duration(stage.get(key)) for key in PERCENTILES.values()]
            table.add_row(*map(Text, [STAGES.get(name, str(name)), *figures, count(stage.get("count"))]))
    for when, noise in mapping(summary.get("host_noise_us")).items():
        if table.row_count and mapping(noise):
            figures = [duration(noise.get(key)) for key in PERCENTILES.values()]
            table.add_row(*(Text(word, style="dim") for word in [f"host, {when}", *figures, count(noise.get("count"))]))
    return table


def sizes_table(summary: Mapping[str, Any]) -> Table:
    """Return the files of the bundle and the memory of the device, largest first."""
    table = _table("Bytes", ["What", "size"])
    for heading in ("sizes", "memory"):
        known = {str(name): number(value) for name, value in mapping(summary.get(heading)).items()}
        for name, value in sorted(known.items(), key=lambda item: (-(item[1] or 0.0), item[0])):
            table.add_row(Text(name if heading == "sizes" else f"memory: {name}"), Text(size(value)))
    return table


def per_subject_table(summary: Mapping[str, Any]) -> Table:
    """Return one row a person, lowest accuracy first; no rows without labels."""
    table = _table("Accuracy by person", ["Person", "windows", "device", "baseline", "difference", "macro-F1"])
    for person in ranked(summary.get("per_subject")):
        device, baseline = number(person.get("accuracy")), number(person.get("baseline_accuracy"))
        difference = 100 * (device - baseline) if device is not None and baseline is not None else None
        figures = [count(person.get("windows")), percent(device), percent(baseline), signed(difference)]
        table.add_row(*map(Text, [str(person.get("subject")), *figures, percent(person.get("macro_f1"))]))
    return table


def confusion_table(summary: Mapping[str, Any]) -> Table:
    """Return the device's confusion matrix, rows the truth; no rows without labels."""
    confusion = mapping(summary.get("confusion"))
    labels = confusion.get("labels")
    shown = activities([str(label) for label in labels]) if isinstance(labels, list | tuple) else ()
    table = _table("Windows by true (row) and decided (column) activity", ["Truth", *(a.code for a in shown), "right"])
    for index, row in enumerate(matrix(confusion.get("device"), len(shown)) or []):
        total = sum(row)
        cells = [
            Text(count(value) if value else "·", style="green" if i == index else "red" if value else "dim")
            for i, value in enumerate(row)
        ]
        right = percent(row[index] / total) if total > 0 else "–"
        table.add_row(Text(f"{shown[index].code}  {shown[index].name}"), *cells, Text(right))
    return table


def _table(title: str, columns: list[str]) -> Table:
    table = Table(title=Text(title), title_justify="left", title_style="", box=None, padding=(0, 2, 0, 0))
    for index, name in enumerate(columns):
        table.add_column(Text(name), justify="left" if index == 0 else "right", no_wrap=index > 0, header_style="dim")
    return table
