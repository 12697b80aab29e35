"""Window features in C: one function an input, which goes through the series with ``runtime/har_features.h``."""

from __future__ import annotations

import math

import numpy as np

from edgehar.errors import UnsupportedOpError
from edgehar.manifest import ModelInput
from edgehar.signal.features import WindowFeatures
from edgehar.signal.features.spectrum import bands
from edgehar.signal.features.window_features import LARGEST
from firmware_export.targets.c.layer import code
from firmware_export.targets.c.part import Member, Part
from firmware_export.targets.c.text import comment, float32

HEADER = "har_features.h"
FUNCTION = """
/* The @width@ features of input @name@: @families@ of @series@ series, as int8. */
static void har_features_@index@(har_context *ctx)
{
    const float *column = ctx->columns_@index@;
    float *x = ctx->series_@index@[0];
    float *centred = ctx->series_@index@[1];
    float *work = ctx->series_@index@[2];
    float *feature = ctx->features_@index@;
    float mean[@series@];
    float square_sum[@series@];
    for (int s = 0; s < @series@; s++) {
        @gather@
        memcpy(work, x, @window@ * sizeof *work);
        mean[s] = har_fold_sum(work, @window@) * @share@;
        for (int t = 0; t < @window@; t++) {
            centred[t] = x[t] - mean[s];
            work[t] = centred[t] * centred[t];
        }
        square_sum[s] = har_fold_sum(work, @window@);
        @calls@
    }
    @correlations@
    for (int i = 0; i < @width@; i++) {
        float value = feature[i];
        @standardize@
        ctx->inputs[@base@i] = har_quantize(value, @inverse_scale@, @zero@);
    }
}
"""
COLUMN = """
for (int t = 0; t < @window@; t++) {
    x[t] = har_limit(column[@columns@ * t + s], HAR_COLUMN_LIMIT);
}
"""
COLUMN_OR_NORM = """
if (s < @columns@) {
    for (int t = 0; t < @window@; t++) {
        x[t] = har_limit(column[@columns@ * t + s], HAR_COLUMN_LIMIT);
    }
} else {
    const int begin = har_groups_@index@[s - @columns@];
    const int end = har_groups_@index@[s - @columns@ + 1];
    for (int t = 0; t < @window@; t++) {
        float total = 0.0F;
        for (int i = begin; i < end; i++) {
            const float value = har_limit(column[@columns@ * t + har_members_@index@[i]], HAR_COLUMN_LIMIT);
            const float square = value * value;
            total = total + square;
        }
        x[t] = har_sqrt(total);
    }
}
"""
CORRELATIONS = """
for (int p = 0; p < @pairs@; p++) {
    const int a = har_pairs_@index@[2 * p];
    const int b = har_pairs_@index@[2 * p + 1];
    float lengths = har_sqrt(square_sum[a]) * har_sqrt(square_sum[b]);
    lengths = lengths + HAR_TINY;
    for (int t = 0; t < @window@; t++) {
        const float first = har_limit(column[@columns@ * t + a], HAR_COLUMN_LIMIT) - mean[a];
        const float second = har_limit(column[@columns@ * t + b], HAR_COLUMN_LIMIT) - mean[b];
        work[t] = first * second;
    }
    feature[@at@ + p] = har_fold_sum(work, @window@) / lengths;
}
"""
STANDARDIZE = """
value = value - har_feature_mean_@index@[i];
value = value * har_feature_inv_std_@index@[i];
value = har_limit(value, @largest@);
"""


def features_part(index: int, source: ModelInput, features: WindowFeatures, base: int) -> Part:
    """Return a function ``har_features_{index}`` from the input's window of columns to its int8 features.

    Args:
        index: of the input.
        source: the input; its columns lie in ``ctx->columns_{index}``, ``[window, columns]`` float32.
        features: what is computed.
        base: where in ``ctx->inputs`` its tensor begins.

    Raises:
        UnsupportedOpError: a family has no form in C; names it.
    """
    layout, window, columns = features.layout, features.window, len(features.columns)
    series = len(layout.series)
    tables = {}
    if layout.groups:
        ends = np.cumsum([0, *(len(group) for group in layout.groups)])
        tables[f"har_groups_{index}"] = ends.astype(np.uint16)
        tables[f"har_members_{index}"] = np.array([i for group in layout.groups for i in group], np.uint16)
    calls, correlations, at = [], "", 0
    for family in features.families:
        out = f"feature + {at} + s, {series}" if at else f"feature + s, {series}"
        if family == "correlations":
            at_first, pairs = at, len(layout.pairs)
            at += pairs
            if pairs:
                tables[f"har_pairs_{index}"] = np.array(layout.pairs, np.uint16)
                words = {"pairs": pairs, "index": index, "window": window, "columns": columns, "at": at_first}
                correlations = code(CORRELATIONS, **words)
            continue
        call, count = _call(family, index, window, out)
        calls.append(call)
        at += count * series
    if "spectrum" in features.families:
        angles = [2 * math.pi * j / window for j in range(window)]
        tables[f"har_cosine_{index}"] = np.array([math.cos(a) for a in angles], np.float32)
        tables[f"har_sine_{index}"] = np.array([math.sin(a) for a in angles], np.float32)
    standardize = ""
    if features.mean:
        tables[f"har_feature_mean_{index}"] = np.asarray(features.mean, np.float32)
        tables[f"har_feature_inv_std_{index}"] = np.asarray(features.inv_std, np.float32)
        standardize = code(STANDARDIZE, index=index, largest=float32(LARGEST))
    members = (
        Member("float", f"columns_{index}", (window * columns,), "front-end columns of the window"),
        Member("float", f"series_{index}", (3, window), "working memory"),
        Member("float", f"features_{index}", (features.width,), "working memory"),
    )
    body = code(
        FUNCTION,
        index=index,
        name=comment(repr(source.name)),
        width=features.width,
        families=comment(", ".join(features.families)),
        series=series,
        gather=code(COLUMN_OR_NORM if layout.groups else COLUMN, window=window, columns=columns, index=index),
        window=window,
        share=float32(1 / window),
        calls="\n".join(calls),
        correlations=correlations,
        standardize=standardize,
        base=f"{base} + " if base else "",
        inverse_scale=float32(float(np.float32(1) / np.float32(source.quant.scale))),
        zero=source.quant.zero_point,
    )
    return Part(body, members, tables)


def _call(family: str, index: int, window: int, out: str) -> tuple[str, int]:
    """The call that computes a family of one series, and how many features it has."""
    share = float32(1 / window)
    octaves = bands(window)
    spectrum = (
        f"{octaves}, har_cosine_{index}, har_sine_{index}, {float32(2 / window)}, {float32(1 / (2**octaves - 1))}"
    )
    calls = {
        "moments": (f"har_moments(centred, work, {window}, {share}, mean[s], square_sum[s], {out});", 3),
        "order": (f"har_order(x, work, {window}, {out});", 5),
        "changes": (f"har_changes(x, centred, work, {window}, {float32(1 / (window - 1))}, {out});", 2),
        "autocorrelation": (f"har_autocorrelation(centred, work, {window}, {share}, square_sum[s], {out});", 2),
        "spectrum": (f"har_spectrum(centred, work, {window}, {spectrum}, {out});", octaves + 2),
    }
    if family not in calls:
        raise UnsupportedOpError(
            f"target 'c' cannot write the window features {family!r}; it writes {', '.join(calls)}, correlations"
        )
    return calls[family]
