"""Windows, hops and their labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.recording import UNLABELLED
from edgehar.signal import sliding_windows, window_labels, window_starts


@given(st.lists(st.integers(-1, 2), max_size=60), st.integers(1, 12), st.integers(1, 12))
def test_a_window_has_a_label_when_all_its_samples_agree(labels, window, hop):
    labels = np.array(labels, np.int16)
    expected = [
        part[0] if (part == part[0]).all() else UNLABELLED
        for part in (labels[i : i + window] for i in range(0, len(labels) - window + 1, hop))
    ]
    found = window_labels(labels, window, hop)
    assert found.dtype == np.int16
    assert found.tolist() == expected
    assert len(found) == len(window_starts(len(labels), window, hop)) == len(sliding_windows(labels, window, hop))


def test_windows_are_views_of_the_samples():
    x = np.arange(40).reshape(20, 2)
    windows = sliding_windows(x, 6, 4)
    assert windows.shape == (4, 6, 2)
    assert np.array_equal(windows[2], x[8:14])
    assert np.shares_memory(windows, x)
    assert sliding_windows(x, 21, 1).shape == (0, 21, 2)
    with pytest.raises(ValueError, match="hop 0"):
        window_starts(10, 5, 0)
