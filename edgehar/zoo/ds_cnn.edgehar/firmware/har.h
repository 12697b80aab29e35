/* ds_cnn, made by: edgehar train --model ds_cnn --dataset hapt --out RUN; SHA-256 of the bundle before:
 * 246298c85135174b0d07fe2b61aa096be14c60ef08addee6000b2e1ec9dc5e82
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

#define HAR_RATE_HZ 50
#define HAR_CHANNELS 6 /* of a sample: see har_push() */
#define HAR_WINDOW 128 /* samples that a decision looks at */
#define HAR_HOP 64 /* samples from decision to decision */
#define HAR_LAG 0 /* a decision's label and probabilities are about the window so many decisions ago */
#define HAR_INPUT_BYTES 1152 /* of what the network is given */
#define HAR_CONTEXT_BYTES 4912 /* RAM, all of it except for the stack */
#define HAR_CONSTANT_BYTES 23665 /* weights and tables in flash, without the code */

/* multiclass head 'activity' */
#define HAR_ACTIVITY_LABELS 6
#define HAR_LABEL_ACTIVITY_WALKING 0
#define HAR_LABEL_ACTIVITY_UPSTAIRS 1
#define HAR_LABEL_ACTIVITY_DOWNSTAIRS 2
#define HAR_LABEL_ACTIVITY_SITTING 3
#define HAR_LABEL_ACTIVITY_STANDING 4
#define HAR_LABEL_ACTIVITY_LAYING 5
extern const char *const har_activity_labels[6];

typedef struct har_head_activity {
    float probability[6]; /* of each label */
    int16_t label; /* index into har_activity_labels */
    int8_t logits[6]; /* real = 0.0277647581 * (q - (-19)) */
} har_head_activity;

typedef enum har_status {
    HAR_OK = 0,
    HAR_ERROR_ARGUMENT = 1, /* a pointer is NULL */
    HAR_ERROR_NOT_INITIALISED = 2, /* har_init() has not been called with this context */
    HAR_ERROR_ARITHMETIC = 3 /* compiled with fused or relaxed floating point: add -ffp-contract=off */
} har_status;

/* The answers to one window. */
typedef struct har_decision {
    uint64_t start; /* first sample of the window, counted from har_init() */
    uint32_t t_ms; /* of its last sample */
    har_head_activity head_activity;
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
    int16_t label; /* the new activity, index into har_activity_labels */
    int16_t ended; /* the one before, HAR_NO_LABEL for the first */
    uint8_t kind; /* HAR_EVENT_ACTIVITY; or HAR_EVENT_NONE, and all is 0 */
} har_event;

/* Nobody needs to look inside. */
typedef struct har_context {
    har_model_arena arena;
    int8_t inputs[1152]; /* what the network is given, one input after another */
    har_decision decision;
    uint64_t samples;
    uint64_t decisions;
    uint64_t invalid_samples;
    uint64_t candidate_start; /* first decision for a label that is not announced yet */
    uint64_t label_start; /* first decision for the announced label */
    uint32_t candidate_ms;
    uint32_t candidate_count;
    uint32_t label_ms;
    uint32_t magic;
    int32_t rows; /* samples in the windows */
    float good[6]; /* last good value of each channel */
    float past_0[3]; /* difference: the sample before */
    int16_t label; /* announced */
    int16_t candidate;
    uint8_t settled; /* the last decision was for the announced label */
    uint8_t decided; /* the last sample completed a window */
} har_context;

/* Make ctx ready for the first sample. */
har_status har_init(har_context *ctx);

/* Forget the past, as after har_init(). */
har_status har_reset(har_context *ctx);

/* Take one raw sample:
 * acc_x (g), acc_y (g), acc_z (g), gyro_x (rad/s), gyro_y (rad/s), gyro_z (rad/s)
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

#ifdef __cplusplus
}
#endif

#endif
