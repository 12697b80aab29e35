/* ds_cnn, made by: edgehar train --model ds_cnn --dataset hapt --out RUN; SHA-256 of the bundle before:
 * 8424ae2204f4a843ed4d2b9bdfd91ee049d029f8df95a43803517326b34f62a2 */
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

#define HAR_MAGIC UINT32_C(0x7f7af396) /* of this model: a context of another one is not taken for its own */

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
    1.0F, 0.972617149F, 0.945984125F, 0.920080364F, 0.894885898F, 0.870381355F, 0.846547842F, 0.82336694F,
    0.800820827F, 0.77889204F, 0.75756377F, 0.736819506F, 0.716643274F, 0.697019517F, 0.677933156F, 0.659369409F,
    0.64131397F, 0.623752952F, 0.606672823F, 0.590060353F, 0.573902845F, 0.558187723F, 0.542902946F, 0.528036714F,
    0.51357758F, 0.499514341F, 0.485836208F, 0.47253263F, 0.459593326F, 0.447008371F, 0.434767991F, 0.422862798F,
    0.411283612F, 0.400021493F, 0.389067769F, 0.378413975F, 0.368051916F, 0.357973605F, 0.348171264F, 0.338637322F,
    0.329364479F, 0.320345521F, 0.311573565F, 0.303041786F, 0.294743627F, 0.286672711F, 0.27882278F, 0.271187812F,
    0.263761938F, 0.256539375F, 0.24951458F, 0.242682159F, 0.236036837F, 0.229573473F, 0.223287091F, 0.217172846F,
    0.211226031F, 0.205442071F, 0.19981648F, 0.194344923F, 0.189023212F, 0.183847204F, 0.178812951F, 0.173916534F,
    0.169154212F, 0.164522275F, 0.160017192F, 0.155635461F, 0.151373714F, 0.147228673F, 0.143197134F, 0.139275983F,
    0.13546221F, 0.131752864F, 0.128145099F, 0.124636114F, 0.121223226F, 0.117903784F, 0.114675239F, 0.111535102F,
    0.108480953F, 0.105510436F, 0.102621257F, 0.0998111963F, 0.0970780775F, 0.0944198072F, 0.0918343216F,
    0.0893196315F, 0.086873807F, 0.0844949558F, 0.0821812376F, 0.0799308792F, 0.0777421445F, 0.0756133422F,
    0.0735428333F, 0.0715290233F, 0.0695703551F, 0.0676653162F, 0.0658124462F, 0.0640103146F, 0.0622575283F,
    0.0605527386F, 0.0588946305F, 0.05728193F, 0.0557133853F, 0.0541877933F, 0.0527039766F, 0.0512607917F,
    0.0498571247F, 0.0484918952F, 0.0471640453F, 0.0458725616F, 0.0446164384F, 0.0433947146F, 0.0422064401F,
    0.0410507098F, 0.0399266221F, 0.0388333164F, 0.0377699509F, 0.0367357023F, 0.0357297733F, 0.0347513892F,
    0.0337997973F, 0.0328742601F, 0.0319740698F, 0.0310985297F, 0.0302469619F, 0.0294187143F, 0.0286131445F,
    0.0278296359F, 0.0270675812F, 0.0263263937F, 0.0256055016F, 0.0249043498F, 0.0242223963F, 0.0235591177F,
    0.0229140017F, 0.0222865511F, 0.0216762815F, 0.0210827235F, 0.0205054171F, 0.0199439209F, 0.0193977989F,
    0.0188666321F, 0.0183500107F, 0.0178475343F, 0.0173588172F, 0.0168834832F, 0.0164211653F, 0.0159715079F,
    0.0155341616F, 0.0151087921F, 0.0146950698F, 0.0142926769F, 0.0139013026F, 0.013520645F, 0.0131504107F,
    0.0127903149F, 0.0124400798F, 0.0120994346F, 0.0117681175F, 0.0114458734F, 0.0111324526F, 0.010827614F,
    0.0105311228F, 0.0102427509F, 0.00996227469F, 0.00968947913F, 0.00942415372F, 0.00916609354F, 0.00891509932F,
    0.00867097825F, 0.00843354221F, 0.00820260774F, 0.00797799695F, 0.00775953662F, 0.00754705817F, 0.00734039815F,
    0.00713939732F, 0.00694390014F, 0.0067537562F, 0.00656881882F, 0.00638894597F, 0.00621399842F, 0.00604384113F,
    0.00587834371F, 0.00571737764F, 0.00556081953F, 0.00540854828F, 0.00526044704F, 0.00511640077F, 0.00497629913F,
    0.00484003406F, 0.00470749987F, 0.00457859505F, 0.00445321994F, 0.00433127815F, 0.00421267562F, 0.00409732014F,
    0.00398512417F, 0.00387599994F, 0.00376986386F, 0.00366663421F, 0.00356623135F, 0.00346857775F, 0.00337359821F,
    0.0032812194F, 0.00319137028F, 0.00310398126F, 0.0030189855F, 0.00293631712F, 0.00285591232F, 0.00277770916F,
    0.00270164758F, 0.00262766867F, 0.00255571562F, 0.00248573278F, 0.00241766637F, 0.00235146377F, 0.00228707399F,
    0.00222444744F, 0.00216353568F, 0.00210429193F, 0.0020466703F, 0.00199062657F, 0.00193611754F, 0.00188310107F,
    0.00183153641F, 0.00178138376F, 0.00173260435F, 0.00168516068F, 0.00163901621F, 0.00159413519F, 0.00155048328F,
    0.00150802662F, 0.00146673247F, 0.00142656919F, 0.00138750556F, 0.00134951179F, 0.00131255831F, 0.00127661671F,
    0.00124165928F, 0.00120765902F, 0.00117458985F, 0.00114242628F, 0.00111114339F, 0.00108071708F, 0.00105112395F,
    0.0010223412F, 0.00099434657F, 0.000967118482F, 0.000940636033F, 0.000914878736F, 0.000889826741F,
    0.000865460723F, 0.000841761939F,
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
