"""Scales, zero points and fixed-point rescaling against exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_export import affine
from firmware_export.graph import Quantization, Range


def nearest(x: Fraction, *, halves_up: bool) -> int:
    """Round to nearest; halves up, or away from zero."""
    if halves_up or x >= 0:
        return (x + Fraction(1, 2)).__floor__()
    return -((-x + Fraction(1, 2)).__floor__())


@settings(max_examples=300, deadline=None, derandomize=True)
@given(a=st.integers(-(2**30), 2**30), real=st.floats(2.0**-30, 0.999))
def test_rescale_rounds_twice(a: int, real: float) -> None:
    multiplier, shift = affine.fixed_point(real)
    assert 2**30 <= multiplier < 2**31
    assert abs(Fraction(multiplier, 2**31) * Fraction(2) ** shift - Fraction(real)) <= Fraction(real) / 2**30
    once = nearest(Fraction(a * multiplier, 2**31), halves_up=True)
    expected = nearest(Fraction(once) * Fraction(2) ** min(shift, 0), halves_up=False)
    assert affine.rescale(np.array([a]), real)[0] == expected


def test_rescale_above_one_shifts_left() -> None:
    assert affine.rescale(np.array([[3, -5]]), np.array([2.5, 1.0])).tolist() == [[8, -5]]


def test_two_roundings_differ_from_one_just_below_a_tie() -> None:
    # 1023 / 2048 = 0.4995 is 0 when rounded once; rounded to 512 first, 512 / 1024 is a tie and becomes 1
    assert affine.rescale(np.array([1023, 1022, -1024, -1023]), 2.0**-11).tolist() == [1, 0, -1, 0]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(low=st.floats(-1e6, 0), high=st.floats(0, 1e6))
def test_activation_range_is_covered_and_zero_is_exact(low: float, high: float) -> None:
    quant = affine.activation_quantization(Range(low, high))
    scale, zero_point = quant.scale, quant.zero_point
    assert -128 <= zero_point <= 127
    assert scale * (-128 - zero_point) <= low + 0.51 * scale
    assert scale * (127 - zero_point) >= high - 0.51 * scale


def test_range_that_starts_at_zero_uses_every_integer() -> None:
    assert affine.activation_quantization(Range(0, 25.5)).zero_point == -128
    assert affine.activation_quantization(Range(0, 0)).scale > 0


def test_weights_are_symmetric_per_channel_and_within_half_a_step() -> None:
    weight = (
        np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32) * np.array([1, 9, 0.1, 4])[:, None, None]
    )
    weight = weight.astype(np.float32)
    q, quant = affine.quantize_weight(weight, 0, np.zeros(4))
    assert quant.axis == 0 and quant.zero_point == 0 and np.abs(q).max(axis=(1, 2)).tolist() == [127] * 4
    scales = np.array(quant.scales)[:, None, None]
    assert (np.abs(q * scales - weight) <= 0.5001 * scales).all()
    q, quant = affine.quantize_weight(weight, None, np.zeros(4))
    assert quant.axis is None and np.abs(q).max() == 127


def test_a_dead_channel_still_puts_out_its_bias() -> None:
    x = Quantization((float(np.float32(0.02)),), 5)
    weight = np.array([[1.0, -0.5], [0.0, 0.0]], np.float32)
    bias = np.array([0.1, -3e4], np.float32)
    q, quant = affine.quantize_weight(weight, 0, affine.smallest_weight_scale(bias, x))
    bias_q, bias_quant = affine.quantize_bias(bias, x, quant)
    assert np.abs(bias_q).max() <= 2**30 and (q[1] == 0).all()
    np.testing.assert_allclose(bias_q * np.array(bias_quant.scales), bias, rtol=1e-4)


def test_weights_that_are_all_zero() -> None:
    q, quant = affine.quantize_weight(np.zeros((2, 3), np.float32), 0, np.zeros(2))
    assert not q.any() and quant.scales == (1.0, 1.0)


@pytest.mark.parametrize("scales", [(0.0,), (-1.0,), (float("nan"),), (0.1,)])
def test_scales_must_be_positive_float32(scales: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="float32"):
        Quantization(scales)
