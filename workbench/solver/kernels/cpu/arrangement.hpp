// How the systems of a problem are laid out over groups of lanes, and what is kept of them in memory. CPU only.
#pragma once

#include "problem.hpp"
#include "../vec.hpp"

namespace smnn {
inline namespace SMNN_ISA {

constexpr int64_t SEGMENT_BYTES = 1 << 18;  // of all buffers of a segment: a part of the second-level cache

// The record of one grid point: one per lane, or one for all lanes.
struct Own {
    const Vec* at;
    Vec operator[](int i) const { return at[i]; }
};
struct Common {
    const double* at;
    Vec operator[](int i) const { return Vec{} + at[i]; }
};

// The factor of left-hand sides that systems share: per left-hand side and grid point a record, the reflections, and those of
// the initial rows.
struct Shared {
    double *records, *reflections, *initial;
    int64_t size;  // numbers of all three

    template <class M>
    Shared(const Problem& p, const M& method, double* data) {
        const int64_t lefts = p.systems / p.columns;
        const int64_t first = lefts * p.T * method.record(), second = lefts * p.T * method.reflections();
        size = first + second + lefts * p.T0 * p.D * p.K0 * method.reflections_of_row();
        records = data, reflections = data + first, initial = data + first + second;
    }
};

// What the lanes of a group are: systems with a factor each; systems that share one; or pieces of one record, which are
// eliminated side by side with the first grid point of each, its separator, riding along (cpu/partition.hpp).
enum class Kind { OWN, COMMON, PIECES };

// Pieces that a record is cut into: a matter of its length alone, so that results do not depend on threads. 1: none.
inline int64_t pieces(const Problem& p) {
    if (p.central || p.columns > 1 || p.systems >= 8 || p.T0 > 1 || p.T < 64) return 1;
    return p.T < 256 ? 8 : p.T < 2048 ? 16 : p.T < 32768 ? 32 : 64;
}
inline int64_t piece_length(const Problem& p) { return (p.T + pieces(p) - 1) / pieces(p); }

}  // namespace SMNN_ISA
}  // namespace smnn
