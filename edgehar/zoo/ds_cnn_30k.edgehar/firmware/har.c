/* ds_cnn_30k, made by: edgehar train --model ds_cnn --dataset hapt --set 'model_options={stem_channels = 48,
 * stem_kernel = 9, stem_stride = 2, blocks = [[96, 15, 2], [160, 9, 1]]}' --out RUN; SHA-256 of the bundle before:
 * 6a89cb691d3a930aad0082e7259dcd9a553723bc6db4f083aa903681cb353f04 */
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

#define HAR_MAGIC UINT32_C(0x1f90e670) /* of this model: a context of another one is not taken for its own */

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
    1.0F, 0.942797363F, 0.888866901F, 0.838021398F, 0.790084362F, 0.744889438F, 0.702279806F, 0.662107587F,
    0.624233305F, 0.588525534F, 0.554860294F, 0.523120821F, 0.493196964F, 0.464984804F, 0.43838644F, 0.413309604F,
    0.389667183F, 0.367377222F, 0.346362263F, 0.326549441F, 0.307869971F, 0.290258974F, 0.273655415F, 0.258001596F,
    0.243243232F, 0.229329079F, 0.216210857F, 0.203843027F, 0.192182675F, 0.181189328F, 0.170824811F, 0.161053196F,
    0.151840523F, 0.143154845F, 0.134966016F, 0.127245605F, 0.11996682F, 0.113104403F, 0.106634535F, 0.100534759F,
    0.0947839096F, 0.0893620178F, 0.0842502788F, 0.0794309452F, 0.0748872831F, 0.0706035346F, 0.0665648282F,
    0.0627571419F, 0.0591672733F, 0.0557827502F, 0.0525918305F, 0.0495834388F, 0.0467471369F, 0.0440730751F,
    0.0415519811F, 0.0391751006F, 0.036934182F, 0.034821447F, 0.0328295715F, 0.0309516322F, 0.0291811172F,
    0.0275118817F, 0.0259381291F, 0.0244543999F, 0.0230555441F, 0.0217367075F, 0.0204933099F, 0.0193210393F,
    0.0182158258F, 0.0171738323F, 0.0161914434F, 0.0152652506F, 0.0143920388F, 0.0135687767F, 0.0127926068F,
    0.012060836F, 0.0113709243F, 0.0107204774F, 0.0101072388F, 0.00952907745F, 0.00898398925F, 0.00847008172F,
    0.00798557047F, 0.00752877537F, 0.00709810946F, 0.0066920789F, 0.00630927458F, 0.00594836753F, 0.0056081051F,
    0.00528730685F, 0.00498485938F, 0.00469971215F, 0.00443087611F, 0.00417741854F, 0.00393845933F, 0.00371316914F,
    0.00350076612F, 0.00330051314F, 0.00311171496F, 0.00293371687F, 0.00276590046F, 0.00260768365F, 0.00245851744F,
    0.00231788377F, 0.00218529464F, 0.00206029019F, 0.00194243609F, 0.00183132361F, 0.00172656716F, 0.00162780297F,
    0.0015346884F, 0.00144690019F, 0.00136413367F, 0.00128610164F, 0.00121253321F, 0.0011431732F, 0.00107778073F,
    0.00101612881F, 0.000958003569F, 0.000903203269F, 0.000851537683F, 0.000802827475F, 0.00075690361F,
    0.000713606772F, 0.000672786555F, 0.000634301396F, 0.000598017708F, 0.000563809532F, 0.000531558122F,
    0.000501151604F, 0.000472484448F, 0.000445457088F, 0.000419975782F, 0.000395952055F, 0.000373302551F,
    0.000351948693F, 0.000331816293F, 0.000312835531F, 0.000294940517F, 0.000278069143F, 0.000262162852F,
    0.000247166463F, 0.00023302788F, 0.000219698079F, 0.000207130768F, 0.000195282351F, 0.00018411169F,
    0.000173580018F, 0.00016365078F, 0.000154289533F, 0.000145463768F, 0.000137142852F, 0.000129297929F,
    0.000121901743F, 0.000114928647F, 0.000108354427F, 0.000102156264F, 9.63126586e-05F, 9.08033253e-05F,
    8.56091356e-05F, 8.07120668e-05F, 7.60951298e-05F, 7.17422881e-05F, 6.7638437e-05F, 6.37693447e-05F,
    6.01215688e-05F, 5.66824565e-05F, 5.34400715e-05F, 5.03831579e-05F, 4.75011111e-05F, 4.47839229e-05F,
    4.22221638e-05F, 3.9806946e-05F, 3.75298841e-05F, 3.53830765e-05F, 3.33590724e-05F, 3.1450847e-05F,
    2.96517737e-05F, 2.79556152e-05F, 2.63564816e-05F, 2.48488213e-05F, 2.3427403e-05F, 2.20872935e-05F,
    2.08238434e-05F, 1.96326655e-05F, 1.85096251e-05F, 1.74508259e-05F, 1.64525918e-05F, 1.55114612e-05F,
    1.46241646e-05F, 1.37876241e-05F, 1.29989357e-05F, 1.22553629e-05F, 1.15543235e-05F, 1.08933864e-05F,
    1.02702561e-05F, 9.68277072e-06F, 9.12889027e-06F, 8.60669388e-06F, 8.11436894e-06F, 7.65020559e-06F,
    7.21259357e-06F, 6.80001449e-06F, 6.41103543e-06F, 6.04430761e-06F, 5.69855729e-06F, 5.37258484e-06F,
    5.06525885e-06F, 4.77551293e-06F, 4.5023412e-06F, 4.24479549e-06F, 4.00198178e-06F, 3.7730581e-06F,
    3.55722909e-06F, 3.35374625e-06F, 3.16190335e-06F, 2.98103419e-06F, 2.81051121e-06F, 2.64974256e-06F,
    2.49817026e-06F, 2.35526841e-06F, 2.22054086e-06F, 2.09352015e-06F, 1.97376517e-06F, 1.86086072e-06F,
    1.7544146e-06F, 1.65405743e-06F, 1.5594411e-06F, 1.47023695e-06F, 1.38613552e-06F, 1.30684498e-06F,
    1.23208997e-06F, 1.16161118e-06F, 1.09516395e-06F, 1.03251773e-06F, 9.7345503e-07F, 9.17770819e-07F,
    8.65271943e-07F, 8.15776104e-07F, 7.6911158e-07F, 7.25116365e-07F, 6.83637836e-07F, 6.44531951e-07F,
    6.07663026e-07F, 5.72903105e-07F, 5.40131566e-07F, 5.0923461e-07F, 4.8010503e-07F, 4.52641785e-07F,
    4.26749494e-07F, 4.02338287e-07F, 3.79323495e-07F, 3.57625197e-07F, 3.37168103e-07F, 3.17881188e-07F,
    2.99697547e-07F,
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
