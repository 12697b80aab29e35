/* How unlike all known activities a window is, float32 in a fixed order: what device_sim.decisions.unfamiliar computes. */
#ifndef HAR_FAMILIAR_H
#define HAR_FAMILIAR_H

#include <stdint.h>

/* Distance of count logits to the nearest of as many rows of means, in inverse deviations. */
static inline float har_distance(const int8_t *logits, const float *means, const float *inverse, int count)
{
    float nearest = 0.0F;
    for (int row = 0; row < count; row++) {
        float total = 0.0F;
        for (int i = 0; i < count; i++) {
            const float step = ((float)logits[i] - means[row * count + i]) * inverse[row * count + i];
            total = i == 0 ? step * step : total + step * step;
        }
        nearest = row == 0 || total < nearest ? total : nearest;
    }
    return nearest;
}

#endif
