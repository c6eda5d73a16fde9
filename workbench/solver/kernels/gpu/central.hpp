// The sweep with central rows (central.hpp) on a GPU: one thread per system, matrices in its scratch. What cpu/group_central.hpp
// does with lanes. A record is worked on in scratch and copied to and from memory where the systems are innermost.
#pragma once

#include "../central.hpp"
#include "entry.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

class CentralSystem : public Reader<AnyShape> {
public:
    SMNN_INLINE CentralSystem(const Call& call, AnyShape s, const Constants& table, Long number, bool innovation, Real* scratch)
        : Reader<AnyShape>(call, s, number), method_(s, table), innovation_(innovation), scratch_(scratch), record_(take(method_.record())),
          z_(take(s.R)), onward_(take(s.R)), beyond_(take(s.D)), p_(take(s.R)), y_(take(s.R)), w_(take(s.R)), ahead_(take(s.R)), later_(take(s.D)),
          weights_(take(s.E)) {}

    SMNN_INLINE void solve() {
        double sound = 0.0;
        const Long deficient = sweep(sound);
        back(sound);
        call_.deficient[number_] = sound == 0.0 ? deficient : -1;
    }

    SMNN_INLINE void adjoint() {
        double sound = 0.0;
        for (int j = 0; j < s_.R; ++j) onward_[j] = 0.0;
        for (int d = 0; d < s_.D; ++d) beyond_[d] = 0.0;
        for (Long t = 0; t < call_.T; ++t) {
            const Real inverse = 1.0 / step(t), ratio = step(t > 0 ? t - 1 : 0) * inverse;
            upstream(t, p_);
            rescale(s_, inverse, p_);
            rescale(s_, ratio, onward_);
            for (int j = 0; j < s_.R; ++j) p_[j] += onward_[j];
            for (int d = 0; d < s_.D; ++d) beyond_[d] *= power(ratio, s_.K - 2);
            fetch(t);
            method_.adjoint(innovation_, record_, p_, z_, onward_, beyond_);
            const Column to = z(t);
            for (int j = 0; j < s_.R; ++j) to[j] = z_[j];
        }
        back(sound);
    }

private:
    SMNN_INLINE Real* take(Long n) {
        Real* piece = scratch_;
        scratch_ += n;
        return piece;
    }
    static SMNN_INLINE Real power(Real x, int n) {
        Real product = 1.0;
        for (int i = 0; i < n; ++i) product *= x;
        return product;
    }
    SMNN_INLINE Column record(Long t) const { return Column{call_.records + number_, call_.systems} + t * method_.record(); }
    SMNN_INLINE Column z(Long t) const { return Column{call_.z + number_, call_.systems} + t * s_.R; }
    SMNN_INLINE void fetch(Long t) const {
        const Column from = record(t);
        for (int i = 0; i < method_.record(); ++i) record_[i] = from[i];
    }

    // The factor and z of all grid points; what `deficient` says.
    SMNN_INLINE Long sweep(double& sound) const {
        const int R = s_.R, E = s_.E, D = s_.D;
        Real *carry = scratch_, *rows = carry + method_.carry();
        for (int i = 0; i < method_.carry(); ++i) carry[i] = 0.0;
        Long deficient = 0;
        for (Long t = 0; t < call_.T; ++t) {
            const Real h = step(t), inverse = 1.0 / h;
            const int count = data_rows(t, rows, sound);
            taylor(t, later_);
            sound += unsound(h, later_, weights_);
            const Point<Real> point{rows,   count,          step(t > 0 ? t - 1 : 0) * inverse, inverse,           step(t + 1) * inverse,
                                      later_, t < call_.T - 1, t < call_.T - 2,                  tolerance(call_.T)};
            Real fresh = 0.0, *rest = rows + count * (R + 1);
            if (innovation_) method_.reflected(carry, point, record_, z_, fresh, rest);
            else method_.factored(carry, point, record_, z_, fresh, rest);
            const Column kept = record(t), to = z(t);
            for (int i = 0; i < method_.record(); ++i) kept[i] = record_[i];
            for (int j = 0; j < R; ++j) to[j] = z_[j];
            if (fresh != 0.0 && deficient == 0) deficient = t * R + Long(double(fresh));
        }
        return deficient;
    }

    // Equation and initial rows of grid point t with their constants; how many.
    SMNN_INLINE int data_rows(Long t, Real* rows, double& sound) const {
        const int R = s_.R, E = s_.E;
        Real *c = rows + (E + s_.D * call_.K0) * (R + 1), *r = c + E * R;
        equations(t, c, r, weights_);
        Real* row = rows;
        for (int e = 0; e < E; ++e, row += R + 1) {
            for (int j = 0; j < R; ++j) row[j] = c[e * R + j];
            row[R] = r[e];
        }
        initial_rows(t, [&](int j, int, int, Real weight, Real given) SMNN_ALWAYS {
            for (int i = 0; i < R; ++i) row[i] = i == j ? weight : 0.0;
            row[R] = weight * given;
            row += R + 1;
            sound += weight < 0.0 ? 1.0 : 0.0;
        });
        return int(row - rows) / (R + 1);
    }

    SMNN_INLINE void back(double& sound) const {
        const int R = s_.R, K = s_.K;
        for (int j = 0; j < R; ++j) y_[j] = ahead_[j] = 0.0;
        Real after = 1.0;
        for (Long t = call_.T - 1; t >= 0; --t) {
            const Real h = step(t), ratio = h * after;
            for (int d = 0; d < s_.D; ++d) later_[d] = ahead_[d * K + K - 2] * power(ratio, K - 2);
            for (int j = 0; j < R; ++j) ahead_[j] = y_[j], z_[j] = z(t)[j];
            rescale(s_, ratio, ahead_);
            fetch(t);
            method_.back(innovation_, record_, z_, ahead_, later_, w_, y_);
            after = 1.0 / h;
            leave(t, after, y_, sound);
        }
    }

    const Central<Real, AnyShape> method_;
    const bool innovation_;
    Real* scratch_;
    Real *const record_, *const z_, *const onward_, *const beyond_, *const p_, *const y_, *const w_, *const ahead_, *const later_, *const weights_;
};

template <bool INNOVATION, int D_, int K_, int E_>
struct OfCentral {
    static constexpr int K = K_, CENTRAL = 1;
    static SMNN_INLINE Long threads(const Call& call) { return call.systems; }
    static SMNN_INLINE CentralSystem system(const Call& call, const Constants& table, Long number, Real* scratch) {
        return CentralSystem(call, shape<AnyShape>(call, D_, K_, E_), table, number, INNOVATION, scratch);
    }
};

template <bool INNOVATION, int D, int K, int E>
struct SolveCentral : OfCentral<INNOVATION, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real* scratch) {
        SolveCentral::system(call, table, n, scratch).solve();
    }
};

template <bool INNOVATION, int D, int K, int E>
struct AdjointCentral : OfCentral<INNOVATION, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real* scratch) {
        AdjointCentral::system(call, table, n, scratch).adjoint();
    }
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
