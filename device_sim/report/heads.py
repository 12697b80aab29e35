"""Every head of a network that has several: what it was asked, and how right it was beside its baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from device_sim.report.figures import count, mapping, number, percent
from device_sim.report.markup import Cell, plain, section, table

LEAD = (
    "Each head is scored on the windows whose truth it knows. The first announces the events and is what the rest of "
    "the page is about; the others answer each window by itself."
)
COLUMNS = ("Head", "Kind", "Label", "#Windows", "#Of them yes", "#Accuracy", "#Macro-F1", "#Baseline", "#Agreement")


def several(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the heads where there are more than one, else nothing."""
    heads = summary.get("heads")
    return [mapping(head) for head in heads] if isinstance(heads, list | tuple) and len(heads) > 1 else []


def figures(head: Mapping[str, Any]) -> list[str]:
    """Return windows, accuracy, macro-F1, baseline accuracy and agreement of a head as text."""
    shares = [percent(head.get(key)) for key in ("accuracy", "macro_f1", "baseline_accuracy")]
    return [count(head.get("windows")), *shares, percent(head.get("agreement"), 2)]


def section_html(summary: Mapping[str, Any]) -> str:
    """Return one row a head and one a label of each; empty where there is one head."""
    rows = [row for head in several(summary) for row in _rows(head)]
    if not rows:
        return ""
    caption = "Heads and their labels; a label's row has its balanced accuracy and its F1"
    return section("heads", "What each head says", LEAD, table(caption, COLUMNS, rows, "figures"))


def _rows(head: Mapping[str, Any]) -> list[list[Cell]]:
    windows, *shares = figures(head)
    name, kind = plain(head.get("name")), plain(head.get("kind"))
    rows = [[name, kind, plain("all"), plain(windows), plain("–"), *map(plain, shares)]]
    labels = head.get("labels")
    for label in map(mapping, labels if isinstance(labels, list | tuple) else ()):
        known = [plain(count(label.get(key))) for key in ("windows", "positives")]
        right = [plain(percent(number(label.get(key)))) for key in ("balanced_accuracy", "f1")]
        rows.append([plain(""), plain(""), plain(label.get("label")), *known, *right, plain("–"), plain("–")])
    return rows
