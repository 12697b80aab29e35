/* ds_cnn_3k, made by: edgehar train --model ds_cnn --dataset hapt --set 'model_options={stem_channels = 12,
 * stem_kernel = 9, stem_stride = 4, blocks = [[24, 15, 1], [40, 9, 1]]}' --out RUN; SHA-256 of the bundle before:
 * 46f696fa472a8ed6540fe2f376f04fd3f9d63c6657c7371d9868a9adc1f7e51e */
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

#define HAR_MAGIC UINT32_C(0x69f0cf9e) /* of this model: a context of another one is not taken for its own */

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
    1.0F, 0.974680245F, 0.950001597F, 0.925947785F, 0.902503014F, 0.879651845F, 0.857379258F, 0.83567065F,
    0.814511657F, 0.79388845F, 0.773787379F, 0.754195273F, 0.735099196F, 0.716486692F, 0.698345423F, 0.680663466F,
    0.66342926F, 0.64663136F, 0.630258858F, 0.614300847F, 0.598746896F, 0.583586752F, 0.568810463F, 0.554408371F,
    0.540370882F, 0.526688814F, 0.513353169F, 0.500355184F, 0.487686306F, 0.475338221F, 0.463302761F, 0.451572061F,
    0.44013837F, 0.428994179F, 0.418132156F, 0.407545149F, 0.397226185F, 0.387168527F, 0.3773655F, 0.367810696F,
    0.358497828F, 0.349420756F, 0.340573519F, 0.331950277F, 0.323545367F, 0.315353274F, 0.307368606F, 0.299586117F,
    0.292000651F, 0.284607291F, 0.27740109F, 0.270377368F, 0.263531476F, 0.256858915F, 0.250355303F, 0.244016379F,
    0.23783794F, 0.231815949F, 0.225946426F, 0.220225513F, 0.214649454F, 0.209214583F, 0.203917325F, 0.198754191F,
    0.193721786F, 0.188816786F, 0.184036002F, 0.179376245F, 0.17483449F, 0.170407727F, 0.166093037F, 0.161887601F,
    0.157788649F, 0.153793484F, 0.149899468F, 0.146104053F, 0.142404735F, 0.138799071F, 0.135284722F, 0.131859347F,
    0.128520697F, 0.125266582F, 0.122094862F, 0.119003452F, 0.115990311F, 0.113053463F, 0.11019098F, 0.107400969F,
    0.104681604F, 0.102031089F, 0.09944769F, 0.0969296992F, 0.094475463F, 0.0920833647F, 0.0897518396F,
    0.0874793455F, 0.0852643847F, 0.083105512F, 0.0810013041F, 0.0789503679F, 0.0769513622F, 0.0750029758F,
    0.0731039196F, 0.0712529421F, 0.0694488361F, 0.0676904097F, 0.065976508F, 0.0643059984F, 0.0626777858F,
    0.0610907972F, 0.0595439933F, 0.0580363534F, 0.0565668903F, 0.055134628F, 0.053738635F, 0.0523779839F,
    0.051051788F, 0.0497591682F, 0.0484992787F, 0.0472712889F, 0.0460743904F, 0.0449077971F, 0.0437707454F,
    0.042662479F, 0.0415822752F, 0.0405294225F, 0.0395032279F, 0.0385030136F, 0.0375281274F, 0.0365779251F,
    0.0356517807F, 0.0347490869F, 0.0338692479F, 0.0330116861F, 0.0321758389F, 0.0313611552F, 0.0305670984F,
    0.029793147F, 0.0290387906F, 0.0283035357F, 0.0275868978F, 0.026888404F, 0.0262075961F, 0.0255440269F,
    0.0248972587F, 0.0242668651F, 0.0236524343F, 0.0230535604F, 0.0224698503F, 0.0219009183F, 0.0213463921F,
    0.0208059065F, 0.0202791076F, 0.0197656453F, 0.0192651842F, 0.0187773947F, 0.0183019545F, 0.0178385545F,
    0.0173868854F, 0.0169466548F, 0.0165175684F, 0.0160993487F, 0.0156917162F, 0.0152944066F, 0.0149071552F,
    0.0145297097F, 0.0141618215F, 0.0138032474F, 0.0134537527F, 0.0131131066F, 0.0127810864F, 0.0124574723F,
    0.0121420519F, 0.0118346186F, 0.0115349684F, 0.0112429056F, 0.0109582385F, 0.0106807789F, 0.0104103442F,
    0.0101467567F, 0.00988984294F, 0.00963943452F, 0.00939536653F, 0.00915747788F, 0.00892561302F, 0.00869961828F,
    0.00847934652F, 0.00826465152F, 0.00805539265F, 0.00785143208F, 0.00765263569F, 0.00745887263F, 0.00727001578F,
    0.0070859408F, 0.00690652663F, 0.00673165498F, 0.00656121131F, 0.00639508292F, 0.00623316085F, 0.00607533893F,
    0.00592151284F, 0.00577158155F, 0.00562544633F, 0.00548301125F, 0.00534418318F, 0.00520886946F, 0.00507698208F,
    0.00494843442F, 0.00482314127F, 0.0047010202F, 0.00458199158F, 0.00446597673F, 0.00435289927F, 0.00424268516F,
    0.00413526129F, 0.00403055735F, 0.00392850488F, 0.00382903591F, 0.00373208569F, 0.00363759021F, 0.0035454873F,
    0.00345571642F, 0.00336821843F, 0.00328293606F, 0.00319981296F, 0.00311879441F, 0.00303982734F, 0.00296285958F,
    0.00288784085F, 0.00281472132F, 0.00274345325F, 0.00267398963F, 0.0026062848F, 0.00254029431F, 0.00247597485F,
    0.0024132838F, 0.00235217996F, 0.00229262328F, 0.00223457464F, 0.00217799586F, 0.00212284946F, 0.00206909934F,
    0.00201671035F, 0.0019656478F, 0.00191587803F, 0.00186736847F, 0.00182008708F, 0.00177400291F, 0.00172908569F,
    0.00168530561F, 0.00164263404F, 0.00160104304F, 0.00156050501F, 0.00152099342F, 0.00148248218F, 0.00144494616F,
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
