// The sweep of one system by a warp of a GPU: matrices in shared memory, lanes over their columns. For more unknowns per grid
// point than one thread has registers for. The mathematics is that of Qr and Cholesky (sweep.hpp, cholesky.hpp).
//
// Code is a sequence of phases, `lanes(f)`: f(lane) for all lanes, between barriers. What stands outside of them every lane
// computes alike. One lane reads what another wrote in an earlier phase only, so that on the CPU a phase is a loop over lanes.
#pragma once

#include "../cholesky.hpp"
#include "call.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

constexpr int WARP = 32;
#if !defined(__CUDACC_RTC__)
inline int lane_order = 0;  // lane i comes as i ^ lane_order: results must not depend on it
#endif

template <class F>
SMNN_INLINE void lanes(F f) {
#if defined(__CUDACC_RTC__)
    __syncwarp();
    f(int(threadIdx.x));
    __syncwarp();
#else
    for (int i = 0; i < WARP; ++i) f(i ^ lane_order);
#endif
}
// f(first), .., f(last - 1), shared out among the lanes: number i goes to lane (i - first) % WARP.
template <class F>
SMNN_INLINE void spread(int first, int last, F f) {
    lanes([&](int lane) SMNN_ALWAYS {
        for (int i = first + lane; i < last; i += WARP) f(i);
    });
}

// The shared memory of a system; backends/cuda_plan.py knows how much it is. `carry` has R + 1 columns, the right-hand side last,
// below E rows of the equations (qr), or R rows and these after them (cholesky); its diagonal stands in `diagonal`. `stack`
// has 2 R + 1 columns, over (w_t or y_t, y'_{t+1} | 1), and holds a record on the way back.
struct Shared {
    Real *stack, *carry, *diagonal, *v, *scale, *inverse, *x, *w, *y, *ahead, *z, *onward, *row, *powers, *ratios, *taylor, *equation, *bad, *flag;

    SMNN_INLINE Shared(Real* from, const AnyShape& s, bool orthogonal) {
        const int R = s.R;
        auto take = [&](int n) SMNN_ALWAYS {
            Real* piece = from;
            from += n;
            return piece;
        };
        stack = take(orthogonal ? 2 * R * (2 * R + 1) : 2 * R * (R + 1)), carry = take((s.E + R) * (R + 1));
        diagonal = take(R), v = take(R), scale = take(R), inverse = take(R), x = take(R), w = take(R), y = take(R), ahead = take(R);
        z = take(R), onward = take(R), row = take(R + 1), powers = take(s.K), ratios = take(s.K), taylor = take(s.D), equation = take(s.E);
        bad = take(WARP), flag = take(1);
    }
};

// Both methods: what a warp does with the triangle U of a record, and with rows of the problem.
template <template <class, class> class Method_>
struct WarpMethod : Method_<Real, AnyShape> {
    using Method = Method_<Real, AnyShape>;
    using Method::s, Method::k, Method::at;
    const Shared m;
    const int R, E, WIDE, THIN;
    SMNN_INLINE WarpMethod(AnyShape shape, const Constants& table, Real* memory)
        : Method(shape, table), m(memory, shape, Method::ORTHOGONAL), R(shape.R), E(shape.E), WIDE(2 * R + 1), THIN(R + 1) {}

    SMNN_INLINE int row(int j) const { return j * R - j * (j - 1) / 2 - j; }
    // (U^-1 x) in `w`, in natural order, and (U^-T x) in `w`, in the order of elimination; x is consumed.
    SMNN_INLINE void upper() const {
        for (int j = R - 1; j >= 0; --j) {
            const Real found = m.x[j] * m.stack[row(j) + j];
            spread(0, j + 1, [&](int i) SMNN_ALWAYS {
                if (i == j) m.w[at(j)] = found;
                else m.x[i] -= m.stack[row(i) + j] * found;
            });
        }
    }
    SMNN_INLINE void lower() const {
        for (int j = 0; j < R; ++j) {
            const Real found = m.x[j] * m.stack[row(j) + j];
            spread(j, R, [&](int i) SMNN_ALWAYS {
                if (i == j) m.w[j] = found;
                else m.x[i] -= m.stack[row(j) + i] * found;
            });
        }
    }
    SMNN_INLINE Real predicted(int i) const {
        Real sum = m.ahead[i];
        for (int n = i % s.K + 1; n < s.K; ++n) sum += m.ahead[i - i % s.K + n] * k.phi[i % s.K * s.K + n];
        return sum;
    }
    // `from` [row][column] becomes the rows of U, 1/U_jj on the diagonal, and of V if there are such, and z.
    SMNN_INLINE void keep(const Column& record, Real* z, int columns) const {
        lanes([&](int lane) SMNN_ALWAYS {
            for (int j = 0; j < R; ++j)
                for (int c = j + lane; c < columns; c += WARP)
                    record[c < R ? row(j) + c : R * (R + 1) / 2 + j * R + c - R] = c == j ? m.inverse[j] : m.stack[j * WIDE + c];
            for (int j = lane; j < R && z; j += WARP) z[j] = m.stack[j * WIDE + 2 * R];
        });
    }
};

#if !defined(__CUDACC_RTC__)
}  // namespace SMNN_ISA
#endif
}  // namespace smnn
