/* Runs a generated pipeline over many samples, for the simulator and the tests; no part of a firmware. */
#include <stddef.h>
#include <string.h>

#include "har.h"

const char har_replay_facts[] = HAR_MODEL_FACTS;
const uint32_t har_replay_bytes[] = {sizeof(har_context), sizeof(har_decision), sizeof(har_event), HAR_CONTEXT_BYTES,
                                     HAR_MODEL_ARENA_BYTES, HAR_INPUT_BYTES, HAR_CONSTANT_BYTES};

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
