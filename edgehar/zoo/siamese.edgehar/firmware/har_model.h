/* siamese, made by: edgehar train --model ds_cnn --dataset hapt --set 'embedding={width = 16, weight = 2.0, margin =
 * 0.2, mining = "semi_hard", classes_per_batch = 12, samples_per_class = 10, turned = 0.5, labels = [], groups =
 * {}, purity = 1.0}' --set 'model_options={stem_channels = 16, stem_kernel = 9, stem_stride = 2, blocks = [[32, 15,
 * 2], [64, 9, 1]]}' --set epochs=20 --set mixup=0.0 --out RUN; SHA-256 of the bundle before:
 * dd759ad29ad01bbeab4cd1e9106881a436195c3a6efd29b935b2b35f3ba8063c
 *
 * 10 layers, 131536 multiply-accumulates a window. No allocation, no globals that change, no float.
 */
#ifndef HAR_MODEL_H
#define HAR_MODEL_H

#include <stdint.h>

#define HAR_MODEL_ARENA_BYTES 2544 /* working memory; nothing in it is kept from run to run */
#define HAR_MODEL_WEIGHT_BYTES 14688 /* constants, in flash */
#define HAR_MODEL_LAYERS "[[\042layer_0_conv1d\042, \042relu\042, \042conv1d\042, 77760], [\042layer_1_depthwise_conv1d\042, \042relu_1\042, \042depthwise_conv1d\042, 5520], [\042layer_2_conv1d\042, \042relu_2\042, \042conv1d\042, 11776], [\042layer_3_depthwise_conv1d\042, \042relu_3\042, \042depthwise_conv1d\042, 4320], [\042layer_4_conv1d\042, \042relu_4\042, \042conv1d\042, 30720], [\042layer_5_average_pool1d\042, \042mean/pooled\042, \042average_pool1d\042, 0], [\042layer_7_dense\042, \042activity/inner\042, \042dense\042, 384], [\042layer_8_dense\042, \042linear_1\042, \042dense\042, 1024], [\042layer_9_l2_norm\042, \042embedding/inner\042, \042l2_norm\042, 32]]" /* function, name, op, products */
#define HAR_MODEL_FACTS "[[[[1, 128, 9], 0.03157614544034004, 24]], [[[1, 6], 0.032586775720119476, -17], [[1, 16], 0.0078125, 0]]]" /* shape, scale, zero point of inputs, outputs */

typedef union har_model_arena {
    int8_t s8[HAR_MODEL_ARENA_BYTES];
    int16_t s16[HAR_MODEL_ARENA_BYTES / 2];
    int64_t s64[HAR_MODEL_ARENA_BYTES / 8];
} har_model_arena;

/* Run the network over one window. Buffers must not overlap.
 *
 * in features: [128, 9], real = 0.0315761454 * (q - (24))
 * out activity: [6], real = 0.0325867757 * (q - (-17))
 * out embedding: [16], real = 0.0078125 * (q - (0))
 */
void har_model_run(har_model_arena *arena, const int8_t in0_features[1152], int8_t out0_activity[6], int8_t out1_embedding[16]);

#endif
