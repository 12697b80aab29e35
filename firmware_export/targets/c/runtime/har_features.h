/* Features of a window's series in float32: what edgehar.signal.features computes with numpy, bit for bit.
 *
 * x: the series, centred: x - mean, work: memory for count numbers. Feature i of a series is written to
 * out[i * stride], as features of all series stand beside each other.
 */
#ifndef HAR_FEATURES_H
#define HAR_FEATURES_H

#include "har_decision.h"
#include "har_signal.h"

#define HAR_COLUMN_LIMIT 1e6F /* larger columns saturate, so that no square or product of sums overflows */
#define HAR_TINY 1e-9F /* added to denominators */
#define HAR_SMALLEST_SHARE 1e-6F
#define HAR_MOST_BINS 31

/* Square root of x >= 0, rounded to nearest, without libm. */
static inline float har_sqrt(float x)
{
    uint32_t bits = har_bits_of(x);
    int32_t exponent = (int32_t)(bits >> 23) - 127;
    uint32_t mantissa = bits & UINT32_C(0x7FFFFF);
    uint64_t rest;
    uint64_t root = 0;
    if (mantissa == 0 && exponent == -127) {
        return x;
    }
    if (exponent == -127) {
        exponent++;
        for (int i = 0; i < 23 && mantissa < UINT32_C(0x800000); i++) {
            mantissa <<= 1;
            exponent--;
        }
    } else {
        mantissa |= UINT32_C(0x800000);
    }
    if (exponent % 2 != 0) {
        mantissa <<= 1;
        exponent--;
    }
    /* 25 digits of the root, one more than the result has; it is never halfway between two floats */
    rest = (uint64_t)mantissa << 25;
    for (uint64_t digit = UINT64_C(1) << 48; digit != 0; digit >>= 2) {
        if (rest >= root + digit) {
            rest -= root + digit;
            root = (root >> 1) + digit;
        } else {
            root >>= 1;
        }
    }
    bits = (uint32_t)((root + 1) >> 1) - UINT32_C(0x800000);
    return har_float_of(((uint32_t)(exponent / 2 + 127) << 23) + bits);
}

/* Sum of count numbers, which are overwritten: the second half is added to the first until one is left. */
static inline float har_fold_sum(float *v, int count)
{
    while (count > 1) {
        const int half = (count + 1) / 2;
        for (int i = 0; i < count - half; i++) {
            v[i] = v[i] + v[half + i];
        }
        count = half;
    }
    return v[0];
}

/* ln(1 + amplitude / 0.005) */
static inline float har_log_amplitude(float amplitude)
{
    return har_signed_log(amplitude, 200.0F); /* 1 / 0.005 */
}

/* Sort count numbers, smallest first: a heap, so that the time is bounded by count * log2(count). */
static inline void har_sort(float *v, int count)
{
    for (int build = count / 2, end = count; end > 1;) {
        int parent;
        float moved;
        if (build > 0) {
            build--;
            parent = build;
            moved = v[parent];
        } else {
            end--;
            parent = 0;
            moved = v[end];
            v[end] = v[0];
        }
        for (int child = 2 * parent + 1; child < end; child = 2 * parent + 1) {
            if (child + 1 < end && v[child + 1] > v[child]) {
                child++;
            }
            if (v[child] <= moved) {
                break;
            }
            v[parent] = v[child];
            parent = child;
        }
        v[parent] = moved;
    }
}

/* 3: mean, standard deviation, mean absolute deviation; share: 1 / count. */
static inline void har_moments(const float *centred, float *work, int count, float share, float mean, float square_sum,
                               float *out, int stride)
{
    for (int t = 0; t < count; t++) {
        work[t] = har_float_of(har_bits_of(centred[t]) & UINT32_C(0x7FFFFFFF));
    }
    out[0] = mean;
    out[stride] = har_log_amplitude(har_sqrt(square_sum * share));
    out[2 * stride] = har_log_amplitude(har_fold_sum(work, count) * share);
}

/* 5: minimum, quartiles, maximum; members of the window. */
static inline void har_order(const float *x, float *work, int count, float *out, int stride)
{
    memcpy(work, x, (size_t)count * sizeof *work);
    har_sort(work, count);
    out[0] = work[0] + 0.0F;
    out[stride] = work[count / 4] + 0.0F;
    out[2 * stride] = work[count / 2] + 0.0F;
    out[3 * stride] = work[3 * count / 4] + 0.0F;
    out[4 * stride] = work[count - 1] + 0.0F;
}

/* 2: crossings of the mean, jerk; share: 1 / (count - 1). */
static inline void har_changes(const float *x, const float *centred, float *work, int count, float share, float *out,
                               int stride)
{
    int crossings = 0;
    for (int t = 0; t < count - 1; t++) {
        const float step = x[t + 1] - x[t];
        work[t] = step * step;
        crossings += (centred[t + 1] >= 0.0F) != (centred[t] >= 0.0F);
    }
    out[0] = (float)crossings * share;
    out[stride] = har_log_amplitude(har_sqrt(har_fold_sum(work, count - 1) * share));
}

/* 2: largest autocorrelation over the lags count / 8, 2 more, ... up to count / 2, and its lag; share: 1 / count. */
static inline void har_autocorrelation(const float *centred, float *work, int count, float share, float square_sum,
                                       float *out, int stride)
{
    const float power = square_sum + HAR_TINY;
    for (int lag = count / 8; lag <= count / 2; lag += 2) {
        float correlation;
        for (int t = 0; t < count; t++) {
            work[t] = (t + lag < count ? centred[t + lag] : 0.0F) * centred[t];
        }
        correlation = har_fold_sum(work, count) / power;
        if (lag == count / 8 || correlation > out[0]) {
            out[0] = correlation;
            out[stride] = (float)lag * share;
        }
    }
}

/* octaves + 2: amplitude of each octave, strongest bin, entropy; cosine and sine of 2 pi j / count for j < count;
 * scale: 2 / count, share: 1 / bins. */
static inline void har_spectrum(const float *centred, float *work, int count, int octaves, const float *cosine,
                                const float *sine, float scale, float share, float *out, int stride)
{
    const int bins = (1 << octaves) - 1;
    float power[HAR_MOST_BINS];
    float folded[HAR_MOST_BINS];
    float total;
    for (int k = 0; k < bins; k++) {
        const float *table = cosine;
        for (int part = 0; part < 2; part++) {
            float sum;
            int j = 0;
            for (int t = 0; t < count; t++) {
                work[t] = centred[t] * table[j];
                j += k + 1;
                j = j < count ? j : j - count;
            }
            sum = har_fold_sum(work, count);
            sum = sum * sum;
            power[k] = part == 0 ? sum : power[k] + sum;
            table = sine;
        }
    }
    for (int octave = 0; octave < octaves; octave++) {
        const int width = 1 << octave;
        float amplitude;
        memcpy(folded, power + width - 1, (size_t)width * sizeof *folded);
        amplitude = har_sqrt(har_fold_sum(folded, width)) * scale;
        out[octave * stride] = har_log_amplitude(amplitude);
    }
    out[octaves * stride] = (float)(har_largest(power, bins) + 1) * share;
    memcpy(folded, power, (size_t)bins * sizeof *folded);
    total = har_fold_sum(folded, bins) + HAR_TINY;
    for (int k = 0; k < bins; k++) {
        float part = power[k] / total;
        float odds;
        part = part > HAR_SMALLEST_SHARE ? part : HAR_SMALLEST_SHARE;
        odds = 1.0F / part;
        odds = odds - 1.0F;
        folded[k] = part * har_signed_log(odds, 1.0F);
    }
    out[(octaves + 1) * stride] = har_fold_sum(folded, bins);
}

#endif
