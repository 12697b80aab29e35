/* Front end and filter of a device, for a fleet of them on a PC: the same float32 operations in the same order as
 * FrontEndStream, QuantParams and HmmSmoothing, so the same bits. No part of a firmware. */
#include <stdint.h>
#include <string.h>

#define BLOCK 256
#define CHANNELS 64
#define RAW_LIMIT 1e9F

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

enum { DIFFERENCE, SIGNED_LOG, BIQUAD }; /* as in c_front_end.py */

typedef struct {
    int32_t column;    /* feature column */
    int32_t code;      /* what is done with it */
    int32_t constants; /* index of its first constant */
    int32_t state;     /* index of its first state */
} step;

typedef struct {
    int32_t column; /* feature column */
    int32_t place;  /* in a row of what comes out */
    float inverse_scale;
    float zero_point;
    float low;
    float high;
} target;

typedef struct {
    int32_t channels;
    int32_t columns;
    int32_t steps;
    int32_t targets;
    int32_t row_bytes;
    int32_t standardized;
} sizes;

static float as_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t as_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float limited(float x)
{
    x = x < RAW_LIMIT ? x : RAW_LIMIT;
    return x > -RAW_LIMIT ? x : -RAW_LIMIT;
}

static int all_finite(const float *x, int64_t count)
{
    int bad = 0;
    for (int64_t i = 0; i < count; i++) {
        bad |= (as_bits(x[i]) & 0x7F800000U) == 0x7F800000U;
    }
    return !bad;
}

/* Channels of n samples, finite; returns how many samples were not. */
WIDE static int64_t held(const float *samples, int64_t n, int channels, float *good, float raw[][BLOCK])
{
    int64_t invalid = 0;
    if (all_finite(samples, n * channels)) {
        for (int c = 0; c < channels; c++) {
            for (int64_t t = 0; t < n; t++) {
                raw[c][t] = limited(samples[t * channels + c]);
            }
            good[c] = samples[(n - 1) * channels + c];
        }
        return 0;
    }
    for (int64_t t = 0; t < n; t++) {
        int bad = 0;
        for (int c = 0; c < channels; c++) {
            const float x = samples[t * channels + c];
            if ((as_bits(x) & 0x7F800000U) == 0x7F800000U) {
                bad = 1;
            } else {
                good[c] = x;
            }
            raw[c][t] = limited(good[c]);
        }
        invalid += bad;
    }
    return invalid;
}

WIDE static void difference(float *x, int64_t n, float *past, int first)
{
    float y[BLOCK];
    y[0] = x[0] - (first ? x[0] : *past);
    for (int64_t t = 1; t < n; t++) {
        y[t] = x[t] - x[t - 1];
    }
    *past = x[n - 1];
    memcpy(x, y, (size_t)n * sizeof *x);
}

WIDE static void signed_log(float *restrict x, int64_t n, float inverse_scale)
{
    for (int64_t t = 0; t < n; t++) {
        const uint32_t sign = as_bits(x[t]) & 0x80000000U;
        const float u = as_float(as_bits(x[t]) & 0x7FFFFFFFU) * inverse_scale + 1.0F;
        const int32_t exponent = (int32_t)(as_bits(u) - 0x3F3504F3U) >> 23;
        const float mantissa = as_float(as_bits(u) - ((uint32_t)exponent << 23));
        const float z = (mantissa - 1.0F) / (mantissa + 1.0F);
        const float square = z * z;
        float series = square * (1.0F / 7.0F) + (1.0F / 5.0F);
        series = series * square + (1.0F / 3.0F);
        series = series * square + 1.0F;
        series = series * (z * 2.0F);
        x[t] = as_float(as_bits((float)exponent * 0.6931471805599453F + series) | sign);
    }
}

static void biquad(float *x, int64_t n, const float *k, float *s, int first)
{
    float s1 = s[0], s2 = s[1];
    if (first) {
        s2 = k[6] * x[0];
        s1 = k[5] * x[0] + s2;
    }
    for (int64_t t = 0; t < n; t++) {
        const float in = x[t];
        const float out = k[0] * in + s1;
        s1 = (k[1] * in - k[3] * out) + s2;
        s2 = k[2] * in - k[4] * out;
        x[t] = out;
    }
    s[0] = s1;
    s[1] = s2;
}

WIDE static void standardize(float *x, int64_t n, float mean, float inverse_deviation)
{
    for (int64_t t = 0; t < n; t++) {
        x[t] = (x[t] - mean) * inverse_deviation;
    }
}

WIDE static void quantize(const float *restrict x, int64_t n, const target *to, int8_t *restrict rows, int64_t row_bytes)
{
    const float inverse_scale = to->inverse_scale, zero_point = to->zero_point, low = to->low, high = to->high;
    int32_t q[BLOCK];
    for (int64_t t = 0; t < n; t++) {
        float y = x[t] * inverse_scale;
        y = y < 1024.0F ? y : 1024.0F; /* beyond, all saturates; below, adding 1.5 * 2^23 rounds to nearest, ties to even */
        y = y > -1024.0F ? y : -1024.0F;
        y = ((y + 12582912.0F) - 12582912.0F) + zero_point;
        y = y < high ? y : high;
        y = y > low ? y : low;
        q[t] = (int32_t)y;
    }
    for (int64_t t = 0; t < n; t++) {
        rows[t * row_bytes] = (int8_t)q[t];
    }
}

/* Take count samples of one device, whose state begins with the last good value of each channel; write a row for each.
 * Returns the number of samples with a value that is not finite. */
int64_t fleet_front_end(const sizes *are, const int32_t *select, const float *gain, const step *steps,
                        const float *constants, const float *mean, const float *inverse_deviation,
                        const target *targets, float *state, int32_t first, const float *samples, int64_t count,
                        int8_t *rows)
{
    float raw[CHANNELS][BLOCK];
    float x[BLOCK];
    int64_t invalid = 0;
    for (int64_t at = 0; at < count; at += BLOCK) {
        const int64_t n = count - at < BLOCK ? count - at : BLOCK;
        const step *now = steps;
        const target *to = targets;
        invalid += held(samples + at * are->channels, n, are->channels, state, raw);
        for (int32_t column = 0; column < are->columns; column++) {
            for (int64_t t = 0; t < n; t++) {
                x[t] = raw[select[column]][t] * gain[column];
            }
            for (; now < steps + are->steps && now->column == column; now++) {
                if (now->code == DIFFERENCE) {
                    difference(x, n, state + now->state, first && at == 0);
                } else if (now->code == SIGNED_LOG) {
                    signed_log(x, n, constants[now->constants]);
                } else {
                    biquad(x, n, constants + now->constants, state + now->state, first && at == 0);
                }
            }
            if (are->standardized) {
                standardize(x, n, mean[column], inverse_deviation[column]);
            }
            for (; to < targets + are->targets && to->column == column; to++) {
                quantize(x, n, to, rows + at * are->row_bytes + to->place, are->row_bytes);
            }
        }
    }
    return invalid;
}


#define LABELS 64
#define LEAST_EVIDENCE 9.094947017729282e-13F /* 2^-40 */

/* Divide k numbers by the sum of the first. */
static void normalize(float *x, int k, int first)
{
    float total = x[0];
    for (int i = 1; i < first; i++) {
        total = total + x[i];
    }
    for (int i = 0; i < k; i++) {
        x[i] = x[i] / total;
    }
}

/* Forward filter with fixed lag over count windows of k probabilities, own of them the network's.
 *
 * kept holds how many windows the state has; state the beliefs and then the evidence of the last lag + 1 of them, oldest
 * first. */
void fleet_filter(int32_t k, int32_t own, int32_t lag, const float *transitions, const float *rarity, int32_t *kept,
                  float *state, const float *probabilities, int64_t count, float *out)
{
    float *beliefs = state, *evidence = state + (lag + 1) * k;
    for (int64_t i = 0; i < count; i++, probabilities += k, out += k) {
        float fresh[LABELS], belief[LABELS], later[LABELS], weighted[LABELS];
        const float *before = beliefs + (*kept - 1) * k;
        for (int c = 0; c < k; c++) {
            float p = probabilities[c];
            p = c < own && p < LEAST_EVIDENCE ? LEAST_EVIDENCE : p;
            fresh[c] = belief[c] = p * rarity[c];
        }
        if (*kept) {
            for (int c = 0; c < k; c++) {
                belief[c] = before[0] * transitions[c];
            }
            for (int r = 1; r < k; r++) {
                for (int c = 0; c < k; c++) {
                    belief[c] = belief[c] + before[r] * transitions[r * k + c];
                }
            }
            for (int c = 0; c < k; c++) {
                belief[c] = belief[c] * fresh[c];
            }
        }
        normalize(belief, k, k);
        if (*kept == lag + 1) {
            memmove(beliefs, beliefs + k, (size_t)(lag * k) * sizeof *beliefs);
            memmove(evidence, evidence + k, (size_t)(lag * k) * sizeof *evidence);
        } else {
            ++*kept;
        }
        memcpy(beliefs + (*kept - 1) * k, belief, (size_t)k * sizeof *belief);
        memcpy(evidence + (*kept - 1) * k, fresh, (size_t)k * sizeof *fresh);
        memcpy(out, beliefs, (size_t)k * sizeof *out);
        if (*kept == 1) {
            continue;
        }
        for (int c = 0; c < k; c++) {
            later[c] = 1.0F;
        }
        for (int j = *kept - 1; j > 0; j--) {
            for (int c = 0; c < k; c++) {
                weighted[c] = evidence[j * k + c] * later[c];
            }
            for (int r = 0; r < k; r++) {
                float total = transitions[r * k] * weighted[0];
                for (int c = 1; c < k; c++) {
                    total = total + transitions[r * k + c] * weighted[c];
                }
                later[r] = total;
            }
            normalize(later, k, own);
        }
        for (int c = 0; c < k; c++) {
            out[c] = out[c] * later[c];
        }
        normalize(out, k, k);
    }
}
