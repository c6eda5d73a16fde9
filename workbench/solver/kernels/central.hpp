// Elimination with central rows. They couple three grid points, t, t+1 and t+2, the third by derivative K-2 only: in
// the scaled unknowns of sweep.hpp, with H = h_t + h_{t+1} and for every variable,
//
//     c (y_t[K-2] - s_t) + c H / h_t y'_{t+1}[K-1],   c = w_s H^(K-3) / h_t^(K-2),   s_t = h_t^(K-2) u_{t+2}[K-2].
//
// The carry of t therefore has Q = R + D unknowns: y_t and s_{t-1}. Eliminating y_t leaves rows over y'_{t+1} and s_t.
// The factor is rows U x + V y'_{t+1} + W s_t = z, where x is
//
//     qr         the innovation w_t = y_t - Phi y'_{t+1}. The Taylor rows are G w_t, G^T G = F^T P F + P, P the orders
//                below K-1. The central row is c (w_t[K-2] + y'[K-2] + h_{t+1}/h_t y'[K-1] - s_t): no cancellation.
//     cholesky   y_t itself.
//
// Both methods eliminate the highest derivative first, as Qr does. Sizes are known at run time only: central rows are
// rare. As in sweep.hpp, functions neither allocate nor throw, and pointer arguments do not alias.
#pragma once

#include "sweep.hpp"
#include "taylor.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

// Apply the reflection that eliminates column c of the rows first .. last-1 of M into row `pivot`, to the columns from
// c on. Entries of column c below the pivot are not set to zero. Returns 1 over the new pivot, 0 for a zero column.
//
//     M      row-major, in place
//     width  columns of M
//
// The row with the largest entry in this column is first exchanged with the pivot row. Central rows are of size 1/h, so
// that no fixed order of the rows is right throughout, as it is for default rows. Against the exact minimiser of u'' +
// 0.1 u' + u = 0, h = 1e-3, T = 1000, K = 4: 1.8e-13 with the exchange, 1.3e-12 without. Source: Cox & Higham, BIT 38
// (1998), row interchanges.
template <class V>
inline V reflect(V* M, int width, int c, int pivot, int first, int last) {
    V* top = M + pivot * width;
    for (int i = first; i < last; ++i) {
        const auto swap = absolute(M[i * width + c]) > absolute(top[c]);
        for (int j = c; j < width; ++j) {
            const V upper = top[j], lower = M[i * width + j];
            top[j] = select(swap, lower, upper), M[i * width + j] = select(swap, upper, lower);
        }
    }
    V squares = V{};
    for (int i = first; i < last; ++i) squares += M[i * width + c] * M[i * width + c];
    const Reflection<V> h(top[c], squares);
    for (int j = c + 1; j < width; ++j) {
        V m = h.v * top[j];
        for (int i = first; i < last; ++i) m += M[i * width + c] * M[i * width + j];
        m *= h.scale;
        top[j] -= h.v * m;
        for (int i = first; i < last; ++i) M[i * width + j] -= M[i * width + c] * m;
    }
    top[c] = h.diagonal(top[c]);
    return h.inverse;
}

// The rows of one grid point.
template <class V>
struct Point {
    const V* rows;  // equation and initial rows over u_t, then their constant: count x (R + 1)
    int count;
    V before, inverse, after;  // h_{t-1} / h_t, 1 / h_t, h_{t+1} / h_t
    const V* weight;           // of the Taylor rows and the central rows that begin here (D)
    bool taylor, central;      // whether there are any
    V tolerance;               // 32 sqrt(T) eps: what counts as zero
};

template <class V, class S>
struct Central {
    const S s;
    const Constants& k;
    const int R, D, K, Q, WIDTH, WIDE;  // of rows over (y_t, s_{t-1} | 1), and over (x, y'_{t+1}, s_t | 1)
    Central(S shape, const Constants& table)
        : s(shape), k(table), R(shape.R), D(shape.D), K(shape.K), Q(R + D), WIDTH(Q + 1), WIDE(R + Q + 1) {}

    // Order of elimination: see Qr.
    int unknown(int j) const { return j % D * K + derivative(j); }
    int position(int d, int i) const { return (K - 1 - i) * D + d; }

    // Numbers per grid point of the factor: rows of U with 1/U_jj in place of U_jj, then rows of V (in the order of u)
    // and W.
    int record() const { return R * (R + 1) / 2 + R * Q; }
    SMNN_INLINE int reflections() const { return 0; }  // none are stored: see Qr
    SMNN_INLINE int merge_reflections() const { return 0; }
    int row(int j) const { return j * R - j * (j - 1) / 2 - j; }
    // qr: Q + D rows. cholesky: the upper triangle of the Schur complement with its right-hand side, Q rows, and its
    // diagonal before anything was subtracted.
    int carry() const { return (Q + D) * WIDTH; }
    int scratch() const { return (s.E + R) * (R + 1) + (s.E + R + Q + D) * WIDTH + (R + Q) * (WIDE + 1); }

    // Eliminate y_t by reflections.
    //
    //     carry       in: carry of t; out: carry of t+1
    //     p           rows of t
    //     record, z   out: factor, and its right-hand side (R)
    //     zero_pivot  set to 1 + the lowest unknown with a zero pivot, unless a lower one is set
    //     scratch     scratch() numbers
    void eliminate_qr(V* carry, const Point<V>& p, V* record, V* z, V& zero_pivot, V* scratch) const {
        const int rows = p.count + Q + D;
        V *C = scratch, *M = C + rows * WIDTH;
        triangularise(carry, p, C, rows);
        for (int i = 0; i < (2 * R + D) * WIDE; ++i) M[i] = V{};
        for (int i = 0; i < R; ++i) {
            V* row = M + i * WIDE;
            for (int c = i; c < R; ++c) row[c] = C[i * WIDTH + c];
            row[R + Q] = C[i * WIDTH + Q];
            if (p.taylor) predicted(C + i * WIDTH, i, row + R);
        }
        for (int d = 0; p.central && d < D; ++d) {
            const V outer = central(p, d);
            V* row = M + (R + d) * WIDE;
            row[position(d, K - 2)] = row[R + position(d, K - 2)] = outer;
            row[R + position(d, K - 1)] = outer * p.after;
            row[R + R + d] = -outer;
        }
        for (int i = 0; p.taylor && i < R; ++i)
            for (int c = i; c < R; c += D)
                M[(R + D + i) * WIDE + c] = p.weight[i % D] * k.link[derivative(i) * K + derivative(c)];
        for (int j = 0; j < R; ++j) {
            const V inverse = p.taylor ? reflect(M, WIDE, j, j, R, R + D + j + 1) : last_inverse(M, j, p.tolerance);
            flag_deficient(inverse == 0.0, j, zero_pivot);
            store_row(M + j * WIDE, j, inverse, record, z);
        }
        for (int i = 0; i < R + D; ++i)
            for (int c = 0; c < WIDTH; ++c) carry[i * WIDTH + c] = M[(R + i) * WIDE + R + c];
        for (int d = 0; d < D; ++d) {  // rows over s_{t-1} alone
            V* row = carry + (R + D + d) * WIDTH;
            for (int c = 0; c < WIDTH; ++c) row[c] = V{};
            for (int e = d; e < D; ++e) row[position(e, K - 2)] = C[(R + d) * WIDTH + R + e];
            row[Q] = C[(R + d) * WIDTH + Q];
        }
    }

    // The same by the normal equations: the published method, with the condition number squared.
    void eliminate_cholesky(V* carry, const Point<V>& p, V* record, V* z, V& zero_pivot, V* scratch) const {
        V *A = scratch, *size = A + (R + Q) * WIDE;
        normal(carry, p, A, size);
        for (int j = 0; j < R; ++j) {
            V* top = A + j * WIDE;
            const auto nonzero = top[j] > p.tolerance * size[j];
            const V inverse = select(nonzero, 1.0 / square_root(select(nonzero, top[j], V{} + 1.0)), V{});
            for (int c = j + 1; c < WIDE; ++c) top[c] *= inverse;
            for (int i = j + 1; i < R + Q; ++i)
                for (int c = i; c < WIDE; ++c) A[i * WIDE + c] -= top[i] * top[c];
            flag_deficient(inverse == 0.0, j, zero_pivot);
            store_row(top, j, inverse, record, z);
        }
        for (int i = 0; i < Q; ++i) {
            for (int c = i; c < WIDTH; ++c) carry[i * WIDTH + c] = A[(R + i) * WIDE + R + c];
            carry[Q * WIDTH + i] = size[R + i];
        }
    }

    // Back substitution: w_t and y_t.
    //
    //     innovation  whether x is w_t (qr)
    //     ahead       y'_{t+1} (R)
    //     later       s_t (D)
    void back_substitute(bool innovation, const V* record, const V* z, const V* ahead, const V* later, V* w,
                         V* y) const {
        const V* beyond = record + R * (R + 1) / 2;
        for (int j = R - 1; j >= 0; --j) {
            V sum = z[j];
            for (int c = 0; c < R; ++c) sum -= beyond[j * Q + c] * ahead[c];
            for (int d = 0; d < D; ++d) sum -= beyond[j * Q + R + d] * later[d];
            for (int c = j + 1; c < R; ++c) sum -= record[row(j) + c] * w[unknown(c)];
            w[unknown(j)] = sum * record[row(j) + j];
        }
        predict<V>(s, k, ahead, y);
        for (int j = 0; j < R; ++j) {
            const V x = w[j];
            w[j] = innovation ? x : x - y[j];
            y[j] = innovation ? x + y[j] : x;
        }
    }

    // Forward substitution with the transpose: a_t = U^-T p.
    //
    //     onward  out: contribution to the right-hand side over y'_{t+1} (R)
    //     beyond  in: contribution over s_{t-1}; out: over s_t (D)
    void adjoint(bool innovation, const V* record, const V* p, V* a, V* onward, V* beyond) const {
        const V* reach = record + R * (R + 1) / 2;
        for (int j = 0; j < R; ++j) {
            V sum = p[unknown(j)];
            for (int i = 0; i < j; ++i) sum -= record[row(i) + j] * a[i];
            a[j] = sum * record[row(j) + j];
        }
        predict_transposed<V>(s, k, p, onward);
        for (int c = 0; c < R && !innovation; ++c) onward[c] = V{};
        for (int d = 0; d < D; ++d) onward[d * K + K - 2] += beyond[d], beyond[d] = V{};
        for (int j = 0; j < R; ++j) {
            for (int c = 0; c < R; ++c) onward[c] -= reach[j * Q + c] * a[j];
            for (int d = 0; d < D; ++d) beyond[d] -= reach[j * Q + R + d] * a[j];
        }
    }

private:
    int derivative(int j) const { return K - 1 - j / D; }
    static void powers(V x, int n, V* out) {
        out[0] = V{} + 1.0;
        for (int i = 1; i < n; ++i) out[i] = out[i - 1] * x;
    }
    // Scale of unknown c of a carry from one grid point to the next.
    V scale(const V* ratios, int c) const { return ratios[c < R ? derivative(c) : K - 2]; }

    // Coefficient c of the central row of variable d.
    V central(const Point<V>& p, int d) const {
        const V span = 1.0 + p.after;
        V outer = p.weight[d] * p.inverse / span;
        for (int i = 0; i < K - 2; ++i) outer *= span;
        return outer;
    }

    // Triangularise the data rows and the carry of t: out, C.
    void triangularise(const V* carry, const Point<V>& p, V* C, int rows) const {
        V steps[MAX_DERIVATIVES], ratios[MAX_DERIVATIVES];
        powers(p.inverse, K, steps), powers(p.before, K, ratios);
        for (int i = 0; i < p.count; ++i) {
            const V* row_in = p.rows + i * (R + 1);
            for (int c = 0; c < R; ++c) C[i * WIDTH + c] = row_in[unknown(c)] * steps[derivative(c)];
            for (int c = R; c < Q; ++c) C[i * WIDTH + c] = V{};
            C[i * WIDTH + Q] = row_in[R];
        }
        for (int i = 0; i < Q + D; ++i) {
            V* row = C + (p.count + i) * WIDTH;
            for (int c = 0; c < Q; ++c) row[c] = carry[i * WIDTH + c] * scale(ratios, c);
            row[Q] = carry[i * WIDTH + Q];
        }
        for (int j = 0; j < Q; ++j) reflect(C, WIDTH, j, j, j + 1, rows);
    }

    // A row of the carry, zero before column i, over y'_{t+1}; y_t = w_t + Phi y'_{t+1} and s_{t-1} = y'_{t+1}[K-2].
    void predicted(const V* row, int i, V* out) const {
        for (int d = 0; d < D; ++d) {
            for (int j = 0; j < K; ++j)
                for (int m = 0; m <= j; ++m)
                    if (position(d, m) >= i) out[position(d, j)] += row[position(d, m)] * k.phi[m * K + j];
            out[position(d, K - 2)] += row[R + d];
        }
    }

    // 1 / pivot at the last grid point; 0 if it is small compared to its column or to the Taylor rows, whose size is 1.
    V last_inverse(const V* U, int j, V tolerance) const {
        V squares = V{};
        for (int i = 0; i <= j; ++i) squares += U[i * WIDE + j] * U[i * WIDE + j];
        const V pivot = U[j * WIDE + j];
        const auto nonzero = absolute(pivot) > tolerance * maximum(square_root(squares), V{} + 1.0);
        return select(nonzero, 1.0 / select(nonzero, pivot, V{} + 1.0), V{});
    }

    // The normal equations over (y_t, y'_{t+1}, s_t | 1): upper triangle A, and its diagonal before anything was
    // subtracted.
    void normal(const V* carry, const Point<V>& p, V* A, V* size) const {
        V steps[MAX_DERIVATIVES], ratios[MAX_DERIVATIVES];
        powers(p.inverse, K, steps), powers(p.before, K, ratios);
        for (int i = 0; i < (R + Q) * (WIDE + 1); ++i) A[i] = V{};  // size too
        auto slot = [&](int c) { return c < R ? c : R + position(c - R, K - 2); };
        for (int i = 0; i < Q; ++i) {
            V* row = A + slot(i) * WIDE;
            const V factor = scale(ratios, i);
            for (int c = i; c < Q; ++c) row[slot(c)] = carry[i * WIDTH + c] * factor * scale(ratios, c);
            row[R + Q] = carry[i * WIDTH + Q] * factor;
            size[slot(i)] = carry[Q * WIDTH + i] * factor * factor;
        }
        auto add = [&](int i, int j, V value) {
            A[i * WIDE + j] += value;
            if (i == j) size[i] += value;
        };
        for (int n = 0; n < p.count; ++n) {
            const V* row_in = p.rows + n * (R + 1);
            for (int i = 0; i < R; ++i) {
                const V entry = row_in[unknown(i)] * steps[derivative(i)];
                for (int c = i; c < R; ++c) add(i, c, entry * row_in[unknown(c)] * steps[derivative(c)]);
                A[i * WIDE + R + Q] += entry * row_in[R];
            }
        }
        for (int d = 0; p.taylor && d < D; ++d) {
            const V square = p.weight[d] * p.weight[d];
            for (int i = 0; i < K; ++i)
                for (int j = 0; j < K; ++j) {
                    const int a = position(d, i), b = position(d, j);
                    add(a, R + b, -square * k.cross[i * K + j]);
                    if (a > b) continue;
                    add(a, b, square * k.gram[i * K + j]);
                    add(R + a, R + b, square * ((i + j) % 2 ? -k.gram[i * K + j] : k.gram[i * K + j]));
                }
            if (!p.central) continue;
            const V outer = central(p, d), row[] = {outer, outer * (1.0 + p.after), -outer};
            const int column[] = {position(d, K - 2), R + position(d, K - 1), R + R + d};
            for (int i = 0; i < 3; ++i)
                for (int j = i; j < 3; ++j) add(column[i], column[j], row[i] * row[j]);
        }
    }

    template <class M>
    void flag_deficient(M bad, int j, V& zero_pivot) const {
        const V flag = V{} + (1.0 + unknown(j));
        zero_pivot = select(bad & ((zero_pivot == 0.0) | (zero_pivot > flag)), flag, zero_pivot);
    }

    // Store row j of the factor, from a row over (x, y'_{t+1}, s_t | 1).
    void store_row(const V* from, int j, V inverse, V* record, V* z) const {
        record[row(j) + j] = inverse;
        for (int c = j + 1; c < R; ++c) record[row(j) + c] = from[c];
        V* beyond = record + R * (R + 1) / 2 + j * Q;
        for (int c = 0; c < R; ++c) beyond[unknown(c)] = from[R + c];
        for (int d = 0; d < D; ++d) beyond[R + d] = from[R + R + d];
        z[j] = from[R + Q];
    }
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
