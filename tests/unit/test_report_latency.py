"""Latencies on the page beside what the host adds to them, and what a board would take."""

import json
from dataclasses import replace

import pytest
from report_fixtures import APART, PROFILE, simulation
from test_report_page import HOSTILE, Page

from device_sim import report
from device_sim.report import device_cost, histogram
from device_sim.telemetry import Histogram
from edgehar.cli import main
from edgehar.cli.tables import latency_table


@pytest.fixture(scope="module")
def run():
    return simulation(people=1, seconds=60.0)


def test_warm_up_and_noise_have_tables_of_their_own(run):
    page = Page(report.render(replace(run, summary={**run.summary, **APART})))
    for words in ("The first 8 decisions alone", "All but the first 8", "Noise of this host", "12.0 ms", "One thread"):
        assert words in page.text.replace("\u00a0", " "), words
    assert "longest gap of an idle loop here: 12.0 ms" in page.text.replace("\u00a0", " ")
    stages = len(run.summary["latency_us"])
    assert sum(a.get("class") == "noise" for a in page.all("line")) == stages + 1  # and the key's
    table = latency_table({**run.summary, **APART})
    assert [str(cell) for cell in table.columns[0].cells][-2:] == ["host, before", "host, after"]


@pytest.mark.parametrize("key", sorted(APART))
@pytest.mark.parametrize("value", [None, 7, "x", [], {"before": 3}, {"decisions": 8}, {"stages": {"total": None}}])
def test_parts_that_are_missing_or_broken_leave_the_rest(run, key, value):
    summary = {**run.summary, **APART, key: value}
    Page(histogram.section_html(summary, 20_000.0))
    assert latency_table(summary).row_count >= 5


def test_layers_add_up_to_the_whole(run):
    page = Page(report.render(run, profile=PROFILE))
    words = page.text.replace("\u00a0", " ")
    assert {"href": "#board"} in page.all("a")
    for figure in (
        "70.0 %",
        "26.0 %",
        "4.0 %",
        "1.500 ms",
        "12.0 µJ",
        "1.20 %",
        "300 days",
        "20.0 KiB",
        "not verified",
    ):
        assert figure in words, figure
    hostile = {**PROFILE, "board": HOSTILE, "layers": [{"name": HOSTILE, "op": HOSTILE, "cycles": 3}]}
    markup = report.render(run, profile=hostile)
    assert "<img src=x" not in markup
    Page(markup)
    assert "What it costs on the board" not in report.render(run)


@pytest.mark.parametrize("profile", [{}, {"layers": [None, 3, {}]}, {"pipeline": "x", "cycles": -1}, {"current": 3}])
def test_a_broken_profile_is_a_page_too(profile):
    Page(device_cost.section_html(profile, {}))


def test_a_board_beside_an_engine_of_this_host(tmp_path, monkeypatch):
    monkeypatch.delenv("EDGEHAR_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    seconds = ["--seconds", "20"]
    command = ["report", "zoo:ds_cnn_3k", "--board", "rpi_pico2", "-o", "r.html", "--json", "s.json", *seconds]
    assert main(command) == 0
    energy = json.loads((tmp_path / "s.json").read_text())["energy"]
    assert (energy["board"], energy["kind"]) == ("rpi_pico2", "modelled")
    assert energy["energy_uj"] == pytest.approx(energy["latency_ms"] * 80)
    page = Page((tmp_path / "r.html").read_text())
    assert "What it costs on the board" in page.text
    modelled = [
        "simulate",
        "zoo:ds_cnn_3k",
        "--engine",
        "cortex_m",
        "--board",
        "rpi_pico2",
        "--json",
        "m.json",
        *seconds,
    ]
    assert main(modelled) == 0
    summary = json.loads((tmp_path / "m.json").read_text())
    assert summary["latency_kind"] == "modelled"
    assert summary["energy"]["energy_uj"] == pytest.approx(energy["energy_uj"], rel=0.05)  # on other windows
    assert (
        Histogram.of_buckets_ns(summary["latency_steady_ns"]["total"]).count == summary["latency_us"]["total"]["count"]
    )
    assert main(["simulate", "zoo:ds_cnn_3k", "--board", "pico"]) == 2
