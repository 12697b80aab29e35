/* The gates of an int8 LSTM for speed, the portable form of the assembly that the generator writes. */
#ifndef HAR_LSTM_DSP_H
#define HAR_LSTM_DSP_H

#include "har_dsp.h"
#include "har_lstm.h"

/* A doubled number times multiplier / 2^32 to nearest, then / 2^exponent (0..30), halves away from zero. */
HAR_INLINE int32_t har_scaled(int32_t doubled, int32_t multiplier, int32_t exponent)
{
    int32_t a = har_high_product(doubled, multiplier);
    if (exponent > 0) {
        a += (1 << (exponent - 1)) - (a < 0);
        a >>= (uint32_t)exponent & 31U;
    }
    return a;
}

/* Four gates of units as int16 in Q3.12, one unit after another.
 *
 * stream: multiplier and exponent of each gate's sum over the input, then of its sum over the hidden state; then for
 * every unit the four biases, for every four numbers of the input two words of each gate's weights, and the same of the
 * hidden state. Biases and weights are doubled, or more where the factor is 1 or more. wide: the input, then the hidden
 * state, both a multiple of four long.
 */
HAR_INLINE void har_lstm_gates(const int32_t *stream, const int16_t *wide, int16_t *gates, int units, int inputs,
                               int hidden)
{
    const int32_t *w = stream + 16;
    for (int u = 0; u < units; u++) {
        const int16_t *v = wide;
        for (int part = 0; part < 2; part++) {
            const int fours = (part == 0 ? inputs : hidden) / 4;
            int32_t sums[4] = {w[0], w[1], w[2], w[3]};
            w += 4;
#if HAR_VECTORS
            har_vector low = har_v_splat(0), high = low;
            int32_t halves[8];
            for (int i = 0; i < fours; i++) {
                const har_vector seen = har_v_load_half_twice(v);
                low = har_v_add(low, har_v_add_products(har_v_load(w), seen));
                high = har_v_add(high, har_v_add_products(har_v_load(w + 4), seen));
                w += 8;
                v += 4;
            }
            har_v_store(halves, low);
            har_v_store(halves + 4, high);
            for (int g = 0; g < 4; g++) {
                sums[g] += halves[2 * g] + halves[2 * g + 1];
            }
#else
            for (int i = 0; i < fours; i++) {
                const uint32_t first = har_word(v), second = har_word(v + 2);
                for (int g = 0; g < 4; g++) {
                    sums[g] = har_smlad((uint32_t)w[0], first, sums[g]);
                    sums[g] = har_smlad((uint32_t)w[1], second, sums[g]);
                    w += 2;
                }
                v += 4;
            }
#endif
            for (int g = 0; g < 4; g++) {
                const int32_t *factor = stream + 8 * part + 2 * g;
                const int32_t sum = har_to_int16(har_scaled(sums[g], factor[0], factor[1]));
                gates[g] = (int16_t)(part == 0 ? sum : har_to_int16(gates[g] + sum));
            }
        }
        gates += 4;
    }
}

#endif
