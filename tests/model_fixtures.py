"""Every architecture as the registry has it, tiny, on the inputs that it asks for, fed with front-end windows."""

from __future__ import annotations

import numpy as np
import torch
from device_fixtures import synthetic_recording
from numpy.typing import NDArray
from torch import nn

from edgehar.models import MODELS
from edgehar.recording import IMU_CHANNELS
from edgehar.signal import FrontEnd, NetworkInput, default_front_end, input_tensors, sliding_windows

WINDOW, HOP, CLASSES = 64, 16, 3


def fitted_front_end() -> FrontEnd:
    raw = default_front_end(IMU_CHANNELS)
    return raw.fitted(raw.run(synthetic_recording(2000, seed=99).samples))


def front_end_windows(samples: int = 3000, seed: int = 5) -> NDArray[np.float32]:
    features = fitted_front_end().run(synthetic_recording(samples, seed=seed).samples)
    return sliding_windows(features, WINDOW, HOP)


def model_inputs(name: str) -> tuple[NetworkInput, ...]:
    """What the model asks for, of the default front end, fitted."""
    front_end, windows = fitted_front_end(), front_end_windows(2000, seed=99)
    return tuple(choice.of(front_end, IMU_CHANNELS, WINDOW).fitted(windows) for choice in MODELS[name].inputs)


def model_tensors(name: str, count: int) -> list[torch.Tensor]:
    """``count`` windows of real front-end columns, a tensor an input."""
    windows = front_end_windows(WINDOW + (count - 1) * HOP)
    return [torch.from_numpy(np.ascontiguousarray(x)) for x in input_tensors(model_inputs(name), windows)]


def tiny_model(name: str) -> nn.Module:
    torch.manual_seed(0)
    entry = MODELS[name]
    return entry.build(entry.tiny, [each.shape(WINDOW) for each in model_inputs(name)], CLASSES)
