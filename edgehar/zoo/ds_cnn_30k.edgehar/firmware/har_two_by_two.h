/* Sums of products of two output channels at two positions, in plain C with int8 weights: for cores without products of
 * pairs, but with registers for eight numbers and three pointers. Every number that is loaded is used twice.
 */
#ifndef HAR_TWO_BY_TWO_H
#define HAR_TWO_BY_TWO_H

#include <stdint.h>

#if defined(__thumb__) && !defined(__thumb2__)
#define HAR_FEW_REGISTERS 1 /* Cortex-M0+: one sum at a time is faster */
#else
#define HAR_FEW_REGISTERS 0
#endif

/* Add to sums of both channels at the first position, then at the second, their count products.
 *
 * x: what the first position sees, count consecutive numbers; the second's are stride behind. w: count weights of the
 * first channel, then of the second.
 */
static inline void har_two_by_two(const int8_t *x, int stride, const int8_t *w, int count, int32_t sums[4])
{
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    for (int i = 0; i < count; i++) {
        const int32_t first = x[i], second = x[stride + i];
        a += first * w[i];
        b += first * w[count + i];
        c += second * w[i];
        d += second * w[count + i];
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

#endif
