// Contributions of the rows of one grid point and of one interval to the gradients: the derivative of -<A lam, A u - b>
// with respect to coefficients, forcing and steps, u and lam held constant (autograd.py).
#pragma once

#include "sweep.hpp"
#include "taylor.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

// Gradients of the equation rows w (c u - r) of one grid point:
//
//     dc = -w (lambda res + u q),  dr = w q,  with q = w c lambda, res = w c u - w r
//
//     c, r         w c (E x R) and w r (E), as eliminated
//     weight       w (E)
//     u, lambda    R each
//     q, residual  scratch (E each)
//     dc, dr       out: E x R, and E
template <class V, class S>
SMNN_INLINE void equation_gradient(const S& s, const V* c, const V* r, const V* weight, const V* u, const V* lambda,
                                   V* q, V* residual, V* dc, V* dr) {
    for (int e = 0; e < s.E; ++e, c += s.R, dc += s.R) {
        q[e] = V{}, residual[e] = -r[e];
        for (int j = 0; j < s.R; ++j) q[e] += c[j] * lambda[j], residual[e] += c[j] * u[j];
        dr[e] = weight[e] * q[e];
        for (int j = 0; j < s.R; ++j) dc[j] = -weight[e] * (lambda[j] * residual[e] + u[j] * q[e]);
    }
}

// Gradient of the Taylor rows w_s G w(u) of one interval with respect to its step h:  h dw/dh = N y - Phi N y', N =
// diag(k).
//
//     h, inverse   step, and 1/h
//     weight       w_s (D)
//     u            solution at both grid points (2 R)
//     y, ahead, w  scaled lambda: y_t, y'_{t+1} and the innovation w_t (R each)
template <class V, class S>
SMNN_INLINE V step_gradient(const S& s, const Constants& table, V h, V inverse, const V* weight, const V* u, const V* y,
                            const V* ahead, const V* w) {
    const int K = s.K;
    V total = V{};
    for (int d = 0; d < s.D; ++d) {
        V now[MAX_DERIVATIVES], after[MAX_DERIVATIVES], power = V{} + 1.0;
        for (int i = 0; i < K; ++i, power *= h) {
            now[i] = power * u[d * K + i];
            after[i] = power * u[s.R + d * K + i];
        }
        V wu[MAX_DERIVATIVES], dwu[MAX_DERIVATIVES], dw[MAX_DERIVATIVES];
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

// Gradient of the central rows w H^(K-3) (d + H x) over (t, t+1, t+2) with respect to each of the two steps, with d the
// difference of derivative K-2 over both steps and x derivative K-1 at t+1.
//
//     H, scale   sum of the two steps, and H^(K-3)
//     weight     w (D)
//     u, lambda  at the three grid points (3 R each)
template <class V, class S>
SMNN_INLINE V central_step_gradient(const S& s, V H, V scale, const V* weight, const V* u, const V* lambda) {
    const int K = s.K, R = s.R;
    V sum = V{};
    for (int d = 0; d < s.D; ++d) {
        V row[2], slope[2];  // of u and of lambda: the row, and its derivative
        const V* of[2] = {u + d * K + K - 2, lambda + d * K + K - 2};
        for (int i = 0; i < 2; ++i) {
            const V difference = of[i][0] - of[i][2 * R], middle = H * of[i][R + 1];
            row[i] = scale * (difference + middle);
            slope[i] = scale / H * (double(K - 3) * difference + double(K - 2) * middle);
        }
        sum -= weight[d] * weight[d] * (row[0] * slope[1] + row[1] * slope[0]);
    }
    return sum;
}

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
