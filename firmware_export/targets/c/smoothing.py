"""Smoothing, hysteresis and rejection in C: the statements that ``device_sim.decisions`` has in numpy, bit for bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgehar.decision_spec import DecisionSpec
from edgehar.errors import UnsupportedOpError
from edgehar.heads import familiar_tables
from edgehar.manifest import Head
from firmware_export.targets.c.layer import code
from firmware_export.targets.c.part import Member, Part
from firmware_export.targets.c.text import float32

HMM_HEADER = "har_hmm.h"
FAMILIAR_HEADER = "har_familiar.h"
MOST_VOTES = 1023
NONE = """
@softmax@, decision->@head@.probability);
decision->@head@.label = har_largest(decision->@head@.probability, @count@);
"""
EMA = """
float probability[@count@];
@softmax@, probability);
for (int i = 0; i < @count@; i++) {
    float *mean = decision->@head@.probability + i;
    float past = *mean * har_smoothing[0];
    float fresh = probability[i] * har_smoothing[1];
    *mean = ctx->decisions == 0 ? probability[i] : past + fresh;
}
decision->@head@.label = har_largest(decision->@head@.probability, @count@);
"""
MAJORITY = """
float *share = decision->@head@.probability;
const int votes = ctx->decisions < @votes@ ? (int)ctx->decisions + 1 : @votes@;
int count[@count@] = {0};
int most = 0;
@softmax@, share);
memmove(ctx->votes + 1, ctx->votes, (@votes@ - 1) * sizeof *ctx->votes);
ctx->votes[0] = har_largest(share, @count@);
for (int i = 0; i < votes; i++) {
    count[ctx->votes[i]]++;
}
for (int i = 0; i < votes; i++) {
    if (count[ctx->votes[i]] > most) { /* of equals the one voted for last */
        most = count[ctx->votes[i]];
        decision->@head@.label = ctx->votes[i];
    }
}
for (int i = 0; i < @count@; i++) {
    share[i] = (float)count[i] / (float)votes;
}
"""
HMM = """
float evidence[@count@];
float past[@count@];
memcpy(past, decision->@head@.probability, sizeof past);
@softmax@, evidence);
har_hmm_evidence(evidence, har_rarity, @own@, @count@);
if (ctx->decisions == 0) {
    memcpy(decision->@head@.probability, evidence, sizeof evidence);
    har_hmm_normalise(decision->@head@.probability, @count@, @count@);
} else {
    har_hmm_forward(past, har_transitions, evidence, @count@, decision->@head@.probability);
}
decision->@head@.label = har_largest(decision->@head@.probability, @count@);
"""
LAGGED_HMM = """
float later[@count@];
float earlier[@count@];
const int newest = ctx->decisions < @lag@ ? (int)ctx->decisions : @lag@; /* place of this window, the oldest is 0 */
float *belief = ctx->beliefs + @count@ * newest;
float *evidence = ctx->evidence + @count@ * newest;
if (ctx->decisions > @lag@) {
    memmove(ctx->beliefs, ctx->beliefs + @count@, @count@ * @lag@ * sizeof *ctx->beliefs);
    memmove(ctx->evidence, ctx->evidence + @count@, @count@ * @lag@ * sizeof *ctx->evidence);
    memmove(ctx->times_ms, ctx->times_ms + 1, @lag@ * sizeof *ctx->times_ms);
}
ctx->times_ms[newest] = decision->t_ms;
@softmax@, evidence);
har_hmm_evidence(evidence, har_rarity, @own@, @count@);
if (newest == 0) {
    memcpy(belief, evidence, @count@ * sizeof *belief);
    har_hmm_normalise(belief, @count@, @count@);
} else {
    har_hmm_forward(belief - @count@, har_transitions, evidence, @count@, belief);
}
for (int i = 0; i < @count@; i++) {
    later[i] = 1.0F;
}
for (int at = newest; at > 0; at--) {
    har_hmm_backward(later, har_transitions, ctx->evidence + @count@ * at, @own@, @count@, earlier);
    memcpy(later, earlier, sizeof later);
}
for (int i = 0; i < @count@; i++) {
    decision->@head@.probability[i] = newest == 0 ? belief[i] : ctx->beliefs[i] * later[i];
}
if (newest > 0) {
    har_hmm_normalise(decision->@head@.probability, @count@, @count@);
}
decision->@head@.label = har_largest(decision->@head@.probability, @count@);
"""
SMOOTHINGS = {"none": NONE, "ema": EMA, "majority": MAJORITY, "hmm": HMM}
HYSTERESIS = """
if (ctx->decisions > 0) { /* the label held, until another one leads by the margin */
    const float lead = decision->@head@.probability[decision->@head@.label] - decision->@head@.probability[ctx->held];
    decision->@head@.label = lead > @margin@ ? decision->@head@.label : ctx->held;
}
ctx->held = decision->@head@.label;
"""
UNCERTAIN = """
if (decision->@head@.probability[decision->@head@.label] < @least@) {
    decision->@head@.label = HAR_LABEL_UNCERTAIN;
}
"""
UNKNOWN_NOW = """
if (har_distance(decision->@head@.logits, har_familiar_means, har_familiar_inverse, @own@) > @most@) {
    decision->@head@.label = HAR_LABEL_UNKNOWN;
}
"""
UNKNOWN_THEN = """
if (ctx->decisions > @lag@) {
    memmove(ctx->unknown, ctx->unknown + 1, @lag@);
}
ctx->unknown[newest] = har_distance(decision->@head@.logits, har_familiar_means, har_familiar_inverse, @own@) > @most@;
if (ctx->unknown[0]) {
    decision->@head@.label = HAR_LABEL_UNKNOWN;
}
"""


def headers(spec: DecisionSpec) -> list[str]:
    """Return the runtime's headers that the statements need."""
    return [HMM_HEADER] * (spec.smoothing == "hmm") + [FAMILIAR_HEADER] * (spec.familiar is not None)


def smoothing_part(spec: DecisionSpec, head: Head, member: str, softmax: str, labels: int) -> Part:
    """Return the statements from the first head's logits to its label, with what they remember and read.

    Args:
        spec: of the decision stage.
        head: the first one.
        member: its member of ``har_decision``.
        softmax: the call that puts the window's probabilities into its last argument, up to that.
        labels: of the head, and what is enrolled or may be.

    Raises:
        UnsupportedOpError: the smoothing, or its strength, has no form in C.
    """
    if spec.smoothing not in SMOOTHINGS or (spec.smoothing == "majority" and spec.strength > MOST_VOTES):
        raise UnsupportedOpError(
            f"target 'c' cannot write the smoothing {spec.smoothing!r} of strength {spec.strength}; it writes "
            f"{', '.join(SMOOTHINGS)}, majority of at most {MOST_VOTES} votes"
        )
    own = len(head.labels)
    members: list[Member] = []
    tables: dict[str, NDArray[np.float32]] = {}
    text = SMOOTHINGS[spec.smoothing]
    if spec.smoothing == "ema":
        tables["har_smoothing"] = np.array([spec.strength, 1.0 - spec.strength], np.float32)
    if spec.smoothing == "majority":
        members.append(Member("int16_t", "votes", (int(spec.strength),), "newest first"))
    if spec.smoothing == "hmm" and spec.grammar is not None:
        grammar = spec.grammar.extended(labels - own)
        tables["har_transitions"] = np.array(grammar.transitions, np.float32)
        tables["har_rarity"] = np.array(grammar.rarity, np.float32)
        if spec.lag:
            text = LAGGED_HMM
            kept = ((spec.lag + 1) * labels,)
            members.append(Member("float", "beliefs", kept, "of the windows that decisions still wait for"))
            members.append(Member("float", "evidence", kept))
            members.append(Member("uint32_t", "times_ms", (spec.lag + 1,)))
    if spec.hysteresis:
        text += HYSTERESIS
        members.append(Member("int16_t", "held"))
    if spec.uncertain_below:
        text += UNCERTAIN
    if spec.familiar is not None:
        means, inverse = familiar_tables(spec.familiar, head.quant)
        tables |= {"har_familiar_means": means, "har_familiar_inverse": inverse}
        text += UNKNOWN_THEN if spec.delay else UNKNOWN_NOW
        if spec.delay:
            members.append(Member("uint8_t", "unknown", (spec.lag + 1,)))
    body = code(
        text,
        head=member,
        softmax=softmax,
        own=own,
        count=labels,
        votes=int(spec.strength),
        lag=spec.lag,
        margin=float32(spec.hysteresis),
        least=float32(spec.uncertain_below),
        most=float32(spec.familiar.most if spec.familiar is not None else 0.0),
    )
    return Part(body, tuple(members), tables)
