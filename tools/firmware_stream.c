/* Streams raw float32 samples from a file through the firmware and writes what it decides to another: the firmware as a
 * program of its own, for address and undefined-behaviour sanitizers. Context and sample lie alone in memory, so that a
 * byte read or written beside them is noticed.
 *
 *     firmware_stream SAMPLES DECISIONS
 */
#include <stdio.h>
#include <stdlib.h>

#include "har.h"

int main(int count, char **arguments)
{
    har_context *context = malloc(sizeof *context);
    float *sample = malloc(HAR_CHANNELS * sizeof *sample);
    har_event *event = malloc(sizeof *event);
    FILE *samples = count == 3 ? fopen(arguments[1], "rb") : NULL;
    FILE *decisions = count == 3 ? fopen(arguments[2], "wb") : NULL;
    uint32_t t_ms = 0;
    if (!context || !sample || !event || !samples || !decisions || har_init(context) != HAR_OK) {
        return 2;
    }
    while (fread(sample, sizeof *sample, HAR_CHANNELS, samples) == HAR_CHANNELS) {
        const har_decision *decision;
        if (har_push(context, sample, t_ms, event) != HAR_OK) {
            return 3;
        }
        decision = har_decided(context);
        if (decision != NULL &&
            (fwrite(decision, sizeof *decision, 1, decisions) != 1 || fwrite(event, sizeof *event, 1, decisions) != 1)) {
            return 4;
        }
        t_ms++;
    }
    fclose(samples);
    if (fclose(decisions) != 0) {
        return 4;
    }
    free(event);
    free(sample);
    free(context);
    return 0;
}
