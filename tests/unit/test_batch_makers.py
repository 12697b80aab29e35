"""Batches made in torch, as on an accelerator, are those numpy makes."""

import numpy as np
import pytest
import torch

from edgehar.datasets import load_dataset
from edgehar.datasets.splits import select
from edgehar.recording import IMU_CHANNELS
from edgehar.signal import NetworkInput, default_front_end
from edgehar.signal import signed_log as host_signed_log
from edgehar.training.augment import draw_changes
from edgehar.training.batch_makers import Draw, HostBatches, ResidentBatches, batch_maker, signed_log
from edgehar.training.config import Augmentation

CPU = torch.device("cpu")
INPUTS = (NetworkInput("acc", (0, 1, 2)), NetworkInput("micro", (3, 4, 5, 6, 7, 8)))


def makers():
    samples = np.concatenate([r.samples for r in select(load_dataset("hapt"), ("1",))])
    front_end = default_front_end(IMU_CHANNELS)
    front_end = front_end.fitted(front_end.run(samples))
    return samples, HostBatches(samples, front_end, INPUTS), ResidentBatches(samples, front_end, INPUTS, CPU)


def draw(samples, settings, warp, seed=0):
    rng = np.random.default_rng(seed)
    index = rng.integers(0, len(samples) - 200, (64, 1)) + np.arange(129)
    weight = rng.random((64, 129, 1)).astype(np.float32) if warp else None
    return Draw(index, weight, draw_changes(64, IMU_CHANNELS, settings, rng))


@pytest.mark.parametrize("warp", [False, True])
def test_without_a_rotation_the_bits_are_the_same(warp):
    samples, host, resident = makers()
    drawn = draw(samples, Augmentation(rotation_deg=0.0, sensor_dropout=0.3), warp)
    for ours, theirs in zip(resident.make(drawn), host.make(drawn), strict=True):
        assert torch.equal(ours, theirs)


def test_a_rotation_differs_by_the_rounding_of_its_sums():
    samples, host, resident = makers()
    drawn = draw(samples, Augmentation(), warp=False)
    for ours, theirs in zip(resident.make(drawn), host.make(drawn), strict=True):
        assert ours.shape == theirs.shape
        # one step of a float32 at 1 g is 1e-7 g; slog lifts it by 1/0.005 and the standardization by about 2
        assert (ours - theirs).abs().max() < 2e-4


def test_making_leaves_the_samples_as_they_were():
    samples, host, resident = makers()
    before = samples.copy()
    for maker in (host, resident):
        first, again = (maker.make(draw(samples, Augmentation(), warp=False)) for _ in range(2))
        assert all(map(torch.equal, first, again))
    assert np.array_equal(samples, before)


def test_signed_log_in_torch_has_numpys_bits():
    rng = np.random.default_rng(3)
    x = (rng.normal(size=200_000) * 10.0 ** rng.integers(-8, 4, 200_000)).astype(np.float32)
    x[:2] = 0.0, -0.0
    scale = np.float32(1 / 0.005)
    theirs = signed_log(torch.from_numpy(x), torch.tensor(scale)).numpy()
    assert np.array_equal(theirs.view(np.int32), host_signed_log(x, scale).view(np.int32))


def test_the_host_makes_what_torch_cannot():
    samples, host, _ = makers()
    front_end = default_front_end(IMU_CHANNELS)
    assert isinstance(batch_maker(samples, front_end, INPUTS, CPU), type(host))
    assert isinstance(batch_maker(samples, front_end, INPUTS, torch.device("meta")), ResidentBatches)
