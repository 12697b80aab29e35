/* Steps, or rows of an image, that positions of a convolution or a pool see, where these may see padding. */
#ifndef HAR_WINDOW_H
#define HAR_WINDOW_H

#include <stdint.h>
#include <string.h>

#ifdef __GNUC__
#define HAR_ONCE static __attribute__((noinline, unused))
#else
#define HAR_ONCE static inline
#endif

/* count rows of channels int8 from row first on. They lie in x, or, where some are outside of 0..steps-1, are put
 * together in rows, those outside full of value.
 */
HAR_ONCE const int8_t *har_window(const int8_t *x, int8_t *rows, int first, int count, int steps, int channels,
                                   int value)
{
    if (first >= 0 && first + count <= steps) {
        return x + channels * first;
    }
    for (int r = 0; r < count; r++) {
        if (first + r >= 0 && first + r < steps) {
            memcpy(rows + channels * r, x + channels * (first + r), (size_t)channels);
        } else {
            memset(rows + channels * r, value, (size_t)channels);
        }
    }
    return rows;
}

/* Rows first, first + step, ... of an image, count of them, each with left and right pixels of padding around it, put
 * together in band. Rows outside of 0..height-1 are padding, all value.
 */
HAR_ONCE const int8_t *har_band(const int8_t *x, int8_t *band, int first, int step, int count, int height, int width,
                                int left, int right, int value)
{
    int8_t *row = band;
    for (int i = 0; i < count; i++) {
        const int r = first + step * i;
        memset(row, value, (size_t)(left + width + right));
        if (r >= 0 && r < height) {
            memcpy(row + left, x + width * r, (size_t)width);
        }
        row += left + width + right;
    }
    return band;
}

#endif
