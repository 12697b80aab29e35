"""The heads of a summary, on the page and in the terminal; with one head there is nothing to show."""

from dataclasses import replace

import pytest
from report_fixtures import simulation
from test_report_page import HOSTILE, Page

from device_sim import report
from edgehar.cli.tables import heads_table

LABEL = {"label": "moving", "windows": 10, "positives": 4, "precision": 0.5, "recall": 0.75, "f1": 0.6,
         "balanced_accuracy": None}  # fmt: skip
FIRST = {"name": "activity", "kind": "multiclass", "windows": 12, "accuracy": 0.9, "macro_f1": 0.8,
         "baseline_accuracy": 0.95, "baseline_macro_f1": 0.9, "agreement": 0.99, "labels": []}  # fmt: skip
SECOND = {**FIRST, "name": "motion", "kind": "binary", "accuracy": None, "labels": [LABEL]}


@pytest.fixture(scope="module")
def run():
    return simulation(people=1, seconds=60.0)


def with_heads(run, heads):
    return replace(run, summary={**run.summary, "heads": heads})


def test_every_head_and_label_is_shown(run):
    page = Page(report.render(with_heads(run, [FIRST, SECOND])))
    assert "What each head says" in page.text
    assert "motion: moving" in page.text
    assert {"href": "#heads"} in page.all("a")
    table = heads_table({"heads": [FIRST, SECOND]})
    assert [str(cell) for cell in table.columns[0].cells] == ["activity (multiclass)", "motion (binary)"]
    assert [str(cell).replace("\u00a0", " ") for cell in table.columns[2].cells] == ["90.0 %", "–"]


@pytest.mark.parametrize("heads", [[FIRST], [], None, "two", {"a": 1}])
def test_one_head_has_no_section(run, heads):
    assert 'id="heads"' not in report.render(with_heads(run, heads))
    assert heads_table({"heads": heads}).row_count == 0


def test_hostile_and_broken_heads_do_no_harm(run):
    hostile = {**SECOND, "name": HOSTILE, "labels": [{**LABEL, "label": HOSTILE}, 7]}
    markup = report.render(with_heads(run, [hostile, None]))
    assert "<img src=x" not in markup
    Page(markup)
    assert heads_table({"heads": [hostile, None]}).row_count == 2
