"""A run folder: what a training leaves behind, and how it is opened again.

::

    RUN/
      run.json              config, seed, split, front end, metrics, versions; written last: its presence means "done"
      weights.safetensors   the averaged weights
      data.json             what it was trained on: resuming and exporting refuse other recordings
      start.json            of a quantization-aware run: config and metrics of the run it went on from
      baseline.npz .json    full-precision logits on the held-out recordings, and the device they come from
      learning_curves.png   loss and accuracy against epochs; this and the rest not of a forest, which has no epochs
      history.csv           the same as numbers
      tensorboard/          the same for TensorBoard
      checkpoints/last.ckpt what ``--resume`` starts from
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import nn

from edgehar.datasets.splits import Split
from edgehar.errors import ConfigError, DataError, UsageError
from edgehar.facts import COUNT, NUMBER, OBJECT, TEXT, problems
from edgehar.files import write_atomic, write_json
from edgehar.models import model_entry
from edgehar.models.heads import with_heads
from edgehar.plain_data import from_mapping
from edgehar.recording import Recording, recordings_sha256
from edgehar.signal import FrontEnd, NetworkInput
from edgehar.training.config import TrainConfig
from edgehar.training.quantization_aware import QuantizationAware

CONFIG_FILE = "config.json"
DATA_FILE = "data.json"
START_FILE = "start.json"
RUN_SCHEMA_VERSION = 2
DAMAGED_RUN = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, IndexError, RuntimeError, MemoryError),
    safetensors.SafetensorError,
)
MAX_RUN_JSON_BYTES = 16 * 2**20
READ_LATER = {  # of run.json, beside what is made into objects
    "data": OBJECT,
    "data.source": TEXT,
    "data.licence": TEXT,
    "metrics": OBJECT,
    "metrics.test": OBJECT,
    "metrics.test.windows": COUNT,
    "metrics.test.accuracy": NUMBER,
    "metrics.test.macro_f1": NUMBER,
    "packages": OBJECT,
    "parameters": COUNT,
    "total_stride": COUNT,
    "training_device": TEXT,
    "training_s": NUMBER,
}


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """A finished training.

    Attributes:
        path: the run folder.
        config: as resolved.
        split: who was trained on, validated on, held out.
        front_end: fitted on the training people.
        inputs: what the network gets of it.
        network: the averaged weights, in eval mode, on the CPU.
        record: the whole of ``run.json``.
    """

    path: Path
    config: TrainConfig
    split: Split
    front_end: FrontEnd
    inputs: tuple[NetworkInput, ...]
    network: nn.Module
    record: Mapping[str, Any]


def build_network(config: TrainConfig, inputs: Sequence[NetworkInput]) -> nn.Module:
    """Return the untrained network that ``config`` describes; with several outputs it returns a tuple.

    Args:
        config: names model and heads.
        inputs: what the network will be called with.

    Raises:
        ConfigError: unknown model or model option, a window or inputs that the model cannot take, or a model that has
            no place for several heads.
    """
    logits = [len(task.labels) for task in config.tasks]
    entry = model_entry(config.model)
    options = from_mapping(entry.config, config.model_options, f"model_options of {config.model}")
    try:
        network = entry.build(options, [each.shape(config.window) for each in inputs], logits[0])
    except ValueError as error:
        raise ConfigError(f"{error}; choose a longer window, other inputs or other model_options") from None
    if len(logits) > 1 or config.embedding.width:
        try:
            network = with_heads(network, logits, config.embedding.width)
        except ValueError as error:
            raise ConfigError(
                f"model {config.model!r}: {error}; train one head and no embedding, or choose another model"
            ) from None
    return QuantizationAware(network) if config.quantization_aware else network


def write_run(path: Path, network: nn.Module, record: Mapping[str, Any]) -> None:
    """Write the weights, then ``run.json`` that says the run is complete."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_atomic(path / "weights.safetensors", safetensors.torch.save(weights))
    write_json(path / "run.json", {"schema_version": RUN_SCHEMA_VERSION, **record})


def read_config(path: Path) -> TrainConfig:
    """Return the config an interrupted run was started with.

    Raises:
        UsageError: ``path`` is not a run folder.
        DataError: its config is damaged.
    """
    file = path / CONFIG_FILE
    if not file.is_file():
        raise UsageError(f"{path}: not a run folder (no {CONFIG_FILE}); start one with --out")
    config: TrainConfig = from_mapping(TrainConfig, _read_object(file), str(file))
    return config


def data_record(recordings: Sequence[Recording]) -> dict[str, Any]:
    """Return what a run says of the recordings of its data set: source, licence, SHA-256."""
    first = recordings[0]
    return {"source": first.source, "licence": first.licence, "sha256": recordings_sha256(recordings)}


def check_same_data(path: Path, there: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to mix two imports of one name in a run.

    Args:
        path: the run folder, for the message.
        there: what the run says of its data; without ``sha256`` (an older run) nothing is compared.
        now: :func:`data_record` of what the data set is now.

    Raises:
        DataError: they are others.
    """
    if there.get("sha256") not in (None, now["sha256"]):
        raise DataError(
            f"{path}: was trained on other recordings than its data set has now (imported again since then?); import "
            "those again, or train anew with another --out"
        )


def read_data(path: Path) -> dict[str, Any]:
    """Return what an interrupted run says of its data, nothing if it is older than that.

    Raises:
        DataError: its file is damaged.
    """
    file = path / DATA_FILE
    return _read_object(file) if file.is_file() else {}


def _read_object(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text("utf-8"))
        if not isinstance(data, dict):
            raise ValueError(f"it holds a {type(data).__name__}, expected an object")
    except ValueError as error:
        raise DataError(f"{file}: not readable JSON ({error}); train again with another --out") from None
    return data


def open_run(path: Path) -> TrainedRun:
    """Open a finished run folder.

    Raises:
        UsageError: it is not a run folder, or its training has not finished.
        DataError: a file is damaged.
    """
    file = path / "run.json"
    if not file.is_file():
        if (path / "checkpoints").is_dir():
            raise UsageError(f"{path}: this training has not finished; finish it with: edgehar train --resume {path}")
        raise UsageError(f"{path}: not a run folder (no run.json); make one with: edgehar train --out {path}")
    try:
        if file.stat().st_size > MAX_RUN_JSON_BYTES:
            raise ValueError(f"{file.stat().st_size} bytes, expected at most {MAX_RUN_JSON_BYTES}")
        record = json.loads(file.read_text("utf-8"))
        if record["schema_version"] != RUN_SCHEMA_VERSION:
            raise ValueError(f"schema_version {record['schema_version']!r}, expected {RUN_SCHEMA_VERSION}")
        if wrong := problems(record, READ_LATER, all_there=True):
            raise ValueError("; ".join(wrong))
        config: TrainConfig = from_mapping(TrainConfig, record["config"], str(file))
        split = Split(**{k: tuple(v) for k, v in record["split"].items()})
        front_end = FrontEnd.from_dict(record["front_end"])
        inputs = tuple(map(NetworkInput.from_dict, record["inputs"]))
        network = build_network(config, inputs)
        weights = safetensors.torch.load((path / "weights.safetensors").read_bytes())
        network.load_state_dict(weights)
    except DAMAGED_RUN as error:
        reason = (str(error).splitlines() or ["no reason"])[0][:200]
        raise DataError(f"{path}: damaged run folder ({type(error).__name__}: {reason}); train it again") from None
    network.eval()
    return TrainedRun(path, config, split, front_end, inputs, network, record)
