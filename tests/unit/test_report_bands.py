import re
from dataclasses import replace

import numpy as np
from report_fixtures import simulation

from device_sim.report.bands import GRID, area_path, band_paths, bounded, merge
from device_sim.report.histogram import Axis
from device_sim.report.palette import activities
from device_sim.report.timeline import section_html, view


def test_neighbours_of_one_label_become_one_run() -> None:
    runs = merge(np.array([2, 2, -1, 2, 0, 0]), np.arange(7.0))
    assert runs.label.tolist() == [2, -1, 2, 0]
    assert runs.start.tolist() == [0, 2, 3, 4] and runs.end.tolist() == [2, 3, 4, 6]
    assert len(merge(np.empty(0, np.int64), np.zeros(1)).label) == 0


def test_too_many_runs_show_the_commonest_of_each_group() -> None:
    labels = np.tile([0, 1, 1], 3000)
    runs = bounded(labels, np.arange(9001.0), 100)
    assert len(runs.label) <= 100 and set(runs.label.tolist()) == {1}
    assert runs.start[0] == 0 and runs.end[-1] == 9000


def test_one_path_a_label_and_none_for_unlabelled() -> None:
    paths = band_paths(merge(np.array([1, -1, 1]), np.arange(4.0)), 4.0, 26, 3)
    assert paths == '<path class="c1" d="M0 0h2500v26H0zM5000 0h2500v26H5000z"/>'


def test_a_dip_of_confidence_survives_bounding() -> None:
    values = np.ones(5000)
    values[2500] = 0.2
    path = area_path(values, np.arange(5001.0), 5000.0, 50)
    assert "V80" in path and path.endswith(f"H{GRID}V100z")


def test_one_wrong_window_in_forty_thousand_is_still_marked() -> None:
    result = simulation(people=1, recordings_each=1, seconds=820.0, hop=1)
    trace = result.traces[0]
    trace.decisions[:] = np.where(trace.truth >= 0, trace.truth, 0)
    scored = np.flatnonzero(trace.truth >= 0)
    trace.decisions[scored[len(scored) // 2]] += 1
    trace.decisions[:] %= len(result.labels)
    markup = section_html(result.traces, activities(result.labels), result.window, result.hop)
    (mark,) = re.findall(r'<svg class="wrong".*?<path d="([^"]*)"', markup)
    assert mark.count("M") == 1


def test_the_logarithmic_axis_is_clamped() -> None:
    axis = Axis(1.0, 1e5)
    assert [axis.percent(v) for v in (0.01, 1, 100, 1e5, 1e9)] == [0, 0, 40, 100, 100]
    assert axis.decades == [1, 10, 100, 1e3, 1e4, 1e5]


def test_a_device_that_is_silent_after_a_gap_is_not_drawn_as_its_last_decision() -> None:
    trace = simulation(people=1, recordings_each=1, seconds=60.0).traces[0]
    assert len(view(trace, 128, 64).trace.decisions) == len(trace.decisions)
    heard = np.ones(len(trace.starts), bool)
    heard[10:15] = False
    fields = ("starts", "truth", "decisions", "probabilities", "baseline")
    gappy = view(replace(trace, **{name: getattr(trace, name)[heard] for name in fields}), 128, 64)
    said = gappy.trace.decisions
    assert np.flatnonzero(said == -1).tolist() == [10]
    assert np.array_equal(np.delete(said, 10), trace.decisions[heard])
    held_s = np.diff(gappy.edges)
    assert np.allclose(np.delete(held_s, 10)[:-1], 1.28)
    assert np.isclose(held_s[10], 5 * 1.28)
    assert not gappy.wrong[10]
