"""The decision stage in C: each head's answers, of the first after its smoothing; as ``device_sim.decisions``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgehar.decision_spec import DecisionSpec
from edgehar.errors import UnsupportedOpError
from edgehar.heads import KINDS, power_table, sigmoid_table
from edgehar.manifest import Head
from firmware_export.affine import INT8_MIN
from firmware_export.targets.c.layer import code
from firmware_export.targets.c.part import Member, Part
from firmware_export.targets.c.smoothing import smoothing_part
from firmware_export.targets.c.text import comment, definition, identifier, string

STRUCT = """
/* @kind@ head @title@ */
@labels@
extern const char *const @table@[@texts@];

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


def head_types(heads: Sequence[Head], names: Sequence[HeadNames], rejections: Sequence[str] = ()) -> str:
    """Return the declarations of all heads for ``har.h``: label numbers, label texts, the struct of answers.

    ``rejections`` are labels of the first head's decisions beside its own.
    """
    taken = [_rejection(name) for name in rejections]
    further = [rejections, *([()] * (len(heads) - 1))]
    return "\n\n".join(
        _head_type(head, c_names, taken, more) for head, c_names, more in zip(heads, names, further, strict=True)
    )


def _rejection(name: str) -> str:
    return f"HAR_LABEL_{name.upper()}"


def _head_type(head: Head, names: HeadNames, taken: list[str], rejections: Sequence[str]) -> str:
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
    numbers += [f"#define {_rejection(name)} {len(names.labels) + i}" for i, name in enumerate(rejections)]
    members = [Member(m.kind, m.name, m.shape, notes[m.name]).text for m in names.members]
    return code(
        STRUCT,
        kind=head.kind,
        title=comment(repr(head.name)),
        table=names.table,
        count=len(names.labels),
        texts=len(names.labels) + len(rejections),
        labels="\n".join([f"#define HAR_{upper}_LABELS {len(names.labels)}", *numbers]),
        type=f"har_{names.member}",
        members="\n".join(members),
    )


def label_tables(names: Sequence[HeadNames], rejections: Sequence[str] = ()) -> str:
    """Return the definitions of the label texts for ``har.c``."""
    texts = [(*c.labels, *(() if index else rejections)) for index, c in enumerate(names)]
    return "\n".join(
        definition(f"const char *const {c.table}[{len(labels)}]", map(string, labels))
        for c, labels in zip(names, texts, strict=True)
    )


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
    table = power_table_name(names)
    powers = power_table(replace(head.quant, scale=head.quant.scale / spec.temperature))
    softmax = f"har_probabilities(decision->{names.member}.logits, {len(head.labels)}, {table}"
    part = smoothing_part(spec, head, names.member, "har_belong(ctx" if enrolment else softmax, len(names.labels))
    return replace(part, tables={table: powers, **part.tables})


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
