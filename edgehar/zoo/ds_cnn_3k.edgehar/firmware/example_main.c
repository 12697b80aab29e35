/* ds_cnn_3k, made by: edgehar train --model ds_cnn --dataset hapt --set 'model_options={stem_channels = 12,
 * stem_kernel = 9, stem_stride = 4, blocks = [[24, 15, 1], [40, 9, 1]]}' --out RUN; SHA-256 of the bundle before:
 * 1064321df7facafeaac323a8180eddad3b7560d88e86800a7208b765cfa14572
 *
 * Reads samples from the standard input and prints the activities: a line a sample, 6 numbers, comma or space
 * between them:
 * acc_x (g), acc_y (g), acc_z (g), gyro_x (rad/s), gyro_y (rad/s), gyro_z (rad/s)
 * Lines that do not begin with numbers, as the header of a CSV file, are passed over.
 *
 *     ./har_example < recording.csv
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "har.h"

#define LINE_BYTES 1024

static int read_sample(const char *line, float sample[HAR_CHANNELS])
{
    const char *at = line;
    for (int i = 0; i < HAR_CHANNELS; i++) {
        char *end;
        sample[i] = strtof(at, &end);
        if (end == at) {
            return 0;
        }
        at = end + strspn(end, ", \t");
    }
    return 1;
}

int main(void)
{
    static har_context context; /* HAR_CONTEXT_BYTES, the only memory that the pipeline needs */
    char line[LINE_BYTES];
    uint64_t samples = 0;
    har_event event;
    if (har_init(&context) != HAR_OK) {
        fputs("built with fused or relaxed floating point; add -ffp-contract=off\n", stderr);
        return 1;
    }
    fprintf(stderr, "context %d bytes (of them the network's arena %d), constants %d bytes\n", HAR_CONTEXT_BYTES,
            HAR_MODEL_ARENA_BYTES, HAR_CONSTANT_BYTES);
    while (fgets(line, LINE_BYTES, stdin) != NULL) {
        float sample[HAR_CHANNELS];
        if (!read_sample(line, sample)) {
            continue;
        }
        har_push(&context, sample, (uint32_t)((double)samples * 1000 / HAR_RATE_HZ), &event);
        samples++;
        if (event.kind == HAR_EVENT_ACTIVITY) {
            printf("%9.2f s  %s  %.3f\n", event.start_ms / 1000.0, har_activity_labels[event.label],
                   (double)event.probability);
        }
    }
    return 0;
}
