/* Signal front end in float32: what edgehar.signal computes with numpy, bit for bit.
 *
 * Every operation is rounded by itself. A compiler that fuses a product with a sum, or takes floating point for real
 * numbers, gives other bits: build with -ffp-contract=off and without -ffast-math. har_init() checks the outcome.
 */
#ifndef HAR_SIGNAL_H
#define HAR_SIGNAL_H

#include <float.h>
#include <stdint.h>
#include <string.h>

/* gcc takes back its word on IEC 559 for parts of -ffast-math, but never gives it without an operating system. */
#if defined(__GCC_IEC_559) && (defined(__unix__) || defined(__APPLE__) || defined(_WIN32))
#define HAR_IEC_559 __GCC_IEC_559
#else
#define HAR_IEC_559 1
#endif
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || \
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || HAR_IEC_559 == 0
#error "edgehar: -ffast-math, parts of it, and -ffp-contract=fast change the results; compile without them"
#endif
#if FLT_EVAL_METHOD != 0
#error "edgehar: float expressions are computed in a wider type here; on x86 use -msse2 -mfpmath=sse"
#endif
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

#define HAR_RAW_LIMIT 1e9F /* larger raw values saturate */

static inline uint32_t har_bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float har_float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Neither NaN nor infinite. */
static inline int har_is_finite(float x)
{
    return (har_bits_of(x) & UINT32_C(0x7F800000)) != UINT32_C(0x7F800000);
}

/* x held inside of -limit..limit. */
static inline float har_limit(float x, float limit)
{
    return x > limit ? limit : x < -limit ? -limit : x;
}

/* sign(x) * ln(1 + |x| * inverse_scale): ln u = e ln 2 + 2 atanh((m - 1) / (m + 1)) with u = m * 2^e. */
static inline float har_signed_log(float x, float inverse_scale)
{
    const uint32_t sign = har_bits_of(x) & UINT32_C(0x80000000);
    float u = har_float_of(har_bits_of(x) ^ sign) * inverse_scale;
    float z;
    float square;
    float series;
    float result;
    uint32_t exponent;
    u = u + 1.0F;
    exponent = (har_bits_of(u) - UINT32_C(0x3F3504F3)) >> 23; /* m in [sqrt(1/2), sqrt(2)) */
    z = har_float_of(har_bits_of(u) - (exponent << 23));
    z = (z - 1.0F) / (z + 1.0F);
    square = z * z;
    series = square * 0.142857149F;
    series = series + 0.2F;
    series = series * square;
    series = series + 0.333333343F;
    series = series * square;
    series = series + 1.0F;
    series = series * (z * 2.0F);
    result = (float)(int32_t)exponent * 0.693147182F;
    result = result + series;
    return har_float_of(har_bits_of(result) | sign);
}

/* One second-order section, transposed direct form II; c: b0 b1 b2 a1 a2, then the states that a constant input of 1
 * settles to; s: its two states, taken from there for the first sample. */
static inline float har_biquad(float x, const float c[7], float s[2], int first)
{
    float y;
    float fed_back;
    if (first) {
        s[1] = c[6] * x;
        s[0] = c[5] * x;
        s[0] = s[0] + s[1];
    }
    y = c[0] * x;
    y = y + s[0];
    s[0] = c[1] * x;
    fed_back = c[3] * y;
    s[0] = s[0] - fed_back;
    s[0] = s[0] + s[1];
    s[1] = c[2] * x;
    fed_back = c[4] * y;
    s[1] = s[1] - fed_back;
    return y;
}

/* The nearest integer, halves to even, for |x| <= 2^22. */
static inline int32_t har_nearest(float x)
{
    /* the sum has no bits below 1 left, and its last ones are the integer */
    return (int32_t)har_bits_of(x + 12582912.0F) - 0x4B400000;
}

/* x in steps of 1 / inverse_scale, as int8. */
static inline int8_t har_quantize(float x, float inverse_scale, int32_t zero_point)
{
    const int32_t q = har_nearest(har_limit(x * inverse_scale, 512.0F)) + zero_point;
    return (int8_t)(q < -128 ? -128 : q > 127 ? 127 : q);
}

/* Whether float arithmetic is what the functions above need. */
static inline int har_arithmetic_is_exact(void)
{
    volatile float near_one = 1.000244140625F; /* 1 + 2^-12; its square ends in 2^-24, which only a fused sum can see */
    volatile float half = 2.5F;
    const float a = near_one;
    volatile float rest = a * a - 1.00048828125F; /* volatile: or the difference becomes a comparison */
    return rest == 0.0F && har_nearest(half) == 2 && har_nearest(half + 1.0F) == 4;
}

#endif
