// Solution and adjoint of one system by one thread of a GPU.
#pragma once

#include "../cholesky.hpp"
#include "../qr.hpp"
#include "call.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

// One system with a factor, or one column of a shared left-hand side.
template <template <class, class> class Method, class S>
class System : public Reader<S> {
    using Base = Reader<S>;
    using Base::call_, Base::s_, Base::number_, Base::step, Base::taylor, Base::equations, Base::initial_rows, Base::N,
        Base::ROWS;

public:
    SMNN_INLINE System(const Call& call, S s, const Constants& table, Long number, Real* scratch)
        : Base(call, s, number), method_(s_, table), left_(number / call.columns), lefts_(call.systems / call.columns),
          scratch_(scratch) {}

    SMNN_INLINE void solve() const {
        double nan_check = 0.0;
        const Long deficient = sweep<1>(nan_check);
        back_substitute(nan_check);
        call_.deficient[number_] = nan_check == 0.0 ? deficient : -1;
    }

    SMNN_INLINE void factor() const {
        double nan_check = 0.0;
        call_.deficient[left_] = sweep<0>(nan_check);
    }

    // Solve with an existing factor; `deficient` becomes -1 if an argument is invalid.
    SMNN_INLINE void resolve() const {
        double nan_check = 0.0;
        apply_reflections(nan_check);
        back_substitute(nan_check);
        if (nan_check != 0.0) call_.deficient[number_] = -1;
    }

    SMNN_INLINE void adjoint() const {
        const int R = s_.R;
        Real* scratch = scratch_;
        double nan_check = 0.0;
        Local<Real, N> p(scratch, R), onward(scratch, R);
        unroll<N>(R, [&](int j) SMNN_ALWAYS { onward[j] = 0.0; });
        for (Long t = 0; t < call_.T; ++t) {
            this->upstream(t, &p[0]);
            adjoint_step(t, &p[0], &onward[0], scratch);
        }
        back_substitute(nan_check);
    }

private:
    SMNN_INLINE Column record(Long t) const { return Column{call_.records + left_, lefts_} + t * method_.record(); }
    SMNN_INLINE Column reflections(Long t) const {
        return Column{call_.reflections + left_, lefts_} + t * method_.reflections();
    }
    SMNN_INLINE Column merged(Long t, int d, int k) const {
        return Column{call_.merged + left_, lefts_} + ((t * s_.D + d) * call_.K0 + k) * method_.merge_reflections();
    }
    SMNN_INLINE Column z(Long t) const { return Column{call_.z + number_, call_.systems} + t * s_.R; }

    // Factor all grid points, with z (NX = 1) or the reflections (NX = 0). Returns the rank indicator.
    template <int NX>
    SMNN_INLINE Long sweep(double& nan_check) const {
        const int R = s_.R, E = s_.E;
        Real* scratch = scratch_;
        Local<Real, N * (N + 1)> C(scratch, R * (R + 1));
        Local<Real, N> X(scratch, R), z_t(scratch, R), entries(scratch, R), ws(scratch, s_.D);
        Local<Real, ROWS * N> c(scratch, E * R);
        Local<Real, ROWS> r(scratch, E), we(scratch, E);
        unroll<N>(R, [&](int j) SMNN_ALWAYS {
            X[j] = C[R * R + j] = 0.0;
            for (int i = 0; i < R; ++i) C[j * R + i] = 0.0;
        });
        Long deficient = 0;
        Real before = step(0);
        for (Long t = 0; t < call_.T; ++t) {
            const Real h = step(t), inverse = 1.0 / h;
            equations(t, &c[0], NX ? &r[0] : nullptr, &we[0]);
            taylor(t, &ws[0]);
            nan_check += this->check_inputs(h, &ws[0], &we[0]);
            method_.template absorb<NX>(&C[0], &X[0], before * inverse, inverse, &c[0], &r[0], nullptr, scratch,
                                        reflections(t));
            initial_rows(t, [&](int, int d, int k, Real weight, Real value) SMNN_ALWAYS {
                Real power = weight, constant = weight * value;
                for (int i = 0; i < k; ++i) power *= inverse;
                unroll<N>(R, [&](int i) SMNN_ALWAYS { entries[i] = i == method_.position(d, k) ? power : 0.0; });
                method_.template merge<NX>(&C[0], &X[0], &entries[0], &constant, d, k, merged(t, d, k));
                nan_check += weight < 0.0 ? 1.0 : 0.0;
            });
            Real zero_pivot = 0.0;
            if (t < call_.T - 1)
                method_.template eliminate<NX>(&C[0], &X[0], &ws[0], tolerance(call_.T), record(t), &z_t[0], zero_pivot,
                                               scratch, reflections(t));
            else
                method_.finish(&C[0], &X[0], tolerance(call_.T), record(t), &z_t[0], zero_pivot, scratch);
            if (NX) store_z(t, &z_t[0]);
            if (zero_pivot != 0.0 && deficient == 0) deficient = t * R + Long(double(zero_pivot));
            before = h;
        }
        return deficient;
    }

    // z by the stored reflections (qr) or by the normal equations (cholesky).
    SMNN_INLINE void apply_reflections(double& nan_check) const {
        const int R = s_.R, E = s_.E;
        Real* scratch = scratch_;
        Local<Real, N> X(scratch, R), z_t(scratch, R), ws(scratch, s_.D);
        Local<Real, ROWS * N> c(scratch, E * R);
        Local<Real, ROWS> r(scratch, E), we(scratch, E);
        unroll<N>(R, [&](int j) SMNN_ALWAYS { X[j] = 0.0; });
        for (Long t = 0; t < call_.T; ++t) {
            equations(t, &c[0], &r[0], &we[0]);
            taylor(t, &ws[0]);
            nan_check += this->check_inputs(step(t), &ws[0], &we[0]);
            if constexpr (Method<Real, S>::ORTHOGONAL) {
                method_.apply_absorb_reflections(reflections(t), &X[0], &r[0], scratch);
                initial_rows(t, [&](int, int d, int k, Real weight, Real value) SMNN_ALWAYS {
                    method_.apply_merge_reflections(merged(t, d, k), &X[0], weight * value, d, k);
                    nan_check += weight < 0.0 ? 1.0 : 0.0;
                });
                if (t < call_.T - 1) method_.apply_eliminate_reflections(reflections(t), &X[0], &z_t[0], scratch);
                else unroll<N>(R, [&](int j) SMNN_ALWAYS { z_t[j] = X[j]; });
                store_z(t, &z_t[0]);
            } else {
                unroll<N>(R, [&](int j) SMNN_ALWAYS {
                    z_t[j] = 0.0;
                    for (int e = 0; e < E; ++e) z_t[j] += c[e * R + j] * r[e];
                });
                initial_rows(t, [&](int j, int, int, Real weight, Real value) SMNN_ALWAYS {
                    z_t[j] += weight * weight * value;
                    nan_check += weight < 0.0 ? 1.0 : 0.0;
                });
                adjoint_step(t, &z_t[0], &X[0], scratch);
            }
        }
    }

    // One step of forward substitution with the transposed factor: z(t) = a_t; p is consumed.
    SMNN_INLINE void adjoint_step(Long t, Real* p, Real* onward, Real* scratch) const {
        const int R = s_.R;
        Local<Real, N> a(scratch, R), ws(scratch, s_.D);
        const Real inverse = 1.0 / step(t);
        taylor(t, &ws[0]);
        rescale(s_, inverse, p);
        rescale(s_, step(t > 0 ? t - 1 : 0) * inverse, onward);
        unroll<N>(R, [&](int j) SMNN_ALWAYS { p[j] += onward[j]; });
        method_.adjoint(record(t), &ws[0], p, &a[0], onward);
        store_z(t, &a[0]);
    }

    // Back substitution: u from z, or lambda from a.
    SMNN_INLINE void back_substitute(double& nan_check) const {
        const int R = s_.R;
        Real* scratch = scratch_;
        Local<Real, N> z_t(scratch, R), ahead(scratch, R), w(scratch, R), y(scratch, R), ws(scratch, s_.D);
        unroll<N>(R, [&](int j) SMNN_ALWAYS { y[j] = 0.0; });
        Real after = 1.0;
        for (Long t = call_.T - 1; t >= 0; --t) {
            const Real h = step(t), inverse = 1.0 / h;
            const Column from = z(t);
            taylor(t, &ws[0]);
            unroll<N>(R, [&](int j) SMNN_ALWAYS { ahead[j] = y[j], z_t[j] = from[j]; });
            rescale(s_, h * after, &ahead[0]);
            method_.back_substitute(record(t), &ws[0], &z_t[0], &ahead[0], &w[0], &y[0]);
            this->write_result(t, inverse, &y[0], nan_check);
            after = inverse;
        }
    }

    SMNN_INLINE void store_z(Long t, const Real* from) const {
        const Column to = z(t);
        unroll<N>(s_.R, [&](int j) SMNN_ALWAYS { to[j] = from[j]; });
    }

    const Method<Real, S> method_;
    const Long left_, lefts_;
    Real* const scratch_;
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
