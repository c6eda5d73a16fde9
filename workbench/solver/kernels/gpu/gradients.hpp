// Gradients on a GPU, over all grid points at once.
#pragma once

#include "../gradients.hpp"
#include "call.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

// Gradients over a span of grid points, summed over a group of systems that share a left-hand side.
template <class S>
class Gradients {
    static constexpr int N = S::SIZE, ROWS = S::ROWS - S::SIZE;

public:
    SMNN_INLINE Gradients(const Call& call, S s, const Constants& table, bool central, Long number, double* scratch)
        : call_(call), s_(s), table_(table), central_(central), part_(number / spans(call)),
          span_(number % spans(call)), scratch_(scratch) {}

    static SMNN_INLINE Long spans(const Call& call) { return (call.T + call.span - 1) / call.span; }
    static SMNN_INLINE Long groups(const Call& call) {
        return (call.columns + call.group - 1) / call.group;
    }  // of a left-hand side

    SMNN_INLINE void run() const {
        const Long left = part_ / groups(call_), first = part_ % groups(call_) * call_.group;
        const Long last = first + call_.group < call_.columns ? first + call_.group : call_.columns;
        const Long stop = (span_ + 1) * call_.span < call_.T ? (span_ + 1) * call_.span : call_.T;
        for (Long t = span_ * call_.span; t < stop; ++t)
            for (Long i = first; i < last; ++i) add_point(t, left * call_.columns + i, i == first);
    }

private:
    // Add grid point t of a system; `first`: whether it is the first of its group.
    SMNN_INLINE void add_point(Long t, Long number, bool first) const {
        const int R = s_.R, E = s_.E;
        double* scratch = scratch_;
        const Reader<S> reader(call_, s_, number);
        const double *u = call_.u + (number * call_.T + t) * R, *lambda = call_.lambda + (number * call_.T + t) * R;
        Local<double, ROWS * N> c(scratch, E * R), dc(scratch, E * R);
        Local<double, ROWS> r(scratch, E), we(scratch, E), q(scratch, E), residual(scratch, E), dr(scratch, E);
        if (call_.d_coefficients.data || call_.d_forcing.data) {
            reader.equations(t, &c[0], &r[0], &we[0]);
            equation_gradient(s_, &c[0], &r[0], &we[0], u, lambda, &q[0], &residual[0], &dc[0], &dr[0]);
            store(call_.d_forcing, number, t, E, &dr[0], !call_.d_forcing.stride);
            store(call_.d_coefficients, part_, t, E * R, &dc[0], !first || !call_.d_coefficients.stride);
        }
        if (call_.d_steps.data && t < call_.T - 1) {
            const double gradient = steps(reader, t, u, lambda, scratch);
            store(call_.d_steps, part_, t, 1, &gradient, !first || !call_.d_steps.stride);
        }
        if (call_.d_initial.data)
            reader.initial_rows(t, [&](int j, int d, int k, double weight, double) SMNN_ALWAYS {
                double* to = call_.d_initial.at(number, t, span_, s_.D * call_.K0) + d * call_.K0 + k;
                *to = (call_.d_initial.stride ? 0.0 : *to) + weight * weight * lambda[j];
            });
    }

    SMNN_INLINE void store(const Result& result, Long number, Long t, int n, const double* from, bool add) const {
        if (!result.data) return;
        double* to = result.at(number, t, span_, n);
        for (int i = 0; i < n; ++i) to[i] = (add ? to[i] : 0.0) + from[i];
    }

    // Gradient of the step from t to t+1: of its Taylor rows, and of the central rows that contain it.
    SMNN_INLINE double steps(const Reader<S>& reader, Long t, const double* u, const double* lambda,
                             double* scratch) const {
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

    // Contribution of the central rows over (t, t+1, t+2) to the gradients of both steps.
    SMNN_INLINE double central(const Reader<S>& reader, Long t, const double* u, const double* lambda,
                               const double* ws) const {
        const double H = reader.step(t) + reader.step(t + 1);
        double scale = 1.0 / H;  // H^(K-3)
        for (int i = 0; i < s_.K - 2; ++i) scale *= H;
        return central_step_gradient(s_, H, scale, ws, u, lambda);
    }

    const Call& call_;
    const S s_;
    const Constants& table_;
    const bool central_;
    const Long part_, span_;
    double* const scratch_;
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
