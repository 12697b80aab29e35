"""What a training run is told, as one frozen dataclass; TOML and ``--set`` become typed values here, once."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from edgehar.datasets import EXAMPLE_SETS, find_dataset
from edgehar.errors import ConfigError
from edgehar.heads import Task
from edgehar.plain_data import from_mapping
from edgehar.signal import InputChoice

EMBEDDING = "embedding"  # the output's name
MININGS = ("random", "semi_hard", "hard")
HAR_LABELS = ("walking", "upstairs", "downstairs", "sitting", "standing", "laying")
PRECISIONS: dict[str, Literal["32-true", "bf16-mixed"]] = {"float32": "32-true", "bf16": "bf16-mixed"}  # Lightning's


@dataclass(frozen=True)
class Augmentation:
    """Random changes to raw windows, before the front end. No added noise: it buries the micro-motion slog lifts."""

    rotation_deg: float = 30.0  # largest rotation of the device's axes
    scale: float = 0.1  # gain of acc and gyro drawn from 1 ± scale
    shift: int = 64  # a window moves by up to half of this many samples, within its activity
    time_warp: float = 0.0  # speed drawn from 1 ± time_warp
    sensor_dropout: float = 0.0  # chance that a window loses its gyro


@dataclass(frozen=True)
class HeadConfig:
    """One head of several: :class:`edgehar.heads.Task` says what the fields mean, and its weight in the loss."""

    name: str
    kind: str  # multiclass, binary or multilabel
    labels: tuple[str, ...]  # one a logit; of a binary head the one that means yes
    weight: float = 1.0  # of its loss in the sum
    balance: bool = False  # within its loss all classes, or yes and no of each label, weigh the same
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # label (or not_LABEL) -> the data's labels
    purity: float = 1.0  # share of a window's samples that must agree

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1e6:
            raise ConfigError(f"head {self.name!r}: weight is {self.weight}, expected more than 0 and at most 1e6")
        _ = self.task

    @property
    def task(self) -> Task:
        """What the head is asked.

        Raises:
            ConfigError: the fields do not fit together.
        """
        try:
            return Task(self.name, self.kind, self.labels, self.groups, self.purity)
        except ValueError as error:
            raise ConfigError(str(error)) from None


@dataclass(frozen=True)
class TeacherConfig:
    """Finished runs whose mean logits the network learns from, beside the truth (distillation)."""

    runs: tuple[str, ...] = ()  # run folders, of the same data set and split; () = no teacher
    weight: float = 0.5  # share of the loss; the truth's is the rest
    temperature: float = 2.0  # by which both logits are divided: higher shows more of the unlikely classes

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise ConfigError(f"teacher.weight is {self.weight}, expected more than 0 and at most 1")
        if not 0.1 <= self.temperature <= 100:
            raise ConfigError(f"teacher.temperature is {self.temperature}, expected 0.1 to 100")


@dataclass(frozen=True)
class EmbeddingConfig:
    """A further output of unit length, trained by triplets: what classes are later enrolled with (docs/few_shot.md)."""

    width: int = 0  # numbers of the embedding; 0 = the network has none
    weight: float = 1.0  # of the triplet loss beside the heads' losses
    margin: float = 0.2  # of squared distances, which are 0 to 4
    mining: str = "semi_hard"  # key of edgehar.training.triplets.MINERS
    classes_per_batch: int = 12  # N of N classes × M samples; classes come again where there are fewer
    samples_per_class: int = 10  # M
    turned: float = 0.5  # share of a batch's classes seen turned or backwards: edgehar.training.turned_classes
    labels: tuple[str, ...] = ()  # classes of the triplets; () = those of the first head
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # label -> the data set's labels
    purity: float = 1.0  # share of a window's samples that must agree

    def __post_init__(self) -> None:
        limits = {"width": (0, 4096), "weight": (0, 1e6), "margin": (0, 4), "classes_per_batch": (2, 10_000),
                  "samples_per_class": (2, 10_000), "turned": (0, 1)}  # fmt: skip
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"embedding.{name} is {value}, expected {low} to {high}")
        if self.mining not in MININGS:
            raise ConfigError(f"embedding.mining is {self.mining!r}, expected {', '.join(MININGS)}")
        if self.labels:
            _ = self.task

    @property
    def task(self) -> Task:
        """What classes its triplets are of, where it names them itself.

        Raises:
            ConfigError: the fields do not fit together.
        """
        try:
            return Task(EMBEDDING, "multiclass", self.labels, self.groups, self.purity)
        except ValueError as error:
            raise ConfigError(str(error)) from None


@dataclass(frozen=True)
class TrainConfig:
    """One training run. Every field has a default; unknown keys in a file fail."""

    dataset: str = "hapt"
    labels: tuple[str, ...] = HAR_LABELS  # the classes of the one head, in order; other labels are left out
    heads: tuple[HeadConfig, ...] = ()  # several heads instead of ``labels``; the first announces the events
    embedding: EmbeddingConfig = EmbeddingConfig()  # an output to enrol classes with, or none
    test_subjects: tuple[str, ...] = ()  # held out from everything; () = the data set's official ones
    validation_subjects: int = 2  # people taken out of the training people, for curves and early stopping
    window: int = 128  # samples
    hop: int = 64  # samples
    model: str = "ds_cnn"
    model_options: Mapping[str, Any] = field(default_factory=dict)  # fields of the model's Config
    inputs: tuple[InputChoice, ...] = ()  # tensors the network is fed, in order; () = what the model asks for
    seed: int = 0
    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 4e-3  # peak of warm-up + cosine
    weight_decay: float = 5e-3
    warmup: float = 0.05  # share of the steps
    label_smoothing: float = 0.1
    mixup: float = 0.2  # a of Beta(a, a), the share in which two windows are mixed; 0 = never
    average: str = (
        "ema"  # of the weights, which is what is kept; or "tail": mean of the last quarter, at one rate (SWA)
    )
    average_decay: float = 0.995  # of "ema"; 0 keeps the last weights
    early_stop_patience: int = 0  # epochs without a better validation macro-F1; 0 = never stop early
    augmentation: Augmentation = Augmentation()
    teacher: TeacherConfig = TeacherConfig()
    precision: str = "float32"  # or "bf16": mixed precision, for a GPU; slower on a CPU (docs/results/training.md)
    compile: bool = False  # torch.compile of the training step's network: half a minute first, then faster steps
    quantization_aware: bool = False  # int8 rounding in the forward pass; set by ``edgehar train --qat RUN``

    def __post_init__(self) -> None:
        limits = {
            "window": (8, 100_000), "hop": (1, 100_000), "epochs": (1, 100_000), "batch_size": (2, 1_000_000),
            "validation_subjects": (0, 10_000), "early_stop_patience": (0, 100_000), "label_smoothing": (0, 0.99),
            "average_decay": (0, 0.99999), "mixup": (0, 10), "warmup": (0, 1),
            "learning_rate": (1e-9, 10), "weight_decay": (0, 10),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} is {value}, expected {low} to {high}")
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise ConfigError(f"labels are {list(self.labels)}, expected at least two different ones")
        if self.precision not in PRECISIONS:
            raise ConfigError(f"precision is {self.precision!r}, expected {' or '.join(PRECISIONS)}")
        if self.average not in ("ema", "tail"):
            raise ConfigError(f"average is {self.average!r}, expected ema or tail")
        self._check_heads()
        self._check_inputs()
        self._check_embedding()
        if self.early_stop_patience and not self.validation_subjects:
            raise ConfigError("early_stop_patience needs validation_subjects >= 1: test people may not decide when")

    def _check_heads(self) -> None:
        names = [head.name for head in self.heads]
        if len(set(names)) != len(names):
            raise ConfigError(f"heads are called {', '.join(names)}, expected different names")
        if self.heads and self.labels != HAR_LABELS:
            raise ConfigError("labels and heads are both given; put the labels into the first of the heads")
        if self.heads and self.heads[0].kind != "multiclass":
            raise ConfigError(
                f"the first head {names[0]!r} is {self.heads[0].kind}, expected multiclass: it announces the activity; "
                "put the others after it"
            )

    def _check_embedding(self) -> None:
        if not self.embedding.width:
            return
        if self.mixup:
            raise ConfigError(f"mixup is {self.mixup}, expected 0 with an embedding: a mixed window has no class")
        if self.teacher.runs:
            raise ConfigError("teacher and embedding are both given; a teacher has no embedding to teach")
        if self.quantization_aware:
            raise ConfigError("quantization_aware and embedding are both given; it has no rounding of unit lengths")
        if EMBEDDING in [head.name for head in self.heads]:
            raise ConfigError(f"a head is called {EMBEDDING!r}, which is the embedding's name; give it another one")

    def _check_inputs(self) -> None:
        names = [choice.name for choice in self.inputs]
        if len(set(names)) != len(names):
            raise ConfigError(f"inputs are called {', '.join(names)}, expected different names")

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What each head is asked, in order: ``heads``, or the one that ``labels`` describes."""
        if self.heads:
            return tuple(head.task for head in self.heads)
        return (Task("activity", "multiclass", self.labels),)

    @property
    def truths(self) -> tuple[Task, ...]:
        """What a window's truth is made of: the heads' tasks, then the embedding's classes, if there is one."""
        if not self.embedding.width:
            return self.tasks
        return (*self.tasks, self.embedding.task if self.embedding.labels else replace(self.tasks[0], name=EMBEDDING))

    @property
    def weights(self) -> tuple[float, ...]:
        """Weight of each head's loss."""
        return tuple(head.weight for head in self.heads) or (1.0,)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return dataclasses.asdict(self)


def load_config(path: Path | None = None, overrides: Sequence[str] = (), **given: Any) -> TrainConfig:
    """Return the defaults, changed by a TOML file, then by ``given``, then by ``key=value`` overrides.

    Without labels and heads, the labels are those the data set is trained on by default. A key inside a table
    is written with a dot: ``augmentation.rotation_deg=30``.

    Raises:
        ConfigError: the file is missing or not TOML, a key is unknown (the nearest is named), a value is wrong.
    """
    data = read_toml(path) if path is not None else {}
    data |= {k: v for k, v in given.items() if v is not None}
    for item in overrides:
        _override(data, item)
    name = str(data.get("dataset", TrainConfig.dataset))
    if name not in EXAMPLE_SETS:
        suggested = find_dataset(name).training
        data = {key: value for key, value in suggested.items() if key != "heads" or "labels" not in data} | data
    if not {"labels", "heads"} & set(data):
        data["labels"] = find_dataset(name).task_labels
    config: TrainConfig = from_mapping(TrainConfig, data, str(path) if path else "config")
    return config


def read_toml(path: Path) -> dict[str, Any]:
    """Return the keys of a TOML file.

    Raises:
        ConfigError: it is missing or not TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def _override(data: dict[str, Any], item: str) -> None:
    key, separator, text = item.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {item!r}: expected key=value")
    try:
        value = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        value = text  # a bare word is a string
    *tables, name = key.split(".")
    for table in tables:
        data = data.setdefault(table, {})
        if not isinstance(data, dict):
            raise ConfigError(f"--set {item!r}: {table!r} is not a table")
    data[name] = value
