// One piece of a record (gpu/pieces.hpp), by one thread.
#pragma once

#include "small.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

// One piece.
template <template <class, class> class Method, class S>
class Piece : public Reader<S> {
    using Base = Reader<S>;
    using Of = Sizes<Method, S>;
    using Base::call_, Base::s_, Base::step, Base::taylor, Base::equations;
    static constexpr int R = Of::R, E = Of::E, RIDING = Of::RIDING;

public:
    SMNN_INLINE Piece(const Call& call, S s, const Constants& table, Long number)
        : Base(call, s, number / call.pieces), method_(s, table), thread_(number), threads_(call.systems * call.pieces),
          first_(number % call.pieces * call.length) {}

    // All but the separator. Left for the chain: C, X = [over the separator | constants] and A, over the separator alone;
    // `deficient` of this thread, and in `sound` 0 where its values are what they should be.
    SMNN_INLINE void eliminate() const {
        Real C[Of::CARRY], X[R * RIDING], A[R * RIDING], z_all[R * RIDING], c[E * R], r[E], we[E], ws[S::D];
        double sound = 0.0;
        Long deficient = 0;
        for (int i = 0; i < R * RIDING; ++i) A[i] = 0.0;
        for (Long t = 0; t < call_.length; ++t) {
            const Long at = first_ + t;
            const Real h = step(at), inverse = 1.0 / step(at + 1);
            taylor(at, ws);
            if (t == 0) {
                method_.begin_beside(C, X, A, ws);
                if (at == 0) equations(0, c, r, we), sound += this->unsound(h, ws, we);
            } else {
                Real fresh = 0.0;
                method_.template eliminate<RIDING>(C, X, ws, tolerance(call_.T), record(t), z_all, fresh, static_cast<Real*>(nullptr));
                if constexpr (!Of::ORTHOGONAL) method_.leave_beside(A, z_all);
                const Column beside = record(t) + Of::RECORD, to = z(t);
                for (int j = 0; j < R; ++j) {
                    for (int i = 0; i < R; ++i) beside[j * R + i] = z_all[j * RIDING + i];
                    to[j] = z_all[j * RIDING + R];
                }
                if (fresh != 0.0 && deficient == 0) deficient = t * R + Long(double(fresh));
            }
            equations(at + 1, c, r, we);
            if (at + 1 < call_.T) {
                taylor(at + 1, ws);
                sound += this->unsound(step(at + 1), ws, we);
            }
            Real rest[E * RIDING];
            method_.template absorb<RIDING>(C, X, h * inverse, inverse, c, r, rest, static_cast<Real*>(nullptr));
            if constexpr (Of::ORTHOGONAL)
                for (int e = 0; e < E; ++e) append_row<R>(A, rest + e * RIDING);
        }
        put(call_.carry, C, Of::CARRY), put(call_.beside, X, R * RIDING), put(call_.alone, A, R * RIDING);
        call_.deficient[thread_] = deficient;
        call_.sound[thread_] = sound;
    }

    // The rest of the solution (or lambda), from the scaled unknowns at its separator and the next, in the order of elimination.
    SMNN_INLINE void back() const {
        Real separator[R], y[R], ahead[R], w[R], z_t[R], ws[S::D];
        double sound = 0.0;
        for (int j = 0; j < R; ++j) {
            separator[j] = place(call_.own)[j];
            y[method_.at(j)] = place(call_.following)[j];
        }
        for (Long t = call_.length - 1; t >= 0; --t) {
            const Long at = first_ + t;
            const Real h = step(at);
            for (int j = 0; j < R; ++j) ahead[j] = y[j];
            rescale(s_, h / step(at + 1), ahead);
            if (t == 0) {
                for (int j = 0; j < R; ++j) y[method_.at(j)] = separator[j];
            } else {
                taylor(at, ws);
                const Column beside = record(t) + Of::RECORD, from = z(t);
                for (int j = 0; j < R; ++j) {
                    z_t[j] = from[j];
                    for (int i = 0; i < R; ++i) z_t[j] -= beside[j * R + i] * separator[i];
                }
                method_.back(record(t), ws, z_t, ahead, w, y);
            }
            if (at < call_.T) this->leave(at, 1.0 / h, y, sound);
        }
        call_.sound[thread_] += sound;
    }

    // Forwards with the transpose: a in place of z, and what the separator (`own`) and the next (`following`) get.
    SMNN_INLINE void adjoint() const {
        Real gathered[R], onward[R], p[R], a[R], ws[S::D];
        for (int j = 0; j < R; ++j) gathered[j] = onward[j] = 0.0;
        for (Long t = 1; t < call_.length; ++t) {
            const Long at = first_ + t;
            const Real inverse = 1.0 / step(at);
            taylor(at, ws);
            this->upstream(at, p);
            rescale(s_, inverse, p);
            rescale(s_, step(at - 1) * inverse, onward);
            for (int j = 0; j < R; ++j) p[j] += onward[j];
            method_.adjoint(record(t), ws, p, a, onward);
            const Column beside = record(t) + Of::RECORD, to = z(t);
            for (int j = 0; j < R; ++j) {
                to[j] = a[j];
                for (int i = 0; i < R; ++i) gathered[i] -= beside[j * R + i] * a[j];
            }
        }
        const Long end = first_ + call_.length;
        rescale(s_, step(end - 1) / step(end), onward);
        const Column own = place(call_.own), following = place(call_.following);
        for (int j = 0; j < R; ++j) own[j] = gathered[j], following[j] = onward[method_.at(j)];
    }

private:
    SMNN_INLINE Column place(Real* array) const { return {array + thread_, threads_}; }
    SMNN_INLINE Column record(Long t) const { return place(call_.records) + t * (Of::RECORD + R * R); }
    SMNN_INLINE Column z(Long t) const { return place(call_.z) + t * R; }
    SMNN_INLINE void put(Real* array, const Real* from, int n) const {
        const Column to = place(array);
        for (int i = 0; i < n; ++i) to[i] = from[i];
    }

    const Method<Real, S> method_;
    const Long thread_, threads_, first_;
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
