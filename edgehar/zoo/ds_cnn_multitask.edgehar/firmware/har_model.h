/* ds_cnn_multitask, made by: edgehar train --model ds_cnn --dataset hapt --set 'heads=[{name = "activity", kind =
 * "multiclass", labels = ["walking", "upstairs", "downstairs", "sitting", "standing", "laying"], weight = 1.0,
 * groups = {}, purity = 1.0}, {name = "motion", kind = "binary", labels = ["moving"], weight = 1.0, groups =
 * {moving = ["walking", "upstairs", "downstairs"], not_moving = ["sitting", "standing", "laying"]}, purity = 1.0},
 * {name = "change", kind = "binary", labels = ["transition"], weight = 1.0, groups = {transition = ["stand_to_sit",
 * "sit_to_stand", "sit_to_lie", "lie_to_sit", "stand_to_lie", "lie_to_stand"]}, purity = 0.5}]' --out RUN; SHA-256
 * of the bundle before: 67594cb04cd7d904d0272083ee725f2375f97915f2a6518a94715dd14e869234
 *
 * 10 layers, 227784 multiply-accumulates a window. No allocation, no globals that change, no float.
 */
#ifndef HAR_MODEL_H
#define HAR_MODEL_H

#include <stdint.h>

#define HAR_MODEL_ARENA_BYTES 3608 /* working memory; nothing in it is kept from run to run */
#define HAR_MODEL_WEIGHT_BYTES 22578 /* constants, in flash */
#define HAR_MODEL_LAYERS "[[\042layer_0_conv1d\042, \042relu\042, \042conv1d\042, 116640], [\042layer_1_depthwise_conv1d\042, \042relu_1\042, \042depthwise_conv1d\042, 8280], [\042layer_2_conv1d\042, \042relu_2\042, \042conv1d\042, 26496], [\042layer_3_depthwise_conv1d\042, \042relu_3\042, \042depthwise_conv1d\042, 6480], [\042layer_4_conv1d\042, \042relu_4\042, \042conv1d\042, 69120], [\042layer_5_average_pool1d\042, \042mean/pooled\042, \042average_pool1d\042, 0], [\042layer_7_dense\042, \042activity/inner\042, \042dense\042, 576], [\042layer_8_dense\042, \042motion/inner\042, \042dense\042, 96], [\042layer_9_dense\042, \042change/inner\042, \042dense\042, 96]]" /* function, name, op, products */
#define HAR_MODEL_FACTS "[[[[1, 128, 9], 0.03450843691825867, 17]], [[[1, 6], 0.024937165901064873, -25], [[1, 1], 0.02816593274474144, -3], [[1, 1], 0.02885325439274311, 2]]]" /* shape, scale, zero point of inputs, outputs */

typedef union har_model_arena {
    int8_t s8[HAR_MODEL_ARENA_BYTES];
    int16_t s16[HAR_MODEL_ARENA_BYTES / 2];
    int64_t s64[HAR_MODEL_ARENA_BYTES / 8];
} har_model_arena;

/* Run the network over one window. Buffers must not overlap.
 *
 * in features: [128, 9], real = 0.0345084369 * (q - (17))
 * out activity: [6], real = 0.0249371659 * (q - (-25))
 * out motion: [1], real = 0.0281659327 * (q - (-3))
 * out change: [1], real = 0.0288532544 * (q - (2))
 */
void har_model_run(har_model_arena *arena, const int8_t in0_features[1152], int8_t out0_activity[6], int8_t out1_motion[1], int8_t out2_change[1]);

#endif
