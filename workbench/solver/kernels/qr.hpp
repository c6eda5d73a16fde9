// Elimination by Householder reflections: the first of the two methods of sweep.hpp.
#pragma once

#include "sweep.hpp"
#include "taylor.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

// Orthogonal factorization, one grid point at a time.
//
// X has NX columns: the right-hand side last, and before it the columns of the separator where pieces are eliminated.
// With NX = 0 there is no right-hand side, and the reflections are stored so that right-hand sides can be transformed
// later (`apply_absorb_reflections`, `apply_merge_reflections`, `apply_eliminate_reflections`, in this order).
//
// Unknowns are eliminated derivative by derivative, the highest first: 1/h^k makes the columns of the high derivatives
// the largest, by far at small steps, and a large entry that is not the pivot of its column spoils every row that a
// reflection mixes it into. Measured against the exact minimiser of u'' + 0.1 u' + u = 0, K = 3, h = 1e-4, T = 10,000:
// 1.5e-13 in this order, 6.1e-10 with the lowest derivative first. "Triangular" refers to this order.
template <class V, class S>
struct Qr {
    static constexpr int SIZE = S::SIZE;
    static constexpr bool ORTHOGONAL = true;
    S s;
    const Constants& k;
    SMNN_INLINE Qr(S shape, const Constants& table) : s(shape), k(table) {}

    // Index of the unknown eliminated j-th, and position of derivative i of variable d in the order of elimination.
    SMNN_INLINE int unknown(int j) const { return j % s.D * s.K + s.K - 1 - j / s.D; }
    SMNN_INLINE int position(int d, int i) const { return (s.K - 1 - i) * s.D + d; }

    // Numbers per grid point of the factor: rows of U with 1/U_jj in place of U_jj, then V.
    SMNN_INLINE int record() const { return s.R * (s.R + 1) / 2 + s.R * s.R; }
    // Offset of row j of U in the record, less j: entry c of the row is at `row(j) + c`.
    SMNN_INLINE int row(int j) const { return j * s.R - j * (j - 1) / 2 - j; }
    // Numbers per grid point of reflections: those of `eliminate`, then those of `absorb`; and of one merged row.
    SMNN_INLINE int reflections() const { return s.R * (s.R + s.E + 4); }
    SMNN_INLINE int merge_reflections() const { return 3 * s.R; }
    SMNN_INLINE int absorb_offset() const { return s.R * (s.R + 1) / 2 + 2 * s.R; }  // where those of `absorb` begin
    // Numbers of the carry C, row-major, R x R (without X).
    SMNN_INLINE int carry() const { return s.R * s.R; }
    // Numbers of scratch memory that each function below needs at most.
    SMNN_INLINE int scratch() const { return s.R * s.R + (s.R + s.E) * s.R + 4 * s.R + s.E; }

    // Add one row over y_t to the carry (C | X); C stays triangular. The row is zero except for derivative i of
    // variable d and the unknowns eliminated after it.
    //
    //     C, X         carry, updated in place
    //     entries      the row in the order of elimination (R), consumed
    //     extra        its entries in the columns of X (NX), consumed; contains the residual on return
    //     reflections  out, with NX = 0 only: (v, x, scale) per unknown
    template <int NX, class Reflections = V*>
    SMNN_INLINE void merge(V* C, V* X, V* entries, V* extra, int d, int i,
                           Reflections reflections = Reflections{}) const {
        const int R = s.R;
        for (int j = position(d, i); j < R; ++j) {
            V* pivot = C + j * R;
            const V a = pivot[j], x = entries[j];
            const Reflection<V> h(a, x * x);
            pivot[j] = h.diagonal(a);
            if constexpr (NX == 0)
                reflections[3 * j] = h.v, reflections[3 * j + 1] = x, reflections[3 * j + 2] = h.scale;
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

    // Eliminate w_t from the carry of t and the Taylor rows of the interval (t, t+1).
    //
    //     C, X         in: carry of t (C in the order of elimination); out: the R remaining rows over y'_{t+1}, dense
    //     weight       weights of the Taylor rows (D)
    //     record       out: row of the factor, U and V
    //     z            out: right-hand sides of these rows (R x NX)
    //     zero_pivot   set to 1 + the first unknown whose column is zero, if it was 0
    //     scratch      scratch() numbers, with sizes known at run time only
    //     reflections  out, with NX = 0 only: entries x_ij, i <= j, column by column, then v and scale
    //
    // Each column passes through registers once: `top` its entries in the R rows of the carry and `low` those in the R
    // rows of G. It takes all reflections before it; the columns of w_t then define their own. Reflection j has the
    // entries x_ij, i <= j, in row i of G, and v_j in row j of the carry.
    template <int NX, class Record, class Reflections = V*>
    SMNN_INLINE void eliminate(V* C, V* X, const V* weight, V, Record record, V* z, V& zero_pivot, V* scratch,
                               Reflections reflections = Reflections{}) const {
        const int R = s.R, K = s.K, D = s.D;
        Local<V, SIZE * SIZE> x(scratch, R * R);
        Local<V, SIZE> v(scratch, R), scale(scratch, R), top(scratch, R), low(scratch, R);
        unroll<SIZE>(R, [&](int c) SMNN_ALWAYS {
            const int own = c % D, bottom = K - 1 - c / D;
            unroll<SIZE>(R, [&](int i) SMNN_ALWAYS {
                if (i > c) return;
                top[i] = C[i * R + c];
                low[i] = i % D == own ? weight[own] * k.link[(K - 1 - i / D) * K + bottom] : V{};
            });
            unroll<SIZE>(R, [&](int j) SMNN_ALWAYS {
                if (j >= c) return;
                V m = v[j] * top[j];
                unroll<SIZE>(R, [&](int i) SMNN_ALWAYS { if (i <= j) m += x[i * R + j] * low[i]; });
                m *= scale[j];
                record[row(j) + c] = top[j] - v[j] * m;
                unroll<SIZE>(R, [&](int i) SMNN_ALWAYS { if (i <= j) low[i] -= x[i * R + j] * m; });
            });
            V squares = V{};
            unroll<SIZE>(R, [&](int i) SMNN_ALWAYS { if (i <= c) squares += low[i] * low[i], x[i * R + c] = low[i]; });
            const Reflection<V> h(top[c], squares);
            v[c] = h.v, scale[c] = h.scale;
            record[row(c) + c] = h.inverse;
            zero_pivot = select((h.norm == 0.0) & (zero_pivot == 0.0), V{} + (1.0 + unknown(c)), zero_pivot);
        });
        if constexpr (NX == 0) {
            for (int j = 0; j < R; ++j)
                for (int i = 0; i <= j; ++i) *reflections++ = x[i * R + j];
            for (int j = 0; j < R; ++j) *reflections++ = v[j];
            for (int j = 0; j < R; ++j) *reflections++ = scale[j];
        }
        // A column over y' or of the right-hand side: its entry in row j of G is zero.
        auto apply = [&](auto out, V* left, int stride) SMNN_ALWAYS {
            unroll<SIZE>(R, [&](int j) SMNN_ALWAYS {
                V m = v[j] * top[j];
                unroll<SIZE>(R, [&](int i) SMNN_ALWAYS { if (i < j) m += x[i * R + j] * low[i]; });
                m *= scale[j];
                out[j * stride] = top[j] - v[j] * m;
                unroll<SIZE>(R, [&](int i) SMNN_ALWAYS { if (i < j) low[i] -= x[i * R + j] * m; });
                low[j] = -x[j * R + j] * m;
            });
            unroll<SIZE>(R, [&](int i) SMNN_ALWAYS { left[i * stride] = low[i]; });
        };
        auto beyond = record + R * (R + 1) / 2;
        for (int d = 0; d < D; ++d)
            unroll<S::DERIVATIVES>(K, [&](int n) SMNN_ALWAYS {
                const int i = K - 1 - n;  // from the right: results overwrite columns that are not needed any more
                unroll<SIZE>(R, [&](int j) SMNN_ALWAYS {
                    top[j] = V{};
                    unroll<S::DERIVATIVES>(K, [&](int m) SMNN_ALWAYS {
                        if (m <= i && position(d, m) >= j) top[j] += C[j * R + position(d, m)] * k.phi[m * K + i];
                    });
                });
                apply(beyond + d * K + i, C + position(d, i), R);
            });
        for (int c = 0; c < NX; ++c) {
            unroll<SIZE>(R, [&](int j) SMNN_ALWAYS { top[j] = X[j * NX + c]; });
            apply(z + c, X + c, NX);
        }
    }

    // Triangularise the rows over y'_{t+1} and the equation rows of t+1. Equation rows come first: they are the large
    // ones.
    //
    //     C, X          in: the rows over y'_{t+1} left by `eliminate`; out: the carry of t+1
    //     ratio         h_t / h_{t+1}
    //     inverse       1 / h_{t+1}
    //     coefficients  equation rows of t+1 (E x R)
    //     constants     their right-hand side (E), for the last column of X
    //     residual      out: the rows without unknowns (E x NX); may be null
    //     scratch       as in `eliminate`
    //     reflections   out, with NX = 0 only: after those of `eliminate`, entries x_ij, i > j, then v and scale
    template <int NX, class Reflections = V*>
    SMNN_INLINE void absorb(V* C, V* X, V ratio, V inverse, const V* coefficients, const V* constants, V* residual,
                            V* scratch, Reflections reflections = Reflections{}) const {
        constexpr int ROWS = S::ROWS;
        const int R = s.R, E = s.E, N = s.R + s.E;
        Local<V, ROWS * SIZE> x(scratch, N * R);
        Local<V, SIZE> v(scratch, R), scale(scratch, R);
        Local<V, ROWS> column(scratch, N);
        auto take = [&](int j) SMNN_ALWAYS {  // reflection j
            V m = v[j] * column[j];
            unroll<ROWS>(N, [&](int i) SMNN_ALWAYS { if (i > j) m += x[i * R + j] * column[i]; });
            m *= scale[j];
            column[j] -= v[j] * m;
            unroll<ROWS>(N, [&](int i) SMNN_ALWAYS { if (i > j) column[i] -= x[i * R + j] * m; });
        };
        V powers[MAX_DERIVATIVES], ratios[MAX_DERIVATIVES];
        powers[0] = ratios[0] = V{} + 1.0;
        for (int i = 1; i < s.K; ++i) powers[i] = powers[i - 1] * inverse, ratios[i] = ratios[i - 1] * ratio;
        unroll<SIZE>(R, [&](int c) SMNN_ALWAYS {
            const V power = powers[s.K - 1 - c / s.D], shrink = ratios[s.K - 1 - c / s.D];
            unroll<ROWS>(N, [&](int i) SMNN_ALWAYS {
                column[i] = i < E ? coefficients[i * R + unknown(c)] * power : C[(i - E) * R + c] * shrink;
            });
            unroll<SIZE>(R, [&](int j) SMNN_ALWAYS {
                if (j >= c) return;
                take(j);
                C[j * R + c] = column[j];
            });
            V squares = V{};
            unroll<ROWS>(N, [&](int i) SMNN_ALWAYS {
                if (i > c) squares += column[i] * column[i], x[i * R + c] = column[i];
            });
            const Reflection<V> h(column[c], squares);
            v[c] = h.v, scale[c] = h.scale;
            C[c * R + c] = h.diagonal(column[c]);
        });
        for (int c = 0; c < NX; ++c) {
            unroll<ROWS>(N, [&](int i) SMNN_ALWAYS {
                column[i] = i < E ? (c == NX - 1 ? constants[i] : V{}) : X[(i - E) * NX + c];
            });
            unroll<SIZE>(R, [&](int j) SMNN_ALWAYS { take(j); });
            unroll<SIZE>(R, [&](int j) SMNN_ALWAYS { X[j * NX + c] = column[j]; });
            if (residual) for (int e = 0; e < E; ++e) residual[e * NX + c] = column[R + e];
        }
        if constexpr (NX == 0) {
            reflections = reflections + absorb_offset();
            for (int j = 0; j < R; ++j)
                for (int i = j + 1; i < N; ++i) *reflections++ = x[i * R + j];
            for (int j = 0; j < R; ++j) *reflections++ = v[j];
            for (int j = 0; j < R; ++j) *reflections++ = scale[j];
        }
    }

    // The transformations of `merge`, `eliminate` and `absorb` on a single right-hand side X (R), with stored
    // reflections.
    template <class Reflections>
    SMNN_INLINE void apply_merge_reflections(const Reflections& h, V* X, V extra, int d, int i) const {
        for (int j = position(d, i); j < s.R; ++j) {
            const V m = (h[3 * j] * X[j] + h[3 * j + 1] * extra) * h[3 * j + 2];
            X[j] -= h[3 * j] * m, extra -= h[3 * j + 1] * m;
        }
    }
    template <class Reflections>
    SMNN_INLINE void apply_eliminate_reflections(const Reflections& h, V* X, V* z, V* scratch) const {
        const int R = s.R, v = R * (R + 1) / 2, scale = v + R;
        Local<V, SIZE> low(scratch, R);
        unroll<SIZE>(R, [&](int j) SMNN_ALWAYS {
            const int x = j * (j + 1) / 2;
            V m = h[v + j] * X[j];
            unroll<SIZE>(R, [&](int i) SMNN_ALWAYS { if (i < j) m += h[x + i] * low[i]; });
            m *= h[scale + j];
            z[j] = X[j] - h[v + j] * m;
            unroll<SIZE>(R, [&](int i) SMNN_ALWAYS { if (i < j) low[i] -= h[x + i] * m; });
            low[j] = -h[x + j] * m;
        });
        for (int j = 0; j < R; ++j) X[j] = low[j];
    }
    template <class Reflections>
    SMNN_INLINE void apply_absorb_reflections(const Reflections& h, V* X, const V* constants, V* scratch) const {
        constexpr int ROWS = S::ROWS;
        const int R = s.R, E = s.E, N = R + E, first = absorb_offset(), v = first + R * N - R * (R + 1) / 2,
                  scale = v + R;
        Local<V, ROWS> column(scratch, N);
        unroll<ROWS>(N, [&](int i) SMNN_ALWAYS { column[i] = i < E ? constants[i] : X[i - E]; });
        unroll<SIZE>(R, [&](int j) SMNN_ALWAYS {
            const int x = first + j * N - j * (j + 1) / 2 - j - 1;
            V m = h[v + j] * column[j];
            unroll<ROWS>(N, [&](int i) SMNN_ALWAYS { if (i > j) m += h[x + i] * column[i]; });
            m *= h[scale + j];
            X[j] = column[j] - h[v + j] * m;
            unroll<ROWS>(N, [&](int i) SMNN_ALWAYS { if (i > j) column[i] -= h[x + i] * m; });
        });
    }

    // Start a piece: the Taylor rows G (y_s - Phi y') of its first interval, y_s the separator.
    //
    //     C       out: rows over y' (R x R)
    //     X       out: [rows over y_s | right-hand side], R x (R + 1), in the order of elimination
    //     weight  weights of the Taylor rows (D)
    SMNN_INLINE void begin_piece(V* C, V* X, V*, const V* weight) const {
        const int R = s.R, K = s.K;
        for (int j = 0; j < R; ++j) {
            const int d = j % s.D, top = K - 1 - j / s.D;
            for (int c = 0; c < R; ++c) C[j * R + c] = V{};
            for (int c = 0; c <= R; ++c) X[j * (R + 1) + c] = V{};
            for (int i = 0; i < K; ++i) {
                V sum = V{};
                for (int m = 0; m <= (i < top ? i : top); ++m)
                    sum -= k.link[top * K + m] * k.phi[m * K + i] * weight[d];
                C[j * R + position(d, i)] = sum;
                if (i <= top) X[j * (R + 1) + position(d, i)] = weight[d] * k.link[top * K + i];
            }
        }
    }

    // Factor the last grid point, where the carry is U itself.
    //
    //     tolerance   32 sqrt(T) eps: a pivot counts as zero below this times the norm of its column, or times 1, the
    //                 size of the Taylor rows
    //     zero_pivot  set to 1 + the lowest unknown with such a pivot, unless a lower one is set
    //
    // Other arguments as in `eliminate`, with NX = 1.
    template <class Record>
    SMNN_INLINE void finish(const V* C, const V* X, V tolerance, Record record, V* z, V& zero_pivot, V*) const {
        for (int j = 0; j < s.R; ++j) {
            V squares = V{};
            for (int i = 0; i <= j; ++i) squares += C[i * s.R + j] * C[i * s.R + j];
            const V pivot = C[j * s.R + j], size = maximum(square_root(squares), V{} + 1.0),
                    mark = V{} + (1.0 + unknown(j));
            const auto nonzero = absolute(pivot) > tolerance * size;
            zero_pivot =
                select(nonzero, zero_pivot, select((zero_pivot == 0.0) | (zero_pivot > mark), mark, zero_pivot));
            *record++ = select(nonzero, 1.0 / select(nonzero, pivot, V{} + 1.0), V{});
            for (int c = j + 1; c < s.R; ++c) *record++ = C[j * s.R + c];
            z[j] = X[j];
        }
        for (int i = 0; i < s.R * s.R; ++i) record[i] = V{};
    }

    // Back substitution: w_t = U^-1 (z - V y'_{t+1}), y_t = w_t + Phi y'_{t+1}.
    //
    //     record  row of the factor
    //     z       right-hand side (R); may be the result of `adjoint`
    //     ahead   y'_{t+1} (R)
    //     w, y    out: w_t and y_t (R each)
    template <class Record>
    SMNN_INLINE void back_substitute(const Record& record, const V*, const V* z, const V* ahead, V* w, V* y) const {
        const int R = s.R, beyond = R * (R + 1) / 2;
        unroll<SIZE>(R, [&](int i) SMNN_ALWAYS {
            const int j = R - 1 - i;
            V sum = z[j];
            for (int c = 0; c < R; ++c) sum -= record[beyond + j * R + c] * ahead[c];
            for (int c = j + 1; c < R; ++c) sum -= record[row(j) + c] * w[unknown(c)];
            w[unknown(j)] = sum * record[row(j) + j];
        });
        predict<V>(s, k, ahead, y);
        for (int j = 0; j < R; ++j) y[j] += w[j];
    }

    // Forward substitution with the transpose: a_t = U^-T p.
    //
    //     p       right-hand side (R)
    //     a       out (R)
    //     onward  out: contribution to the right-hand side over y'_{t+1}, Phi^T p - V^T a (R)
    template <class Record>
    SMNN_INLINE void adjoint(const Record& record, const V*, const V* p, V* a, V* onward) const {
        const int R = s.R, beyond = R * (R + 1) / 2;
        predict_transposed<V>(s, k, p, onward);
        unroll<SIZE>(R, [&](int j) SMNN_ALWAYS {
            V sum = p[unknown(j)];
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
