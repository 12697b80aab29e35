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
#if HAR_VECTORS
        har_vector sum = har_v_splat(0);
        int32_t halves[4];
        for (int i = 0; i < fours; i++) {
            const har_vector four = har_v_middle_swapped(har_v_load_half_twice(v));
            sum = har_v_add(sum, har_v_add_products(har_v_widen(stream + 2 + 2 * i), four));
            v += 4;
        }
        har_v_store(halves, sum);
        const int32_t a = stream[0] + halves[0] + halves[1], b = stream[1] + halves[2] + halves[3];
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
