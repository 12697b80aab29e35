"""By how much a decision leads, and that near-ties alone may fall either way."""

import numpy as np
import pytest

from edgehar.errors import VerificationError
from firmware_export.verify import Bound, compare, lead

BOUND = Bound(3, 0.998, "a test")


def _outputs(rows):
    return (np.array(rows, np.int8),)


def test_lead_of_each_kind():
    multiclass = np.array([[5, 2, 4], [-128, 127, 127]], np.int8)
    assert lead("multiclass", multiclass, 0).tolist() == [[1], [0]]
    assert lead("binary", np.array([[-20], [100]], np.int8), -28).tolist() == [[8], [128]]
    assert lead("multiclass", np.array([[7]], np.int8), 0)[0, 0] > 255


def test_a_near_tie_may_flip_and_is_reported():
    expected = _outputs([[10, 9], [50, 0]])
    found = _outputs([[9, 10], [50, 0]])
    report = compare("litert", BOUND, expected, found, [("multiclass", 0)])
    assert (report.max_lsb, report.same_label) == (1, 0.5)


def test_a_clear_label_must_not_flip():
    expected = _outputs([[4, 0], [50, 0]])
    found = _outputs([[1, 3], [50, 0]])
    with pytest.raises(VerificationError, match=r"changes 1 of 2 labels that lead by over 3 LSB.*window 0"):
        compare("litert", BOUND, expected, found, [("multiclass", 0)])
