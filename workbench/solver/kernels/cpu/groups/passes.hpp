// Passes over all grid points that the kinds of groups have in common.
//
// A group G provides, besides the members of `Group`:
//
//     PIECES               whether its lanes are pieces of a record. Every pass of pieces is made by a new group, and
//                          restores the last segment too
//     record(t), z(t)      the factor and its right-hand side at grid point t
//     restore_segment(i)   read the arguments of segment i and make its factor available
//     restore_adjoint(..)  also repeat its adjoint steps unless z is saved
//     begin_segment(i)     restore_segment(i) in the first pass
//     sums_lanes(..)       whether a gradient is summed over the lanes
#pragma once

#include "group.hpp"

namespace smnn {
inline namespace SMNN_ISA {

// From next() = y_{t+1} to y = next() = y_t, and w = w_t; n is the index of t in its segment.
template <class G>
SMNN_INLINE void back_step(G& group, int64_t t, int64_t n, Vec* w, Vec* y) {
    const int64_t R = group.s.R;
    Vec *next = group.next(), *ahead = next + R;
    for (int64_t j = 0; j < R; ++j) ahead[j] = next[j];
    rescale(group.s, group.in.step_ratio[n + 1], ahead);
    const Vec* z = group.z(t);
    if constexpr (G::PIECES) {
        if (t == 0) return group.separator_step(ahead, w, y);
        z = group.without_separator(t, w + R);
    }
    group.method.back_substitute(group.record(t), &group.in.taylor_weight[n * group.s.D], z, ahead, w, y);
    for (int64_t j = 0; j < R; ++j) next[j] = y[j];
}

// Back substitution from the last grid point to the first; next() is the solution after the last.
//
//     data       out: u (systems, T, R)
//     nan_check  NaN is added where u is not finite
template <class G>
void back_substitute(G& group, double* data, Vec& nan_check) {
    const int64_t R = group.s.R;
    const LaneWriter writer = group.writer(data, R, group.p.T);
    Vec *y = group.next() + 2 * R, *w = y + R;
    for (int64_t i = group.segments - 1; i >= 0; --i) {
        if (G::PIECES || i < group.segments - 1) group.restore_segment(i);
        const auto [start, stop] = group.segment(i);
        for (int64_t t = stop - 1; t >= start; --t) {
            const int64_t n = t - start;
            back_step(group, t, n, w, y);
            Vec* natural = &group.u[n * R];
            for (int64_t j = 0; j < R; ++j) natural[j] = y[j];
            rescale(group.s, group.in.inverse_step[n], natural);
            for (int64_t j = 0; j < R; ++j) nan_check += 0.0 * natural[j];
        }
        writer.write(start, stop, group.u);
    }
}

// One step of forward substitution with the transposed factor: z(t) = U^-T (g_t + onward).
template <class G>
SMNN_INLINE void adjoint_step(G& group, int64_t t, int64_t n) {
    const int64_t R = group.s.R;
    if (G::PIECES && t == 0) return;  // the separator
    Vec *onward = group.onward(), *p = onward + R;
    for (int64_t j = 0; j < R; ++j) p[j] = group.g[n * R + j];
    rescale(group.s, group.in.inverse_step[n], p);
    rescale(group.s, group.in.step_ratio[n], onward);
    for (int64_t j = 0; j < R; ++j) p[j] += onward[j];
    group.method.adjoint(group.record(t), &group.in.taylor_weight[n * group.s.D], p, group.z(t), onward);
    if constexpr (G::PIECES) group.add_to_separator(t);
}

// Forward substitution with the transposed factor over all grid points.
//
//     g       upstream gradient
//     starts  out: onward() at the start of every segment; null if z is saved for all grid points
template <class G>
void adjoint_forward(G& group, const LaneReader& g, Vec* starts) {
    const int64_t R = group.s.R;
    for (int64_t i = 0; i < group.segments; ++i) {
        group.begin_segment(i);
        if (starts) std::copy(group.onward(), group.onward() + R, starts + i * R);
        const auto [start, stop] = group.segment(i);
        g.read(start, stop, group.g);
        if constexpr (G::PIECES) group.drop_upstream_past_end(start, stop);
        for (int64_t t = start; t < stop; ++t) adjoint_step(group, t, t - start);
    }
}

// Writers of the gradients of a group.
struct GradientSums {
    GradientSum coefficients, forcing, steps, initial;

    template <class G>
    GradientSums(const G& group, const Adjoint& out)
        : coefficients(of(group, out.coefficients, group.s.E * group.s.R, group.p.coefficients, group.p.T, true, 0)),
          forcing(of(group, out.forcing, group.s.E, group.p.forcing, group.p.T, false, group.s.E * group.s.R)),
          steps(of(group, out.steps, 1, group.p.steps, group.p.T - 1, true, group.s.E * (group.s.R + 1))),
          initial(group.writer(out.initial, group.s.D * group.p.K0, group.p.initial.stride ? group.p.T0 : 1),
                  !group.p.initial.stride, group.gradients.totals + group.s.E * (group.s.R + 1) + 1) {}

private:
    // `left`: whether the argument belongs to the left-hand side. `offset`: of its total among the totals.
    template <class G>
    static GradientSum of(const G& group, double* data, int64_t width, const Array& like, int64_t points, bool left,
                          int64_t offset) {
        LaneWriter writer = group.writer(data, width, like.stride ? points : 1);
        if (group.sums_lanes(like, left)) writer.sum_lanes = true, writer.first = group.lanes.number;
        return GradientSum(writer, !like.stride, group.gradients.totals + offset);
    }
};

// Back substitution for lambda, with the gradients of every grid point and interval on the way.
//
//     out     requested results
//     starts  result of `adjoint_forward`
template <class G>
void adjoint_backward(G& group, const Adjoint& out, const Vec* starts) {
    const int64_t R = group.s.R, E = group.s.E, last_step = G::PIECES ? group.T : group.p.T - 1;
    const LaneReader u = group.result_reader(out.u), g(group.p, out.g, group.lanes.offsets, group.p.T);
    const LaneWriter lambda_writer = group.writer(out.lambda, R, group.p.T);
    const bool has_initial = group.lanes.offsets.shift[0] == 0;
    GradientSums sums(group, out);
    Vec *ahead = group.next() + R, *y = ahead + R, *w = y + R, *q = w + 2 * R, *residual = q + E;
    for (int64_t i = group.segments - 1; i >= 0; --i) {
        const auto [start, stop] = group.segment(i);
        if (G::PIECES || i < group.segments - 1) group.restore_adjoint(i, g, starts);
        if (out.u) u.read(start, stop + 1, group.u);
        for (int64_t t = stop - 1; t >= start; --t) {
            const int64_t n = t - start;
            back_step(group, t, n, w, y);
            Vec* lambda = &group.g[n * R];  // g has been read
            for (int64_t j = 0; j < R; ++j) lambda[j] = y[j];
            rescale(group.s, group.in.inverse_step[n], lambda);
            if (!out.u) continue;
            group.equation_gradient(n, lambda, q, residual);
            if (out.steps && t < last_step) group.gradients.steps[n] = group.step_gradient(n, y, ahead, w);
            if (out.initial && t < group.p.T0 && has_initial) group.initial_gradient(t, lambda, sums.initial);
        }
        lambda_writer.write(start, stop, group.g);
        if (!out.u) continue;
        sums.coefficients.add(start, stop, group.gradients.coefficients);
        sums.forcing.add(start, stop, group.gradients.forcing);
        if constexpr (G::PIECES) group.drop_steps_past_end(start, stop);
        sums.steps.add(start, std::min(stop, last_step), group.gradients.steps);
    }
    if (!out.u) return;
    sums.coefficients.write_total(), sums.forcing.write_total(), sums.steps.write_total();
    if (has_initial) sums.initial.write_total();
}

}  // namespace SMNN_ISA
}  // namespace smnn
