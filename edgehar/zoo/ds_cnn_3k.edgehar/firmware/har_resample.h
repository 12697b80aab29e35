/* ds_cnn_3k, made by: edgehar train --model ds_cnn --dataset hapt --set 'model_options={stem_channels = 12,
 * stem_kernel = 9, stem_stride = 4, blocks = [[24, 15, 1], [40, 9, 1]]}' --out RUN; SHA-256 of the bundle before:
 * 1064321df7facafeaac323a8180eddad3b7560d88e86800a7208b765cfa14572
 *
 * Samples with time stamps of their own to the steady HAR_RATE_HZ that har_push() wants: late and repeated ones are left
 * out, short gaps bridged by a straight line, a long one is a new beginning. Nothing here is an error.
 *
 *     static har_resampler resampler;
 *     har_resample_init(&resampler);
 *     ...
 *     if (har_resample_push(&resampler, sample, t_us) == HAR_RESAMPLE_BREAK) {
 *         har_reset(&context);
 *     }
 *     while (har_resample_next(&resampler, steady)) {
 *         har_push(&context, steady, t_us / 1000, &event);
 *         ...
 *     }
 */
#ifndef HAR_RESAMPLE_H
#define HAR_RESAMPLE_H

#include <stdint.h>
#include <string.h>

#include "har.h"
#include "har_signal.h"

#define HAR_RESAMPLE_TICKS_PER_US 1 /* a tick is what a period and a microsecond are both whole numbers of */
#define HAR_RESAMPLE_PERIOD UINT32_C(20000) /* ticks from grid point to grid point */

#ifndef HAR_RESAMPLE_GAP_US
#define HAR_RESAMPLE_GAP_US UINT32_C(1000000) /* the longest step between two samples that is bridged */
#endif

typedef char har_resample_gap_fits[(uint64_t)HAR_RESAMPLE_GAP_US * HAR_RESAMPLE_TICKS_PER_US < 0x80000000u ? 1 : -1];

#define HAR_RESAMPLE_TAKEN 0
#define HAR_RESAMPLE_DROPPED 1 /* a later sample, or one of the same time, had come before */
#define HAR_RESAMPLE_BREAK 2 /* after a gap, or the clock was set: call har_reset(); the grid begins with this sample */

/* Plain data. The counts may be read. */
typedef struct har_resampler {
    float before[HAR_CHANNELS]; /* the last two samples taken */
    float after[HAR_CHANNELS];
    uint32_t t_us; /* stamp of the last one */
    uint32_t span; /* ticks between the two */
    uint32_t next; /* ticks from the first of them to the next grid point */
    uint32_t late; /* samples dropped that came after a later one */
    uint32_t duplicates; /* samples dropped with the stamp of the last one */
    uint32_t interpolated; /* grid points where samples are missing, in steps longer than one and a half periods */
    uint32_t breaks;
    uint8_t started;
} har_resampler;

/* Make it ready for the first sample. */
static inline void har_resample_init(har_resampler *r)
{
    memset(r, 0, sizeof *r);
}

/* Take a sample with its stamp, a counter of microseconds that may wrap. Returns HAR_RESAMPLE_TAKEN, _DROPPED or _BREAK;
 * then call har_resample_next() until it returns 0. */
static inline int har_resample_push(har_resampler *r, const float sample[HAR_CHANNELS], uint32_t t_us)
{
    const uint32_t ahead = t_us - r->t_us;
    const uint32_t behind = r->t_us - t_us;
    const int started = r->started;
    if (started && behind <= HAR_RESAMPLE_GAP_US) {
        r->duplicates += behind == 0;
        r->late += behind != 0;
        return HAR_RESAMPLE_DROPPED;
    }
    r->t_us = t_us;
    r->started = 1;
    if (!started || ahead > HAR_RESAMPLE_GAP_US) {
        memcpy(r->after, sample, sizeof r->after);
        r->span = 0;
        r->next = 0;
        r->breaks += (uint32_t)started;
        return started ? HAR_RESAMPLE_BREAK : HAR_RESAMPLE_TAKEN;
    }
    while (r->next <= r->span) { /* grid points that nobody asked for */
        r->next += HAR_RESAMPLE_PERIOD;
    }
    r->next -= r->span;
    r->span = ahead * HAR_RESAMPLE_TICKS_PER_US;
    memcpy(r->before, r->after, sizeof r->before);
    memcpy(r->after, sample, sizeof r->after);
    return HAR_RESAMPLE_TAKEN;
}

/* Write the next grid point up to the last sample to steady and return 1; return 0 when there is none left. */
static inline int har_resample_next(har_resampler *r, float steady[HAR_CHANNELS])
{
    if (!r->started || r->next > r->span) {
        return 0;
    }
    if (r->next == r->span) {
        memcpy(steady, r->after, sizeof r->after);
    } else {
        const float weight = (float)(int32_t)r->next / (float)(int32_t)r->span;
        for (int i = 0; i < HAR_CHANNELS; i++) {
            float rise = r->after[i] - r->before[i];
            rise = rise * weight;
            steady[i] = r->before[i] + rise;
        }
        r->interpolated += r->span > HAR_RESAMPLE_PERIOD + HAR_RESAMPLE_PERIOD / 2;
    }
    r->next += HAR_RESAMPLE_PERIOD;
    return 1;
}

#endif
