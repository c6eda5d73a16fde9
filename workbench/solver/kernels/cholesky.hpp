// Elimination by the normal equations: the second of the two methods of sweep.hpp.
#pragma once

#include "sweep.hpp"
#include "taylor.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

// Block Cholesky factorization of the normal equations, one grid point at a time: the published method, with the
// condition number squared. The matrix is block-tridiagonal over y_t. Its block (y_t, y_t) is M^T M + w_t^2 G^T G +
// w_{t-1}^2 S J G^T G J S, M the equation and initial rows; its block (y_t, y'_{t+1}) is -w_t^2 X (`Constants::cross`).
// The last three are block-diagonal over the variables.
//
// The carry is the upper triangle of the Schur complement of y_t with its right-hand side (NX = 1) or without (NX = 0).
// The interface is that of Qr, and so are arguments that are not described here.
template <class V, class S>
struct Cholesky {
    static constexpr int SIZE = S::SIZE;
    static constexpr bool ORTHOGONAL = false;
    S s;
    const Constants& k;
    SMNN_INLINE Cholesky(S shape, const Constants& table) : s(shape), k(table) {}

    // Numbers per grid point of the factor: rows of L^T with 1/L_jj in place of L_jj. The off-diagonal block is
    // recomputed.
    SMNN_INLINE int record() const { return s.R * (s.R + 1) / 2; }
    // No reflections: later right-hand sides need the factor only.
    SMNN_INLINE int reflections() const { return 0; }
    SMNN_INLINE int merge_reflections() const { return 0; }
    // C (R x R, upper triangle), then its diagonal before anything was subtracted, to measure rounding errors by.
    SMNN_INLINE int carry() const { return s.R * s.R + s.R; }
    SMNN_INLINE int scratch() const { return 2 * s.R * s.R + 2 * s.R; }

    // Unknowns are eliminated in the order of their indices.
    SMNN_INLINE int unknown(int j) const { return j; }
    SMNN_INLINE int position(int d, int i) const { return d * s.K + i; }

    // Add a row over y_t that is zero except for derivative i of variable d.
    template <int NX, class Reflections = V*>
    SMNN_INLINE void merge(V* C, V* X, V* entries, V* extra, int d, int i, Reflections = Reflections{}) const {
        const int j = position(d, i);
        C[s.R * s.R + j] += entries[j] * entries[j];
        C[j * s.R + j] += entries[j] * entries[j];
        if (NX) X[j * NX + NX - 1] += entries[j] * extra[0];
    }

    template <int NX, class Record, class Reflections = V*>
    SMNN_INLINE void eliminate(V* C, V* X, const V* weight, V tolerance, Record record, V* z, V& zero_pivot, V* scratch,
                               Reflections = Reflections{}) const {
        const int R = s.R, K = s.K;
        for (int d = 0; d < s.D; ++d)
            for (int i = 0; i < K; ++i) {
                C[R * R + d * K + i] += weight[d] * weight[d] * k.gram[i * K + i];
                for (int j = i; j < K; ++j)
                    C[(d * K + i) * R + d * K + j] += weight[d] * weight[d] * k.gram[i * K + j];
            }
        Local<V, SIZE * SIZE> U(scratch, R * R), B(scratch, R * R);
        Local<V, SIZE> inverse(scratch, R);
        factor(C, U, inverse, record, zero_pivot, tolerance);
        // B = L^-1 (block (y_t, y'_{t+1})): zero in the rows before those of its variable
        unroll<SIZE>(R, [&](int c) SMNN_ALWAYS {
            const int d = c / K;
            for (int i = d * K; i < R; ++i) {
                V sum = i < (d + 1) * K ? -weight[d] * weight[d] * k.cross[(i - d * K) * K + c - d * K] : V{};
                for (int m = d * K; m < i; ++m) sum -= U[m * R + i] * B[m * R + c];
                B[i * R + c] = sum * inverse[i];
            }
        });
        for (int i = 0; i < R; ++i)
            for (int c = 0; c < NX; ++c) {
                V sum = X[i * NX + c];
                for (int m = 0; m < i; ++m) sum -= U[m * R + i] * z[m * NX + c];
                z[i * NX + c] = sum * inverse[i];
            }
        unroll<SIZE>(R, [&](int i) SMNN_ALWAYS {
            const int d = i / K;
            C[R * R + i] = k.gram[(i - d * K) * (K + 1)] * weight[d] * weight[d];
            for (int j = i; j < R; ++j) {
                const int e = j / K;
                V sum = V{};
                if (d == e)
                    sum += (((i + j) % 2) ? -1.0 : 1.0) * k.gram[(i - d * K) * K + j - d * K] * weight[d] * weight[d];
                for (int m = e * K; m < R; ++m) sum -= B[m * R + i] * B[m * R + j];
                C[i * R + j] = sum;
            }
            for (int c = 0; c < NX; ++c) {
                V sum = V{};
                for (int m = d * K; m < R; ++m) sum -= B[m * R + i] * z[m * NX + c];
                X[i * NX + c] = sum;
            }
        });
    }

    template <int NX, class Reflections = V*>
    SMNN_INLINE void absorb(V* C, V* X, V ratio, V inverse, const V* coefficients, const V* constants, V*, V* scratch,
                            Reflections = Reflections{}) const {
        const int R = s.R;
        Local<V, SIZE> row(scratch, R);
        for (int i = 0; i < R; ++i) row[i] = V{} + 1.0;
        rescale(s, ratio, &row[0]);
        for (int i = 0; i < R; ++i) {
            C[R * R + i] *= row[i] * row[i];
            for (int j = i; j < R; ++j) C[i * R + j] *= row[i] * row[j];
            for (int c = 0; c < NX; ++c) X[i * NX + c] *= row[i];
        }
        for (int e = 0; e < s.E; ++e) {
            for (int c = 0; c < R; ++c) row[c] = coefficients[e * R + c];
            rescale(s, inverse, &row[0]);
            for (int i = 0; i < R; ++i) {
                C[R * R + i] += row[i] * row[i];
                for (int j = i; j < R; ++j) C[i * R + j] += row[i] * row[j];
                if (NX) X[i * NX + NX - 1] += row[i] * constants[e];
            }
        }
    }

    // Start a piece: the normal equations of the Taylor rows of its first interval.
    //
    //     C       out: over y'
    //     X       out: between y' and the separator y_s, and the right-hand side, R x (R + 1)
    //     A       out: over y_s alone, and the right-hand side, R x (R + 1)
    //     weight  weights of the Taylor rows (D)
    SMNN_INLINE void begin_piece(V* C, V* X, V* A, const V* weight) const {
        const int R = s.R, K = s.K;
        for (int i = 0; i < R; ++i)
            for (int j = 0; j <= R; ++j) {
                X[i * (R + 1) + j] = A[i * (R + 1) + j] = V{};
                if (j < R) C[i * R + j] = V{};
                if (j == R || i / K != j / K) continue;
                const int d = i / K, m = i - d * K, n = j - d * K;
                const V w = weight[d] * weight[d];
                C[i * R + j] = ((m + n) % 2 ? -1.0 : 1.0) * k.gram[m * K + n] * w;
                X[i * (R + 1) + j] = -k.cross[n * K + m] * w;
                A[i * (R + 1) + j] = k.gram[m * K + n] * w;
            }
        for (int i = 0; i < R; ++i) C[R * R + i] = C[i * R + i];
    }

    // Subtract z^T z from the rows A over the separator; z: [over the separator | right-hand side] (R x (R + 1) each).
    SMNN_INLINE void update_separator(V* A, const V* z) const {
        for (int j = 0; j < s.R; ++j)
            for (int i = 0; i < s.R; ++i)
                for (int c = 0; c <= s.R; ++c) A[i * (s.R + 1) + c] -= z[j * (s.R + 1) + i] * z[j * (s.R + 1) + c];
    }

    template <class Record>
    SMNN_INLINE void finish(V* C, V* X, V tolerance, Record record, V* z, V& zero_pivot, V* scratch) const {
        const int R = s.R;
        Local<V, SIZE * SIZE> U(scratch, R * R);
        Local<V, SIZE> inverse(scratch, R);
        factor(C, U, inverse, record, zero_pivot, tolerance);
        for (int i = 0; i < R; ++i) {
            V sum = X[i];
            for (int m = 0; m < i; ++m) sum -= U[m * R + i] * z[m];
            z[i] = sum * inverse[i];
        }
    }

    // Back substitution: y_t = L^-T (z - L^-1 block y'_{t+1}), w_t = y_t - Phi y'_{t+1}.
    template <class Record>
    SMNN_INLINE void back_substitute(const Record& record, const V* weight, const V* z, const V* ahead, V* w,
                                     V* y) const {
        const int R = s.R, K = s.K;
        for (int i = 0; i < R; ++i) {
            const int d = i / K;
            V sum = V{};
            for (int c = 0; c < K; ++c) sum -= k.cross[(i - d * K) * K + c] * ahead[d * K + c];
            sum *= weight[d] * weight[d];
            for (int m = 0; m < i; ++m) sum -= record[m * R - m * (m - 1) / 2 + i - m] * w[m];
            w[i] = sum * record[i * R - i * (i - 1) / 2];
        }
        for (int j = R - 1; j >= 0; --j) {
            const int row = j * R - j * (j - 1) / 2 - j;
            V sum = z[j] - w[j];
            for (int c = j + 1; c < R; ++c) sum -= record[row + c] * y[c];
            y[j] = sum * record[row + j];
        }
        predict<V>(s, k, ahead, w);
        for (int j = 0; j < R; ++j) w[j] = y[j] - w[j];
    }

    // Forward substitution: a_t = L^-1 p; onward = -(block)^T L^-T a_t.
    template <class Record>
    SMNN_INLINE void adjoint(const Record& record, const V* weight, const V* p, V* a, V* onward) const {
        const int R = s.R, K = s.K;
        for (int i = 0; i < R; ++i) {
            V sum = p[i];
            for (int m = 0; m < i; ++m) sum -= record[m * R - m * (m - 1) / 2 + i - m] * a[m];
            a[i] = sum * record[i * R - i * (i - 1) / 2];
        }
        // onward = X^T w^2 (L^-T a): L^-T a in place, from the last row on; then X^T upwards, as its rows are consumed
        // last
        for (int j = R - 1; j >= 0; --j) {
            const int row = j * R - j * (j - 1) / 2 - j;
            V sum = a[j];
            for (int c = j + 1; c < R; ++c) sum -= record[row + c] * onward[c];
            onward[j] = sum * record[row + j];
        }
        for (int d = 0; d < s.D; ++d) {
            V column[MAX_DERIVATIVES];
            for (int c = 0; c < K; ++c) {
                V sum = V{};
                for (int i = 0; i < K; ++i) sum += k.cross[i * K + c] * onward[d * K + i];
                column[c] = sum * weight[d] * weight[d];
            }
            for (int c = 0; c < K; ++c) onward[d * K + c] = column[c];
        }
    }

private:
    // Factor C = U^T U. A pivot counts as zero if its square is at most `tolerance` times the diagonal before.
    template <class M, class I, class Record>
    SMNN_INLINE void factor(const V* C, M& U, I& inverse, Record record, V& zero_pivot, V tolerance) const {
        const int R = s.R;
        unroll<SIZE>(R, [&](int j) SMNN_ALWAYS {
            V square = C[j * R + j];
            for (int i = 0; i < j; ++i) square -= U[i * R + j] * U[i * R + j];
            const auto nonzero = square > tolerance * C[R * R + j];
            zero_pivot = select(nonzero, zero_pivot, select(zero_pivot == 0.0, V{} + (1.0 + j), zero_pivot));
            inverse[j] = select(nonzero, 1.0 / square_root(select(nonzero, square, V{} + 1.0)), V{});
            *record++ = inverse[j];
            for (int c = j + 1; c < R; ++c) {
                V sum = C[j * R + c];
                for (int i = 0; i < j; ++i) sum -= U[i * R + j] * U[i * R + c];
                *record++ = U[j * R + c] = sum * inverse[j];
            }
        });
    }
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
