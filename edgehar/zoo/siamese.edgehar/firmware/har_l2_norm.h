/* Columns divided by their Euclidean length, as TFLite's L2_NORMALIZATION does it. Qm.n: n fraction bits of 32. */
#ifndef HAR_L2_NORM_H
#define HAR_L2_NORM_H

#include "har_fixed_point.h"

/* One column of count numbers; the output has scale 1/128 and zero point 0. Sums of squares stay below 2^29. */
static inline void har_l2_norm(const int8_t *x, int8_t *y, int count, int32_t zero_point)
{
    int32_t squares = 0;
    int32_t multiplier = INT32_MAX;
    int shift = 0;
    for (int i = 0; i < count; i++) {
        const int32_t centred = x[i] - zero_point;
        squares += centred * centred;
    }
    if (squares > 1) {
        /* 1 / sqrt(squares) = multiplier * 2^(-31 - shift): five Newton steps from 1 in Q3.28 */
        int32_t half;
        int32_t newton = 1 << 28;
        int bits = 0;
        int pairs;
        for (int i = 0; i < 29; i++) {
            bits += (squares >> i) > 0;
        }
        pairs = (31 - bits) / 2 - 1;
        half = har_divide_by_power_of_two((int32_t)(((uint32_t)squares << (2 * pairs)) >> 1), 1);
        for (int step = 0; step < 5; step++) {
            const int32_t cube = har_shift_left(har_high_multiply(har_high_multiply(newton, newton), newton), 6);
            const int32_t more = har_high_multiply(newton, 3 << 27);
            newton = har_shift_left(more - har_high_multiply(half, cube), 3);
        }
        multiplier = har_high_multiply(newton, 1518500250); /* sqrt(1/2) in Q0.31 */
        shift = 11 - pairs;
        if (shift < 0) {
            multiplier = har_shift_left(multiplier, -shift);
            shift = 0;
        }
    }
    for (int i = 0; i < count; i++) {
        y[i] = har_to_int8(har_rescale(x[i] - zero_point, multiplier, 7 - shift), 0, -128, 127);
    }
}

#endif
