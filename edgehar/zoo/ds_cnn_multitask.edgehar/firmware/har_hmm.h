/* One step of a hidden Markov model's filter, float32 in a fixed order: what device_sim.decisions.hmm computes. */
#ifndef HAR_HMM_H
#define HAR_HMM_H

#define HAR_LEAST_EVIDENCE 9.09494702e-13F /* 2^-40: no label is ruled out by one window */

/* Divide count numbers by the sum of the first ones. */
static inline void har_hmm_normalise(float *x, int first, int count)
{
    float total = x[0];
    for (int i = 1; i < first; i++) {
        total = total + x[i];
    }
    for (int i = 0; i < count; i++) {
        x[i] = x[i] / total;
    }
}

/* Probabilities to evidence, of the network's own labels never none; weights say how rare a label was in training. */
static inline void har_hmm_evidence(float *x, const float *weights, int own, int count)
{
    for (int i = 0; i < count; i++) {
        x[i] = (i < own && x[i] < HAR_LEAST_EVIDENCE ? HAR_LEAST_EVIDENCE : x[i]) * weights[i];
    }
}

/* Belief after one more window, from the one before it. transitions[i * count + j] is that j follows i. */
static inline void har_hmm_forward(const float *past, const float *transitions, const float *evidence, int count,
                                   float *belief)
{
    for (int j = 0; j < count; j++) {
        float expected = past[0] * transitions[j];
        for (int i = 1; i < count; i++) {
            expected = expected + past[i] * transitions[i * count + j];
        }
        belief[j] = expected * evidence[j];
    }
    har_hmm_normalise(belief, count, count);
}

/* How well each label explains a later window and what came after that; own labels' numbers add up to 1. */
static inline void har_hmm_backward(const float *later, const float *transitions, const float *evidence, int own,
                                    int count, float *earlier)
{
    for (int i = 0; i < count; i++) {
        float total = transitions[i * count] * (evidence[0] * later[0]);
        for (int j = 1; j < count; j++) {
            total = total + transitions[i * count + j] * (evidence[j] * later[j]);
        }
        earlier[i] = total;
    }
    har_hmm_normalise(earlier, own, count);
}

#endif
