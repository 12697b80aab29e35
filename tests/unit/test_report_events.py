"""The events of a summary, on the page and in the terminal."""

import re
from dataclasses import replace

import pytest
from report_fixtures import LABELS, simulation
from test_report_page import HOSTILE, Page

from device_sim import report
from device_sim.report import events
from edgehar.cli.tables import events_table


@pytest.fixture(scope="module")
def run():
    return simulation(people=3, recordings_each=1, seconds=200.0)


def with_events(run, found):
    return replace(run, summary={**run.summary, "events": found})


def shares_of(markup):
    """Widths of the parts of each bar, by its label."""
    bars = re.findall(r'<svg width="100%" height="14" role="img" aria-label="([^"]*)">(.*?)</svg>', markup)
    return [(label, [float(w) for w in re.findall(r' width="([\d.]+)%"', inside)]) for label, inside in bars]


def test_every_activity_has_a_bar_for_its_true_and_its_announced_events(run):
    markup = events.section_html(run.summary)
    bars = shares_of(markup)
    rows = run.summary["events"]["per_activity"]
    assert len(bars) == 2 * len(LABELS)
    for (label, widths), row in zip(bars, rows + rows, strict=True):
        assert label.startswith(events.readable(row["label"]))
        assert sum(widths) == pytest.approx(100, abs=0.05)
    assert [len(widths) for _, widths in bars[: len(rows)]] == [sum(map(bool, r["true"].values())) for r in rows]
    page = Page(report.render(run))
    assert {"href": "#events"} in page.all("a")
    assert "Event F1" in page.text


def test_figures_are_those_of_the_summary(run):
    found = run.summary["events"]
    words = Page(events.section_html(run.summary)).text.replace("\u00a0", " ")
    assert f"Event F1 {100 * found['f1']:.1f} %" in words
    assert f"{found['delay_s']['p50']:.2f} s after it happened" in words
    table = events_table(run.summary)
    assert table.row_count == len(LABELS)
    assert [int(str(cell)) for cell in table.columns[1].cells] == [r["true_count"] for r in found["per_activity"]]


def test_time_is_in_shares_of_the_true_time(run):
    page = Page(events.section_html(run.summary))
    row = run.summary["events"]["per_activity"][0]["samples"]
    assert f"{100 * row['correct'] / row['true']:.1f} %" in page.text.replace("\u00a0", " ")


@pytest.mark.parametrize("found", [None, {}, {"per_activity": []}, {"per_activity": "x"}, {"count": 3, "f1": None}])
def test_without_a_truth_the_section_says_so(run, found):
    page = Page(report.render(with_events(run, found)))
    assert "No events were scored" in page.text
    assert events_table({"events": found}).row_count == 0


def test_hostile_and_broken_events_do_no_harm(run):
    row = {**run.summary["events"]["per_activity"][0], "label": HOSTILE}
    broken = [
        {"label": HOSTILE, "true_count": 3},
        {**row, "true": {"correct": -1, "deleted": "x"}, "samples": None, "delay_s": 7},
        {**row, "count": float("nan"), "announced": []},
        7,
    ]
    markup = report.render(with_events(run, {**run.summary["events"], "per_activity": [row, *broken]}))
    assert "<img src=x" not in markup
    Page(markup)
    assert events_table({"events": {"per_activity": [row, *broken]}}).row_count == 4
