// Between the memory of the caller and lanes: where the systems (or pieces of a record) of a group stand, how their numbers
// come in, and how results go out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>
#if defined(SMNN_CHECKED)
#include <sanitizer/asan_interface.h>

#include <cstdlib>
#include <limits>
#endif

#include "problem.hpp"
#include "transpose.hpp"

namespace smnn {
inline namespace SMNN_ISA {

constexpr int LANES = SMNN_LANES;

// Memory of one thread, handed out piece by piece and kept for its next call while it is small. Two may live at a time:
// `outer`, of a call that hands work to groups, and that of a group. SMNN_CHECKED, for tests: all of it is NaN at first, and
// the address sanitizer sees the ends of every piece.
class Arena {
public:
    explicit Arena(size_t numbers, bool outer = false) {
        static thread_local std::vector<double> both[2];
        std::vector<double>& kept = both[outer];
        const size_t wanted = (numbers + MOST_PIECES * GAP) * LANES + 8;
        if (wanted > MOST) {
            own_.reset(new double[wanted]);
            next_ = aligned(own_.get());
        } else {
            if (kept.size() < wanted) kept.assign(wanted, 0.0);
            next_ = aligned(kept.data());
        }
#if defined(SMNN_CHECKED)
        start_ = next_, end_ = next_ + numbers + MOST_PIECES * GAP;
        ASAN_UNPOISON_MEMORY_REGION(next_, (end_ - next_) * sizeof(Vec));
        std::fill(next_, end_, Vec{} + std::numeric_limits<double>::quiet_NaN());
        ASAN_POISON_MEMORY_REGION(next_, (end_ - next_) * sizeof(Vec));
#endif
    }
    Vec* take(size_t numbers) {
        Vec* piece = next_;
        next_ += numbers + GAP;
#if defined(SMNN_CHECKED)
        if (next_ > end_) std::abort();
        ASAN_UNPOISON_MEMORY_REGION(piece, numbers * sizeof(Vec));
#endif
        return piece;
    }
#if defined(SMNN_CHECKED)
    ~Arena() { ASAN_UNPOISON_MEMORY_REGION(start_, (end_ - start_) * sizeof(Vec)); }
#endif

private:
#if defined(SMNN_CHECKED)
    static constexpr size_t GAP = 1, MOST_PIECES = 40;
    Vec *start_, *end_;
#else
    static constexpr size_t GAP = 0, MOST_PIECES = 0;
#endif
    static constexpr size_t MOST = (size_t(1) << 25) / sizeof(double);
    static Vec* aligned(double* p) { return reinterpret_cast<Vec*>((reinterpret_cast<uintptr_t>(p) + 63) / 64 * 64); }
    std::unique_ptr<double[]> own_;
    Vec* next_;
};

// Where in the batch the systems of a group stand: `first` and those after it; what lies beyond the end repeats the last.
// Pieces of a record (length > 0): all lanes are the system `first`, each from grid point `shift` on.
struct Places {
    int64_t at[LANES][MOST_BATCH_DIMS], shift[LANES] = {};
    bool shifted = false;

    Places(const Problem& p, int64_t first, int64_t piece, int64_t length) : shifted(true) {
        for (int lane = 0; lane < LANES; ++lane) {
            p.locate(first, at[lane]);
            shift[lane] = (piece + lane) * length;
        }
    }
    Places(const Problem& p, int64_t first) {
        p.locate(first, at[0]);
        for (int lane = 1; lane < LANES; ++lane) {
            std::copy(at[lane - 1], at[lane - 1] + p.batch_dims, at[lane]);
            if (first + lane < p.systems) p.advance(at[lane]);
        }
    }
};

// Where the lanes of a group find one argument. Grid points before the first and after the last are those.
class Source {
public:
    Source(const Problem& p, const Array& array, const Places& places, int64_t points)
        : width_(array.width), along_(array.along), points_(points), shifted_(places.shifted), same_(true) {
        for (int lane = 0; lane < LANES; ++lane) {
            base_[lane] = array.data + p.offset(array, places.at[lane]);
            shift_[lane] = places.shift[lane];
            same_ = same_ && base_[lane] == base_[0] && shift_[lane] == shift_[0];
        }
        same_ = same_ || (shifted_ && along_ == 0);
    }

    // Grid points start .. stop-1 (of the piece) into out[(t - start) * width + i].
    void read(int64_t start, int64_t stop, Vec* out) const {
        if (shifted_ && !same_) return read_shifted(start, stop, out);
        const int64_t low = std::min(std::max<int64_t>(start, 0), points_ - 1), high = std::max(std::min(stop, points_), low + 1);
        Vec *first = out + std::max<int64_t>(low - start, 0) * width_, *last = first + (high - low - 1) * width_;
        if (low < stop && high > start) within(low, high, first);
        else within(low, high, first = last = out);
        for (int64_t t = start; t < low; ++t) std::copy(first, first + width_, out + (t - start) * width_);
        for (int64_t t = high; t < stop; ++t) std::copy(last, last + width_, out + (t - start) * width_);
    }

private:
    void within(int64_t start, int64_t stop, Vec* out) const {
        const int64_t count = (stop - start) * width_;
        if (same_) {
            for (int64_t t = start; t < stop; ++t)
                for (int64_t i = 0; i < width_; ++i) *out++ = Vec{} + base_[0][t * along_ + i];
        } else if (along_ == width_ || stop - start == 1) {
            const double* from[LANES];
            for (int lane = 0; lane < LANES; ++lane) from[lane] = base_[lane] + (shift_[lane] + start) * along_;
            into_lanes(from, count, out);
        } else if (along_ == 0) {
            into_lanes(base_, width_, out);
            for (int64_t i = width_; i < count; ++i) out[i] = out[i - width_];
        } else {
            for (int64_t t = start; t < stop; ++t)
                for (int64_t i = 0; i < width_; ++i, ++out)
                    for (int lane = 0; lane < LANES; ++lane) (*out)[lane] = base_[lane][(shift_[lane] + t) * along_ + i];
        }
    }

    void read_shifted(int64_t start, int64_t stop, Vec* out) const {
        if (shift_[0] + start >= 0 && shift_[LANES - 1] + stop <= points_) return within(start, stop, out);
        for (int64_t t = start; t < stop; ++t)
            for (int64_t i = 0; i < width_; ++i, ++out)
                for (int lane = 0; lane < LANES; ++lane) {
                    const int64_t at = std::min(std::max<int64_t>(shift_[lane] + t, 0), points_ - 1);
                    (*out)[lane] = base_[lane][at * along_ + i];
                }
    }

    const double* base_[LANES];
    int64_t shift_[LANES];
    int64_t width_, along_, points_;
    bool shifted_, same_;  // same: all lanes read the same numbers
};

// Where the lanes of a group leave one result, `width` numbers per grid point; nothing if `data` is null. `together`: the
// sum over the lanes, once for the group, whose number is `first`. `shift` (or null): where in the record of system `first`
// each lane begins.
struct Target {
    double* data;
    int64_t first, width, points, lanes;
    bool together = false;
    const int64_t* shift = nullptr;

    void write(int64_t start, int64_t stop, const Vec* in) const {
        if (!data) return;
        if (shift && !together) return write_shifted(start, stop, in);
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

private:
    void write_shifted(int64_t start, int64_t stop, const Vec* in) const {
        double* to[LANES];
        for (int lane = 0; lane < LANES; ++lane) to[lane] = data + (first * points + shift[lane] + start) * width;
        if (shift[LANES - 1] + stop <= points) return from_lanes(in, (stop - start) * width, to, LANES);
        for (int lane = 0; lane < LANES; ++lane)
            for (int64_t i = 0; i < (std::min(stop, points - shift[lane]) - start) * width; ++i) to[lane][i] = in[i][lane];
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

}  // namespace SMNN_ISA
}  // namespace smnn
