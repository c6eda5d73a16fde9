// One group of systems, a lane each, through all grid points: segments of the record are brought into lanes, swept, solved
// and brought back, so that what is being worked on stays in the cache. CPU only.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "problem.hpp"
#include "sweep.hpp"
#include "threads.hpp"
#include "transpose.hpp"

namespace smnn {
inline namespace SMNN_ISA {

constexpr int LANES = SMNN_LANES;
constexpr int64_t SEGMENT_BYTES = 1 << 18;  // of all buffers of a segment: a part of the second-level cache

// Memory of one thread, handed out piece by piece and kept for its next call while it is small.
class Arena {
public:
    explicit Arena(size_t numbers) {
        static thread_local std::vector<double> kept;
        const size_t wanted = numbers * LANES + 8;
        if (wanted > MOST) {
            own_.reset(new double[wanted]);
            next_ = aligned(own_.get());
        } else {
            if (kept.size() < wanted) kept.assign(wanted, 0.0);
            next_ = aligned(kept.data());
        }
    }
    Vec* take(size_t numbers) {
        Vec* piece = next_;
        next_ += numbers;
        return piece;
    }

private:
    static constexpr size_t MOST = (size_t(1) << 25) / sizeof(double);
    static Vec* aligned(double* p) { return reinterpret_cast<Vec*>((reinterpret_cast<uintptr_t>(p) + 63) / 64 * 64); }
    std::unique_ptr<double[]> own_;
    Vec* next_;
};

// Where in the batch the systems of a group stand: `first` and those after it; what lies beyond the end repeats the last.
struct Places {
    int64_t at[LANES][MOST_BATCH_DIMS];

    Places(const Problem& p, int64_t first) {
        p.locate(first, at[0]);
        for (int lane = 1; lane < LANES; ++lane) {
            std::copy(at[lane - 1], at[lane - 1] + p.batch_dims, at[lane]);
            if (first + lane < p.systems) p.advance(at[lane]);
        }
    }
};

// Where the lanes of a group find one argument.
struct Source {
    const double* base[LANES];
    int64_t width, along;
    bool same;  // all lanes read the same numbers

    Source(const Problem& p, const Array& array, const Places& places) : width(array.width), along(array.along), same(true) {
        for (int lane = 0; lane < LANES; ++lane) {
            base[lane] = array.data + p.offset(array, places.at[lane]);
            same = same && base[lane] == base[0];
        }
    }

    // Grid points start .. stop-1 into out[(t - start) * width + i].
    void read(int64_t start, int64_t stop, Vec* out) const {
        const int64_t count = (stop - start) * width;
        if (same) {
            for (int64_t t = start; t < stop; ++t)
                for (int64_t i = 0; i < width; ++i) *out++ = Vec{} + base[0][t * along + i];
        } else if (along == width || stop - start == 1) {
            const double* from[LANES];
            for (int lane = 0; lane < LANES; ++lane) from[lane] = base[lane] + start * along;
            into_lanes(from, count, out);
        } else if (along == 0) {
            into_lanes(base, width, out);
            for (int64_t i = width; i < count; ++i) out[i] = out[i - width];
        } else {
            for (int64_t t = start; t < stop; ++t)
                for (int64_t i = 0; i < width; ++i, ++out)
                    for (int lane = 0; lane < LANES; ++lane) (*out)[lane] = base[lane][t * along + i];
        }
    }
};

// Where the lanes of a group leave one result, `width` numbers per grid point; nothing if `data` is null. `together`: the
// sum over the lanes, once for the group, whose number is `first`.
struct Target {
    double* data;
    int64_t first, width, points, lanes;
    bool together = false;

    void write(int64_t start, int64_t stop, const Vec* in) const {
        if (!data) return;
        if (together) {
            double* to = data + (first * points + start) * width;
            for (int64_t i = 0; i < (stop - start) * width; ++i) {
                to[i] = in[i][0];
                for (int64_t lane = 1; lane < lanes; ++lane) to[i] += in[i][lane];
            }
            return;
        }
        double* to[LANES];
        for (int lane = 0; lane < lanes; ++lane) to[lane] = data + ((first + lane) * points + start) * width;
        from_lanes(in, (stop - start) * width, to, lanes);
    }
};

// A gradient on its way out: per grid point, or summed over all of them.
class Sum {
public:
    Sum(const Target& target, bool summed, Vec* total) : target_(target), summed_(summed), total_(total) {
        if (summed_) std::fill(total_, total_ + target.width, Vec{});
    }
    void add(int64_t start, int64_t stop, const Vec* in) {
        if (!target_.data) return;
        if (!summed_) return target_.write(start, stop, in);
        for (int64_t t = start; t < stop; ++t)
            for (int64_t i = 0; i < target_.width; ++i) total_[i] += *in++;
    }
    void close() const { if (summed_) target_.write(0, 1, total_); }

private:
    Target target_;
    bool summed_;
    Vec* total_;
};

// The record of one grid point: one per lane, or one for all lanes.
struct Own {
    const Vec* at;
    Vec operator[](int i) const { return at[i]; }
};
struct Common {
    const double* at;
    Vec operator[](int i) const { return Vec{} + at[i]; }
};

// The systems of one group: `first` and those after it, of a problem whose systems each have a factor of their own, or
// (COMMON) share one.
template <template <class, class> class Method, class S, bool COMMON>
class Group {
public:
    static constexpr bool SHARED = COMMON;

    Group(const Problem& p, Kept kept, const Constants& table, int64_t number)
        : p_(p), kept_{kept.data, kept.data && (kept.whole || COMMON)}, s_(int(p.D), int(p.K), int(p.E)), method_(s_, table), table_(table),
          number_(number), first_(first(p, number)), lanes_(int(std::min<int64_t>(LANES, last(p, number) - first_))), length_(segment(p)),
          segments_((p.T + length_ - 1) / length_), places_(p, first_), coefficients_(p, p.coefficients, places_), forcing_(p, p.forcing, places_),
          initial_(p, p.initial, places_), steps_(p, p.steps, places_), equation_(p, p.weight_equation, places_),
          start_(p, p.weight_initial, places_), taylor_(p, p.weight_taylor, places_),
          arena_(size_t(workspace())) {
        const int64_t n = length_ + 2, R = s_.R, E = s_.E;
        c_ = arena_.take(n * E * R), r_ = arena_.take(n * E), h_ = arena_.take(n), inverse_ = arena_.take(n);
        ratio_ = arena_.take(n), we_ = arena_.take(n * E), ws_ = arena_.take(n * s_.D);
        vi_ = arena_.take(s_.D * s_.K), wi_ = arena_.take(s_.D * s_.K);
        carry_ = arena_.take(method_.carry()), x_ = arena_.take(R);
        scratch_ = arena_.take(method_.scratch() + 8 * R + 8 * E);  // and, after that of the method, that of the passes
        z_ = arena_.take((kept_.whole ? p.T : length_) * R);
        u_ = arena_.take(n * R), g_ = arena_.take(n * R);
        dc_ = arena_.take(n * E * R), dr_ = arena_.take(n * E), dh_ = arena_.take(n), dv_ = arena_.take(s_.D * s_.K);
        totals_ = arena_.take(E * R + E + s_.D * s_.K + 1);
        records_ = kept_.whole && !COMMON ? reinterpret_cast<Vec*>(kept_.data) + number * p.T * method_.record()
                                          : arena_.take(length_ * method_.record());
        carries_ = kept_.data && !kept_.whole ? reinterpret_cast<Vec*>(kept_.data) + number * segments_ * saved()
                                              : arena_.take(segments_ * saved());
    }

    // Groups of a problem: they do not reach across left-hand sides where those are shared.
    static int64_t groups(const Problem& p) {
        return COMMON ? p.systems / p.columns * per_left(p) : (p.systems + LANES - 1) / LANES;
    }

    // Numbers (of doubles) that are kept for `systems` systems.
    static int64_t kept_size(const Problem& p, bool whole) {
        const Constants none = {};
        const Method<Vec, S> method(S(int(p.D), int(p.K), int(p.E)), none);
        const int64_t groups = (p.systems + LANES - 1) / LANES, length = segment(p), R = p.D * p.K;
        if (COMMON) return p.systems / p.columns * p.T * method.record();
        return groups * LANES * (whole ? p.T * method.record() : (p.T + length - 1) / length * (method.carry() + R));
    }

    void solve(const Solve& out) {
        const int64_t R = s_.R;
        Vec sound = {};
        int64_t place[LANES] = {};
        begin_sweep();
        for (int64_t i = 0; i < segments_; ++i) sweep<1>(i, true, place, &sound);
        const Target u{out.u, first_, R, p_.T, lanes_};
        Vec *next = scratch_ + method_.scratch(), *ahead = next + R, *y = ahead + R, *w = y + R;
        std::fill(next, next + R, Vec{});
        for (int64_t i = segments_ - 1; i >= 0; --i) {
            if (i < segments_ - 1) {
                if (kept_.whole) stage(i);
                else again<1>(i);
            }
            const int64_t start = i * length_, stop = std::min(p_.T, start + length_);
            for (int64_t t = stop - 1; t >= start; --t) {
                const int64_t at = t - start;
                for (int64_t j = 0; j < R; ++j) ahead[j] = next[j];
                rescale(s_, ratio_[at + 1], ahead);
                method_.back(record(t), &ws_[at * s_.D], z(t), ahead, w, y);
                Vec* natural = &u_[at * R];
                for (int64_t j = 0; j < R; ++j) natural[j] = next[j] = y[j];
                rescale(s_, inverse_[at], natural);
                for (int64_t j = 0; j < R; ++j) sound += 0.0 * natural[j];
            }
            u.write(start, stop, u_);
        }
        for (int lane = 0; lane < lanes_; ++lane) {
            out.deficient[first_ + lane] = place[lane];
            out.suspect[first_ + lane] = !(sound[lane] == 0.0);
        }
    }

    // Factor alone, of the left-hand sides as the systems of `p` (one column each): records (systems, T, record).
    void factor(double* records, int64_t* deficient) {
        int64_t place[LANES] = {};
        begin_sweep();
        const Target out{records, first_, method_.record(), p_.T, lanes_};
        for (int64_t i = 0; i < segments_; ++i) {
            sweep<0>(i, false, place, nullptr);
            out.write(i * length_, std::min(p_.T, (i + 1) * length_), records_);
        }
        for (int lane = 0; lane < lanes_; ++lane) deficient[first_ + lane] = place[lane];
    }

    // Solve with the factor at hand: N u = A^T b, and once more for the residual, N du = A^T (b - A u), which gives back
    // the digits that the normal equations cost (corrected semi-normal equations: Bjorck, Lin. Alg. Appl. 88, 1987).
    void solve_common(const Solve& out) {
        const int64_t R = s_.R;
        Vec sound = {};
        std::vector<double> memory(size_t(p_.T + 1) * R * LANES + 8);
        Vec* u = reinterpret_cast<Vec*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64);
        for (int round = 0; round < 2; ++round) {
            Vec *onward = scratch_ + method_.scratch(), *p = onward + R, *behind = p + R;
            std::fill(onward, onward + R, Vec{});
            std::fill(behind, behind + R, Vec{});
            for (int64_t i = 0; i < segments_; ++i) {
                const int64_t start = i * length_, stop = std::min(p_.T, start + length_);
                stage(i);
                for (int64_t t = start; t < stop; ++t) {
                    moment(t, t - start, round ? u : nullptr, behind, &g_[(t - start) * R], round ? nullptr : &sound);
                    forwards(t, start, onward, p);
                }
            }
            Vec *next = onward, *ahead = next + R, *y = ahead + R, *w = y + R;
            std::fill(next, next + R, Vec{});
            for (int64_t i = segments_ - 1; i >= 0; --i) {
                if (i < segments_ - 1) stage(i);
                const int64_t start = i * length_, stop = std::min(p_.T, start + length_);
                for (int64_t t = stop - 1; t >= start; --t) {
                    const int64_t at = t - start;
                    for (int64_t j = 0; j < R; ++j) ahead[j] = next[j];
                    rescale(s_, ratio_[at + 1], ahead);
                    method_.back(record(t), &ws_[at * s_.D], z(t), ahead, w, y);
                    for (int64_t j = 0; j < R; ++j) next[j] = y[j];
                    rescale(s_, inverse_[at], y);
                    for (int64_t j = 0; j < R; ++j) {
                        u[t * R + j] = round ? u[t * R + j] + y[j] : y[j];
                        sound += 0.0 * u[t * R + j];
                    }
                }
            }
        }
        Target{out.u, first_, R, p_.T, lanes_}.write(0, p_.T, u);
        for (int lane = 0; lane < lanes_; ++lane) out.suspect[first_ + lane] = !(sound[lane] == 0.0);
    }

    void adjoint(const Adjoint& in) {
        const int64_t R = s_.R, E = s_.E, D = s_.D, DK0 = D * p_.K0;
        const Source g(p_, in.g, places_);
        const Array plain{in.u, R, R, {}};
        Source u(p_, plain, places_);
        for (int lane = 0; lane < LANES; ++lane)
            u.base[lane] = in.u + std::min(first_ + lane, p_.systems - 1) * p_.T * R;
        u.same = false;
        const Target lambda{in.lambda, first_, R, p_.T, lanes_};
        auto target = [&](double* data, int64_t width, const Array& like, int64_t points) {
            return Target{data, first_, width, like.along ? points : 1, lanes_};
        };
        auto left = [&](Target made) {
            if (COMMON) made.together = true, made.first = number_;
            return made;
        };
        Sum dc(left(target(in.coefficients, E * R, p_.coefficients, p_.T)), !p_.coefficients.along, totals_);
        Sum dr(target(in.forcing, E, p_.forcing, p_.T), !p_.forcing.along, totals_ + E * R);
        Sum dh(left(target(in.steps, 1, p_.steps, p_.T - 1)), !p_.steps.along, totals_ + E * R + E);
        Sum dv(target(in.initial, DK0, p_.initial, p_.T0), !p_.initial.along, totals_ + E * R + E + 1);
        Vec *onward = scratch_ + method_.scratch(), *a = onward + R, *next = a + R, *ahead = next + R;
        Vec *y = ahead + R, *w = y + R, *q = w + R, *residual = q + E;
        std::fill(onward, onward + R, Vec{});
        // forwards with the transpose of the factor
        if (!kept_.data) begin_sweep();
        Vec* saved_onward = kept_.whole ? nullptr : new_onward();
        for (int64_t i = 0; i < segments_; ++i) {
            const int64_t start = i * length_, stop = std::min(p_.T, start + length_);
            if constexpr (COMMON) stage(i);
            else if (!kept_.data) sweep<0>(i, true, nullptr, nullptr);
            else if (!kept_.whole) again<0>(i);
            else stage(i);
            if (saved_onward) std::copy(onward, onward + R, saved_onward + i * R);
            g.read(start, stop, g_);
            for (int64_t t = start; t < stop; ++t) forwards(t, start, onward, a);
        }
        // backwards: lambda, and the gradients of every grid point and interval as it is passed
        std::fill(next, next + R, Vec{});
        for (int64_t i = segments_ - 1; i >= 0; --i) {
            const int64_t start = i * length_, stop = std::min(p_.T, start + length_);
            if (i < segments_ - 1) {
                if constexpr (COMMON) stage(i);
                else if (kept_.whole) stage(i);
                else {
                    again<0>(i);
                    std::copy(saved_onward + i * R, saved_onward + (i + 1) * R, onward);
                    g.read(start, stop, g_);
                    for (int64_t t = start; t < stop; ++t) forwards(t, start, onward, a);
                }
            }
            if (in.u) {
                const int64_t beyond = std::min(p_.T, stop + 1);
                u.read(start, beyond, u_);
            }
            for (int64_t t = stop - 1; t >= start; --t) {
                const int64_t at = t - start;
                for (int64_t j = 0; j < R; ++j) ahead[j] = next[j];
                rescale(s_, ratio_[at + 1], ahead);
                method_.back(record(t), &ws_[at * D], z(t), ahead, w, y);
                Vec* found = &g_[at * R];  // g has been read
                for (int64_t j = 0; j < R; ++j) found[j] = next[j] = y[j];
                rescale(s_, inverse_[at], found);
                if (!in.u) continue;
                equation_gradient(at, found, q, residual);
                if (in.steps && t < p_.T - 1) dh_[at] = step_gradient(at, y, ahead, w);
                if (in.initial && t < p_.T0) {
                    read_initial(t);
                    for (int64_t d = 0; d < D; ++d)
                        for (int64_t k = 0; k < p_.K0; ++k) {
                            const Vec weight = wi_[d * p_.K0 + k];
                            dv_[d * p_.K0 + k] = weight * weight * found[d * s_.K + k];
                        }
                    dv.add(t, t + 1, dv_);
                }
            }
            lambda.write(start, stop, g_);
            if (in.u) {
                dc.add(start, stop, dc_);
                dr.add(start, stop, dr_);
                dh.add(start, std::min(stop, p_.T - 1), dh_);
            }
        }
        if (in.u) dc.close(), dr.close(), dh.close(), dv.close();
    }

private:
    static int64_t per_left(const Problem& p) { return (p.columns + LANES - 1) / LANES; }
    static int64_t first(const Problem& p, int64_t number) {
        return COMMON ? number / per_left(p) * p.columns + number % per_left(p) * LANES : number * LANES;
    }
    static int64_t last(const Problem& p, int64_t number) {
        return COMMON ? (number / per_left(p) + 1) * p.columns : p.systems;
    }

    // Grid points of a segment: so many that its buffers fit into SEGMENT_BYTES.
    static int64_t segment(const Problem& p) {
        const int64_t R = p.D * p.K, numbers = 2 * R * R + 3 * p.E * R + 5 * R + 4 * p.E + p.D + 4;
        const int64_t points = SEGMENT_BYTES / (numbers * int64_t(sizeof(Vec)));
        return std::min(std::max<int64_t>(points / 8 * 8, 8), (p.T + 7) / 8 * 8);
    }

    int64_t saved() const { return method_.carry() + s_.R; }

    int64_t workspace() const {
        const int64_t n = length_ + 2, R = s_.R, E = s_.E;
        return n * (2 * E * R + 3 * E + 4 + s_.D + 2 * R) + 3 * s_.D * s_.K + method_.carry() + 2 * R + method_.scratch() +
               16 * R + 16 * E + p_.T * R + length_ * R + length_ * method_.record() +
               segments_ * (saved() + R) + E * R + E + s_.D * s_.K + 64;
    }

    Vec* new_onward() { return arena_.take(segments_ * s_.R); }

    auto record(int64_t t) const {
        if constexpr (COMMON) return Common{kept_.data + (first_ / p_.columns * p_.T + t) * method_.record()};
        else return Own{records_ + (kept_.whole ? t : t % length_) * method_.record()};
    }
    Vec* z(int64_t t) const { return z_ + (kept_.whole ? t : t % length_) * s_.R; }

    // Bring segment i into lanes; index 0 of every buffer is grid point i * length. h and its ratios also reach the grid
    // points before and after.
    void stage(int64_t i) {
        const int64_t start = i * length_, stop = std::min(p_.T, start + length_), points = stop - start, last = p_.T - 2;
        // h of start-1 .. stop: the first and the last interval stand for what is beyond the ends
        const int64_t low = std::max<int64_t>(start - 1, 0), high = std::min(stop, last);
        Vec* h = h_ + (low - (start - 1));
        steps_.read(low, high + 1, h);
        if (start == 0) h_[0] = h_[1];
        for (int64_t t = high + 1; t <= stop; ++t) h_[t - start + 1] = h_[high - start + 1];
        for (int64_t at = 0; at < points; ++at) inverse_[at] = 1.0 / h_[at + 1];
        for (int64_t at = 0; at <= points; ++at) ratio_[at] = at < points ? h_[at] * inverse_[at] : h_[at] / h_[at + 1];
        const int64_t behind = std::min(stop - 1, last);
        if (start <= behind) taylor_.read(start, behind + 1, ws_);
        if (stop - 1 > last) {
            if (start <= behind) std::copy(ws_ + (behind - start) * s_.D, ws_ + (behind - start + 1) * s_.D, ws_ + (points - 1) * s_.D);
            else taylor_.read(last, last + 1, ws_ + (points - 1) * s_.D);
        }
        coefficients_.read(start, stop, c_);
        forcing_.read(start, stop, r_);
        equation_.read(start, stop, we_);
        const int64_t E = s_.E, R = s_.R;
        for (int64_t at = 0; at < points * E; ++at) {
            const Vec weight = we_[at];
            r_[at] = select(weight == 0.0, Vec{}, weight * r_[at]);
            for (int64_t c = 0; c < R; ++c) c_[at * R + c] = select(weight == 0.0, Vec{}, weight * c_[at * R + c]);
        }
    }

    void read_initial(int64_t t) {
        initial_.read(t, t + 1, vi_);
        start_.read(t, t + 1, wi_);
    }

    void begin_sweep() {
        std::fill(carry_, carry_ + method_.carry(), Vec{});
        std::fill(x_, x_ + s_.R, Vec{});
    }

    // The records (and z) of segment i, from the carry that is at hand.
    template <int NX>
    void sweep(int64_t i, bool save, int64_t* place, Vec* sound) {
        if (save && !kept_.whole) {
            std::copy(carry_, carry_ + method_.carry(), carries_ + i * saved());
            std::copy(x_, x_ + s_.R, carries_ + i * saved() + method_.carry());
        }
        stage(i);
        const int64_t start = i * length_, stop = std::min(p_.T, start + length_), E = s_.E, R = s_.R;
        const Vec tolerance = Vec{} + 32.0 * std::sqrt(double(p_.T)) * std::numeric_limits<double>::epsilon();
        for (int64_t t = start; t < stop; ++t) {
            const int64_t at = t - start;
            Vec* kept = records_ + (kept_.whole && !COMMON ? t : at) * method_.record();
            if (sound) *sound += unsound(at);
            method_.template absorb<NX>(carry_, x_, ratio_[at], inverse_[at], &c_[at * E * R], &r_[at * E], nullptr, scratch_);
            if (t < p_.T0 && p_.K0 > 0) merge_initial<NX>(t, at, sound);
            Vec fresh = {};
            if (t < p_.T - 1)
                method_.template eliminate<NX>(carry_, x_, &ws_[at * s_.D], tolerance, kept, z(t), fresh, scratch_);
            else
                method_.finish(carry_, x_, tolerance, kept, z(t), fresh, scratch_);
            if (place) note(t, fresh, place);
        }
    }

    void note(int64_t t, Vec fresh, int64_t* place) const {
        for (int lane = 0; lane < LANES; ++lane)
            if (fresh[lane] != 0.0 && place[lane] == 0) place[lane] = t * s_.R + int64_t(fresh[lane]);
    }

    template <int NX>
    void merge_initial(int64_t t, int64_t at, Vec* sound) {
        read_initial(t);
        Vec* row = scratch_;
        for (int64_t d = 0; d < s_.D; ++d) {
            Vec power = Vec{} + 1.0;
            for (int64_t k = 0; k < p_.K0; ++k, power *= inverse_[at]) {
                const Vec weight = wi_[d * p_.K0 + k];
                if (sound) *sound += select(weight < 0.0, Vec{} + 1.0, Vec{});
                std::fill(row, row + s_.R, Vec{});
                row[method_.place(int(d), int(k))] = weight * power;
                Vec constant = select(weight == 0.0, Vec{}, weight * vi_[d * p_.K0 + k]);
                method_.template merge<NX>(carry_, x_, row, &constant, int(d), int(k));
            }
        }
    }

    // The records (and z) of segment i, from its saved carry.
    template <int NX>
    void again(int64_t i) {
        std::copy(carries_ + i * saved(), carries_ + i * saved() + method_.carry(), carry_);
        std::copy(carries_ + i * saved() + method_.carry(), carries_ + (i + 1) * saved(), x_);
        sweep<NX>(i, false, nullptr, nullptr);
    }

    // (A^T (b - A u))_t into `out`, u = 0 where it is null. `behind` is G^T G w of the interval before, times its weights
    // squared, and becomes that of the interval after.
    void moment(int64_t t, int64_t at, const Vec* u, Vec* behind, Vec* out, Vec* sound) {
        const int64_t E = s_.E, R = s_.R, D = s_.D, K = s_.K;
        const Vec *c = &c_[at * E * R], *now = u + t * R;
        std::fill(out, out + R, Vec{});
        for (int64_t e = 0; e < E; ++e) {
            Vec left = r_[at * E + e];
            if (u)
                for (int64_t j = 0; j < R; ++j) left -= c[e * R + j] * now[j];
            for (int64_t j = 0; j < R; ++j) out[j] += c[e * R + j] * left;
        }
        if (t < p_.T0 && p_.K0 > 0) {
            read_initial(t);
            for (int64_t d = 0; d < D; ++d)
                for (int64_t i = 0; i < p_.K0; ++i) {
                    const Vec weight = wi_[d * p_.K0 + i];
                    if (sound) *sound += select(weight < 0.0, Vec{} + 1.0, Vec{});
                    const Vec given = select(weight == 0.0, Vec{}, vi_[d * p_.K0 + i]);
                    out[d * K + i] += weight * weight * (u ? given - now[d * K + i] : given);
                }
        }
        if (sound) *sound += unsound(at);
        if (!u) return;
        // Taylor rows: w = y_t - Phi y', q = w_s^2 G^T G w; -q to y_t, Phi^T q to y'
        Vec* q = scratch_;
        Vec *ahead = q + R, *w = ahead + R;
        predict_transposed<Vec>(s_, table_, behind, q);
        rescale(s_, h_[at], q);
        for (int64_t j = 0; j < R; ++j) out[j] += q[j];
        std::fill(behind, behind + R, Vec{});
        if (t == p_.T - 1) return;
        for (int64_t j = 0; j < R; ++j) ahead[j] = now[R + j], q[j] = now[j];
        rescale(s_, h_[at + 1], ahead);
        rescale(s_, h_[at + 1], q);
        predict<Vec>(s_, table_, ahead, w);
        for (int64_t d = 0; d < D; ++d) {
            const Vec weight = ws_[at * D + d];
            for (int64_t i = 0; i < K; ++i)
                for (int64_t j = 0; j < K; ++j)
                    behind[d * K + i] += table_.gram[i * K + j] * (q[d * K + j] - w[d * K + j]) * weight * weight;
        }
        for (int64_t j = 0; j < R; ++j) q[j] = behind[j];
        rescale(s_, h_[at + 1], q);
        for (int64_t j = 0; j < R; ++j) out[j] -= q[j];
    }

    // 0 where steps and weights of a grid point are what they should be.
    Vec unsound(int64_t at) const {
        Vec sum = select(h_[at + 1] > 0.0, 0.0 * h_[at + 1], Vec{} + 1.0);
        for (int64_t d = 0; d < s_.D; ++d) sum += select(ws_[at * s_.D + d] < 0.0, Vec{} + 1.0, Vec{});
        for (int64_t e = 0; e < s_.E; ++e) sum += select(we_[at * s_.E + e] < 0.0, Vec{} + 1.0, Vec{});
        return sum;
    }

    // One grid point of the pass with the transposed factor: a_t into z(t).
    void forwards(int64_t t, int64_t start, Vec* onward, Vec* p) {
        const int64_t at = t - start, R = s_.R;
        for (int64_t j = 0; j < R; ++j) p[j] = g_[at * R + j];
        rescale(s_, inverse_[at], p);
        rescale(s_, ratio_[at], onward);
        for (int64_t j = 0; j < R; ++j) p[j] += onward[j];
        method_.adjoint(record(t), &ws_[at * s_.D], p, z(t), onward);
    }

    // Of -<A lam, A u - b> by the equation rows of one grid point: dc = -(lam res + u q) w, dr = w q, q = w c lam.
    void equation_gradient(int64_t at, const Vec* lambda, Vec* q, Vec* residual) {
        const int64_t E = s_.E, R = s_.R;
        const Vec *c = &c_[at * E * R], *u = &u_[at * R];
        for (int64_t e = 0; e < E; ++e) {
            const Vec weight = we_[at * E + e];
            q[e] = Vec{}, residual[e] = -r_[at * E + e];
            for (int64_t j = 0; j < R; ++j) q[e] += c[e * R + j] * lambda[j], residual[e] += c[e * R + j] * u[j];
            dr_[at * E + e] = weight * q[e];
            for (int64_t j = 0; j < R; ++j)
                dc_[at * E * R + e * R + j] = -weight * (lambda[j] * residual[e] + u[j] * q[e]);
        }
    }

    // The same by the Taylor rows of one interval, for h: they are w_s G w, and h dw/dh = N y - Phi N y', N = diag(k).
    Vec step_gradient(int64_t at, const Vec* y, const Vec* ahead, const Vec* w) const {
        const int64_t K = s_.K;
        Vec total = {};
        const Vec h = h_[at + 1];
        for (int64_t d = 0; d < s_.D; ++d) {
            Vec now[MOST_DERIVATIVES], after[MOST_DERIVATIVES], power = Vec{} + 1.0;
            for (int64_t i = 0; i < K; ++i, power *= h) {
                now[i] = power * u_[at * s_.R + d * K + i];
                after[i] = power * u_[(at + 1) * s_.R + d * K + i];
            }
            Vec wu[MOST_DERIVATIVES], dwu[MOST_DERIVATIVES], dw[MOST_DERIVATIVES];
            for (int64_t i = 0; i < K; ++i) {
                wu[i] = now[i], dwu[i] = double(i) * now[i], dw[i] = double(i) * y[d * K + i];
                for (int64_t j = i; j < K; ++j) {
                    const double phi = table_.phi[i * K + j];
                    wu[i] -= phi * after[j];
                    dwu[i] -= double(j) * phi * after[j];
                    dw[i] -= double(j) * phi * ahead[d * K + j];
                }
            }
            Vec sum = {};
            for (int64_t i = 0; i < K; ++i) {
                Vec gu = {}, gdu = {};
                for (int64_t j = 0; j < K; ++j) {
                    gu += table_.gram[i * K + j] * wu[j];
                    gdu += table_.gram[i * K + j] * dwu[j];
                }
                sum += dw[i] * gu + w[d * K + i] * gdu;
            }
            const Vec weight = ws_[at * s_.D + d];
            total -= weight * weight * sum;
        }
        return total * inverse_[at];
    }

    const Problem& p_;
    Kept kept_;
    S s_;
    Method<Vec, S> method_;
    const Constants& table_;
    int64_t number_, first_;
    int lanes_;
    int64_t length_, segments_;
    Places places_;
    Source coefficients_, forcing_, initial_, steps_, equation_, start_, taylor_;
    Arena arena_;
    Vec *c_, *r_, *h_, *inverse_, *ratio_, *we_, *ws_, *vi_, *wi_, *carry_, *x_, *scratch_, *z_, *u_, *g_;
    Vec *dc_, *dr_, *dh_, *dv_, *totals_, *records_, *carries_;
};

}  // namespace SMNN_ISA
}  // namespace smnn
