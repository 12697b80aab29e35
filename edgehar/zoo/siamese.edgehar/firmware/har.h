/* siamese, made by: edgehar train --model ds_cnn --dataset hapt --set 'embedding={width = 16, weight = 2.0, margin =
 * 0.2, mining = "semi_hard", classes_per_batch = 12, samples_per_class = 10, turned = 0.5, labels = [], groups =
 * {}, purity = 1.0}' --set 'model_options={stem_channels = 16, stem_kernel = 9, stem_stride = 2, blocks = [[32, 15,
 * 2], [64, 9, 1]]}' --set epochs=20 --set mixup=0.0 --out RUN; SHA-256 of the bundle before:
 * dd759ad29ad01bbeab4cd1e9106881a436195c3a6efd29b935b2b35f3ba8063c
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
#define HAR_CONTEXT_BYTES 3984 /* RAM, all of it except for the stack */
#define HAR_CONSTANT_BYTES 22393 /* weights and tables in flash, without the code */

/* multiclass head 'activity' */
#define HAR_ACTIVITY_LABELS 10
#define HAR_LABEL_ACTIVITY_WALKING 0
#define HAR_LABEL_ACTIVITY_UPSTAIRS 1
#define HAR_LABEL_ACTIVITY_DOWNSTAIRS 2
#define HAR_LABEL_ACTIVITY_SITTING 3
#define HAR_LABEL_ACTIVITY_STANDING 4
#define HAR_LABEL_ACTIVITY_LAYING 5
#define HAR_LABEL_ACTIVITY_ENROLLED_1 6
#define HAR_LABEL_ACTIVITY_ENROLLED_2 7
#define HAR_LABEL_ACTIVITY_ENROLLED_3 8
#define HAR_LABEL_ACTIVITY_ENROLLED_4 9
extern const char *const har_activity_labels[10];

typedef struct har_head_activity {
    float probability[10]; /* of each label */
    int16_t label; /* index into har_activity_labels */
    int8_t logits[6]; /* real = 0.0325867757 * (q - (-17)) */
} har_head_activity;

/* Output 'embedding' of the network: how alike two windows are. real = 0.0078125 * (q - (0)) */
#define HAR_EMBEDDING 16
#define HAR_LABELS 10 /* of the first head: the network's own, then enrolled ones */
#define HAR_SPARE 4 /* labels that the device can be taught, and as many prototypes */
#define HAR_FIRST_SPARE_LABEL 6
#define HAR_FEWEST_WINDOWS 3 /* of an enrolment */
#define HAR_MOST_WINDOWS 1024
#define HAR_MARGIN 819 /* of an enrolment; 16384 is a cosine of 1. More recognises less, and errs less */

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

typedef enum har_status {
    HAR_OK = 0,
    HAR_ERROR_ARGUMENT = 1, /* a pointer is NULL */
    HAR_ERROR_NOT_INITIALISED = 2, /* har_init() has not been called with this context */
    HAR_ERROR_ENROLMENT = 4, /* see har_enroll_window(), har_enroll_finish() and har_add_prototype() */
    HAR_ERROR_ARITHMETIC = 3 /* compiled with fused or relaxed floating point: add -ffp-contract=off */
} har_status;

/* The answers to one window. */
typedef struct har_decision {
    uint64_t start; /* first sample of the window, counted from har_init() */
    uint32_t t_ms; /* of its last sample */
    har_head_activity head_activity;
    int8_t embedding[16];
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
    int32_t prototype_count;
    har_prototype prototypes[4]; /* that the device was taught */
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

#ifdef __cplusplus
}
#endif

#endif
