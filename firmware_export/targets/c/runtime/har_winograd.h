/* A stride-1 convolution with fewer products: two neighbouring positions, a tile, from one product a point (six for five
 * taps, four for three) instead of one a tap and position. Integers throughout, so the results are those of the plain
 * sums.
 *
 * For distinct points p and the one at infinity, in the generator's order, a tile's rows d become the values of
 * transformed rows v; a channel's taps are the generator's, times a common denominator. Then with m = v * w
 *
 *     first position = sum of m of the finite points,  second = sum of p * m, and m of infinity,
 *
 * times that denominator. Sums wrap around 2^32 on the way; the generator has proved that the results do not.
 *
 * Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, arXiv:1509.09308, sections 4.1 and 5.
 */
#ifndef HAR_WINOGRAD_H
#define HAR_WINOGRAD_H

#include "har_dsp.h"

#define HAR_TILES 3 /* that lie beside each other in v: six positions */

/* Rows of five taps at the points 1, 2, 0, -2, -1, infinity; d of two channels each, a point's values apart int16. */
HAR_INLINE void har_points_of_5(uint32_t d0, uint32_t d1, uint32_t d2, uint32_t d3, uint32_t d4, uint32_t d5,
                                int16_t *v, int apart)
{
    const uint32_t even = har_subtract_pairs(d4, d2), odd = har_subtract_pairs(d3, d1);
    const uint32_t even_1 = har_subtract_pairs(d4, har_times_4(d2)), odd_1 = har_subtract_pairs(d3, har_times_4(d1));
    const uint32_t odd_2 = har_add_pairs(odd, odd);
    har_put_word(v, har_add_pairs(even_1, odd_1));
    har_put_word(v + apart, har_add_pairs(even, odd_2));
    har_put_word(v + 2 * apart, har_add_pairs(even, har_times_4(har_subtract_pairs(d0, d2))));
    har_put_word(v + 3 * apart, har_subtract_pairs(even, odd_2));
    har_put_word(v + 4 * apart, har_subtract_pairs(even_1, odd_1));
    har_put_word(v + 5 * apart, har_subtract_pairs(har_subtract_pairs(d5, d3), har_add_pairs(odd_2, odd_2)));
}

/* Rows of three taps at the points 1, -1, 0, infinity. */
HAR_INLINE void har_points_of_3(uint32_t d0, uint32_t d1, uint32_t d2, uint32_t d3, int16_t *v, int apart)
{
    har_put_word(v, har_add_pairs(d2, d1));
    har_put_word(v + apart, har_subtract_pairs(d2, d1));
    har_put_word(v + 2 * apart, har_subtract_pairs(d2, d0));
    har_put_word(v + 3 * apart, har_subtract_pairs(d3, d1));
}

/* Three tiles of channels (a multiple of four) int8 from x on as v: a point after the other, in it four channels after
 * the other, in those three tiles, each channels 0, 2, 1, 3.
 */
HAR_INLINE void har_tiles_of_5(const int8_t *x, int channels, int16_t *v)
{
    const int apart = HAR_TILES * channels;
    for (int c = 0; c < channels; c += 4) {
        for (int tile = 0; tile < HAR_TILES; tile++) {
            const int8_t *seen = x + 2 * tile * channels + c;
            const uint32_t a = har_word(seen), b = har_word(seen + channels), d = har_word(seen + 2 * channels);
            const uint32_t e = har_word(seen + 3 * channels), f = har_word(seen + 4 * channels);
            const uint32_t g = har_word(seen + 5 * channels);
            har_points_of_5(har_even_bytes(a), har_even_bytes(b), har_even_bytes(d), har_even_bytes(e),
                            har_even_bytes(f), har_even_bytes(g), v, apart);
            har_points_of_5(har_odd_bytes(a), har_odd_bytes(b), har_odd_bytes(d), har_odd_bytes(e), har_odd_bytes(f),
                            har_odd_bytes(g), v + 2, apart);
            v += 4;
        }
    }
}

HAR_INLINE void har_tiles_of_3(const int8_t *x, int channels, int16_t *v)
{
    const int apart = HAR_TILES * channels;
    for (int c = 0; c < channels; c += 4) {
        for (int tile = 0; tile < HAR_TILES; tile++) {
            const int8_t *seen = x + 2 * tile * channels + c;
            const uint32_t a = har_word(seen), b = har_word(seen + channels), d = har_word(seen + 2 * channels);
            const uint32_t e = har_word(seen + 3 * channels);
            har_points_of_3(har_even_bytes(a), har_even_bytes(b), har_even_bytes(d), har_even_bytes(e), v, apart);
            har_points_of_3(har_odd_bytes(a), har_odd_bytes(b), har_odd_bytes(d), har_odd_bytes(e), v + 2, apart);
            v += 4;
        }
    }
}

#if !HAR_DSP
/* Two output channels at six positions, the portable form of the assembly that the generator writes.
 *
 * stream: both starting values; a point after the other, in it four channels after the other, two words of either
 * output channel's weights; then either's multiplier, offset and exponent. v as har_tiles_of_* makes it; y: the first
 * channel's first output, positions outputs apart. second: what the second position takes of the running sum at each
 * point. inverse, halvings: of the denominator, whose odd part is undone by the one and the rest by the other.
 */
HAR_INLINE void har_two_channels_of_tiles(const int32_t *stream, const int16_t *v, int8_t *y, int points, int fours,
                                          int outputs, const int8_t *second, uint32_t inverse, int halvings,
                                          int32_t low, int32_t high)
{
    const int32_t *last = stream + 2 + 4 * points * fours;
    for (int tile = 0; tile < HAR_TILES; tile++) {
        const int32_t *w = stream + 2;
        const int16_t *seen = v + 4 * tile;
        uint32_t results[2][2]; /* of both channels at the first position, then at the second */
#if HAR_VECTORS
        har_vector sum = har_v_make((uint32_t)stream[0], 0, (uint32_t)stream[1], 0), first = sum, other = har_v_splat(0);
        uint32_t halves[4];
        for (int point = 0; point < points; point++) {
            for (int i = 0; i < fours; i++) {
                sum = har_v_add(sum, har_v_add_products(har_v_load(w), har_v_load_half_twice(seen)));
                w += 4;
                seen += 4 * HAR_TILES;
            }
            first = point == points - 2 ? sum : first;
            other = har_v_add(other, har_v_multiply(sum, har_v_splat(second[point])));
        }
        for (int position = 0; position < 2; position++) {
            har_v_store(halves, position == 0 ? first : other);
            results[position][0] = halves[0] + halves[1];
            results[position][1] = halves[2] + halves[3];
        }
#else
        int32_t a = stream[0], b = stream[1];
        results[0][0] = results[0][1] = results[1][0] = results[1][1] = 0;
        for (int point = 0; point < points; point++) {
            for (int i = 0; i < fours; i++) {
                const uint32_t even = har_word(seen), odd = har_word(seen + 2);
                a = har_smlad((uint32_t)w[1], odd, har_smlad((uint32_t)w[0], even, a));
                b = har_smlad((uint32_t)w[3], odd, har_smlad((uint32_t)w[2], even, b));
                w += 4;
                seen += 4 * HAR_TILES;
            }
            if (point == points - 2) {
                results[0][0] = (uint32_t)a;
                results[0][1] = (uint32_t)b;
            }
            results[1][0] += (uint32_t)a * (uint32_t)second[point];
            results[1][1] += (uint32_t)b * (uint32_t)second[point];
        }
#endif
        for (int position = 0; position < 2; position++) {
            for (int channel = 0; channel < 2; channel++) {
                const int32_t *factors = last + 3 * channel;
                const int32_t doubled = (int32_t)(results[position][channel] * inverse) >> halvings;
                y[outputs * (2 * tile + position) + channel] =
                    har_requantize(doubled, factors[0], factors[1], factors[2], low, high);
            }
        }
    }
}
#endif

#endif
