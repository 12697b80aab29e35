"""The tables of the studies, made from their JSON; and that every file of a published result can be read."""

import importlib
import tomllib
from pathlib import Path

import numpy as np
import pytest

from edgehar.datasets import DATASETS
from edgehar.datasets.examples import Examples
from edgehar.errors import ConfigError
from edgehar.heads import Task
from edgehar.training.config import load_config

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    monkeypatch.chdir(TOOLS.parent)
    return importlib.import_module


def _row(protocol, seed, accuracy):
    scores = {"accuracy_f32": accuracy, "macro_f1_f32": accuracy, "accuracy_i8": 0.9, "macro_f1_i8": 0.89}
    cost = {"parameters": 1234, "macs": 56789, "i8_bytes": 4321, "epochs": 12}
    return {"protocol": protocol, "seed": seed, "windows": 2947, **scores, **cost}


def test_random_windows_are_labelled_as_leaking(tool):
    published = {"title": "joint", "accuracy": 0.98, "macro_f1": 0.98, "split": "windows", "share": 0.3}
    rows = [_row("windows", 0, 0.97), _row("people", 0, 0.91), _row("windows", 1, 0.99), _row("people", 1, 0.91)]
    lines = tool("literature").table([{"name": "joint_features", "published": published, "rows": rows}]).splitlines()
    assert len(lines) == 4
    assert "leaks people" in lines[2]
    assert "as published" in lines[2]
    assert "98.00 ± 1.41 / 98.00 ± 1.41 %" in lines[2]
    assert "published" not in lines[3]
    assert "leaks" not in lines[3]
    assert "| 1,234 | 56,789 | 4,321 | 2 × 12 |" in lines[3]
    assert lines[3].endswith("--only joint_features` |")


def test_every_file_of_a_published_result_can_be_read(tool, tmp_path):
    literature = tool("literature")
    studies = {path.stem: literature.read_study(path) for path in literature.FOLDER.glob("*.toml")}
    assert {"cnn1d", "joint_features", "lstm_64_256", "bilstm_128_512"} <= set(studies)
    assert sorted(s.published.accuracy for n, s in studies.items() if "lstm" in n) == [
        0.917, 0.936, 0.942, 0.954, 0.967, 0.971,
    ]  # fmt: skip
    bad = tmp_path / "bad.toml"
    bad.write_text('[published]\ntitle = "x"\naccuracy = 1.0\nsplit = "windows"\n')
    with pytest.raises(ConfigError, match=r"split 'windows' of share 0\.0"):
        literature.read_study(bad)
    bad.write_text("[publish]\n")
    with pytest.raises(ConfigError, match="unknown key 'publish', did you mean 'published'"):
        literature.read_study(bad)


def test_rows_by_people_share_nobody_and_random_ones_no_row(tool):
    literature = tool("literature")
    subjects = np.array([str(i % 5) for i in range(50)])
    values = np.arange(50, dtype=np.float32)[:, None]
    task = Task("activity", "multiclass", ("a", "b"))
    examples = Examples(values, ("x",), subjects, task, np.zeros((50, 1), np.int16), (("0", "3"),))
    published = literature.Published("x", 0.9, split="windows", share=0.3)
    training, held_out = literature.split_rows(examples, published, "people")
    assert (set(training.people), set(held_out.people)) == ({"1", "2", "4"}, {"0", "3"})
    training, held_out = literature.split_rows(examples, published, "windows")
    assert len(held_out.values) == 9
    assert set(held_out.people) == set(training.people) == {"1", "2", "4"}
    assert not set(training.values[:, 0]) & set(held_out.values[:, 0])


def test_several_heads_stand_beside_a_network_a_head(tool):
    def run(*heads):
        scores = {"accuracy_f32": 0.97, "macro_f1_f32": 0.96, "accuracy_i8": 0.95, "macro_f1_i8": 0.94, "windows": 10}
        return {"parameters": 100, "macs": 2000, "i8_bytes": 30, "heads": dict.fromkeys(heads, scores)}

    networks = [
        {"name": "three heads", "runs": [run("activity", "change")] * 2},
        {"name": "activity alone", "runs": [run("activity")] * 2},
        {"name": "change alone", "runs": [run("change")] * 2},
    ]
    lines = tool("multitask").table({"networks": networks}).splitlines()
    cell = "97.00 ± 0.00 / 96.00 ± 0.00, int8 95.00 ± 0.00 / 94.00 ± 0.00"
    assert lines[2] == f"| three heads | {cell} | {cell} | 2 | 100 | 2,000 | 30 |"
    assert lines[4] == f"| change alone |  | {cell} | 2 | 100 | 2,000 | 30 |"
    assert lines[5] == "| a network a head, together |  |  |  | 200 | 4,000 | 60 |"


def test_a_binary_head_alone_asks_the_same_as_two_classes(tool):
    multitask = tool("multitask")
    alone = multitask.variants()["change alone"].heads[0]
    assert alone.labels == ("no", "transition")
    assert len(alone.groups["transition"]) == len(alone.groups["no"]) == 6
    weights = {n: [h.weight for h in c.heads] for n, c in multitask.variants().items() if n.startswith("three")}
    assert weights == {
        "three heads": [1.0, 1.0, 1.0],
        "three heads, change × 0.3": [1.0, 1.0, 0.3],
        "three heads, change × 3": [1.0, 1.0, 3.0],
        "three heads, change balanced": [1.0, 1.0, 1.0],
    }


def test_balanced_accuracy_is_of_all_folds_together(tool):
    extrasensory = tool("extrasensory")
    folds = [{"x": [[8, 2], [0, 0]], "y": [[5, 0], [0, 0]]}, {"x": [[0, 0], [1, 3]], "y": [[5, 0], [0, 0]]}]
    assert extrasensory.balanced_accuracy(folds, "x") == pytest.approx((0.8 + 0.75) / 2)
    assert extrasensory.balanced_accuracy(folds, "y") is None
    truth = np.array([[1, -1], [0, 1], [0, 0]])
    decided = np.array([[1, 1], [1, 1], [0, 0]])
    assert extrasensory.counted(truth, decided, ["x", "y"]) == {"x": [[1, 1], [0, 1]], "y": [[1, 0], [0, 1]]}


def test_many_labels_stand_beside_a_network_a_label(tool):
    extrasensory = tool("extrasensory")
    both = {n: [[9, 1], [2, 8]] for n in (*extrasensory.TEN, "OTHER")}
    engine = {"engine": "tflm", "windows": 10, "max_lsb": 0, "exact": 1.0, "same_label": 1.0, "bound_lsb": 0}
    cost = {"parameters": 11, "macs": 10, "i8_bytes": 99}
    shared = {"f32": both, "i8": both, **cost, "engines": [engine]}
    alone = [{"f32": {n: [[10, 0], [0, 10]]}, **cost} for n in extrasensory.TEN]
    results = {
        0: [{"one network, 11 labels": [shared], "a network a label": alone}] * 2,
        1: [{"one network, 11 labels": [shared], "a network a label": []}] * 2,
    }
    found = extrasensory.summary(results)
    lines = extrasensory.table(found).splitlines()
    assert lines[0] == "| label | one network, 11 labels | one network, 11 labels, int8 | a network a label |"
    assert lines[2] == "| `LYING_DOWN` | 85.0 ± 0.0 | 85.0 ± 0.0 | 100.0 |"
    assert "| mean of all 11 | 85.0 ± 0.0 | 85.0 ± 0.0 |  |" in lines
    assert "| parameters, all networks | 11 | 11 | 110 |" in lines
    assert "| seeds | 2 | 2 | 1 |" in lines
    assert lines[-1] == "| one network, 11 labels | tflm | 10 | 0 | 100.00 % | 100.00 % |"


def test_networks_side_by_side(tool):
    compare = tool("compare")
    truth = np.array([0, 1, 1, -1])
    sure, wrong = np.eye(2)[[0, 1, 1, 0]], np.eye(2)[[0, 1, 0, 0]]
    parts = [{"truth": truth, "f32": sure, "i8": i8, "cost": np.array([1234, 56, 789])} for i8 in (sure, wrong)]
    lines = compare.table({"rows": [compare._row("acc", parts), compare._row("one", parts[1:])]}).splitlines()
    assert lines[2] == (
        "| `acc` | 100.00 ± 0.00 / 100.00 ± 0.00 | 83.33 ± 23.57 / 83.33 ± 23.57 | 87.50 % | 1,234 | 56 | 789 | 2 |"
    )
    assert lines[3] == "| `one` | 100.00 / 100.00 | 66.67 / 66.67 | 75.00 % | 1,234 | 56 | 789 | 1 |"


def test_a_vote_in_two_files_is_the_mean_of_probabilities(tool):
    compare = tool("compare")
    phone = {"truth": np.array([0]), "cost": np.array([1, 2, 3]), "f32": np.array([[0.9, 0.1]])}
    watch = {"truth": np.array([0]), "cost": np.array([4, 5, 6]), "f32": np.array([[0.2, 0.8]])}
    voted = compare._voted([{**p, "i8": p["f32"]} for p in (phone, watch)])
    assert np.allclose(voted["f32"], [[0.55, 0.45]])
    assert voted["cost"].tolist() == [5, 7, 9]


@pytest.mark.parametrize("study", sorted((TOOLS.parent / "configs" / "studies").glob("*.toml")), ids=lambda p: p.stem)
def test_every_row_of_a_study_is_a_config(study):
    found = tomllib.loads(study.read_text())
    for name, row in found["rows"].items():
        if "vote" in row:
            assert set(row["vote"]) <= set(found["rows"]), name
        else:
            config = load_config(None, **{**found["common"], **row, "seed": 0})
            assert config.dataset in DATASETS
