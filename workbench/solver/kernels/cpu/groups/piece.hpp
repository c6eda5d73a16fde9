// Pieces of one record, one per lane (partition.hpp).
#pragma once

#include "../../dense.hpp"
#include "passes.hpp"

namespace smnn {
inline namespace SMNN_ISA {

// The first grid point of a piece is its separator y_s. All others are eliminated, with y_s as further columns of X:
//
//     X = [columns of y_s | right-hand side], R x RHS
//     factor: U w_t + V y'_{t+1} + W y_s = z, the record followed by W (R x R)
//
// Every pass is made by a new group, so that the passes of the pieces can run in parallel; z is in memory of the
// caller.
template <template <class, class> class Method_, class S>
struct PieceGroup : Group<Method_, S, S::SIZE + 1> {
    static constexpr int RHS = S::SIZE + 1;
    static constexpr bool PIECES = true;
    using Base = Group<Method_, S, RHS>;
    using Base::p, Base::s, Base::T, Base::in, Base::lanes, Base::method, Base::segments, Base::length, Base::carry,
        Base::x, Base::scratch, Base::z;

    PieceGroup(const Problem& problem, SavedFactor factor, const Constants& table, int64_t number, Vec* z_buffer)
        : Base(problem, {factor.data, true}, table, GroupLanes::pieces(problem, number), 0, z_buffer),
          records_(reinterpret_cast<Vec*>(factor.data) + number * T * record_size()) {}

    static int64_t groups(const Problem& p) { return GroupLanes::piece_groups(p); }
    // Numbers of the factors of all pieces and of the chain of separators.
    static int64_t saved_size(const Problem& p) {
        const Constants none = {};
        const typename Base::Method method(S(int(p.D), int(p.K), int(p.E)), none);
        const int64_t R = p.D * p.K, P = pieces(p);
        return p.systems * (P * piece_length(p) * (method.record() + R * R) + (P + 1) * 2 * R * R);
    }

    // Eliminate all grid points but the separator.
    //
    //     C, X        out: rows that couple y_s to the next separator: the carry, and [over y_s | right-hand side]
    //     A           out: rows over y_s alone (R x RHS); cholesky: the blocks of the normal equations
    //     nan_check   result of the checks of the arguments is added
    //     deficiency  see `record_deficiency`
    void eliminate(Vec* C, Vec* X, Vec* A, Vec& nan_check, int64_t* deficiency) {
        std::fill(A, A + s.R * RHS, Vec{});
        this->clear_carry();
        for (int64_t i = 0; i < segments; ++i) {
            this->read_segment(i);
            const auto [start, stop] = this->segment(i);
            const Vec tolerance = this->tolerance();
            for (int64_t t = start; t < stop; ++t) {
                nan_check += in.check(t - start);
                eliminate_point(t, t - start, tolerance, A, deficiency);
            }
        }
        std::copy(carry, carry + method.carry(), C);
        std::copy(x, x + s.R * RHS, X);
    }

    // Back substitution for the piece.
    //
    //     separator, following  scaled unknowns at its separator and at the next, in the order of elimination
    //     u                     out: (systems, T, R)
    void solve(const Vec* separator, const Vec* following, double* u, Vec& nan_check) {
        begin_back(separator, following);
        back_substitute(*this, u, nan_check);
    }

    // Forward substitution with the transposed factor.
    //
    //     upstream              upstream gradient
    //     separator, following  out: contributions to the right-hand sides at its separator and at the next
    void adjoint_forward(const Adjoint& upstream, Vec* separator, Vec* following) {
        const int64_t R = s.R;
        separator_sum_ = separator;
        std::fill(separator, separator + R, Vec{});
        std::fill(this->onward(), this->onward() + R, Vec{});
        smnn::adjoint_forward(*this, LaneReader(p, upstream.g, lanes.offsets, p.T), nullptr);
        rescale(s, in.step_ratio[T - (segments - 1) * length], this->onward());
        for (int j = 0; j < R; ++j) following[j] = this->onward()[method.unknown(j)];
        for (int j = 0; j < R; ++j) separator[j] = -separator[j];
    }

    // Back substitution for lambda, and the gradients; arguments as in `solve`.
    void adjoint_backward(const Adjoint& out, const Vec* separator, const Vec* following) {
        begin_back(separator, following);
        smnn::adjoint_backward(*this, out, nullptr);
    }

    // For the passes.
    LaneRecord record(int64_t t) const { return {records_ + t * record_size()}; }
    bool sums_lanes(const Array& like, bool) const { return !like.stride; }
    void begin_segment(int64_t i) { this->read_segment(i); }
    void restore_segment(int64_t i) { this->read_segment(i); }
    void restore_adjoint(int64_t i, const LaneReader&, const Vec*) { this->read_segment(i); }

    // y and w at the separator; `ahead` is y'_{t+1}.
    void separator_step(const Vec* ahead, Vec* w, Vec* y) const {
        for (int j = 0; j < s.R; ++j) y[method.unknown(j)] = separator_[j];
        predict<Vec>(s, this->table, ahead, w);
        for (int64_t j = 0; j < s.R; ++j) w[j] = y[j] - w[j];
    }
    // z(t) - W y_s, in `out`.
    const Vec* without_separator(int64_t t, Vec* out) const {
        const int64_t R = s.R;
        const Vec* W = separator_columns(t);
        for (int64_t j = 0; j < R; ++j) {
            out[j] = z(t)[j];
            for (int64_t c = 0; c < R; ++c) out[j] -= W[j * R + c] * separator_[c];
        }
        return out;
    }
    // Add W^T a_t to the sum for the separator.
    void add_to_separator(int64_t t) {
        const int64_t R = s.R;
        const Vec* W = separator_columns(t);
        for (int64_t j = 0; j < R; ++j)
            for (int64_t c = 0; c < R; ++c) separator_sum_[c] += W[j * R + c] * z(t)[j];
    }

    // The last piece extends past the record: there the upstream gradient and the gradients of the steps are zero.
    void drop_upstream_past_end(int64_t start, int64_t stop) {
        const int64_t* shift = lanes.offsets.shift;
        if (shift[LANES - 1] + stop <= p.T) return;
        for (int lane = 0; lane < LANES; ++lane)
            for (int64_t t = std::max(start, p.T - shift[lane]); t < stop; ++t)
                for (int64_t j = 0; j < s.R; ++j) this->g[(t - start) * s.R + j][lane] = 0.0;
    }
    void drop_steps_past_end(int64_t start, int64_t stop) {
        const int64_t* shift = lanes.offsets.shift;
        for (int lane = 0; lane < LANES; ++lane)
            for (int64_t t = std::max(start, p.T - 1 - shift[lane]); t < stop; ++t)
                this->gradients.steps[t - start][lane] = 0.0;
    }

private:
    int64_t record_size() const { return method.record() + s.R * s.R; }
    const Vec* separator_columns(int64_t t) const { return record(t).at + method.record(); }

    void begin_back(const Vec* separator, const Vec* following) {
        separator_ = separator;
        for (int j = 0; j < s.R; ++j) this->next()[method.unknown(j)] = following[j];
    }

    // Eliminate grid point t, or start the piece (t = 0), and absorb the equation rows of t+1.
    void eliminate_point(int64_t t, int64_t n, Vec tolerance, Vec* A, int64_t* deficiency) {
        const int64_t R = s.R, E = s.E;
        Vec* z_all = scratch + method.scratch();  // R x RHS
        Vec zero_pivot = {};
        if (t == 0) method.begin_piece(carry, x, A, in.taylor_weight);
        else {
            Vec* to = records_ + t * record_size();
            method.template eliminate<RHS>(carry, x, &in.taylor_weight[n * s.D], tolerance, to, z_all, zero_pivot,
                                           scratch);
            if constexpr (!Base::Method::ORTHOGONAL) method.update_separator(A, z_all);
            Vec* W = to + method.record();
            for (int64_t j = 0; j < R; ++j) {
                for (int64_t c = 0; c < R; ++c) W[j * R + c] = z_all[j * RHS + c];
                z(t)[j] = z_all[j * RHS + R];
            }
            this->record_deficiency(t, zero_pivot, deficiency);
        }
        Vec* residual = z_all;  // E x RHS
        method.template absorb<RHS>(carry, x, in.step_ratio[n + 1], in.inverse_step[n + 1],
                                    &in.coefficients[(n + 1) * E * R], &in.forcing[(n + 1) * E], residual, scratch);
        if constexpr (Base::Method::ORTHOGONAL)
            for (int64_t e = 0; e < E; ++e) append_row<S::SIZE>(A, residual + e * RHS);
    }

    Vec* const records_;
    Vec* separator_sum_ = nullptr;
    const Vec* separator_ = nullptr;
};

}  // namespace SMNN_ISA
}  // namespace smnn
