// Transfer between the memory of the caller and lanes: offsets of the systems of a group, readers of arguments, writers
// of results.
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

// Memory of one thread, allocated by `take` and reused by its next call while it is small. Two may exist at a time:
// that of a call that distributes work to groups (`outer`), and that of a group. With SMNN_CHECKED (tests) all of it is
// NaN at first, and the address sanitizer detects accesses past the end of what `take` returned.
class Arena {
public:
    explicit Arena(size_t numbers, bool outer = false) {
        static thread_local std::vector<double> caches[2];
        std::vector<double>& cache = caches[outer];
        const size_t needed = (numbers + MAX_TAKES * GAP) * LANES + 8;
        if (needed > MAX_CACHED) {
            own_.reset(new double[needed]);
            next_ = aligned(own_.get());
        } else {
            if (cache.size() < needed) cache.assign(needed, 0.0);
            next_ = aligned(cache.data());
        }
#if defined(SMNN_CHECKED)
        start_ = next_, end_ = next_ + numbers + MAX_TAKES * GAP;
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
    static constexpr size_t GAP = 1, MAX_TAKES = 40;
    Vec *start_, *end_;
#else
    static constexpr size_t GAP = 0, MAX_TAKES = 0;
#endif
    static constexpr size_t MAX_CACHED = (size_t(1) << 25) / sizeof(double);
    static Vec* aligned(double* p) { return reinterpret_cast<Vec*>((reinterpret_cast<uintptr_t>(p) + 63) / 64 * 64); }
    std::unique_ptr<double[]> own_;
    Vec* next_;
};

// Batch indices of the systems of a group: `first` and those after it; lanes past the end repeat the last. Of pieces of
// a record (length > 0) all lanes are the system `first`, each from grid point `shift` on.
struct LaneOffsets {
    int64_t index[LANES][MAX_BATCH_DIMS], shift[LANES] = {};
    bool shifted = false;

    LaneOffsets(const Problem& p, int64_t first, int64_t piece, int64_t length) : shifted(true) {
        for (int lane = 0; lane < LANES; ++lane) {
            p.locate(first, index[lane]);
            shift[lane] = (piece + lane) * length;
        }
    }
    LaneOffsets(const Problem& p, int64_t first) {
        p.locate(first, index[0]);
        for (int lane = 1; lane < LANES; ++lane) {
            std::copy(index[lane - 1], index[lane - 1] + p.batch_dims, index[lane]);
            if (first + lane < p.systems) p.advance(index[lane]);
        }
    }
};

// Reads one argument of all lanes. Grid points before the first and after the last repeat these.
class LaneReader {
public:
    LaneReader(const Problem& p, const Array& array, const LaneOffsets& offsets, int64_t points)
        : width_(array.width), stride_(array.stride), points_(points), shifted_(offsets.shifted), same_(true) {
        for (int lane = 0; lane < LANES; ++lane) {
            base_[lane] = array.data + p.offset(array, offsets.index[lane]);
            shift_[lane] = offsets.shift[lane];
            same_ = same_ && base_[lane] == base_[0] && shift_[lane] == shift_[0];
        }
        same_ = same_ || (shifted_ && stride_ == 0);
    }

    // out[(t - start) * width + i] for the grid points start .. stop-1 of the lanes.
    void read(int64_t start, int64_t stop, Vec* out) const {
        if (shifted_ && !same_) return read_shifted(start, stop, out);
        const int64_t low = std::min(std::max<int64_t>(start, 0), points_ - 1),
                      high = std::max(std::min(stop, points_), low + 1);
        Vec *first = out + std::max<int64_t>(low - start, 0) * width_, *last = first + (high - low - 1) * width_;
        if (low < stop && high > start) read_inside(low, high, first);
        else read_inside(low, high, first = last = out);
        for (int64_t t = start; t < low; ++t) std::copy(first, first + width_, out + (t - start) * width_);
        for (int64_t t = high; t < stop; ++t) std::copy(last, last + width_, out + (t - start) * width_);
    }

private:
    void read_inside(int64_t start, int64_t stop, Vec* out) const {
        const int64_t count = (stop - start) * width_;
        if (same_) {
            for (int64_t t = start; t < stop; ++t)
                for (int64_t i = 0; i < width_; ++i) *out++ = Vec{} + base_[0][t * stride_ + i];
        } else if (stride_ == width_ || stop - start == 1) {
            const double* from[LANES];
            for (int lane = 0; lane < LANES; ++lane) from[lane] = base_[lane] + (shift_[lane] + start) * stride_;
            into_lanes(from, count, out);
        } else if (stride_ == 0) {
            into_lanes(base_, width_, out);
            for (int64_t i = width_; i < count; ++i) out[i] = out[i - width_];
        } else {
            for (int64_t t = start; t < stop; ++t)
                for (int64_t i = 0; i < width_; ++i, ++out)
                    for (int lane = 0; lane < LANES; ++lane)
                        (*out)[lane] = base_[lane][(shift_[lane] + t) * stride_ + i];
        }
    }

    void read_shifted(int64_t start, int64_t stop, Vec* out) const {
        if (shift_[0] + start >= 0 && shift_[LANES - 1] + stop <= points_) return read_inside(start, stop, out);
        for (int64_t t = start; t < stop; ++t)
            for (int64_t i = 0; i < width_; ++i, ++out)
                for (int lane = 0; lane < LANES; ++lane) {
                    const int64_t nearest = std::min(std::max<int64_t>(shift_[lane] + t, 0), points_ - 1);
                    (*out)[lane] = base_[lane][nearest * stride_ + i];
                }
    }

    const double* base_[LANES];
    int64_t shift_[LANES];
    int64_t width_, stride_, points_;
    bool shifted_, same_;  // same_: all lanes read the same numbers
};

// Writes one result of all lanes, `width` numbers per grid point.
//
//     data       (systems, points, width); null: nothing is written
//     first      system of the first lane
//     lanes      lanes in use
//     sum_lanes  write the sum over the lanes, once for the group; `first` is then the number of the group
//     shift      grid point of system `first` at which each lane starts (pieces); null: 0
struct LaneWriter {
    double* data;
    int64_t first, width, points, lanes;
    bool sum_lanes = false;
    const int64_t* shift = nullptr;

    void write(int64_t start, int64_t stop, const Vec* in) const {
        if (!data) return;
        if (shift && !sum_lanes) return write_shifted(start, stop, in);
        if (sum_lanes) {
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
            for (int64_t i = 0; i < (std::min(stop, points - shift[lane]) - start) * width; ++i)
                to[lane][i] = in[i][lane];
    }
};

// Writes a gradient: per grid point, or summed over all of them (`summed`), in `total`, which `write_total` writes.
class GradientSum {
public:
    GradientSum(const LaneWriter& target, bool summed, Vec* total) : target_(target), summed_(summed), total_(total) {
        if (summed_) std::fill(total_, total_ + target.width, Vec{});
    }
    void add(int64_t start, int64_t stop, const Vec* in) {
        if (!target_.data) return;
        if (!summed_) return target_.write(start, stop, in);
        for (int64_t t = start; t < stop; ++t)
            for (int64_t i = 0; i < target_.width; ++i) total_[i] += *in++;
    }
    void write_total() const { if (summed_) target_.write(0, 1, total_); }

private:
    LaneWriter target_;
    bool summed_;
    Vec* total_;
};

}  // namespace SMNN_ISA
}  // namespace smnn
