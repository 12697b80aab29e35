/* bilstm, made by: edgehar train --model bilstm --dataset hapt --set 'model_options={layers = 1, units = 24}' --out
 * RUN; SHA-256 of the bundle before: 8e32fe9c99af9268f38b65a47b6eb5463c71f39fe29a13cd60ec33ead1454b26 */
#include "har.h"

#include <stddef.h>

#include "har_decision.h"
#include "har_signal.h"

/* A stage stays a function of its own: a profiler tells stages apart, and the network's stack does not add to theirs. */
#ifdef __GNUC__
#define HAR_STAGE __attribute__((noinline))
#else
#define HAR_STAGE
#endif

#define HAR_MAGIC UINT32_C(0x55a8880a) /* of this model: a context of another one is not taken for its own */

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
    1.0F, 0.975990832F, 0.9525581F, 0.929687977F, 0.907366931F, 0.885581791F, 0.864319742F, 0.843568146F,
    0.823314726F, 0.80354768F, 0.784255147F, 0.765425801F, 0.747048616F, 0.729112566F, 0.711607158F, 0.694522083F,
    0.677847207F, 0.661572635F, 0.645688832F, 0.630186379F, 0.615056098F, 0.600289166F, 0.585876703F, 0.571810305F,
    0.558081567F, 0.544682503F, 0.531605124F, 0.518841743F, 0.50638479F, 0.494226903F, 0.482360929F, 0.470779836F,
    0.459476799F, 0.448445141F, 0.437678367F, 0.427170068F, 0.416914076F, 0.40690431F, 0.39713487F, 0.387600005F,
    0.378294051F, 0.369211525F, 0.360347062F, 0.351695418F, 0.343251497F, 0.33501032F, 0.326967001F, 0.319116801F,
    0.311455071F, 0.303977281F, 0.29667905F, 0.289556026F, 0.282604039F, 0.275818944F, 0.269196749F, 0.262733579F,
    0.25642556F, 0.250268996F, 0.244260237F, 0.238395751F, 0.232672065F, 0.227085799F, 0.221633658F, 0.216312423F,
    0.211118937F, 0.206050143F, 0.201103061F, 0.196274742F, 0.19156234F, 0.186963096F, 0.182474256F, 0.17809321F,
    0.173817337F, 0.169644132F, 0.165571108F, 0.161595881F, 0.15771611F, 0.153929472F, 0.15023376F, 0.14662677F,
    0.143106386F, 0.139670506F, 0.136317134F, 0.133044273F, 0.12985F, 0.126732409F, 0.123689666F, 0.120719977F,
    0.117821597F, 0.114992797F, 0.11223191F, 0.109537318F, 0.10690742F, 0.104340658F, 0.101835527F, 0.099390544F,
    0.0970042571F, 0.0946752653F, 0.09240219F, 0.0901836902F, 0.0880184546F, 0.0859052017F, 0.0838426948F,
    0.0818296969F, 0.0798650384F, 0.0779475421F, 0.0760760903F, 0.0742495656F, 0.072466895F, 0.0707270205F,
    0.0690289289F, 0.0673715994F, 0.0657540634F, 0.0641753599F, 0.0626345649F, 0.0611307621F, 0.0596630611F,
    0.0582306013F, 0.0568325333F, 0.0554680303F, 0.0541362911F, 0.0528365225F, 0.0515679605F, 0.0503298566F,
    0.0491214804F, 0.0479421131F, 0.0467910618F, 0.0456676483F, 0.044571206F, 0.0435010903F, 0.0424566641F,
    0.041437313F, 0.0404424407F, 0.0394714512F, 0.0385237709F, 0.0375988483F, 0.0366961323F, 0.0358150899F,
    0.0349551961F, 0.0341159515F, 0.033296857F, 0.0324974284F, 0.0317171924F, 0.0309556872F, 0.0302124675F,
    0.0294870902F, 0.0287791304F, 0.0280881673F, 0.0274137929F, 0.0267556105F, 0.0261132307F, 0.0254862737F,
    0.0248743705F, 0.0242771562F, 0.0236942824F, 0.0231254026F, 0.0225701798F, 0.0220282897F, 0.0214994084F,
    0.0209832247F, 0.0204794351F, 0.0199877415F, 0.0195078515F, 0.0190394856F, 0.0185823627F, 0.0181362163F,
    0.0177007802F, 0.0172757991F, 0.0168610215F, 0.0164562017F, 0.016061103F, 0.0156754889F, 0.015299133F,
    0.0149318138F, 0.0145733133F, 0.0142234201F, 0.0138819283F, 0.013548634F, 0.0132233426F, 0.0129058613F,
    0.0125960028F, 0.0122935828F, 0.0119984243F, 0.0117103523F, 0.0114291962F, 0.0111547904F, 0.0108869737F,
    0.0106255859F, 0.0103704743F, 0.010121488F, 0.00987847988F, 0.00964130554F, 0.00940982532F, 0.00918390322F,
    0.00896340609F, 0.00874820165F, 0.00853816513F, 0.00833317079F, 0.00813309755F, 0.00793782901F, 0.00774724828F,
    0.0075612436F, 0.00737970416F, 0.00720252376F, 0.00702959718F, 0.00686082244F, 0.00669609942F, 0.00653533172F,
    0.00637842389F, 0.00622528326F, 0.00607581949F, 0.00592994411F, 0.00578757096F, 0.00564861624F, 0.00551299751F,
    0.00538063515F, 0.00525145046F, 0.00512536755F, 0.0050023119F, 0.0048822104F, 0.00476499274F, 0.00465058908F,
    0.00453893235F, 0.00442995643F, 0.0043235966F, 0.00421979092F, 0.00411847699F, 0.00401959568F, 0.00392308878F,
    0.00382889854F, 0.00373697001F, 0.00364724849F, 0.00355968089F, 0.00347421598F, 0.003390803F, 0.0033093926F,
    0.00322993682F, 0.00315238861F, 0.00307670259F, 0.00300283334F, 0.0029307378F, 0.00286037335F, 0.00279169809F,
    0.00272467174F, 0.00265925471F, 0.00259540812F, 0.00253309449F, 0.00247227703F, 0.00241291965F, 0.00235498743F,
    0.00229844614F, 0.00224326248F, 0.00218940363F, 0.00213683792F, 0.00208553416F, 0.0020354623F,
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

/* From logits to answers: smoothing none. */
HAR_STAGE static void har_decide(har_context *ctx)
{
    har_decision *decision = &ctx->decision;
    har_probabilities(decision->head_activity.logits, 6, har_powers_head_activity, decision->head_activity.probability);
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
