/* bilstm, made by: edgehar train --model bilstm --dataset hapt --set 'model_options={layers = 1, units = 24}' --out
 * RUN; SHA-256 of the bundle before: 5c719097e36845c4d39578a50ca716d674e091aeb8aa9ee8e9615fc0128e65ef */
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

#define HAR_MAGIC UINT32_C(0x70a27d9e) /* of this model: a context of another one is not taken for its own */

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
    1.0F, 0.947404981F, 0.897576153F, 0.850368083F, 0.805642962F, 0.76327014F, 0.723125935F, 0.685093105F,
    0.649060607F, 0.614923239F, 0.582581282F, 0.551940441F, 0.522911072F, 0.495408565F, 0.469352543F, 0.444666922F,
    0.421279639F, 0.399122417F, 0.378130555F, 0.35824278F, 0.339400977F, 0.321550161F, 0.304638237F, 0.288615763F,
    0.27343601F, 0.259054631F, 0.24542965F, 0.232521266F, 0.220291793F, 0.208705544F, 0.197728664F, 0.187329113F,
    0.17747654F, 0.168142155F, 0.159298703F, 0.150920391F, 0.142982721F, 0.135462537F, 0.12833789F, 0.121587947F,
    0.115193024F, 0.109134443F, 0.103394516F, 0.0979564711F, 0.0928044468F, 0.0879233927F, 0.0832990631F,
    0.0789179429F, 0.0747672543F, 0.0708348677F, 0.0671093017F, 0.063579686F, 0.060235709F, 0.0570676103F,
    0.0540661365F, 0.0512225255F, 0.0485284775F, 0.0459761173F, 0.0435580015F, 0.0412670672F, 0.0390966237F,
    0.0370403379F, 0.0350921974F, 0.0332465246F, 0.0314979218F, 0.0298412871F, 0.0282717831F, 0.0267848279F,
    0.0253760777F, 0.0240414217F, 0.0227769632F, 0.0215790085F, 0.0204440597F, 0.0193688031F, 0.0183501001F,
    0.0173849761F, 0.016470613F, 0.0156043395F, 0.0147836292F, 0.0140060838F, 0.0132694328F, 0.0125715267F,
    0.0119103268F, 0.0112839025F, 0.0106904255F, 0.0101281619F, 0.0095954705F, 0.00909079704F, 0.00861266628F,
    0.00815968215F, 0.00773052359F, 0.00732393656F, 0.00693873363F, 0.00657379068F, 0.00622804184F, 0.00590047799F,
    0.00559014175F, 0.00529612834F, 0.00501757814F, 0.00475367857F, 0.00450365851F, 0.00426678825F, 0.0040423763F,
    0.00382976746F, 0.00362834078F, 0.00343750813F, 0.00325671211F, 0.00308542536F, 0.00292314729F, 0.00276940409F,
    0.00262374734F, 0.00248575117F, 0.00235501304F, 0.0022311511F, 0.00211380352F, 0.00200262782F, 0.00189729966F,
    0.00179751113F, 0.00170297094F, 0.00161340309F, 0.0015285461F, 0.00144815212F, 0.00137198658F, 0.00129982689F,
    0.00123146246F, 0.00116669363F, 0.00110533135F, 0.00104719633F, 0.000992119079F, 0.000939938473F,
    0.000890502415F, 0.000843666377F, 0.000799293688F, 0.000757254835F, 0.000717426999F, 0.000679693883F,
    0.000643945357F, 0.000610076997F, 0.000577990024F, 0.000547590607F, 0.000518790039F, 0.000491504266F,
    0.000465653575F, 0.000441162498F, 0.000417959556F, 0.000395976938F, 0.000375150528F, 0.00035541947F,
    0.000336726167F, 0.00031901605F, 0.000302237371F, 0.000286341208F, 0.000271281082F, 0.000257013016F,
    0.000243495422F, 0.000230688762F, 0.00021855568F, 0.000207060744F, 0.000196170367F, 0.000185852783F,
    0.000176077854F, 0.00016681703F, 0.000158043273F, 0.000149730986F, 0.000141855882F, 0.00013439497F,
    0.00012732645F, 0.000120629717F, 0.000114285191F, 0.000108274355F, 0.000102579666F, 9.71844784e-05F,
    9.20730599e-05F, 8.72304736e-05F, 8.26425821e-05F, 7.82959905e-05F, 7.41780095e-05F, 7.02766192e-05F,
    6.65804182e-05F, 6.30786162e-05F, 5.97609942e-05F, 5.66178605e-05F, 5.36400439e-05F, 5.08188423e-05F,
    4.81460229e-05F, 4.56137823e-05F, 4.32147244e-05F, 4.09418426e-05F, 3.87885048e-05F, 3.67484245e-05F,
    3.48156391e-05F, 3.29845097e-05F, 3.1249685e-05F, 2.9606108e-05F, 2.8048973e-05F, 2.65737362e-05F,
    2.51760903e-05F, 2.38519533e-05F, 2.25974582e-05F, 2.1408945e-05F, 2.02829397e-05F, 1.92161588e-05F,
    1.82054828e-05F, 1.72479649e-05F, 1.63408076e-05F, 1.54813624e-05F, 1.46671191e-05F, 1.38957021e-05F,
    1.31648567e-05F, 1.24724511e-05F, 1.18164617e-05F, 1.11949739e-05F, 1.06061743e-05F, 1.00483421e-05F,
    9.5198493e-06F, 9.01915246e-06F, 8.54479003e-06F, 8.09537596e-06F, 7.66959965e-06F, 7.26621647e-06F,
    6.88404953e-06F, 6.52198287e-06F, 6.17895876e-06F, 5.85397629e-06F, 5.54608596e-06F, 5.25438963e-06F,
    4.97803467e-06F, 4.71621479e-06F, 4.46816512e-06F, 4.23316214e-06F, 4.01051875e-06F, 3.79958533e-06F,
    3.59974592e-06F, 3.41041709e-06F, 3.23104609e-06F, 3.06110906e-06F, 2.90011008e-06F, 2.74757849e-06F,
    2.60306956e-06F, 2.46616105e-06F, 2.33645324e-06F, 2.21356731e-06F, 2.09714472e-06F, 1.98684529e-06F,
    1.88234708e-06F, 1.78334494e-06F, 1.68954989e-06F, 1.60068794e-06F, 1.51649965e-06F, 1.43673935e-06F,
    1.36117399e-06F, 1.289583e-06F, 1.22175732e-06F, 1.1574989e-06F, 1.09662017e-06F, 1.03894342e-06F,
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
