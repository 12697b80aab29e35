/* bilstm, made by: edgehar train --model bilstm --dataset hapt --set 'model_options={layers = 1, units = 24}' --out
 * RUN; SHA-256 of the bundle before: 5c719097e36845c4d39578a50ca716d674e091aeb8aa9ee8e9615fc0128e65ef
 *
 * 8 layers, 811296 multiply-accumulates a window. No allocation, no globals that change, no float.
 */
#ifndef HAR_MODEL_H
#define HAR_MODEL_H

#include <stdint.h>

#define HAR_MODEL_ARENA_BYTES 12288 /* working memory; nothing in it is kept from run to run */
#define HAR_MODEL_WEIGHT_BYTES 16672 /* constants, in flash */
#define HAR_MODEL_LAYERS "[[\042layer_0_lstm\042, \042val_112/forward\042, \042lstm\042, 405504], [\042layer_1_reverse\042, \042val_112/backward/series\042, \042reverse\042, 0], [\042layer_2_lstm\042, \042val_112/backward/reversed\042, \042lstm\042, 405504], [\042layer_3_reverse\042, \042val_112/backward\042, \042reverse\042, 0], [\042layer_4_concat\042, \042val_112/both\042, \042concat\042, 0], [\042layer_5_average_pool1d\042, \042mean/pooled\042, \042average_pool1d\042, 0], [\042layer_7_dense\042, \042logits/inner\042, \042dense\042, 288]]" /* function, name, op, products */
#define HAR_MODEL_FACTS "[[[[1, 128, 9], 0.03157614544034004, 24]], [[[1, 6], 0.024302087724208832, -46]]]" /* shape, scale, zero point of inputs, outputs */

typedef union har_model_arena {
    int8_t s8[HAR_MODEL_ARENA_BYTES];
    int16_t s16[HAR_MODEL_ARENA_BYTES / 2];
    int64_t s64[HAR_MODEL_ARENA_BYTES / 8];
} har_model_arena;

/* Run the network over one window. Buffers must not overlap.
 *
 * in features: [128, 9], real = 0.0315761454 * (q - (24))
 * out logits: [6], real = 0.0243020877 * (q - (-46))
 */
void har_model_run(har_model_arena *arena, const int8_t in0_features[1152], int8_t out0_logits[6]);

#endif
