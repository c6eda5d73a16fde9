// One system by a warp of a GPU: matrices in shared memory, lanes over their columns. For more unknowns per grid point
// than one thread has registers for. The mathematics is that of Qr and Cholesky (qr.hpp, cholesky.hpp).
//
// The code is a sequence of phases, `each_lane(f)`: f(lane) for all lanes, between barriers. Statements outside of
// phases are executed identically by every lane. A lane reads results of another lane from earlier phases only, so that
// on the CPU a phase is a loop over lanes.
#pragma once

#include "../cholesky.hpp"
#include "../qr.hpp"
#include "call.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

constexpr int WARP = 32;
#if !defined(__CUDACC_RTC__)
inline int lane_order = 0;  // lane i is executed as i ^ lane_order: results must not depend on it
#endif

template <class F>
SMNN_INLINE void each_lane(F f) {
#if defined(__CUDACC_RTC__)
    __syncwarp();
    f(int(threadIdx.x));
    __syncwarp();
#else
    for (int i = 0; i < WARP; ++i) f(i ^ lane_order);
#endif
}
// f(first), .., f(last - 1), distributed over the lanes: number i to lane (i - first) % WARP.
template <class F>
SMNN_INLINE void distribute(int first, int last, F f) {
    each_lane([&](int lane) SMNN_ALWAYS {
        for (int i = first + lane; i < last; i += WARP) f(i);
    });
}

// Shared memory of a system; backends/cuda/plan.py computes its size. `carry` has R + 1 columns, the right-hand side
// last, and is preceded by E equation rows (qr) or consists of R rows followed by these (cholesky); its diagonal is in
// `diagonal`. `stack` has 2 R + 1 columns, over (w_t or y_t, y'_{t+1} | 1), and holds a record during back
// substitution.
struct SharedMemory {
    Real *stack, *carry, *diagonal, *v, *scale, *inverse, *x, *w, *y, *ahead, *z, *onward, *row, *powers, *ratios;
    Real *taylor, *equation, *bad, *flag;

    SMNN_INLINE SharedMemory(Real* from, const AnyShape& s, bool orthogonal) {
        const int R = s.R;
        auto take = [&](int n) SMNN_ALWAYS {
            Real* piece = from;
            from += n;
            return piece;
        };
        stack = take(orthogonal ? 2 * R * (2 * R + 1) : 2 * R * (R + 1)), carry = take((s.E + R) * (R + 1));
        diagonal = take(R), v = take(R), scale = take(R), inverse = take(R);
        x = take(R), w = take(R), y = take(R), ahead = take(R), z = take(R), onward = take(R), row = take(R + 1);
        powers = take(s.K), ratios = take(s.K), taylor = take(s.D), equation = take(s.E);
        bad = take(WARP), flag = take(1);
    }
};

// Operations of both methods on the triangle U of a record and on rows of the problem.
template <template <class, class> class Method_>
struct WarpMethod : Method_<Real, AnyShape> {
    using Method = Method_<Real, AnyShape>;
    using Method::s, Method::k, Method::unknown;
    const SharedMemory m;
    const int R, E, WIDE, THIN;
    SMNN_INLINE WarpMethod(AnyShape shape, const Constants& table, Real* memory)
        : Method(shape, table), m(memory, shape, Method::ORTHOGONAL), R(shape.R), E(shape.E), WIDE(2 * R + 1),
          THIN(R + 1) {}

    SMNN_INLINE int row(int j) const { return j * R - j * (j - 1) / 2 - j; }
    // w = U^-1 x in the order of the unknowns, and w = U^-T x in the order of elimination; x is consumed.
    SMNN_INLINE void upper() const {
        for (int j = R - 1; j >= 0; --j) {
            const Real solved = m.x[j] * m.stack[row(j) + j];
            distribute(0, j + 1, [&](int i) SMNN_ALWAYS {
                if (i == j) m.w[unknown(j)] = solved;
                else m.x[i] -= m.stack[row(i) + j] * solved;
            });
        }
    }
    SMNN_INLINE void lower() const {
        for (int j = 0; j < R; ++j) {
            const Real solved = m.x[j] * m.stack[row(j) + j];
            distribute(j, R, [&](int i) SMNN_ALWAYS {
                if (i == j) m.w[j] = solved;
                else m.x[i] -= m.stack[row(j) + i] * solved;
            });
        }
    }
    SMNN_INLINE Real predicted(int i) const {
        Real sum = m.ahead[i];
        for (int n = i % s.K + 1; n < s.K; ++n) sum += m.ahead[i - i % s.K + n] * k.phi[i % s.K * s.K + n];
        return sum;
    }
    // Store the rows of U, with 1/U_jj on the diagonal, of V if `columns` includes them, and z.
    SMNN_INLINE void store_factor(const Column& record, Real* z, int columns) const {
        each_lane([&](int lane) SMNN_ALWAYS {
            for (int j = 0; j < R; ++j)
                for (int c = j + lane; c < columns; c += WARP)
                    record[c < R ? row(j) + c : R * (R + 1) / 2 + j * R + c - R] =
                        c == j ? m.inverse[j] : m.stack[j * WIDE + c];
            for (int j = lane; j < R && z; j += WARP) z[j] = m.stack[j * WIDE + 2 * R];
        });
    }
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
