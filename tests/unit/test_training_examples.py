"""Training on ready-made examples: what is unknown moves nothing, absent sensors are the mean, curves are recorded."""

import numpy as np
import pytest
import torch

from edgehar.datasets.examples import Examples
from edgehar.errors import ConfigError, DataError
from edgehar.heads import Task
from edgehar.models import model_entry
from edgehar.models.mlp import Config
from edgehar.training.examples import ExamplesConfig, Standardization, fit_examples, load_examples_config
from edgehar.training.losses import balanced_answers, head_loss

SEVERAL = Task("several", "multilabel", ("left", "right", "rare"))
MLP = {"model": "mlp", "model_options": {"hidden": [16], "dropout": 0.0}}


def _several(seed=0, known=0.4, count=512):
    """Three labels that follow from four features, 6 in 10 of them unknown, and one feature in ten absent."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, 4)).astype(np.float32)
    truth = np.stack([values[:, 0] > 0, values[:, 1] > 0, values[:, 0] > 1.3], axis=1).astype(np.int16)
    truth[rng.random(truth.shape) > known] = -1
    values[rng.random(values.shape) > 0.9] = np.nan
    subjects = np.array([str(i % 4) for i in range(count)])
    return Examples(values, ("a", "b", "c", "d"), subjects, SEVERAL, truth, (("0",),))


@pytest.fixture(scope="module")
def config():
    return ExamplesConfig(dataset="several", balance=True, epochs=30, batch_size=64, learning_rate=1e-2, **MLP)


def test_a_network_learns_labels_that_are_mostly_unknown(config):
    fitted = fit_examples(config, _several(), _several(1))
    scores = fitted.scores(_several(2, known=1.0))
    assert all(label.balanced_accuracy > 0.85 for label in scores.labels)
    assert len(fitted.history) == 30
    assert fitted.history[-1]["train_loss"] < fitted.history[0]["train_loss"] / 2
    assert fitted.history[-1]["validation_accuracy"] > 0.8


def test_same_seed_same_weights_and_unknown_answers_move_nothing(config):
    rows = _several()
    first, again = fit_examples(config, rows), fit_examples(config, rows)
    nobody_knows = rows.truth.copy()
    nobody_knows[:, 1] = -1
    masked = Examples(rows.values, rows.columns, rows.subjects, SEVERAL, nobody_knows, ())
    without = fit_examples(config, masked)
    torch.manual_seed(config.seed)
    start = model_entry("mlp").build(Config((16,), 0.0), [(4,)], 3).head
    for name, weight in first.network.state_dict().items():
        assert torch.equal(weight, again.network.state_dict()[name])
    # AdamW's weight decay alone reaches the output of a label that nobody ever answered
    shrunk = without.network.head.weight[1] / start.weight[1]
    assert torch.allclose(shrunk, shrunk[0].expand_as(shrunk), atol=1e-4)
    assert not torch.allclose(first.network.head.weight[1] / start.weight[1], shrunk, atol=1e-2)


def test_yes_and_no_of_a_label_weigh_the_same():
    truth = torch.tensor([[1, 1, -1], [0, 1, 0], [0, 1, 0], [0, -1, -1]])
    weights = balanced_answers(SEVERAL, truth)
    torch.testing.assert_close(weights, torch.tensor([[4 / 6, 1.0, 1.0], [4 / 2, 1.0, 1.0]]))
    logits = torch.zeros(4, 3, requires_grad=True)
    head_loss(SEVERAL, logits, truth, answer_weights=weights).backward()
    left = logits.grad[:, 0]
    assert left[0].item() == pytest.approx(-left[1:].sum().item())
    assert (logits.grad[truth == -1] == 0).all()


def test_classes_weigh_the_same():
    task = Task("activity", "multiclass", ("a", "b", "never"))
    truth = torch.tensor([[0], [0], [0], [1], [-1]])
    weights = balanced_answers(task, truth)
    torch.testing.assert_close(weights, torch.tensor([4 / 6, 4 / 2, 0.0]))
    logits = torch.zeros(5, 3, requires_grad=True)
    head_loss(task, logits, truth, answer_weights=weights).backward()
    assert logits.grad[:, 0].sum().item() == pytest.approx(logits.grad[:, 1].sum().item())
    assert (logits.grad[4] == 0).all()


def test_weights_of_one_change_nothing():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, generator=generator)
    truth = torch.randint(-1, 2, (5, 3), generator=generator)
    plain = head_loss(SEVERAL, logits, truth, 0.1)
    assert head_loss(SEVERAL, logits, truth, 0.1, torch.ones(2, 3)).item() == pytest.approx(plain.item())


def test_absent_values_become_the_mean_and_tails_are_cut():
    values = np.array([[1, 5, 7], [3, 5, np.nan], [5, 5, 9], [np.nan, 5, 200]], np.float32)
    scale = Standardization.fitted(values, 1.5)
    assert scale.mean.tolist() == [3, 5, 72]
    assert scale.deviation[1] == 1
    scaled = scale(values)
    assert scaled[3, 0] == scaled[1, 2] == 0
    assert scaled.max() <= 1.5
    assert not Standardization.fitted(values, 0)(values)[:, 1].any()
    with pytest.raises(DataError, match=r"columns \[0\] have no known value"):
        Standardization.fitted(np.array([[np.nan, 1]], np.float32), 0)


def test_windows_and_sequences_reach_models_of_windows():
    rows = _several()
    options = {"channels": 4, "kernel": 2, "pool": 2, "pool_stride": 1}
    config = ExamplesConfig(model="cnn1d", model_options=options, sequence=True, epochs=1)
    assert fit_examples(config, rows).inputs(rows).shape == (512, 4, 1)
    windows = Examples(rows.values[:, :, None], ("x",), rows.subjects, SEVERAL, rows.truth, ())
    fitted = fit_examples(ExamplesConfig(model="cnn1d", model_options=options, epochs=1, bfloat16=True), windows)
    assert next(fitted.network.parameters()).dtype == torch.float32
    assert fitted.scores(windows).windows > 0


def test_what_cannot_be_trained_says_why(tmp_path):
    rows = _several(count=32)
    with pytest.raises(DataError, match="32 training rows, expected at least one batch of 128"):
        fit_examples(ExamplesConfig(**MLP), rows)
    with pytest.raises(ConfigError, match=r"Cnn1d takes one window .*; choose another model"):
        fit_examples(ExamplesConfig(model="cnn1d", batch_size=16), rows)
    with pytest.raises(ConfigError, match="'forest' does not take gradient steps"):
        fit_examples(ExamplesConfig(model="forest", batch_size=16), rows)
    with pytest.raises(ConfigError, match="epochs is 0, expected 1"):
        ExamplesConfig(epochs=0)
    file = tmp_path / "c.toml"
    file.write_text("epoch = 3")
    with pytest.raises(ConfigError, match="unknown key 'epoch', did you mean 'epochs'"):
        load_examples_config(file)
