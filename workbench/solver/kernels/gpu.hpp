// The sweep on a GPU: one thread per system, from the first grid point to the last and back.
//
// NVRTC compiles it at run time for the shape and the architecture at hand (launcher.py); the tests compile the same
// functions with a C++ compiler and run them on the CPU, one thread after the other. Arguments are read where they lie,
// whatever their strides. What a thread writes and reads again, records and constants, has the systems innermost, [grid
// point][number][system], so that neighbouring threads meet in one transaction. Gradients are a pass of their own, over all
// grid points at once.
//
// A launch is a `Job`: how many threads it wants, and what each does.
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

// A launch, made of 8-byte words alone: backends/cuda.py writes them in this order.
struct Call {
    Long T, T0, E, D, K, K0;
    Long systems, columns;  // `columns` neighbouring systems share coefficients, steps and weights, and with them a factor
    Long batch_dims, batch[GPU_BATCH_DIMS];
    Field coefficients, forcing, initial, steps, weight_equation, weight_initial, weight_taylor, g;  // g: upstream
    double *records, *reflections, *merged;  // the factor of every left-hand side: `Qr`; reflections for shared ones only
    double *z, *out;                         // (T, R, systems); (systems, T, R): u or lambda
    Long* deficient;                         // of every left-hand side or system, as `solve` of a backend says
    double* scratch;                         // `workspace` numbers for each thread at work (AnyShape only; how many: backends/cuda_plan.py)
    Long workspace;
    Long pieces, length;                     // gpu_pieces.hpp
    double *carry, *beside, *alone, *own, *following, *chain, *chain_z, *sound;
    Long joined;                             // pieces that are joined into one link of a shorter chain, which has the same:
    double *joined_carry, *joined_beside, *joined_alone, *joined_own, *joined_following, *links, *links_z;
    Long* joined_deficient;
    const double *u, *lambda;                // (systems, T, R), for gradients
    Long span, group;                        // of one thread of `Gradients`: grid points, and columns
    Result d_coefficients, d_forcing, d_initial, d_steps;
};

// The numbers of one system in a buffer whose systems are innermost.
struct Column {
    double* at;
    Long stride;
    SMNN_INLINE double& operator[](Long i) const { return at[i * stride]; }
    SMNN_INLINE double& operator*() const { return *at; }
    SMNN_INLINE Column operator+(Long i) const { return {at + i * stride, stride}; }
    SMNN_INLINE Column operator++(int) {
        const Column before = *this;
        at += stride;
        return before;
    }
};

SMNN_INLINE double tolerance(Long T) { return 32.0 * sqrt(double(T)) * 2.220446049250313e-16; }
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
    SMNN_INLINE double step(Long t) const { return steps_[interval(t) * call_.steps.along]; }
    SMNN_INLINE void taylor(Long t, double* out) const {
        const double* from = taylor_ + interval(t) * call_.weight_taylor.along;
        for (int d = 0; d < s_.D; ++d) out[d] = from[d * call_.weight_taylor.inner[0]];
    }

    // The equation rows of a grid point times their weights w, constants only if wanted; a dropped row is zero, whatever its
    // numbers, and so is one beyond the last grid point.
    SMNN_INLINE void equations(Long t, double* c, double* r, double* w) const {
        const Long *inner = call_.coefficients.inner, *other = call_.forcing.inner;
        const bool beyond = t >= call_.T;
        const double *coefficients = coefficients_ + t * call_.coefficients.along, *forcing = forcing_ + t * call_.forcing.along;
        const double* weights = equation_ + t * call_.weight_equation.along;
        for (int e = 0; e < s_.E; ++e) {
            const double weight = w[e] = beyond ? 0.0 : weights[e * call_.weight_equation.inner[0]];
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
            const double weight = weights[d * other[0] + k * other[1]];
            f(j, d, k, weight, weight == 0.0 ? 0.0 : initial[d * inner[0] + k * inner[1]]);
        });
    }

    // 0 where step and weights of a grid point are what they should be.
    SMNN_INLINE double unsound(double h, const double* ws, const double* we) const {
        double sum = h > 0.0 ? 0.0 * h : 1.0;
        for (int d = 0; d < s_.D; ++d) sum += ws[d] < 0.0 ? 1.0 : 0.0;
        for (int e = 0; e < s_.E; ++e) sum += we[e] < 0.0 ? 1.0 : 0.0;
        return sum;
    }

    SMNN_INLINE void upstream(Long t, double* p) const {
        const Long* inner = call_.g.inner;
        each<N>(s_.R, [&](int j) SMNN_ALWAYS {
            p[j] = t < call_.T ? g_[t * call_.g.along + j / s_.K * inner[0] + j % s_.K * inner[1]] : 0.0;
        });
    }

    // Row t of `out` from the scaled unknowns y; adds a NaN to `sound` where one is not finite.
    SMNN_INLINE void leave(Long t, double inverse, const double* y, double& sound) const {
        double* to = call_.out + (number_ * call_.T + t) * s_.R;
        double power = 1.0;
        for (int k = 0; k < s_.K; ++k, power *= inverse)
            for (int d = 0; d < s_.D; ++d) {
                const double natural = y[d * s_.K + k] * power;
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

// One system, whose factor is its own, or one column of a left-hand side that is shared.
template <template <class, class> class Method, class S>
class System : public Reader<S> {
    using Base = Reader<S>;
    using Base::call_, Base::s_, Base::number_, Base::step, Base::taylor, Base::equations, Base::initial_rows, Base::N, Base::ROWS;

public:
    SMNN_INLINE System(const Call& call, S s, const Constants& table, Long number, double* scratch)
        : Base(call, s, number), method_(s_, table), left_(number / call.columns), lefts_(call.systems / call.columns), scratch_(scratch) {}

    SMNN_INLINE void solve() const {
        double sound = 0.0;
        const Long deficient = sweep<1>(sound);
        back(sound);
        call_.deficient[number_] = sound == 0.0 ? deficient : -1;
    }

    SMNN_INLINE void factor() const {
        double sound = 0.0;
        call_.deficient[left_] = sweep<0>(sound);
    }

    // With the factor, of a right-hand side: `deficient` becomes -1 where a value is not what it should be.
    SMNN_INLINE void resolve() const {
        double sound = 0.0;
        ride(sound);
        back(sound);
        if (sound != 0.0) call_.deficient[number_] = -1;
    }

    SMNN_INLINE void adjoint() const {
        const int R = s_.R;
        double *scratch = scratch_, sound = 0.0;
        Local<double, N> p(scratch, R), onward(scratch, R);
        each<N>(R, [&](int j) SMNN_ALWAYS { onward[j] = 0.0; });
        for (Long t = 0; t < call_.T; ++t) {
            this->upstream(t, &p[0]);
            forwards(t, &p[0], &onward[0], scratch);
        }
        back(sound);
    }

private:
    SMNN_INLINE Column record(Long t) const { return Column{call_.records + left_, lefts_} + t * method_.record(); }
    SMNN_INLINE Column reflections(Long t) const { return Column{call_.reflections + left_, lefts_} + t * method_.reflections(); }
    SMNN_INLINE Column merged(Long t, int d, int k) const {
        return Column{call_.merged + left_, lefts_} + ((t * s_.D + d) * call_.K0 + k) * method_.reflections_of_row();
    }
    SMNN_INLINE Column z(Long t) const { return Column{call_.z + number_, call_.systems} + t * s_.R; }

    // The factor of all grid points, and with NX = 1 z, without it the reflections; returns what `deficient` says.
    template <int NX>
    SMNN_INLINE Long sweep(double& sound) const {
        const int R = s_.R, E = s_.E;
        double* scratch = scratch_;
        Local<double, N * (N + 1)> C(scratch, R * (R + 1));
        Local<double, N> X(scratch, R), z_t(scratch, R), entries(scratch, R), ws(scratch, s_.D);
        Local<double, ROWS * N> c(scratch, E * R);
        Local<double, ROWS> r(scratch, E), we(scratch, E);
        each<N>(R, [&](int j) SMNN_ALWAYS {
            X[j] = C[R * R + j] = 0.0;
            for (int i = 0; i < R; ++i) C[j * R + i] = 0.0;
        });
        Long deficient = 0;
        double before = step(0);
        for (Long t = 0; t < call_.T; ++t) {
            const double h = step(t), inverse = 1.0 / h;
            equations(t, &c[0], NX ? &r[0] : nullptr, &we[0]);
            taylor(t, &ws[0]);
            sound += this->unsound(h, &ws[0], &we[0]);
            method_.template absorb<NX>(&C[0], &X[0], before * inverse, inverse, &c[0], &r[0], nullptr, scratch, reflections(t));
            initial_rows(t, [&](int, int d, int k, double weight, double given) SMNN_ALWAYS {
                double power = weight, constant = weight * given;
                for (int i = 0; i < k; ++i) power *= inverse;
                each<N>(R, [&](int i) SMNN_ALWAYS { entries[i] = i == method_.place(d, k) ? power : 0.0; });
                method_.template merge<NX>(&C[0], &X[0], &entries[0], &constant, d, k, merged(t, d, k));
                sound += weight < 0.0 ? 1.0 : 0.0;
            });
            double fresh = 0.0;
            if (t < call_.T - 1)
                method_.template eliminate<NX>(&C[0], &X[0], &ws[0], tolerance(call_.T), record(t), &z_t[0], fresh, scratch, reflections(t));
            else
                method_.finish(&C[0], &X[0], tolerance(call_.T), record(t), &z_t[0], fresh, scratch);
            if (NX) keep(t, &z_t[0]);
            if (fresh != 0.0 && deficient == 0) deficient = t * R + Long(fresh);
            before = h;
        }
        return deficient;
    }

    // The right-hand side on its way through the factor: the reflections that made it (qr), or the normal equations.
    SMNN_INLINE void ride(double& sound) const {
        const int R = s_.R, E = s_.E;
        double* scratch = scratch_;
        Local<double, N> X(scratch, R), z_t(scratch, R), ws(scratch, s_.D);
        Local<double, ROWS * N> c(scratch, E * R);
        Local<double, ROWS> r(scratch, E), we(scratch, E);
        each<N>(R, [&](int j) SMNN_ALWAYS { X[j] = 0.0; });
        for (Long t = 0; t < call_.T; ++t) {
            equations(t, &c[0], &r[0], &we[0]);
            taylor(t, &ws[0]);
            sound += this->unsound(step(t), &ws[0], &we[0]);
            if constexpr (Method<double, S>::ORTHOGONAL) {
                method_.ride_on(reflections(t), &X[0], &r[0], scratch);
                initial_rows(t, [&](int, int d, int k, double weight, double given) SMNN_ALWAYS {
                    method_.ride_initial(merged(t, d, k), &X[0], weight * given, d, k);
                    sound += weight < 0.0 ? 1.0 : 0.0;
                });
                if (t < call_.T - 1) method_.ride(reflections(t), &X[0], &z_t[0], scratch);
                else each<N>(R, [&](int j) SMNN_ALWAYS { z_t[j] = X[j]; });
                keep(t, &z_t[0]);
            } else {
                each<N>(R, [&](int j) SMNN_ALWAYS {
                    z_t[j] = 0.0;
                    for (int e = 0; e < E; ++e) z_t[j] += c[e * R + j] * r[e];
                });
                initial_rows(t, [&](int j, int, int, double weight, double given) SMNN_ALWAYS {
                    z_t[j] += weight * weight * given;
                    sound += weight < 0.0 ? 1.0 : 0.0;
                });
                forwards(t, &z_t[0], &X[0], scratch);
            }
        }
    }

    // One grid point of the pass with the transposed factor: a_t in place of z, from p, which is consumed.
    SMNN_INLINE void forwards(Long t, double* p, double* onward, double* scratch) const {
        const int R = s_.R;
        Local<double, N> a(scratch, R), ws(scratch, s_.D);
        const double inverse = 1.0 / step(t);
        taylor(t, &ws[0]);
        rescale(s_, inverse, p);
        rescale(s_, step(t > 0 ? t - 1 : 0) * inverse, onward);
        each<N>(R, [&](int j) SMNN_ALWAYS { p[j] += onward[j]; });
        method_.adjoint(record(t), &ws[0], p, &a[0], onward);
        keep(t, &a[0]);
    }

    // From the last grid point to the first: u from z, or lambda from a.
    SMNN_INLINE void back(double& sound) const {
        const int R = s_.R;
        double* scratch = scratch_;
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
            this->leave(t, inverse, &y[0], sound);
            after = inverse;
        }
    }

    SMNN_INLINE void keep(Long t, const double* from) const {
        const Column to = z(t);
        each<N>(s_.R, [&](int j) SMNN_ALWAYS { to[j] = from[j]; });
    }

    const Method<double, S> method_;
    const Long left_, lefts_;
    double* const scratch_;
};

// The gradients of a span of grid points, for a group of systems that share a left-hand side, whose part of them it sums.
template <class S>
class Gradients {
    static constexpr int N = S::SIZE, ROWS = S::ROWS - S::SIZE;

public:
    SMNN_INLINE Gradients(const Call& call, S s, const Constants& table, bool central, Long number, double* scratch)
        : call_(call), s_(s), table_(table), central_(central), part_(number / spans(call)), span_(number % spans(call)), scratch_(scratch) {}

    static SMNN_INLINE Long spans(const Call& call) { return (call.T + call.span - 1) / call.span; }
    static SMNN_INLINE Long groups(const Call& call) { return (call.columns + call.group - 1) / call.group; }  // of a left-hand side

    SMNN_INLINE void run() const {
        const Long left = part_ / groups(call_), first = part_ % groups(call_) * call_.group;
        const Long last = first + call_.group < call_.columns ? first + call_.group : call_.columns;
        const Long stop = (span_ + 1) * call_.span < call_.T ? (span_ + 1) * call_.span : call_.T;
        for (Long t = span_ * call_.span; t < stop; ++t)
            for (Long i = first; i < last; ++i) one(t, left * call_.columns + i, i == first);
    }

private:
    // Grid point t of a system; `first` of its group.
    SMNN_INLINE void one(Long t, Long number, bool first) const {
        const int R = s_.R, E = s_.E;
        double* scratch = scratch_;
        const Reader<S> reader(call_, s_, number);
        const double *u = call_.u + (number * call_.T + t) * R, *lambda = call_.lambda + (number * call_.T + t) * R;
        Local<double, ROWS * N> c(scratch, E * R), dc(scratch, E * R);
        Local<double, ROWS> r(scratch, E), we(scratch, E), q(scratch, E), residual(scratch, E), dr(scratch, E);
        if (call_.d_coefficients.data || call_.d_forcing.data) {
            reader.equations(t, &c[0], &r[0], &we[0]);
            equation_gradient(s_, &c[0], &r[0], &we[0], u, lambda, &q[0], &residual[0], &dc[0], &dr[0]);
            put(call_.d_forcing, number, t, E, &dr[0], !call_.d_forcing.along);
            put(call_.d_coefficients, part_, t, E * R, &dc[0], !first || !call_.d_coefficients.along);
        }
        if (call_.d_steps.data && t < call_.T - 1) {
            const double of = steps(reader, t, u, lambda, scratch);
            put(call_.d_steps, part_, t, 1, &of, !first || !call_.d_steps.along);
        }
        if (call_.d_initial.data)
            reader.initial_rows(t, [&](int j, int d, int k, double weight, double) SMNN_ALWAYS {
                double* to = call_.d_initial.at(number, t, span_, s_.D * call_.K0) + d * call_.K0 + k;
                *to = (call_.d_initial.along ? 0.0 : *to) + weight * weight * lambda[j];
            });
    }

    SMNN_INLINE void put(const Result& result, Long number, Long t, int n, const double* from, bool add) const {
        if (!result.data) return;
        double* to = result.at(number, t, span_, n);
        for (int i = 0; i < n; ++i) to[i] = (add ? to[i] : 0.0) + from[i];
    }

    // Of the step from t to t+1: that of its Taylor rows, and of the central rows that reach over it.
    SMNN_INLINE double steps(const Reader<S>& reader, Long t, const double* u, const double* lambda, double* scratch) const {
        const int R = s_.R;
        Local<double, N> y(scratch, R), ahead(scratch, R), w(scratch, R), ws(scratch, s_.D);
        const double h = reader.step(t);
        for (int j = 0; j < R; ++j) y[j] = lambda[j], ahead[j] = lambda[R + j];
        rescale(s_, h, &y[0]);
        rescale(s_, h, &ahead[0]);
        predict(s_, table_, &ahead[0], &w[0]);
        for (int j = 0; j < R; ++j) w[j] = y[j] - w[j];
        reader.taylor(t, &ws[0]);
        double sum = step_gradient(s_, table_, h, 1.0 / h, &ws[0], u, &y[0], &ahead[0], &w[0]);
        if (central_ && t < call_.T - 2) sum += central(reader, t, u, lambda, &ws[0]);
        if (central_ && t > 0) {
            reader.taylor(t - 1, &ws[0]);
            sum += central(reader, t - 1, u - R, lambda - R, &ws[0]);
        }
        return sum;
    }

    // What the central rows over (t, t+1, t+2), w H^(K-3) (d + H x), d the difference of derivative K-2 and x derivative K-1
    // in the middle, add to the gradients of both steps: -<A lam, A u - b>.
    SMNN_INLINE double central(const Reader<S>& reader, Long t, const double* u, const double* lambda, const double* ws) const {
        const int K = s_.K, R = s_.R;
        const double H = reader.step(t) + reader.step(t + 1);
        double m = 1.0 / H, sum = 0.0;  // H^(K-3)
        for (int i = 0; i < K - 2; ++i) m *= H;
        for (int d = 0; d < s_.D; ++d) {
            double row[2], slope[2];
            const double* of[2] = {u + d * K + K - 2, lambda + d * K + K - 2};
            for (int i = 0; i < 2; ++i) {
                const double difference = of[i][0] - of[i][2 * R], middle = H * of[i][R + 1];
                row[i] = m * (difference + middle);
                slope[i] = m / H * (double(K - 3) * difference + double(K - 2) * middle);
            }
            sum -= ws[d] * ws[d] * (row[0] * slope[1] + row[1] * slope[0]);
        }
        return sum;
    }

    const Call& call_;
    const S s_;
    const Constants& table_;
    const bool central_;
    const Long part_, span_;
    double* const scratch_;
};

// The jobs. Sizes that are 0 in the name are taken from the call.
template <template <class, class> class Method, class S, int D_, int K_, int E_>
struct OfSystems {
    static constexpr int K = K_, CENTRAL = 0;
    static SMNN_INLINE Long threads(const Call& call) { return call.systems; }
    static SMNN_INLINE System<Method, S> system(const Call& call, const Constants& table, Long number, double* scratch) {
        return System<Method, S>(call, shape<S>(call, D_, K_, E_), table, number, scratch);
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct Solve : OfSystems<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, double* scratch) {
        Solve::system(call, table, n, scratch).solve();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct Factor : OfSystems<Method, S, D, K, E> {
    static SMNN_INLINE Long threads(const Call& call) { return call.systems / call.columns; }
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, double* scratch) {
        Factor::system(call, table, n * call.columns, scratch).factor();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct Resolve : OfSystems<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, double* scratch) {
        Resolve::system(call, table, n, scratch).resolve();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct Adjoint : OfSystems<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, double* scratch) {
        Adjoint::system(call, table, n, scratch).adjoint();
    }
};

template <int CENTRAL_, class S, int D, int K_, int E>
struct Gradient {
    static constexpr int K = K_, CENTRAL = CENTRAL_;
    static SMNN_INLINE Long threads(const Call& call) {
        return call.systems / call.columns * Gradients<S>::groups(call) * Gradients<S>::spans(call);
    }
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, double* scratch) {
        Gradients<S>(call, shape<S>(call, D, K, E), table, CENTRAL, n, scratch).run();
    }
};

#if defined(__CUDACC_RTC__)

constexpr int BLOCK = 32;  // a warp: registers, not the number of blocks, bound how many threads an SM holds
template <int K, int ORDERS>
__constant__ const Constants TABLE = constants(K, ORDERS);

template <class Job>
__global__ void __launch_bounds__(BLOCK) run(const __grid_constant__ Call call) {
    const Long thread = Long(blockIdx.x) * BLOCK + threadIdx.x, at_work = Long(gridDim.x) * BLOCK;
    double* scratch = call.scratch + thread * call.workspace;
    for (Long n = thread; n < Job::threads(call); n += at_work) Job::run(call, TABLE<Job::K, Job::K - Job::CENTRAL>, n, scratch);
}

#else

template <class Job>
void run(const Call& call) {
    const Constants table = constants(int(call.K), int(call.K) - Job::CENTRAL);
    for (Long n = 0; n < Job::threads(call); ++n) Job::run(call, table, n, call.scratch);
}

}  // namespace SMNN_ISA
#endif
}  // namespace smnn
