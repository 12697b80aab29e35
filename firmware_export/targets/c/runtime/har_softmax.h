/* Softmax in fixed point, as TFLite and gemmlowp compute it. Qm.n: n fraction bits of 32. */
#ifndef HAR_SOFTMAX_H
#define HAR_SOFTMAX_H

#include "har_fixed_point.h"

/* exp(a) in Q0.31 for a in [-1/4, 0) in Q0.31: Taylor series about -1/8, four terms. */
static inline int32_t har_exp_of_small(int32_t a)
{
    const int32_t constant = 1895147668; /* exp(-1/8) */
    const int32_t x = a + (1 << 28);
    const int32_t x2 = har_high_multiply(x, x);
    const int32_t x3 = har_high_multiply(x2, x);
    const int32_t x4 = har_high_multiply(x2, x2);
    int32_t series = har_divide_by_power_of_two(x4, 2);
    series = har_high_multiply(series + x3, 715827883); /* 1/3 */
    series = har_divide_by_power_of_two(series + x2, 1);
    return constant + har_high_multiply(x + series, constant);
}

/* exp(a) in Q0.31 for a <= 0 in Q5.26: a remainder in [-1/4, 0) and one factor a bit of the rest. */
static inline int32_t har_exp_of_negative(int32_t a)
{
    /* exp(-2^k) in Q0.31 for k = -2..4 */
    static const int32_t factor[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t quarter = 1 << 24;
    const int32_t remainder = (a & (quarter - 1)) - quarter;
    const int32_t rest = remainder - a;
    int32_t result = har_exp_of_small(remainder * 32);
    for (int k = 0; k < 7; k++) {
        if (rest & (quarter << k)) {
            result = har_high_multiply(result, factor[k]);
        }
    }
    return a == 0 ? INT32_MAX : result;
}

/* 1 / (1 + a) in Q0.31 for a in [0, 1] in Q0.31: three Newton steps on the half denominator. */
static inline int32_t har_one_over_one_plus(int32_t a)
{
    const int32_t half_denominator = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = 1515870810 + har_high_multiply(half_denominator, -1010580540); /* 48/17 and 32/17 in Q2.29 */
    for (int step = 0; step < 3; step++) {
        const int32_t product = har_high_multiply(half_denominator, x);
        x += har_shift_left(har_high_multiply(x, (1 << 29) - product), 2);
    }
    return har_shift_left(x, 1);
}

/* Softmax of count logits. multiplier and shift lift a difference of two logits to Q5.26; differences below -reach
 * count as nothing. The output has scale 1/256 and zero point -128. */
static inline void har_softmax(const int8_t *x, int8_t *y, int count, int32_t multiplier, int shift, int32_t reach)
{
    int32_t largest = x[0];
    int32_t total = 0;
    int headroom = 0;
    int32_t inverse;
    for (int i = 1; i < count; i++) {
        largest = x[i] > largest ? x[i] : largest;
    }
    for (int i = 0; i < count; i++) {
        const int32_t difference = x[i] - largest;
        if (difference >= -reach) {
            const int32_t scaled = har_rescale(difference, multiplier, shift);
            total += har_divide_by_power_of_two(har_exp_of_negative(scaled), 12);
        }
    }
    /* the sum as 1 <= total * 2^headroom < 2 in Q0.31; the largest logit alone makes it 2^19 */
    for (int i = 0; i < 12; i++) {
        headroom += ((uint32_t)total << headroom) < UINT32_C(0x80000000);
    }
    inverse = har_one_over_one_plus((int32_t)(((uint32_t)total << headroom) - UINT32_C(0x80000000)));
    for (int i = 0; i < count; i++) {
        const int32_t difference = x[i] - largest;
        y[i] = -128;
        if (difference >= -reach) {
            const int32_t power = har_exp_of_negative(har_rescale(difference, multiplier, shift));
            const int32_t product = har_high_multiply(inverse, power);
            const int down = 35 - headroom;
            y[i] = har_to_int8(down > 31 ? 0 : har_divide_by_power_of_two(product, down), -128, -128, 127);
        }
    }
}

#endif
