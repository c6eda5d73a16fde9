// Systems with a factor each, one per lane.
#pragma once

#include "passes.hpp"

namespace smnn {
inline namespace SMNN_ISA {

// The factor of all grid points is saved, or only the carries at the starts of segments, from which `recompute_segment`
// computes the factor again; or nothing.
template <template <class, class> class Method_, class S>
struct IndependentGroup : Group<Method_, S, 1> {
    using Base = Group<Method_, S, 1>;
    using Base::carry, Base::x, Base::scratch, Base::z;
    using Base::p, Base::s, Base::T, Base::in, Base::lanes, Base::method, Base::saved, Base::segments, Base::length,
        Base::arena;
    static constexpr bool PIECES = false;
    Vec *records, *carries;                   // factor of all grid points or of one segment; saved carries
    Vec *reflections, *merge_reflections;     // of one segment, and of the initial rows of one grid point

    IndependentGroup(const Problem& problem, SavedFactor factor, const Constants& table, int64_t number)
        : Base(problem, {factor.data, factor.data && factor.whole}, table, GroupLanes::independent(problem, number),
               extra(problem), nullptr) {
        const int64_t size = method.record();
        Vec* data = reinterpret_cast<Vec*>(saved.data);
        reflections = arena.take(length * method.reflections());
        merge_reflections = arena.take(s.D * p.K0 * method.merge_reflections());
        records = saved.whole ? data + number * T * size : arena.take(length * size);
        carries =
            saved.data && !saved.whole ? data + number * segments * carry_size() : arena.take(segments * carry_size());
    }

    static int64_t groups(const Problem& p) { return GroupLanes::independent_groups(p); }
    // Numbers of the factor (`whole`) or of the carries of all systems.
    static int64_t saved_size(const Problem& p, bool whole) {
        const Constants none = {};
        const typename Base::Method method(S(int(p.D), int(p.K), int(p.E)), none);
        const int64_t length = Base::segment_length(p, p.T), segments = (p.T + length - 1) / length;
        return groups(p) * LANES * (whole ? p.T * method.record() : segments * (method.carry() + p.D * p.K));
    }
    // Numbers of `SharedFactor`, for the left-hand sides as the systems of `p`.
    static int64_t shared_size(const Problem& p, const Constants& table) {
        return SharedFactor(p, typename Base::Method(S(int(p.D), int(p.K), int(p.E)), table), nullptr).size;
    }

    void solve(const Solve& out) {
        Vec nan_check = {};
        int64_t deficiency[LANES] = {};
        this->clear_carry();
        for (int64_t i = 0; i < segments; ++i) sweep<1>(i, true, deficiency, &nan_check);
        std::fill(this->next(), this->next() + s.R, Vec{});
        back_substitute(*this, out.u, nan_check);
        for (int lane = 0; lane < lanes.count; ++lane) {
            out.deficient[lanes.first + lane] = deficiency[lane];
            out.suspect[lanes.first + lane] = !(nan_check[lane] == 0.0);
        }
    }

    // Factor of left-hand sides, the systems of this problem, into a `SharedFactor` at `data`.
    void factor(double* data, int64_t* deficient) {
        const SharedFactor to(p, method, data);
        int64_t deficiency[LANES] = {};
        this->clear_carry();
        const LaneWriter record_writer{to.records, lanes.first, method.record(), p.T, lanes.count};
        const LaneWriter reflection_writer{to.reflections, lanes.first, method.reflections(), p.T, lanes.count};
        const LaneWriter initial_writer{to.initial, lanes.first, p.D * p.K0 * method.merge_reflections(), p.T0,
                                        lanes.count};
        for (int64_t i = 0; i < segments; ++i) {
            const auto [start, stop] = this->segment(i);
            sweep<0>(i, false, deficiency, nullptr, &initial_writer);
            record_writer.write(start, stop, records);
            reflection_writer.write(start, stop, reflections);
        }
        for (int lane = 0; lane < lanes.count; ++lane) deficient[lanes.first + lane] = deficiency[lane];
    }

    void adjoint(const Adjoint& out) {
        std::fill(this->onward(), this->onward() + s.R, Vec{});
        if (!saved.data) this->clear_carry();
        Vec* starts = saved.whole ? nullptr : arena.take(segments * s.R);
        adjoint_forward(*this, LaneReader(p, out.g, lanes.offsets, p.T), starts);
        std::fill(this->next(), this->next() + s.R, Vec{});
        adjoint_backward(*this, out, starts);
    }

    // For the passes.
    LaneRecord record(int64_t t) const { return {records + (saved.whole ? t : t % length) * method.record()}; }
    bool sums_lanes(const Array&, bool) const { return false; }
    void restore_segment(int64_t i) {
        if (saved.whole) this->read_segment(i);
        else recompute_segment(i);
    }
    void begin_segment(int64_t i) {
        if (saved.data) restore_segment(i);
        else sweep<1>(i, true, nullptr, nullptr);
    }
    void restore_adjoint(int64_t i, const LaneReader& g, const Vec* starts) {
        restore_segment(i);
        if (saved.whole) return;
        const auto [start, stop] = this->segment(i);
        std::copy(starts + i * s.R, starts + (i + 1) * s.R, this->onward());
        g.read(start, stop, this->g);
        for (int64_t t = start; t < stop; ++t) adjoint_step(*this, t, t - start);
    }

protected:
    int64_t carry_size() const { return method.carry() + s.R; }

    // Factor (and z) of segment i, from the current carry.
    //
    //     NX          1, or 0 to store the reflections in place of z
    //     save        whether to save the carry first, unless the whole factor is saved
    //     deficiency  see `record_deficiency`; may be null
    //     nan_check   result of the checks of the arguments is added; may be null
    //     initial     writer of the reflections of the initial rows; may be null
    template <int NX>
    void sweep(int64_t i, bool save, int64_t* deficiency, Vec* nan_check, const LaneWriter* initial = nullptr) {
        if (save && !saved.whole) {
            std::copy(carry, carry + method.carry(), carries + i * carry_size());
            std::copy(x, x + s.R, carries + i * carry_size() + method.carry());
        }
        this->read_segment(i);
        const auto [start, stop] = this->segment(i);
        const int64_t E = s.E, R = s.R;
        const Vec tolerance = this->tolerance();
        for (int64_t t = start; t < stop; ++t) {
            const int64_t n = t - start;
            Vec* to = records + (saved.whole ? t : n) * method.record();
            Vec* stored = NX == 0 ? reflections + n * method.reflections() : nullptr;
            Vec zero_pivot = {};
            if (nan_check) *nan_check += in.check(n);
            method.template absorb<NX>(carry, x, in.step_ratio[n], in.inverse_step[n], &in.coefficients[n * E * R],
                                       &in.forcing[n * E], nullptr, scratch, stored);
            merge_initial<NX>(t, n, nan_check, initial);
            if (t < p.T - 1)
                method.template eliminate<NX>(carry, x, &in.taylor_weight[n * s.D], tolerance, to, z(t), zero_pivot,
                                              scratch, stored);
            else
                method.finish(carry, x, tolerance, to, z(t), zero_pivot, scratch);
            if (deficiency) this->record_deficiency(t, zero_pivot, deficiency);
        }
    }

    template <int NX>
    void merge_initial(int64_t t, int64_t n, Vec* nan_check, const LaneWriter* initial) {
        const int64_t K0 = p.K0, row = method.merge_reflections();
        Vec powers[MAX_DERIVATIVES], ignored = {};
        powers[0] = Vec{} + 1.0;
        for (int64_t k = 1; k < K0; ++k) powers[k] = powers[k - 1] * in.inverse_step[n];
        in.initial_rows(t, [&](int d, int k, Vec weight, Vec value) {
            Vec *entries = scratch, constant = weight * value;
            std::fill(entries, entries + s.R, Vec{});
            entries[method.position(d, k)] = weight * powers[k];
            Vec* stored = NX == 0 ? merge_reflections + (d * K0 + k) * row : nullptr;
            method.template merge<NX>(carry, x, entries, &constant, d, k, stored);
        }, nan_check ? *nan_check : ignored);
        if (initial && t < p.T0) initial->write(t, t + 1, merge_reflections);
    }

    // Factor (and z) of segment i, from its saved carry.
    void recompute_segment(int64_t i) {
        std::copy(carries + i * carry_size(), carries + i * carry_size() + method.carry(), carry);
        std::copy(carries + i * carry_size() + method.carry(), carries + (i + 1) * carry_size(), x);
        sweep<1>(i, false, nullptr, nullptr);
    }

private:
    static int64_t extra(const Problem& p) {
        const Constants none = {};
        const typename Base::Method method(S(int(p.D), int(p.K), int(p.E)), none);
        const int64_t R = p.D * p.K, length = Base::segment_length(p, p.T), segments = (p.T + length - 1) / length;
        return length * (method.record() + method.reflections()) + segments * (method.carry() + 2 * R) +
               p.D * p.K0 * method.merge_reflections();
    }
};

}  // namespace SMNN_ISA
}  // namespace smnn
