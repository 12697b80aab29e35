"""Train: recordings in, run folder out. Lightning runs the loop."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import shutil
import time
import typing
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from edgehar.datasets import find_dataset, load_dataset
from edgehar.datasets.splits import Split, official_split, select
from edgehar.errors import ConfigError, DataError, UsageError
from edgehar.files import is_part, write_json
from edgehar.models import count_parameters, model_entry
from edgehar.recording import Recording
from edgehar.signal import FrontEnd, NetworkInput, default_front_end, input_tensors
from edgehar.training.baseline import (
    best_device,
    compute_baseline,
    device_name,
    head_metrics,
    predict,
    save_baseline,
    score_outputs,
)
from edgehar.training.callbacks import Pace, ProgressBar, SetEpoch, StopBetweenBatches
from edgehar.training.checkpoints import WholeCheckpoints
from edgehar.training.config import PRECISIONS, TrainConfig
from edgehar.training.curves import draw_curves
from edgehar.training.history import History
from edgehar.training.losses import split_truth
from edgehar.training.module import HarModule
from edgehar.training.quantization_aware import QuantizationAware, set_ranges
from edgehar.training.run_folder import (
    CONFIG_FILE,
    DATA_FILE,
    START_FILE,
    TrainedRun,
    build_network,
    check_same_data,
    data_record,
    open_run,
    read_data,
    write_run,
)
from edgehar.training.teacher import open_teacher
from edgehar.training.windows import TrainingBatches, calibration_choice, scored_windows

RUN_FILES = {CONFIG_FILE, DATA_FILE, START_FILE, "checkpoints", "tensorboard", "history.csv", "baseline.npz",
             "baseline.json", "learning_curves.png", "weights.safetensors"}  # fmt: skip
KEPT_AT_THE_BEGINNING = {CONFIG_FILE, "checkpoints"}
VALIDATION_BATCH = 4096  # windows
PACKAGES = ("torch", "lightning", "numpy", "scikit-learn")


def make_split(config: TrainConfig, recordings: Sequence[Recording]) -> Split:
    """Return who trains, validates and is held out: by subject, test people official unless the config names them."""
    test = config.test_subjects or find_dataset(config.dataset).test_subjects
    if not test:
        raise ConfigError(f"data set {config.dataset!r} has no official test people; name them in test_subjects")
    return official_split(recordings, test, config.validation_subjects, config.seed)


def fit_front_end(config: TrainConfig, recordings: Sequence[Recording]) -> FrontEnd:
    """Return the default front end with standardization fitted on the training windows of ``recordings``."""
    raw = default_front_end(recordings[0].channels)
    features, _ = scored_windows(recordings, raw, config)
    if len(features) == 0:
        raise DataError(
            f"no window of {config.window} samples carries one of the labels {', '.join(config.labels)}; choose a "
            "shorter window or other labels"
        )
    return raw.fitted(features.reshape(-1, raw.width))


def fit_inputs(config: TrainConfig, front_end: FrontEnd, recordings: Sequence[Recording]) -> tuple[NetworkInput, ...]:
    """Return what the network is fed: the config's inputs or else its model's, features fitted on ``recordings``.

    Raises:
        ConfigError: an input asks for a sensor, device or column that is not there.
    """
    choices = config.inputs or model_entry(config.model).inputs
    try:
        inputs = tuple(choice.of(front_end, recordings[0].channels, config.window) for choice in choices)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if all(each.features is None for each in inputs):
        return inputs
    windows, _ = scored_windows(recordings, front_end, config)
    return tuple(each.fitted(windows) for each in inputs)


def train(
    config: TrainConfig,
    out: Path,
    *,
    split: Split | None = None,
    start: TrainedRun | None = None,
    resume: bool = False,
    progress: bool = True,
) -> TrainedRun:
    """Train as ``config`` says and write the run folder ``out``.

    The kept weights are the last epoch's average (or, with early stopping, those at the stop); a forest is grown at
    one go, on unchanged windows. Test people decide nothing. On the CPU the same config, seed and number of threads
    give the same weights, also across an interruption and resume.

    Args:
        config: what to do.
        out: the run folder; must not hold a finished run unless that is to be kept (it is refused).
        split: who trains, validates and is held out; None for what the config says.
        start: a finished run, whose weights a quantization-aware training starts from.
        resume: go on from ``out/checkpoints/last.ckpt``.
        progress: show Lightning's progress bar.

    Raises:
        UsageError: ``out`` holds another run, there is nothing to resume or to start from, or a teacher does not fit.
        DataError: the data set is missing, does not fit the config, or is not that which the run began with.
        KeyboardInterrupt: stopped by the user; the last epoch's checkpoint is there to resume from.
    """
    _check_out(out, resume)
    if config.quantization_aware and start is None and not resume:
        raise UsageError("quantization_aware goes on from a finished run; start it with: edgehar train --qat RUN")
    started = time.monotonic()
    recordings = load_dataset(config.dataset)
    data = _data_of(config, recordings, out if resume else None, start)
    split = split or make_split(config, recordings)
    training = select(recordings, split.train_subjects)
    front_end = fit_front_end(config, training)
    torch.manual_seed(config.seed)
    inputs = fit_inputs(config, front_end, training)
    network = build_network(config, inputs)
    if start is not None:
        network = QuantizationAware(start.network)
        set_ranges(network, [torch.from_numpy(x) for x in _some_windows(training, front_end, inputs, config)])
    validation = _validation_windows(recordings, split, front_end, inputs, config)
    teacher = open_teacher(config, split, front_end, inputs)
    if not resume:
        _begin(out, config, data, start)
    rows: list[dict[str, float]] = []
    if model_entry(config.model).grow is None:
        batches = TrainingBatches(training, front_end, inputs, config, best_device())
        module = HarModule(network, config, len(batches) * config.epochs)
        module.answer_weights = batches.answer_weights()
        module.teacher = teacher
        history, pace = _fit(module, batches, validation, out, config, resume=resume, progress=progress)
        network, rows = module.averaged.module.cpu().eval(), history.rows
        seen = len(batches) * config.batch_size
        per_second = pace.per_second(seen)
        draw_curves(rows, f"{config.model} on {config.dataset}, seed {config.seed}", out / "learning_curves.png")
    else:
        if teacher is not None:
            raise ConfigError(f"model {config.model!r} is grown, not trained by gradients: it takes no teacher")
        began = time.monotonic()
        seen = _grow(network, training, front_end, inputs, config)
        per_second = round(seen / (time.monotonic() - began), 1)

    held_out = select(recordings, split.test_subjects)
    baseline = compute_baseline(network, front_end, inputs, config, held_out)
    save_baseline(out, baseline)
    metrics: dict[str, Any] = {"test": baseline.metrics()}
    if validation is not None:
        *tensors, answers = validation
        truth = [column.numpy() for column in split_truth(config.truths, answers)][: len(config.tasks)]
        logits = predict(network, [x.numpy() for x in tensors], torch.device("cpu"))
        first, heads = score_outputs(config.tasks, truth, logits)
        metrics["validation"] = {**first.to_dict(), **head_metrics(config.tasks, heads)}
    record = {
        "config": config.to_dict(),
        "split": {name: list(getattr(split, name)) for name in split.__dataclass_fields__},
        "front_end": front_end.to_dict(),
        "inputs": [each.to_dict() for each in inputs],
        "channels": [{"name": c.name, "unit": c.unit, "frame": c.frame} for c in recordings[0].channels],
        "rate_hz": recordings[0].rate_hz,
        "data": data,
        "parameters": count_parameters(network),
        "total_stride": network.total_stride,
        "epochs_run": len(rows),
        "training_windows": seen,
        "metrics": metrics,
        "baseline_device": baseline.device,
        "training_device": device_name(best_device()),
        "training_s": round(time.monotonic() - started, 1),
        "training_windows_per_s": per_second,
        "threads": torch.get_num_threads(),
        **_start_of(out),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    write_run(out, network, record)
    return open_run(out)


def _grow(
    network: nn.Module,
    recordings: Sequence[Recording],
    front_end: FrontEnd,
    inputs: Sequence[NetworkInput],
    config: TrainConfig,
) -> int:
    """Train a model that learns at one go, on the windows as they are; return how many."""
    grow = model_entry(config.model).grow
    if grow is None:
        raise ValueError(f"model {config.model!r} is trained step by step")
    windows, truth = scored_windows(recordings, front_end, config)
    classes = truth[:, 0].astype(np.int64)
    grow(network, input_tensors(inputs, windows), classes, config.seed)
    network.eval()
    return len(windows)


def _start_of(out: Path) -> dict[str, Any]:
    """Return what a quantization-aware training went on from, also after a resume; nothing for others."""
    file = out / START_FILE
    return {"start": json.loads(file.read_text("utf-8"))} if file.is_file() else {}


def _some_windows(
    recordings: Sequence[Recording], front_end: FrontEnd, inputs: Sequence[NetworkInput], config: TrainConfig
) -> tuple[NDArray[np.float32], ...]:
    """Return each input for training windows, as many and the same as an export calibrates on."""
    windows, _ = scored_windows(recordings, front_end, config)
    return input_tensors(inputs, windows[calibration_choice(len(windows), config.seed)])


def _check_out(out: Path, resume: bool) -> None:
    """Refuse a folder that holds something else; a run that was killed before its first checkpoint starts over."""
    checkpoint = out / "checkpoints" / "last.ckpt"
    if (out / "run.json").exists():
        raise UsageError(f"{out}: holds a finished run, which is kept; choose another --out")
    if resume and not checkpoint.is_file():
        raise UsageError(f"{out}: nothing to resume ({checkpoint.name} is not there); train without --resume")
    if resume:
        _check_checkpoint(checkpoint)
    if not resume and checkpoint.exists():
        raise UsageError(f"{out}: holds an unfinished run; go on with --resume {out}, or choose another --out")
    there = {p.name for p in out.iterdir() if not is_part(p)} if out.is_dir() else set()
    strangers = sorted(there - RUN_FILES)
    if strangers:
        raise UsageError(f"{out}: holds {strangers[0]!r}, so it is not a run folder; choose another --out")


def _begin(out: Path, config: TrainConfig, data: dict[str, Any], start: TrainedRun | None) -> None:
    """Say in the folder what is trained; remove what another training left that was killed before a checkpoint."""
    if (out / CONFIG_FILE).is_file():
        for name in RUN_FILES - KEPT_AT_THE_BEGINNING:
            if (out / name).is_dir():
                shutil.rmtree(out / name)
            else:
                (out / name).unlink(missing_ok=True)
    write_json(out / CONFIG_FILE, config.to_dict())
    write_json(out / DATA_FILE, data)
    if start is not None:
        write_json(out / START_FILE, {name: start.record[name] for name in ("config", "metrics")})


def _data_of(
    config: TrainConfig, recordings: Sequence[Recording], resumed: Path | None, start: TrainedRun | None
) -> dict[str, Any]:
    """Return what a run says of its recordings; refuse others of their name than those of the run it goes on from."""
    data = data_record(recordings)
    if resumed is not None:
        check_same_data(resumed, read_data(resumed), data)
    if start is not None and start.config.dataset == config.dataset:
        check_same_data(start.path, start.record["data"], data)
    return data


def _check_checkpoint(path: Path) -> None:
    """Load it once, weights only, so that a damaged or hostile file is one clear line.

    Raises:
        DataError: it cannot be read.
    """
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    # What a damaged stream can raise is open-ended (KeyError of an opcode, zipfile's and torch's own errors).
    except Exception as error:
        raise DataError(
            f"{path}: damaged checkpoint ({type(error).__name__}: {str(error).splitlines()[0]}); train again with "
            "another --out"
        ) from None


def _validation_windows(
    recordings: Sequence[Recording],
    split: Split,
    front_end: FrontEnd,
    inputs: Sequence[NetworkInput],
    config: TrainConfig,
) -> tuple[Tensor, ...] | None:
    """Return each input ``[N, ...]`` and the truth ``[N, W]`` of the validation people, where there are any."""
    if not split.validation_subjects:
        return None
    windows, truth = scored_windows(select(recordings, split.validation_subjects), front_end, config)
    tensors = (torch.from_numpy(np.ascontiguousarray(x)) for x in input_tensors(inputs, windows))
    return *tensors, torch.from_numpy(truth.astype(np.int64))


def _fit(
    module: HarModule,
    batches: TrainingBatches,
    validation: tuple[Tensor, ...] | None,
    out: Path,
    config: TrainConfig,
    *,
    resume: bool,
    progress: bool,
) -> tuple[History, Pace]:
    checkpoints = out / "checkpoints"
    keep_last = ModelCheckpoint(
        checkpoints, filename="last", save_top_k=1, save_on_train_epoch_end=True, enable_version_counter=False
    )
    history = History(out / "history.csv")
    pace, stop = Pace(), StopBetweenBatches()
    callbacks: list[pl.Callback] = [SetEpoch(batches), pace, history, keep_last, stop]
    if progress:
        callbacks.append(ProgressBar())
    if config.early_stop_patience:
        callbacks.append(EarlyStopping("validation_macro_f1", mode="max", patience=config.early_stop_patience))
    board = TensorBoardLogger(out, name="", version="tensorboard", default_hp_metric=False)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Lightning recommends loader workers (the batches are made in this process) and warns that a resumed run's
        # checkpoint folder is not empty, which is what a resumed run's folder is.
        warnings.filterwarnings("ignore", module="lightning")
        trainer = pl.Trainer(
            accelerator=best_device().type,
            devices=1,
            precision=PRECISIONS[config.precision],
            max_epochs=config.epochs,
            logger=board,
            callbacks=callbacks,
            plugins=[WholeCheckpoints()],
            deterministic="warn",
            enable_model_summary=False,
            enable_progress_bar=progress,
            num_sanity_val_steps=0,
            log_every_n_steps=1_000_000,
        )
        checkpoint = checkpoints / "last.ckpt" if resume else None
        loader = _batches_of(validation) if validation else None
        try:
            with stop.watching():
                trainer.fit(module, batches, loader, ckpt_path=checkpoint, weights_only=True)
        except SystemExit:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from None
        if stop.asked:  # it came after the last batch
            raise KeyboardInterrupt
    return history, pace


def _batches_of(tensors: Sequence[Tensor]) -> DataLoader[tuple[Tensor, ...]]:
    """Return fixed batches that stay on the device."""
    parts = [each.to(best_device()).split(VALIDATION_BATCH) for each in tensors]
    batches = typing.cast("Dataset[tuple[Tensor, ...]]", list(zip(*parts, strict=True)))
    return DataLoader(batches, batch_size=None)
