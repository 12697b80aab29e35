/* The gates of an int8 LSTM with weights that stay int8, the portable form of the assembly that the generator writes. */
#ifndef HAR_LSTM_PACKED_H
#define HAR_LSTM_PACKED_H

#include "har_lstm_dsp.h"
#include "har_packed.h"

/* As har_lstm_gates, but that biases and weights are not doubled, four numbers of a gate are one packed word, and beside
 * each exponent, times 256, is by how many bits its sum is shifted instead.
 */
HAR_INLINE void har_lstm_gates_packed(const int32_t *stream, const int16_t *wide, int16_t *gates, int units, int inputs,
                                      int hidden)
{
    const int32_t *w = stream + 16;
    for (int u = 0; u < units; u++) {
        const int16_t *v = wide;
        for (int part = 0; part < 2; part++) {
            const int fours = (part == 0 ? inputs : hidden) / 4;
            int32_t sums[4] = {w[0], w[1], w[2], w[3]};
            w += 4;
            for (int i = 0; i < fours; i++) {
                const uint32_t first = har_word(v), second = har_word(v + 2);
                for (int g = 0; g < 4; g++) {
                    sums[g] = har_four_packed((uint32_t)w[g], first, second, sums[g]);
                }
                w += 4;
                v += 4;
            }
            for (int g = 0; g < 4; g++) {
                const int32_t *factor = stream + 8 * part + 2 * g;
                const int32_t lifted = sums[g] * (1 << (factor[1] / 256));
                const int32_t sum = har_to_int16(har_scaled(lifted, factor[0], factor[1] % 256));
                gates[g] = (int16_t)(part == 0 ? sum : har_to_int16(gates[g] + sum));
            }
        }
        gates += 4;
    }
}

#endif
