// Solution and adjoint of one system by one warp (gpu/warp.hpp), and its kernels.
//
// The factor of a single system is written as [system][grid point][number]. A factor that right-hand sides share
// (`Factor`) is written in the layout of the threads that use it (gpu/system.hpp).
#pragma once

#include "entry.hpp"
#include "warp_methods.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

template <class Method>
class WarpSystem : public Reader<AnyShape> {
public:
    SMNN_INLINE WarpSystem(const Call& call, AnyShape s, const Constants& table, Long number, Real* memory)
        : Reader<AnyShape>(call, s, number), method_(s, table, memory), m_(method_.m), left_(number / call.columns),
          lefts_(call.systems / call.columns) {}

    SMNN_INLINE void solve() const {
        double nan_check = 0.0;
        const Long deficient = sweep(false, nan_check);
        back_substitute(nan_check);
        write_deficient(nan_check == 0.0 ? deficient : -1, number_);
    }
    SMNN_INLINE void factor() const {
        double nan_check = 0.0;
        write_deficient(sweep(true, nan_check), left_);
    }
    SMNN_INLINE void adjoint() const {
        const int R = s_.R, K = s_.K;
        double nan_check = 0.0;
        distribute(0, R, [&](int j) SMNN_ALWAYS { m_.onward[j] = 0.0; });
        for (Long t = 0; t < call_.T; ++t) {
            const Real inverse = 1.0 / step(t), ratio = step(t > 0 ? t - 1 : 0) * inverse;
            load_record(t, inverse, ratio);
            distribute(0, R, [&](int j) SMNN_ALWAYS {
                const Real value = g_[t * call_.g.stride + j / K * call_.g.inner[0] + j % K * call_.g.inner[1]];
                m_.z[j] = value * m_.powers[j % K] + m_.onward[j] * m_.ratios[j % K];
            });
            method_.adjoint();
            distribute(0, R, [&](int j) SMNN_ALWAYS { z(t)[j] = m_.w[j]; });
        }
        back_substitute(nan_check);
    }

private:
    SMNN_INLINE Column record(Long t, bool factoring) const {
        const Long size = method_.record();
        return factoring ? Column{call_.records + left_, lefts_} + t * size
                         : Column{call_.records + (number_ * call_.T + t) * size, 1};
    }
    SMNN_INLINE Column reflections(Long t) const {
        return Column{call_.reflections + left_, lefts_} + t * method_.reflections();
    }
    SMNN_INLINE Column merged(Long t, int d, int k) const {
        return Column{call_.merged + left_, lefts_} + ((t * s_.D + d) * call_.K0 + k) * method_.merge_reflections();
    }
    SMNN_INLINE Real* z(Long t) const { return call_.z + (number_ * call_.T + t) * s_.R; }
    SMNN_INLINE void write_deficient(Long value, Long index) const {
        each_lane([&](int lane) SMNN_ALWAYS { if (lane == 0) call_.deficient[index] = value; });
    }

    // Taylor weights of grid point t, and the powers of two numbers.
    SMNN_INLINE void weights_and_powers(Long t, Real base, Real other) const {
        const double* from = taylor_ + interval(t) * call_.weight_taylor.stride;
        distribute(0, s_.D, [&](int d) SMNN_ALWAYS { m_.taylor[d] = from[d * call_.weight_taylor.inner[0]]; });
        distribute(0, s_.K, [&](int k) SMNN_ALWAYS {
            Real power = 1.0, second = 1.0;
            for (int i = 0; i < k; ++i) power *= base, second *= other;
            m_.powers[k] = power, m_.ratios[k] = second;
        });
    }
    // Equation rows times their weights, in the order of elimination, with their right-hand side.
    SMNN_INLINE void equations(Long t, bool factoring) const {
        const Long *inner = call_.coefficients.inner, *other = call_.forcing.inner;
        const double *coefficients = coefficients_ + t * call_.coefficients.stride,
                     *forcing = forcing_ + t * call_.forcing.stride;
        const double* weights = equation_ + t * call_.weight_equation.stride;
        Real* rows = m_.carry + (Method::Method::ORTHOGONAL ? 0 : s_.R * (s_.R + 1));
        distribute(0, s_.E, [&](int e) SMNN_ALWAYS { m_.equation[e] = weights[e * call_.weight_equation.inner[0]]; });
        distribute(0, s_.E * (s_.R + 1), [&](int n) SMNN_ALWAYS {
            const int e = n / (s_.R + 1), c = n % (s_.R + 1);
            const Real weight = m_.equation[e];
            Real value = 0.0;
            if (weight == 0.0 || (c == s_.R && factoring)) {
            } else if (c == s_.R) {
                value = forcing[e * other[0]];
            } else {
                const int j = method_.unknown(c);
                value = coefficients[e * inner[0] + j / s_.K * inner[1] + j % s_.K * inner[2]];
            }
            rows[n] = weight * value;
        });
    }

    // Factor all grid points, with z or (`factoring`) the reflections. Returns the rank indicator.
    SMNN_INLINE Long sweep(bool factoring, double& nan_check) const {
        const int R = s_.R;
        method_.begin();
        Long deficient = 0;
        Real before = step(0);
        for (Long t = 0; t < call_.T; ++t) {
            const Real h = step(t), inverse = 1.0 / h;
            equations(t, factoring);
            weights_and_powers(t, inverse, before * inverse);
            nan_check += check_inputs(h, m_.taylor, m_.equation);
            method_.absorb(factoring, reflections(t));
            initial_rows(t, [&](int, int d, int k, Real weight, Real value) SMNN_ALWAYS {
                const int first = method_.position(d, k);
                distribute(0, R + 1, [&](int i) SMNN_ALWAYS {
                    m_.row[i] = i == R ? weight * value : i == first ? weight * m_.powers[k] : Real(0.0);
                });
                method_.merge(first, factoring, merged(t, d, k));
                nan_check += weight < 0.0 ? 1.0 : 0.0;
            });
            Real zero_pivot = 0.0, *constants = factoring ? nullptr : z(t);
            if (t < call_.T - 1)
                method_.eliminate(tolerance(call_.T), record(t, factoring), constants, zero_pivot, factoring,
                                  reflections(t));
            else zero_pivot = finish(record(t, factoring), constants);
            if (zero_pivot != 0.0 && deficient == 0) deficient = t * R + Long(double(zero_pivot));
            before = h;
        }
        return deficient;
    }

    // The last grid point, by one lane.
    SMNN_INLINE Real finish(const Column& record, Real* z) const {
        const int R = s_.R;
        method_.unpack(m_.stack);
        each_lane([&](int lane) SMNN_ALWAYS {
            if (lane != 0) return;
            for (int j = 0; j < R; ++j) m_.x[j] = m_.carry[j * (R + 1) + R];
            *m_.flag = 0.0;
            method_.finish(m_.stack, m_.x, tolerance(call_.T), record, m_.z, *m_.flag, m_.stack + R * (R + 1));
            for (int j = 0; j < R && z; ++j) z[j] = m_.z[j];
        });
        return *m_.flag;
    }

    // Load the record of grid point t into `stack`.
    SMNN_INLINE void load_record(Long t, Real base, Real other) const {
        const Column from = record(t, false);
        distribute(0, method_.record(), [&](int i) SMNN_ALWAYS { m_.stack[i] = from[i]; });
        weights_and_powers(t, base, other);
    }

    SMNN_INLINE void back_substitute(double& nan_check) const {
        const int R = s_.R, K = s_.K;
        distribute(0, R, [&](int j) SMNN_ALWAYS { m_.y[j] = 0.0; });
        distribute(0, WARP, [&](int lane) SMNN_ALWAYS { m_.bad[lane] = 0.0; });
        Real after = 1.0;
        for (Long t = call_.T - 1; t >= 0; --t) {
            const Real h = step(t), inverse = 1.0 / h;
            load_record(t, inverse, h * after);
            distribute(0, R, [&](int j) SMNN_ALWAYS { m_.ahead[j] = m_.y[j] * m_.ratios[j % K], m_.z[j] = z(t)[j]; });
            method_.back_substitute();
            double* to = call_.out + (number_ * call_.T + t) * R;
            distribute(0, R, [&](int j) SMNN_ALWAYS {
                double natural = double(m_.y[j]);
                for (int k = 0; k < j % K; ++k) natural *= double(inverse);
                to[j] = natural;
                m_.bad[j % WARP] += 0.0 * natural;
            });
            after = inverse;
        }
        for (int lane = 0; lane < WARP; ++lane) nan_check += double(m_.bad[lane]);
    }

    const Method method_;
    const SharedMemory m_;
    const Long left_, lefts_;
};

template <template <class, class> class Method> struct WarpMethodOf;
template <> struct WarpMethodOf<Qr> { typedef WarpQr Type; };
template <> struct WarpMethodOf<Cholesky> { typedef WarpCholesky Type; };

// Sizes that are 0 as template arguments are taken from the call.
template <template <class, class> class Method, int D_, int K_, int E_>
struct WarpJob {
    static constexpr int K = K_, CENTRAL = 0;
    static SMNN_INLINE Long warps(const Call& call) { return call.systems; }
    static SMNN_INLINE WarpSystem<typename WarpMethodOf<Method>::Type> system(const Call& call, const Constants& table,
                                                                              Long n, Real* memory) {
        return {call, shape<AnyShape>(call, D_, K_, E_), table, n, memory};
    }
};

template <template <class, class> class Method, int D, int K, int E>
struct SolveWarp : WarpJob<Method, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real* memory) {
        SolveWarp::system(call, table, n, memory).solve();
    }
};

template <template <class, class> class Method, int D, int K, int E>
struct AdjointWarp : WarpJob<Method, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real* memory) {
        AdjointWarp::system(call, table, n, memory).adjoint();
    }
};

template <template <class, class> class Method, int D, int K, int E>
struct FactorWarp : WarpJob<Method, D, K, E> {
    static SMNN_INLINE Long warps(const Call& call) { return call.systems / call.columns; }
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real* memory) {
        FactorWarp::system(call, table, n * call.columns, memory).factor();
    }
};

#if defined(__CUDACC_RTC__)

template <class Job>
__global__ void __launch_bounds__(WARP) run_warp(const __grid_constant__ Call call) {
    extern __shared__ double memory[];
    for (Long n = blockIdx.x; n < Job::warps(call); n += gridDim.x)
        Job::run(call, TABLE<Job::K, Job::K>, n, reinterpret_cast<Real*>(memory));
}

#else

template <class Job>
void run_warp(const Call& call, Real* memory) {
    const Constants table = constants(int(call.K), int(call.K));
    for (Long n = 0; n < Job::warps(call); ++n) Job::run(call, table, n, memory);
}

}  // namespace SMNN_ISA
#endif
}  // namespace smnn
