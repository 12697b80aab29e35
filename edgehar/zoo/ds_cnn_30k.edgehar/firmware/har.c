/* ds_cnn_30k, made by: edgehar train --model ds_cnn --dataset hapt --set 'model_options={stem_channels = 48,
 * stem_kernel = 9, stem_stride = 2, blocks = [[96, 15, 2], [160, 9, 1]]}' --out RUN; SHA-256 of the bundle before:
 * 5f701aac2d8b2dc3d953a507e0f1afb83c99b506ee933d87251e1f00eb6121c9 */
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

#define HAR_MAGIC UINT32_C(0x04e3248b) /* of this model: a context of another one is not taken for its own */

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
    1.0F, 0.976305485F, 0.953172326F, 0.930587351F, 0.908537507F, 0.887010157F, 0.865992844F, 0.845473528F,
    0.825440407F, 0.805881977F, 0.786786973F, 0.768144429F, 0.749943614F, 0.732174039F, 0.714825511F, 0.697888017F,
    0.6813519F, 0.665207565F, 0.649445772F, 0.634057462F, 0.619033754F, 0.604366004F, 0.590045869F, 0.576065004F,
    0.562415421F, 0.549089193F, 0.536078811F, 0.523376644F, 0.51097548F, 0.498868167F, 0.487047702F, 0.475507319F,
    0.464240402F, 0.453240424F, 0.442501098F, 0.432016253F, 0.421779811F, 0.41178593F, 0.402028859F, 0.392502964F,
    0.383202791F, 0.374122977F, 0.365258306F, 0.356603682F, 0.348154098F, 0.339904755F, 0.331850886F, 0.323987812F,
    0.316311061F, 0.308816224F, 0.301498979F, 0.294355094F, 0.287380487F, 0.280571133F, 0.273923129F, 0.26743263F,
    0.261095941F, 0.254909396F, 0.248869434F, 0.242972583F, 0.237215459F, 0.231594756F, 0.226107225F, 0.220749706F,
    0.215519145F, 0.210412517F, 0.205426887F, 0.200559393F, 0.195807233F, 0.191167668F, 0.186638042F, 0.182215735F,
    0.177898213F, 0.173683003F, 0.169567659F, 0.16554983F, 0.161627203F, 0.157797515F, 0.154058576F, 0.150408238F,
    0.146844372F, 0.143364966F, 0.139968008F, 0.136651516F, 0.133413628F, 0.130252451F, 0.127166182F, 0.124153033F,
    0.121211283F, 0.118339241F, 0.115535244F, 0.112797692F, 0.110124998F, 0.107515641F, 0.104968108F, 0.102480933F,
    0.100052692F, 0.0976819918F, 0.0953674614F, 0.0931077749F, 0.0909016281F, 0.0887477547F, 0.0866449177F,
    0.0845919028F, 0.0825875401F, 0.0806306675F, 0.0787201598F, 0.0768549219F, 0.0750338808F, 0.073255986F,
    0.0715202168F, 0.0698255748F, 0.0681710914F, 0.066555813F, 0.0649788007F, 0.0634391606F, 0.0619359948F,
    0.0604684502F, 0.0590356775F, 0.0576368533F, 0.0562711768F, 0.0549378544F, 0.0536361299F, 0.0523652434F,
    0.0511244759F, 0.0499131046F, 0.0487304367F, 0.0475757904F, 0.0464485027F, 0.0453479253F, 0.0442734286F,
    0.0432243906F, 0.0422002077F, 0.0412002914F, 0.0402240716F, 0.0392709784F, 0.0383404717F, 0.0374320112F,
    0.0365450792F, 0.0356791578F, 0.0348337591F, 0.0340083875F, 0.0332025737F, 0.0324158557F, 0.0316477753F,
    0.0308978967F, 0.0301657841F, 0.0294510201F, 0.0287531912F, 0.0280718971F, 0.0274067465F, 0.0267573558F,
    0.0261233523F, 0.025504373F, 0.0249000583F, 0.0243100617F, 0.0237340461F, 0.0231716782F, 0.0226226375F,
    0.0220866036F, 0.0215632711F, 0.02105234F, 0.0205535144F, 0.0200665072F, 0.0195910409F, 0.0191268399F,
    0.0186736379F, 0.0182311758F, 0.0177991968F, 0.0173774529F, 0.0169657022F, 0.0165637061F, 0.0161712375F,
    0.0157880671F, 0.0154139763F, 0.0150487488F, 0.0146921761F, 0.0143440515F, 0.0140041756F, 0.0136723528F,
    0.0133483931F, 0.0130321085F, 0.0127233192F, 0.0124218455F, 0.0121275159F, 0.01184016F, 0.011559613F,
    0.0112857129F, 0.0110183032F, 0.0107572293F, 0.0105023421F, 0.0102534937F, 0.0100105414F, 0.0097733466F,
    0.00954177137F, 0.00931568351F, 0.00909495261F, 0.00887945201F, 0.00866905786F, 0.00846364815F, 0.00826310553F,
    0.00806731544F, 0.00787616428F, 0.00768954167F, 0.00750734191F, 0.00732945884F, 0.00715579046F, 0.00698623713F,
    0.00682070153F, 0.00665908819F, 0.00650130399F, 0.00634725858F, 0.00619686348F, 0.00605003163F, 0.00590667874F,
    0.00576672284F, 0.00563008292F, 0.00549668074F, 0.005366439F, 0.00523928413F, 0.00511514163F, 0.0049939407F,
    0.00487561151F, 0.00476008607F, 0.00464729778F, 0.00453718239F, 0.00442967564F, 0.00432471652F, 0.00422224449F,
    0.00412220042F, 0.00402452657F, 0.00392916752F, 0.00383606763F, 0.0037451738F, 0.00365643343F, 0.00356979598F,
    0.0034852114F, 0.0034026308F, 0.00332200713F, 0.00324329361F, 0.0031664453F, 0.00309141772F, 0.00301816803F,
    0.00294665387F, 0.00287683425F, 0.00280866912F, 0.0027421189F, 0.00267714565F, 0.00261371187F, 0.00255178125F,
    0.00249131792F, 0.00243228721F, 0.00237465533F, 0.00231838902F, 0.00226345588F, 0.00220982428F,
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
