/* Pairs of int16 at once: what the DSP extension of Cortex-M4, M7 and M33 does in one instruction, with a portable twin
 * of the same results. Kernels in pairs pay there and where there are vectors (HAR_PAIRS); HAR_PORTABLE asks for them, as
 * their twins, on any core.
 *
 * Sums of products are doubled (the weights are), so that the high half of the product with a multiplier is TFLite's
 * SaturatingRoundingDoublingHighMul; the generator has proved that a doubled sum stays inside of int32.
 */
#ifndef HAR_DSP_H
#define HAR_DSP_H

#include <stdint.h>
#include <string.h>

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__GNUC__) && !defined(HAR_PORTABLE)
#define HAR_DSP 1
#define HAR_NAKED __attribute__((naked, noinline))
#define HAR_UNUSED __attribute__((unused))
#else
#define HAR_DSP 0
#endif

/* Vectors of 16 bytes off the board: a browser's, and those of every 64-bit PC. */
#if defined(__wasm_simd128__) && !defined(HAR_PORTABLE)
#define HAR_VECTORS 1
#include <wasm_simd128.h>
typedef v128_t har_vector;
#define har_v_load wasm_v128_load
#define har_v_load_half_twice wasm_v128_load64_splat
#define har_v_store wasm_v128_store
#define har_v_splat wasm_i32x4_splat
#define har_v_make(a, b, c, d) wasm_u32x4_make(a, b, c, d)
#define har_v_add wasm_i32x4_add
#define har_v_add_products wasm_i32x4_dot_i16x8 /* of int16 that lie beside each other */
#define har_v_multiply wasm_i32x4_mul
#define har_v_widen wasm_i16x8_load8x8 /* int8 in memory as int16 */
#define har_v_overlapping(a) wasm_i16x8_shuffle(a, a, 0, 1, 1, 2, 2, 3, 3, 4)
#define har_v_middle_swapped(a) wasm_i16x8_shuffle(a, a, 0, 2, 1, 3, 4, 6, 5, 7) /* of each four */
#elif defined(__SSE2__) && !defined(HAR_PORTABLE)
#define HAR_VECTORS 1
#include <emmintrin.h>
typedef __m128i har_vector;
#define har_v_load(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define har_v_load_half_twice(p) har_sse_load_half_twice(p)
#define har_v_store(p, a) _mm_storeu_si128((__m128i *)(void *)(p), a)
#define har_v_splat _mm_set1_epi32
#define har_v_make(a, b, c, d) _mm_setr_epi32((int)(a), (int)(b), (int)(c), (int)(d))
#define har_v_add _mm_add_epi32
#define har_v_add_products _mm_madd_epi16
#define har_v_multiply har_sse_multiply
#define har_v_widen har_sse_widen
#define har_v_overlapping(a) _mm_unpacklo_epi16(a, _mm_srli_si128(a, 2))
#define har_v_middle_swapped(a) _mm_shufflehi_epi16(_mm_shufflelo_epi16(a, 0xD8), 0xD8)
#else
#define HAR_VECTORS 0
#endif

#if HAR_DSP || HAR_VECTORS || defined(HAR_PORTABLE)
#define HAR_PAIRS 1
#else
#define HAR_PAIRS 0
#endif

#ifdef __GNUC__
#define HAR_INLINE static inline __attribute__((always_inline, unused))
#define HAR_COPY __builtin_memcpy /* one load or store, also where there is no C library */
#define HAR_UNROLL _Pragma("GCC unroll 16")
#else
#define HAR_INLINE static inline
#define HAR_COPY memcpy
#define HAR_UNROLL
#endif

#if HAR_VECTORS && defined(__SSE2__)
HAR_INLINE __m128i har_sse_load_half_twice(const void *p)
{
    const __m128i half = _mm_loadl_epi64((const __m128i *)p);
    return _mm_unpacklo_epi64(half, half);
}

HAR_INLINE __m128i har_sse_multiply(__m128i a, __m128i b)
{
    const __m128i even = _mm_mul_epu32(a, b), odd = _mm_mul_epu32(_mm_srli_si128(a, 4), _mm_srli_si128(b, 4));
    return _mm_unpacklo_epi32(_mm_shuffle_epi32(even, 0x08), _mm_shuffle_epi32(odd, 0x08));
}

HAR_INLINE __m128i har_sse_widen(const void *p)
{
    const __m128i bytes = _mm_loadl_epi64((const __m128i *)p);
    return _mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8);
}
#endif

/* Two int16, or four int8, that lie beside each other; at any address. */
HAR_INLINE uint32_t har_word(const void *p)
{
    uint32_t word;
    HAR_COPY(&word, p, sizeof word);
    return word;
}

HAR_INLINE void har_put_word(void *p, uint32_t word)
{
    HAR_COPY(p, &word, sizeof word);
}

HAR_INLINE uint32_t har_pair(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xFFFFU) | (uint32_t)high << 16;
}

/* sum + the products of the low and of the high int16 of two words. */
HAR_INLINE int32_t har_smlad(uint32_t a, uint32_t b, int32_t sum)
{
#if HAR_DSP
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
#else
    const uint32_t low = (uint32_t)((int16_t)a * (int16_t)b), high = (uint32_t)((int16_t)(a >> 16) * (int16_t)(b >> 16));
    return (int32_t)((uint32_t)sum + low + high); /* wraps around, as the instruction does */
#endif
}

/* The sums of two pairs of int16. */
HAR_INLINE uint32_t har_add_pairs(uint32_t a, uint32_t b)
{
#if HAR_DSP
    uint32_t sums;
    __asm__("sadd16 %0, %1, %2" : "=r"(sums) : "r"(a), "r"(b));
    return sums;
#else
    return har_pair((int16_t)a + (int16_t)b, (int16_t)(a >> 16) + (int16_t)(b >> 16));
#endif
}

/* The differences of two pairs of int16. */
HAR_INLINE uint32_t har_subtract_pairs(uint32_t a, uint32_t b)
{
#if HAR_DSP
    uint32_t differences;
    __asm__("ssub16 %0, %1, %2" : "=r"(differences) : "r"(a), "r"(b));
    return differences;
#else
    return har_pair((int16_t)a - (int16_t)b, (int16_t)(a >> 16) - (int16_t)(b >> 16));
#endif
}

HAR_INLINE uint32_t har_times_4(uint32_t pair)
{
    const uint32_t twice = har_add_pairs(pair, pair);
    return har_add_pairs(twice, twice);
}

/* Bytes 0 and 2 of a word as two int16. */
HAR_INLINE uint32_t har_even_bytes(uint32_t a)
{
#if HAR_DSP
    uint32_t pair;
    __asm__("sxtb16 %0, %1" : "=r"(pair) : "r"(a));
    return pair;
#else
    return har_pair((int8_t)a, (int8_t)(a >> 16));
#endif
}

/* Bytes 1 and 3 of a word as two int16. */
HAR_INLINE uint32_t har_odd_bytes(uint32_t a)
{
#if HAR_DSP
    uint32_t pair;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(a));
    return pair;
#else
    return har_even_bytes(a >> 8);
#endif
}

/* Bytes 0 and 2 of a word added to two int16 sums. */
HAR_INLINE uint32_t har_add_even_bytes(uint32_t sums, uint32_t a)
{
#if HAR_DSP
    __asm__("sxtab16 %0, %0, %1" : "+r"(sums) : "r"(a));
    return sums;
#else
    return har_pair((int16_t)sums + (int8_t)a, (int16_t)(sums >> 16) + (int8_t)(a >> 16));
#endif
}

/* Bytes 1 and 3 of a word added to two int16 sums. */
HAR_INLINE uint32_t har_add_odd_bytes(uint32_t sums, uint32_t a)
{
#if HAR_DSP
    __asm__("sxtab16 %0, %0, %1, ror #8" : "+r"(sums) : "r"(a));
    return sums;
#else
    return har_add_even_bytes(sums, a >> 8);
#endif
}

/* The larger int8 of each of four lanes. */
HAR_INLINE uint32_t har_max_bytes(uint32_t a, uint32_t b)
{
#if HAR_DSP
    uint32_t larger;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(larger) : "r"(a), "r"(b) : "cc");
    return larger;
#else
    uint32_t larger = 0;
    for (int lane = 0; lane < 32; lane += 8) {
        const int8_t left = (int8_t)(a >> lane), right = (int8_t)(b >> lane);
        larger |= (uint32_t)(uint8_t)(left > right ? left : right) << lane;
    }
    return larger;
#endif
}

/* a * multiplier / 2^32 to nearest, halves upward. */
HAR_INLINE int32_t har_high_product(int32_t a, int32_t multiplier)
{
#if HAR_DSP
    int32_t high;
    __asm__("smmulr %0, %1, %2" : "=r"(high) : "r"(a), "r"(multiplier));
    return high;
#else
    return (int32_t)(((int64_t)a * multiplier + INT64_C(0x80000000)) >> 32);
#endif
}

/* A doubled sum as int8: times multiplier / 2^32 to nearest, then / 2^exponent (1..20), halves away from zero.
 * offset is zero_point * 2^exponent + 2^(exponent - 1).
 */
HAR_INLINE int8_t har_requantize(int32_t doubled, int32_t multiplier, int32_t offset, int32_t exponent, int32_t low,
                                 int32_t high)
{
    int32_t a = har_high_product(doubled, multiplier);
    a += offset - (a < 0);
#if HAR_DSP
    __asm__("asr %0, %0, %1" : "+r"(a) : "r"(exponent));
#else
    a >>= (uint32_t)exponent & 31U;
#endif
    return (int8_t)(a < low ? low : a > high ? high : a);
}

/* count int8 as int16. */
HAR_INLINE void har_widen(const int8_t *x, int16_t *wide, int count)
{
    int i = 0;
    for (; i + 4 <= count; i += 4) {
        const uint32_t bytes = har_word(x + i);
        const uint32_t even = har_even_bytes(bytes), odd = har_odd_bytes(bytes);
        har_put_word(wide + i, (even & 0xFFFFU) | odd << 16);
        har_put_word(wide + i + 2, even >> 16 | (odd & 0xFFFF0000U));
    }
    for (; i < count; i++) {
        wide[i] = x[i];
    }
}

/* rows of channels int8 from row first on as int16, each followed by gap numbers that no weight counts; rows outside of
 * 0..steps-1 are padding, all zero_point.
 */
HAR_INLINE void har_widen_rows(const int8_t *x, int16_t *wide, int first, int rows, int steps, int channels, int gap,
                               int16_t zero_point)
{
    for (int r = first; r < first + rows; r++) {
        if (r >= 0 && r < steps) {
            har_widen(x + channels * r, wide, channels);
        } else {
            for (int c = 0; c < channels; c++) {
                wide[c] = zero_point;
            }
        }
        for (int c = 0; c < gap; c++) {
            wide[channels + c] = 0;
        }
        wide += channels + gap;
    }
}

/* What a kernel sees of an image [rows, columns, channels] as int16: kernel_rows by kernel_columns pixels, from row top
 * and column left on, pixels row_step and column_step apart; those outside of the image are padding, all zero_point.
 */
HAR_INLINE void har_widen_patch(const int8_t *x, int16_t *wide, int rows, int columns, int channels, int top, int left,
                                int kernel_rows, int kernel_columns, int row_step, int column_step, int16_t zero_point)
{
    for (int i = 0; i < kernel_rows; i++) {
        const int r = top + row_step * i;
        if (column_step == 1 && r >= 0 && r < rows && left >= 0 && left + kernel_columns <= columns) {
            har_widen(x + channels * (columns * r + left), wide, kernel_columns * channels);
            wide += kernel_columns * channels;
            continue;
        }
        for (int j = 0; j < kernel_columns; j++) {
            const int c = left + column_step * j;
            if (r >= 0 && r < rows && c >= 0 && c < columns) {
                har_widen(x + channels * (columns * r + c), wide, channels);
            } else {
                for (int k = 0; k < channels; k++) {
                    wide[k] = zero_point;
                }
            }
            wide += channels;
        }
    }
}

/* One channel of count steps as int16, beside each other. */
HAR_INLINE void har_gather(const int8_t *x, int channels, int16_t *wide, int count)
{
    int t = 0;
    for (; t + 4 <= count; t += 4) {
        har_put_word(wide + t, har_pair(x[0], x[channels]));
        har_put_word(wide + t + 2, har_pair(x[2 * channels], x[3 * channels]));
        x += 4 * channels;
    }
    for (; t < count; t++) {
        wide[t] = *x;
        x += channels;
    }
}

/* Sums of one channel at four positions, stride int16 apart, with the products of pairs words of taps added. Of x, up to
 * three int16 behind the last product are read.
 */
HAR_INLINE void har_add_taps(int32_t sums[4], const int32_t *taps, const int16_t *x, int pairs, int stride)
{
#if HAR_VECTORS
    har_vector four = har_v_load(sums);
    for (int k = 0; k < pairs; k++) {
        const int16_t *v = x + 2 * k;
        har_vector seen;
        if (stride <= 2) {
            seen = har_v_load(v);
            seen = stride == 1 ? har_v_overlapping(seen) : seen;
        } else {
            seen = har_v_make(har_word(v), har_word(v + stride), har_word(v + 2 * stride), har_word(v + 3 * stride));
        }
        four = har_v_add(four, har_v_add_products(har_v_splat(taps[k]), seen));
    }
    har_v_store(sums, four);
#else
    HAR_UNROLL
    for (int k = 0; k < pairs; k++) {
        const uint32_t tap = (uint32_t)taps[k];
        sums[0] = har_smlad(tap, har_word(x + 2 * k), sums[0]);
        sums[1] = har_smlad(tap, har_word(x + stride + 2 * k), sums[1]);
        sums[2] = har_smlad(tap, har_word(x + 2 * stride + 2 * k), sums[2]);
        sums[3] = har_smlad(tap, har_word(x + 3 * stride + 2 * k), sums[3]);
    }
#endif
}

/* The larger of two series of count int8. */
HAR_INLINE void har_larger(int8_t *y, const int8_t *a, const int8_t *b, int count)
{
    int i = 0;
    for (; i + 4 <= count; i += 4) {
        har_put_word(y + i, har_max_bytes(har_word(a + i), har_word(b + i)));
    }
    for (; i < count; i++) {
        y[i] = a[i] > b[i] ? a[i] : b[i];
    }
}

/* Two output channels at 3 * groups positions, the portable form of the assembly that the generator writes.
 *
 * stream: both biases, then for every four products two words of either channel's weights, then either channel's
 * multiplier, offset and exponent. x: the first position's products; positions are stride int16 apart. y: the first
 * channel's first output; positions are outputs apart.
 */
HAR_INLINE void har_two_channels(const int32_t *stream, const int16_t *x, int8_t *y, int groups, int fours, int stride,
                                 int outputs, int32_t low, int32_t high)
{
    const int32_t *last = stream + 2 + 4 * fours;
#if HAR_VECTORS
    for (int group = 0; group < groups; group++) {
        const int16_t *v = x;
        har_vector first = har_v_splat(0), second = first, third = first;
        for (int i = 0; i < fours; i++) {
            const har_vector w = har_v_load(stream + 2 + 4 * i);
            first = har_v_add(first, har_v_add_products(w, har_v_load_half_twice(v)));
            second = har_v_add(second, har_v_add_products(w, har_v_load_half_twice(v + stride)));
            third = har_v_add(third, har_v_add_products(w, har_v_load_half_twice(v + 2 * stride)));
            v += 4;
        }
        int32_t sums[12];
        har_v_store(sums, first);
        har_v_store(sums + 4, second);
        har_v_store(sums + 8, third);
        for (int position = 0; position < 3; position++) {
            const int32_t a = stream[0] + sums[4 * position] + sums[4 * position + 1];
            const int32_t b = stream[1] + sums[4 * position + 2] + sums[4 * position + 3];
            y[0] = har_requantize(a, last[0], last[1], last[2], low, high);
            y[1] = har_requantize(b, last[3], last[4], last[5], low, high);
            y += outputs;
        }
        x += 3 * stride;
    }
#else
    for (int position = 0; position < 3 * groups; position++) {
        const int32_t *w = stream + 2;
        const int16_t *v = x;
        int32_t a = stream[0], b = stream[1];
        for (int i = 0; i < fours; i++) {
            const uint32_t first = har_word(v), second = har_word(v + 2);
            a = har_smlad((uint32_t)w[1], second, har_smlad((uint32_t)w[0], first, a));
            b = har_smlad((uint32_t)w[3], second, har_smlad((uint32_t)w[2], first, b));
            w += 4;
            v += 4;
        }
        y[0] = har_requantize(a, last[0], last[1], last[2], low, high);
        y[1] = har_requantize(b, last[3], last[4], last[5], low, high);
        x += stride;
        y += outputs;
    }
#endif
}

#endif
