// One piece of a record (gpu/pieces.hpp), by one thread.
#pragma once

#include "sizes.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

// One piece; its first grid point is the separator y_s.
template <template <class, class> class Method, class S>
class Piece : public Reader<S> {
    using Base = Reader<S>;
    using Of = Sizes<Method, S>;
    using Base::call_, Base::s_, Base::step, Base::taylor, Base::equations;
    static constexpr int R = Of::R, E = Of::E, RHS = Of::RHS;

public:
    SMNN_INLINE Piece(const Call& call, S s, const Constants& table, Long number)
        : Base(call, s, number / call.pieces), method_(s, table), thread_(number), threads_(call.systems * call.pieces),
          first_(number % call.pieces * call.length) {}

    // Eliminate all grid points but the separator. Writes C, X = [over y_s | right-hand side] and A (over y_s alone)
    // for the chain, `deficient` of this thread, and `nan_check`: 0 if its arguments are valid.
    SMNN_INLINE void eliminate() const {
        Real C[Of::CARRY], X[R * RHS], A[R * RHS], z_all[R * RHS], c[E * R], r[E], we[E], ws[S::D];
        double nan_check = 0.0;
        Long deficient = 0;
        for (int i = 0; i < R * RHS; ++i) A[i] = 0.0;
        for (Long t = 0; t < call_.length; ++t) {
            const Long at = first_ + t;
            const Real h = step(at), inverse = 1.0 / step(at + 1);
            taylor(at, ws);
            if (t == 0) {
                method_.begin_piece(C, X, A, ws);
                if (at == 0) equations(0, c, r, we), nan_check += this->check_inputs(h, ws, we);
            } else {
                Real zero_pivot = 0.0;
                method_.template eliminate<RHS>(C, X, ws, tolerance(call_.T), record(t), z_all, zero_pivot,
                                                static_cast<Real*>(nullptr));
                if constexpr (!Of::ORTHOGONAL) method_.update_separator(A, z_all);
                const Column W = record(t) + Of::RECORD, to = z(t);
                for (int j = 0; j < R; ++j) {
                    for (int i = 0; i < R; ++i) W[j * R + i] = z_all[j * RHS + i];
                    to[j] = z_all[j * RHS + R];
                }
                if (zero_pivot != 0.0 && deficient == 0) deficient = t * R + Long(double(zero_pivot));
            }
            equations(at + 1, c, r, we);
            if (at + 1 < call_.T) {
                taylor(at + 1, ws);
                nan_check += this->check_inputs(step(at + 1), ws, we);
            }
            Real residual[E * RHS];
            method_.template absorb<RHS>(C, X, h * inverse, inverse, c, r, residual, static_cast<Real*>(nullptr));
            if constexpr (Of::ORTHOGONAL)
                for (int e = 0; e < E; ++e) append_row<R>(A, residual + e * RHS);
        }
        store(call_.carry, C, Of::CARRY), store(call_.coupling, X, R * RHS), store(call_.separator_rows, A, R * RHS);
        call_.deficient[thread_] = deficient;
        call_.nan_check[thread_] = nan_check;
    }

    // Back substitution, from the scaled unknowns at its separator and at the next, in the order of elimination.
    SMNN_INLINE void back_substitute() const {
        Real separator[R], y[R], ahead[R], w[R], z_t[R], ws[S::D];
        double nan_check = 0.0;
        for (int j = 0; j < R; ++j) {
            separator[j] = thread_column(call_.separator)[j];
            y[method_.unknown(j)] = thread_column(call_.following)[j];
        }
        for (Long t = call_.length - 1; t >= 0; --t) {
            const Long at = first_ + t;
            const Real h = step(at);
            for (int j = 0; j < R; ++j) ahead[j] = y[j];
            rescale(s_, h / step(at + 1), ahead);
            if (t == 0) {
                for (int j = 0; j < R; ++j) y[method_.unknown(j)] = separator[j];
            } else {
                taylor(at, ws);
                const Column W = record(t) + Of::RECORD, from = z(t);
                for (int j = 0; j < R; ++j) {
                    z_t[j] = from[j];
                    for (int i = 0; i < R; ++i) z_t[j] -= W[j * R + i] * separator[i];
                }
                method_.back_substitute(record(t), ws, z_t, ahead, w, y);
            }
            if (at < call_.T) this->write_result(at, 1.0 / h, y, nan_check);
        }
        call_.nan_check[thread_] += nan_check;
    }

    // Forward substitution with the transposed factor: a in place of z, and the contributions to the right-hand sides
    // at its separator (`separator`) and at the next (`following`).
    SMNN_INLINE void adjoint() const {
        Real separator_sum[R], onward[R], p[R], a[R], ws[S::D];
        for (int j = 0; j < R; ++j) separator_sum[j] = onward[j] = 0.0;
        for (Long t = 1; t < call_.length; ++t) {
            const Long at = first_ + t;
            const Real inverse = 1.0 / step(at);
            taylor(at, ws);
            this->upstream(at, p);
            rescale(s_, inverse, p);
            rescale(s_, step(at - 1) * inverse, onward);
            for (int j = 0; j < R; ++j) p[j] += onward[j];
            method_.adjoint(record(t), ws, p, a, onward);
            const Column W = record(t) + Of::RECORD, to = z(t);
            for (int j = 0; j < R; ++j) {
                to[j] = a[j];
                for (int i = 0; i < R; ++i) separator_sum[i] -= W[j * R + i] * a[j];
            }
        }
        const Long end = first_ + call_.length;
        rescale(s_, step(end - 1) / step(end), onward);
        const Column to_separator = thread_column(call_.separator), to_following = thread_column(call_.following);
        for (int j = 0; j < R; ++j) to_separator[j] = separator_sum[j], to_following[j] = onward[method_.unknown(j)];
    }

private:
    SMNN_INLINE Column thread_column(Real* array) const { return {array + thread_, threads_}; }
    SMNN_INLINE Column record(Long t) const { return thread_column(call_.records) + t * (Of::RECORD + R * R); }
    SMNN_INLINE Column z(Long t) const { return thread_column(call_.z) + t * R; }
    SMNN_INLINE void store(Real* array, const Real* from, int n) const {
        const Column to = thread_column(array);
        for (int i = 0; i < n; ++i) to[i] = from[i];
    }

    const Method<Real, S> method_;
    const Long thread_, threads_, first_;
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
