// The arguments of a group of lanes, one segment of grid points at a time.
#pragma once

#include "../arrangement.hpp"

namespace smnn {
inline namespace SMNN_ISA {

// Buffers that hold the arguments of one segment, one system (or piece) per lane. Index 0 is the first grid point t of
// the segment, except for `step`: step[0] is h_{t-1}, step[1] is h_t.
template <class S>
class Inputs {
public:
    Vec *coefficients, *forcing;            // equation rows times their weights (E x R) and their right-hand side (E)
    Vec *step, *inverse_step, *step_ratio;  // h_t, 1 / h_t, h_{t-1} / h_t
    Vec *equation_weight, *taylor_weight;   // E, D
    Vec *initial, *initial_weight;          // of one grid point (D x K0 each)

    Inputs(const Problem& p, S s, const GroupLanes& lanes)
        : p_(p), s_(s), T_(lanes.T), shift_(lanes.offsets.shift), pieces_(lanes.offsets.shifted),
          coefficients_(p, p.coefficients, lanes.offsets, p.T), forcing_(p, p.forcing, lanes.offsets, p.T),
          initial_(p, p.initial, lanes.offsets, p.T0), steps_(p, p.steps, lanes.offsets, p.T - 1),
          equation_weight_(p, p.weight_equation, lanes.offsets, p.T),
          initial_weight_(p, p.weight_initial, lanes.offsets, p.T0),
          taylor_weight_(p, p.weight_taylor, lanes.offsets, p.T - 1) {}

    // Vectors that the buffers of `points` grid points take.
    static int64_t size(S s, int64_t points) { return points * (s.E * s.R + 2 * s.E + 3 + s.D) + 2 * s.D * s.K; }

    void allocate(Arena& arena, int64_t points) {
        coefficients = arena.take(points * s_.E * s_.R), forcing = arena.take(points * s_.E);
        step = arena.take(points), inverse_step = arena.take(points), step_ratio = arena.take(points);
        equation_weight = arena.take(points * s_.E), taylor_weight = arena.take(points * s_.D);
        initial = arena.take(s_.D * s_.K), initial_weight = arena.take(s_.D * s_.K);
    }

    // Read grid points start .. stop-1 of the lanes. Pieces also read the grid point after them: a separator, whose
    // equation rows belong to the piece before it.
    void read(int64_t start, int64_t stop) {
        const int64_t points = stop - start, more = pieces_ ? 1 : 0, E = s_.E, R = s_.R;
        steps_.read(start - 1, stop + 1 + more, step);
        for (int64_t n = 0; n < points + more; ++n) inverse_step[n] = 1.0 / step[n + 1];
        for (int64_t n = 0; n <= points; ++n)
            step_ratio[n] = n < points + more ? step[n] * inverse_step[n] : step[n] / step[n + 1];
        taylor_weight_.read(start, stop + more, taylor_weight);
        coefficients_.read(start, stop + more, coefficients);
        forcing_.read(start, stop + more, forcing);
        equation_weight_.read(start, stop + more, equation_weight);
        if (pieces_ && shift_[LANES - 1] + stop + more > p_.T) drop_rows_past_end(start, stop + more);
        for (int64_t row = 0; row < (points + more) * E; ++row) {
            const Vec weight = equation_weight[row];
            forcing[row] = select(weight == 0.0, Vec{}, weight * forcing[row]);
            for (int64_t c = 0; c < R; ++c)
                coefficients[row * R + c] = select(weight == 0.0, Vec{}, weight * coefficients[row * R + c]);
        }
    }

    void read_initial(int64_t t) {
        initial_.read(t, t + 1, initial);
        initial_weight_.read(t, t + 1, initial_weight);
    }

    // Call f(variable, derivative, weight, initial value) for the initial rows of grid point t. Negative weights are
    // added to `nan_check`.
    template <class F>
    void initial_rows(int64_t t, F f, Vec& nan_check) {
        if (t >= p_.T0 || p_.K0 == 0) return;
        read_initial(t);
        for (int d = 0; d < s_.D; ++d)
            for (int k = 0; k < p_.K0; ++k) {
                const Vec weight = initial_weight[d * p_.K0 + k];
                nan_check += select(weight < 0.0, Vec{} + 1.0, Vec{});
                f(d, k, weight, select(weight == 0.0, Vec{}, initial[d * p_.K0 + k]));
            }
    }

    // 0 if the step of the n-th grid point is positive and finite and its weights are not negative; else positive or
    // NaN.
    Vec check(int64_t n) const {
        Vec sum = select(step[n + 1] > 0.0, 0.0 * step[n + 1], Vec{} + 1.0);
        for (int64_t d = 0; d < s_.D; ++d) sum += select(taylor_weight[n * s_.D + d] < 0.0, Vec{} + 1.0, Vec{});
        for (int64_t e = 0; e < s_.E; ++e) sum += select(equation_weight[n * s_.E + e] < 0.0, Vec{} + 1.0, Vec{});
        return sum;
    }

private:
    // The last piece extends past the record by grid points without rows, which do not change the solution before them.
    void drop_rows_past_end(int64_t start, int64_t stop) {
        for (int lane = 0; lane < LANES; ++lane)
            for (int64_t t = std::max(start, p_.T - shift_[lane]); t < stop; ++t)
                for (int64_t e = 0; e < s_.E; ++e) equation_weight[(t - start) * s_.E + e][lane] = 0.0;
    }

    const Problem& p_;
    const S s_;
    const int64_t T_;
    const int64_t* shift_;
    const bool pieces_;
    LaneReader coefficients_, forcing_, initial_, steps_, equation_weight_, initial_weight_, taylor_weight_;
};

}  // namespace SMNN_ISA
}  // namespace smnn
