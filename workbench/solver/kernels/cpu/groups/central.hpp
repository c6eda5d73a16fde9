// Systems with central rows (../../central.hpp), one per lane.
#pragma once

#include "../../central.hpp"
#include "independent.hpp"

namespace smnn {
inline namespace SMNN_ISA {

// Buffers, and factors or carries, are those of IndependentGroup; central rows reach over two intervals, so that the
// passes also carry the terms of t+2.
class CentralGroup : public IndependentGroup<Central, AnyShape> {
    using Base = IndependentGroup<Central, AnyShape>;

public:
    CentralGroup(const Problem& problem, SavedFactor factor, const Constants& constants, int64_t number)
        : Base(problem, factor, constants, number), R(s.R), D(s.D), K(s.K), E(s.E), innovation_(!p.cholesky),
          onward_(scratch + method.scratch()), p_t_(onward_ + 2 * R), next_(p_t_ + R), ahead_(next_ + R),
          later_(ahead_ + R), y_(later_ + R), w_(y_ + R), q_(w_ + R), residual_(q_ + E) {}

    void solve(const Solve& out) {
        Vec nan_check = {};
        int64_t deficiency[LANES] = {};
        clear_carry();
        for (int64_t i = 0; i < segments; ++i) sweep(i, true, deficiency, &nan_check);
        begin_back();
        const LaneWriter u_writer = writer(out.u, R, T);
        for (int64_t i = segments - 1; i >= 0; --i) {
            if (i < segments - 1) restore_segment(i);
            const auto [start, stop] = segment(i);
            for (int64_t t = stop - 1; t >= start; --t) {
                back_step(t, t - start, &u[(t - start) * R]);
                for (int64_t j = 0; j < R; ++j) nan_check += 0.0 * u[(t - start) * R + j];
            }
            u_writer.write(start, stop, u);
        }
        for (int lane = 0; lane < lanes.count; ++lane) {
            out.deficient[lanes.first + lane] = deficiency[lane];
            out.suspect[lanes.first + lane] = !(nan_check[lane] == 0.0);
        }
    }

    void adjoint(const Adjoint& out) {
        const LaneReader upstream(p, out.g, lanes.offsets, T);
        Arena memory(size_t(segments * (R + D)), true);
        Vec* starts = memory.take(segments * (R + D));  // onward_ at the starts of segments
        std::fill(onward_, onward_ + R + D, Vec{});
        if (!saved.data) clear_carry();
        for (int64_t i = 0; i < segments; ++i) {
            if (saved.data) restore_segment(i);
            else sweep(i, true, nullptr, nullptr);
            std::copy(onward_, onward_ + R + D, starts + i * (R + D));
            adjoint_forward(i, upstream);
        }
        adjoint_backward(out, upstream, starts);
    }

private:
    // Factor (and z) of segment i, from the current carry; arguments as in IndependentGroup::sweep.
    void sweep(int64_t i, bool save, int64_t* deficiency, Vec* nan_check) {
        if (save && !saved.whole) std::copy(carry, carry + method.carry(), carries + i * carry_size());
        read_segment(i);
        const auto [start, stop] = segment(i);
        const Vec limit = tolerance();
        for (int64_t t = start; t < stop; ++t) {
            const int64_t n = t - start;
            if (nan_check) *nan_check += in.check(n);
            const int count = data_rows(t, n, nan_check);
            const Vec before = in.step_ratio[n], inverse = in.inverse_step[n],
                      after = in.step[n + 2] * in.inverse_step[n];
            const Vec* weight = &in.taylor_weight[n * D];
            const Point<Vec> point{scratch, count, before, inverse, after, weight, t < T - 1, t < T - 2, limit};
            Vec zero_pivot = {}, *rest = scratch + count * (R + 1),
                *to = records + (saved.whole ? t : n) * method.record();
            if (innovation_) method.eliminate_qr(carry, point, to, z(t), zero_pivot, rest);
            else method.eliminate_cholesky(carry, point, to, z(t), zero_pivot, rest);
            if (deficiency) record_deficiency(t, zero_pivot, deficiency);
        }
    }

    // Arguments of segment i, and its factor unless all of it is saved.
    void restore_segment(int64_t i) {
        if (saved.whole) return read_segment(i);
        std::copy(carries + i * carry_size(), carries + i * carry_size() + method.carry(), carry);
        sweep(i, false, nullptr, nullptr);
    }

    // Equation and initial rows of grid point t with their right-hand side, into scratch. Returns their number.
    int data_rows(int64_t t, int64_t n, Vec* nan_check) {
        Vec* row = scratch;
        for (int64_t e = 0; e < E; ++e, row += R + 1) {
            std::copy(&in.coefficients[(n * E + e) * R], &in.coefficients[(n * E + e + 1) * R], row);
            row[R] = in.forcing[n * E + e];
        }
        if (t >= p.T0 || p.K0 == 0) return int(E);
        in.read_initial(t);
        for (int64_t i = 0; i < D * p.K0; ++i, row += R + 1) {
            const Vec weight = in.initial_weight[i];
            if (nan_check) *nan_check += select(weight < 0.0, Vec{} + 1.0, Vec{});
            std::fill(row, row + R, Vec{});
            row[i / p.K0 * K + i % p.K0] = weight;
            row[R] = select(weight == 0.0, Vec{}, weight * in.initial[i]);
        }
        return int(E + D * p.K0);
    }

    // Forward substitution with the transposed factor, over segment i.
    void adjoint_forward(int64_t i, const LaneReader& upstream) {
        const auto [start, stop] = segment(i);
        upstream.read(start, stop, g);
        for (int64_t t = start; t < stop; ++t) {
            const int64_t n = t - start;
            std::copy(&g[n * R], &g[(n + 1) * R], p_t_);
            rescale(s, in.inverse_step[n], p_t_);
            rescale(s, in.step_ratio[n], onward_);
            for (int64_t j = 0; j < R; ++j) p_t_[j] += onward_[j];
            for (int64_t d = 0; d < D; ++d) onward_[R + d] *= power(in.step_ratio[n], K - 2);
            method.adjoint(innovation_, record(t).at, p_t_, z(t), onward_, onward_ + R);
        }
    }

    void begin_back() { std::fill(next_, next_ + 3 * R, Vec{}); }

    // From next_ = y_{t+1} to next_ = y_t, and u_t in `natural`; sets w_ = w_t, ahead_ = y'_{t+1} and later_ = s_t.
    void back_step(int64_t t, int64_t n, Vec* natural) {
        for (int64_t d = 0; d < D; ++d) later_[d] = ahead_[d * K + K - 2] * power(in.step_ratio[n + 1], K - 2);
        std::copy(next_, next_ + R, ahead_);
        rescale(s, in.step_ratio[n + 1], ahead_);
        method.back_substitute(innovation_, record(t).at, z(t), ahead_, later_, w_, y_);
        std::copy(y_, y_ + R, next_);
        std::copy(y_, y_ + R, natural);
        rescale(s, in.inverse_step[n], natural);
    }

    // Back substitution for lambda, and the gradients. A central row contributes to the gradients of two steps, so that
    // of the first step of a segment is complete only with the segment before.
    void adjoint_backward(const Adjoint& out, const LaneReader& upstream, const Vec* starts) {
        const LaneReader u_reader = result_reader(out.u);
        const LaneWriter lambda_writer = writer(out.lambda, R, T);
        GradientSums sums(*this, out);
        begin_back();
        for (int64_t i = segments - 1; i >= 0; --i) {
            const auto [start, stop] = segment(i);
            if (i < segments - 1) restore_adjoint(i, upstream, starts);
            if (out.u) u_reader.read(start, stop + 2, u);
            for (int64_t t = stop - 1; t >= start; --t) {
                const int64_t n = t - start;
                back_step(t, n, &g[n * R]);  // g has been read
                if (!out.u) continue;
                equation_gradient(n, &g[n * R], q_, residual_);
                if (out.steps && t < T - 1) gradients.steps[n] = step_gradient(n, y_, ahead_, w_);
                if (out.steps && t < T - 2) add_central_gradient(n);
                if (out.initial && t < p.T0) initial_gradient(t, &g[n * R], sums.initial);
            }
            lambda_writer.write(start, stop, g);
            if (!out.u) continue;
            sums.coefficients.add(start, stop, gradients.coefficients);
            sums.forcing.add(start, stop, gradients.forcing);
            const int64_t first = i ? start + 1 : 0;
            sums.steps.add(first, std::max(first, std::min(stop + 1, T - 1)), gradients.steps + (first - start));
        }
        if (!out.u) return;
        sums.coefficients.write_total(), sums.forcing.write_total(), sums.steps.write_total(),
            sums.initial.write_total();
    }

    // Segment i once more on the way back, after segment i + 1.
    void restore_adjoint(int64_t i, const LaneReader& upstream, const Vec* starts) {
        restore_segment(i);
        std::copy(g, g + 2 * R, g + length * R);  // lambda at stop and stop + 1
        gradients.steps[length] = gradients.steps[0];
        if (saved.whole) return;
        std::copy(starts + i * (R + D), starts + (i + 1) * (R + D), onward_);
        adjoint_forward(i, upstream);
    }

    // Contribution of the central rows over (t, t+1, t+2) to the gradients of both steps.
    void add_central_gradient(int64_t n) {
        const Vec H = in.step[n + 1] + in.step[n + 2];
        const Vec sum =
            central_step_gradient(s, H, power(H, K - 2) / H, &in.taylor_weight[n * D], u + n * R, g + n * R);
        gradients.steps[n] += sum, gradients.steps[n + 1] += sum;
    }

    static Vec power(Vec x, int64_t n) {
        Vec product = Vec{} + 1.0;
        for (int64_t i = 0; i < n; ++i) product *= x;
        return product;
    }

    const int64_t R, D, K, E;
    const bool innovation_;
    Vec *onward_, *p_t_, *next_, *ahead_, *later_, *y_, *w_, *q_, *residual_;
};

}  // namespace SMNN_ISA
}  // namespace smnn
