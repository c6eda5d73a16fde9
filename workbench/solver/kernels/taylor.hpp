// Taylor rows in scaled unknowns (sweep.hpp): their constant matrices, prediction, change of scale.
#pragma once

#include "vec.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

constexpr int MAX_DERIVATIVES = 12;  // size of the tables; larger problems are rejected in Python

// Matrices that depend on K alone, K x K; computed once per call, on the host.
struct Constants {
    double phi[MAX_DERIVATIVES * MAX_DERIVATIVES];    // Phi
    double link[MAX_DERIVATIVES * MAX_DERIVATIVES];   // G
    double gram[MAX_DERIVATIVES * MAX_DERIVATIVES];   // G^T G = F^T P F + P, P: the orders with Taylor rows
    double cross[MAX_DERIVATIVES * MAX_DERIVATIVES];  // F^T P + J P F J, J = diag((-1)^k): -block(y_t, y'_{t+1})
};

#if defined(__CUDACC_RTC__)  // computed at compile time, where there is no sqrt
#define SMNN_TABLE __device__ constexpr
SMNN_TABLE double table_root(double x) {
    double y = x > 1.0 ? x : 1.0;
    for (int i = 0; i < 60; ++i) y = 0.5 * (y + x / y);
    return y;
}
#else
#define SMNN_TABLE inline
inline double table_root(double x) { return sqrt(x); }
#endif

// The matrices for K derivatives of which the lowest `orders` have Taylor rows (K - 1 with central rows, else K).
SMNN_TABLE Constants constants(int K, int orders) {
    Constants table = {};
    double factorial[MAX_DERIVATIVES] = {1.0};
    for (int i = 1; i < K; ++i) factorial[i] = i * factorial[i - 1];
    auto taylor = [&](int i, int j) { return j < i ? 0.0 : 1.0 / factorial[j - i]; };
    auto sign = [](int n) { return n % 2 ? -1.0 : 1.0; };
    for (int i = 0; i < K; ++i)
        for (int j = 0; j < K; ++j) {
            double sum = i == j && i < orders;
            for (int m = 0; m < orders; ++m) sum += taylor(m, i) * taylor(m, j);
            table.gram[i * K + j] = sum;
            table.phi[i * K + j] = sign(i + j) * taylor(i, j);
            table.cross[i * K + j] = (j < orders) * taylor(j, i) + (i < orders) * sign(i + j) * taylor(i, j);
        }
    for (int i = K - 1; i >= 0; --i)
        for (int j = i; j >= 0; --j) {
            double sum = table.gram[i * K + j];
            for (int m = i + 1; m < K; ++m) sum -= table.link[m * K + i] * table.link[m * K + j];
            table.link[i * K + j] = i == j ? table_root(sum) : sum / table.link[i * K + i];
        }
    return table;
}

// out[d,:] = Phi y[d,:] for every variable d. `y` and `out` (R each) must not alias.
template <class V, class S>
SMNN_INLINE void predict(const S& s, const Constants& k, const V* y, V* out) {
    for (int d = 0; d < s.D; ++d)
        for (int i = 0; i < s.K; ++i) {
            V sum = y[d * s.K + i];
            for (int j = i + 1; j < s.K; ++j) sum += y[d * s.K + j] * k.phi[i * s.K + j];
            out[d * s.K + i] = sum;
        }
}

// out[d,:] = Phi^T p[d,:] for every variable d. `p` and `out` (R each) must not alias.
template <class V, class S>
SMNN_INLINE void predict_transposed(const S& s, const Constants& k, const V* p, V* out) {
    for (int d = 0; d < s.D; ++d)
        for (int j = 0; j < s.K; ++j) {
            V sum = p[d * s.K + j];
            for (int i = 0; i < j; ++i) sum += p[d * s.K + i] * k.phi[i * s.K + j];
            out[d * s.K + j] = sum;
        }
}

// x[d,k] *= factor^k for every variable d, in place.
template <class V, class S>
SMNN_INLINE void rescale(const S& s, V factor, V* x) {
    V power = factor;
    for (int k = 1; k < s.K; ++k) {
        for (int d = 0; d < s.D; ++d) x[d * s.K + k] *= power;
        power *= factor;
    }
}

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
