// The argument of a GPU kernel, and how a thread reads the rows of its system from it.
#pragma once

#include "../sweep.hpp"
#include "../taylor.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

typedef long long Long;
constexpr int GPU_BATCH_DIMS = 16;

// An argument: strides to the next grid point, to the next index of up to three dimensions after it, and to the next
// index of every batch dimension; 0 where it is broadcast.
struct Field {
    const double* data;
    Long stride, inner[3], batch[GPU_BATCH_DIMS];
};

// A gradient, contiguous. `stride`: numbers from one grid point to the next; 0: it is summed over the grid points of a
// thread, with one entry per `span`. `part`: numbers from one system, or group of systems, to the next. Null data: not
// wanted. Memory of sums is zero at first.
struct Result {
    double* data;
    Long stride, part;
    // Address of the `width` numbers of grid point t.
    SMNN_INLINE double* at(Long number, Long t, Long span, Long width) const {
        return data + number * part + (stride ? t * stride : span * width);
    }
};

// The argument of a launch: 8-byte words only, which backends/cuda/call.py writes in this order. Arguments and results
// are float64; buffers between kernels have the precision of the computation.
struct Call {
    Long T, T0, E, D, K, K0;
    Long systems, columns;  // `columns` neighbouring systems share coefficients, steps and weights, and one factor
    Long batch_dims, batch[GPU_BATCH_DIMS];
    Field coefficients, forcing, initial, steps, weight_equation, weight_initial, weight_taylor, g;  // g: upstream
    Real *records, *reflections, *merged;    // the factor of every left-hand side (Qr); reflections of shared ones only
    Real* z;                                 // (T, R, systems)
    double* out;                             // (systems, T, R): u or lambda
    Long* deficient;  // rank indicator of every left-hand side or system, as in a backend's `solve`
    Real* scratch;                           // `workspace` numbers per running thread, with AnyShape only
    Long workspace;
    Long pieces, length;                     // gpu/pieces.hpp
    Real *carry, *coupling, *separator_rows, *separator, *following, *chain, *chain_z;
    double* nan_check;
    Long joined;                             // pieces per link of the shorter chain, whose buffers are:
    Real *joined_carry, *joined_coupling, *joined_separator_rows, *joined_separator, *joined_following;
    Real *links, *links_z;
    Long* joined_deficient;
    const double *u, *lambda;                // (systems, T, R), for gradients
    Long span, group;                        // grid points and columns per thread of `Gradients`
    Result d_coefficients, d_forcing, d_initial, d_steps;
};

// The numbers of one system in a buffer with the systems innermost.
struct Column {
    Real* at;
    Long stride;
    SMNN_INLINE Real& operator[](Long i) const { return at[i * stride]; }
    SMNN_INLINE Real& operator*() const { return *at; }
    SMNN_INLINE Column operator+(Long i) const { return {at + i * stride, stride}; }
    SMNN_INLINE Column operator++(int) {
        const Column before = *this;
        at += stride;
        return before;
    }
};

SMNN_INLINE Real tolerance(Long T) { return 32.0 * sqrt(double(T)) * EPSILON; }
SMNN_INLINE int size_or(int size, Long runtime_size) { return size ? size : int(runtime_size); }
template <class S>
SMNN_INLINE S shape(const Call& call, int D, int K, int E) {
    return S(size_or(D, call.D), size_or(K, call.K), size_or(E, call.E));
}

// Reads the rows of one system.
template <class S>
class Reader {
public:
    static constexpr int N = S::SIZE, ROWS = S::ROWS - S::SIZE;  // R and E, 0 if unknown at compile time

    SMNN_INLINE Reader(const Call& call, S s, Long number)
        : call_(call), s_(s), number_(number), coefficients_(call.coefficients.data), forcing_(call.forcing.data),
          initial_(call.initial.data), steps_(call.steps.data), equation_(call.weight_equation.data),
          start_(call.weight_initial.data), taylor_(call.weight_taylor.data), g_(call.g.data) {
        Long rest = number;
        for (Long i = call.batch_dims - 1; i >= 0; --i) {
            const Long index = rest % call.batch[i];
            rest /= call.batch[i];
            coefficients_ += index * call.coefficients.batch[i], forcing_ += index * call.forcing.batch[i];
            initial_ += index * call.initial.batch[i], steps_ += index * call.steps.batch[i];
            equation_ += index * call.weight_equation.batch[i], start_ += index * call.weight_initial.batch[i];
            taylor_ += index * call.weight_taylor.batch[i], g_ += index * call.g.batch[i];
        }
    }

    // Step of the interval (t, t+1); the last grid point and those past it use the step before the last.
    SMNN_INLINE Real step(Long t) const { return steps_[interval(t) * call_.steps.stride]; }
    SMNN_INLINE void taylor(Long t, Real* out) const {
        const double* from = taylor_ + interval(t) * call_.weight_taylor.stride;
        for (int d = 0; d < s_.D; ++d) out[d] = from[d * call_.weight_taylor.inner[0]];
    }

    // Equation rows of grid point t times their weights.
    //
    //     c, r  out: coefficients (E x R), right-hand side (E; may be null); zero for rows of weight 0 and past the end
    //     w     out: weights (E)
    SMNN_INLINE void equations(Long t, Real* c, Real* r, Real* w) const {
        const Long *inner = call_.coefficients.inner, *other = call_.forcing.inner;
        const bool beyond = t >= call_.T;
        const double *coefficients = coefficients_ + t * call_.coefficients.stride,
                     *forcing = forcing_ + t * call_.forcing.stride;
        const double* weights = equation_ + t * call_.weight_equation.stride;
        for (int e = 0; e < s_.E; ++e) {
            const Real weight = w[e] = beyond ? 0.0 : weights[e * call_.weight_equation.inner[0]];
            if (r) r[e] = weight == 0.0 ? 0.0 : weight * forcing[e * other[0]];
            for (int d = 0; d < s_.D; ++d)
                for (int k = 0; k < s_.K; ++k)
                    c[e * s_.R + d * s_.K + k] =
                        weight == 0.0 ? 0.0 : weight * coefficients[e * inner[0] + d * inner[1] + k * inner[2]];
        }
    }

    // Call f(unknown, variable, derivative, weight, initial value) for the initial rows of grid point t.
    template <class F>
    SMNN_INLINE void initial_rows(Long t, F f) const {
        if (t >= call_.T0) return;
        const double *initial = initial_ + t * call_.initial.stride,
                     *weights = start_ + t * call_.weight_initial.stride;
        const Long *inner = call_.initial.inner, *other = call_.weight_initial.inner;
        unroll<N>(s_.R, [&](int j) SMNN_ALWAYS {
            const int d = j / s_.K, k = j % s_.K;
            if (k >= call_.K0) return;
            const Real weight = weights[d * other[0] + k * other[1]],
                       value = weight == 0.0 ? 0.0 : initial[d * inner[0] + k * inner[1]];
            f(j, d, k, weight, value);
        });
    }

    // 0 if the step is positive and finite and no weight is negative; else positive or NaN.
    SMNN_INLINE double check_inputs(Real h, const Real* ws, const Real* we) const {
        double sum = h > 0.0 ? 0.0 * double(h) : 1.0;
        for (int d = 0; d < s_.D; ++d) sum += ws[d] < 0.0 ? 1.0 : 0.0;
        for (int e = 0; e < s_.E; ++e) sum += we[e] < 0.0 ? 1.0 : 0.0;
        return sum;
    }

    // Upstream gradient at grid point t (R); zero past the end.
    SMNN_INLINE void upstream(Long t, Real* p) const {
        const Long* inner = call_.g.inner;
        unroll<N>(s_.R, [&](int j) SMNN_ALWAYS {
            p[j] = t < call_.T ? g_[t * call_.g.stride + j / s_.K * inner[0] + j % s_.K * inner[1]] : 0.0;
        });
    }

    // Write row t of `out` from the scaled unknowns y; adds NaN to `nan_check` if one is not finite.
    SMNN_INLINE void write_result(Long t, Real inverse, const Real* y, double& nan_check) const {
        double* to = call_.out + (number_ * call_.T + t) * s_.R;
        double power = 1.0;
        for (int k = 0; k < s_.K; ++k, power *= double(inverse))
            for (int d = 0; d < s_.D; ++d) {
                const double natural = double(y[d * s_.K + k]) * power;
                to[d * s_.K + k] = natural;
                nan_check += 0.0 * natural;
            }
    }

protected:
    SMNN_INLINE Long interval(Long t) const { return t < call_.T - 1 ? t : call_.T - 2; }

    const Call& call_;
    const S s_;
    const Long number_;
    const double *coefficients_, *forcing_, *initial_, *steps_, *equation_, *start_, *taylor_, *g_;
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
