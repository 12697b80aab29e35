"""The report in a real Chromium: its script runs without an error, nothing overflows, the page is not blank."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import Visit, visit
from report_fixtures import APART, PROFILE, simulation

from device_sim import report
from device_sim.report.palette import contrast, luminance
from device_sim.results import SimulationResult

WIDTHS = (1280, 390)

# Run in the parent of the page on load: use every control, then hand back what the page says.
USE_IT = """
  const page = event.target.contentDocument, view = event.target.contentWindow;
  const seen = (name, value) => { inner.dataset[name] = String(value); };
  const press = (selector) => page.querySelector(selector).click();
  const open = () => page.querySelector(".recording.open");
  const before = open().querySelector("figcaption b").textContent;
  press("[data-step='-1']");
  seen("stepped", before !== open().querySelector("figcaption b").textContent);
  press("[data-step='1']");
  const ticks = open().querySelectorAll(".axis text").length;
  press("[data-zoom='4']");
  seen("zoomed", open().querySelectorAll(".axis text").length > 2 * ticks);
  seen("zoomed_overflow", page.documentElement.scrollWidth - page.documentElement.clientWidth);
  press("[data-error='1']");
  seen("tip", page.getElementById("tip").textContent);
  const key = (name) => open().querySelector(".timeline").dispatchEvent(
    new view.KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
  key("Home"); key("ArrowRight");
  seen("second", page.getElementById("tip").querySelector("b").textContent);
  key("Escape");
  seen("hidden", !page.getElementById("tip").classList.contains("on"));
  press("[data-zoom='1']");
"""


# What a reader without a mouse or without eyes meets, and the colours that carry meaning.
LOOK_AT_IT = """
  const page = event.target.contentDocument, view = event.target.contentWindow;
  const seen = (name, value) => { inner.dataset[name] = JSON.stringify(value); };
  const named = (node) => (node.getAttribute("aria-label") || "").trim().length > 0;
  seen("sections", [...page.querySelectorAll("section")].map((s) => s.id));
  seen("unnamed", [...page.querySelectorAll("section")].filter(
    (s) => !page.getElementById(s.getAttribute("aria-labelledby"))).map((s) => s.id));
  seen("mute", [...page.querySelectorAll("svg[role=img], .scroll[tabindex]")].filter((s) => !named(s)).length);
  seen("unreachable", [...page.querySelectorAll("table")].filter((t) => !t.closest(".scroll[tabindex='0']")).length);
  seen("dead", [...page.querySelectorAll("nav a")].filter((a) => !page.querySelector(a.getAttribute("href"))).length);
  seen("blank", [...page.querySelectorAll(".events svg rect, .layers svg rect")].filter(
    (r) => r.getBoundingClientRect().width <= 0).length);
  seen("flat", [...page.querySelectorAll(".example path")].filter((p) => !p.getBoundingClientRect().width).length);
  const style = view.getComputedStyle(page.documentElement);
  const names = ["paper", "faint", "e0", "e1", "e2", "e3", "e4", "l0", "l1", "l2"];
  seen("colours", Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()])));
"""


@pytest.fixture(scope="module")
def result() -> SimulationResult:
    return simulation()


@pytest.fixture(scope="module", params=WIDTHS)
def used(request: pytest.FixtureRequest, result: SimulationResult, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    folder = tmp_path_factory.mktemp("chromium")
    return visit(report.render(result, extra_results=[result]), folder, request.param, 1400, action=USE_IT)


def test_the_script_runs_without_an_error(used: Visit) -> None:
    assert used.dataset["loaded"] == "yes" and "action" not in used.dataset, used.dataset
    assert (used.dataset.get("script"), used.dataset.get("errors")) == ("ready", "0"), used.dataset


def test_nothing_overflows_sideways(used: Visit) -> None:
    assert (used.dataset["overflow"], used.dataset["zoomed_overflow"]) == ("0", "0")


def test_the_controls_work(used: Visit, result: SimulationResult) -> None:
    assert (used.dataset["stepped"], used.dataset["zoomed"], used.dataset["hidden"]) == ("true", "true", "true")
    assert "wrong" in used.dataset["tip"] and "Truth: " in used.dataset["tip"] and "Baseline: " in used.dataset["tip"]
    second = (result.hop + result.window - 1) / 50
    assert used.dataset["second"].startswith(f"0:0{second:.1f}")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)], ids=["light", "dark phone"])
def test_every_section_can_be_reached_named_and_told_apart(
    result: SimulationResult, tmp_path: Path, width: int, dark: bool
) -> None:
    full = replace(result, summary={**result.summary, **APART})
    page = report.render(full, extra_results=[result], profile=PROFILE)
    seen = visit(page, tmp_path, width, 1400, dark=dark, action=LOOK_AT_IT).dataset
    assert "action" not in seen and seen["overflow"] == "0", seen
    found = {name: json.loads(seen[name]) for name in ("sections", "unnamed", "mute", "unreachable", "dead", "blank")}
    assert {"events", "examples", "latency", "board"} <= set(found.pop("sections"))
    assert found == {"unnamed": [], "mute": 0, "unreachable": 0, "dead": 0, "blank": 0}
    assert json.loads(seen["flat"]) == 0
    colours = json.loads(seen["colours"])
    assert (luminance(colours["paper"]) < 0.1) == dark
    for name, ground in [*((f"e{i}", "paper") for i in range(5)), *((f"l{i}", "faint") for i in range(3))]:
        assert contrast(colours[name], colours[ground]) >= 3, name


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_not_blank_and_follows_the_theme(result: SimulationResult, tmp_path: Path, dark: bool) -> None:
    seen = visit(report.render(result), tmp_path, 1280, 1100, dark=dark, screenshot=True)
    assert seen.pixels is not None and seen.pixels.shape == (1100, 1280, 3)
    colours = np.unique(seen.pixels.reshape(-1, 3), axis=0)
    assert len(colours) > 200
    assert (np.median(seen.pixels) < 60) == dark
    for activity in ("#0072b2", "#e69f00", "#d55e00"):
        wanted = [int(activity[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(seen.pixels.astype(int) - wanted).max(axis=-1) <= 2).sum() > 500, f"no {activity} band in sight"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_with_nothing_to_show_holds_up(tmp_path: Path, width: int) -> None:
    name = "a-very-long-unbroken-bundle-name-" * 8
    bare = SimulationResult({"bundle_name": name, "engine": name, "dataset": name}, (), (), 128, 64)
    seen = visit(report.render(bare), tmp_path, width)
    assert (seen.dataset["script"], seen.dataset["errors"], seen.dataset["overflow"]) == ("ready", "0", "0")


@pytest.mark.parametrize("width", WIDTHS)
def test_hostile_names_run_nothing_and_do_not_widen_the_page(tmp_path: Path, width: int) -> None:
    evil = "</script><script>document.documentElement.dataset.evil='1'</script><img src=x onerror=alert(1)>" + "W" * 200
    small = simulation(people=2, recordings_each=1, seconds=90.0, labels=(evil, *[f"{evil}{i}" for i in range(5)]))
    summary = {**small.summary, "bundle_name": evil, "per_subject": [{"subject": evil, "accuracy": 0.5, "windows": 2}]}
    traces = tuple(small.traces)
    seen = visit(report.render(SimulationResult(summary, traces, small.labels, 128, 64)), tmp_path, width)
    assert "evil" not in seen.dataset
    assert (seen.dataset["script"], seen.dataset["errors"], seen.dataset["overflow"]) == ("ready", "0", "0")
