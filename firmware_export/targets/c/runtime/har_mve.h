/* Vectors of 16 bytes: what MVE (Cortex-M52, M55, M85) does in one instruction, with a portable twin of the same results.
 *
 * Weights are int8, 16 products a step with zeros behind the last one, rows of a group side by side in each step.
 */
#ifndef HAR_MVE_H
#define HAR_MVE_H

#include "har_dsp.h"
#include "har_fixed_point.h"

#if defined(__ARM_FEATURE_MVE) && defined(__GNUC__) && !defined(HAR_PORTABLE)
#define HAR_MVE 1
#include <arm_mve.h>
#else
#define HAR_MVE 0
#endif

#if HAR_MVE
/* Four sums as int32 that still lack zero point and limits: times multiplier / 2^31 to nearest, then / 2^-shift (shift
 * -31..-1), halves away from zero.
 */
HAR_INLINE int32x4_t har_mve_rescale(int32x4_t sums, int32x4_t multiplier, int32x4_t shift)
{
    const int32x4_t a = vqrdmulhq_s32(sums, multiplier);
    return vrshlq_s32(vaddq_s32(a, vshrq_n_s32(a, 31)), shift);
}

/* Four sums of products of x; weight: [products / 16][4][16]. */
HAR_INLINE int32x4_t har_mve_four_sums(const int8_t *x, const int8_t *weight, int products)
{
    int32_t a = 0, b = 0, c = 0, d = 0;
    for (int left = products; left > 0; left -= 16) {
        const int8x16_t v = vldrbq_z_s8(x, vctp8q((uint32_t)left));
        a = vmladavaq_s8(a, v, vldrbq_s8(weight));
        b = vmladavaq_s8(b, v, vldrbq_s8(weight + 16));
        c = vmladavaq_s8(c, v, vldrbq_s8(weight + 32));
        d = vmladavaq_s8(d, v, vldrbq_s8(weight + 48));
        weight += 64;
        x += 16;
    }
    const int32x4_t sums = {a, b, c, d};
    return sums;
}
#endif

/* outputs sums of products of x, as of a dense layer.
 *
 * weight: [outputs / 4][products / 16][4][16]. last: [outputs / 4][3][4]: biases, multipliers, shifts of four rows.
 */
HAR_INLINE void har_mve_rows(const int8_t *x, const int8_t *weight, const int32_t *last, int8_t *y, int products,
                             int outputs, int32_t zero_point, int32_t low, int32_t high)
{
    for (int o = 0; o < outputs; o += 4) {
#if HAR_MVE
        int32x4_t sums = vaddq_s32(har_mve_four_sums(x, weight, products), vldrwq_s32(last));
        sums = har_mve_rescale(sums, vldrwq_s32(last + 4), vldrwq_s32(last + 8));
        sums = vaddq_n_s32(sums, zero_point);
        sums = vminq_s32(vmaxq_s32(sums, vdupq_n_s32(low)), vdupq_n_s32(high));
        vstrbq_p_s32(y + o, sums, vctp32q((uint32_t)(outputs - o)));
#else
        for (int i = 0; i < 4 && o + i < outputs; i++) {
            int32_t sum = last[i];
            for (int k = 0; k < products; k++) {
                sum += x[k] * weight[64 * (k / 16) + 16 * i + k % 16];
            }
            y[o + i] = har_to_int8(har_rescale(sum, last[4 + i], last[8 + i]), zero_point, low, high);
        }
#endif
        weight += 64 * ((products + 15) / 16);
        last += 12;
    }
}

/* Two output channels at 4 * groups positions, the portable form of the assembly that the generator writes.
 *
 * weight: [blocks][taps][2][16]; a tap is channels bytes of x further than the one before, a block 16 bytes. taps 1:
 * products are consecutive. last: both biases, both multipliers, both shifts. x: the first position's products; positions
 * are stride apart. y: the first channel's first output; positions are outputs apart.
 */
HAR_INLINE void har_mve_two_channels(const int8_t *weight, const int32_t *last, const int8_t *x, int8_t *y, int groups,
                                     int products, int taps, int channels, int stride, int outputs, int32_t zero_point,
                                     int32_t low, int32_t high)
{
    for (int position = 0; position < 4 * groups; position++) {
        for (int o = 0; o < 2; o++) {
            int32_t sum = last[o];
            for (int k = 0; k < products; k++) {
                const int step = k / 16;
                sum += x[channels * (step % taps) + 16 * (step / taps) + k % 16] * weight[32 * step + 16 * o + k % 16];
            }
            y[o] = har_to_int8(har_rescale(sum, last[2 + o], last[4 + o]), zero_point, low, high);
        }
        x += stride;
        y += outputs;
    }
}

/* One position of count (1..16) channels, each with kernel taps of its own, dilated bytes of x apart.
 *
 * weight: [kernel][16]. last: [3][16]: biases, multipliers, shifts of the channels 0, 4, 8, 12, 2, 6, 10, 14, 1, 5, 9, 13,
 * 3, 7, 11, 15, as even and odd products come. Two products of a channel fit into int16.
 */
HAR_INLINE void har_mve_depthwise(const int8_t *x, const int8_t *weight, const int32_t *last, int8_t *y, int count,
                                  int kernel, int dilated, int32_t zero_point, int32_t low, int32_t high)
{
#if HAR_MVE
    const mve_pred16_t lanes = vctp8q((uint32_t)count);
    int32x4_t a = vldrwq_s32(last), b = vldrwq_s32(last + 4), c = vldrwq_s32(last + 8), d = vldrwq_s32(last + 12);
    for (int k = 0; k < kernel; k += 2) {
        int8x16_t v = count < 16 ? vldrbq_z_s8(x, lanes) : vldrbq_s8(x);
        int8x16_t w = vldrbq_s8(weight);
        int16x8_t even = vmullbq_int_s8(v, w), odd = vmulltq_int_s8(v, w);
        if (k + 1 < kernel) {
            v = count < 16 ? vldrbq_z_s8(x + dilated, lanes) : vldrbq_s8(x + dilated);
            w = vldrbq_s8(weight + 16);
            even = vaddq_s16(even, vmullbq_int_s8(v, w));
            odd = vaddq_s16(odd, vmulltq_int_s8(v, w));
        }
        a = vaddq_s32(a, vmovlbq_s16(even));
        b = vaddq_s32(b, vmovltq_s16(even));
        c = vaddq_s32(c, vmovlbq_s16(odd));
        d = vaddq_s32(d, vmovltq_s16(odd));
        x += 2 * dilated;
        weight += 32;
    }
    a = har_mve_rescale(a, vldrwq_s32(last + 16), vldrwq_s32(last + 32));
    b = har_mve_rescale(b, vldrwq_s32(last + 20), vldrwq_s32(last + 36));
    c = har_mve_rescale(c, vldrwq_s32(last + 24), vldrwq_s32(last + 40));
    d = har_mve_rescale(d, vldrwq_s32(last + 28), vldrwq_s32(last + 44));
    int16x8_t even = vqmovntq_s32(vqmovnbq_s32(vuninitializedq_s16(), a), b);
    int16x8_t odd = vqmovntq_s32(vqmovnbq_s32(vuninitializedq_s16(), c), d);
    even = vqaddq_n_s16(even, (int16_t)zero_point);
    odd = vqaddq_n_s16(odd, (int16_t)zero_point);
    int8x16_t results = vqmovntq_s16(vqmovnbq_s16(vuninitializedq_s8(), even), odd);
    results = low > -128 ? vmaxq_s8(results, vdupq_n_s8((int8_t)low)) : results;
    results = high < 127 ? vminq_s8(results, vdupq_n_s8((int8_t)high)) : results;
    if (count < 16) {
        vstrbq_p_s8(y, results, lanes);
    } else {
        vstrbq_s8(y, results);
    }
#else
    for (int i = 0; i < count; i++) {
        const int at = 8 * (i % 2) + 4 * (i / 2 % 2) + i / 4;
        int32_t sum = last[at];
        for (int k = 0; k < kernel; k++) {
            sum += x[dilated * k + i] * weight[16 * k + i];
        }
        y[i] = har_to_int8(har_rescale(sum, last[16 + at], last[32 + at]), zero_point, low, high);
    }
#endif
}

/* The sums of count (1..8) channels over steps (1..255) steps, channels bytes apart. */
HAR_INLINE void har_mve_sums(const int8_t *x, int steps, int channels, int count, int16_t sums[8])
{
#if HAR_MVE
    const mve_pred16_t lanes = vctp16q((uint32_t)count);
    int16x8_t sum = vdupq_n_s16(0);
    for (int t = 0; t < steps; t++) {
        sum = vaddq_s16(sum, vldrbq_z_s16(x, lanes));
        x += channels;
    }
    vstrhq_s16(sums, sum);
#else
    for (int i = 0; i < count; i++) {
        int32_t sum = 0;
        for (int t = 0; t < steps; t++) {
            sum += x[channels * t + i];
        }
        sums[i] = (int16_t)sum;
    }
#endif
}

#endif
