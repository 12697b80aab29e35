/* Two output channels at a few positions: for layers that have not three of them for every turn. */
#ifndef HAR_FEW_POSITIONS_H
#define HAR_FEW_POSITIONS_H

#include "har_dsp.h"

/* The portable form of the assembly that the generator writes; all but positions as of har_two_channels. */
HAR_INLINE void har_few_positions(const int32_t *stream, const int16_t *x, int8_t *y, int positions, int fours,
                                  int stride, int outputs, int32_t low, int32_t high)
{
    const int32_t *last = stream + 2 + 4 * fours;
    for (int position = 0; position < positions; position++) {
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
}

#endif
