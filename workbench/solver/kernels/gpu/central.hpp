// Central rows (../central.hpp) on a GPU: one thread per system, matrices in its scratch memory. The counterpart of
// cpu/groups/central.hpp. A record is computed in scratch and copied to and from memory with the systems innermost.
#pragma once

#include "../central.hpp"
#include "entry.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

class CentralSystem : public Reader<AnyShape> {
public:
    SMNN_INLINE CentralSystem(const Call& call, AnyShape s, const Constants& table, Long number, bool innovation,
                              Real* scratch)
        : Reader<AnyShape>(call, s, number), method_(s, table), innovation_(innovation), scratch_(scratch),
          record_(take(method_.record())), z_(take(s.R)), onward_(take(s.R)), beyond_(take(s.D)), p_(take(s.R)),
          y_(take(s.R)), w_(take(s.R)), ahead_(take(s.R)), later_(take(s.D)), weights_(take(s.E)) {}

    SMNN_INLINE void solve() {
        double nan_check = 0.0;
        const Long deficient = sweep(nan_check);
        back_substitute(nan_check);
        call_.deficient[number_] = nan_check == 0.0 ? deficient : -1;
    }

    SMNN_INLINE void adjoint() {
        double nan_check = 0.0;
        for (int j = 0; j < s_.R; ++j) onward_[j] = 0.0;
        for (int d = 0; d < s_.D; ++d) beyond_[d] = 0.0;
        for (Long t = 0; t < call_.T; ++t) {
            const Real inverse = 1.0 / step(t), ratio = step(t > 0 ? t - 1 : 0) * inverse;
            upstream(t, p_);
            rescale(s_, inverse, p_);
            rescale(s_, ratio, onward_);
            for (int j = 0; j < s_.R; ++j) p_[j] += onward_[j];
            for (int d = 0; d < s_.D; ++d) beyond_[d] *= power(ratio, s_.K - 2);
            load_record(t);
            method_.adjoint(innovation_, record_, p_, z_, onward_, beyond_);
            const Column to = z(t);
            for (int j = 0; j < s_.R; ++j) to[j] = z_[j];
        }
        back_substitute(nan_check);
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
    SMNN_INLINE Column record(Long t) const {
        return Column{call_.records + number_, call_.systems} + t * method_.record();
    }
    SMNN_INLINE Column z(Long t) const { return Column{call_.z + number_, call_.systems} + t * s_.R; }
    SMNN_INLINE void load_record(Long t) const {
        const Column from = record(t);
        for (int i = 0; i < method_.record(); ++i) record_[i] = from[i];
    }

    // Factor all grid points, and z. Returns the rank indicator.
    SMNN_INLINE Long sweep(double& nan_check) const {
        const int R = s_.R, E = s_.E, D = s_.D;
        Real *carry = scratch_, *rows = carry + method_.carry();
        for (int i = 0; i < method_.carry(); ++i) carry[i] = 0.0;
        Long deficient = 0;
        for (Long t = 0; t < call_.T; ++t) {
            const Real h = step(t), inverse = 1.0 / h;
            const int count = data_rows(t, rows, nan_check);
            taylor(t, later_);
            nan_check += check_inputs(h, later_, weights_);
            const Real before = step(t > 0 ? t - 1 : 0) * inverse, after = step(t + 1) * inverse,
                       limit = tolerance(call_.T);
            const bool has_taylor = t < call_.T - 1, has_central = t < call_.T - 2;
            const Point<Real> point{rows, count, before, inverse, after, later_, has_taylor, has_central, limit};
            Real zero_pivot = 0.0, *rest = rows + count * (R + 1);
            if (innovation_) method_.eliminate_qr(carry, point, record_, z_, zero_pivot, rest);
            else method_.eliminate_cholesky(carry, point, record_, z_, zero_pivot, rest);
            const Column stored = record(t), to = z(t);
            for (int i = 0; i < method_.record(); ++i) stored[i] = record_[i];
            for (int j = 0; j < R; ++j) to[j] = z_[j];
            if (zero_pivot != 0.0 && deficient == 0) deficient = t * R + Long(double(zero_pivot));
        }
        return deficient;
    }

    // Equation and initial rows of grid point t with their right-hand side. Returns their number.
    SMNN_INLINE int data_rows(Long t, Real* rows, double& nan_check) const {
        const int R = s_.R, E = s_.E;
        Real *c = rows + (E + s_.D * call_.K0) * (R + 1), *r = c + E * R;
        equations(t, c, r, weights_);
        Real* row = rows;
        for (int e = 0; e < E; ++e, row += R + 1) {
            for (int j = 0; j < R; ++j) row[j] = c[e * R + j];
            row[R] = r[e];
        }
        initial_rows(t, [&](int j, int, int, Real weight, Real value) SMNN_ALWAYS {
            for (int i = 0; i < R; ++i) row[i] = i == j ? weight : 0.0;
            row[R] = weight * value;
            row += R + 1;
            nan_check += weight < 0.0 ? 1.0 : 0.0;
        });
        return int(row - rows) / (R + 1);
    }

    SMNN_INLINE void back_substitute(double& nan_check) const {
        const int R = s_.R, K = s_.K;
        for (int j = 0; j < R; ++j) y_[j] = ahead_[j] = 0.0;
        Real after = 1.0;
        for (Long t = call_.T - 1; t >= 0; --t) {
            const Real h = step(t), ratio = h * after;
            for (int d = 0; d < s_.D; ++d) later_[d] = ahead_[d * K + K - 2] * power(ratio, K - 2);
            for (int j = 0; j < R; ++j) ahead_[j] = y_[j], z_[j] = z(t)[j];
            rescale(s_, ratio, ahead_);
            load_record(t);
            method_.back_substitute(innovation_, record_, z_, ahead_, later_, w_, y_);
            after = 1.0 / h;
            write_result(t, after, y_, nan_check);
        }
    }

    const Central<Real, AnyShape> method_;
    const bool innovation_;
    Real* scratch_;
    Real *const record_,
        *const z_, *const onward_, *const beyond_, *const p_, *const y_, *const w_, *const ahead_, *const later_,
                                                                                                       *const weights_;
};

template <bool INNOVATION, int D_, int K_, int E_>
struct CentralJob {
    static constexpr int K = K_, CENTRAL = 1;
    static SMNN_INLINE Long threads(const Call& call) { return call.systems; }
    static SMNN_INLINE CentralSystem system(const Call& call, const Constants& table, Long number, Real* scratch) {
        return CentralSystem(call, shape<AnyShape>(call, D_, K_, E_), table, number, INNOVATION, scratch);
    }
};

template <bool INNOVATION, int D, int K, int E>
struct SolveCentral : CentralJob<INNOVATION, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real* scratch) {
        SolveCentral::system(call, table, n, scratch).solve();
    }
};

template <bool INNOVATION, int D, int K, int E>
struct AdjointCentral : CentralJob<INNOVATION, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real* scratch) {
        AdjointCentral::system(call, table, n, scratch).adjoint();
    }
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
