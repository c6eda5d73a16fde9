// The sweep on a GPU: one thread per system, from the first grid point to the last and back.
//
// NVRTC compiles it at run time for the shape and the architecture at hand (launcher.py); the tests compile the same functions
// with a C++ compiler and run them on the CPU, one system after the other. Arguments are read where they lie, whatever their
// strides. What a thread writes and reads again, records and constants, has the systems innermost: [grid point][number][system],
// so that neighbouring threads meet in one transaction.
#pragma once

#include "gradients.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

typedef long long Long;
constexpr int GPU_BATCH_DIMS = 16;

// An argument: numbers to the next grid point, to the next index of up to three dimensions after it, and to the next index of
// every batch dimension; 0 where it is broadcast.
struct Field {
    const double* data;
    Long along, inner[3], batch[GPU_BATCH_DIMS];
};

// A result, contiguous: `along` numbers to the next grid point (0: the sum over all of them), `system` to the next system.
// Null: not wanted.
struct Result {
    double* data;
    Long along, system;
    SMNN_INLINE void put(Long number, Long t, int i, double value, bool first) const {
        double* to = data + number * system + t * along + i;
        *to = along || first ? value : *to + value;
    }
};

// A launch, made of 8-byte words alone: `Call.run` in backends/cuda.py writes them in this order.
struct Call {
    Long T, T0, K0, systems, batch_dims, batch[GPU_BATCH_DIMS];
    Field coefficients, forcing, initial, steps, weight_equation, weight_initial, weight_taylor;
    Field g;                                        // upstream (adjoint)
    double *records, *z, *scratch;                  // the factor; (T, R, systems); `workspace` numbers a thread (AnyShape only)
    double* u;                                      // (systems, T, R): out of `solve`, null: factor alone; into `adjoint`, null: no gradient
    Long* deficient;                                // as `solve` of a backend says; null: not wanted
    double* lambda;                                 // (systems, T, R); null: not wanted
    Result d_coefficients, d_forcing, d_initial, d_steps;
};

// Numbers of scratch of a thread where sizes are known at run time only.
SMNN_INLINE Long workspace(Long D, Long K, Long E) { return 3 * D * K * D * K + 2 * D * K * E + 12 * D * K + 6 * E + D; }

// The numbers of one system in a buffer whose systems are innermost.
struct Column {
    double* at;
    Long stride;
    SMNN_INLINE double& operator[](int i) const { return at[i * stride]; }
    SMNN_INLINE double& operator*() const { return *at; }
    SMNN_INLINE Column operator+(Long i) const { return {at + i * stride, stride}; }
    SMNN_INLINE Column operator++(int) {
        const Column before = *this;
        at += stride;
        return before;
    }
};

template <template <class, class> class Method, class S>
class System {
public:
    SMNN_INLINE System(const Call& call, const Constants& table, Long number, int D, int K, int E, double* scratch)
        : call_(call), s_(D, K, E), method_(s_, table), table_(table), number_(number), scratch_(scratch),
          coefficients_(call.coefficients.data), forcing_(call.forcing.data), initial_(call.initial.data),
          steps_(call.steps.data), equation_(call.weight_equation.data), start_(call.weight_initial.data),
          taylor_(call.weight_taylor.data), g_(call.g.data) {
        Long rest = number;
        for (Long i = call.batch_dims - 1; i >= 0; --i) {
            const Long next = rest / call.batch[i], place = rest - next * call.batch[i];
            coefficients_ += place * call.coefficients.batch[i], forcing_ += place * call.forcing.batch[i];
            initial_ += place * call.initial.batch[i], steps_ += place * call.steps.batch[i];
            equation_ += place * call.weight_equation.batch[i], start_ += place * call.weight_initial.batch[i];
            taylor_ += place * call.weight_taylor.batch[i], g_ += place * call.g.batch[i];
            rest = next;
        }
    }

    SMNN_INLINE void solve() const {
        double sound = 0.0;
        const Long deficient = sweep(sound);
        if (call_.u) back(sound);
        if (call_.deficient) call_.deficient[number_] = sound == 0.0 ? deficient : -1;
    }

    SMNN_INLINE void adjoint() const {
        forwards();
        backwards();
    }

private:
    static constexpr int N = S::SIZE, ROWS = S::ROWS - S::SIZE;  // R and E where they are known

    SMNN_INLINE double step(Long t) const {  // the last grid point takes the step before it
        return steps_[(t < call_.T - 1 ? t : call_.T - 2) * call_.steps.along];
    }
    SMNN_INLINE void taylor(Long t, double* out) const {
        const double* from = taylor_ + (t < call_.T - 1 ? t : call_.T - 2) * call_.weight_taylor.along;
        for (int d = 0; d < s_.D; ++d) out[d] = from[d * call_.weight_taylor.inner[0]];
    }
    SMNN_INLINE Column record(Long t) const { return Column{call_.records + number_, call_.systems} + t * method_.record(); }
    SMNN_INLINE Column z(Long t) const { return Column{call_.z + number_, call_.systems} + t * s_.R; }

    // The equation rows of a grid point times their weights; a dropped one is zero, whatever its numbers.
    SMNN_INLINE void equations(Long t, double* c, double* r, double* w) const {
        const Long *inner = call_.coefficients.inner, *other = call_.forcing.inner;
        const double *coefficients = coefficients_ + t * call_.coefficients.along, *forcing = forcing_ + t * call_.forcing.along;
        const double* weights = equation_ + t * call_.weight_equation.along;
        for (int e = 0; e < s_.E; ++e) {
            const double weight = w[e] = weights[e * call_.weight_equation.inner[0]];
            r[e] = weight == 0.0 ? 0.0 : weight * forcing[e * other[0]];
            for (int d = 0; d < s_.D; ++d)
                for (int k = 0; k < s_.K; ++k)
                    c[e * s_.R + d * s_.K + k] = weight == 0.0 ? 0.0 : weight * coefficients[e * inner[0] + d * inner[1] + k * inner[2]];
        }
    }

    // f(unknown, variable, derivative, weight, initial value) for the initial rows of grid point t.
    template <class F>
    SMNN_INLINE void initial_rows(Long t, F f) const {
        if (t >= call_.T0) return;
        const double *initial = initial_ + t * call_.initial.along, *weights = start_ + t * call_.weight_initial.along;
        each<N>(s_.R, [&](int j) SMNN_ALWAYS {
            const int d = j / s_.K, k = j % s_.K;
            if (k >= call_.K0) return;
            const double weight = weights[d * call_.weight_initial.inner[0] + k * call_.weight_initial.inner[1]];
            f(j, d, k, weight, weight == 0.0 ? 0.0 : initial[d * call_.initial.inner[0] + k * call_.initial.inner[1]]);
        });
    }

    // The records and z of all grid points; what `deficient` says.
    SMNN_INLINE Long sweep(double& sound) const {
        const int R = s_.R, E = s_.E;
        double* scratch = scratch_;
        Local<double, N * (N + 1)> C(scratch, R * (R + 1));
        Local<double, N> X(scratch, R), z_t(scratch, R), entries(scratch, R), ws(scratch, s_.D);
        Local<double, ROWS * N> c(scratch, E * R);
        Local<double, ROWS> r(scratch, E), we(scratch, E);
        const double tolerance = 32.0 * sqrt(double(call_.T)) * 2.220446049250313e-16;
        each<N>(R, [&](int j) SMNN_ALWAYS {
            X[j] = C[R * R + j] = 0.0;
            for (int i = 0; i < R; ++i) C[j * R + i] = 0.0;
        });
        Long deficient = 0;
        double before = step(0);
        for (Long t = 0; t < call_.T; ++t) {
            const double h = step(t), inverse = 1.0 / h;
            equations(t, &c[0], &r[0], &we[0]);
            taylor(t, &ws[0]);
            sound += h > 0.0 ? 0.0 * h : 1.0;
            for (int d = 0; d < s_.D; ++d) sound += ws[d] < 0.0 ? 1.0 : 0.0;
            for (int e = 0; e < E; ++e) sound += we[e] < 0.0 ? 1.0 : 0.0;
            method_.template absorb<1>(&C[0], &X[0], before * inverse, inverse, &c[0], &r[0], nullptr, scratch);
            initial_rows(t, [&](int j, int d, int k, double weight, double given) SMNN_ALWAYS {
                double power = weight, constant = weight * given;
                for (int i = 0; i < k; ++i) power *= inverse;
                each<N>(R, [&](int i) SMNN_ALWAYS { entries[i] = i == method_.place(d, k) ? power : 0.0; });
                method_.template merge<1>(&C[0], &X[0], &entries[0], &constant, d, k);
                sound += weight < 0.0 ? 1.0 : 0.0;
            });
            double fresh = 0.0;
            if (t < call_.T - 1) method_.template eliminate<1>(&C[0], &X[0], &ws[0], tolerance, record(t), &z_t[0], fresh, scratch);
            else method_.finish(&C[0], &X[0], tolerance, record(t), &z_t[0], fresh, scratch);
            const Column to = z(t);
            each<N>(R, [&](int j) SMNN_ALWAYS { to[j] = z_t[j]; });
            if (fresh != 0.0 && deficient == 0) deficient = t * R + Long(fresh);
            before = h;
        }
        return deficient;
    }

    // From the last grid point to the first: f(t, h, 1/h, w_s, y'_{t+1}, w_t, y_t), with z from memory.
    template <class F>
    SMNN_INLINE void descend(double* scratch, F f) const {
        const int R = s_.R;
        Local<double, N> z_t(scratch, R), ahead(scratch, R), w(scratch, R), y(scratch, R), ws(scratch, s_.D);
        each<N>(R, [&](int j) SMNN_ALWAYS { y[j] = 0.0; });
        double after = 1.0;
        for (Long t = call_.T - 1; t >= 0; --t) {
            const double h = step(t), inverse = 1.0 / h;
            const Column from = z(t);
            taylor(t, &ws[0]);
            each<N>(R, [&](int j) SMNN_ALWAYS { ahead[j] = y[j], z_t[j] = from[j]; });
            rescale(s_, h * after, &ahead[0]);
            method_.back(record(t), &ws[0], &z_t[0], &ahead[0], &w[0], &y[0]);
            f(t, h, inverse, &ws[0], &ahead[0], &w[0], &y[0]);
            after = inverse;
        }
    }

    SMNN_INLINE void back(double& sound) const {
        double *scratch = scratch_, *to = call_.u + number_ * call_.T * s_.R;
        Local<double, N> natural(scratch, s_.R);
        descend(scratch, [&](Long t, double, double inverse, const double*, const double*, const double*, const double* y) SMNN_ALWAYS {
            natural_units(inverse, y, &natural[0]);
            each<N>(s_.R, [&](int j) SMNN_ALWAYS {
                to[t * s_.R + j] = natural[j];
                sound += 0.0 * natural[j];
            });
        });
    }

    SMNN_INLINE void natural_units(double inverse, const double* y, double* out) const {
        each<N>(s_.R, [&](int j) SMNN_ALWAYS { out[j] = y[j]; });
        rescale(s_, inverse, out);
    }

    // a_t = U_t^-T p_t of all grid points, in place of z.
    SMNN_INLINE void forwards() const {
        const int R = s_.R;
        double* scratch = scratch_;
        Local<double, N> p(scratch, R), a(scratch, R), onward(scratch, R), ws(scratch, s_.D);
        each<N>(R, [&](int j) SMNN_ALWAYS { onward[j] = 0.0; });
        double before = step(0);
        for (Long t = 0; t < call_.T; ++t) {
            const double h = step(t), inverse = 1.0 / h;
            taylor(t, &ws[0]);
            each<N>(R, [&](int j) SMNN_ALWAYS {
                p[j] = g_[t * call_.g.along + j / s_.K * call_.g.inner[0] + j % s_.K * call_.g.inner[1]];
            });
            rescale(s_, inverse, &p[0]);
            rescale(s_, before * inverse, &onward[0]);
            each<N>(R, [&](int j) SMNN_ALWAYS { p[j] += onward[j]; });
            method_.adjoint(record(t), &ws[0], &p[0], &a[0], &onward[0]);
            const Column to = z(t);
            each<N>(R, [&](int j) SMNN_ALWAYS { to[j] = a[j]; });
            before = h;
        }
    }

    // lambda, and the gradients of every grid point and interval as it is passed.
    SMNN_INLINE void backwards() const {
        const int R = s_.R, E = s_.E;
        double* scratch = scratch_;
        Local<double, N> found(scratch, R);
        Local<double, 2 * N> u(scratch, 2 * R);  // of this grid point and the next
        Local<double, ROWS * N> c(scratch, E * R), dc(scratch, E * R);
        Local<double, ROWS> r(scratch, E), we(scratch, E), q(scratch, E), residual(scratch, E), dr(scratch, E);
        const double* solution = call_.u + number_ * call_.T * R;
        each<N>(R, [&](int j) SMNN_ALWAYS { u[j] = 0.0; });
        descend(scratch, [&](Long t, double h, double inverse, const double* ws, const double* ahead, const double* w, const double* y) SMNN_ALWAYS {
            natural_units(inverse, y, &found[0]);
            if (call_.lambda)
                each<N>(R, [&](int j) SMNN_ALWAYS { call_.lambda[(number_ * call_.T + t) * R + j] = found[j]; });
            if (!call_.u) return;
            each<N>(R, [&](int j) SMNN_ALWAYS { u[R + j] = u[j], u[j] = solution[t * R + j]; });
            if (call_.d_coefficients.data || call_.d_forcing.data) {
                const bool first = t == call_.T - 1;
                equations(t, &c[0], &r[0], &we[0]);
                equation_gradient(s_, &c[0], &r[0], &we[0], &u[0], &found[0], &q[0], &residual[0], &dc[0], &dr[0]);
                for (int e = 0; e < E; ++e) {
                    if (call_.d_forcing.data) call_.d_forcing.put(number_, t, e, dr[e], first);
                    if (call_.d_coefficients.data)
                        for (int j = 0; j < R; ++j) call_.d_coefficients.put(number_, t, e * R + j, dc[e * R + j], first);
                }
            }
            if (call_.d_steps.data && t < call_.T - 1)
                call_.d_steps.put(number_, t, 0, step_gradient(s_, table_, h, inverse, ws, &u[0], y, ahead, w), t == call_.T - 2);
            if (call_.d_initial.data)
                initial_rows(t, [&](int j, int d, int k, double weight, double) SMNN_ALWAYS {
                    call_.d_initial.put(number_, t, int(d * call_.K0 + k), weight * weight * found[j], t == call_.T0 - 1);
                });
        });
    }

    const Call& call_;
    const S s_;
    const Method<double, S> method_;
    const Constants& table_;
    const Long number_;
    double* const scratch_;
    // where this system begins in every argument
    const double *coefficients_, *forcing_, *initial_, *steps_, *equation_, *start_, *taylor_, *g_;
};

#if defined(__CUDACC_RTC__)

constexpr int BLOCK = 32;  // a warp: registers, not the number of blocks, bound how many threads an SM holds
template <int K>
__constant__ const Constants TABLE = constants(K, K);

// f(system) for every system of this thread.
template <template <class, class> class Method, class S, int D, int K, int E, class F>
__device__ __forceinline__ void every(const Call& call, F f) {
    const Long thread = Long(blockIdx.x) * BLOCK + threadIdx.x;
    for (Long number = thread; number < call.systems; number += Long(gridDim.x) * BLOCK)
        f(System<Method, S>(call, TABLE<K>, number, D, K, E, call.scratch + thread * workspace(D, K, E)));
}

template <template <class, class> class Method, class S, int D, int K, int E>
__global__ void __launch_bounds__(BLOCK) solve(const __grid_constant__ Call call) {
    every<Method, S, D, K, E>(call, [](const System<Method, S>& system) { system.solve(); });
}

template <template <class, class> class Method, class S, int D, int K, int E>
__global__ void __launch_bounds__(BLOCK) adjoint(const __grid_constant__ Call call) {
    every<Method, S, D, K, E>(call, [](const System<Method, S>& system) { system.adjoint(); });
}

#else
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
