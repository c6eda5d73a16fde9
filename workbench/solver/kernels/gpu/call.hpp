// What a launch of a GPU kernel is given, and how a thread reads the rows of its system there.
#pragma once

#include "../sweep.hpp"

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

// A gradient, contiguous: `along` numbers to the next grid point (0: summed over the grid points of a thread, one place for
// each such `span`), `part` from one system, or group of systems, to the next. Null: not wanted. What is summed begins as 0.
struct Result {
    double* data;
    Long along, part;
    // Where `width` numbers of grid point t go.
    SMNN_INLINE double* at(Long number, Long t, Long span, Long width) const {
        return data + number * part + (along ? t * along : span * width);
    }
};

// A launch, made of 8-byte words alone: backends/cuda.py writes them in this order. Arguments and results are float64; what the
// kernels leave for each other is in the precision that they compute in.
struct Call {
    Long T, T0, E, D, K, K0;
    Long systems, columns;  // `columns` neighbouring systems share coefficients, steps and weights, and with them a factor
    Long batch_dims, batch[GPU_BATCH_DIMS];
    Field coefficients, forcing, initial, steps, weight_equation, weight_initial, weight_taylor, g;  // g: upstream
    Real *records, *reflections, *merged;  // the factor of every left-hand side: `Qr`; reflections for shared ones only
    Real* z;                                 // (T, R, systems)
    double* out;                             // (systems, T, R): u or lambda
    Long* deficient;                         // of every left-hand side or system, as `solve` of a backend says
    Real* scratch;                           // `workspace` numbers for each thread at work (AnyShape only; how many: backends/cuda_plan.py)
    Long workspace;
    Long pieces, length;                     // gpu/pieces.hpp
    Real *carry, *beside, *alone, *own, *following, *chain, *chain_z;
    double* sound;
    Long joined;                             // pieces that are joined into one link of a shorter chain, which has the same:
    Real *joined_carry, *joined_beside, *joined_alone, *joined_own, *joined_following, *links, *links_z;
    Long* joined_deficient;
    const double *u, *lambda;                // (systems, T, R), for gradients
    Long span, group;                        // of one thread of `Gradients`: grid points, and columns
    Result d_coefficients, d_forcing, d_initial, d_steps;
};

// The numbers of one system in a buffer whose systems are innermost.
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
SMNN_INLINE int known_or(int known, Long given) { return known ? known : int(given); }
template <class S>
SMNN_INLINE S shape(const Call& call, int D, int K, int E) {
    return S(known_or(D, call.D), known_or(K, call.K), known_or(E, call.E));
}

// What the rows of one system are made of.
template <class S>
class Reader {
public:
    static constexpr int N = S::SIZE, ROWS = S::ROWS - S::SIZE;  // R and E where they are known

    SMNN_INLINE Reader(const Call& call, S s, Long number)
        : call_(call), s_(s), number_(number), coefficients_(call.coefficients.data), forcing_(call.forcing.data),
          initial_(call.initial.data), steps_(call.steps.data), equation_(call.weight_equation.data),
          start_(call.weight_initial.data), taylor_(call.weight_taylor.data), g_(call.g.data) {
        Long rest = number;
        for (Long i = call.batch_dims - 1; i >= 0; --i) {
            const Long place = rest % call.batch[i];
            rest /= call.batch[i];
            coefficients_ += place * call.coefficients.batch[i], forcing_ += place * call.forcing.batch[i];
            initial_ += place * call.initial.batch[i], steps_ += place * call.steps.batch[i];
            equation_ += place * call.weight_equation.batch[i], start_ += place * call.weight_initial.batch[i];
            taylor_ += place * call.weight_taylor.batch[i], g_ += place * call.g.batch[i];
        }
    }

    // The last grid point, and what lies beyond it, takes the step before it.
    SMNN_INLINE Real step(Long t) const { return steps_[interval(t) * call_.steps.along]; }
    SMNN_INLINE void taylor(Long t, Real* out) const {
        const double* from = taylor_ + interval(t) * call_.weight_taylor.along;
        for (int d = 0; d < s_.D; ++d) out[d] = from[d * call_.weight_taylor.inner[0]];
    }

    // The equation rows of a grid point times their weights w, constants only if wanted; a dropped row is zero, whatever its
    // numbers, and so is one beyond the last grid point.
    SMNN_INLINE void equations(Long t, Real* c, Real* r, Real* w) const {
        const Long *inner = call_.coefficients.inner, *other = call_.forcing.inner;
        const bool beyond = t >= call_.T;
        const double *coefficients = coefficients_ + t * call_.coefficients.along, *forcing = forcing_ + t * call_.forcing.along;
        const double* weights = equation_ + t * call_.weight_equation.along;
        for (int e = 0; e < s_.E; ++e) {
            const Real weight = w[e] = beyond ? 0.0 : weights[e * call_.weight_equation.inner[0]];
            if (r) r[e] = weight == 0.0 ? 0.0 : weight * forcing[e * other[0]];
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
        const Long *inner = call_.initial.inner, *other = call_.weight_initial.inner;
        each<N>(s_.R, [&](int j) SMNN_ALWAYS {
            const int d = j / s_.K, k = j % s_.K;
            if (k >= call_.K0) return;
            const Real weight = weights[d * other[0] + k * other[1]], given = weight == 0.0 ? 0.0 : initial[d * inner[0] + k * inner[1]];
            f(j, d, k, weight, given);
        });
    }

    // 0 where step and weights of a grid point are what they should be.
    SMNN_INLINE double unsound(Real h, const Real* ws, const Real* we) const {
        double sum = h > 0.0 ? 0.0 * double(h) : 1.0;
        for (int d = 0; d < s_.D; ++d) sum += ws[d] < 0.0 ? 1.0 : 0.0;
        for (int e = 0; e < s_.E; ++e) sum += we[e] < 0.0 ? 1.0 : 0.0;
        return sum;
    }

    SMNN_INLINE void upstream(Long t, Real* p) const {
        const Long* inner = call_.g.inner;
        each<N>(s_.R, [&](int j) SMNN_ALWAYS {
            p[j] = t < call_.T ? g_[t * call_.g.along + j / s_.K * inner[0] + j % s_.K * inner[1]] : 0.0;
        });
    }

    // Row t of `out` from the scaled unknowns y; adds a NaN to `sound` where one is not finite.
    SMNN_INLINE void leave(Long t, Real inverse, const Real* y, double& sound) const {
        double* to = call_.out + (number_ * call_.T + t) * s_.R;
        double power = 1.0;
        for (int k = 0; k < s_.K; ++k, power *= double(inverse))
            for (int d = 0; d < s_.D; ++d) {
                const double natural = double(y[d * s_.K + k]) * power;
                to[d * s_.K + k] = natural;
                sound += 0.0 * natural;
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
