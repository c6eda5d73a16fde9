// One group of systems, a lane each, through all grid points: segments of the record are brought into lanes, swept, solved
// and brought back, so that what is being worked on stays in the cache. CPU only.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "arrangement.hpp"
#include "../gradients.hpp"
#include "lanes.hpp"
#include "../cholesky.hpp"

namespace smnn {
inline namespace SMNN_ISA {

template <template <class, class> class Method, class S, Kind KIND>
class Group {
public:
    static constexpr bool COMMON = KIND == Kind::COMMON, PIECES = KIND == Kind::PIECES;
    static constexpr int RIDING = PIECES ? S::SIZE + 1 : 1;  // columns that ride along

    // `z` is only for pieces, whose passes do not follow each other at once: a buffer (T, R) of lanes.
    Group(const Problem& p, Kept kept, const Constants& table, int64_t number, Vec* z = nullptr)
        : p_(p), T_(PIECES ? piece_length(p) : p.T), kept_{kept.data, kept.data && (kept.whole || KIND != Kind::OWN)}, s_(int(p.D), int(p.K), int(p.E)), method_(s_, table), table_(table),
          number_(number), first_(first(p, number)), lanes_(int(std::min<int64_t>(LANES, last(p, number) - first_))), length_(segment(p)),
          segments_((T_ + length_ - 1) / length_), places_(places(p, first_, number)),
          coefficients_(p, p.coefficients, places_, p.T), forcing_(p, p.forcing, places_, p.T),
          initial_(p, p.initial, places_, p.T0), steps_(p, p.steps, places_, p.T - 1),
          equation_(p, p.weight_equation, places_, p.T), start_(p, p.weight_initial, places_, p.T0),
          taylor_(p, p.weight_taylor, places_, p.T - 1),
          arena_(size_t(workspace())) {
        const int64_t n = length_ + 3, R = s_.R, E = s_.E;
        c_ = arena_.take(n * E * R), r_ = arena_.take(n * E), h_ = arena_.take(n), inverse_ = arena_.take(n);
        ratio_ = arena_.take(n), we_ = arena_.take(n * E), ws_ = arena_.take(n * s_.D);
        vi_ = arena_.take(s_.D * s_.K), wi_ = arena_.take(s_.D * s_.K);
        carry_ = arena_.take(method_.carry()), x_ = arena_.take(R * RIDING);
        scratch_ = arena_.take(method_.scratch() + 8 * R + 8 * E + (R + E) * RIDING);  // and, after that of the method, that of the passes
        z_ = z ? z : arena_.take((kept_.whole ? T_ : length_) * R);
        u_ = arena_.take(n * R), g_ = arena_.take(n * R);
        dc_ = arena_.take(n * E * R), dr_ = arena_.take(n * E), dh_ = arena_.take(n), dv_ = arena_.take(s_.D * s_.K);
        totals_ = arena_.take(E * R + E + s_.D * s_.K + 1);
        reflections_ = arena_.take(length_ * method_.reflections()), merged_ = arena_.take(s_.D * p_.K0 * method_.reflections_of_row());
        records_ = kept_.whole && !COMMON ? reinterpret_cast<Vec*>(kept_.data) + number * T_ * record_size()
                                          : arena_.take(length_ * record_size());
        carries_ = kept_.data && !kept_.whole ? reinterpret_cast<Vec*>(kept_.data) + number * segments_ * saved()
                                              : arena_.take(segments_ * saved());
    }

    // Groups of a problem: they do not reach across left-hand sides where those are shared.
    static int64_t groups(const Problem& p) {
        if (PIECES) return p.systems * pieces(p) / LANES;
        return COMMON ? p.systems / p.columns * per_left(p) : (p.systems + LANES - 1) / LANES;
    }

    // Numbers (of doubles) that are kept for `systems` systems.
    static int64_t kept_size(const Problem& p, bool whole) {
        const Constants none = {};
        const Method<Vec, S> method(S(int(p.D), int(p.K), int(p.E)), none);
        const int64_t groups = (p.systems + LANES - 1) / LANES, length = segment(p), R = p.D * p.K;
        if (COMMON) return Shared(p, method, nullptr).size;
        if (PIECES) return p.systems * (pieces(p) * piece_length(p) * (method.record() + R * R) + (pieces(p) + 1) * 2 * R * R);
        return groups * LANES * (whole ? p.T * method.record() : (p.T + length - 1) / length * (method.carry() + R));
    }

    // Numbers of `Shared` for the left-hand sides as the systems of `p`.
    static int64_t shared_size(const Problem& p, const Constants& table) {
        return Shared(p, Method<Vec, S>(S(int(p.D), int(p.K), int(p.E)), table), nullptr).size;
    }

    void solve(const Solve& out) {
        const int64_t R = s_.R;
        Vec sound = {};
        int64_t place[LANES] = {};
        begin_sweep();
        for (int64_t i = 0; i < segments_; ++i) sweep<1>(i, true, place, &sound);
        std::fill(next(), next() + R, Vec{});
        back(out.u, sound);
        for (int lane = 0; lane < lanes_; ++lane) {
            out.deficient[first_ + lane] = place[lane];
            out.suspect[first_ + lane] = !(sound[lane] == 0.0);
        }
    }

    // Pieces: eliminate all but the separator. Out, of the rows (qr) or the normal equations (cholesky): what ties it to the
    // next, the carry C and X = [over it | constants], and what is over it alone, A (R x (R+1)).
    void sweep_piece(Vec* C, Vec* X, Vec* A, Vec& sound, int64_t* place) {
        const int64_t R = s_.R;
        alone_ = A;
        std::fill(A, A + R * (R + 1), Vec{});
        begin_sweep();
        for (int64_t i = 0; i < segments_; ++i) sweep<RIDING>(i, false, place, &sound);
        std::copy(carry_, carry_ + method_.carry(), C);
        std::copy(x_, x_ + R * RIDING, X);
    }

    // Pieces: the rest of the solution, from the scaled unknowns (in the order of elimination) at its separator and the next.
    void back_piece(const Vec* separator, const Vec* following, double* u, Vec& sound) {
        separator_ = separator;
        for (int j = 0; j < s_.R; ++j) next()[method_.at(j)] = following[j];
        back(u, sound);
    }

    // Pieces: forwards with the transpose. Out: what the separator gets, and what the next one gets (order of elimination).
    void forwards_piece(const Adjoint& in, Vec* own, Vec* following) {
        const int64_t R = s_.R;
        gathered_ = own;
        std::fill(own, own + R, Vec{});
        std::fill(onward(), onward() + R, Vec{});
        forwards_all(Source(p_, in.g, places_, p_.T), nullptr);
        rescale(s_, ratio_[T_ - (segments_ - 1) * length_], onward());
        for (int j = 0; j < R; ++j) following[j] = onward()[method_.at(j)];
        for (int j = 0; j < R; ++j) own[j] = -own[j];
    }

    void backwards_piece(const Adjoint& in, const Vec* separator, const Vec* following) {
        separator_ = separator;
        for (int j = 0; j < s_.R; ++j) next()[method_.at(j)] = following[j];
        backwards_all(in, nullptr);
    }

protected:  // central rows have passes of their own (cpu/group_central.hpp)
    // u_t from the last grid point to the first.
    void back(double* to, Vec& sound) {
        const int64_t R = s_.R;
        const Target u = target(to, R, p_.T);
        Vec *y = next() + 2 * R, *w = y + R;
        for (int64_t i = segments_ - 1; i >= 0; --i) {
            if (PIECES || i < segments_ - 1) {
                if constexpr (KIND != Kind::OWN) stage(i);
                else if (kept_.whole) stage(i);
                else again<1>(i);
            }
            const int64_t start = i * length_, stop = std::min(T_, start + length_);
            for (int64_t t = stop - 1; t >= start; --t) {
                const int64_t at = t - start;
                step_back(t, at, w, y);
                Vec* natural = &u_[at * R];
                for (int64_t j = 0; j < R; ++j) natural[j] = y[j];
                rescale(s_, inverse_[at], natural);
                for (int64_t j = 0; j < R; ++j) sound += 0.0 * natural[j];
            }
            u.write(start, stop, u_);
        }
    }

    // What the passes forwards with the transpose hand from grid point to grid point.
    Vec* onward() const { return scratch_ + method_.scratch(); }
    // y_{t+1}, which the passes backwards hand from grid point to grid point.
    Vec* next() const { return scratch_ + method_.scratch() + 2 * s_.R; }

    // From next() = y_{t+1} to y = next() = y_t and w = w_t; y'_{t+1} stands behind next().
    void step_back(int64_t t, int64_t at, Vec* w, Vec* y) {
        const int64_t R = s_.R;
        Vec *ahead = next() + R, *z_t = z(t);
        for (int64_t j = 0; j < R; ++j) ahead[j] = next()[j];
        rescale(s_, ratio_[at + 1], ahead);
        if constexpr (PIECES) {
            if (t == 0) {
                for (int j = 0; j < R; ++j) y[method_.at(j)] = separator_[j];
                predict<Vec>(s_, table_, ahead, w);
                for (int64_t j = 0; j < R; ++j) w[j] = y[j] - w[j];
                return;
            }
            const Vec* beside = record(t).at + method_.record();
            z_t = w + R;
            for (int64_t j = 0; j < R; ++j) {
                z_t[j] = z(t)[j];
                for (int64_t c = 0; c < R; ++c) z_t[j] -= beside[j * R + c] * separator_[c];
            }
        }
        method_.back(record(t), &ws_[at * s_.D], z_t, ahead, w, y);
        for (int64_t j = 0; j < R; ++j) next()[j] = y[j];
    }

public:

    // Factor alone, of the left-hand sides as the systems of `p` (one column each).
    void factor(double* data, int64_t* deficient) {
        const Shared to(p_, method_, data);
        int64_t place[LANES] = {};
        begin_sweep();
        const Target records{to.records, first_, method_.record(), p_.T, lanes_};
        const Target reflections{to.reflections, first_, method_.reflections(), p_.T, lanes_};
        const Target initial{to.initial, first_, p_.D * p_.K0 * method_.reflections_of_row(), p_.T0, lanes_};
        for (int64_t i = 0; i < segments_; ++i) {
            const int64_t start = i * length_, stop = std::min(T_, start + length_);
            sweep<0>(i, false, place, nullptr, &initial);
            records.write(start, stop, records_);
            reflections.write(start, stop, reflections_);
        }
        for (int lane = 0; lane < lanes_; ++lane) deficient[first_ + lane] = place[lane];
    }

    // Solve with the factor at hand: the right-hand side takes the reflections that made it (qr), or the normal equations
    // are solved with it (cholesky).
    void solve_common(const Solve& out) {
        Vec sound = {};
        std::fill(x_, x_ + s_.R, Vec{});
        std::fill(onward(), onward() + s_.R, Vec{});
        for (int64_t i = 0; i < segments_; ++i) {
            const int64_t start = i * length_, stop = std::min(T_, start + length_);
            stage(i);
            for (int64_t t = start; t < stop; ++t) {
                sound += unsound(t - start);
                ride(t, start, sound);
            }
        }
        std::fill(next(), next() + s_.R, Vec{});
        back(out.u, sound);
        for (int lane = 0; lane < lanes_; ++lane) out.suspect[first_ + lane] = !(sound[lane] == 0.0);
    }

    void adjoint(const Adjoint& in) {
        const int64_t R = s_.R;
        std::fill(onward(), onward() + R, Vec{});
        if (!kept_.data) begin_sweep();
        Vec* saved_onward = kept_.whole ? nullptr : arena_.take(segments_ * R);
        forwards_all(Source(p_, in.g, places_, p_.T), saved_onward);
        std::fill(next(), next() + R, Vec{});
        backwards_all(in, saved_onward);
    }

protected:
    // Forwards with the transpose of the factor; without the whole factor, `saved_onward` keeps where segments begin.
    void forwards_all(const Source& g, Vec* saved_onward) {
        const int64_t R = s_.R;
        for (int64_t i = 0; i < segments_; ++i) {
            const int64_t start = i * length_, stop = std::min(T_, start + length_);
            if constexpr (KIND != Kind::OWN) stage(i);
            else if (!kept_.data) sweep<1>(i, true, nullptr, nullptr);
            else if (!kept_.whole) again<1>(i);
            else stage(i);
            if (saved_onward) std::copy(onward(), onward() + R, saved_onward + i * R);
            read_upstream(g, start, stop);
            for (int64_t t = start; t < stop; ++t) forwards(t, start);
        }
    }

    void read_upstream(const Source& g, int64_t start, int64_t stop) {
        g.read(start, stop, g_);
        if (PIECES && places_.shift[LANES - 1] + stop > p_.T)
            for (int lane = 0; lane < LANES; ++lane)
                for (int64_t t = std::max(start, p_.T - places_.shift[lane]); t < stop; ++t)
                    for (int64_t j = 0; j < s_.R; ++j) g_[(t - start) * s_.R + j][lane] = 0.0;
    }

    // Backwards: lambda, and the gradients of every grid point and interval as it is passed.
    void backwards_all(const Adjoint& in, const Vec* saved_onward) {
        const int64_t R = s_.R, E = s_.E, D = s_.D, DK0 = D * p_.K0;
        const Source u = result(in.u), g(p_, in.g, places_, p_.T);
        const Target lambda = target(in.lambda, R, p_.T);
        auto summed = [&](double* data, int64_t width, const Array& like, int64_t points, bool left) {
            Target made = target(data, width, like.along ? points : 1);
            if ((COMMON && left) || (PIECES && !like.along)) made.together = true, made.first = number_;
            return made;
        };
        Sum dc(summed(in.coefficients, E * R, p_.coefficients, p_.T, true), !p_.coefficients.along, totals_);
        Sum dr(summed(in.forcing, E, p_.forcing, p_.T, false), !p_.forcing.along, totals_ + E * R);
        Sum dh(summed(in.steps, 1, p_.steps, p_.T - 1, true), !p_.steps.along, totals_ + E * R + E);
        Sum dv(target(in.initial, DK0, p_.initial.along ? p_.T0 : 1), !p_.initial.along, totals_ + E * R + E + 1);
        Vec *ahead = next() + R, *y = ahead + R, *w = y + R, *q = w + 2 * R, *residual = q + E;
        for (int64_t i = segments_ - 1; i >= 0; --i) {
            const int64_t start = i * length_, stop = std::min(T_, start + length_);
            if (PIECES || i < segments_ - 1) {
                if constexpr (KIND != Kind::OWN) stage(i);
                else if (kept_.whole) stage(i);
                else {
                    again<1>(i);
                    std::copy(saved_onward + i * R, saved_onward + (i + 1) * R, onward());
                    g.read(start, stop, g_);
                    for (int64_t t = start; t < stop; ++t) forwards(t, start);
                }
            }
            if (in.u) u.read(start, stop + 1, u_);
            for (int64_t t = stop - 1; t >= start; --t) {
                const int64_t at = t - start;
                step_back(t, at, w, y);
                Vec* found = &g_[at * R];  // g has been read
                for (int64_t j = 0; j < R; ++j) found[j] = y[j];
                rescale(s_, inverse_[at], found);
                if (!in.u) continue;
                equation_gradient(at, found, q, residual);
                if (in.steps && (PIECES || t < p_.T - 1)) dh_[at] = step_gradient(at, y, ahead, w);
                if (in.initial && t < p_.T0 && (!PIECES || places_.shift[0] == 0)) initial_gradient(t, found, dv);
            }
            lambda.write(start, stop, g_);
            if (!in.u) continue;
            dc.add(start, stop, dc_);
            dr.add(start, stop, dr_);
            if (PIECES) drop_steps_beyond(start, stop);
            dh.add(start, PIECES ? stop : std::min(stop, p_.T - 1), dh_);
        }
        if (!in.u) return;
        dc.close(), dr.close(), dh.close();
        if (!PIECES || places_.shift[0] == 0) dv.close();
    }

    void drop_steps_beyond(int64_t start, int64_t stop) {
        for (int lane = 0; lane < LANES; ++lane)
            for (int64_t t = std::max(start, p_.T - 1 - places_.shift[lane]); t < stop; ++t) dh_[t - start][lane] = 0.0;
    }

    void initial_gradient(int64_t t, const Vec* lambda, Sum& dv) {
        read_initial(t);
        for (int64_t d = 0; d < s_.D; ++d)
            for (int64_t k = 0; k < p_.K0; ++k) {
                const Vec weight = wi_[d * p_.K0 + k];
                dv_[d * p_.K0 + k] = weight * weight * lambda[d * s_.K + k];
            }
        dv.add(t, t + 1, dv_);
    }

    static int64_t per_left(const Problem& p) { return (p.columns + LANES - 1) / LANES; }
    static int64_t first(const Problem& p, int64_t number) {
        if (PIECES) return number / (pieces(p) / LANES);
        return COMMON ? number / per_left(p) * p.columns + number % per_left(p) * LANES : number * LANES;
    }
    static Places places(const Problem& p, int64_t first, int64_t number) {
        if (PIECES) return Places(p, first, number % (pieces(p) / LANES) * LANES, piece_length(p));
        return Places(p, first);
    }
    static int64_t last(const Problem& p, int64_t number) {
        if (PIECES) return first(p, number) + LANES;
        return COMMON ? (number / per_left(p) + 1) * p.columns : p.systems;
    }

    // Grid points of a segment: so many that its buffers fit into SEGMENT_BYTES.
    static int64_t segment(const Problem& p) {
        const int64_t R = p.D * p.K, numbers = 2 * R * R + 3 * p.E * R + 5 * R + 4 * p.E + p.D + 4;
        const int64_t points = SEGMENT_BYTES / (numbers * int64_t(sizeof(Vec)));
        return std::min(std::max<int64_t>(points / 8 * 8, 8), ((PIECES ? piece_length(p) : p.T) + 7) / 8 * 8);
    }

    int64_t saved() const { return method_.carry() + s_.R; }
    int64_t record_size() const { return method_.record() + (PIECES ? s_.R * s_.R : 0); }  // of pieces, also what meets the separator

    int64_t workspace() const {
        const int64_t n = length_ + 3, R = s_.R, E = s_.E;
        return n * (2 * E * R + 3 * E + 4 + s_.D + 2 * R) + 3 * s_.D * s_.K + method_.carry() + 2 * R + method_.scratch() +
               16 * R + 16 * E + (R + E) * RIDING + T_ * R + length_ * R + length_ * record_size() + R * RIDING +
               segments_ * (saved() + R) + E * R + E + s_.D * s_.K + 64 +
               length_ * method_.reflections() + s_.D * p_.K0 * method_.reflections_of_row();
    }

    // Results of the kernel, (systems, T, R), as an argument.
    Source result(const double* data) const {
        Array array;
        array.data = data, array.width = array.along = s_.R;
        for (int64_t i = p_.batch_dims - 1, size = p_.T * s_.R; i >= 0; --i) {
            array.batch[i] = size;
            size *= p_.batch[i];
        }
        return Source(p_, array, places_, p_.T);
    }
    Target target(double* data, int64_t width, int64_t points) const {
        return Target{data, first_, width, points, lanes_, false, PIECES ? places_.shift : nullptr};
    }

    auto record(int64_t t) const {
        if constexpr (COMMON) return Common{kept_.data + (first_ / p_.columns * p_.T + t) * method_.record()};  // Shared::records
        else return Own{records_ + (kept_.whole ? t : t % length_) * record_size()};
    }
    Vec* z(int64_t t) const { return z_ + (kept_.whole ? t : t % length_) * s_.R; }

    // Bring segment i into lanes; index 0 of every buffer is grid point i * length. h and its ratios also reach the grid
    // points before and after.
    void stage(int64_t i) {
        const int64_t start = i * length_, stop = std::min(T_, start + length_), points = stop - start;
        const int64_t more = PIECES ? 1 : 0;  // the grid point after the last is a separator: its rows end the piece
        steps_.read(start - 1, stop + 1 + more, h_);
        for (int64_t at = 0; at < points + more; ++at) inverse_[at] = 1.0 / h_[at + 1];
        for (int64_t at = 0; at <= points; ++at) ratio_[at] = at < points + more ? h_[at] * inverse_[at] : h_[at] / h_[at + 1];
        taylor_.read(start, stop + more, ws_);
        coefficients_.read(start, stop + more, c_);
        forcing_.read(start, stop + more, r_);
        equation_.read(start, stop + more, we_);
        if (PIECES && places_.shift[LANES - 1] + stop + more > p_.T) drop_rows_beyond(start, stop + more);
        const int64_t E = s_.E, R = s_.R;
        for (int64_t at = 0; at < (points + more) * E; ++at) {
            const Vec weight = we_[at];
            r_[at] = select(weight == 0.0, Vec{}, weight * r_[at]);
            for (int64_t c = 0; c < R; ++c) c_[at * R + c] = select(weight == 0.0, Vec{}, weight * c_[at * R + c]);
        }
    }

    // The last piece goes on beyond the record without rows: that is free, and changes nothing before.
    void drop_rows_beyond(int64_t start, int64_t stop) {
        for (int lane = 0; lane < LANES; ++lane)
            for (int64_t t = std::max(start, p_.T - places_.shift[lane]); t < stop; ++t)
                for (int64_t e = 0; e < s_.E; ++e) we_[(t - start) * s_.E + e][lane] = 0.0;
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
    void sweep(int64_t i, bool save, int64_t* place, Vec* sound, const Target* initial = nullptr) {
        if (save && !kept_.whole) {
            std::copy(carry_, carry_ + method_.carry(), carries_ + i * saved());
            std::copy(x_, x_ + s_.R, carries_ + i * saved() + method_.carry());
        }
        stage(i);
        const int64_t start = i * length_, stop = std::min(T_, start + length_), E = s_.E, R = s_.R;
        const Vec tolerance = Vec{} + 32.0 * std::sqrt(double(p_.T)) * std::numeric_limits<double>::epsilon();
        for (int64_t t = start; t < stop; ++t) {
            const int64_t at = t - start;
            Vec* kept = records_ + (kept_.whole && !COMMON ? t : at) * record_size();
            if (sound) *sound += unsound(at);
            if constexpr (PIECES) {
                sweep_beside(t, at, tolerance, kept, place);
            } else {
                Vec* reflections = NX == 0 ? reflections_ + at * method_.reflections() : nullptr;
                method_.template absorb<NX>(carry_, x_, ratio_[at], inverse_[at], &c_[at * E * R], &r_[at * E], nullptr, scratch_, reflections);
                merge_initial<NX>(t, at, sound, initial);
                Vec fresh = {};
                if (t < p_.T - 1)
                    method_.template eliminate<NX>(carry_, x_, &ws_[at * s_.D], tolerance, kept, z(t), fresh, scratch_, reflections);
                else
                    method_.finish(carry_, x_, tolerance, kept, z(t), fresh, scratch_);
                if (place) note(t, fresh, place);
            }
        }
    }

    // One more row (R + 1 numbers) for the triangular rows A over the separator.
    void append_row(Vec* A, Vec* row) const {
        const int R = s_.R;
        for (int j = 0; j < R; ++j) {
            const Vec a = A[j * RIDING + j], x = row[j];
            const Reflection<Vec> h(a, x * x);
            A[j * RIDING + j] = h.diagonal(a);
            for (int c = j + 1; c < RIDING; ++c) {
                const Vec m = (h.v * A[j * RIDING + c] + x * row[c]) * h.scale;
                A[j * RIDING + c] -= h.v * m, row[c] -= x * m;
            }
        }
    }

    // Pieces: one grid point of the sweep, and after the last the rows of the next separator.
    void sweep_beside(int64_t t, int64_t at, Vec tolerance, Vec* kept, int64_t* place) {
        const int64_t R = s_.R, E = s_.E;
        Vec* z_all = scratch_ + method_.scratch();  // R x (R + 1)
        Vec fresh = {};
        if (t == 0) method_.begin_beside(carry_, x_, alone_, ws_);
        else {
            method_.template eliminate<RIDING>(carry_, x_, &ws_[at * s_.D], tolerance, kept, z_all, fresh, scratch_);
            if constexpr (!Method<Vec, S>::ORTHOGONAL) method_.leave_beside(alone_, z_all);
            Vec* beside = kept + method_.record();
            for (int64_t j = 0; j < R; ++j) {
                for (int64_t c = 0; c < R; ++c) beside[j * R + c] = z_all[j * RIDING + c];
                z(t)[j] = z_all[j * RIDING + R];
            }
            note(t, fresh, place);
        }
        Vec* rest = z_all;  // E x (R + 1)
        method_.template absorb<RIDING>(carry_, x_, ratio_[at + 1], inverse_[at + 1], &c_[(at + 1) * E * R], &r_[(at + 1) * E], rest, scratch_);
        if constexpr (Method<Vec, S>::ORTHOGONAL)
            for (int64_t e = 0; e < E; ++e) append_row(alone_, rest + e * RIDING);
    }

    void note(int64_t t, Vec fresh, int64_t* place) const {
        for (int lane = 0; lane < LANES; ++lane)
            if (fresh[lane] != 0.0 && place[lane] == 0) place[lane] = t * s_.R + int64_t(fresh[lane]);
    }

    template <int NX>
    void merge_initial(int64_t t, int64_t at, Vec* sound, const Target* initial) {
        const int64_t K0 = p_.K0, row = method_.reflections_of_row();
        Vec powers[MOST_DERIVATIVES], ignored = {};
        powers[0] = Vec{} + 1.0;
        for (int64_t k = 1; k < K0; ++k) powers[k] = powers[k - 1] * inverse_[at];
        initial_rows(t, [&](int d, int k, Vec weight, Vec given) {
            Vec *entries = scratch_, constant = weight * given;
            std::fill(entries, entries + s_.R, Vec{});
            entries[method_.place(d, k)] = weight * powers[k];
            Vec* reflections = NX == 0 ? merged_ + (d * K0 + k) * row : nullptr;
            method_.template merge<NX>(carry_, x_, entries, &constant, d, k, reflections);
        }, sound ? *sound : ignored);
        if (initial && t < p_.T0) initial->write(t, t + 1, merged_);
    }

    // The records (and z) of segment i, from its saved carry.
    template <int NX>
    void again(int64_t i) {
        std::copy(carries_ + i * saved(), carries_ + i * saved() + method_.carry(), carry_);
        std::copy(carries_ + i * saved() + method_.carry(), carries_ + (i + 1) * saved(), x_);
        sweep<NX>(i, false, nullptr, nullptr);
    }

    // One grid point of a right-hand side on its way through the factor: z(t).
    void ride(int64_t t, int64_t start, Vec& sound) {
        const int64_t at = t - start, E = s_.E, R = s_.R;
        if constexpr (Method<Vec, S>::ORTHOGONAL) {
            const Shared shared(p_, method_, kept_.data);
            const int64_t left = first_ / p_.columns, row = method_.reflections_of_row();
            const Common kept{shared.reflections + (left * p_.T + t) * method_.reflections()};
            method_.ride_on(kept, x_, &r_[at * E], scratch_);
            initial_rows(t, [&](int d, int k, Vec weight, Vec given) {
                const Common of_row{shared.initial + ((left * p_.T0 + t) * p_.D * p_.K0 + d * p_.K0 + k) * row};
                method_.ride_initial(of_row, x_, weight * given, d, k);
            }, sound);
            if (t < p_.T - 1) method_.ride(kept, x_, z(t), scratch_);
            else std::copy(x_, x_ + R, z(t));
        } else {
            Vec* moment = &g_[at * R];  // (A^T b)_t
            std::fill(moment, moment + R, Vec{});
            for (int64_t e = 0; e < E; ++e)
                for (int64_t j = 0; j < R; ++j) moment[j] += c_[(at * E + e) * R + j] * r_[at * E + e];
            initial_rows(t, [&](int d, int k, Vec weight, Vec given) { moment[d * s_.K + k] += weight * weight * given; }, sound);
            forwards(t, start);
        }
    }

    // f(variable, derivative, weight, initial value) for the initial rows of grid point t.
    template <class F>
    void initial_rows(int64_t t, F f, Vec& sound) {
        if (t >= p_.T0 || p_.K0 == 0) return;
        read_initial(t);
        for (int d = 0; d < s_.D; ++d)
            for (int k = 0; k < p_.K0; ++k) {
                const Vec weight = wi_[d * p_.K0 + k];
                sound += select(weight < 0.0, Vec{} + 1.0, Vec{});
                f(d, k, weight, select(weight == 0.0, Vec{}, vi_[d * p_.K0 + k]));
            }
    }

    // 0 where steps and weights of a grid point are what they should be.
    Vec unsound(int64_t at) const {
        Vec sum = select(h_[at + 1] > 0.0, 0.0 * h_[at + 1], Vec{} + 1.0);
        for (int64_t d = 0; d < s_.D; ++d) sum += select(ws_[at * s_.D + d] < 0.0, Vec{} + 1.0, Vec{});
        for (int64_t e = 0; e < s_.E; ++e) sum += select(we_[at * s_.E + e] < 0.0, Vec{} + 1.0, Vec{});
        return sum;
    }

    // One grid point of the pass with the transposed factor: a_t into z(t).
    void forwards(int64_t t, int64_t start) {
        const int64_t at = t - start, R = s_.R;
        if (PIECES && t == 0) return;  // the separator
        Vec* p = onward() + R;
        for (int64_t j = 0; j < R; ++j) p[j] = g_[at * R + j];
        rescale(s_, inverse_[at], p);
        rescale(s_, ratio_[at], onward());
        for (int64_t j = 0; j < R; ++j) p[j] += onward()[j];
        method_.adjoint(record(t), &ws_[at * s_.D], p, z(t), onward());
        if constexpr (PIECES) {
            const Vec* beside = record(t).at + method_.record();
            for (int64_t j = 0; j < R; ++j)
                for (int64_t c = 0; c < R; ++c) gathered_[c] += beside[j * R + c] * z(t)[j];
        }
    }

    void equation_gradient(int64_t at, const Vec* lambda, Vec* q, Vec* residual) {
        const int64_t E = s_.E, R = s_.R;
        smnn::equation_gradient(s_, &c_[at * E * R], &r_[at * E], &we_[at * E], &u_[at * R], lambda, q, residual, &dc_[at * E * R], &dr_[at * E]);
    }
    Vec step_gradient(int64_t at, const Vec* y, const Vec* ahead, const Vec* w) const {
        return smnn::step_gradient(s_, table_, h_[at + 1], inverse_[at], &ws_[at * s_.D], &u_[at * s_.R], y, ahead, w);
    }

    const Problem& p_;
    const int64_t T_;  // grid points of a lane
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
    Vec *dc_, *dr_, *dh_, *dv_, *totals_, *records_, *carries_, *reflections_, *merged_;
    Vec *alone_ = nullptr, *gathered_ = nullptr;  // of pieces: rows over the separator, and what it gathers
    const Vec* separator_ = nullptr;
};

}  // namespace SMNN_ISA
}  // namespace smnn
