"""Enrolled labels in C: those of the manifest as tables, and room for some that the device is taught.

Rules and bits are ``device_sim.prototypes``' and ``device_sim.enroll``'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.c_pipeline import prototype_type
from edgehar.errors import ExportError, UnsupportedOpError
from edgehar.heads.prototypes import COARSE_POWERS, FEWEST_WINDOWS, FINE_POWERS, MARGIN, UNIT, strangers
from edgehar.manifest import Embedding, Manifest, Prototype
from edgehar.references import References
from firmware_export.targets.c.decision import HeadNames, power_table_name
from firmware_export.targets.c.layer import code
from firmware_export.targets.c.part import Member, Part
from firmware_export.targets.c.text import comment

HEADER = "har_prototypes.h"
SPARE = 4  # labels, and prototypes, that a device can be taught
MOST_WINDOWS = 1024  # of an enrolment: beyond, a product in har_direction() could leave 64 bits

STRUCTS = """
/* Output @title@ of the network: how alike two windows are. real = @scale@ * (q - (@zero@)) */
#define HAR_EMBEDDING @width@
#define HAR_LABELS @labels@ /* of the first head: the network's own, then enrolled ones */
"""
ENROLMENT_STRUCTS = """
#define HAR_SPARE @spare@ /* labels that the device can be taught, and as many prototypes */
#define HAR_FIRST_SPARE_LABEL @first@
#define HAR_FEWEST_WINDOWS @fewest@ /* of an enrolment */
#define HAR_MOST_WINDOWS @most@
#define HAR_MARGIN @margin@ /* of an enrolment; @unit@ is a cosine of 1. More recognises less, and errs less */

/* Windows of an activity that is being taught, added up; all zero before the first. */
typedef struct har_enrolment {
    int32_t sums[HAR_EMBEDDING];
    int32_t windows;
} har_enrolment;

/* What windows of a label are like. Plain data: keep it where it outlasts a restart. */
typedef struct har_prototype {
    int32_t threshold; /* what a window's score has to exceed */
    int16_t label;
    int8_t vector[HAR_EMBEDDING];
} har_prototype;
"""
DECLARATIONS = """
/* Add the window of the decision that the last har_push() made to an enrolment. HAR_ERROR_ENROLMENT if it made none,
 * or there are HAR_MOST_WINDOWS already.
 */
har_status har_enroll_window(const har_context *ctx, har_enrolment *enrolment);

/* Make a prototype of an enrolment's windows, as `edgehar enroll` does of a recording. HAR_ERROR_ENROLMENT if they are
 * fewer than HAR_FEWEST_WINDOWS, or cancel out.
 *
 * label: HAR_FIRST_SPARE_LABEL or one of the next, or one that is enrolled; margin: 0..32768, usually HAR_MARGIN.
 */
har_status har_enroll_finish(const har_enrolment *enrolment, int16_t label, int32_t margin, har_prototype *prototype);

/* Let ctx recognise a prototype from the next decision on, until har_init(). HAR_ERROR_ENROLMENT if it holds HAR_SPARE
 * already.
 */
har_status har_add_prototype(har_context *ctx, const har_prototype *prototype);
"""
STAGE = """
/* Probabilities of the network's own labels, and of the enrolled one whose threshold the window exceeds by most. */
static void har_belong(har_context *ctx, float *probability)
{
    const int8_t *embedding = ctx->decision.embedding;
    const int32_t rival = har_most_alike(embedding, har_references, @references@, HAR_EMBEDDING);
    int32_t most = 0;
    int16_t label = HAR_NO_LABEL;
    har_probabilities(ctx->decision.@head@.logits, @own@, @powers@, probability);
    @enrolled@
    for (int i = 0; i < ctx->prototype_count; i++) {
        const har_prototype *known = ctx->prototypes + i;
        const int32_t over = har_similarity(embedding, known->vector, HAR_EMBEDDING) - rival - known->threshold;
        if (over > most) {
            most = over;
            label = known->label;
        }
    }
    for (int i = @own@; i < HAR_LABELS; i++) {
        probability[i] = 0.0F;
    }
    if (label != HAR_NO_LABEL) {
        har_share(probability, HAR_LABELS, label, most, har_coarse_powers, har_fine_powers);
    }
}
"""
ENROLLED = """
for (int i = 0; i < @count@; i++) {
    const int32_t over = har_similarity(embedding, har_enrolled_vectors + HAR_EMBEDDING * i, HAR_EMBEDDING) - rival -
                         har_enrolled_thresholds[i];
    if (over > most) {
        most = over;
        label = har_enrolled_labels[i];
    }
}
"""
FUNCTIONS = """
har_status har_enroll_window(const har_context *ctx, har_enrolment *enrolment)
{
    if (ctx == NULL || enrolment == NULL) {
        return HAR_ERROR_ARGUMENT;
    }
    if (ctx->magic != HAR_MAGIC) {
        return HAR_ERROR_NOT_INITIALISED;
    }
    if (!ctx->decided || enrolment->windows >= HAR_MOST_WINDOWS) {
        return HAR_ERROR_ENROLMENT;
    }
    for (int i = 0; i < HAR_EMBEDDING; i++) {
        enrolment->sums[i] += ctx->decision.embedding[i];
    }
    enrolment->windows++;
    return HAR_OK;
}

har_status har_enroll_finish(const har_enrolment *enrolment, int16_t label, int32_t margin, har_prototype *prototype)
{
    if (enrolment == NULL || prototype == NULL || label < @own@ || label >= HAR_LABELS || margin < 0 ||
        margin > 32768) {
        return HAR_ERROR_ARGUMENT;
    }
    if (enrolment->windows < HAR_FEWEST_WINDOWS || enrolment->windows > HAR_MOST_WINDOWS ||
        !har_direction(enrolment->sums, prototype->vector, HAR_EMBEDDING)) {
        return HAR_ERROR_ENROLMENT;
    }
    prototype->label = label;
    prototype->threshold =
        margin + har_highest_score(prototype->vector, har_references, har_strangers, @references@, HAR_EMBEDDING);
    return HAR_OK;
}

har_status har_add_prototype(har_context *ctx, const har_prototype *prototype)
{
    if (ctx == NULL || prototype == NULL || prototype->label < @own@ || prototype->label >= HAR_LABELS ||
        prototype->threshold < 0 || prototype->threshold > 1 << 30) {
        return HAR_ERROR_ARGUMENT;
    }
    if (ctx->magic != HAR_MAGIC) {
        return HAR_ERROR_NOT_INITIALISED;
    }
    if (ctx->prototype_count == HAR_SPARE) {
        return HAR_ERROR_ENROLMENT;
    }
    ctx->prototypes[ctx->prototype_count++] = *prototype;
    return HAR_OK;
}
"""
ERROR = "HAR_ERROR_ENROLMENT = 4, /* see har_enroll_window(), har_enroll_finish() and har_add_prototype() */"


@dataclass(frozen=True, eq=False)
class Enrolment:
    """The parts of the sources that have to do with the embedding; all empty where there is none.

    Attributes:
        structs, declarations, error: of ``har.h``.
        stage, functions: of ``har.c``.
        part: tables, and members of ``har_context``.
        answer: members of ``har_decision``.
        wanted: the first head's probabilities come from ``har_belong``.
    """

    structs: str = ""
    declarations: str = ""
    error: str = ""
    stage: str = ""
    functions: str = ""
    part: Part = field(default_factory=lambda: Part(""))
    answer: tuple[Member, ...] = ()
    wanted: bool = False


def enrolled_labels(manifest: Manifest, references: References | None) -> tuple[str, ...]:
    """Return the texts of what the first head may answer besides its own labels: enrolled ones, and room for more."""
    if manifest.embedding is None or references is None:
        return ()
    own = len(manifest.heads[0].labels)
    return (*manifest.announced.labels[own:], *(f"enrolled {index + 1}" for index in range(SPARE)))


def enrolment_parts(manifest: Manifest, references: References | None, first: HeadNames) -> Enrolment:
    """Return what a manifest's embedding and enrolled labels are in C.

    Without references the embedding is an output and no more.

    Args:
        manifest: whose embedding, enrolled labels and first head are meant.
        references: to compare with.
        first: C names of the first head, with :func:`enrolled_labels`.

    Raises:
        UnsupportedOpError: the embedding is not int8.
        ExportError: labels are enrolled and there are no references, or they do not fit the embedding.
    """
    embedding = manifest.embedding
    if embedding is None:
        return Enrolment()
    if embedding.quant.dtype != "int8":
        raise UnsupportedOpError(
            f"target 'c' cannot write the embedding {embedding.name!r} of {embedding.quant.dtype}; it writes int8"
        )
    own = len(manifest.heads[0].labels)
    answer = (Member("int8_t", "embedding", (embedding.width,)),)
    if references is None:
        if manifest.enrolled:
            raise ExportError("target 'c': labels are enrolled, and the bundle has no references to compare with")
        return Enrolment(structs=_structs(embedding, own), answer=answer)
    if references.embeddings.shape != (len(references.people), embedding.width):
        raise ExportError(
            f"target 'c': references are {references.embeddings.shape}, expected [{len(references.people)}, "
            f"{embedding.width}]"
        )
    labels = manifest.announced.labels[own:]
    words: dict[str, object] = {
        "own": own,
        "references": len(references.people),
        "head": first.member,
        "powers": power_table_name(first),
    }
    rooms: dict[str, object] = {
        "spare": SPARE,
        "first": own + len(labels),
        "fewest": FEWEST_WINDOWS,
        "most": MOST_WINDOWS,
        "margin": round(MARGIN * UNIT),
        "unit": UNIT,
    }
    members = (
        Member("int32_t", "prototype_count"),
        Member("har_prototype", "prototypes", (SPARE,), "that the device was taught", prototype_type(embedding.width)),
    )
    tables: dict[str, NDArray[Any]] = {
        "har_references": references.embeddings,
        "har_strangers": strangers(references.embeddings, references.people).astype(np.int32),
        "har_coarse_powers": COARSE_POWERS,
        "har_fine_powers": FINE_POWERS,
    }
    return Enrolment(
        structs=f"{_structs(embedding, len(first.labels))}\n{code(ENROLMENT_STRUCTS, **rooms)}",
        declarations=code(DECLARATIONS),
        error=ERROR,
        stage=code(STAGE, enrolled=code(ENROLLED, count=len(manifest.enrolled)) if labels else "", **words),
        functions=code(FUNCTIONS, **words),
        part=Part("", members, {**tables, **_enrolled_tables(manifest.enrolled, labels, own)}),
        answer=answer,
        wanted=True,
    )


def _structs(embedding: Embedding, labels: int) -> str:
    quant = embedding.quant
    return code(
        STRUCTS,
        title=comment(repr(embedding.name)),
        width=embedding.width,
        labels=labels,
        scale=f"{quant.scale:.9g}",
        zero=quant.zero_point,
    )


def _enrolled_tables(enrolled: tuple[Prototype, ...], labels: tuple[str, ...], own: int) -> dict[str, NDArray[Any]]:
    if not enrolled:
        return {}
    return {
        "har_enrolled_vectors": np.array([prototype.vector for prototype in enrolled], np.int8),
        "har_enrolled_thresholds": np.array([prototype.threshold for prototype in enrolled], np.int32),
        "har_enrolled_labels": np.array([own + labels.index(prototype.label) for prototype in enrolled], np.int16),
    }
