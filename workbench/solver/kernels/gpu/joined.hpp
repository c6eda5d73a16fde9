// Neighbouring pieces of a record joined into one link of a shorter chain (gpu/pieces.hpp), by one thread.
#pragma once

#include "sizes.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

// Neighbouring pieces of one system as one: all separators but the first, y_s, are eliminated as pieces eliminate grid
// points, with rows U_q y_q + V_q y_{q+1} + W_q y_s = z_q. The result has the form of an eliminated piece.
template <template <class, class> class Method, class S>
class Joined : public Reader<S> {
    using Base = Reader<S>;
    using Of = Sizes<Method, S>;
    using Base::call_, Base::s_, Base::number_, Base::step;
    static constexpr int R = Of::R, RHS = Of::RHS, WIDE = 3 * R + 1, LINK = 3 * R * R;

public:
    SMNN_INLINE Joined(const Call& call, S s, const Constants& table, Long number)
        : Base(call, s, number / groups(call)), method_(s, table), thread_(number),
          threads_(call.systems * groups(call)), first_(number % groups(call) * call.joined),
          last_((first_ + call.joined < call.pieces ? first_ + call.joined : call.pieces) - 1) {}

    static SMNN_INLINE Long groups(const Call& call) { return (call.pieces + call.joined - 1) / call.joined; }

    SMNN_INLINE void eliminate() const {
        Real C[R * R], X[R * RHS], A[R * RHS];
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < R; ++c) C[i * R + c] = c < i ? 0.0 : number(call_.carry, first_, i * R + c);
            for (int c = 0; c < RHS; ++c) {
                X[i * RHS + c] = number(call_.coupling, first_, i * RHS + c);
                A[i * RHS + c] = c < i ? 0.0 : number(call_.separator_rows, first_, i * RHS + c);
            }
        }
        for (Long q = first_ + 1; q <= last_; ++q)
            if constexpr (Of::ORTHOGONAL) eliminate_qr(q, C, X, A);
            else eliminate_cholesky(q, C, X, A);
        const Column carry = thread_column(call_.joined_carry), coupling = thread_column(call_.joined_coupling);
        const Column separator_rows = thread_column(call_.joined_separator_rows);
        for (int i = 0; i < R * R; ++i) carry[i] = C[i];
        for (int i = R * R; i < Of::CARRY; ++i) carry[i] = number(call_.carry, last_, i);
        for (int i = 0; i < R * RHS; ++i) coupling[i] = X[i], separator_rows[i] = A[i];
        Long deficient = 0;
        for (Long q = last_; q >= first_; --q) {
            const Long in_piece = call_.deficient[number_ * call_.pieces + q];
            if (in_piece) deficient = (q - first_) * call_.length * R + in_piece;
        }
        call_.joined_deficient[thread_] = deficient;
    }

    // From the first separator and the one after the last piece to all of them: `separator` and `following` of the
    // pieces.
    SMNN_INLINE void back_substitute() const {
        Real first[R], next[R], y[R];
        for (int j = 0; j < R; ++j)
            first[j] = thread_column(call_.joined_separator)[j], next[j] = thread_column(call_.joined_following)[j];
        for (Long q = last_; q > first_; --q) {
            for (int j = R - 1; j >= 0; --j) {
                Real sum = z(q)[j];
                for (int c = 0; c < R; ++c)
                    sum -= link(q)[R * R + j * R + c] * next[c] + link(q)[2 * R * R + j * R + c] * first[c];
                for (int c = j + 1; c < R; ++c) sum -= link(q)[j * R + c] * y[c];
                const Real pivot = link(q)[j * R + j];
                y[j] = pivot == 0.0 ? 0.0 : sum / pivot;
            }
            for (int j = 0; j < R; ++j)
                number(call_.following, q, j) = next[j], number(call_.separator, q, j) = next[j] = y[j];
        }
        for (int j = 0; j < R; ++j)
            number(call_.following, first_, j) = next[j], number(call_.separator, first_, j) = first[j];
    }

    // Forward substitution with the transpose: contributions of the pieces, to the first separator and the one after
    // the last.
    SMNN_INLINE void adjoint() const {
        Real separator_sum[R], onward[R], a[R], natural[R];
        for (int j = 0; j < R; ++j)
            separator_sum[j] = number(call_.separator, first_, j), onward[j] = number(call_.following, first_, j);
        for (Long q = first_ + 1; q <= last_; ++q) {
            const Long t = q * call_.length;
            this->upstream(t, natural);
            rescale(s_, 1.0 / step(t), natural);
            for (int j = 0; j < R; ++j) {
                a[j] = natural[method_.unknown(j)] + number(call_.separator, q, j) + onward[j];
                for (int i = 0; i < j; ++i) a[j] -= link(q)[i * R + j] * a[i];
                const Real pivot = link(q)[j * R + j];
                a[j] = pivot == 0.0 ? 0.0 : a[j] / pivot;
            }
            for (int j = 0; j < R; ++j) onward[j] = number(call_.following, q, j), z(q)[j] = a[j];
            for (int i = 0; i < R; ++i)
                for (int j = 0; j < R; ++j) {
                    onward[j] -= link(q)[R * R + i * R + j] * a[i];
                    separator_sum[j] -= link(q)[2 * R * R + i * R + j] * a[i];
                }
        }
        for (int j = 0; j < R; ++j)
            thread_column(call_.joined_separator)[j] = separator_sum[j],
            thread_column(call_.joined_following)[j] = onward[j];
    }

private:
    // Number n of piece q in `array`; its U, V and W, and z.
    SMNN_INLINE Real& number(Real* array, Long q, Long n) const {
        return array[n * call_.systems * call_.pieces + number_ * call_.pieces + q];
    }
    SMNN_INLINE Column link(Long q) const { return Column{call_.links + thread_, threads_} + (q - first_) * LINK; }
    SMNN_INLINE Column z(Long q) const { return Column{call_.links_z + thread_, threads_} + (q - first_) * R; }
    SMNN_INLINE Column thread_column(Real* array) const { return {array + thread_, threads_}; }

    SMNN_INLINE void store_factor(Long q, const Real* M) const {
        const Column to = link(q);
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < R; ++c) {
                to[i * R + c] = c < i ? 0.0 : M[i * WIDE + c];
                to[R * R + i * R + c] = M[i * WIDE + R + c], to[2 * R * R + i * R + c] = M[i * WIDE + 2 * R + c];
            }
            z(q)[i] = M[i * WIDE + 3 * R];
        }
    }

    // Rows over (y_q, y_{q+1}, y_s | 1).
    SMNN_INLINE void eliminate_qr(Long q, Real* C, Real* X, Real* A) const {
        Real M[3 * R * WIDE], rest[2 * R * (2 * R + 1)];
        for (int i = 0; i < 3 * R * WIDE; ++i) M[i] = 0.0;
        for (int i = 0; i < R; ++i)
            for (int c = 0; c < RHS; ++c) {
                const int to = c < R ? c : 3 * R;
                if (c >= i && c < R)
                    M[i * WIDE + c] = C[i * R + c], M[(R + i) * WIDE + R + c] = number(call_.carry, q, i * R + c);
                M[i * WIDE + 2 * R + c] = X[i * RHS + c];
                M[(R + i) * WIDE + to] = number(call_.coupling, q, i * RHS + c);
                if (c >= i) M[(2 * R + i) * WIDE + to] = number(call_.separator_rows, q, i * RHS + c);
            }
        triangularise<R, 3 * R, WIDE>(M);
        store_factor(q, M);
        for (int i = 0; i < 2 * R; ++i)
            for (int c = 0; c < 2 * R + 1; ++c) rest[i * (2 * R + 1) + c] = M[(R + i) * WIDE + R + c];
        triangularise<R, 2 * R, 2 * R + 1>(rest);
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < R; ++c) C[i * R + c] = rest[i * (2 * R + 1) + c];
            for (int c = 0; c < RHS; ++c) X[i * RHS + c] = rest[i * (2 * R + 1) + R + c];
            append_row<R>(A, rest + (R + i) * (2 * R + 1) + R);
        }
    }

    // The same for the normal equations: C and the right-hand side in X belong to y_q, X couples it to y_s.
    SMNN_INLINE void eliminate_cholesky(Long q, Real* C, Real* X, Real* A) const {
        Real M[R * WIDE], diagonal[R];
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < R; ++c) {
                M[i * WIDE + c] = c < i ? 0.0 : C[i * R + c] + number(call_.separator_rows, q, i * RHS + c);
                M[i * WIDE + R + c] = number(call_.coupling, q, c * RHS + i);
                M[i * WIDE + 2 * R + c] = X[i * RHS + c];
            }
            M[i * WIDE + 3 * R] = X[i * RHS + R] + number(call_.separator_rows, q, i * RHS + R);
            diagonal[i] = M[i * WIDE + i];
        }
        factorise<R, WIDE>(M, diagonal, tolerance(call_.T));
        store_factor(q, M);
        for (int i = 0; i < R; ++i)
            for (int c = 0; c < RHS; ++c) {
                const int over = c < R ? 2 * R + c : 3 * R;  // y_s, or the constants
                Real in_C = c < i || c == R ? 0.0 : number(call_.carry, q, i * R + c),
                     in_X = c < R ? 0.0 : number(call_.coupling, q, i * RHS + R);
                for (int m = 0; m < R; ++m) {
                    if (c < R) in_C -= M[m * WIDE + R + i] * M[m * WIDE + R + c];
                    in_X -= M[m * WIDE + R + i] * M[m * WIDE + over];
                    A[i * RHS + c] -= M[m * WIDE + 2 * R + i] * M[m * WIDE + over];
                }
                if (c < R) C[i * R + c] = in_C;
                X[i * RHS + c] = in_X;
            }
    }

    const Method<Real, S> method_;
    const Long thread_, threads_, first_, last_;
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
