// Small dense matrices of sizes known at compile time, for the chain of separators of a partitioned record.
#pragma once

#include "sweep.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

// Add a row (R + 1 numbers, consumed) to R triangular rows A (R x (R + 1)).
template <int R, class V>
SMNN_INLINE void append_row(V* A, V* row) {
    for (int j = 0; j < R; ++j) {
        const V a = A[j * (R + 1) + j], x = row[j];
        const Reflection<V> h(a, x * x);
        A[j * (R + 1) + j] = h.diagonal(a);
        for (int i = j + 1; i <= R; ++i) {
            const V m = (h.v * A[j * (R + 1) + i] + x * row[i]) * h.scale;
            A[j * (R + 1) + i] -= h.v * m, row[i] -= x * m;
        }
    }
}

// Triangularise the first R columns of M (ROWS x WIDTH) by reflections, in place.
template <int R, int ROWS, int WIDTH, class V>
SMNN_INLINE void triangularise(V* M) {
    for (int j = 0; j < R; ++j) {
        V squares = 0.0;
        for (int i = j + 1; i < ROWS; ++i) squares += M[i * WIDTH + j] * M[i * WIDTH + j];
        const Reflection<V> h(M[j * WIDTH + j], squares);
        for (int c = j + 1; c < WIDTH; ++c) {
            V m = h.v * M[j * WIDTH + c];
            for (int i = j + 1; i < ROWS; ++i) m += M[i * WIDTH + j] * M[i * WIDTH + c];
            m *= h.scale;
            M[j * WIDTH + c] -= h.v * m;
            for (int i = j + 1; i < ROWS; ++i) M[i * WIDTH + c] -= M[i * WIDTH + j] * m;
        }
        M[j * WIDTH + j] = h.diagonal(M[j * WIDTH + j]);
        for (int i = j + 1; i < ROWS; ++i) M[i * WIDTH + j] = 0.0;
    }
}

// Cholesky factorization U^T U = A in place, A symmetric, of which the upper triangle is given; the columns after the
// first R are multiplied by U^-T.
//
//     A          R x WIDTH
//     diagonal   diagonal of A before anything was subtracted (R)
//     tolerance  a pivot whose square is at most this times `diagonal` becomes 0, and so does its row
template <int R, int WIDTH, class V>
SMNN_INLINE void factorise(V* A, const V* diagonal, V tolerance) {
    for (int j = 0; j < R; ++j) {
        V* row = A + j * WIDTH;
        const bool nonzero = row[j] > tolerance * diagonal[j];
        const V pivot = nonzero ? square_root(row[j]) : V(0.0);
        for (int c = j; c < WIDTH; ++c) row[c] = !nonzero ? V(0.0) : c == j ? pivot : row[c] / pivot;
        for (int i = j + 1; i < R; ++i)
            for (int c = i; c < WIDTH; ++c) A[i * WIDTH + c] -= row[i] * row[c];
    }
}

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
