"""Window features: a window's bits depend on nothing but the window."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgehar.signal.features import default_window_features

COLUMNS = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")


def bits(x):
    return np.ascontiguousarray(x).view(np.int32)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 40),
    window=st.integers(16, 70),
    scale=st.sampled_from([1e-6, 0.01, 1.0, 1e4]),
)
def test_batch_equals_single_equals_any_order_and_layout(seed, count, window, scale):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(count, window, 6)) * scale + rng.normal(size=6)).astype(np.float32)
    spec = default_window_features(COLUMNS, window).fitted(x)
    found = bits(spec.run(x))
    assert np.array_equal(found, np.stack([bits(spec.run(one)) for one in x]))
    order = rng.permutation(count)
    assert np.array_equal(found[order], bits(spec.run(x[order])))
    assert np.array_equal(found, bits(spec.run(np.asfortranarray(x))))
    assert np.array_equal(found[None], bits(spec.run(x[None])))
