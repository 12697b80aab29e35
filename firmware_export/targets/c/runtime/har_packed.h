/* Kernels in pairs of int16 whose weights are int8: half the flash, and one instruction more for every two products.
 *
 * A word holds four weights of one channel, numbers 0, 2, 1 and 3, so that its even bytes are the first two and its odd
 * ones the others. Sums are doubled at the end.
 */
#ifndef HAR_PACKED_H
#define HAR_PACKED_H

#include "har_dsp.h"

/* sum + four products of a packed word with two words of two int16. */
HAR_INLINE int32_t har_four_packed(uint32_t weights, uint32_t first, uint32_t second, int32_t sum)
{
    return har_smlad(har_odd_bytes(weights), second, har_smlad(har_even_bytes(weights), first, sum));
}

/* Two output channels at count positions, the portable form of the assembly that the generator writes.
 *
 * stream: both biases, for every four products a word of either channel, then either channel's multiplier, offset and
 * exponent. All else as of har_two_channels.
 */
HAR_INLINE void har_two_channels_packed(const int32_t *stream, const int16_t *x, int8_t *y, int count, int fours,
                                        int stride, int outputs, int32_t low, int32_t high)
{
    const int32_t *last = stream + 2 + 2 * fours;
    for (int position = 0; position < count; position++) {
        const int16_t *v = x;
#if HAR_SIMD128
        v128_t sums = wasm_i32x4_make(stream[0], 0, stream[1], 0);
        for (int i = 0; i < fours; i++) {
            const v128_t four = wasm_v128_load64_splat(v);
            const v128_t same = wasm_i16x8_shuffle(four, four, 0, 2, 1, 3, 4, 6, 5, 7);
            sums = wasm_i32x4_add(sums, wasm_i32x4_dot_i16x8(wasm_i16x8_load8x8(stream + 2 + 2 * i), same));
            v += 4;
        }
        const int32_t a = wasm_i32x4_extract_lane(sums, 0) + wasm_i32x4_extract_lane(sums, 1);
        const int32_t b = wasm_i32x4_extract_lane(sums, 2) + wasm_i32x4_extract_lane(sums, 3);
#else
        int32_t a = stream[0], b = stream[1];
        for (int i = 0; i < fours; i++) {
            const uint32_t first = har_word(v), second = har_word(v + 2);
            a = har_four_packed((uint32_t)stream[2 + 2 * i], first, second, a);
            b = har_four_packed((uint32_t)stream[3 + 2 * i], first, second, b);
            v += 4;
        }
#endif
        y[0] = har_requantize(2 * a, last[0], last[1], last[2], low, high);
        y[1] = har_requantize(2 * b, last[3], last[4], last[5], low, high);
        x += stride;
        y += outputs;
    }
}

#endif
