// Transposition between records, one system after the other, and lanes, one number of every system side by side.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#include "../vec.hpp"

namespace smnn {
inline namespace SMNN_ISA {

#if defined(__GNUC__) || defined(__clang__)

// One stage of the transposition of a LANES x LANES square: swap blocks of B lanes between rows i and i + B.
template <int B, size_t... I>
inline void exchange(Vec& a, Vec& b, std::index_sequence<I...>) {
    const Vec low = __builtin_shufflevector(a, b, (I & B ? SMNN_LANES + I - B : I)...);
    b = __builtin_shufflevector(a, b, (I & B ? SMNN_LANES + I : I + B)...);
    a = low;
}

template <int B>
inline void stages(Vec* rows) {
    if constexpr (B < SMNN_LANES) {
        for (int i = 0; i < SMNN_LANES; ++i)
            if (!(i & B)) exchange<B>(rows[i], rows[i + B], std::make_index_sequence<SMNN_LANES>());
        stages<2 * B>(rows);
    }
}

inline void transpose(Vec* rows) { stages<1>(rows); }

#else

inline void transpose(Vec* rows) {
    for (int i = 0; i < SMNN_LANES; ++i)
        for (int j = 0; j < i; ++j) {
            const double swapped = rows[i][j];
            rows[i][j] = rows[j][i];
            rows[j][i] = swapped;
        }
}

#endif

// out[i] = (from[0][i], from[1][i], ...) for i < count.
inline void into_lanes(const double* const* from, int64_t count, Vec* out) {
    int64_t i = 0;
    for (; i + SMNN_LANES <= count; i += SMNN_LANES) {
        Vec square[SMNN_LANES];
        for (int lane = 0; lane < SMNN_LANES; ++lane) std::memcpy(&square[lane], from[lane] + i, sizeof(Vec));
        transpose(square);
        for (int row = 0; row < SMNN_LANES; ++row) out[i + row] = square[row];
    }
    for (; i < count; ++i)
        for (int lane = 0; lane < SMNN_LANES; ++lane) out[i][lane] = from[lane][i];
}

// to[lane][i] = in[i][lane] for i < count and lane < lanes.
inline void from_lanes(const Vec* in, int64_t count, double* const* to, int64_t lanes) {
    int64_t i = 0;
    for (; i + SMNN_LANES <= count; i += SMNN_LANES) {
        Vec square[SMNN_LANES];
        for (int row = 0; row < SMNN_LANES; ++row) square[row] = in[i + row];
        transpose(square);
        for (int64_t lane = 0; lane < lanes; ++lane) std::memcpy(to[lane] + i, &square[lane], sizeof(Vec));
    }
    for (; i < count; ++i)
        for (int64_t lane = 0; lane < lanes; ++lane) to[lane][i] = in[i][lane];
}

}  // namespace SMNN_ISA
}  // namespace smnn
