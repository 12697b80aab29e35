/* An int8 LSTM with vectors of 16 bytes, with a portable twin of the same results; see har_mve.h and har_lstm.h. */
#ifndef HAR_LSTM_MVE_H
#define HAR_LSTM_MVE_H

#include "har_lstm.h"
#include "har_mve.h"

#if HAR_MVE
/* Four numbers times real factors (as har_rescale), shifts on either side. */
HAR_INLINE int32x4_t har_mve_rescale_both(int32x4_t a, int32x4_t multiplier, int32x4_t shift)
{
    const int32x4_t none = vdupq_n_s32(0), right = vminq_s32(shift, none);
    a = vqrdmulhq_s32(vqshlq_s32(a, vmaxq_s32(shift, none)), multiplier);
    return vrshlq_s32(vaddq_s32(a, vshrq_n_s32(vandq_s32(a, right), 31)), right);
}

HAR_INLINE int32x4_t har_mve_rescale_all(int32x4_t a, const int32_t factor[2])
{
    return har_mve_rescale_both(a, vdupq_n_s32(factor[0]), vdupq_n_s32(factor[1]));
}

HAR_INLINE int32x4_t har_mve_clamp(int32x4_t a, int32_t low, int32_t high)
{
    return vminq_s32(vmaxq_s32(a, vdupq_n_s32(low)), vdupq_n_s32(high));
}

/* The table at size / 2^bits for size >= 0, saturated beyond its end, as har_sigmoid_interpolated. */
HAR_INLINE int32x4_t har_mve_interpolated(int32x4_t size, int bits, int32_t saturated)
{
    const int32x4_t whole = vshlq_s32(size, vdupq_n_s32(-bits));
    const uint32x4_t at = vreinterpretq_u32_s32(vminq_s32(whole, vdupq_n_s32(254)));
    const int32x4_t low = vreinterpretq_s32_u32(vldrhq_gather_shifted_offset_u32(har_sigmoids, at));
    const int32x4_t high = vreinterpretq_s32_u32(vldrhq_gather_shifted_offset_u32(har_sigmoids + 1, at));
    const int32x4_t share = vandq_s32(size, vdupq_n_s32((1 << bits) - 1));
    const int32x4_t y = vaddq_s32(vmulq_n_s32(low, 1 << bits), vmulq_s32(share, vsubq_s32(high, low)));
    return vpselq_s32(vdupq_n_s32(saturated), y, vcmpgeq_n_s32(whole, 255));
}

/* har_sigmoid of four gates. */
HAR_INLINE int32x4_t har_mve_sigmoid(int32x4_t gate)
{
    const int32x4_t y = har_mve_interpolated(vabsq_s32(vmulq_n_s32(gate, 3)), 9, INT32_C(32767) << 10);
    const int32x4_t below = vsubq_s32(vdupq_n_s32((1 << 25) + 511), y);
    return vshrq_n_s32(vpselq_s32(vaddq_n_s32(y, 512), below, vcmpgeq_n_s32(gate, 0)), 10);
}

/* har_tanh of four numbers. */
HAR_INLINE int32x4_t har_mve_tanh(int32x4_t value, int fraction)
{
    const int32x4_t x = vrshlq_s32(vmulq_n_s32(value, 3), vdupq_n_s32(12 - fraction));
    const int32x4_t y = har_mve_interpolated(vabsq_s32(x), 8, INT32_C(65535) << 8);
    const int32x4_t below = vsubq_s32(vdupq_n_s32((1 << 23) + 127), y);
    return vshrq_n_s32(vpselq_s32(vaddq_n_s32(y, 128 - (1 << 23)), below, vcmpgeq_n_s32(x, 0)), 8);
}
#endif

/* The four gates i, f, c, o of units in Q3.12.
 *
 * weight: of every unit [inputs / 16][4][16], then [units / 16][4][16] for the hidden state. bias: [units][2][4] of both.
 * factor: [2][2][4], multipliers and shifts of both.
 */
HAR_INLINE void har_mve_gates(const int8_t *x, const int8_t *hidden, const int8_t *weight, const int32_t *bias,
                              const int32_t *factor, int16_t *gates, int units, int inputs)
{
    for (int u = 0; u < units; u++) {
#if HAR_MVE
        int32x4_t a = vaddq_s32(har_mve_four_sums(x, weight, inputs), vldrwq_s32(bias));
        weight += 64 * ((inputs + 15) / 16);
        a = har_mve_rescale_both(a, vldrwq_s32(factor), vldrwq_s32(factor + 4));
        int32x4_t b = vaddq_s32(har_mve_four_sums(hidden, weight, units), vldrwq_s32(bias + 4));
        weight += 64 * ((units + 15) / 16);
        b = har_mve_rescale_both(b, vldrwq_s32(factor + 8), vldrwq_s32(factor + 12));
        const int16x8_t from_x = vqmovnbq_s32(vuninitializedq_s16(), a);
        const int16x8_t from_hidden = vqmovnbq_s32(vuninitializedq_s16(), b);
        vstrhq_s32(gates, vreinterpretq_s32_s16(vqaddq_s16(from_x, from_hidden)));
#else
        for (int part = 0; part < 2; part++) {
            const int8_t *seen = part == 0 ? x : hidden;
            const int products = part == 0 ? inputs : units;
            for (int g = 0; g < 4; g++) {
                const int32_t *f = factor + 8 * part + g;
                int32_t sum = bias[4 * part + g];
                for (int k = 0; k < products; k++) {
                    sum += seen[k] * weight[64 * (k / 16) + 16 * g + k % 16];
                }
                sum = har_to_int16(har_rescale(sum, f[0], f[4]));
                gates[g] = (int16_t)(part == 0 ? sum : har_to_int16(gates[g] + sum));
            }
            weight += 64 * ((products + 15) / 16);
        }
#endif
        bias += 8;
        gates += 4;
    }
}

/* Cells and hidden states (y) of units after a step. gates and cells have room for a multiple of four units. keep, admit,
 * emit: multiplier and shift of the three products. Fractions are bits: of gates, and of cells.
 */
HAR_INLINE void har_mve_states(const int16_t *gates, int16_t *cells, int8_t *y, int units, const int32_t keep[2],
                               const int32_t admit[2], const int32_t emit[2], int gate_fraction, int cell_fraction,
                               int32_t zero_point)
{
#if HAR_MVE
    const uint32x4_t apart = vmulq_n_u32(vidupq_n_u32(0, 1), 4);
    for (int left = units; left > 0; left -= 4) {
        const int32x4_t in = har_mve_sigmoid(vldrhq_gather_shifted_offset_s32(gates, apart));
        const int32x4_t forget = har_mve_sigmoid(vldrhq_gather_shifted_offset_s32(gates + 1, apart));
        const int32x4_t fresh = har_mve_tanh(vldrhq_gather_shifted_offset_s32(gates + 2, apart), gate_fraction);
        const int32x4_t out = har_mve_sigmoid(vldrhq_gather_shifted_offset_s32(gates + 3, apart));
        const int32x4_t kept = har_mve_rescale_all(vmulq_s32(forget, vldrhq_s32(cells)), keep);
        const int32x4_t admitted = har_mve_rescale_all(vmulq_s32(in, fresh), admit);
        int32x4_t state = vaddq_s32(har_mve_clamp(kept, INT16_MIN, INT16_MAX), har_mve_clamp(admitted, INT16_MIN, INT16_MAX));
        state = har_mve_clamp(state, INT16_MIN, INT16_MAX);
        vstrhq_s32(cells, state);
        state = har_mve_rescale_all(vmulq_s32(har_mve_tanh(state, cell_fraction), out), emit);
        state = har_mve_clamp(vaddq_n_s32(har_mve_clamp(state, -512, 512), zero_point), -128, 127);
        vstrbq_p_s32(y, state, vctp32q((uint32_t)left));
        gates += 16;
        cells += 4;
        y += 4;
    }
#else
    for (int u = 0; u < units; u++) {
        const int16_t *gate = gates + 4 * u;
        int32_t state = har_to_int16(har_rescale(har_sigmoid(gate[1]) * cells[u], keep[0], (int)keep[1]));
        const int32_t admitted = har_sigmoid(gate[0]) * har_tanh(gate[2], gate_fraction);
        state += har_to_int16(har_rescale(admitted, admit[0], (int)admit[1]));
        cells[u] = (int16_t)har_to_int16(state);
        state = har_rescale(har_tanh(cells[u], cell_fraction) * har_sigmoid(gate[3]), emit[0], (int)emit[1]);
        y[u] = har_to_int8(state, zero_point, -128, 127);
    }
#endif
}

#endif
