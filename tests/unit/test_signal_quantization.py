"""Formats of tensors: real numbers into each and back, and in the manifest."""

import numpy as np
import pytest

from edgehar.precision import Precision
from edgehar.signal import FLOAT32, QuantParams

FORMATS = (QuantParams(0.03, 3), QuantParams(2.0**-10, -7, "int16"), FLOAT32)


@pytest.mark.parametrize("quant", FORMATS, ids=lambda q: q.dtype)
def test_there_and_back(quant):
    x = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    q = quant.quantize(x)
    assert q.dtype == quant.dtype
    step = 0 if quant is FLOAT32 else quant.scale / 2
    assert np.abs(quant.dequantize(q) - x).max() <= step * 1.0001
    assert QuantParams.from_dict(quant.to_dict()) == quant


@pytest.mark.parametrize("quant", FORMATS, ids=lambda q: q.dtype)
def test_absurd_numbers_saturate(quant):
    limits = np.finfo(np.float32) if quant is FLOAT32 else np.iinfo(quant.dtype)
    assert quant.quantize(np.float32([np.inf, -np.inf])).tolist() == [limits.max, limits.min]


def test_what_the_manifest_says():
    assert FORMATS[0].to_dict() == {"scale": 0.03, "zero_point": 3}  # as before there were others
    assert FORMATS[1].to_dict() == {"scale": 2.0**-10, "zero_point": -7, "dtype": "int16"}
    assert FLOAT32.to_dict() == {"dtype": "float32"}


@pytest.mark.parametrize(
    "values", [(0.0, 0), (float("inf"), 0), (1.0, 128), (1.0, 2**15, "int16"), (1.0, 0, "int4"), (2.0, 0, "float32")]
)
def test_what_is_no_format(values):
    with pytest.raises(ValueError, match="expected"):
        QuantParams(*values)


def test_a_recipe_says_its_precision_first():
    assert Precision.of("static_wi8_ai8_percentile") is Precision.STATIC_WI8_AI8
    assert Precision.of("static_wi8_ai16") is Precision.STATIC_WI8_AI16
    assert Precision.of("float32").model_file("onnx") == "model_f32.onnx"
    for name in ("int8", "static_wi8_ai88", ""):
        with pytest.raises(ValueError, match="none of the precisions"):
            Precision.of(name)
    assert len({precision.model_file("tflite") for precision in Precision}) == len(Precision)
