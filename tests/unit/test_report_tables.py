import io

import pytest
from report_fixtures import simulation
from rich.console import Console, RenderableType

from edgehar.cli.tables import confusion_table, latency_table, per_subject_table, sizes_table, summary_table

SUMMARY = simulation().summary


def printed(renderable: RenderableType, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(renderable)
    return console.file.getvalue().replace("\u00a0", " ")  # type: ignore[attr-defined]


def test_the_summary_opens_with_the_verdict_of_the_page() -> None:
    shown = printed(summary_table(SUMMARY))
    assert shown.startswith("int8 on litert: 94.8 % of 3,697 windows right")
    for words in ("baseline 95.4 %", "Front end", "Whole decision", "model_i8.tflite", "memory: ring buffer"):
        assert words in shown, words


def test_eighty_columns_hold_every_figure() -> None:
    shown = printed(summary_table(SUMMARY), 80) + printed(per_subject_table(SUMMARY), 80)
    assert "…" not in shown and max(map(len, shown.splitlines())) <= 80


def test_people_come_worst_first() -> None:
    rows = printed(per_subject_table(SUMMARY)).splitlines()
    assert rows[2].startswith("user05") and "84.9 %" in rows[2]


def test_the_confusion_matrix_is_the_devices() -> None:
    shown = printed(confusion_table(SUMMARY))
    counts = SUMMARY["confusion"]["device"]
    row = next(line for line in shown.splitlines() if line.startswith("STA"))
    assert [int(n) for n in row.split()[2:] if n.isdigit()] == [n for n in counts[4] if n]


@pytest.mark.parametrize("table", [latency_table, sizes_table, per_subject_table, confusion_table])
def test_an_empty_summary_gives_an_empty_table(table: object) -> None:
    assert table({}).row_count == 0  # type: ignore[operator]


def test_an_empty_summary_says_what_is_missing() -> None:
    assert "no latency was recorded" in printed(summary_table({}))


def test_markup_in_names_is_shown_not_obeyed() -> None:
    shown = printed(summary_table({**SUMMARY, "engine": "[red]x[/]", "sizes": {"[bold]m.tflite": 3}}))
    assert "[red]x[/]" in shown and "[bold]m.tflite" in shown
