// What the rows of one grid point and of one interval add to the gradients: the derivative of -<A lam, A u - b>, u and lam
// held constant (operators.py), to coefficients, forcing and steps.
#pragma once

#include "sweep.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

// The equation rows w (c u - r) of one grid point, given w c (E x R) and w r (E) as they are swept, the weights w (E), u and
// lambda (R): dc = -w (lambda res + u q), dr = w q, where q = w c lambda and res = w c u - w r (both E) are scratch.
template <class V, class S>
SMNN_INLINE void equation_gradient(const S& s, const V* c, const V* r, const V* weight, const V* u, const V* lambda, V* q,
                                   V* residual, V* dc, V* dr) {
    for (int e = 0; e < s.E; ++e, c += s.R, dc += s.R) {
        q[e] = V{}, residual[e] = -r[e];
        for (int j = 0; j < s.R; ++j) q[e] += c[j] * lambda[j], residual[e] += c[j] * u[j];
        dr[e] = weight[e] * q[e];
        for (int j = 0; j < s.R; ++j) dc[j] = -weight[e] * (lambda[j] * residual[e] + u[j] * q[e]);
    }
}

// The Taylor rows w_s G w(u) of one interval, for its step h: h dw/dh = N y - Phi N y', N = diag(k). Given 1/h, the weights
// w_s (D), u of both grid points (2 R), and of lambda the scaled y_t and y'_{t+1} and the innovation w (R each).
template <class V, class S>
SMNN_INLINE V step_gradient(const S& s, const Constants& table, V h, V inverse, const V* weight, const V* u, const V* y,
                            const V* ahead, const V* w) {
    const int K = s.K;
    V total = V{};
    for (int d = 0; d < s.D; ++d) {
        V now[MOST_DERIVATIVES], after[MOST_DERIVATIVES], power = V{} + 1.0;
        for (int i = 0; i < K; ++i, power *= h) {
            now[i] = power * u[d * K + i];
            after[i] = power * u[s.R + d * K + i];
        }
        V wu[MOST_DERIVATIVES], dwu[MOST_DERIVATIVES], dw[MOST_DERIVATIVES];
        for (int i = 0; i < K; ++i) {
            wu[i] = now[i], dwu[i] = double(i) * now[i], dw[i] = double(i) * y[d * K + i];
            for (int j = i; j < K; ++j) {
                const double phi = table.phi[i * K + j];
                wu[i] -= phi * after[j];
                dwu[i] -= double(j) * phi * after[j];
                dw[i] -= double(j) * phi * ahead[d * K + j];
            }
        }
        V sum = V{};
        for (int i = 0; i < K; ++i) {
            V gu = V{}, gdu = V{};
            for (int j = 0; j < K; ++j) {
                gu += table.gram[i * K + j] * wu[j];
                gdu += table.gram[i * K + j] * dwu[j];
            }
            sum += dw[i] * gu + w[d * K + i] * gdu;
        }
        total -= weight[d] * weight[d] * sum;
    }
    return total * inverse;
}

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
