// Sizes of the matrices of a piece, known at compile time: they live in the registers of one thread.
#pragma once

#include "../cholesky.hpp"
#include "../dense.hpp"
#include "../qr.hpp"
#include "call.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

template <template <class, class> class Method, class S>
struct Sizes {
    static constexpr int R = S::R, E = S::ROWS - S::SIZE, RHS = R + 1, WIDTH = 2 * R + 1;
    static constexpr bool ORTHOGONAL = Method<Real, S>::ORTHOGONAL;
    static constexpr int CARRY = ORTHOGONAL ? R * R : R * R + R;  // as Method::carry
    static constexpr int RECORD = R * (R + 1) / 2 + (ORTHOGONAL ? R * R : 0);
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
