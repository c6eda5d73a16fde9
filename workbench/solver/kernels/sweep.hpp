// The sweep: least squares over a chain of grid points, one pass forwards and one back, for the systems in the lanes of V.
//
// Symbols as in problem.py and rows.py: D variables, K stored derivatives, R = D K unknowns u_t per grid point (index
// d K + k), E equations. In scaled unknowns y_t = H_t u_t, H_t = diag(h_t^0 .. h_t^(K-1)) for every variable, the Taylor
// rows of the interval (t, t+1) act on the innovation alone,
//
//     w_t = y_t - Phi y'_{t+1},   y'_{t+1} = H_t u_{t+1} = S_{t+1} y_{t+1},   S_{t+1} = diag((h_t / h_{t+1})^k),
//
// with Phi_ij = (-1)^(j-i)/(j-i)!, F = Phi^-1: as rows, G w_t with G triangular, G^T G = F^T F + I. The last grid
// point has no interval and takes the step before it. Two methods, each a class of the same few functions:
//
//   Qr        carries rows C y_t = x (C upper triangular), stacks [C | C Phi | x ; G | 0 | 0] over (w_t, y'_{t+1} | 1)
//             and eliminates w_t by Householder reflections. Kept: rows U w_t + V y'_{t+1} = z. What is left over
//             y'_{t+1} is triangularised with the equation rows of t+1: the carry of t+1.
//   Cholesky  carries the Schur complement of the normal equations, and factors its blocks L L^T.
//
// Both then solve backwards, u from the last grid point to the first, and (A^T A) lam = g with the same factor: forwards
// with its transpose (`adjoint`), then backwards like u. Derivation of every formula: docs, "The solver".
//
// In here: no allocation, no exceptions, no containers, so that g++, clang and NVRTC compile it (MSVC: untested). All
// arrays are row-major; pointers of one call never overlap unless a comment says so.
// Sources: Golub & Van Loan, Matrix Computations, 5.1 and 4.2; Cox & Higham, BIT 38 (1998) for the order of the rows: large
// ones first, here equations and carry before Taylor rows, is worth two to three digits at small steps.
#pragma once

#include "vec.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

constexpr int MOST_DERIVATIVES = 12;                         // for tables; problems beyond are refused before they come here
constexpr double TINY = sizeof(Real) == 4 ? 1e-37 : 1e-290;  // a squared norm below it is that of a zero column

// D, K, E at compile time, so that loops unroll and matrices live in registers.
template <int D_, int K_, int E_>
struct Shape {
    static constexpr int D = D_, K = K_, E = E_, R = D_ * K_, SIZE = R, ROWS = R + E_, DERIVATIVES = K_;
    SMNN_INLINE Shape(int, int, int) {}
};

// D, K, E at run time: any size; matrices live in the scratch that the caller gives.
struct AnyShape {
    static constexpr int SIZE = 0, ROWS = 0, DERIVATIVES = 0;
    int D, K, E, R;
    SMNN_INLINE AnyShape(int d, int k, int e) : D(d), K(k), E(e), R(d * k) {}
};

// A local matrix of n numbers: an array where n is known (N > 0), else the next piece of `scratch`.
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

// What depends on K alone; filled once per call, on the host.
struct Constants {
    double phi[MOST_DERIVATIVES * MOST_DERIVATIVES];    // Phi
    double link[MOST_DERIVATIVES * MOST_DERIVATIVES];   // G
    double gram[MOST_DERIVATIVES * MOST_DERIVATIVES];   // G^T G = F^T P F + P, P the orders that have Taylor rows: all by default
    double cross[MOST_DERIVATIVES * MOST_DERIVATIVES];  // F^T P + J P F J, J = diag((-1)^k): minus the block (y_t, y'_{t+1})
};

#if defined(__CUDACC_RTC__)  // by the compiler, which knows no square root then
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

SMNN_TABLE Constants constants(int K, int orders) {
    Constants made = {};
    double factorial[MOST_DERIVATIVES] = {1.0};
    for (int i = 1; i < K; ++i) factorial[i] = i * factorial[i - 1];
    auto taylor = [&](int i, int j) { return j < i ? 0.0 : 1.0 / factorial[j - i]; };
    auto sign = [](int n) { return n % 2 ? -1.0 : 1.0; };
    for (int i = 0; i < K; ++i)
        for (int j = 0; j < K; ++j) {
            double sum = i == j && i < orders;
            for (int m = 0; m < orders; ++m) sum += taylor(m, i) * taylor(m, j);
            made.gram[i * K + j] = sum;
            made.phi[i * K + j] = sign(i + j) * taylor(i, j);
            made.cross[i * K + j] = (j < orders) * taylor(j, i) + (i < orders) * sign(i + j) * taylor(i, j);
        }
    for (int i = K - 1; i >= 0; --i)
        for (int j = i; j >= 0; --j) {
            double sum = made.gram[i * K + j];
            for (int m = i + 1; m < K; ++m) sum -= made.link[m * K + i] * made.link[m * K + j];
            made.link[i * K + j] = i == j ? table_root(sum) : sum / made.link[i * K + i];
        }
    return made;
}

// A Householder reflection that maps the column (a, x_1 .. x_n) onto (diagonal, 0 .. 0). `squares` = sum of x_i^2.
// Apply it to another column (p, q_1 .. q_n):  m = (v p + sum x_i q_i) scale;  p -= v m;  q_i -= x_i m.
// A zero column gives v = 0 and inverse = 0: nothing happens, and the solution there is 0.
template <class V>
struct Reflection {
    V v, scale, inverse, norm;
    SMNN_INLINE Reflection(V a, V squares) {
        norm = root(a * a + squares);
        v = a + with_sign(norm, a);
        const V size = magnitude(v);
        scale = 1.0 / larger(norm * size, V{} + TINY);
        inverse = -with_sign(size * scale, a);
    }
    SMNN_INLINE V diagonal(V a) const { return -with_sign(norm, a); }
};

// f(0), .., f(n - 1). Where n is known (N > 0) the calls stand one after the other, so that indices are constants and local
// matrices live in registers.
template <int N, class F>
SMNN_INLINE void each(int n, F f) {
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

// y[d,:] = Phi y'[d,:] for every variable, and the transpose. In and out may not be the same.
template <class V, class S>
SMNN_INLINE void predict(const S& s, const Constants& k, const V* y, V* out) {
    for (int d = 0; d < s.D; ++d)
        for (int i = 0; i < s.K; ++i) {
            V sum = y[d * s.K + i];
            for (int j = i + 1; j < s.K; ++j) sum += y[d * s.K + j] * k.phi[i * s.K + j];
            out[d * s.K + i] = sum;
        }
}
template <class V, class S>
SMNN_INLINE void predict_transposed(const S& s, const Constants& k, const V* p, V* out) {
    for (int d = 0; d < s.D; ++d)
        for (int j = 0; j < s.K; ++j) {
            V sum = p[d * s.K + j];
            for (int i = 0; i < j; ++i) sum += p[d * s.K + i] * k.phi[i * s.K + j];
            out[d * s.K + j] = sum;
        }
}

// x[d,k] *= factor^k for every variable.
template <class V, class S>
SMNN_INLINE void rescale(const S& s, V factor, V* x) {
    V power = factor;
    for (int k = 1; k < s.K; ++k) {
        for (int d = 0; d < s.D; ++d) x[d * s.K + k] *= power;
        power *= factor;
    }
}

// The orthogonal method. NX columns ride along: the right-hand side, and what else the caller eliminates with it. NX = 0:
// none yet, and the reflections are kept, for right-hand sides that ride later (`ride_initial`, `ride`, `ride_on`).
//
// Unknowns are eliminated derivative by derivative, the highest first, `at(j)` the j-th of them: 1/h^k makes the columns of
// the high derivatives the largest, by far at small steps, and a large entry that is not the pivot of its column spoils
// every row that a reflection mixes it into. Measured against the exact minimiser of u'' + 0.1 u' + u = 0, K = 3, h = 1e-4,
// T = 10,000: 1.5e-13 in this order, 6.1e-10 with the lowest derivative first. "Triangular" is meant in this order.
template <class V, class S>
struct Qr {
    static constexpr int SIZE = S::SIZE;
    static constexpr bool ORTHOGONAL = true;
    S s;
    const Constants& k;
    SMNN_INLINE Qr(S shape, const Constants& table) : s(shape), k(table) {}

    // The unknown eliminated as j-th, and the place of derivative i of variable d in this order.
    SMNN_INLINE int at(int j) const { return j % s.D * s.K + s.K - 1 - j / s.D; }
    SMNN_INLINE int place(int d, int i) const { return (s.K - 1 - i) * s.D + d; }

    // Numbers per grid point that solve and adjoint need: rows of U with 1/U_jj for U_jj, then V.
    SMNN_INLINE int record() const { return s.R * (s.R + 1) / 2 + s.R * s.R; }
    // Where the row of U begins in it, less j: its entry in the c-th column is `row(j) + c`.
    SMNN_INLINE int row(int j) const { return j * s.R - j * (j - 1) / 2 - j; }
    // Numbers per grid point of reflections: those of `eliminate`, then those of `absorb`; and of one row that is merged.
    SMNN_INLINE int reflections() const { return s.R * (s.R + s.E + 4); }
    SMNN_INLINE int reflections_of_row() const { return 3 * s.R; }
    SMNN_INLINE int absorbing() const { return s.R * (s.R + 1) / 2 + 2 * s.R; }  // where those of `absorb` begin
    // Numbers per grid point of a carry without what rides along: C, row-major, R x R.
    SMNN_INLINE int carry() const { return s.R * s.R; }
    // Numbers of scratch that any of these functions needs.
    SMNN_INLINE int scratch() const { return s.R * s.R + (s.R + s.E) * s.R + 4 * s.R + s.E; }

    // Carry (C | X) with one more row over y_t, zero but for derivative i of variable d and what is eliminated after it: C
    // stays triangular. `entries` (in the order of elimination) and `extra` (NX) are consumed; extra is then the residual.
    template <int NX, class Kept = V*>
    SMNN_INLINE void merge(V* C, V* X, V* entries, V* extra, int d, int i, Kept reflections = Kept{}) const {
        const int R = s.R;
        for (int j = place(d, i); j < R; ++j) {
            V* pivot = C + j * R;
            const V a = pivot[j], x = entries[j];
            const Reflection<V> h(a, x * x);
            pivot[j] = h.diagonal(a);
            if constexpr (NX == 0) reflections[3 * j] = h.v, reflections[3 * j + 1] = x, reflections[3 * j + 2] = h.scale;
            for (int c = j + 1; c < R; ++c) {
                const V m = (h.v * pivot[c] + x * entries[c]) * h.scale;
                pivot[c] -= h.v * m, entries[c] -= x * m;
            }
            for (int c = 0; c < NX; ++c) {
                const V m = (h.v * X[j * NX + c] + x * extra[c]) * h.scale;
                X[j * NX + c] -= h.v * m, extra[c] -= x * m;
            }
        }
    }

    // Eliminate w_t. In: the carry of t, C (R x R, columns in the order of elimination) and X (R x NX), and the Taylor
    // weights (D; then a tolerance). Out: the record, z (R x NX), and in C and X the R rows left over y'_{t+1}, dense.
    // `zero` becomes 1 + the first unknown whose column nothing determines, if it was 0.
    //
    // Column by column: each passes once through registers, `top` its entries in the R rows of the carry and `low` those in
    // the R rows of G, takes all reflections before it, and over w_t then makes its own. The reflection of column j is x_ij,
    // i <= j, in row i of G, and v_j in row j of the carry.
    template <int NX, class Record, class Kept = V*>
    SMNN_INLINE void eliminate(V* C, V* X, const V* weight, V, Record record, V* z, V& zero, V* scratch, Kept reflections = Kept{}) const {
        const int R = s.R, K = s.K, D = s.D;
        Local<V, SIZE * SIZE> x(scratch, R * R);
        Local<V, SIZE> v(scratch, R), scale(scratch, R), top(scratch, R), low(scratch, R);
        each<SIZE>(R, [&](int c) SMNN_ALWAYS {
            const int own = c % D, bottom = K - 1 - c / D;
            each<SIZE>(R, [&](int i) SMNN_ALWAYS {
                if (i > c) return;
                top[i] = C[i * R + c];
                low[i] = i % D == own ? weight[own] * k.link[(K - 1 - i / D) * K + bottom] : V{};
            });
            each<SIZE>(R, [&](int j) SMNN_ALWAYS {
                if (j >= c) return;
                V m = v[j] * top[j];
                each<SIZE>(R, [&](int i) SMNN_ALWAYS { if (i <= j) m += x[i * R + j] * low[i]; });
                m *= scale[j];
                record[row(j) + c] = top[j] - v[j] * m;
                each<SIZE>(R, [&](int i) SMNN_ALWAYS { if (i <= j) low[i] -= x[i * R + j] * m; });
            });
            V squares = V{};
            each<SIZE>(R, [&](int i) SMNN_ALWAYS { if (i <= c) squares += low[i] * low[i], x[i * R + c] = low[i]; });
            const Reflection<V> h(top[c], squares);
            v[c] = h.v, scale[c] = h.scale;
            record[row(c) + c] = h.inverse;
            zero = select((h.norm == 0.0) & (zero == 0.0), V{} + (1.0 + at(c)), zero);
        });
        if constexpr (NX == 0) {
            for (int j = 0; j < R; ++j)
                for (int i = 0; i <= j; ++i) *reflections++ = x[i * R + j];
            for (int j = 0; j < R; ++j) *reflections++ = v[j];
            for (int j = 0; j < R; ++j) *reflections++ = scale[j];
        }
        // A column over y' or of the right-hand side: row j of G enters it as zero.
        auto ride = [&](auto kept, V* left, int stride) SMNN_ALWAYS {
            each<SIZE>(R, [&](int j) SMNN_ALWAYS {
                V m = v[j] * top[j];
                each<SIZE>(R, [&](int i) SMNN_ALWAYS { if (i < j) m += x[i * R + j] * low[i]; });
                m *= scale[j];
                kept[j * stride] = top[j] - v[j] * m;
                each<SIZE>(R, [&](int i) SMNN_ALWAYS { if (i < j) low[i] -= x[i * R + j] * m; });
                low[j] = -x[j * R + j] * m;
            });
            each<SIZE>(R, [&](int i) SMNN_ALWAYS { left[i * stride] = low[i]; });
        };
        auto beyond = record + R * (R + 1) / 2;
        for (int d = 0; d < D; ++d)
            each<S::DERIVATIVES>(K, [&](int n) SMNN_ALWAYS {
                const int i = K - 1 - n;  // from the right: what is left takes the place of columns no longer needed
                each<SIZE>(R, [&](int j) SMNN_ALWAYS {
                    top[j] = V{};
                    each<S::DERIVATIVES>(K, [&](int m) SMNN_ALWAYS {
                        if (m <= i && place(d, m) >= j) top[j] += C[j * R + place(d, m)] * k.phi[m * K + i];
                    });
                });
                ride(beyond + d * K + i, C + place(d, i), R);
            });
        for (int c = 0; c < NX; ++c) {
            each<SIZE>(R, [&](int j) SMNN_ALWAYS { top[j] = X[j * NX + c]; });
            ride(z + c, X + c, NX);
        }
    }

    // The carry of t+1. In: the rows left over y'_{t+1} (C, X), ratio = h_t / h_{t+1}, 1/h_{t+1}, and the equation rows of
    // t+1, coefficients (E x R) and constants (E; they meet the last riding column). Out: C triangular over y_{t+1}, X,
    // and in `rest` (E x NX; or null) the rows without unknowns. Equation rows come first: they are the large ones.
    // Column by column as in `eliminate`; reflection j is x_ij in the rows i > j.
    template <int NX, class Kept = V*>
    SMNN_INLINE void absorb(V* C, V* X, V ratio, V inverse, const V* coefficients, const V* constants, V* rest,
                            V* scratch, Kept reflections = Kept{}) const {
        constexpr int ROWS = S::ROWS;
        const int R = s.R, E = s.E, N = s.R + s.E;
        Local<V, ROWS * SIZE> x(scratch, N * R);
        Local<V, SIZE> v(scratch, R), scale(scratch, R);
        Local<V, ROWS> column(scratch, N);
        auto take = [&](int j) SMNN_ALWAYS {  // reflection j
            V m = v[j] * column[j];
            each<ROWS>(N, [&](int i) SMNN_ALWAYS { if (i > j) m += x[i * R + j] * column[i]; });
            m *= scale[j];
            column[j] -= v[j] * m;
            each<ROWS>(N, [&](int i) SMNN_ALWAYS { if (i > j) column[i] -= x[i * R + j] * m; });
        };
        V powers[MOST_DERIVATIVES], ratios[MOST_DERIVATIVES];
        powers[0] = ratios[0] = V{} + 1.0;
        for (int i = 1; i < s.K; ++i) powers[i] = powers[i - 1] * inverse, ratios[i] = ratios[i - 1] * ratio;
        each<SIZE>(R, [&](int c) SMNN_ALWAYS {
            const V power = powers[s.K - 1 - c / s.D], shrink = ratios[s.K - 1 - c / s.D];
            each<ROWS>(N, [&](int i) SMNN_ALWAYS {
                column[i] = i < E ? coefficients[i * R + at(c)] * power : C[(i - E) * R + c] * shrink;
            });
            each<SIZE>(R, [&](int j) SMNN_ALWAYS {
                if (j >= c) return;
                take(j);
                C[j * R + c] = column[j];
            });
            V squares = V{};
            each<ROWS>(N, [&](int i) SMNN_ALWAYS { if (i > c) squares += column[i] * column[i], x[i * R + c] = column[i]; });
            const Reflection<V> h(column[c], squares);
            v[c] = h.v, scale[c] = h.scale;
            C[c * R + c] = h.diagonal(column[c]);
        });
        for (int c = 0; c < NX; ++c) {
            each<ROWS>(N, [&](int i) SMNN_ALWAYS {
                column[i] = i < E ? (c == NX - 1 ? constants[i] : V{}) : X[(i - E) * NX + c];
            });
            each<SIZE>(R, [&](int j) SMNN_ALWAYS { take(j); });
            each<SIZE>(R, [&](int j) SMNN_ALWAYS { X[j * NX + c] = column[j]; });
            if (rest) for (int e = 0; e < E; ++e) rest[e * NX + c] = column[R + e];
        }
        if constexpr (NX == 0) {
            reflections = reflections + absorbing();
            for (int j = 0; j < R; ++j)
                for (int i = j + 1; i < N; ++i) *reflections++ = x[i * R + j];
            for (int j = 0; j < R; ++j) *reflections++ = v[j];
            for (int j = 0; j < R; ++j) *reflections++ = scale[j];
        }
    }

    // What `merge`, `eliminate` and `absorb` do to the one column X of a right-hand side, by the reflections that they kept.
    template <class Kept>
    SMNN_INLINE void ride_initial(const Kept& kept, V* X, V extra, int d, int i) const {
        for (int j = place(d, i); j < s.R; ++j) {
            const V m = (kept[3 * j] * X[j] + kept[3 * j + 1] * extra) * kept[3 * j + 2];
            X[j] -= kept[3 * j] * m, extra -= kept[3 * j + 1] * m;
        }
    }
    template <class Kept>
    SMNN_INLINE void ride(const Kept& kept, V* X, V* z, V* scratch) const {
        const int R = s.R, v = R * (R + 1) / 2, scale = v + R;
        Local<V, SIZE> low(scratch, R);
        each<SIZE>(R, [&](int j) SMNN_ALWAYS {
            const int x = j * (j + 1) / 2;
            V m = kept[v + j] * X[j];
            each<SIZE>(R, [&](int i) SMNN_ALWAYS { if (i < j) m += kept[x + i] * low[i]; });
            m *= kept[scale + j];
            z[j] = X[j] - kept[v + j] * m;
            each<SIZE>(R, [&](int i) SMNN_ALWAYS { if (i < j) low[i] -= kept[x + i] * m; });
            low[j] = -kept[x + j] * m;
        });
        for (int j = 0; j < R; ++j) X[j] = low[j];
    }
    template <class Kept>
    SMNN_INLINE void ride_on(const Kept& kept, V* X, const V* constants, V* scratch) const {
        constexpr int ROWS = S::ROWS;
        const int R = s.R, E = s.E, N = R + E, first = absorbing(), v = first + R * N - R * (R + 1) / 2, scale = v + R;
        Local<V, ROWS> column(scratch, N);
        each<ROWS>(N, [&](int i) SMNN_ALWAYS { column[i] = i < E ? constants[i] : X[i - E]; });
        each<SIZE>(R, [&](int j) SMNN_ALWAYS {
            const int x = first + j * N - j * (j + 1) / 2 - j - 1;
            V m = kept[v + j] * column[j];
            each<ROWS>(N, [&](int i) SMNN_ALWAYS { if (i > j) m += kept[x + i] * column[i]; });
            m *= kept[scale + j];
            X[j] = column[j] - kept[v + j] * m;
            each<ROWS>(N, [&](int i) SMNN_ALWAYS { if (i > j) column[i] -= kept[x + i] * m; });
        });
    }

    // The beginning of a piece: the Taylor rows of the first interval, G (y_s - Phi y'), as rows left over y' (C), with y_s,
    // the separator, riding along (X: R x (R + 1), in the order of elimination, the right-hand side last).
    SMNN_INLINE void begin_beside(V* C, V* X, V*, const V* weight) const {
        const int R = s.R, K = s.K;
        for (int j = 0; j < R; ++j) {
            const int d = j % s.D, top = K - 1 - j / s.D;
            for (int c = 0; c < R; ++c) C[j * R + c] = V{};
            for (int c = 0; c <= R; ++c) X[j * (R + 1) + c] = V{};
            for (int i = 0; i < K; ++i) {
                V sum = V{};
                for (int m = 0; m <= (i < top ? i : top); ++m) sum -= k.link[top * K + m] * k.phi[m * K + i] * weight[d];
                C[j * R + place(d, i)] = sum;
                if (i <= top) X[j * (R + 1) + place(d, i)] = weight[d] * k.link[top * K + i];
            }
        }
    }

    // The last grid point: the carry is U itself. `zero` as in `eliminate`, with a threshold: a pivot that is rounding,
    // `tolerance` (32 sqrt(T) eps) times its column or the Taylor rows, whose size is 1; the lowest such unknown.
    template <class Record>
    SMNN_INLINE void finish(const V* C, const V* X, V tolerance, Record record, V* z, V& zero, V*) const {
        for (int j = 0; j < s.R; ++j) {
            V squares = V{};
            for (int i = 0; i <= j; ++i) squares += C[i * s.R + j] * C[i * s.R + j];
            const V pivot = C[j * s.R + j], size = larger(root(squares), V{} + 1.0), mark = V{} + (1.0 + at(j));
            const auto sound = magnitude(pivot) > tolerance * size;
            zero = select(sound, zero, select((zero == 0.0) | (zero > mark), mark, zero));
            *record++ = select(sound, 1.0 / select(sound, pivot, V{} + 1.0), V{});
            for (int c = j + 1; c < s.R; ++c) *record++ = C[j * s.R + c];
            z[j] = X[j];
        }
        for (int i = 0; i < s.R * s.R; ++i) record[i] = V{};
    }

    // w_t = U^-1 (z - V y'), and y_t = w_t + Phi y'. z may be a.
    template <class Record>
    SMNN_INLINE void back(const Record& record, const V*, const V* z, const V* ahead, V* w, V* y) const {
        const int R = s.R, beyond = R * (R + 1) / 2;
        each<SIZE>(R, [&](int i) SMNN_ALWAYS {
            const int j = R - 1 - i;
            V sum = z[j];
            for (int c = 0; c < R; ++c) sum -= record[beyond + j * R + c] * ahead[c];
            for (int c = j + 1; c < R; ++c) sum -= record[row(j) + c] * w[at(c)];
            w[at(j)] = sum * record[row(j) + j];
        });
        predict<V>(s, k, ahead, y);
        for (int j = 0; j < R; ++j) y[j] += w[j];
    }

    // a_t = U^-T p, and what p_{t+1} gets over y'_{t+1}: Phi^T p - V^T a.
    template <class Record>
    SMNN_INLINE void adjoint(const Record& record, const V*, const V* p, V* a, V* onward) const {
        const int R = s.R, beyond = R * (R + 1) / 2;
        predict_transposed<V>(s, k, p, onward);
        each<SIZE>(R, [&](int j) SMNN_ALWAYS {
            V sum = p[at(j)];
            for (int i = 0; i < j; ++i) sum -= record[row(i) + j] * a[i];
            a[j] = sum * record[row(j) + j];
        });
        for (int j = 0; j < R; ++j)
            for (int c = 0; c < R; ++c) onward[c] -= record[beyond + j * R + c] * a[j];
    }
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
