/* ds_cnn_3k, made by: edgehar train --model ds_cnn --dataset hapt --set 'model_options={stem_channels = 12,
 * stem_kernel = 9, stem_stride = 4, blocks = [[24, 15, 1], [40, 9, 1]]}' --out RUN; SHA-256 of the bundle before:
 * 1064321df7facafeaac323a8180eddad3b7560d88e86800a7208b765cfa14572
 *
 * 8 layers, 46296 multiply-accumulates a window. No allocation, no globals that change, no float.
 */
#ifndef HAR_MODEL_H
#define HAR_MODEL_H

#include <stdint.h>

#define HAR_MODEL_ARENA_BYTES 1544 /* working memory; nothing in it is kept from run to run */
#define HAR_MODEL_WEIGHT_BYTES 7744 /* constants, in flash */
#define HAR_MODEL_LAYERS "[[\042layer_0_conv1d\042, \042relu\042, \042conv1d\042, 29160], [\042layer_1_depthwise_conv1d\042, \042relu_1\042, \042depthwise_conv1d\042, 2880], [\042layer_2_conv1d\042, \042relu_2\042, \042conv1d\042, 4608], [\042layer_3_depthwise_conv1d\042, \042relu_3\042, \042depthwise_conv1d\042, 1728], [\042layer_4_conv1d\042, \042relu_4\042, \042conv1d\042, 7680], [\042layer_5_average_pool1d\042, \042mean/pooled\042, \042average_pool1d\042, 0], [\042layer_7_dense\042, \042logits/inner\042, \042dense\042, 240]]" /* function, name, op, products */
#define HAR_MODEL_FACTS "[[[[1, 128, 9], 0.03157614544034004, 24]], [[[1, 6], 0.025645816698670387, -20]]]" /* shape, scale, zero point of inputs, outputs */

typedef union har_model_arena {
    int8_t s8[HAR_MODEL_ARENA_BYTES];
    int16_t s16[HAR_MODEL_ARENA_BYTES / 2];
    int64_t s64[HAR_MODEL_ARENA_BYTES / 8];
} har_model_arena;

/* Run the network over one window. Buffers must not overlap.
 *
 * in features: [128, 9], real = 0.0315761454 * (q - (24))
 * out logits: [6], real = 0.0256458167 * (q - (-20))
 */
void har_model_run(har_model_arena *arena, const int8_t in0_features[1152], int8_t out0_logits[6]);

#endif
