/* What the page calls: a pipeline, a resampler before it, and memory to hand samples over in. */
#include <stddef.h>

#include "har.h"
#include "har_resample.h"

float page_sample[HAR_CHANNELS];
har_event page_event;     /* of the last sample pushed */
uint32_t page_counts[5];  /* late, duplicate, interpolated, breaks, invalid samples */

static har_context context;
static har_resampler resampler;

/* Forget everything. Returns a har_status. */
int32_t page_reset(void)
{
    har_resample_init(&resampler);
    return (int32_t)har_init(&context);
}

static int32_t push(const float *sample, uint32_t t_ms)
{
    if (har_push(&context, sample, t_ms, &page_event) != HAR_OK) {
        return -1;
    }
    page_counts[4] = (uint32_t)har_invalid_samples(&context);
    return har_decided(&context) != NULL ? 2 : 1;
}

/* Push page_sample, which is at the steady rate. Returns 2 where it brought a decision, else 1; -1 where it was refused. */
int32_t page_push(uint32_t t_ms)
{
    return push(page_sample, t_ms);
}

/* Take page_sample with its stamp in microseconds; then call page_next() until it returns 0. */
void page_feed(uint32_t t_us)
{
    if (har_resample_push(&resampler, page_sample, t_us) == HAR_RESAMPLE_BREAK) {
        har_reset(&context);
    }
    page_counts[0] = resampler.late;
    page_counts[1] = resampler.duplicates;
    page_counts[3] = resampler.breaks;
}

/* Push the next sample at the steady rate. Returns 0 where there is none, else as page_push(). */
int32_t page_next(uint32_t t_ms)
{
    float steady[HAR_CHANNELS];
    if (!har_resample_next(&resampler, steady)) {
        return 0;
    }
    page_counts[2] = resampler.interpolated;
    return push(steady, t_ms);
}

/* The decision that the last push brought, or NULL. */
const har_decision *page_decision(void)
{
    return har_decided(&context);
}
