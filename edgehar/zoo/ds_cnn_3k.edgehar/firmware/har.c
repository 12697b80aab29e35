/* ds_cnn_3k, made by: edgehar train --model ds_cnn --dataset hapt --set 'model_options={stem_channels = 12,
 * stem_kernel = 9, stem_stride = 4, blocks = [[24, 15, 1], [40, 9, 1]]}' --out RUN; SHA-256 of the bundle before:
 * 1064321df7facafeaac323a8180eddad3b7560d88e86800a7208b765cfa14572 */
#include "har.h"

#include <stddef.h>

#include "har_decision.h"
#include "har_hmm.h"
#include "har_signal.h"

/* A stage stays a function of its own: a profiler tells stages apart, and the network's stack does not add to theirs. */
#ifdef __GNUC__
#define HAR_STAGE __attribute__((noinline))
#else
#define HAR_STAGE
#endif

#define HAR_MAGIC UINT32_C(0xbf04ad0b) /* of this model: a context of another one is not taken for its own */

typedef char har_context_bytes_are_right[sizeof(har_context) <= HAR_CONTEXT_BYTES ? 1 : -1];

const char *const har_activity_labels[6] = {
    "walking", "upstairs", "downstairs", "sitting", "standing", "laying",
};

static const uint8_t har_select[9] = {
    0, 1, 2, 0, 1, 2, 3, 4, 5,
};

static const float har_inverse_scale_1[6] = {
    200.0F, 200.0F, 200.0F, 100.0F, 100.0F, 100.0F,
};

static const float har_mean[9] = {
    0.803273439F, 0.0226751324F, 0.0817350596F, 0.0229536779F, 0.0250685979F, 0.0438007787F, 0.263674885F,
    -0.0307650082F, -0.0142791374F,
};

static const float har_inv_std[9] = {
    2.39336061F, 2.57351613F, 2.70258832F, 0.539222181F, 0.585793376F, 0.606995046F, 0.401649415F, 0.401968509F,
    0.452030867F,
};

static const float har_powers_head_activity[256] = {
    1.0F, 0.947213292F, 0.897213101F, 0.849852204F, 0.804991305F, 0.762498498F, 0.722248733F, 0.684123635F,
    0.648011029F, 0.613804638F, 0.581403971F, 0.550713539F, 0.521643221F, 0.494107395F, 0.468025118F, 0.443319619F,
    0.419918269F, 0.397752166F, 0.376756161F, 0.356868446F, 0.338030547F, 0.320187032F, 0.30328542F, 0.287276F,
    0.272111654F, 0.257747769F, 0.24414213F, 0.231254682F, 0.219047517F, 0.207484722F, 0.196532294F, 0.186158001F,
    0.176331341F, 0.167023391F, 0.158206791F, 0.149855569F, 0.141945198F, 0.134452388F, 0.127355084F, 0.120632432F,
    0.114264652F, 0.108232997F, 0.102519736F, 0.0971080586F, 0.0919820517F, 0.0871266201F, 0.0825274959F,
    0.0781711414F, 0.0740447491F, 0.0701361746F, 0.066433914F, 0.0629270896F, 0.0596053787F, 0.0564590096F,
    0.0534787253F, 0.0506557599F, 0.0479818135F, 0.045449011F, 0.0430499092F, 0.0407774486F, 0.0386249423F,
    0.0365860574F, 0.0346548036F, 0.0328254923F, 0.0310927425F, 0.0294514596F, 0.027896814F, 0.0264242347F,
    0.0250293873F, 0.0237081684F, 0.0224566925F, 0.0212712791F, 0.0201484393F, 0.019084869F, 0.0180774424F,
    0.0171231944F, 0.0162193179F, 0.015363154F, 0.0145521844F, 0.013784023F, 0.0130564105F, 0.0123672057F,
    0.0117143821F, 0.0110960184F, 0.0105102966F, 0.0099554928F, 0.00942997541F, 0.0089321984F, 0.00846069772F,
    0.00801408477F, 0.00759104826F, 0.00719034206F, 0.0068107876F, 0.00645126868F, 0.00611072779F, 0.00578816282F,
    0.00548262475F, 0.00519321533F, 0.00491908286F, 0.00465942081F, 0.0044134655F, 0.0041804933F, 0.00395981874F,
    0.00375079317F, 0.00355280121F, 0.00336526078F, 0.00318761985F, 0.00301935594F, 0.00285997405F, 0.00270900549F,
    0.00256600627F, 0.00243055518F, 0.00230225432F, 0.00218072603F, 0.0020656127F, 0.00195657578F, 0.00185329467F,
    0.0017554654F, 0.0016628002F, 0.00157502654F, 0.0014918861F, 0.00141313439F, 0.00133853976F, 0.00126788265F,
    0.00120095536F, 0.00113756093F, 0.00107751286F, 0.00102063455F, 0.000966758584F, 0.000915726647F,
    0.000867388444F, 0.00082160189F, 0.000778232294F, 0.000737152004F, 0.000698240183F, 0.000661382393F,
    0.000626470195F, 0.00059340091F, 0.000562077272F, 0.000532407081F, 0.000504303083F, 0.000477682595F,
    0.000452467328F, 0.000428583066F, 0.000405959581F, 0.000384530344F, 0.000364232255F, 0.000345005654F,
    0.000326793932F, 0.000309543568F, 0.000293203804F, 0.000277726533F, 0.000263066293F, 0.000249179895F,
    0.000236026506F, 0.000223567447F, 0.000211766062F, 0.000200587645F, 0.000189999279F, 0.000179969851F,
    0.000170469837F, 0.000161471311F, 0.000152947774F, 0.000144874168F, 0.000137226743F, 0.000129983004F,
    0.00012312163F, 0.000116622447F, 0.000110466332F, 0.000104635183F, 9.91118359e-05F, 9.38800513e-05F,
    8.89244402e-05F, 8.42304144e-05F, 7.97841712e-05F, 7.55726287e-05F, 7.15833958e-05F, 6.78047509e-05F,
    6.42255618e-05F, 6.08353075e-05F, 5.76240127e-05F, 5.45822331e-05F, 5.17010194e-05F, 4.8971895e-05F,
    4.63868309e-05F, 4.39382238e-05F, 4.16188705e-05F, 3.94219496e-05F, 3.73409966e-05F, 3.53698888e-05F,
    3.35028271e-05F, 3.17343256e-05F, 3.00591764e-05F, 2.8472452e-05F, 2.69694865e-05F, 2.55458563e-05F,
    2.41973758e-05F, 2.29200759e-05F, 2.17102024e-05F, 2.05641918e-05F, 1.94786771e-05F, 1.84504624e-05F,
    1.74765228e-05F, 1.6553995e-05F, 1.56801652e-05F, 1.48524614e-05F, 1.40684497e-05F, 1.33258227e-05F,
    1.26223968e-05F, 1.19561028e-05F, 1.13249798e-05F, 1.07271717e-05F, 1.01609194e-05F, 9.62455852e-06F,
    9.11651023e-06F, 8.6352793e-06F, 8.17945238e-06F, 7.74768614e-06F, 7.33871138e-06F, 6.9513253e-06F,
    6.58438785e-06F, 6.2368199e-06F, 5.90759873e-06F, 5.59575619e-06F, 5.30037505e-06F, 5.02058583e-06F,
    4.75556544e-06F, 4.5045349e-06F, 4.2667557e-06F, 4.04152797e-06F, 3.82818916e-06F, 3.62611149e-06F,
    3.43470128e-06F, 3.25339465e-06F, 3.08165886e-06F, 2.91898823e-06F, 2.76490459e-06F, 2.61895457e-06F,
    2.48070864e-06F, 2.34976028e-06F, 2.22572407e-06F, 2.10823555e-06F, 1.99694887e-06F, 1.8915365e-06F,
    1.79168865e-06F, 1.69711132e-06F, 1.60752643e-06F, 1.52267046e-06F, 1.44229375e-06F, 1.36615984e-06F,
    1.29404486e-06F, 1.22573647e-06F, 1.16103388e-06F, 1.09974678e-06F, 1.04169487e-06F, 9.86707164e-07F,
};

static const float har_transitions[36] = {
    0.977580786F, 0.00104280002F, 0.0198123008F, 0.000521400012F, 0.000521400012F, 0.000521400012F, 0.000430699991F,
    0.964685619F, 0.0335916989F, 0.000430699991F, 0.000430699991F, 0.000430699991F, 0.000705700018F, 0.0811574012F,
    0.916019797F, 0.000705700018F, 0.000705700018F, 0.000705700018F, 0.000673900009F, 0.000673900009F,
    0.000673900009F, 0.945417821F, 0.0262803007F, 0.0262803007F, 0.000515999971F, 0.000515999971F, 0.000515999971F,
    0.0201238003F, 0.958204329F, 0.0201238003F, 0.0182412993F, 0.000467700011F, 0.000467700011F, 0.0182412993F,
    0.000467700011F, 0.962114096F,
};

static const float har_rarity[6] = {
    6.04045296F, 7.02516556F, 7.73614168F, 5.68733406F, 5.11633539F, 5.22032642F,
};

/* Replace values that are not numbers, and let the others saturate. */
HAR_STAGE static void har_repair(har_context *ctx, const float *sample, float *raw)
{
    int replaced = 0;
    for (int i = 0; i < HAR_CHANNELS; i++) {
        if (har_is_finite(sample[i])) {
            ctx->good[i] = sample[i];
        } else {
            replaced = 1;
        }
        raw[i] = har_limit(ctx->good[i], HAR_RAW_LIMIT);
    }
    ctx->invalid_samples += (uint64_t)replaced;
}

/* Raw channels to columns:
 * acc_x, acc_y, acc_z, slog_diff_acc_x, slog_diff_acc_y, slog_diff_acc_z, slog_gyro_x, slog_gyro_y, slog_gyro_z
 */
HAR_STAGE static void har_front_end(har_context *ctx, const float *raw, float *column)
{
    for (int i = 0; i < 9; i++) {
        column[i] = raw[har_select[i]];
    }
    /* first difference: slog_diff_acc_x, slog_diff_acc_y, slog_diff_acc_z */
    for (int i = 0; i < 3; i++) {
        float *at = column + 3 + i;
        const float now = *at;
        *at = now - (ctx->samples == 0 ? now : ctx->past_0[i]);
        ctx->past_0[i] = now;
    }
    /* signed logarithm: slog_diff_acc_x, slog_diff_acc_y, slog_diff_acc_z, slog_gyro_x, slog_gyro_y, slog_gyro_z */
    for (int i = 0; i < 6; i++) {
        float *at = column + 3 + i;
        *at = har_signed_log(*at, har_inverse_scale_1[i]);
    }
    /* to the mean and deviation of the training people */
    for (int i = 0; i < 9; i++) {
        column[i] = column[i] - har_mean[i];
        column[i] = column[i] * har_inv_std[i];
    }
}

/* Put the sample's columns into the window of each input; whether the windows are complete. */
HAR_STAGE static int har_collect(har_context *ctx, const float *column)
{
    if (ctx->rows == HAR_WINDOW) { /* the windows of the last decision: keep what the next ones share with them */
        memmove(ctx->inputs, ctx->inputs + 9 * HAR_HOP, 9 * (HAR_WINDOW - HAR_HOP));
        ctx->rows = HAR_WINDOW - HAR_HOP;
    }
    for (int i = 0; i < 9; i++) {
        ctx->inputs[9 * ctx->rows + i] = har_quantize(column[i], 31.6694775F, 24);
    }
    ctx->rows++;
    return ctx->rows == HAR_WINDOW;
}

/* Run the network over the complete windows. */
HAR_STAGE static void har_infer(har_context *ctx)
{
    har_model_run(&ctx->arena, ctx->inputs, ctx->decision.head_activity.logits);
}

/* From logits to answers: smoothing hmm. */
HAR_STAGE static void har_decide(har_context *ctx)
{
    har_decision *decision = &ctx->decision;
    float evidence[6];
    float past[6];
    memcpy(past, decision->head_activity.probability, sizeof past);
    har_probabilities(decision->head_activity.logits, 6, har_powers_head_activity, evidence);
    har_hmm_evidence(evidence, har_rarity, 6, 6);
    if (ctx->decisions == 0) {
        memcpy(decision->head_activity.probability, evidence, sizeof evidence);
        har_hmm_normalise(decision->head_activity.probability, 6, 6);
    } else {
        har_hmm_forward(past, har_transitions, evidence, 6, decision->head_activity.probability);
    }
    decision->head_activity.label = har_largest(decision->head_activity.probability, 6);
    ctx->decisions++;
}

/* Announce an activity after a single decision for it. */
HAR_STAGE static void har_announce(har_context *ctx, har_event *event)
{
    const har_head_activity *answer = &ctx->decision.head_activity;
    const int16_t label = answer->label;
    if (label == ctx->label) {
        ctx->settled = 1;
        return;
    }
    if (ctx->settled || label != ctx->candidate) {
        ctx->candidate = label;
        ctx->candidate_start = ctx->samples - 1;
        ctx->candidate_ms = ctx->decision.t_ms;
        ctx->candidate_count = 0;
        ctx->settled = 0;
    }
    ctx->candidate_count++;
    if (ctx->candidate_count < 1) {
        return;
    }
    event->kind = HAR_EVENT_ACTIVITY;
    event->label = label;
    event->probability = answer->probability[label];
    event->start = ctx->candidate_start;
    event->start_ms = ctx->candidate_ms;
    event->ended = ctx->label;
    event->ended_start = ctx->label_start;
    event->ended_start_ms = ctx->label_ms;
    ctx->label = label;
    ctx->label_start = ctx->candidate_start;
    ctx->label_ms = ctx->candidate_ms;
    ctx->settled = 1;
}

har_status har_init(har_context *ctx)
{
    if (ctx == NULL) {
        return HAR_ERROR_ARGUMENT;
    }
    if (!har_arithmetic_is_exact()) {
        return HAR_ERROR_ARITHMETIC;
    }
    memset(ctx, 0, sizeof *ctx);
    ctx->label = HAR_NO_LABEL;
    ctx->candidate = HAR_NO_LABEL;
    ctx->settled = 1;
    ctx->magic = HAR_MAGIC;
    return HAR_OK;
}

har_status har_reset(har_context *ctx)
{
    return har_init(ctx);
}

har_status har_push(har_context *ctx, const float sample[HAR_CHANNELS], uint32_t t_ms, har_event *event)
{
    float raw[HAR_CHANNELS];
    float column[9];
    if (ctx == NULL || sample == NULL || event == NULL) {
        return HAR_ERROR_ARGUMENT;
    }
    memset(event, 0, sizeof *event); /* HAR_EVENT_NONE */
    if (ctx->magic != HAR_MAGIC) {
        return HAR_ERROR_NOT_INITIALISED;
    }
    har_repair(ctx, sample, raw);
    har_front_end(ctx, raw, column);
    ctx->samples++;
    ctx->decided = (uint8_t)har_collect(ctx, column);
    if (ctx->decided) {
        ctx->decision.start = ctx->samples - HAR_WINDOW;
        ctx->decision.t_ms = t_ms;
        har_infer(ctx);
        har_decide(ctx);
        har_announce(ctx, event);
    }
    return HAR_OK;
}

const har_decision *har_decided(const har_context *ctx)
{
    return ctx != NULL && ctx->magic == HAR_MAGIC && ctx->decided ? &ctx->decision : NULL;
}

int16_t har_activity(const har_context *ctx)
{
    return ctx != NULL && ctx->magic == HAR_MAGIC ? ctx->label : HAR_NO_LABEL;
}

uint64_t har_invalid_samples(const har_context *ctx)
{
    return ctx != NULL && ctx->magic == HAR_MAGIC ? ctx->invalid_samples : 0;
}
