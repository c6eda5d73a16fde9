// Systems that share coefficients, steps and weights, and therefore one factor, one per lane.
#pragma once

#include "passes.hpp"

namespace smnn {
inline namespace SMNN_ISA {

// The factor is a `SharedFactor`, computed by IndependentGroup::factor.
template <template <class, class> class Method_, class S>
struct SharedGroup : Group<Method_, S, 1> {
    using Base = Group<Method_, S, 1>;
    using Base::p, Base::s, Base::in, Base::lanes, Base::method, Base::saved, Base::segments, Base::x, Base::z,
        Base::scratch;
    static constexpr bool PIECES = false;

    SharedGroup(const Problem& problem, SavedFactor factor, const Constants& table, int64_t number)
        : Base(problem, {factor.data, factor.data != nullptr}, table, GroupLanes::shared(problem, number), 0, nullptr),
          left_(lanes.first / p.columns), factor_(p, method, saved.data) {}

    static int64_t groups(const Problem& p) { return GroupLanes::shared_groups(p); }
    static int64_t saved_size(const Problem& p, bool) {
        const Constants none = {};
        return SharedFactor(p, typename Base::Method(S(int(p.D), int(p.K), int(p.E)), none), nullptr).size;
    }

    // Solve with the factor: its reflections are applied to the right-hand side (qr), or the normal equations are
    // solved (cholesky).
    void solve(const Solve& out) {
        Vec nan_check = {};
        std::fill(x, x + s.R, Vec{});
        std::fill(this->onward(), this->onward() + s.R, Vec{});
        for (int64_t i = 0; i < segments; ++i) {
            const auto [start, stop] = this->segment(i);
            this->read_segment(i);
            for (int64_t t = start; t < stop; ++t) {
                nan_check += in.check(t - start);
                if constexpr (Base::Method::ORTHOGONAL) apply_reflections(t, t - start, nan_check);
                else normal_step(t, t - start, nan_check);
            }
        }
        std::fill(this->next(), this->next() + s.R, Vec{});
        back_substitute(*this, out.u, nan_check);
        for (int lane = 0; lane < lanes.count; ++lane) out.suspect[lanes.first + lane] = !(nan_check[lane] == 0.0);
    }

    void adjoint(const Adjoint& out) {
        std::fill(this->onward(), this->onward() + s.R, Vec{});
        adjoint_forward(*this, LaneReader(p, out.g, lanes.offsets, p.T), nullptr);
        std::fill(this->next(), this->next() + s.R, Vec{});
        adjoint_backward(*this, out, nullptr);
    }

    // For the passes.
    SharedRecord record(int64_t t) const { return {factor_.records + (left_ * p.T + t) * method.record()}; }
    bool sums_lanes(const Array&, bool left) const { return left; }
    void begin_segment(int64_t i) { this->read_segment(i); }
    void restore_segment(int64_t i) { this->read_segment(i); }
    void restore_adjoint(int64_t i, const LaneReader&, const Vec*) { this->read_segment(i); }

private:
    // z(t) by the stored reflections.
    void apply_reflections(int64_t t, int64_t n, Vec& nan_check) {
        const int64_t K0 = p.K0, row = method.merge_reflections();
        const SharedRecord stored{factor_.reflections + (left_ * p.T + t) * method.reflections()};
        method.apply_absorb_reflections(stored, x, &in.forcing[n * s.E], scratch);
        in.initial_rows(t, [&](int d, int k, Vec weight, Vec value) {
            const SharedRecord merged{factor_.initial + ((left_ * p.T0 + t) * p.D * K0 + d * K0 + k) * row};
            method.apply_merge_reflections(merged, x, weight * value, d, k);
        }, nan_check);
        if (t < p.T - 1) method.apply_eliminate_reflections(stored, x, z(t), scratch);
        else std::copy(x, x + s.R, z(t));
    }

    // z(t) by forward substitution of (A^T b)_t.
    void normal_step(int64_t t, int64_t n, Vec& nan_check) {
        const int64_t E = s.E, R = s.R;
        Vec* moment = &this->g[n * R];
        std::fill(moment, moment + R, Vec{});
        for (int64_t e = 0; e < E; ++e)
            for (int64_t j = 0; j < R; ++j) moment[j] += in.coefficients[(n * E + e) * R + j] * in.forcing[n * E + e];
        in.initial_rows(
            t, [&](int d, int k, Vec weight, Vec value) { moment[d * s.K + k] += weight * weight * value; }, nan_check);
        adjoint_step(*this, t, n);
    }

    const int64_t left_;
    const SharedFactor factor_;
};

}  // namespace SMNN_ISA
}  // namespace smnn
