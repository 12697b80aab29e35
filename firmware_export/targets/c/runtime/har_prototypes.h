/* Enrolled labels: what device_sim.prototypes and device_sim.enroll compute, bit for bit.
 *
 * Scores are products of two int8 embeddings, whose length is 128: 16384 is a cosine of 1.
 */
#ifndef HAR_PROTOTYPES_H
#define HAR_PROTOTYPES_H

#include <stdint.h>

static inline int32_t har_similarity(const int8_t *a, const int8_t *b, int width)
{
    int32_t sum = 0;
    for (int i = 0; i < width; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

/* How much an embedding is like the most similar of count references. */
static inline int32_t har_most_alike(const int8_t *embedding, const int8_t *references, int count, int width)
{
    int32_t most = har_similarity(embedding, references, width);
    for (int i = 1; i < count; i++) {
        const int32_t alike = har_similarity(embedding, references + width * i, width);
        most = alike > most ? alike : most;
    }
    return most;
}

/* Give a label over its threshold more than one half; the others share the rest in their old proportions.
 *
 * coarse[i] is exp(-256 i / 819.2), fine[i] exp(-i / 819.2); over is at least 1.
 */
static inline void har_share(float *probability, int labels, int16_t label, int32_t over, const float coarse[128],
                             const float fine[256])
{
    const int32_t held = over < 32767 ? over : 32767;
    const float power = coarse[held >> 8] * fine[held & 255];
    const float sum = 1.0F + power;
    const float part = 1.0F / sum;
    const float rest = power * part;
    for (int i = 0; i < labels; i++) {
        probability[i] = probability[i] * rest;
    }
    probability[label] = part;
}

/* Sums of embeddings scaled to a length of 127 and rounded, halves away from zero; 0 where they cancel out. Sums of
 * width numbers stay below 2^20 each, so that no product leaves 64 bits for a width of up to 4096.
 */
static inline int har_direction(const int32_t *sums, int8_t *vector, int width)
{
    uint64_t squares = 0;
    for (int i = 0; i < width; i++) {
        squares += (uint64_t)((int64_t)sums[i] * sums[i]);
    }
    if (squares == 0) {
        return 0;
    }
    for (int i = 0; i < width; i++) {
        const uint64_t twice = (uint64_t)(254 * (sums[i] < 0 ? -(int64_t)sums[i] : (int64_t)sums[i]));
        const uint64_t target = twice * twice;
        int32_t halves = 0; /* 254 * |sum| / length, rounded down; at most 254 */
        while ((uint64_t)((halves + 1) * (halves + 1)) * squares <= target) {
            halves++;
        }
        halves = (halves + 1) / 2;
        vector[i] = (int8_t)(sums[i] < 0 ? -halves : halves);
    }
    return 1;
}

/* The largest score of count references, at least 0, when for each only those of other people are known. */
static inline int32_t har_highest_score(const int8_t *vector, const int8_t *references, const int32_t *strangers,
                                        int count, int width)
{
    int32_t highest = 0;
    for (int i = 0; i < count; i++) {
        const int32_t score = har_similarity(vector, references + width * i, width) - strangers[i];
        highest = score > highest ? score : highest;
    }
    return highest;
}

#endif
