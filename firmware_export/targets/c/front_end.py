"""The front end in C: a loop a step over the columns it names, each with the arithmetic of ``runtime/har_signal.h``."""

from __future__ import annotations

import numpy as np

from edgehar.errors import UnsupportedOpError
from edgehar.signal import Biquad, Difference, FrontEnd, SignedLog
from edgehar.signal.biquad import steady_state
from firmware_export.targets.c.layer import code
from firmware_export.targets.c.part import Member, Part
from firmware_export.targets.c.text import comment

SELECT = """
for (int i = 0; i < @count@; i++) {
    column[i] = raw[har_select[i]]@gain@;
}
"""
DIFFERENCE = """
/* first difference: @names@ */
for (int i = 0; i < @count@; i++) {
    float *at = column + @at@;
    const float now = *at;
    *at = now - (ctx->samples == 0 ? now : ctx->past_@index@[i]);
    ctx->past_@index@[i] = now;
}
"""
SIGNED_LOG = """
/* signed logarithm: @names@ */
for (int i = 0; i < @count@; i++) {
    float *at = column + @at@;
    *at = har_signed_log(*at, har_inverse_scale_@index@[i]);
}
"""
BIQUAD = """
/* @sections@ second-order sections: @names@ */
for (int i = 0; i < @count@; i++) {
    float *at = column + @at@;
    for (int k = 0; k < @sections@; k++) {
        *at = har_biquad(*at, har_sections_@index@ + 7 * k, ctx->sections_@index@[i][k], ctx->samples == 0);
    }
}
"""
STANDARDIZE = """
/* to the mean and deviation of the training people */
for (int i = 0; i < @count@; i++) {
    column[i] = column[i] - har_mean[i];
    column[i] = column[i] * har_inv_std[i];
}
"""


def front_end_part(front_end: FrontEnd) -> Part:
    """Return the statements from ``raw`` to ``column``.

    Raises:
        UnsupportedOpError: a step has no form in C; names it.
    """
    gain = np.asarray(front_end.gain, np.float32)
    tables = {"har_select": np.asarray(front_end.select, np.uint8 if max(front_end.select) < 256 else np.uint16)}
    if (gain != 1).any():
        tables["har_gain"] = gain
    bodies = [code(SELECT, count=front_end.width, gain=" * har_gain[i]" if "har_gain" in tables else "")]
    members: list[Member] = []
    for index, step in enumerate(front_end.steps):
        count = len(step.columns)
        first = step.columns[0]
        if step.columns == tuple(range(first, first + count)):
            at = f"{first} + i" if first else "i"
        else:
            at = f"har_columns_{index}[i]"
            tables[f"har_columns_{index}"] = np.asarray(step.columns, np.uint16)
        names = comment(", ".join(front_end.names[i] for i in step.columns))
        words = {"index": index, "count": count, "at": at, "names": names}
        match step:
            case Difference():
                members.append(Member("float", f"past_{index}", (count,), "difference: the sample before"))
                bodies.append(code(DIFFERENCE, **words))
            case SignedLog():
                tables[f"har_inverse_scale_{index}"] = np.float32(1) / np.asarray(step.scale, np.float32)
                bodies.append(code(SIGNED_LOG, **words))
            case Biquad():
                sections = len(step.sections)
                rows = [(*section, *steady_state(section)) for section in step.sections]
                tables[f"har_sections_{index}"] = np.asarray(rows, np.float32)
                members.append(Member("float", f"sections_{index}", (count, sections, 2), "biquad: states"))
                bodies.append(code(BIQUAD, **words, sections=sections))
            case _:
                raise UnsupportedOpError(f"target 'c' cannot write the front-end step {step.op!r}")
    if front_end.mean:
        tables["har_mean"] = np.asarray(front_end.mean, np.float32)
        tables["har_inv_std"] = np.asarray(front_end.inv_std, np.float32)
        bodies.append(code(STANDARDIZE, count=front_end.width))
    if not members:
        bodies.append("(void)ctx;")
    return Part("\n".join(bodies), tuple(members), tables)
