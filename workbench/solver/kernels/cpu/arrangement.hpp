// Arrangement of systems in groups of lanes, and memory layout of their factors. CPU only.
#pragma once

#include "lanes.hpp"

namespace smnn {
inline namespace SMNN_ISA {

constexpr int64_t SEGMENT_BYTES = 1 << 18;  // all buffers of a segment: a part of the second-level cache

// Factor of one grid point: one per lane, or one broadcast to all lanes.
struct LaneRecord {
    const Vec* at;
    Vec operator[](int i) const { return at[i]; }
};
struct SharedRecord {
    const double* at;
    Vec operator[](int i) const { return Vec{} + at[i]; }
};

// Memory layout of the factor of left-hand sides that several systems share. For every left-hand side and grid point:
// the record, the reflections, and the reflections of the initial rows.
struct SharedFactor {
    double *records, *reflections, *initial;
    int64_t size;  // numbers of all three

    template <class M>
    SharedFactor(const Problem& p, const M& method, double* data) {
        const int64_t lefts = p.systems / p.columns;
        const int64_t first = lefts * p.T * method.record(), second = lefts * p.T * method.reflections();
        size = first + second + lefts * p.T0 * p.D * p.K0 * method.merge_reflections();
        records = data, reflections = data + first, initial = data + first + second;
    }
};

// Number of pieces that a record is cut into (1: not cut). Depends on shapes alone, so that results do not depend on
// the number of threads.
inline int64_t pieces(const Problem& p) {
    if (p.central || p.columns > 1 || p.systems >= 8 || p.T0 > 1 || p.T < 64) return 1;
    return p.T < 256 ? 8 : p.T < 2048 ? 16 : p.T < 32768 ? 32 : 64;
}
inline int64_t piece_length(const Problem& p) { return (p.T + pieces(p) - 1) / pieces(p); }

// The lanes of one group.
struct GroupLanes {
    int64_t number;       // of the group
    int64_t first;        // system of the first lane
    int count;            // lanes in use; the others repeat the last
    int64_t T;            // grid points of a lane
    LaneOffsets offsets;

    // Neighbouring systems, each with its own factor.
    static GroupLanes independent(const Problem& p, int64_t number) {
        const int64_t first = number * LANES;
        return {number, first, used(p.systems - first), p.T, LaneOffsets(p, first)};
    }
    static int64_t independent_groups(const Problem& p) { return (p.systems + LANES - 1) / LANES; }

    // Neighbouring systems that share a left-hand side.
    static GroupLanes shared(const Problem& p, int64_t number) {
        const int64_t left = number / groups_per_left(p),
                      first = left * p.columns + number % groups_per_left(p) * LANES;
        return {number, first, used((left + 1) * p.columns - first), p.T, LaneOffsets(p, first)};
    }
    static int64_t shared_groups(const Problem& p) { return p.systems / p.columns * groups_per_left(p); }

    // Neighbouring pieces of one record.
    static GroupLanes pieces(const Problem& p, int64_t number) {
        const int64_t per_system = smnn::pieces(p) / LANES, system = number / per_system;
        return {number, system, LANES, piece_length(p),
                LaneOffsets(p, system, number % per_system * LANES, piece_length(p))};
    }
    static int64_t piece_groups(const Problem& p) { return p.systems * smnn::pieces(p) / LANES; }

private:
    static int used(int64_t available) { return int(std::min<int64_t>(LANES, available)); }
    static int64_t groups_per_left(const Problem& p) { return (p.columns + LANES - 1) / LANES; }
};

}  // namespace SMNN_ISA
}  // namespace smnn
