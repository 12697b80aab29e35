"""The decision stage in C: each head's answers, and the smoothing of the first head's; as ``device_sim.decisions``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgehar.bundle import DecisionSpec, Head
from edgehar.errors import UnsupportedOpError
from edgehar.heads import KINDS, power_table, sigmoid_table
from firmware_export.affine import INT8_MIN
from firmware_export.targets.c.layer import code
from firmware_export.targets.c.part import Member, Part
from firmware_export.targets.c.text import comment, definition, identifier, string

STRUCT = """
/* @kind@ head @title@ */
@labels@
extern const char *const @table@[@count@];

typedef struct @type@ {
    @members@
} @type@;
"""
CHOICE = """
har_probabilities(decision->@head@.logits, @count@, @powers@, decision->@head@.probability);
decision->@head@.label = har_largest_logit(decision->@head@.logits, @count@);
"""
YES_OR_NO = """
for (int i = 0; i < @count@; i++) {
    decision->@head@.probability[i] = @table@[decision->@head@.logits[i] + 128];
    decision->@head@.answers[i] = @yes@;
}
"""
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
SMOOTHINGS = {"none": NONE, "ema": EMA, "majority": MAJORITY}
MOST_VOTES = 1023


@dataclass(frozen=True)
class HeadNames:
    """C names of one head.

    Attributes:
        member: of ``har_decision``, and its type's name after ``har_``.
        table: of label texts.
        labels: these texts.
        members: of its struct.
    """

    member: str
    table: str
    labels: tuple[str, ...]
    members: tuple[Member, ...]

    @property
    def layout(self) -> Member:
        """The member of ``har_decision``."""
        return Member(f"har_{self.member}", self.member, dtype=np.dtype([m.layout for m in self.members], align=True))


def head_names(heads: Sequence[Head], enrolled: Sequence[str] = ()) -> tuple[HeadNames, ...]:
    """Return the C names of all heads.

    Args:
        heads: of the manifest.
        enrolled: texts of what the first one may answer besides its own labels.

    Raises:
        UnsupportedOpError: a head is of a kind without a form in C.
    """
    names: list[HeadNames] = []
    for index, head in enumerate(heads):
        if head.kind not in KINDS:
            raise UnsupportedOpError(
                f"target 'c' cannot write head {head.name!r} of kind {head.kind!r}; it writes {', '.join(KINDS)}"
            )
        stem = _unique(identifier(head.name), [n.member.removeprefix("head_") for n in names], index)
        count = (len(head.labels),)
        labels = head.labels if index else (*head.labels, *enrolled)
        answers = Member("int16_t", "label") if head.kind == "multiclass" else Member("int8_t", "answers", count)
        members = (Member("float", "probability", (len(labels),)), answers, Member("int8_t", "logits", count))
        names.append(HeadNames(f"head_{stem}", f"har_{stem}_labels", labels, members))
    return tuple(names)


def head_types(heads: Sequence[Head], names: Sequence[HeadNames]) -> str:
    """Return the declarations of all heads for ``har.h``: label numbers, label texts, the struct of answers."""
    taken: list[str] = []
    return "\n\n".join(_head_type(head, c_names, taken) for head, c_names in zip(heads, names, strict=True))


def _head_type(head: Head, names: HeadNames, taken: list[str]) -> str:
    notes = {
        "probability": "of each label",
        "label": f"index into {names.table}",
        "answers": "1 yes, 0 no",
        "logits": f"real = {head.quant.scale:.9g} * (q - ({head.quant.zero_point}))",
    }
    upper = names.member.removeprefix("head_").upper()
    numbers = []
    for index, label in enumerate(names.labels):
        taken.append(_unique(f"HAR_LABEL_{upper}_{identifier(label).upper()}", taken, index))
        numbers.append(f"#define {taken[-1]} {index}")
    members = [Member(m.kind, m.name, m.shape, notes[m.name]).text for m in names.members]
    return code(
        STRUCT,
        kind=head.kind,
        title=comment(repr(head.name)),
        table=names.table,
        count=len(names.labels),
        labels="\n".join([f"#define HAR_{upper}_LABELS {len(names.labels)}", *numbers]),
        type=f"har_{names.member}",
        members="\n".join(members),
    )


def label_tables(names: Sequence[HeadNames]) -> str:
    """Return the definitions of the label texts for ``har.c``."""
    return "\n".join(definition(f"const char *const {c.table}[{len(c.labels)}]", map(string, c.labels)) for c in names)


def decision_parts(
    heads: Sequence[Head], names: Sequence[HeadNames], spec: DecisionSpec, enrolment: bool = False
) -> list[Part]:
    """Return the statements from logits to answers, a part a head.

    Args:
        heads: of the manifest.
        names: theirs in C.
        spec: of the first head's smoothing.
        enrolment: the first head's probabilities come from ``har_belong`` of :mod:`targets.c.prototypes`.

    Raises:
        UnsupportedOpError: the smoothing, or its strength, has no form in C.
    """
    parts = [_first(heads[0], names[0], spec, enrolment)]
    for head, c_names in zip(heads[1:], names[1:], strict=True):
        words, zero = {"head": c_names.member, "count": len(head.labels)}, head.quant.zero_point
        if head.kind == "multiclass":
            table = power_table_name(c_names)
            parts.append(Part(code(CHOICE, powers=table, **words), tables={table: power_table(head.quant)}))
        else:
            table = f"har_sigmoids_{c_names.member}"
            values = sigmoid_table(head.quant)
            # no int8 is below -128, and compilers say so
            yes = f"decision->{c_names.member}.logits[i] >= {zero}" if zero > INT8_MIN else "1"
            parts.append(Part(code(YES_OR_NO, table=table, yes=yes, **words), tables={table: values}))
    return parts


def power_table_name(names: HeadNames) -> str:
    """Return the C name of the table that a head's softmax looks powers up in."""
    return f"har_powers_{names.member}"


def _first(head: Head, names: HeadNames, spec: DecisionSpec, enrolment: bool) -> Part:
    if head.kind != "multiclass":
        raise UnsupportedOpError(
            f"target 'c': the first head {head.name!r} is {head.kind}; events need one that chooses one of its labels"
        )
    if spec.smoothing not in SMOOTHINGS or (spec.smoothing == "majority" and spec.strength > MOST_VOTES):
        raise UnsupportedOpError(
            f"target 'c' cannot write the smoothing {spec.smoothing!r} of strength {spec.strength}; it writes "
            f"{', '.join(SMOOTHINGS)}, majority of at most {MOST_VOTES} votes"
        )
    table = power_table_name(names)
    tables = {table: power_table(head.quant)}
    members: tuple[Member, ...] = ()
    if spec.smoothing == "ema":
        tables["har_smoothing"] = np.array([spec.strength, 1.0 - spec.strength], np.float32)
    if spec.smoothing == "majority":
        members = (Member("int16_t", "votes", (int(spec.strength),), "newest first"),)
    softmax = f"har_probabilities(decision->{names.member}.logits, {len(head.labels)}, {table}"
    body = code(
        SMOOTHINGS[spec.smoothing],
        head=names.member,
        count=len(names.labels),
        softmax="har_belong(ctx" if enrolment else softmax,
        votes=int(spec.strength),
    )
    return Part(body, members, tables)


def _unique(name: str, taken: Sequence[str], index: int) -> str:
    """``name``, made different from those taken by its index."""
    return f"{name}_{index}" if name in taken else name


def decision_members(names: Sequence[HeadNames], more: Sequence[Member] = ()) -> tuple[Member, ...]:
    """Return the members of ``har_decision``: what there is besides heads comes last."""
    return (Member("uint64_t", "start"), Member("uint32_t", "t_ms"), *(each.layout for each in names), *more)


def decision_member(names: Sequence[HeadNames], more: Sequence[Member] = ()) -> Member:
    """Return the ``har_decision`` inside of ``har_context``."""
    layout = np.dtype([member.layout for member in decision_members(names, more)], align=True)
    return Member("har_decision", "decision", dtype=layout)
