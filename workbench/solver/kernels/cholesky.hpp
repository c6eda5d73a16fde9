// The sweep by the normal equations: the second of the methods of sweep.hpp.
#pragma once

#include "sweep.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

// The normal equations, block-tridiagonal over y_t: the published method, at squared conditioning. Block (y_t, y_t) is
// M^T M + w_t^2 G^T G + w_{t-1}^2 S J G^T G J S, block (y_t, y'_{t+1}) is -w_t^2 X (`Constants::cross`), block-diagonal.
// Carried: the upper triangle of the Schur complement of y_t, and its right-hand side (NX = 1) or nothing (NX = 0).
template <class V, class S>
struct Cholesky {
    static constexpr int SIZE = S::SIZE;
    static constexpr bool ORTHOGONAL = false;
    S s;
    const Constants& k;
    SMNN_INLINE Cholesky(S shape, const Constants& table) : s(shape), k(table) {}

    // Rows of L^T with 1/L_jj for L_jj; the off-diagonal block is recomputed from constants.
    SMNN_INLINE int record() const { return s.R * (s.R + 1) / 2; }
    // It keeps no reflections: a right-hand side that comes later needs no more than the record.
    SMNN_INLINE int reflections() const { return 0; }
    SMNN_INLINE int reflections_of_row() const { return 0; }
    // C (R x R, upper triangle), then the diagonal as it was before anything was subtracted: what rounding is judged by.
    SMNN_INLINE int carry() const { return s.R * s.R + s.R; }
    SMNN_INLINE int scratch() const { return 2 * s.R * s.R + 2 * s.R; }

    // Unknowns are eliminated in their own order.
    SMNN_INLINE int at(int j) const { return j; }
    SMNN_INLINE int place(int d, int i) const { return d * s.K + i; }

    // One more row over y_t, that has nothing but derivative i of variable d.
    template <int NX, class Kept = V*>
    SMNN_INLINE void merge(V* C, V* X, V* entries, V* extra, int d, int i, Kept = Kept{}) const {
        const int j = place(d, i);
        C[s.R * s.R + j] += entries[j] * entries[j];
        C[j * s.R + j] += entries[j] * entries[j];
        if (NX) X[j * NX + NX - 1] += entries[j] * extra[0];
    }

    template <int NX, class Record, class Kept = V*>
    SMNN_INLINE void eliminate(V* C, V* X, const V* weight, V tolerance, Record record, V* z, V& zero, V* scratch, Kept = Kept{}) const {
        const int R = s.R, K = s.K;
        for (int d = 0; d < s.D; ++d)
            for (int i = 0; i < K; ++i) {
                C[R * R + d * K + i] += weight[d] * weight[d] * k.gram[i * K + i];
                for (int j = i; j < K; ++j)
                    C[(d * K + i) * R + d * K + j] += weight[d] * weight[d] * k.gram[i * K + j];
            }
        Local<V, SIZE * SIZE> U(scratch, R * R), B(scratch, R * R);
        Local<V, SIZE> inverse(scratch, R);
        factor(C, U, inverse, record, zero, tolerance);
        // B = L^-1 (block (y_t, y'_{t+1})): zero in rows before those of its variable
        each<SIZE>(R, [&](int c) SMNN_ALWAYS {
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
        each<SIZE>(R, [&](int i) SMNN_ALWAYS {
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

    template <int NX, class Kept = V*>
    SMNN_INLINE void absorb(V* C, V* X, V ratio, V inverse, const V* coefficients, const V* constants, V*, V* scratch,
                            Kept = Kept{}) const {
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

    // The beginning of a piece: the normal equations of the Taylor rows of the first interval, over y' (C), between it and
    // y_s, the separator (X: R x (R + 1)), and over y_s alone (A: R x (R + 1)).
    SMNN_INLINE void begin_beside(V* C, V* X, V* A, const V* weight) const {
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

    // What is eliminated leaves its mark on the rows over the separator: z (R x (R + 1)) is over it and of the constants.
    SMNN_INLINE void leave_beside(V* A, const V* z) const {
        for (int j = 0; j < s.R; ++j)
            for (int i = 0; i < s.R; ++i)
                for (int c = 0; c <= s.R; ++c) A[i * (s.R + 1) + c] -= z[j * (s.R + 1) + i] * z[j * (s.R + 1) + c];
    }

    template <class Record>
    SMNN_INLINE void finish(V* C, V* X, V tolerance, Record record, V* z, V& zero, V* scratch) const {
        const int R = s.R;
        Local<V, SIZE * SIZE> U(scratch, R * R);
        Local<V, SIZE> inverse(scratch, R);
        factor(C, U, inverse, record, zero, tolerance);
        for (int i = 0; i < R; ++i) {
            V sum = X[i];
            for (int m = 0; m < i; ++m) sum -= U[m * R + i] * z[m];
            z[i] = sum * inverse[i];
        }
    }

    // y_t = L^-T (z - L^-1 block y'), and w_t = y_t - Phi y'.
    template <class Record>
    SMNN_INLINE void back(const Record& record, const V* weight, const V* z, const V* ahead, V* w, V* y) const {
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

    // a_t = L^-1 p, and what p_{t+1} gets: -(block)^T L^-T a.
    template <class Record>
    SMNN_INLINE void adjoint(const Record& record, const V* weight, const V* p, V* a, V* onward) const {
        const int R = s.R, K = s.K;
        for (int i = 0; i < R; ++i) {
            V sum = p[i];
            for (int m = 0; m < i; ++m) sum -= record[m * R - m * (m - 1) / 2 + i - m] * a[m];
            a[i] = sum * record[i * R - i * (i - 1) / 2];
        }
        // onward = X^T w^2 (L^-T a): L^-T a in place, from the last row on; then X^T upwards, as its rows are consumed last
        for (int j = R - 1; j >= 0; --j) {
            const int row = j * R - j * (j - 1) / 2 - j;
            V sum = a[j];
            for (int c = j + 1; c < R; ++c) sum -= record[row + c] * onward[c];
            onward[j] = sum * record[row + j];
        }
        for (int d = 0; d < s.D; ++d) {
            V column[MOST_DERIVATIVES];
            for (int c = 0; c < K; ++c) {
                V sum = V{};
                for (int i = 0; i < K; ++i) sum += k.cross[i * K + c] * onward[d * K + i];
                column[c] = sum * weight[d] * weight[d];
            }
            for (int c = 0; c < K; ++c) onward[d * K + c] = column[c];
        }
    }

private:
    // C = U^T U. A pivot counts as zero where its square is rounding: at most `tolerance` times the diagonal before.
    template <class M, class I, class Record>
    SMNN_INLINE void factor(const V* C, M& U, I& inverse, Record record, V& zero, V tolerance) const {
        const int R = s.R;
        each<SIZE>(R, [&](int j) SMNN_ALWAYS {
            V square = C[j * R + j];
            for (int i = 0; i < j; ++i) square -= U[i * R + j] * U[i * R + j];
            const auto sound = square > tolerance * C[R * R + j];
            zero = select(sound, zero, select(zero == 0.0, V{} + (1.0 + j), zero));
            inverse[j] = select(sound, 1.0 / root(select(sound, square, V{} + 1.0)), V{});
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
