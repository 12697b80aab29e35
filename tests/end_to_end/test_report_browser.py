"""The report in a real Chromium: its script runs without an error, nothing overflows, the page is not blank."""

from pathlib import Path

import numpy as np
import pytest
from browser import Visit, visit
from report_fixtures import simulation

from device_sim import report
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
