/* @origin@ */
#include "har.h"

#include <stddef.h>

#include "har_decision.h"
@further_headers@
#include "har_signal.h"

/* A stage stays a function of its own: a profiler tells stages apart, and the network's stack does not add to theirs. */
#ifdef __GNUC__
#define HAR_STAGE __attribute__((noinline))
#else
#define HAR_STAGE
#endif

#define HAR_MAGIC UINT32_C(@magic@) /* of this model: a context of another one is not taken for its own */

typedef char har_context_bytes_are_right[sizeof(har_context) <= HAR_CONTEXT_BYTES ? 1 : -1];

@tables@

/* Replace values that are not numbers, and let the others saturate. */
HAR_STAGE static void har_repair(har_context *ctx, const float *sample, float *raw)
{
    int replaced = 0;
    for (int i = 0; i < HAR_CHANNELS; i++) {
        if (har_is_finite(sample[i])) {
            ctx->good[i] = sample[i];
        } else {
            replaced = 1;
        }
        raw[i] = har_limit(ctx->good[i], HAR_RAW_LIMIT);
    }
    ctx->invalid_samples += (uint64_t)replaced;
}

/* Raw channels to columns:
@column_names@
 */
HAR_STAGE static void har_front_end(har_context *ctx, const float *raw, float *column)
{
    @front_end@
}

/* Put the sample's columns into the window of each input; whether the windows are complete. */
HAR_STAGE static int har_collect(har_context *ctx, const float *column)
{
    @windows@
    ctx->rows++;
    return ctx->rows == @last@;
}

@features@

/* Run the network over the complete windows. */
HAR_STAGE static void har_infer(har_context *ctx)
{
    @infer@
}

@enrolment_stage@

/* From logits to answers: @smoothing@. */
HAR_STAGE static void har_decide(har_context *ctx)
{
    har_decision *decision = &ctx->decision;
    @decide@
    ctx->decisions++;
}

/* Announce an activity after @debounce@. */
HAR_STAGE static void har_announce(har_context *ctx, har_event *event)
{
    const har_@first@ *answer = &ctx->decision.@first@;
    const int16_t label = answer->label;
    if (label == ctx->label) {
        ctx->settled = 1;
        return;
    }
    if (ctx->settled || label != ctx->candidate) {
        ctx->candidate = label;
        ctx->candidate_start = @about@;
        ctx->candidate_ms = @about_ms@;
        ctx->candidate_count = 0;
        ctx->settled = 0;
    }
    ctx->candidate_count++;
    if (ctx->candidate_count < @min_decisions@) {
        return;
    }
    event->kind = HAR_EVENT_ACTIVITY;
    event->label = label;
    event->probability = @probability@;
    event->start = ctx->candidate_start;
    event->start_ms = ctx->candidate_ms;
    event->ended = ctx->label;
    event->ended_start = ctx->label_start;
    event->ended_start_ms = ctx->label_ms;
    ctx->label = label;
    ctx->label_start = ctx->candidate_start;
    ctx->label_ms = ctx->candidate_ms;
    ctx->settled = 1;
}

har_status har_init(har_context *ctx)
{
    if (ctx == NULL) {
        return HAR_ERROR_ARGUMENT;
    }
    if (!har_arithmetic_is_exact()) {
        return HAR_ERROR_ARITHMETIC;
    }
    memset(ctx, 0, sizeof *ctx);
    ctx->label = HAR_NO_LABEL;
    ctx->candidate = HAR_NO_LABEL;
    ctx->settled = 1;
    ctx->magic = HAR_MAGIC;
    @begin@
    return HAR_OK;
}

har_status har_reset(har_context *ctx)
{
    return har_init(ctx);
}

har_status har_push(har_context *ctx, const float sample[HAR_CHANNELS], uint32_t t_ms, har_event *event)
{
    float raw[HAR_CHANNELS];
    float column[@columns@];
    if (ctx == NULL || sample == NULL || event == NULL) {
        return HAR_ERROR_ARGUMENT;
    }
    memset(event, 0, sizeof *event); /* HAR_EVENT_NONE */
    if (ctx->magic != HAR_MAGIC) {
        return HAR_ERROR_NOT_INITIALISED;
    }
    har_repair(ctx, sample, raw);
    har_front_end(ctx, raw, column);
    ctx->samples++;
    ctx->decided = (uint8_t)har_collect(ctx, column);
    @fill@
    if (ctx->decided) {
        ctx->decision.start = ctx->samples - HAR_WINDOW;
        ctx->decision.t_ms = t_ms;
        har_infer(ctx);
        har_decide(ctx);
        har_announce(ctx, event);
    }
    return HAR_OK;
}

@enrolment_functions@

const har_decision *har_decided(const har_context *ctx)
{
    return ctx != NULL && ctx->magic == HAR_MAGIC && ctx->decided ? &ctx->decision : NULL;
}

int16_t har_activity(const har_context *ctx)
{
    return ctx != NULL && ctx->magic == HAR_MAGIC ? ctx->label : HAR_NO_LABEL;
}

uint64_t har_invalid_samples(const har_context *ctx)
{
    return ctx != NULL && ctx->magic == HAR_MAGIC ? ctx->invalid_samples : 0;
}
