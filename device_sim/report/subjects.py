"""Accuracy of each person, device beside baseline, the worst first: an average hides who it fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from device_sim.report.figures import count, mapping, number, percent, plural, signed
from device_sim.report.markup import Cell, empty, plain, section, table, text

MAX_ROWS = 60


def section_html(summary: Mapping[str, Any]) -> str:
    """Return the table of people with a dot plot in each row."""
    title = "Who it works for"
    people = ranked(summary.get("per_subject"))
    if not people:
        why = "No accuracy per person: no window of these recordings has a known activity."
        return section("people", title, "", empty(why))
    shown = people[:MAX_ROWS]
    low = floor(people)
    with_baseline = any(number(p.get("baseline_accuracy")) is not None for p in people)
    columns = ["Person", "#Windows", f"Accuracy, {low} to 100 %, a line every {_grid_step(low)}", "#Device"]
    columns += ["#Baseline", "#Difference"] if with_baseline else []
    columns += ["#Macro-F1"]
    rows = [_row(person, low, index == 0 and len(people) > 1, with_baseline) for index, person in enumerate(shown)]
    caption = f"Accuracy of {plural(len(people), 'person', 'people')}, lowest first"
    if len(people) > len(shown):
        caption += f"; the {len(shown)} lowest are shown"
    legend = '<ul class="legend"><li><i class="dot device"></i>device</li>'
    legend += '<li><i class="dot baseline"></i>baseline</li></ul>' if with_baseline else "</ul>"
    return section("people", title, _lead(people), f"{legend}\n{table(caption, columns, rows, 'people')}")


def ranked(people: Any) -> list[Mapping[str, Any]]:
    """Return the people who have an accuracy, lowest first."""
    if not isinstance(people, list | tuple):
        return []
    known = [mapping(p) for p in people if number(mapping(p).get("accuracy")) is not None]
    return sorted(known, key=lambda p: (number(p.get("accuracy")) or 0.0, str(p.get("subject"))))


def floor(people: list[Mapping[str, Any]]) -> int:
    """Return where the dot plot starts, in percent: a multiple of ten below everyone."""
    values = [number(p.get(key)) for p in people for key in ("accuracy", "baseline_accuracy")]
    lowest = min(value for value in values if value is not None)
    return max(0, min(90, int(100 * lowest - 1e-9) // 10 * 10))


def _grid_step(low: int) -> int:
    return 10 if low < 80 else 5


def _lead(people: list[Mapping[str, Any]]) -> str:
    worst = people[0]
    if len(people) == 1:
        return "One person only: this says nothing about how it works for others."
    values = sorted(number(p.get("accuracy")) or 0.0 for p in people)
    middle = (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
    return (
        f"Worst: {worst.get('subject')} with {percent(worst.get('accuracy'))} of {count(worst.get('windows'))} "
        f"windows; half of the people are above {percent(middle)}."
    )


def _row(person: Mapping[str, Any], low: int, worst: bool, with_baseline: bool) -> list[Cell]:
    device, baseline = number(person.get("accuracy")), number(person.get("baseline_accuracy"))
    name = text(person.get("subject")) + (' <span class="tag">worst</span>' if worst else "")
    cells = [
        Cell(name),
        plain(count(person.get("windows"))),
        Cell(_plot(str(person.get("subject")), device, baseline, low), "plot"),
        plain(percent(device)),
    ]
    if with_baseline:
        both = device is not None and baseline is not None
        difference = 100 * (device - baseline) if device is not None and baseline is not None else None
        cells += [plain(percent(baseline)), plain(signed(difference) if both else "–")]
    return [*cells, plain(percent(person.get("macro_f1")))]


def _plot(subject: str, device: float | None, baseline: float | None, low: int) -> str:
    def x(value: float) -> float:
        return 3 + 94 * min(max((100 * value - low) / (100 - low), 0.0), 1.0)

    grid = "".join(
        f'<line class="grid" x1="{x(p / 100):.1f}%" x2="{x(p / 100):.1f}%" y1="0" y2="24"/>'
        for p in range(low, 101, _grid_step(low))
    )
    words = f"{subject}: device {percent(device)}" + (f", baseline {percent(baseline)}" if baseline is not None else "")
    joined = dots = ""
    if baseline is not None:
        dots = f'<circle class="baseline" cx="{x(baseline):.2f}%" cy="12" r="6"/>'
    if device is not None:
        if baseline is not None:
            joined = f'<line class="join" x1="{x(device):.2f}%" x2="{x(baseline):.2f}%" y1="12" y2="12"/>'
        dots += f'<circle class="device" cx="{x(device):.2f}%" cy="12" r="4"/>'
    return (
        f'<svg width="100%" height="24" role="img" aria-label="{text(words)}"><title>{text(words)}</title>'
        f"{grid}{joined}{dots}</svg>"
    )
