// One group of systems with central rows (central.hpp), a lane each, through all grid points. What brings segments of the
// record into lanes and keeps factors or carries is that of `Group`; the passes hand on what a row reaches beyond t+1.
#pragma once

#include "../central.hpp"
#include "group.hpp"

namespace smnn {
inline namespace SMNN_ISA {

class CentralGroup : public Group<Central, AnyShape, Kind::OWN> {
    using Base = Group<Central, AnyShape, Kind::OWN>;

public:
    CentralGroup(const Problem& p, Kept kept, const Constants& table, int64_t number)
        : Base(p, kept, table, number), R(s_.R), D(s_.D), K(s_.K), E(s_.E), innovation_(!p.cholesky),
          onward_(scratch_ + method_.scratch()), p_t_(onward_ + 2 * R), next_(p_t_ + R), ahead_(next_ + R), later_(ahead_ + R),
          y_(later_ + R), w_(y_ + R), q_(w_ + R), residual_(q_ + E) {}

    void solve(const Solve& out) {
        Vec sound = {};
        int64_t place[LANES] = {};
        begin_sweep();
        for (int64_t i = 0; i < segments_; ++i) sweep(i, true, place, &sound);
        begin_back();
        const Target u = target(out.u, R, T_);
        for (int64_t i = segments_ - 1; i >= 0; --i) {
            if (i < segments_ - 1) restage(i);
            const int64_t start = i * length_, stop = std::min(T_, start + length_);
            for (int64_t t = stop - 1; t >= start; --t) {
                step_back(t, t - start, &u_[(t - start) * R]);
                for (int64_t j = 0; j < R; ++j) sound += 0.0 * u_[(t - start) * R + j];
            }
            u.write(start, stop, u_);
        }
        for (int lane = 0; lane < lanes_; ++lane) {
            out.deficient[first_ + lane] = place[lane];
            out.suspect[first_ + lane] = !(sound[lane] == 0.0);
        }
    }

    void adjoint(const Adjoint& in) {
        const Source g(p_, in.g, places_, T_);
        Arena memory(size_t(segments_ * (R + D)), true);
        Vec* saved = memory.take(segments_ * (R + D));  // where segments begin
        std::fill(onward_, onward_ + R + D, Vec{});
        if (!kept_.data) begin_sweep();
        for (int64_t i = 0; i < segments_; ++i) {
            if (kept_.data) restage(i);
            else sweep(i, true, nullptr, nullptr);
            std::copy(onward_, onward_ + R + D, saved + i * (R + D));
            forwards(i, g);
        }
        backwards(in, g, saved);
    }

private:
    // The records (and z) of segment i, from the carry that is at hand.
    void sweep(int64_t i, bool save, int64_t* place, Vec* sound) {
        if (save && !kept_.whole) std::copy(carry_, carry_ + method_.carry(), carries_ + i * saved());
        stage(i);
        const int64_t start = i * length_, stop = std::min(T_, start + length_);
        const Vec tolerance = Vec{} + 32.0 * std::sqrt(double(T_)) * std::numeric_limits<double>::epsilon();
        for (int64_t t = start; t < stop; ++t) {
            const int64_t at = t - start;
            if (sound) *sound += unsound(at);
            const int count = data_rows(t, at, sound);
            const Point<Vec> point{scratch_,    count,      ratio_[at],  inverse_[at], h_[at + 2] * inverse_[at],
                                   &ws_[at * D], t < T_ - 1, t < T_ - 2, tolerance};
            Vec fresh = {}, *rest = scratch_ + count * (R + 1), *kept = records_ + (kept_.whole ? t : at) * record_size();
            if (innovation_) method_.reflected(carry_, point, kept, z(t), fresh, rest);
            else method_.factored(carry_, point, kept, z(t), fresh, rest);
            if (place) note(t, fresh, place);
        }
    }

    // The same, with the factor at hand or from the saved carry.
    void restage(int64_t i) {
        if (kept_.whole) return stage(i);
        std::copy(carries_ + i * saved(), carries_ + i * saved() + method_.carry(), carry_);
        sweep(i, false, nullptr, nullptr);
    }

    // Equation and initial rows of grid point t with their constants, into scratch; how many.
    int data_rows(int64_t t, int64_t at, Vec* sound) {
        Vec* row = scratch_;
        for (int64_t e = 0; e < E; ++e, row += R + 1) {
            std::copy(&c_[(at * E + e) * R], &c_[(at * E + e + 1) * R], row);
            row[R] = r_[at * E + e];
        }
        if (t >= p_.T0 || p_.K0 == 0) return int(E);
        read_initial(t);
        for (int64_t i = 0; i < D * p_.K0; ++i, row += R + 1) {
            if (sound) *sound += select(wi_[i] < 0.0, Vec{} + 1.0, Vec{});
            std::fill(row, row + R, Vec{});
            row[i / p_.K0 * K + i % p_.K0] = wi_[i];
            row[R] = select(wi_[i] == 0.0, Vec{}, wi_[i] * vi_[i]);
        }
        return int(E + D * p_.K0);
    }

    // The pass with the transposed factor: a_t into z(t).
    void forwards(int64_t i, const Source& g) {
        const int64_t start = i * length_, stop = std::min(T_, start + length_);
        g.read(start, stop, g_);
        for (int64_t t = start; t < stop; ++t) {
            const int64_t at = t - start;
            std::copy(&g_[at * R], &g_[(at + 1) * R], p_t_);
            rescale(s_, inverse_[at], p_t_);
            rescale(s_, ratio_[at], onward_);
            for (int64_t j = 0; j < R; ++j) p_t_[j] += onward_[j];
            for (int64_t d = 0; d < D; ++d) onward_[R + d] *= power(ratio_[at], K - 2);
            method_.adjoint(innovation_, record(t).at, p_t_, z(t), onward_, onward_ + R);
        }
    }

    void begin_back() { std::fill(next_, next_ + 3 * R, Vec{}); }

    // From y_{t+1} in next_ to y_t there, and its natural form in `out`; w_t, y'_{t+1} and s_t stand in w_, ahead_ and later_.
    void step_back(int64_t t, int64_t at, Vec* out) {
        for (int64_t d = 0; d < D; ++d) later_[d] = ahead_[d * K + K - 2] * power(ratio_[at + 1], K - 2);
        std::copy(next_, next_ + R, ahead_);
        rescale(s_, ratio_[at + 1], ahead_);
        method_.back(innovation_, record(t).at, z(t), ahead_, later_, w_, y_);
        std::copy(y_, y_ + R, next_);
        std::copy(y_, y_ + R, out);
        rescale(s_, inverse_[at], out);
    }

    // lambda, and the gradients of every grid point and interval as it is passed. A central row adds to the steps of two
    // intervals, so of the first interval of a segment the gradient is complete with the segment before.
    void backwards(const Adjoint& in, const Source& g, const Vec* saved) {
        const int64_t DK0 = D * p_.K0;
        const Source u = result(in.u);
        const Target lambda = target(in.lambda, R, T_);
        Sum dc(target(in.coefficients, E * R, p_.coefficients.along ? T_ : 1), !p_.coefficients.along, totals_);
        Sum dr(target(in.forcing, E, p_.forcing.along ? T_ : 1), !p_.forcing.along, totals_ + E * R);
        Sum dh(target(in.steps, 1, p_.steps.along ? T_ - 1 : 1), !p_.steps.along, totals_ + E * R + E);
        Sum dv(target(in.initial, DK0, p_.initial.along ? p_.T0 : 1), !p_.initial.along, totals_ + E * R + E + 1);
        begin_back();
        for (int64_t i = segments_ - 1; i >= 0; --i) {
            const int64_t start = i * length_, stop = std::min(T_, start + length_);
            if (i < segments_ - 1) {
                restage(i);
                std::copy(g_, g_ + 2 * R, g_ + length_ * R);  // lambda at stop and stop + 1
                dh_[length_] = dh_[0];
                if (!kept_.whole) {
                    std::copy(saved + i * (R + D), saved + (i + 1) * (R + D), onward_);
                    forwards(i, g);
                }
            }
            if (in.u) u.read(start, stop + 2, u_);
            for (int64_t t = stop - 1; t >= start; --t) {
                const int64_t at = t - start;
                step_back(t, at, &g_[at * R]);  // g has been read
                if (!in.u) continue;
                equation_gradient(at, &g_[at * R], q_, residual_);
                if (in.steps && t < T_ - 1) dh_[at] = step_gradient(at, y_, ahead_, w_);
                if (in.steps && t < T_ - 2) central_gradient(at);
                if (in.initial && t < p_.T0) initial_gradient(t, &g_[at * R], dv);
            }
            lambda.write(start, stop, g_);
            if (!in.u) continue;
            dc.add(start, stop, dc_);
            dr.add(start, stop, dr_);
            const int64_t first = i ? start + 1 : 0;
            dh.add(first, std::max(first, std::min(stop + 1, T_ - 1)), dh_ + (first - start));
        }
        if (!in.u) return;
        dc.close(), dr.close(), dh.close(), dv.close();
    }

    // What the central rows over (t, t+1, t+2) add to the gradients of both steps: -<A lam, A u - b> of w H^(K-3) (d + H x),
    // d the difference of derivative K-2 and x derivative K-1 in the middle.
    void central_gradient(int64_t at) {
        const Vec H = h_[at + 1] + h_[at + 2], m = power(H, K - 2) / H;
        Vec sum = {};
        for (int64_t d = 0; d < D; ++d) {
            Vec row[2], slope[2];
            const Vec* of[2] = {u_ + at * R + d * K + K - 2, g_ + at * R + d * K + K - 2};
            for (int i = 0; i < 2; ++i) {
                const Vec difference = of[i][0] - of[i][2 * R], middle = H * of[i][R + 1];
                row[i] = m * (difference + middle);
                slope[i] = m / H * (double(K - 3) * difference + double(K - 2) * middle);
            }
            sum -= ws_[at * D + d] * ws_[at * D + d] * (row[0] * slope[1] + row[1] * slope[0]);
        }
        dh_[at] += sum, dh_[at + 1] += sum;
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
