/* Fixed-point arithmetic of int8 networks: what TFLite's kernels compute, bit for bit.
 *
 * A real factor is multiplier * 2^(shift - 31), multiplier in [2^30, 2^31) or 0. Right shifts of negative numbers are
 * arithmetic, as gcc, clang and all Cortex-M and RISC-V compilers have them.
 */
#ifndef HAR_FIXED_POINT_H
#define HAR_FIXED_POINT_H

#include <stdint.h>

/* A layer stays a function of its own: the profiler tells layers apart, and the stack holds one frame at a time. */
#ifdef __GNUC__
#define HAR_LAYER __attribute__((noinline))
#else
#define HAR_LAYER
#endif

/* a * multiplier / 2^31 to nearest, halves upward. */
static inline int32_t har_high_multiply(int32_t a, int32_t multiplier)
{
    return (int32_t)(((int64_t)a * multiplier + (1 << 30)) >> 31);
}

/* a / 2^exponent to nearest, halves away from zero; exponent 0..31. */
static inline int32_t har_divide_by_power_of_two(int32_t a, int exponent)
{
    const int32_t mask = (int32_t)((UINT32_C(1) << exponent) - 1U);
    const int32_t remainder = a & mask;
    const int32_t threshold = (mask >> 1) + (a < 0);
    return (a >> exponent) + (remainder > threshold);
}

/* a * 2^bits, held inside of int32; bits 0..31. */
static inline int32_t har_shift_left(int32_t a, int bits)
{
    const int64_t shifted = (int64_t)a * ((int64_t)1 << bits);
    return shifted > INT32_MAX ? INT32_MAX : shifted < INT32_MIN ? INT32_MIN : (int32_t)shifted;
}

/* a times a real factor, rounded twice; shift -31..31. */
static inline int32_t har_rescale(int32_t a, int32_t multiplier, int shift)
{
    if (shift > 0) {
        return har_high_multiply(har_shift_left(a, shift), multiplier);
    }
    return har_divide_by_power_of_two(har_high_multiply(a, multiplier), -shift);
}

/* a held inside of low..high. */
static inline int32_t har_clamp(int32_t a, int32_t low, int32_t high)
{
    return a < low ? low : a > high ? high : a;
}

/* a + zero_point held inside of low..high, for |a| < 2^31 - 128. */
static inline int8_t har_to_int8(int32_t a, int32_t zero_point, int32_t low, int32_t high)
{
    /* clamped before the sum, which could overflow */
    return (int8_t)(har_clamp(a, low - zero_point, high - zero_point) + zero_point);
}

#endif
