"""A network that never saw somebody lie: enrolled from one person's recording, recognised on others, nothing worse."""

import json
from dataclasses import replace

import numpy as np
import pytest

from device_sim.enroll import enroll
from device_sim.simulate import simulate
from edgehar import cli
from edgehar.bundle import Bundle
from edgehar.datasets import load_dataset
from edgehar.datasets.splits import select
from edgehar.errors import DataError, UsageError

CONFIG = """
epochs = 4
validation_subjects = 1
hop = 128
mixup = 0
model_options = {stem_channels = 8, blocks = [[16, 9, 2], [32, 9, 1]]}
labels = ["walking", "upstairs", "downstairs", "sitting", "standing"]

[embedding]
width = 16
weight = 2.0
"""
NEW = "laying"
TEACHER, OTHERS = "2", ["4", "9", "10", "12", "13", "18", "20", "24"]  # held-out people


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("enroll")


@pytest.fixture(scope="module")
def bundle(folder):
    (folder / "siamese.toml").write_text(CONFIG)
    run, out = str(folder / "run"), folder / "model.edgehar"
    assert cli.main(["train", "--config", str(folder / "siamese.toml"), "--out", run]) == 0
    # each window for itself: what follows asks which windows a prototype takes
    assert cli.main(["export", run, "--out", str(out), "--decision", "none"]) == 0
    return Bundle.open(out)


@pytest.fixture(scope="module")
def recording(folder):
    """The teacher's first recording as a CSV that names the new activity and leaves everything else open."""
    r = select(load_dataset("hapt"), [TEACHER])[0]
    names = [name if name == NEW else "" for name in r.label_names] + [""]
    rows = [",".join(f"{v:.7g}" for v in s) + f",{names[i]}" for s, i in zip(r.samples, r.labels, strict=True)]
    path = folder / "laying.csv"
    path.write_text("\n".join([",".join(c.name for c in r.channels) + ",label", *rows]))
    return path


@pytest.fixture(scope="module")
def enrolled(bundle, recording, folder):
    before = {name: bundle.read(name) for name in bundle.manifest.files}
    words = ["enroll", str(bundle.path), "--recordings", str(recording), "--label", NEW]
    out = folder / "new.edgehar"
    assert cli.main([*words, "--out", str(out), "--engine", "litert_ref", "--json", str(folder / "e.json")]) == 0
    assert {name: Bundle.open(bundle.path).read(name) for name in bundle.manifest.files} == before
    return Bundle.open(out)


@pytest.fixture(scope="module")
def traces(bundle, enrolled):
    """What both say to the other held-out people, on the reference kernels."""
    people = select(load_dataset("hapt"), OTHERS)
    return [simulate(each, people, "litert_ref").traces for each in (bundle, enrolled)]


def joined(traces, what):
    return np.concatenate([getattr(trace, what) for trace in traces])


def test_nothing_known_gets_worse_and_the_new_label_is_found(bundle, enrolled, traces):
    known = len(bundle.manifest.heads[0].labels)
    old, new = traces
    truth = joined(new, "truth")
    before, after = joined(old, "decisions"), joined(new, "decisions")
    old_windows = (truth >= 0) & (truth < known)
    right_before, right_after = before[old_windows] == truth[old_windows], after[old_windows] == truth[old_windows]
    assert right_after.mean() >= right_before.mean() - 0.001
    assert (after[truth == known] == known).mean() > 0.35  # one person lies one way: others lie on other sides too
    assert (truth == known).sum() > 200


def test_a_window_that_is_not_of_the_new_label_is_decided_as_before(traces):
    old, new = traces
    probabilities, blended = joined(old, "probabilities"), joined(new, "probabilities")
    silent = blended[:, -1] == 0
    assert 0.5 < silent.mean() < 1
    assert np.array_equal(blended[silent, :-1], probabilities[silent])
    assert np.array_equal(joined(old, "outputs"), joined(new, "outputs"))
    assert (blended[~silent].argmax(axis=1) == blended.shape[1] - 1).all()


def test_figures_say_what_was_learned(enrolled, bundle, folder):
    figures = json.loads((folder / "e.json").read_text())
    assert figures["label"] == NEW
    assert figures["windows"] > 10
    assert figures["recognised"] > 0.8
    assert sum(figures["before"].values()) == pytest.approx(1)
    assert (figures["bundle_sha256"], figures["from_sha256"]) == (enrolled.sha256, bundle.sha256)
    assert f"## Enrolled: {NEW}" in enrolled.read("MODEL_CARD.md").decode()


def test_simulate_announces_and_scores_the_new_label(enrolled, folder, capsys):
    words = ["simulate", str(enrolled.path), "--subjects", TEACHER, "--json", str(folder / "s.json")]
    assert cli.main([*words, "--report", str(folder / "r.html")]) == 0
    summary = json.loads((folder / "s.json").read_text())
    assert summary["confusion"]["labels"][-1] == NEW
    counts = np.array(summary["confusion"]["device"])
    assert counts[-1, -1] > 0.5 * counts[-1].sum() > 0
    assert summary["baseline"]["windows"] == counts[:-1].sum()  # full precision never heard of it
    assert NEW in (folder / "r.html").read_text().lower()


def test_a_recording_may_name_the_new_label(enrolled, recording, folder):
    words = ["simulate", str(enrolled.path), "--recordings", str(recording), "--json", str(folder / "own.json")]
    assert cli.main(words) == 0
    assert json.loads((folder / "own.json").read_text())["accuracy"] > 0.8


def test_exact_engines_enrol_and_decide_alike(bundle, enrolled, recording, folder):
    words = ["enroll", str(bundle.path), "--recordings", str(recording), "--label", NEW, "--engine", "tflm"]
    assert cli.main([*words, "--out", str(folder / "tflm.edgehar")]) == 0
    assert Bundle.open(folder / "tflm.edgehar").sha256 == enrolled.sha256
    person = select(load_dataset("hapt"), ["24"])[:1]
    a, b = (simulate(enrolled, person, engine).traces[0] for engine in ("litert_ref", "tflm"))
    assert np.array_equal(a.embeddings, b.embeddings)
    assert np.array_equal(a.probabilities, b.probabilities)
    assert a.events == b.events


def test_samples_one_by_one_give_the_same_decisions(enrolled):
    from device_sim.device import Device, as_batch
    from device_sim.engines import open_engine

    samples = select(load_dataset("hapt"), [TEACHER])[0].samples[:3000]
    device = Device(enrolled, open_engine("litert_ref", enrolled))
    at_once = device.run(samples)
    device.reset()
    one_by_one = [d for d in map(device.push, samples) if d is not None]
    assert len(at_once) == len(one_by_one) > 10
    for a, b in zip(at_once, one_by_one, strict=True):
        assert np.array_equal(a.embedding, b.embedding)
        assert np.array_equal(a.probabilities, b.probabilities)
    assert np.array_equal(as_batch(at_once[3]).embeddings[0], at_once[3].embedding)


def test_golden_stream_covers_the_embedding(bundle, enrolled, tmp_path, capsys):
    from device_fixtures import altered

    from device_sim import __main__ as device_main
    from edgehar.arrays import dump_npz

    assert device_main.main([str(enrolled.path), "--engine", "tflm"]) == 0
    assert "golden      ok" in capsys.readouterr().out
    arrays = bundle.arrays("golden.npz")
    arrays["stream_outputs_1"] = arrays["stream_outputs_1"] ^ 1
    wrong = altered(bundle, tmp_path, {"golden.npz": dump_npz(**arrays)})
    assert device_main.main([str(wrong.path), "--engine", "litert_ref"]) == 1


def test_a_second_prototype_of_a_label_and_a_second_label(enrolled, folder):
    r = select(load_dataset("hapt"), [TEACHER])[1]
    again = enroll(enrolled, [r], NEW, folder / "again.edgehar").bundle
    assert again.manifest.announced == enrolled.manifest.announced
    assert len(again.manifest.enrolled) == 2
    more = enroll(again, [r], "stand_to_lie", folder / "more.edgehar").bundle if _has(r, "stand_to_lie") else again
    assert set(more.manifest.announced.labels) >= {NEW, "walking"}


def _has(recording, label):
    """Whether some windows lie in this label from end to end."""
    index = recording.label_names.index(label)
    runs = np.flatnonzero(np.diff(np.concatenate([[0], recording.labels == index, [0]]).astype(int)))
    return (runs[1::2] - runs[::2]).max(initial=0) > 128 * 5


@pytest.mark.parametrize(
    "case",
    [
        ({"--label": "walking"}, 2, "one of the network's own"),
        ({"--label": "a,b"}, 2, "without commas"),
        ({"--margin": "3"}, 2, "margin is 3.0"),
        ({"BUNDLE": "zoo:ds_cnn"}, 2, "has no int8 embedding"),
        ({"--label": "swimming"}, 1, "unknown label 'laying'"),
    ],
)
def test_refusals(bundle, recording, tmp_path, capsys, case):
    changed, code, words = case
    given = {"BUNDLE": str(bundle.path), "--recordings": str(recording), "--label": NEW}
    given |= {"--out": str(tmp_path / "x.edgehar")} | changed
    line = ["enroll", given.pop("BUNDLE"), *(word for pair in given.items() for word in pair)]
    assert cli.main(line) == code
    assert words in capsys.readouterr().err
    assert not (tmp_path / "x.edgehar").exists()


def test_the_bundle_itself_stays(bundle, recording, tmp_path, capsys):
    words = ["enroll", str(bundle.path), "--recordings", str(recording), "--label", NEW, "--out", str(bundle.path)]
    assert cli.main(words) == 2
    assert "which is left as it is" in capsys.readouterr().err
    short = select(load_dataset("hapt"), [TEACHER])[0].cut(0, 300)
    with pytest.raises(DataError, match="2 windows of 'laying' in 1 recording"):
        enroll(bundle, [replace(short, labels=None)], NEW, tmp_path / "x.edgehar")
    with pytest.raises(UsageError, match="expected a word"):
        enroll(bundle, [short], " ", tmp_path / "x.edgehar")
