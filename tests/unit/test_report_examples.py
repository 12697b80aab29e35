"""Windows where device and baseline differ: which are chosen, and how they are drawn."""

from dataclasses import replace

import numpy as np
import pytest
from device_fixtures import altered, make_tiny_bundle, synthetic_recording
from report_fixtures import simulation
from test_report_page import HOSTILE, Page

from device_sim import report
from device_sim.faults import parse_faults
from device_sim.report import examples
from device_sim.report.palette import activities
from device_sim.simulate import simulate
from edgehar.arrays import dump_npz
from edgehar.decision_spec import DecisionSpec, Grammar
from edgehar.recording import IMU_CHANNELS, Channel
from edgehar.signal import window_labels

RECORDINGS = tuple(synthetic_recording(1400, i, f"rec{i}", f"person{i // 2}") for i in range(6))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """Its baseline is right wherever there is a truth, but for some windows, and says 0 elsewhere."""
    folder = tmp_path_factory.mktemp("examples")
    plain = make_tiny_bundle(folder, held_out=RECORDINGS)
    arrays = plain.arrays("baseline.npz")
    for number, recording in enumerate(RECORDINGS):
        labels = np.maximum(window_labels(recording.labels, 32, 16), 0).astype(np.int8)
        labels[number::9] = (labels[number::9] + 1) % 3
        arrays[f"labels/{recording.name}"] = labels
    return altered(plain, folder, {"baseline.npz": dump_npz(**arrays)})


def kind_of(example):
    if example.truth < 0:
        return 3
    return 0 if example.baseline == example.truth else 1 if example.device == example.truth else 2


def test_a_few_of_each_kind_of_several_people_with_their_samples(bundle):
    result = simulate(bundle, RECORDINGS, "litert_ref")
    kinds = [kind_of(e) for e in result.examples]
    assert kinds == sorted(kinds)
    assert set(kinds) >= {0, 1, 3}
    assert max(kinds.count(kind) for kind in range(4)) == 3
    for kind in (0, 1, 3):
        assert len({e.subject for e in result.examples if kind_of(e) == kind}) == 3
    by_name = {r.name: r for r in RECORDINGS}
    traces = {t.recording: t for t in result.traces}
    for example in result.examples:
        start = round(example.start_s * 50)
        assert example.device != example.baseline
        assert np.array_equal(example.samples, by_name[example.recording].samples[start : start + 32])
        trace = traces[example.recording]
        at = int(np.flatnonzero(trace.starts == start)[0])
        assert (example.device, example.truth) == (trace.decisions[at], trace.truth[at])
        assert example.probability == pytest.approx(trace.probabilities[at, example.device])


def test_the_window_is_the_one_that_a_late_decision_is_about(bundle, tmp_path):
    grammar = Grammar(tuple(tuple(0.8 if i == j else 0.1 for j in range(3)) for i in range(3)))
    slim = {name: array for name, array in bundle.arrays("baseline.npz").items() if name.startswith("labels/")}
    files = {"baseline.npz": dump_npz(**slim)}  # without logits the baseline is of single windows
    late = altered(bundle, tmp_path, files, decision=DecisionSpec("hmm", grammar=grammar, lag=2))
    result = simulate(late, RECORDINGS, "litert_ref")
    assert len(result.examples) > 6
    traces = {t.recording: t for t in result.traces}
    for example in result.examples:
        start, trace = round(example.start_s * 50), traces[example.recording]
        labels = trace.sample_labels[start : start + 32]
        assert example.truth == (labels[0] if (labels == labels[0]).all() else -1)
        decided = int(np.flatnonzero(trace.starts == start)[0]) + 2
        assert (example.device, example.baseline) == (trace.compared[decided], trace.baseline[decided])


def test_samples_are_those_that_reached_a_device_with_faults(bundle):
    result = simulate(bundle, RECORDINGS[:2], "litert_ref", faults=parse_faults("reboot:0.02,stuck:0.1"), seed=3)
    assert result.examples
    assert all(example.samples.shape == (32, 6) for example in result.examples)


def test_alike_in_every_window_leaves_nothing_to_draw(tmp_path):
    result = simulate(make_tiny_bundle(tmp_path, held_out=RECORDINGS[:1]), RECORDINGS[:1], "litert_ref")
    assert result.examples == ()
    assert "both decide alike in every window" in Page(report.render(result)).text


def test_every_window_is_drawn_with_all_its_axes():
    run = simulation(people=4, recordings_each=1, seconds=300.0)
    markup = report.render(run)
    page = Page(markup)
    drawn = [a for a in page.all("figure") if a.get("class") == "example"]
    assert len(drawn) == len(run.examples) > 1
    plots = [a for a in page.all("svg") if (a.get("aria-label") or "").startswith(("acc, g from", "gyro, rad/s from"))]
    assert len(plots) == 2 * len(drawn)
    shapes = [a for a in page.all("path") if a.get("class") in ("l0", "l1", "l2")]
    assert len(shapes) == 3 + 6 * len(drawn)
    first = run.examples[0]
    assert f"{first.subject}, {first.recording}, from" in page.text
    assert {"href": "#examples"} in page.all("a")
    assert "nan" not in markup.split('id="examples"')[1].split("</section>")[0]


def test_gaps_long_windows_and_many_sensors_stay_bounded():
    assert examples.path(np.array([0.0, np.nan, 1.0, 0.5])) == "M0 69.0M667 3.0L1000 36.0"
    assert examples.path(np.linspace(-1, 2, 5000)).count("L") <= 400
    assert examples.path(np.full(3, np.nan)) == ""
    assert examples.path(np.empty(0)) == ""
    many = [Channel(f"s{i}_{axis}", "g") for i in range(9) for axis in "abcdefgh"]
    found = examples.sensors(many)
    assert (len(found), {len(columns) for _, columns in found}) == (4, {6})
    assert [name for name, _ in examples.sensors(IMU_CHANNELS)] == ["acc, g", "gyro, rad/s"]


def test_hostile_names_and_odd_labels_do_no_harm():
    run = simulation(people=4, recordings_each=1, seconds=300.0)
    odd = replace(run.examples[0], recording=HOSTILE, subject=HOSTILE, device=99, truth=-1, probability=None)
    flat = replace(odd, samples=np.full_like(odd.samples, np.inf))
    channels = (Channel(f"{HOSTILE}_x", HOSTILE), *IMU_CHANNELS[1:])
    markup = report.render(replace(run, examples=(odd, flat), channels=channels))
    assert "<img src=x" not in markup
    Page(markup)
    Page(
        examples.section_html({"baseline": {"windows": "x"}, "agreement": 7}, (odd,), channels, activities(run.labels))
    )
