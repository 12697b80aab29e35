/* From int8 logits to probabilities, float32 in a fixed order: what device_sim.decisions computes, bit for bit. */
#ifndef HAR_DECISION_H
#define HAR_DECISION_H

#include <stdint.h>

/* Softmax of count logits; powers[d] is what a logit d steps below the largest weighs. */
static inline void har_probabilities(const int8_t *logits, int count, const float powers[256], float *probability)
{
    int32_t largest = logits[0];
    float total;
    for (int i = 1; i < count; i++) {
        largest = logits[i] > largest ? logits[i] : largest;
    }
    total = powers[largest - logits[0]];
    for (int i = 1; i < count; i++) {
        total = total + powers[largest - logits[i]];
    }
    for (int i = 0; i < count; i++) {
        probability[i] = powers[largest - logits[i]] / total;
    }
}

/* Where the largest of count numbers is, the first of equals. */
static inline int16_t har_largest(const float *x, int count)
{
    int16_t best = 0;
    for (int16_t i = 1; i < count; i++) {
        best = x[i] > x[best] ? i : best;
    }
    return best;
}

/* The same of logits. */
static inline int16_t har_largest_logit(const int8_t *x, int count)
{
    int16_t best = 0;
    for (int16_t i = 1; i < count; i++) {
        best = x[i] > x[best] ? i : best;
    }
    return best;
}

#endif
