// Small dense matrices in the registers of one thread, for the pieces of a record and the chain of their ends.
#pragma once

#include "../cholesky.hpp"
#include "call.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

template <template <class, class> class Method, class S>
struct Sizes {
    static constexpr int R = S::R, E = S::ROWS - S::SIZE, RIDING = R + 1, WIDTH = 2 * R + 1;
    static constexpr bool ORTHOGONAL = Method<Real, S>::ORTHOGONAL;
    static constexpr int CARRY = ORTHOGONAL ? R * R : R * R + R;  // as Method::carry
    static constexpr int RECORD = R * (R + 1) / 2 + (ORTHOGONAL ? R * R : 0);
};

// One more row (R + 1 numbers, consumed) for R triangular rows A.
template <int R>
SMNN_INLINE void append_row(Real* A, Real* row) {
    for (int j = 0; j < R; ++j) {
        const Real a = A[j * (R + 1) + j], x = row[j];
        const Reflection<Real> h(a, x * x);
        A[j * (R + 1) + j] = h.diagonal(a);
        for (int i = j + 1; i <= R; ++i) {
            const Real m = (h.v * A[j * (R + 1) + i] + x * row[i]) * h.scale;
            A[j * (R + 1) + i] -= h.v * m, row[i] -= x * m;
        }
    }
}

// Triangularise M (rows x width, row-major) over its first R columns by reflections.
template <int R, int ROWS, int WIDTH>
SMNN_INLINE void triangularise(Real* M) {
    for (int j = 0; j < R; ++j) {
        Real squares = 0.0;
        for (int i = j + 1; i < ROWS; ++i) squares += M[i * WIDTH + j] * M[i * WIDTH + j];
        const Reflection<Real> h(M[j * WIDTH + j], squares);
        for (int c = j + 1; c < WIDTH; ++c) {
            Real m = h.v * M[j * WIDTH + c];
            for (int i = j + 1; i < ROWS; ++i) m += M[i * WIDTH + j] * M[i * WIDTH + c];
            m *= h.scale;
            M[j * WIDTH + c] -= h.v * m;
            for (int i = j + 1; i < ROWS; ++i) M[i * WIDTH + c] -= M[i * WIDTH + j] * m;
        }
        M[j * WIDTH + j] = h.diagonal(M[j * WIDTH + j]);
        for (int i = j + 1; i < ROWS; ++i) M[i * WIDTH + j] = 0.0;
    }
}

// U^T U = A (R x width, upper triangle) in place, and the columns behind it times U^-T. A pivot that is rounding, its square
// at most `least` times `before`, becomes 0, and with it its row.
template <int R, int WIDTH>
SMNN_INLINE void factorise(Real* A, const Real* before, Real least) {
    for (int j = 0; j < R; ++j) {
        Real* row = A + j * WIDTH;
        const bool sound = row[j] > least * before[j];
        const Real pivot = sound ? root(row[j]) : 0.0;
        for (int c = j; c < WIDTH; ++c) row[c] = !sound ? 0.0 : c == j ? pivot : row[c] / pivot;
        for (int i = j + 1; i < R; ++i)
            for (int c = i; c < WIDTH; ++c) A[i * WIDTH + c] -= row[i] * row[c];
    }
}

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
