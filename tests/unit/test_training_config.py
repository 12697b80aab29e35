"""Configs: every mistake is named together with the nearest accepted key."""

import json

import pytest

from edgehar.errors import ConfigError
from edgehar.plain_data import from_mapping
from edgehar.signal import InputChoice, NetworkInput
from edgehar.training.config import TrainConfig, load_config
from edgehar.training.run_folder import build_network

INPUTS = (NetworkInput("window", tuple(range(9))),)


def test_file_then_given_then_set(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text('epochs = 5\nseed = 1\nlabels = ["walking", "sitting"]\n[augmentation]\nrotation_deg = 20\n')
    config = load_config(file, ["augmentation.scale=0.2", "model_options={dropout = 0.3}", "learning_rate=1"], seed=2)
    assert (config.epochs, config.seed, config.labels) == (5, 2, ("walking", "sitting"))
    assert (config.augmentation.rotation_deg, config.augmentation.scale) == (20.0, 0.2)
    assert config.model_options == {"dropout": 0.3}
    assert config.learning_rate == 1.0
    assert from_mapping(TrainConfig, config.to_dict(), "x") == config


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("epoch=3", "unknown key 'epoch', did you mean 'epochs'"),
        ("augmentation.rotate=3", "unknown key 'rotate'"),
        ("epochs=many", "expected int"),
        ("epochs=true", "expected int"),
        ("epochs=0", "epochs is 0"),
        ("labels=[1, 2]", "expected str"),
        ('labels=["a"]', "at least two"),
        ("epochs", "expected key=value"),
        ("seed.x=1", "expected int"),
    ],
)
def test_mistakes_are_named(item, message):
    with pytest.raises(ConfigError, match=message):
        load_config(None, [item])


HEADS = """
[[heads]]
name = "activity"
kind = "multiclass"
labels = ["walking", "sitting"]
[[heads]]
name = "moving"
kind = "binary"
labels = ["moving"]
weight = 0.5
purity = 0.75
[heads.groups]
moving = ["walking", "upstairs"]
not_moving = ["sitting"]
"""


def test_heads_from_a_file(tmp_path):
    (tmp_path / "a.toml").write_text(HEADS)
    config = load_config(tmp_path / "a.toml")
    assert [task.name for task in config.tasks] == ["activity", "moving"]
    assert config.weights == (1.0, 0.5)
    assert config.tasks[1].groups == {"moving": ("walking", "upstairs"), "not_moving": ("sitting",)}
    assert from_mapping(TrainConfig, config.to_dict(), "x") == config
    assert from_mapping(TrainConfig, json.loads(json.dumps(config.to_dict())), "x") == config
    single = TrainConfig(labels=("walking", "sitting")).tasks
    assert [(t.name, t.kind, t.labels) for t in single] == [("activity", "multiclass", ("walking", "sitting"))]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"moving"\nkind', '"activity"\nkind', "expected different names"),
        ('"multiclass"', '"multilabel"', "the first head 'activity' is multilabel, expected multiclass"),
        ('["moving"]', '["moving", "still"]', "head 'moving': labels of a binary head"),
        ("weight = 0.5", "weight = -1", "weight is -1"),
        ("purity", "purty", "unknown key 'purty', did you mean 'purity'"),
        ("not_moving =", "still =", "group 'still'"),
        ('not_moving = ["sitting"]', "not_moving = 3", "groups.not_moving is 3, expected tuple"),
        ("\n[[heads]]", 'labels = ["sitting", "standing"]\n[[heads]]', "labels and heads are both given"),
    ],
)
def test_mistakes_in_heads_are_named(tmp_path, old, new, message):
    (tmp_path / "a.toml").write_text(HEADS.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / "a.toml")


INPUTS_FILE = """
[[inputs]]
name = "acc"
sensors = ["acc"]
[[inputs]]
name = "features"
kind = "features"
families = ["order"]
"""


def test_inputs_from_a_file(tmp_path):
    (tmp_path / "a.toml").write_text(INPUTS_FILE)
    config = load_config(tmp_path / "a.toml")
    assert config.inputs == (
        InputChoice("acc", sensors=("acc",)),
        InputChoice("features", "features", families=("order",)),
    )
    assert from_mapping(TrainConfig, json.loads(json.dumps(config.to_dict())), "x") == config


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "features"', 'name = "acc"', "inputs are called acc, acc, expected different names"),
        ('"features"\nfam', '"picture"\nfam', "inputs: input 'features': kind is 'picture', expected window, features"),
        ('name = "acc"\n', "", "name is missing; required are name"),
        ("sensors", "sensor", "unknown key 'sensor', did you mean 'sensors'"),
    ],
)
def test_mistakes_in_inputs_are_named(tmp_path, old, new, message):
    (tmp_path / "a.toml").write_text(INPUTS_FILE.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / "a.toml")


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("ds_cnn", {}, r"DsCnn takes one window \[T, C\], its inputs are \[128, 6\], \[128, 3\]"),
        ("mlp", {}, "Mlp takes one vector of window features"),
        ("late", {"parts": [{"model": "cnn1d"}]}, "late: 1 parts for 2 inputs"),
        ("late", {"weights": [1.0, 0.0]}, "expected 2 positive ones"),
        ("hybrid", {"parts": [{"model": "cnn"}, {}]}, "a part is of model 'cnn'; there are ds_cnn"),
        ("hybrid", {"parts": [{"options": {"depth": 3}}, {}]}, "options of the part ds_cnn: unknown key 'depth'"),
        ("hybrid", {"parts": [{"model": "mlp"}, {}]}, "Mlp takes one vector"),
    ],
)
def test_models_that_do_not_fit_their_inputs_are_named(model, options, message):
    inputs = NetworkInput("acc", tuple(range(6))), NetworkInput("gyro", (6, 7, 8))
    with pytest.raises(ConfigError, match=message):
        build_network(TrainConfig(model=model, model_options=options), inputs)


def test_files_that_are_no_toml(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe = ")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(tmp_path / "a.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml")


def test_unknown_models_and_options_are_named():
    with pytest.raises(ConfigError, match="did you mean 'ds_cnn'"):
        build_network(TrainConfig(model="dscnn"), INPUTS)
    with pytest.raises(ConfigError, match="unknown key 'widht'"):
        build_network(TrainConfig(model_options={"widht": 3}), INPUTS)
    with pytest.raises(ConfigError, match="early_stop_patience needs"):
        TrainConfig(early_stop_patience=3, validation_subjects=0)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("mixup=0.2", "mixup is 0.2, expected 0 with an embedding"),
        ("embedding.mining=easy", "embedding.mining is 'easy', expected random, semi_hard, hard"),
        ("embedding.turned=2", "embedding.turned is 2.0, expected 0 to 1"),
        ("embedding.labels=['walking']", "head 'embedding': labels of a multiclass head"),
        ("quantization_aware=true", "it has no rounding of unit lengths"),
        ("teacher.runs=['RUN']", "a teacher has no embedding to teach"),
        ("heads=[{name='embedding', kind='multiclass', labels=['a', 'b']}]", "which is the embedding's name"),
    ],
)
def test_what_does_not_go_with_an_embedding(override, words):
    with pytest.raises(ConfigError, match=words):
        load_config(None, ["mixup=0", "embedding.width=8", override])


def test_the_embedding_adds_a_truth():
    plain, with_one = load_config(), load_config(None, ["mixup=0", "embedding.width=8"])
    assert plain.truths == plain.tasks
    assert [task.name for task in with_one.truths] == ["activity", "embedding"]
    assert with_one.truths[1].labels == plain.tasks[0].labels
    other = load_config(None, ["mixup=0", "embedding.width=8", "embedding.labels=['a', 'b']", "embedding.purity=0.5"])
    assert (other.truths[1].labels, other.truths[1].purity) == (("a", "b"), 0.5)
