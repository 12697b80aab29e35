/* @origin@
 *
 * One raw sample in, an event out when there is one. Everything the pipeline remembers is in one har_context, which the
 * caller owns: plain data that may be copied; different contexts do not disturb each other, in threads or interrupts.
 * No allocation, no globals that change, no recursion; every loop ends after a number of rounds known here.
 */
#ifndef HAR_H
#define HAR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "har_model.h"

#define HAR_RATE_HZ @rate@
#define HAR_CHANNELS @channels@ /* of a sample: see har_push() */
#define HAR_WINDOW @window@ /* samples that a decision looks at */
#define HAR_HOP @hop@ /* samples from decision to decision */
#define HAR_LAG @lag@ /* a decision's label and probabilities are about the window so many decisions ago */
@rows@
#define HAR_INPUT_BYTES @input_bytes@ /* of what the network is given */
#define HAR_CONTEXT_BYTES @context_bytes@ /* RAM, all of it except for the stack */
#define HAR_CONSTANT_BYTES @constant_bytes@ /* weights and tables in flash, without the code */

@heads@

@embedding@

typedef enum har_status {
    HAR_OK = 0,
    HAR_ERROR_ARGUMENT = 1, /* a pointer is NULL */
    HAR_ERROR_NOT_INITIALISED = 2, /* har_init() has not been called with this context */
    @enrolment_error@
    HAR_ERROR_ARITHMETIC = 3 /* compiled with fused or relaxed floating point: add -ffp-contract=off */
} har_status;

/* The answers to one window. */
typedef struct har_decision {
    uint64_t start; /* first sample of the window, counted from har_init() */
    uint32_t t_ms; /* of its last sample */
    @members@
} har_decision;

#define HAR_EVENT_NONE 0
#define HAR_EVENT_ACTIVITY 1 /* another activity has begun */
#define HAR_NO_LABEL (-1)

typedef struct har_event {
    uint64_t start; /* sample that completed the first window of the new activity */
    uint64_t ended_start; /* the same of the activity that ended with it */
    uint32_t start_ms; /* t_ms of these samples */
    uint32_t ended_start_ms;
    float probability; /* of the new activity in the decision that announces it */
    int16_t label; /* the new activity, index into @first_labels@ */
    int16_t ended; /* the one before, HAR_NO_LABEL for the first */
    uint8_t kind; /* HAR_EVENT_ACTIVITY; or HAR_EVENT_NONE, and all is 0 */
} har_event;

/* Nobody needs to look inside. */
typedef struct har_context {
    @context@
} har_context;

/* Make ctx ready for the first sample. */
har_status har_init(har_context *ctx);

/* Forget the past, as after har_init(). */
har_status har_reset(har_context *ctx);

/* Take one raw sample:
@channel_units@
 *
 * t_ms is the caller's clock; events carry it, nothing is computed from it. A value that is NaN or infinite is replaced
 * by its channel's last good one, 0 before the first. Every HAR_HOP samples the network runs inside of this call.
 */
har_status har_push(har_context *ctx, const float sample[HAR_CHANNELS], uint32_t t_ms, har_event *event);

/* The decision that the last har_push() made, NULL if it made none; valid until the next one. */
const har_decision *har_decided(const har_context *ctx);

/* The activity that has been announced, HAR_NO_LABEL before the first. */
int16_t har_activity(const har_context *ctx);

/* Samples in which a value had to be replaced. */
uint64_t har_invalid_samples(const har_context *ctx);

@enrolment_declarations@

#ifdef __cplusplus
}
#endif

#endif
