"""Train on ready-made examples: standardized rows through any architecture, one head, no stream and no run folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from edgehar.datasets import Examples
from edgehar.errors import ConfigError, DataError
from edgehar.heads import UNKNOWN, HeadScores, decide, score_head
from edgehar.models import model_entry
from edgehar.plain_data import from_mapping
from edgehar.training.baseline import predict
from edgehar.training.config import read_toml
from edgehar.training.losses import balanced_answers, head_loss
from edgehar.training.schedule import moving_average, warmup_cosine

F32 = NDArray[np.float32]
CPU = torch.device("cpu")


@dataclass(frozen=True)
class ExamplesConfig:
    """One training on examples. Every field has a default; unknown keys in a file fail."""

    dataset: str = "uci_har_windows"  # of EXAMPLE_SETS
    sequence: bool = False  # a feature vector [K] is given to the network as K steps of one channel, [K, 1]
    limit: float = 0.0  # standardized values are cut off at ± this; 0 = never
    balance: bool = False  # yes and no of each label, or all classes, weigh the same
    model: str = "cnn1d"
    model_options: Mapping[str, Any] = field(default_factory=dict)  # fields of the model's Config
    seed: int = 0
    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-3  # peak of warm-up + cosine
    weight_decay: float = 1e-4
    warmup: float = 0.05  # share of the steps
    label_smoothing: float = 0.0
    average_decay: float = 0.995  # of the exponential moving average of the weights, which is what is kept
    bfloat16: bool = False  # matrix products while training: half the time of a BiLSTM on a CPU that has them

    def __post_init__(self) -> None:
        limits = {
            "epochs": (1, 100_000), "batch_size": (2, 1_000_000), "learning_rate": (1e-9, 10), "limit": (0, 1e6),
            "weight_decay": (0, 10), "warmup": (0, 1), "label_smoothing": (0, 0.99), "average_decay": (0, 0.99999),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} is {value}, expected {low} to {high}")


def load_examples_config(path: Path, **given: Any) -> ExamplesConfig:
    """Return the config of a TOML file, changed by ``given``.

    Raises:
        ConfigError: the file is missing or not TOML, a key is unknown (the nearest is named), a value is wrong.
    """
    config: ExamplesConfig = from_mapping(ExamplesConfig, {**read_toml(path), **given}, str(path))
    return config


@dataclass(frozen=True, eq=False)
class Standardization:
    """Zero mean and unit deviation of each column over the training rows; 0, the mean, where a sensor was absent.

    Attributes:
        mean, deviation: ``[C]`` float32 of the known values; a constant column has deviation 1.
        limit: largest absolute value that is passed on; 0 for any.
    """

    mean: F32
    deviation: F32
    limit: float = 0.0

    @classmethod
    def fitted(cls, values: F32, limit: float) -> Self:
        """Fit to training rows ``[N, ..., C]``.

        Raises:
            DataError: a column has no known value.
        """
        columns = values.reshape(-1, values.shape[-1]).astype(np.float64)
        if empty := np.flatnonzero(np.isnan(columns).all(axis=0)).tolist():
            raise DataError(f"columns {empty} have no known value among the training rows; leave them out")
        deviation = np.nanstd(columns, axis=0)
        deviation[deviation == 0] = 1
        return cls(np.nanmean(columns, axis=0).astype(np.float32), deviation.astype(np.float32), limit)

    def __call__(self, values: F32) -> F32:
        """Return standardized rows of the same shape."""
        scaled: F32 = np.nan_to_num((values - self.mean) / self.deviation)
        return np.clip(scaled, -self.limit, self.limit) if self.limit else scaled


@dataclass(frozen=True, eq=False)
class FittedExamples:
    """A trained network with what its inputs go through.

    Attributes:
        config: as it was trained.
        standardization: fitted on the training rows.
        network: the averaged weights, in eval mode, on the CPU.
        history: one row an epoch, as ``draw_curves`` takes them.
    """

    config: ExamplesConfig
    standardization: Standardization
    network: nn.Module
    history: tuple[Mapping[str, float], ...]

    def inputs(self, examples: Examples) -> F32:
        """Return what the network is given, ``[N, T, C]`` or ``[N, K]``."""
        return network_inputs(self.config, self.standardization, examples)

    def scores(self, examples: Examples) -> HeadScores:
        """Return the scores of the network's answers."""
        (logits,) = predict(self.network, [self.inputs(examples)], CPU)
        return score_head(examples.task, examples.truth, decide(examples.task.kind, logits))


def network_inputs(config: ExamplesConfig, standardization: Standardization, examples: Examples) -> F32:
    """Return standardized rows in the layout that ``config`` gives the network."""
    values = standardization(examples.values)
    return values[..., None] if config.sequence else values


def fit_examples(config: ExamplesConfig, training: Examples, watched: Examples | None = None) -> FittedExamples:
    """Train as ``config`` says; the kept weights are the last epoch's average.

    On one thread the same config and rows give the same weights.

    Args:
        config: what to do; its ``dataset`` is the caller's to load.
        training: rows to fit.
        watched: rows whose loss and accuracy are recorded after every epoch; they decide nothing.

    Raises:
        ConfigError: unknown model or option, or rows the model cannot take.
        DataError: fewer rows than a batch, or a column without a known value.
    """
    if len(training.values) < config.batch_size:
        raise DataError(f"{len(training.values)} training rows, expected at least one batch of {config.batch_size}")
    standardization = Standardization.fitted(training.values, config.limit)
    x = torch.from_numpy(network_inputs(config, standardization, training))
    truth = torch.from_numpy(training.truth.astype(np.int64))
    weights = balanced_answers(training.task, truth) if config.balance else None
    torch.manual_seed(config.seed)
    network = _build(config, tuple(x.shape[1:]), len(training.task.labels))
    averaged = AveragedModel(network, multi_avg_fn=moving_average(config.average_decay), use_buffers=True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    steps = len(x) // config.batch_size * config.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, warmup_cosine(steps, config.warmup))
    history: list[dict[str, float]] = []
    for epoch in range(config.epochs):
        network.train()
        losses, right, known = [], 0, 0
        for rows in _batches(config, len(x), epoch):
            with torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16):
                logits = network(x[rows]).float()
            loss = head_loss(training.task, logits, truth[rows], config.label_smoothing, weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            averaged.update_parameters(network)
            losses.append(loss.item())
            hits, answers = _hits(training, logits, truth[rows])
            right, known = right + hits, known + answers
        row = {"epoch": epoch + 1, "train_loss": float(np.mean(losses)), "train_accuracy": right / max(1, known)}
        history.append(row | (_watch(config, averaged.module, standardization, watched) if watched else {}))
    return FittedExamples(config, standardization, averaged.module.eval(), tuple(history))


def _build(config: ExamplesConfig, shape: tuple[int, ...], classes: int) -> nn.Module:
    """Return the untrained network for rows of this shape."""
    entry = model_entry(config.model)
    if entry.grow is not None:
        raise ConfigError(
            f"model {config.model!r} does not take gradient steps, which ready-made examples are trained by"
        )
    options = from_mapping(entry.config, config.model_options, f"model_options of {config.model}")
    try:
        return entry.build(options, (shape,), classes)
    except ValueError as error:
        raise ConfigError(f"{error}; choose another model, other model_options, or sequence") from None


def _batches(config: ExamplesConfig, count: int, epoch: int) -> Iterator[Tensor]:
    """Yield the rows of each batch; the odd rest is left to another epoch's shuffle."""
    order = np.random.default_rng([config.seed, epoch]).permutation(count)
    for start in range(0, count - config.batch_size + 1, config.batch_size):
        yield torch.from_numpy(order[start : start + config.batch_size])


def _hits(examples: Examples, logits: Tensor, truth: Tensor) -> tuple[int, int]:
    """How many known answers are right, and how many are known."""
    found = torch.from_numpy(decide(examples.task.kind, logits.detach().numpy()).astype(np.int64))
    known = truth != UNKNOWN
    return int((known & (found == truth)).sum()), int(known.sum())


def _watch(
    config: ExamplesConfig, network: nn.Module, standardization: Standardization, watched: Examples
) -> dict[str, float]:
    network.eval()
    truth = torch.from_numpy(watched.truth.astype(np.int64))
    (logits,) = map(torch.from_numpy, predict(network, [network_inputs(config, standardization, watched)], CPU))
    right, known = _hits(watched, logits, truth)
    loss = float(head_loss(watched.task, logits, truth))
    return {"validation_loss": loss, "validation_accuracy": right / max(1, known)}
