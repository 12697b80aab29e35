/* ds_cnn, made by: edgehar train --model ds_cnn --dataset hapt --out RUN; SHA-256 of the bundle before:
 * 246298c85135174b0d07fe2b61aa096be14c60ef08addee6000b2e1ec9dc5e82 */
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

#define HAR_MAGIC UINT32_C(0x336574ac) /* of this model: a context of another one is not taken for its own */

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
    1.0F, 0.927404165F, 0.860078514F, 0.797640443F, 0.739735067F, 0.686033428F, 0.63623023F, 0.590042591F,
    0.547207952F, 0.507482946F, 0.470641822F, 0.436475188F, 0.404788941F, 0.375402957F, 0.348150253F, 0.322876006F,
    0.299436569F, 0.277698725F, 0.257538944F, 0.238842711F, 0.221503735F, 0.205423489F, 0.190510601F, 0.176680326F,
    0.163854077F, 0.151958957F, 0.140927374F, 0.130696639F, 0.121208608F, 0.112409368F, 0.104248919F, 0.096680887F,
    0.0896622539F, 0.083153151F, 0.0771165788F, 0.0715182424F, 0.0663263127F, 0.0615113042F, 0.0570458397F,
    0.05290455F, 0.0490639023F, 0.0455020666F, 0.042198807F, 0.0391353518F, 0.0362942889F, 0.0336594768F,
    0.0312159378F, 0.0289497916F, 0.0268481579F, 0.0248990934F, 0.0230915248F, 0.0214151759F, 0.0198605247F,
    0.018418733F, 0.0170816109F, 0.0158415567F, 0.0146915261F, 0.0136249829F, 0.0126358662F, 0.0117185554F,
    0.0108678369F, 0.0100788772F, 0.00934719294F, 0.00866862666F, 0.00803931989F, 0.00745569915F, 0.0069144466F,
    0.00641248701F, 0.00594696729F, 0.005515242F, 0.0051148585F, 0.00474354159F, 0.00439917995F, 0.00407981826F,
    0.00378364045F, 0.00350896385F, 0.00325422781F, 0.00301798456F, 0.00279889139F, 0.00259570358F, 0.00240726653F,
    0.00223250897F, 0.00207043812F, 0.00192013301F, 0.0017807394F, 0.00165146519F, 0.00153157569F, 0.00142038974F,
    0.00131727534F, 0.00122164667F, 0.00113296031F, 0.00105071208F, 0.000974434777F, 0.00090369489F,
    0.000838090433F, 0.000777248584F, 0.000720823591F, 0.000668494846F, 0.000619964907F, 0.000574958045F,
    0.000533218496F, 0.000494509062F, 0.000458609778F, 0.000425316626F, 0.000394440431F, 0.000365805696F,
    0.000339249731F, 0.000314621633F, 0.000291781413F, 0.000270599296F, 0.000250954938F, 0.000232736653F,
    0.000215840948F, 0.000200171795F, 0.000185640165F, 0.000172163462F, 0.000159665113F, 0.00014807409F,
    0.000137324532F, 0.00012735535F, 0.000118109885F, 0.000109535598F, 0.000101583777F, 9.42092156e-05F,
    8.73700264e-05F, 8.10273268e-05F, 7.51450789e-05F, 6.96898642e-05F, 6.46306726e-05F, 5.99387531e-05F,
    5.55874503e-05F, 5.15520369e-05F, 4.78095717e-05F, 4.4338798e-05F, 4.11199871e-05F, 3.81348473e-05F,
    3.53664182e-05F, 3.27989655e-05F, 3.04178975e-05F, 2.82096844e-05F, 2.61617788e-05F, 2.42625447e-05F,
    2.25011845e-05F, 2.08676938e-05F, 1.93527867e-05F, 1.79478538e-05F, 1.66449154e-05F, 1.54365644e-05F,
    1.43159341e-05F, 1.32766572e-05F, 1.23128275e-05F, 1.14189679e-05F, 1.0589999e-05F, 9.82120946e-06F,
    9.10823019e-06F, 8.44701117e-06F, 7.83379346e-06F, 7.26509279e-06F, 6.73767772e-06F, 6.24855056e-06F,
    5.79493189e-06F, 5.37424376e-06F, 4.98409645e-06F, 4.62227172e-06F, 4.2867141e-06F, 3.97551685e-06F,
    3.68691076e-06F, 3.41925647e-06F, 3.17103286e-06F, 2.94082906e-06F, 2.72733723e-06F, 2.5293441e-06F,
    2.34572417e-06F, 2.17543447e-06F, 2.01750709e-06F, 1.87104445e-06F, 1.73521448e-06F, 1.60924515e-06F,
    1.49242067e-06F, 1.38407722e-06F, 1.28359898e-06F, 1.19041511e-06F, 1.10399594e-06F, 1.02385047e-06F,
    9.49523212e-07F, 8.80591756e-07F, 8.1666451e-07F, 7.57378075e-07F, 7.02395596e-07F, 6.51404605e-07F,
    6.04115371e-07F, 5.60259139e-07F, 5.19586649e-07F, 4.81866834e-07F, 4.46885338e-07F, 4.14443321e-07F,
    3.84356468e-07F, 3.56453796e-07F, 3.30576739e-07F, 3.06578272e-07F, 2.8432197e-07F, 2.63681386e-07F,
    2.44539223e-07F, 2.26786696e-07F, 2.10322924e-07F, 1.95054355e-07F, 1.80894233e-07F, 1.67762067e-07F,
    1.55583237e-07F, 1.44288549e-07F, 1.33813813e-07F, 1.24099486e-07F, 1.1509038e-07F, 1.067353e-07F,
    9.89867672e-08F, 9.1800743e-08F, 8.51363922e-08F, 7.89558428e-08F, 7.32239798e-08F, 6.79082248e-08F,
    6.29783727e-08F, 5.84064068e-08F, 5.41663461e-08F, 5.0234096e-08F, 4.65873136e-08F, 4.32052687e-08F,
    4.00687483e-08F, 3.71599249e-08F, 3.44622677e-08F, 3.19604538e-08F, 2.96402565e-08F, 2.74884986e-08F,
    2.54929482e-08F, 2.36422668e-08F, 2.19259384e-08F, 2.03342072e-08F, 1.8858028e-08F, 1.74890147e-08F,
    1.62193849e-08F, 1.5041925e-08F, 1.39499443e-08F, 1.29372371e-08F, 1.19980479e-08F, 1.11270397e-08F,
    1.03192637e-08F, 9.5701278e-09F, 8.87537688e-09F, 8.23106117e-09F, 7.63352137e-09F, 7.07935932e-09F,
    6.56542731e-09F, 6.08880502e-09F, 5.64678304e-09F, 5.23685051e-09F, 4.85667684e-09F, 4.50410242e-09F,
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
