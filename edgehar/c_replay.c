/* Runs a generated pipeline over many samples, for the simulator and the tests; no part of a firmware. */
#include <stddef.h>
#include <string.h>

#include "har.h"

#ifndef HAR_EMBEDDING /* the network has none */
#define HAR_EMBEDDING 0
#define HAR_LABELS 0
#endif
#ifndef HAR_MODEL_STREAMING
#define HAR_MODEL_STREAMING "" /* the network is given whole windows */
#endif

const char har_replay_facts[] = HAR_MODEL_FACTS;
const char har_replay_streaming[] = HAR_MODEL_STREAMING;
const uint32_t har_replay_bytes[] = {sizeof(har_context), sizeof(har_decision), sizeof(har_event), HAR_CONTEXT_BYTES,
                                     HAR_MODEL_ARENA_BYTES, HAR_INPUT_BYTES, HAR_CONSTANT_BYTES,
                                     HAR_EMBEDDING, HAR_LABELS};

/* Push count samples; t_ms counts up from first_ms by 1. Every decision is written to decisions with the event that came
 * with it to events, and the windows that it was made of to windows if that is not NULL. Returns how many there were, or
 * -1 - status where har_push() refused. */
int64_t har_replay(har_context *ctx, const float *samples, int64_t count, uint32_t first_ms, har_decision *decisions,
                   har_event *events, int8_t *windows)
{
    int64_t decided = 0;
    for (int64_t i = 0; i < count; i++) {
        har_event event;
        const har_status status = har_push(ctx, samples + HAR_CHANNELS * i, first_ms + (uint32_t)i, &event);
        const har_decision *decision = har_decided(ctx);
        if (status != HAR_OK) {
            return -1 - (int64_t)status;
        }
        if (decision != NULL) {
            decisions[decided] = *decision;
            events[decided] = event;
            if (windows != NULL) {
                memcpy(windows + HAR_INPUT_BYTES * decided, ctx->inputs, HAR_INPUT_BYTES);
            }
            decided++;
        }
    }
    return decided;
}

#ifdef HAR_SPARE
/* Push count samples, and make a prototype of all windows that they complete. Returns the first status that is not
 * HAR_OK. */
int32_t har_replay_enroll(har_context *ctx, const float *samples, int64_t count, int16_t label, int32_t margin,
                          har_prototype *prototype)
{
    har_enrolment enrolment;
    har_event event;
    har_status status = HAR_OK;
    memset(&enrolment, 0, sizeof enrolment);
    for (int64_t i = 0; i < count && status == HAR_OK; i++) {
        status = har_push(ctx, samples + HAR_CHANNELS * i, 0, &event);
        if (status == HAR_OK && har_decided(ctx) != NULL) {
            status = har_enroll_window(ctx, &enrolment);
        }
    }
    return (int32_t)(status == HAR_OK ? har_enroll_finish(&enrolment, label, margin, prototype) : status);
}
#endif
