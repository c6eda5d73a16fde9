// What all groups of lanes have in common: buffers, readers of arguments, writers of results.
//
// A group takes one system (or one piece of a record) in each lane through all grid points, segment by segment, so that
// the buffers of a segment stay in the cache. There are four kinds, with the passes of passes.hpp in common:
//
//     IndependentGroup  (independent.hpp) systems with a factor each
//     SharedGroup       (shared.hpp)      systems that share one factor
//     PieceGroup        (piece.hpp)       pieces of one record
//     CentralGroup      (central.hpp)     systems with central rows
#pragma once

#include <cmath>
#include <limits>

#include "../../cholesky.hpp"
#include "../../gradients.hpp"
#include "../../qr.hpp"
#include "inputs.hpp"

namespace smnn {
inline namespace SMNN_ISA {

// Buffers for the gradients of one segment, and of one grid point (initial) or all (totals).
struct GradientBuffers {
    Vec *coefficients, *forcing, *steps, *initial, *totals;

    template <class S>
    static int64_t size(S s, int64_t points) {
        return points * (s.E * s.R + s.E + 1) + s.D * s.K + s.E * s.R + s.E + s.D * s.K + 1;
    }
    template <class S>
    void allocate(Arena& arena, S s, int64_t points) {
        coefficients = arena.take(points * s.E * s.R), forcing = arena.take(points * s.E), steps = arena.take(points);
        initial = arena.take(s.D * s.K), totals = arena.take(s.E * s.R + s.E + s.D * s.K + 1);
    }
};

struct SegmentRange {
    int64_t start, stop;
};

// RHS is the number of columns of X in the carry: 1, or R + 1 for pieces.
template <template <class, class> class Method_, class S, int RHS>
struct Group {
    using Method = Method_<Vec, S>;
    const Problem& p;
    const Constants& table;
    const GroupLanes lanes;
    const int64_t T;  // grid points of a lane
    const SavedFactor saved;
    const S s;
    const Method method;
    const int64_t length, segments;  // grid points of a segment; number of segments
    Inputs<S> in;
    Arena arena;
    Vec *carry, *x, *scratch;  // C and X of the method, its scratch memory and that of the passes
    Vec *z_buffer, *u, *g;     // right-hand sides of the factor; solution and upstream gradient of one segment
    GradientBuffers gradients;

    // `extra`: vectors that the kind of group takes from the arena. `external_z`: memory for z that outlives the group,
    // or null.
    Group(const Problem& problem, SavedFactor factor, const Constants& constants, const GroupLanes& group_lanes,
          int64_t extra, Vec* external_z)
        : p(problem), table(constants), lanes(group_lanes), T(lanes.T), saved(factor), s(int(p.D), int(p.K), int(p.E)),
          method(s, table), length(segment_length(p, T)), segments((T + length - 1) / length), in(p, s, lanes),
          arena(size_t(size() + extra)) {
        const int64_t n = length + 3, R = s.R;
        in.allocate(arena, n);
        carry = arena.take(method.carry()), x = arena.take(R * RHS);
        scratch = arena.take(method.scratch() + pass_scratch());
        z_buffer = external_z ? external_z : arena.take((saved.whole ? T : length) * R);
        u = arena.take(n * R), g = arena.take(n * R);
        gradients.allocate(arena, s, n);
    }
    Group(const Group&) = delete;

    // Grid points of a segment: as many as fit into SEGMENT_BYTES, a multiple of 8.
    static int64_t segment_length(const Problem& p, int64_t T) {
        const int64_t R = p.D * p.K, numbers = 2 * R * R + 3 * p.E * R + 5 * R + 4 * p.E + p.D + 4;
        const int64_t points = SEGMENT_BYTES / (numbers * int64_t(sizeof(Vec)));
        return std::min(std::max<int64_t>(points / 8 * 8, 8), (T + 7) / 8 * 8);
    }
    SegmentRange segment(int64_t i) const { return {i * length, std::min(T, (i + 1) * length)}; }
    void read_segment(int64_t i) {
        const auto [start, stop] = segment(i);
        in.read(start, stop);
    }

    void clear_carry() {
        std::fill(carry, carry + method.carry(), Vec{});
        std::fill(x, x + s.R, Vec{});
    }
    Vec* z(int64_t t) const { return z_buffer + (saved.whole ? t : t % length) * s.R; }
    // R vectors that adjoint steps pass from grid point to grid point, and R more of scratch.
    Vec* onward() const { return scratch + method.scratch(); }
    // y_{t+1}, which back substitution passes from grid point to grid point; behind it y'_{t+1} and scratch.
    Vec* next() const { return scratch + method.scratch() + 2 * s.R; }

    // Pivots below this, relative to their column, count as zero.
    Vec tolerance() const { return Vec{} + 32.0 * std::sqrt(double(p.T)) * std::numeric_limits<double>::epsilon(); }
    // deficiency[lane] = 1 + index of the first undetermined unknown. `zero_pivot`: that of grid point t, or 0.
    void record_deficiency(int64_t t, Vec zero_pivot, int64_t* deficiency) const {
        for (int lane = 0; lane < LANES; ++lane)
            if (zero_pivot[lane] != 0.0 && deficiency[lane] == 0)
                deficiency[lane] = t * s.R + int64_t(zero_pivot[lane]);
    }

    // A result (systems, T, R) of the kernel, read as an argument.
    LaneReader result_reader(const double* data) const {
        Array array;
        array.data = data, array.width = array.stride = s.R;
        for (int64_t i = p.batch_dims - 1, size = p.T * s.R; i >= 0; --i) {
            array.batch[i] = size;
            size *= p.batch[i];
        }
        return LaneReader(p, array, lanes.offsets, p.T);
    }
    LaneWriter writer(double* data, int64_t width, int64_t points) const {
        const int64_t* shift = lanes.offsets.shifted ? lanes.offsets.shift : nullptr;
        return LaneWriter{data, lanes.first, width, points, lanes.count, false, shift};
    }

    // Gradients of the n-th grid point of the segment, from lambda there.
    void equation_gradient(int64_t n, const Vec* lambda, Vec* q, Vec* residual) {
        const int64_t E = s.E, R = s.R;
        smnn::equation_gradient(s, &in.coefficients[n * E * R], &in.forcing[n * E], &in.equation_weight[n * E],
                                &u[n * R], lambda, q, residual, &gradients.coefficients[n * E * R],
                                &gradients.forcing[n * E]);
    }
    Vec step_gradient(int64_t n, const Vec* y, const Vec* ahead, const Vec* w) const {
        return smnn::step_gradient(s, table, in.step[n + 1], in.inverse_step[n], &in.taylor_weight[n * s.D],
                                   &u[n * s.R], y, ahead, w);
    }
    void initial_gradient(int64_t t, const Vec* lambda, GradientSum& sum) {
        in.read_initial(t);
        for (int64_t d = 0; d < s.D; ++d)
            for (int64_t k = 0; k < p.K0; ++k) {
                const Vec weight = in.initial_weight[d * p.K0 + k];
                gradients.initial[d * p.K0 + k] = weight * weight * lambda[d * s.K + k];
            }
        sum.add(t, t + 1, gradients.initial);
    }

private:
    int64_t pass_scratch() const { return 8 * s.R + 8 * s.E + (s.R + s.E) * RHS; }
    int64_t size() const {
        const int64_t n = length + 3, R = s.R;
        return Inputs<S>::size(s, n) + GradientBuffers::size(s, n) + method.carry() + R * RHS + method.scratch() +
               pass_scratch() + std::max(T, length) * R + 2 * n * R + 64;
    }
};

}  // namespace SMNN_ISA
}  // namespace smnn
