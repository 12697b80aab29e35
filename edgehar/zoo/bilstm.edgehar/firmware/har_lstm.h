/* The nonlinearities of an int8 LSTM, as TFLite Micro computes them: sigmoids interpolated in a table. */
#ifndef HAR_LSTM_H
#define HAR_LSTM_H

#include "har_fixed_point.h"

/* sigmoid(k / 24) in Q0.16, lifted by half of what interpolation misses. */
extern const uint16_t har_sigmoids[256];

/* The table at size / 2^bits for size >= 0, with bits more fraction bits; saturated beyond its end. */
static inline int32_t har_sigmoid_interpolated(int32_t size, int bits, int32_t saturated)
{
    const int32_t whole = size >> bits;
    int32_t low;
    int32_t high;
    if (whole >= 255) {
        return saturated;
    }
    low = har_sigmoids[whole];
    high = har_sigmoids[whole + 1];
    return low * (1 << bits) + (size & ((1 << bits) - 1)) * (high - low);
}

/* sigmoid of Q3.12 in Q0.15. */
static inline int32_t har_sigmoid(int32_t gate)
{
    const int32_t x = 3 * gate; /* 24 entries a unit are 3 * 2^12 over 2^9 */
    const int32_t y = har_sigmoid_interpolated(x < 0 ? -x : x, 9, INT32_C(32767) << 10);
    return (x >= 0 ? y + 512 : (1 << 25) - y + 511) >> 10;
}

/* tanh in Q0.15 of an int16 with 9..15 fraction bits: 2 sigmoid(2 x) - 1. */
static inline int32_t har_tanh(int32_t value, int fraction)
{
    const int shift = fraction - 12;
    int32_t x = 3 * value;
    int32_t y;
    if (shift <= 0) {
        x *= 1 << -shift;
    } else {
        x = (x + (1 << (shift - 1))) >> shift;
    }
    y = har_sigmoid_interpolated(x < 0 ? -x : x, 8, INT32_C(65535) << 8);
    return (x >= 0 ? y - (1 << 23) + 128 : -y + (1 << 23) + 127) >> 8;
}

/* a held inside of int16. */
static inline int32_t har_to_int16(int32_t a)
{
    return har_clamp(a, INT16_MIN, INT16_MAX);
}

#endif
