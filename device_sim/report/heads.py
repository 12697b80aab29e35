"""Every head of a network that has several: what it was asked, and how right it was beside its baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from device_sim.report.figures import count, mapping, percent
from device_sim.report.markup import plain, section, table

LEAD = (
    "Each head is scored on the windows whose truth it knows. The first announces the events and is what the rest of "
    "the page is about; the others answer each window by itself."
)
HEADS = ("Head", "Kind", "#Windows", "#Accuracy", "#Macro-F1", "#Baseline accuracy", "#Agreement")
LABELS = ("Label", "#Windows", "#Of them yes", "#Precision", "#Recall", "#F1", "#Balanced accuracy")
SHARES = ("precision", "recall", "f1", "balanced_accuracy")


def several(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the heads where there are more than one, else nothing."""
    heads = _mappings(summary.get("heads"))
    return heads if len(heads) > 1 else []


def figures(head: Mapping[str, Any]) -> list[str]:
    """Return windows, accuracy, macro-F1, baseline accuracy and agreement of a head as text."""
    shares = [percent(head.get(key)) for key in ("accuracy", "macro_f1", "baseline_accuracy")]
    return [count(head.get("windows")), *shares, percent(head.get("agreement"), 2)]


def section_html(summary: Mapping[str, Any]) -> str:
    """Return a table of the heads and one of their labels; empty where there is one head."""
    heads = several(summary)
    if not heads:
        return ""
    rows = [list(map(plain, [_word(head, "name"), _word(head, "kind"), *figures(head)])) for head in heads]
    body = table("Heads", HEADS, rows, "figures")
    labels = [
        list(map(plain, [f"{_word(head, 'name')}: {_word(label, 'label')}", *_counts(label)]))
        for head in heads
        for label in _mappings(head.get("labels"))
    ]
    if labels:
        body += "\n" + table("Each label against the rest of its head", LABELS, labels, "figures")
    return section("heads", "What each head says", LEAD, body)


def _counts(label: Mapping[str, Any]) -> list[str]:
    return [*(count(label.get(key)) for key in ("windows", "positives")), *(percent(label.get(key)) for key in SHARES)]


def _mappings(items: Any) -> list[Mapping[str, Any]]:
    return [mapping(item) for item in items] if isinstance(items, list | tuple) else []


def _word(item: Mapping[str, Any], key: str) -> str:
    return str(item.get(key) or "–")
