// Overview of the solver, and what its two methods share: shapes, local matrices, reflections.
//
// The problem is linear least squares over a chain of grid points, for one system in each lane of the scalar type V.
// Symbols as in problem.py and rows.py: D variables, K stored derivatives, R = D K unknowns u_t per grid point (index d
// K + k), E equations. In scaled unknowns y_t = H_t u_t, H_t = diag(h_t^0 .. h_t^(K-1)) for every variable, the Taylor
// rows of the interval (t, t+1) depend on the innovation alone,
//
//     w_t = y_t - Phi y'_{t+1},   y'_{t+1} = H_t u_{t+1} = S_{t+1} y_{t+1},   S_{t+1} = diag((h_t / h_{t+1})^k),
//
// with Phi_ij = (-1)^(j-i)/(j-i)!, F = Phi^-1. They are G w_t with G triangular, G^T G = F^T F + I. The last grid point
// has no interval and uses the step before it. There are two methods, classes with the same interface:
//
//   Qr        (qr.hpp) carries rows C y_t = x (C upper triangular), stacks [C | C Phi | x ; G | 0 | 0] over
//             (w_t, y'_{t+1} | 1) and eliminates w_t by Householder reflections. Factor: rows U w_t + V y'_{t+1} = z.
//             The remaining rows over y'_{t+1} and the equation rows of t+1 are triangularised: the carry of t+1.
//   Cholesky  (cholesky.hpp) carries the Schur complement of the normal equations, and factors its blocks L L^T.
//
// Back substitution gives u from the last grid point to the first. (A^T A) lam = g is solved with the same factor:
// forward substitution with its transpose (`adjoint`), then back substitution. Derivations: docs, "The solver".
//
// The kernels neither allocate nor throw nor use containers, so that g++, clang and NVRTC compile them (MSVC:
// untested). Arrays are row-major. Pointer arguments of one call do not alias unless a comment says so. Sources: Golub
// & Van Loan, Matrix Computations, 5.1 and 4.2; Cox & Higham, BIT 38 (1998) for the order of the rows: large rows
// first, here equations and carry before Taylor rows, gains two to three digits at small steps.
#pragma once

#include "vec.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

constexpr double TINY = sizeof(Real) == 4 ? 1e-37 : 1e-290;  // a column whose squared norm is smaller counts as zero

// Sizes known at compile time: loops unroll, and matrices live in registers.
template <int D_, int K_, int E_>
struct Shape {
    static constexpr int D = D_, K = K_, E = E_, R = D_ * K_, SIZE = R, ROWS = R + E_, DERIVATIVES = K_;
    SMNN_INLINE Shape(int, int, int) {}
};

// Sizes known at run time only: matrices live in scratch memory of the caller.
struct AnyShape {
    static constexpr int SIZE = 0, ROWS = 0, DERIVATIVES = 0;
    int D, K, E, R;
    SMNN_INLINE AnyShape(int d, int k, int e) : D(d), K(k), E(e), R(d * k) {}
};

// A local matrix of n numbers: an array if n is known at compile time (N > 0), else the next n numbers of `scratch`.
template <class V, int N>
struct Local {
    V at[N];
    SMNN_INLINE Local(V*&, int) {}
    SMNN_INLINE V& operator[](int i) { return at[i]; }
};
template <class V>
struct Local<V, 0> {
    V* at;
    SMNN_INLINE Local(V*& scratch, int n) : at(scratch) { scratch += n; }
    SMNN_INLINE V& operator[](int i) { return at[i]; }
};

// Householder reflection that maps the column (a, x_1 .. x_n) to (diagonal(a), 0 .. 0).
//
//     a        leading entry
//     squares  sum of x_i^2
//
// Applied to another column (p, q_1 .. q_n):  m = (v p + sum x_i q_i) scale;  p -= v m;  q_i -= x_i m.
// `inverse` is 1 / diagonal(a). A zero column gives v = 0 and inverse = 0: the reflection is the identity, and the
// solution there is 0. Source: Golub & Van Loan, Matrix Computations, 5.1.
template <class V>
struct Reflection {
    V v, scale, inverse, norm;
    SMNN_INLINE Reflection(V a, V squares) {
        norm = square_root(a * a + squares);
        v = a + copy_sign(norm, a);
        const V size = absolute(v);
        scale = 1.0 / maximum(norm * size, V{} + TINY);
        inverse = -copy_sign(size * scale, a);
    }
    SMNN_INLINE V diagonal(V a) const { return -copy_sign(norm, a); }
};

// Call f(0), .., f(n - 1). If n is known (N > 0) the loop is unrolled, so that indices are constants and local matrices
// live in registers.
template <int N, class F>
SMNN_INLINE void unroll(int n, F f) {
    if constexpr (N > 0) {
        static_assert(N <= 16, "larger shapes are for AnyShape");
        if constexpr (N > 0) f(0);
        if constexpr (N > 1) f(1);
        if constexpr (N > 2) f(2);
        if constexpr (N > 3) f(3);
        if constexpr (N > 4) f(4);
        if constexpr (N > 5) f(5);
        if constexpr (N > 6) f(6);
        if constexpr (N > 7) f(7);
        if constexpr (N > 8) f(8);
        if constexpr (N > 9) f(9);
        if constexpr (N > 10) f(10);
        if constexpr (N > 11) f(11);
        if constexpr (N > 12) f(12);
        if constexpr (N > 13) f(13);
        if constexpr (N > 14) f(14);
        if constexpr (N > 15) f(15);
    } else {
        for (int i = 0; i < n; ++i) f(i);
    }
}

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
