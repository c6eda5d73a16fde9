// The chain of separators of pieces, or of links (gpu/pieces.hpp), by one thread per system.
#pragma once

#include "sizes.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

// The chain of one system: rows U_p y_p + V_p y_{p+1} = z_p, unknowns in the order of elimination.
template <template <class, class> class Method, class S>
class Chain : public Reader<S> {
    using Base = Reader<S>;
    using Of = Sizes<Method, S>;
    using Base::call_, Base::s_, Base::number_, Base::step;
    static constexpr int R = Of::R, E = Of::E, RHS = Of::RHS, WIDTH = Of::WIDTH;

public:
    SMNN_INLINE Chain(const Call& call, S s, const Constants& table, Long number)
        : Base(call, s, number), method_(s, table), P_(call.pieces) {}

    // Solve for the separators, into `separator` and `following`; `deficient` of the first piece becomes that of the
    // system.
    SMNN_INLINE void solve() const {
        Real carry[R * RHS], diagonal[R];
        first_rows(carry);
        for (Long p = 0; p < P_; ++p)
            if constexpr (Of::ORTHOGONAL) eliminate_qr(p, carry);
            else eliminate_cholesky(p, carry);
        if constexpr (!Of::ORTHOGONAL) {
            for (int i = 0; i < R; ++i) diagonal[i] = number(call_.carry, P_ - 1, R * R + i);
            factorise<R, RHS>(carry, diagonal, tolerance(call_.T));
        }
        record_deficiency(carry);
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < R; ++c) U(P_)[i * R + c] = c < i ? 0.0 : carry[i * RHS + c];
            z(P_)[i] = carry[i * RHS + R];
        }
        back_substitute();
    }

    // Adjoint. `separator` and `following`: in, contributions of the pieces to the right-hand sides; out, lambda at the
    // separators.
    SMNN_INLINE void adjoint() const {
        Real a[R], last[R];
        for (Long p = 0; p <= P_; ++p) {
            const Long t = p * call_.length;
            Real natural[R];
            this->upstream(t, natural);
            rescale(s_, 1.0 / step(t), natural);
            for (int j = 0; j < R; ++j) {
                a[j] = natural[method_.unknown(j)];
                if (p < P_) a[j] += number(call_.separator, p, j);
                if (p == 0) continue;
                a[j] += number(call_.following, p - 1, j);
                for (int i = 0; i < R; ++i) a[j] -= V(p - 1)[i * R + j] * last[i];
            }
            for (int j = 0; j < R; ++j) {
                for (int i = 0; i < j; ++i) a[j] -= U(p)[i * R + j] * a[i];
                const Real pivot = U(p)[j * R + j];
                a[j] = pivot == 0.0 ? 0.0 : a[j] / pivot;
            }
            for (int j = 0; j < R; ++j) z(p)[j] = last[j] = a[j];
        }
        back_substitute();
    }

private:
    // Number n of piece p in `array`.
    SMNN_INLINE Real& number(Real* array, Long p, Long n) const {
        return array[n * call_.systems * P_ + number_ * P_ + p];
    }
    SMNN_INLINE Column U(Long p) const { return Column{call_.chain + number_, call_.systems} + p * 2 * R * R; }
    SMNN_INLINE Column V(Long p) const { return U(p) + R * R; }
    SMNN_INLINE Column z(Long p) const { return Column{call_.chain_z + number_, call_.systems} + p * R; }

    // Eliminate separator p. `carry` (R x RHS, triangular): in, rows over y_p; out, rows over y_{p+1}.
    SMNN_INLINE void eliminate_qr(Long p, Real* carry) const {
        Real M[3 * R * WIDTH], rest[2 * R * RHS];
        for (int i = 0; i < 3 * R * WIDTH; ++i) M[i] = 0.0;
        for (int i = 0; i < R; ++i)
            for (int c = 0; c < RHS; ++c) {
                const int to = c < R ? c : 2 * R;
                M[i * WIDTH + to] = carry[i * RHS + c];
                M[(R + i) * WIDTH + to] = number(call_.coupling, p, i * RHS + c);
                if (c >= i) M[(2 * R + i) * WIDTH + to] = number(call_.separator_rows, p, i * RHS + c);
                if (c >= i && c < R) M[(R + i) * WIDTH + R + c] = number(call_.carry, p, i * R + c);
            }
        triangularise<R, 3 * R, WIDTH>(M);
        store_factor(p, M);
        for (int i = 0; i < 2 * R; ++i)
            for (int c = 0; c < RHS; ++c) rest[i * RHS + c] = M[(R + i) * WIDTH + R + c];
        triangularise<R, 2 * R, RHS>(rest);
        for (int i = 0; i < R * RHS; ++i) carry[i] = rest[i];
    }

    // The same for the normal equations.
    SMNN_INLINE void eliminate_cholesky(Long p, Real* carry) const {
        Real M[R * WIDTH], diagonal[R];
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < RHS; ++c)
                M[i * WIDTH + (c < R ? c : 2 * R)] = carry[i * RHS + c] + number(call_.separator_rows, p, i * RHS + c);
            for (int c = 0; c < R; ++c) M[i * WIDTH + R + c] = number(call_.coupling, p, c * RHS + i);
            diagonal[i] = M[i * WIDTH + i];
        }
        factorise<R, WIDTH>(M, diagonal, tolerance(call_.T));
        store_factor(p, M);
        for (int i = 0; i < R; ++i)
            for (int c = 0; c < RHS; ++c) {
                Real sum = c < i   ? 0.0
                           : c < R ? number(call_.carry, p, i * R + c)
                                   : number(call_.coupling, p, i * RHS + R);
                for (int m = 0; m < R; ++m) sum -= M[m * WIDTH + R + i] * M[m * WIDTH + R + c];
                carry[i * RHS + c] = sum;
            }
    }

    SMNN_INLINE void store_factor(Long p, const Real* M) const {
        for (int i = 0; i < R; ++i) {
            for (int c = 0; c < R; ++c)
                U(p)[i * R + c] = c < i ? 0.0 : M[i * WIDTH + c], V(p)[i * R + c] = M[i * WIDTH + R + c];
            z(p)[i] = M[i * WIDTH + 2 * R];
        }
    }

    // Equation and initial rows of grid point 0, triangular, or their normal equations.
    SMNN_INLINE void first_rows(Real* carry) const {
        Real C[Of::CARRY], X[R], c[E * R], r[E], we[E], row[R];
        double nan_check = 0.0;
        for (int i = 0; i < Of::CARRY; ++i) C[i] = 0.0;
        for (int i = 0; i < R; ++i) X[i] = 0.0;
        const Real inverse = 1.0 / step(0);
        this->equations(0, c, r, we);
        method_.template absorb<1>(C, X, 1.0, inverse, c, r, nullptr, static_cast<Real*>(nullptr));
        this->initial_rows(0, [&](int, int d, int k, Real weight, Real value) SMNN_ALWAYS {
            Real power = weight, constant = weight * value;
            for (int i = 0; i < k; ++i) power *= inverse;
            for (int i = 0; i < R; ++i) row[i] = i == method_.position(d, k) ? power : 0.0;
            method_.template merge<1>(C, X, row, &constant, d, k);
            nan_check += weight < 0.0 ? 1.0 : 0.0;
        });
        for (int i = 0; i < R; ++i) {
            for (int j = 0; j < R; ++j) carry[i * RHS + j] = j < i ? 0.0 : C[i * R + j];
            carry[i * RHS + R] = X[i];
        }
        call_.nan_check[number_ * P_] += nan_check;
    }

    // Rank indicator of the system. An undetermined last separator is reported as the same unknown of the last grid
    // point of the record, which is undetermined too.
    SMNN_INLINE void record_deficiency(const Real* carry) const {
        Long deficient = 0;
        for (Long p = P_ - 1; p >= 0; --p) {
            const Long in_piece = call_.deficient[number_ * P_ + p], end = call_.T * R;
            if (in_piece) deficient = p * call_.length * R + in_piece < end ? p * call_.length * R + in_piece : end;
        }
        int lowest = R;
        for (int j = 0; j < R; ++j) {
            Real squares = 0.0;
            for (int i = 0; i <= j; ++i) squares += carry[i * RHS + j] * carry[i * RHS + j];
            const Real pivot = absolute(carry[j * RHS + j]);
            const bool nonzero =
                Of::ORTHOGONAL ? pivot > tolerance(call_.T) * maximum(square_root(squares), Real(1.0)) : pivot > 0.0;
            if (!nonzero && method_.unknown(j) < lowest) lowest = method_.unknown(j);
        }
        if (deficient == 0 && lowest < R) deficient = (call_.T - 1) * R + lowest + 1;
        call_.deficient[number_ * P_] = deficient;
    }

    // U_p y_p = z_p - V_p y_{p+1}, from the last separator to the first, for the pieces on both sides. A zero pivot
    // gives 0.
    SMNN_INLINE void back_substitute() const {
        Real y[R], next[R];
        for (Long p = P_; p >= 0; --p) {
            for (int j = R - 1; j >= 0; --j) {
                Real sum = z(p)[j];
                for (int c = 0; c < R && p < P_; ++c) sum -= V(p)[j * R + c] * next[c];
                for (int c = j + 1; c < R; ++c) sum -= U(p)[j * R + c] * y[c];
                const Real pivot = U(p)[j * R + j];
                y[j] = pivot == 0.0 ? 0.0 : sum / pivot;
            }
            for (int j = 0; j < R; ++j) {
                if (p < P_) number(call_.separator, p, j) = y[j];
                if (p > 0) number(call_.following, p - 1, j) = y[j];
                next[j] = y[j];
            }
        }
    }

    const Method<Real, S> method_;
    const Long P_;
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
