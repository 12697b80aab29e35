/* ds_cnn_multitask, made by: edgehar train --model ds_cnn --dataset hapt --set 'heads=[{name = "activity", kind =
 * "multiclass", labels = ["walking", "upstairs", "downstairs", "sitting", "standing", "laying"], weight = 1.0,
 * groups = {}, purity = 1.0}, {name = "motion", kind = "binary", labels = ["moving"], weight = 1.0, groups =
 * {moving = ["walking", "upstairs", "downstairs"], not_moving = ["sitting", "standing", "laying"]}, purity = 1.0},
 * {name = "change", kind = "binary", labels = ["transition"], weight = 1.0, groups = {transition = ["stand_to_sit",
 * "sit_to_stand", "sit_to_lie", "lie_to_sit", "stand_to_lie", "lie_to_stand"]}, purity = 0.5}]' --out RUN; SHA-256
 * of the bundle before: 67594cb04cd7d904d0272083ee725f2375f97915f2a6518a94715dd14e869234 */
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

#define HAR_MAGIC UINT32_C(0xcf1a8bb5) /* of this model: a context of another one is not taken for its own */

typedef char har_context_bytes_are_right[sizeof(har_context) <= HAR_CONTEXT_BYTES ? 1 : -1];

const char *const har_activity_labels[6] = {
    "walking", "upstairs", "downstairs", "sitting", "standing", "laying",
};

const char *const har_motion_labels[1] = {
    "moving",
};

const char *const har_change_labels[1] = {
    "transition",
};

static const uint8_t har_select[9] = {
    0, 1, 2, 0, 1, 2, 3, 4, 5,
};

static const float har_inverse_scale_1[6] = {
    200.0F, 200.0F, 200.0F, 100.0F, 100.0F, 100.0F,
};

static const float har_mean[9] = {
    0.802501142F, 0.0321584269F, 0.0840077177F, 0.0191738922F, 0.0231926572F, 0.0375118591F, 0.250506341F,
    -0.0531648882F, -0.00631907117F,
};

static const float har_inv_std[9] = {
    2.43644023F, 2.53834844F, 2.71338272F, 0.530972838F, 0.572914839F, 0.596578181F, 0.381803781F, 0.381235868F,
    0.419447839F,
};

static const float har_powers_head_activity[256] = {
    1.0F, 0.940582752F, 0.884695947F, 0.832129776F, 0.782686949F, 0.736181855F, 0.692439973F, 0.651297092F,
    0.612598836F, 0.576199889F, 0.541963696F, 0.509761691F, 0.479473084F, 0.45098412F, 0.424187899F, 0.398983836F,
    0.375277311F, 0.352979362F, 0.332006305F, 0.312279433F, 0.293724626F, 0.276272327F, 0.259856999F, 0.244417012F,
    0.229894429F, 0.216234744F, 0.203386679F, 0.191302001F, 0.179935366F, 0.169244111F, 0.159188092F, 0.14972958F,
    0.140833065F, 0.132465154F, 0.124594435F, 0.117191382F, 0.110228196F, 0.103678741F, 0.0975184366F,
    0.0917241573F, 0.0862741619F, 0.0811479911F, 0.0763264F, 0.0717912987F, 0.0675256625F, 0.0635134727F,
    0.0597396791F, 0.0561901107F, 0.0528514497F, 0.0497111641F, 0.0467574634F, 0.0439792648F, 0.0413661376F,
    0.0389082767F, 0.0365964547F, 0.0344219953F, 0.0323767364F, 0.0304530002F, 0.0286435671F, 0.0269416459F,
    0.0253408477F, 0.0238351654F, 0.022418946F, 0.0210868735F, 0.0198339503F, 0.0186554715F, 0.0175470151F,
    0.01650442F, 0.0155237736F, 0.0146013936F, 0.0137338191F, 0.0129177943F, 0.0121502541F, 0.0114283198F,
    0.0107492805F, 0.0101105887F, 0.00950984564F, 0.0089447964F, 0.00841332134F, 0.00791342556F, 0.00744323153F,
    0.00700097531F, 0.00658499682F, 0.00619373424F, 0.0058257198F, 0.00547957188F, 0.00515399082F, 0.00484775472F,
    0.00455971481F, 0.00428878935F, 0.00403396133F, 0.00379427429F, 0.00356882904F, 0.00335677923F, 0.00315732858F,
    0.00296972902F, 0.00279327575F, 0.00262730708F, 0.00247119972F, 0.00232436787F, 0.00218626042F, 0.00205635885F,
    0.00193417585F, 0.00181925239F, 0.0017111575F, 0.00160948525F, 0.00151385413F, 0.00142390502F, 0.00133930054F,
    0.0012597231F, 0.00118487375F, 0.00111447193F, 0.00104825303F, 0.000985968742F, 0.000927385234F,
    0.000872282544F, 0.000820453977F, 0.000771704828F, 0.000725852267F, 0.000682724174F, 0.000642158557F,
    0.000604003319F, 0.000568115094F, 0.000534359249F, 0.000502609124F, 0.00047274548F, 0.000444656238F,
    0.000418236014F, 0.000393385591F, 0.000370011694F, 0.000348026631F, 0.000327347865F, 0.000307897746F,
    0.000289603311F, 0.000272395904F, 0.000256210886F, 0.000240987545F, 0.000226668722F, 0.000213200707F,
    0.000200532901F, 0.000188617792F, 0.000177410649F, 0.000166869402F, 0.000156954484F, 0.000147628685F,
    0.000138856994F, 0.000130606495F, 0.000122846221F, 0.000115547038F, 0.000108681554F, 0.000102223996F,
    9.61501282e-05F, 9.04371554e-05F, 8.50636279e-05F, 8.0009384e-05F, 7.52554479e-05F, 7.0783979e-05F,
    6.65781918e-05F, 6.26222973e-05F, 5.89014562e-05F, 5.54016951e-05F, 5.21098809e-05F, 4.90136554e-05F,
    4.61013988e-05F, 4.33621826e-05F, 4.07857224e-05F, 3.83623446e-05F, 3.60829617e-05F, 3.39390135e-05F,
    3.19224491e-05F, 3.0025707e-05F, 2.82416622e-05F, 2.65636208e-05F, 2.49852837e-05F, 2.35007283e-05F,
    2.21043792e-05F, 2.0790998e-05F, 1.95556549e-05F, 1.83937118e-05F, 1.73008084e-05F, 1.62728429e-05F,
    1.53059555e-05F, 1.43965181e-05F, 1.35411165e-05F, 1.27365411e-05F, 1.19797714e-05F, 1.12679663e-05F,
    1.05984554e-05F, 9.96872404e-06F, 9.37641016e-06F, 8.81929009e-06F, 8.29527198e-06F, 7.80239043e-06F,
    7.33879369e-06F, 6.90274283e-06F, 6.49260119e-06F, 6.10682855e-06F, 5.74397791e-06F, 5.40268638e-06F,
    5.08167386e-06F, 4.77973481e-06F, 4.49573645e-06F, 4.22861194e-06F, 3.97735948e-06F, 3.74103593e-06F,
    3.51875406e-06F, 3.30967941e-06F, 3.11302733e-06F, 2.92805998e-06F, 2.75408274e-06F, 2.59044282e-06F,
    2.43652585e-06F, 2.2917543e-06F, 2.15558453e-06F, 2.02750562e-06F, 1.9070369e-06F, 1.79372603e-06F,
    1.6871478e-06F, 1.58690216e-06F, 1.4926128e-06F, 1.40392592e-06F, 1.32050855e-06F, 1.24204757e-06F,
    1.16824856e-06F, 1.09883445e-06F, 1.03354478e-06F, 9.7213433e-07F, 9.14372833e-07F, 8.60043372e-07F,
    8.08941934e-07F, 7.60876844e-07F, 7.15667682e-07F, 6.73144655e-07F, 6.33148318e-07F, 5.95528377e-07F,
    5.60143746e-07F, 5.26861527e-07F, 4.9555689e-07F, 4.66112255e-07F, 4.38417175e-07F, 4.12367626e-07F,
    3.87865896e-07F, 3.64819982e-07F, 3.4314337e-07F, 3.22754744e-07F, 3.03577565e-07F, 2.85539812e-07F,
    2.68573842e-07F, 2.52615934e-07F, 2.37606187e-07F, 2.23488286e-07F, 2.10209237e-07F, 1.97719174e-07F,
    1.8597126e-07F, 1.74921354e-07F, 1.64528018e-07F,
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

static const float har_sigmoids_head_motion[256] = {
    0.0287277959F, 0.0295242146F, 0.0303420238F, 0.0311817583F, 0.0320439637F, 0.0329292007F, 0.0338380374F,
    0.034771055F, 0.0357288457F, 0.0367120206F, 0.0377211869F, 0.0387569815F, 0.0398200415F, 0.0409110151F,
    0.0420305766F, 0.0431793928F, 0.0443581529F, 0.0455675609F, 0.0468083322F, 0.0480811819F, 0.0493868515F,
    0.0507260896F, 0.0520996526F, 0.0535083152F, 0.0549528524F, 0.0564340651F, 0.0579527542F, 0.0595097318F,
    0.0611058325F, 0.0627418831F, 0.0644187257F, 0.0661372319F, 0.0678982511F, 0.0697026551F, 0.0715513378F,
    0.0734451786F, 0.0753850788F, 0.0773719326F, 0.0794066638F, 0.0814901665F, 0.0836233795F, 0.0858072191F,
    0.0880426094F, 0.0903304741F, 0.092671752F, 0.0950673744F, 0.0975182727F, 0.100025363F, 0.102589592F,
    0.105211869F, 0.107893109F, 0.11063423F, 0.11343614F, 0.116299734F, 0.119225897F, 0.122215495F, 0.125269398F,
    0.12838845F, 0.131573483F, 0.134825304F, 0.138144702F, 0.141532466F, 0.144989327F, 0.148516029F, 0.152113229F,
    0.155781627F, 0.159521848F, 0.163334504F, 0.167220145F, 0.171179309F, 0.175212488F, 0.179320142F, 0.183502674F,
    0.187760428F, 0.192093745F, 0.196502864F, 0.20098801F, 0.205549344F, 0.210186958F, 0.214900911F, 0.219691172F,
    0.224557668F, 0.229500264F, 0.234518752F, 0.239612848F, 0.244782209F, 0.250026435F, 0.255344987F, 0.260737389F,
    0.266202927F, 0.271740943F, 0.277350605F, 0.283031076F, 0.288781404F, 0.294600546F, 0.300487399F, 0.3064408F,
    0.312459439F, 0.318542033F, 0.324687093F, 0.330893129F, 0.337158591F, 0.343481749F, 0.349860936F, 0.356294304F,
    0.362779945F, 0.369315892F, 0.375900149F, 0.3825306F, 0.389205068F, 0.39592132F, 0.402677059F, 0.409469932F,
    0.416297525F, 0.423157394F, 0.430047005F, 0.436963856F, 0.443905264F, 0.450868666F, 0.45785135F, 0.464850664F,
    0.471863836F, 0.478888124F, 0.485920757F, 0.492958993F, 0.5F, 0.507041037F, 0.514079273F, 0.521111906F,
    0.528136194F, 0.535149336F, 0.54214865F, 0.549131334F, 0.556094706F, 0.563036144F, 0.569952965F, 0.576842606F,
    0.583702505F, 0.590530097F, 0.597322941F, 0.60407871F, 0.610794961F, 0.61746937F, 0.624099851F, 0.630684078F,
    0.637220085F, 0.643705726F, 0.650139034F, 0.656518221F, 0.662841439F, 0.669106841F, 0.675312936F, 0.681457996F,
    0.687540531F, 0.693559229F, 0.699512601F, 0.705399454F, 0.711218596F, 0.716968894F, 0.722649395F, 0.728259087F,
    0.733797073F, 0.73926264F, 0.744655013F, 0.749973595F, 0.755217791F, 0.760387182F, 0.765481234F, 0.770499706F,
    0.775442302F, 0.780308843F, 0.785099089F, 0.789813042F, 0.794450641F, 0.799012005F, 0.803497136F, 0.80790627F,
    0.812239587F, 0.816497326F, 0.820679843F, 0.824787498F, 0.828820705F, 0.832779884F, 0.836665511F, 0.840478122F,
    0.844218373F, 0.847886741F, 0.851484001F, 0.855010688F, 0.858467519F, 0.861855268F, 0.865174711F, 0.868426502F,
    0.871611536F, 0.874730587F, 0.877784491F, 0.880774081F, 0.883700252F, 0.886563838F, 0.889365792F, 0.892106891F,
    0.894788146F, 0.897410393F, 0.899974644F, 0.902481735F, 0.904932618F, 0.907328248F, 0.909669518F, 0.911957383F,
    0.914192796F, 0.916376591F, 0.918509841F, 0.920593321F, 0.922628045F, 0.924614906F, 0.926554799F, 0.928448677F,
    0.930297315F, 0.932101727F, 0.933862746F, 0.935581267F, 0.937258124F, 0.938894153F, 0.940490246F, 0.942047238F,
    0.943565905F, 0.94504714F, 0.946491659F, 0.947900355F, 0.949273884F, 0.950613141F, 0.95191884F, 0.953191698F,
    0.954432428F, 0.955641866F, 0.956820607F, 0.957969427F, 0.959088981F, 0.960179985F, 0.961243033F, 0.962278783F,
    0.963288009F, 0.964271128F, 0.965228975F, 0.966161966F, 0.967070818F, 0.967956066F, 0.968818247F, 0.969657958F,
    0.970475793F, 0.97127223F, 0.972047746F, 0.972802937F, 0.973538339F, 0.97425431F, 0.974951446F,
};

static const float har_sigmoids_head_change[256] = {
    0.0229566563F, 0.0236128103F, 0.0242872536F, 0.0249804668F, 0.0256929453F, 0.026425194F, 0.0271777287F,
    0.0279510804F, 0.0287457872F, 0.0295624007F, 0.0304014888F, 0.0312636234F, 0.0321493968F, 0.0330594108F,
    0.0339942798F, 0.0349546261F, 0.0359410979F, 0.0369543396F, 0.0379950218F, 0.0390638225F, 0.0401614308F,
    0.0412885584F, 0.0424459167F, 0.0436342433F, 0.0448542759F, 0.0461067818F, 0.0473925248F, 0.0487122908F,
    0.0500668772F, 0.0514570922F, 0.0528837666F, 0.0543477237F, 0.0558498204F, 0.0573909134F, 0.0589718744F,
    0.0605935864F, 0.0622569434F, 0.0639628544F, 0.0657122284F, 0.0675060079F, 0.0693451092F, 0.0712304935F,
    0.0731630996F, 0.0751439035F, 0.0771738738F, 0.079253979F, 0.0813852027F, 0.0835685432F, 0.085804984F,
    0.088095516F, 0.0904411525F, 0.0928428769F, 0.0953017026F, 0.097818628F, 0.100394644F, 0.103030749F,
    0.105727941F, 0.108487204F, 0.111309513F, 0.114195839F, 0.11714714F, 0.120164372F, 0.123248465F, 0.126400337F,
    0.12962091F, 0.132911041F, 0.136271611F, 0.139703467F, 0.143207416F, 0.146784261F, 0.150434762F, 0.154159635F,
    0.157959595F, 0.161835298F, 0.165787369F, 0.169816405F, 0.173922941F, 0.17810747F, 0.182370454F, 0.18671231F,
    0.19113335F, 0.195633903F, 0.200214192F, 0.204874411F, 0.209614664F, 0.214435011F, 0.219335467F, 0.224315912F,
    0.229376227F, 0.234516189F, 0.239735499F, 0.245033786F, 0.250410587F, 0.255865395F, 0.2613976F, 0.267006487F,
    0.272691309F, 0.278451145F, 0.284285128F, 0.290192187F, 0.296171159F, 0.302220911F, 0.308340073F, 0.314527273F,
    0.320781082F, 0.32709989F, 0.333482027F, 0.339925796F, 0.346429378F, 0.352990836F, 0.359608203F, 0.366279364F,
    0.373002231F, 0.379774541F, 0.386593968F, 0.393458188F, 0.400364757F, 0.407311112F, 0.414294749F, 0.421312988F,
    0.428363174F, 0.435442537F, 0.442548364F, 0.449677765F, 0.456827879F, 0.463995844F, 0.47117874F, 0.478373557F,
    0.485577375F, 0.492787182F, 0.5F, 0.507212818F, 0.514422596F, 0.521626413F, 0.52882129F, 0.536004126F,
    0.543172121F, 0.550322235F, 0.557451665F, 0.564557433F, 0.571636856F, 0.578687012F, 0.58570528F, 0.592688859F,
    0.599635243F, 0.606541812F, 0.613406003F, 0.620225489F, 0.626997769F, 0.633720636F, 0.640391827F, 0.647009134F,
    0.653570592F, 0.660074174F, 0.666517973F, 0.67290014F, 0.679218948F, 0.685472727F, 0.691659927F, 0.697779119F,
    0.703828812F, 0.709807813F, 0.715714872F, 0.721548855F, 0.727308691F, 0.732993543F, 0.7386024F, 0.744134605F,
    0.749589384F, 0.754966199F, 0.760264516F, 0.765483797F, 0.770623744F, 0.775684059F, 0.780664563F, 0.785564959F,
    0.790385365F, 0.795125604F, 0.799785793F, 0.804366112F, 0.80886668F, 0.813287675F, 0.817629516F, 0.8218925F,
    0.826077044F, 0.830183566F, 0.834212601F, 0.838164687F, 0.84204042F, 0.845840394F, 0.849565268F, 0.853215754F,
    0.856792569F, 0.860296547F, 0.863728404F, 0.867088974F, 0.87037909F, 0.873599648F, 0.876751542F, 0.879835606F,
    0.882852852F, 0.885804176F, 0.888690472F, 0.891512811F, 0.894272029F, 0.896969259F, 0.899605334F, 0.902181387F,
    0.904698312F, 0.907157123F, 0.909558833F, 0.911904454F, 0.914195001F, 0.916431487F, 0.918614805F, 0.920746028F,
    0.922826111F, 0.924856067F, 0.926836908F, 0.928769529F, 0.930654883F, 0.932493985F, 0.934287786F, 0.936037123F,
    0.937743068F, 0.939406395F, 0.941028118F, 0.942609072F, 0.94415015F, 0.945652246F, 0.947116256F, 0.948542893F,
    0.949933112F, 0.951287687F, 0.952607453F, 0.953893244F, 0.955145717F, 0.956365764F, 0.957554102F, 0.958711445F,
    0.959838569F, 0.960936189F, 0.96200496F, 0.963045657F, 0.964058876F, 0.965045393F, 0.966005743F, 0.966940582F,
    0.967850626F, 0.968736351F, 0.969598532F, 0.970437586F, 0.97125423F, 0.972048938F, 0.972822249F, 0.973574817F,
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
        ctx->inputs[9 * ctx->rows + i] = har_quantize(column[i], 28.9784203F, 17);
    }
    ctx->rows++;
    return ctx->rows == HAR_WINDOW;
}

/* Run the network over the complete windows. */
HAR_STAGE static void har_infer(har_context *ctx)
{
    har_model_run(&ctx->arena, ctx->inputs, ctx->decision.head_activity.logits, ctx->decision.head_motion.logits, ctx->decision.head_change.logits);
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
    for (int i = 0; i < 1; i++) {
        decision->head_motion.probability[i] = har_sigmoids_head_motion[decision->head_motion.logits[i] + 128];
        decision->head_motion.answers[i] = decision->head_motion.logits[i] >= -3;
    }
    for (int i = 0; i < 1; i++) {
        decision->head_change.probability[i] = har_sigmoids_head_change[decision->head_change.logits[i] + 128];
        decision->head_change.answers[i] = decision->head_change.logits[i] >= 2;
    }
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
