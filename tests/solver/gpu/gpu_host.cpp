// The kernels of the GPU backend, compiled for the CPU: one thread after the other. With SMNN_LANES=1 a lane is a
// `double`, as in a thread of a GPU. conftest.py compiles it; with SMNN_SINGLE in float32.

#ifdef SMNN_SINGLE
#define SMNN_REAL Single
#endif

#include "gpu/central.hpp"
#include "gpu/pieces.hpp"
#include "gpu/warp_system.hpp"

#include <limits>
#include <vector>

using namespace smnn;

// Run a job of warps in `bytes` of shared memory, NaN at first. Returns whether nothing was written past its end.
template <class Job>
bool in_shared_memory(const Call& call, size_t bytes) {
    const size_t n = bytes / sizeof(Real), guard = 64;
    const Real mark = -7.25e17;
    std::vector<Real> memory(n, std::numeric_limits<float>::quiet_NaN());
    memory.resize(n + guard, mark);
    run_warp<Job>(call, memory.data());
    bool fits = true;
    for (size_t i = n; i < n + guard; ++i) fits = fits && memory[i] == mark;
    return fits;
}

extern "C" {

void order_lanes(int order) { lane_order = order; }
int call_words() { return sizeof(Call) / 8; }

#define SMNN_WARP(name, ...) \
    int name(const Call* call, size_t bytes) { return in_shared_memory<__VA_ARGS__>(*call, bytes); }
#define SMNN_WARPS(method, label)                                                 \
    SMNN_WARP(SolveWarp_##label, SolveWarp<method, 0, 0, 0>)                      \
    SMNN_WARP(FactorWarp_##label, FactorWarp<method, 0, 0, 0>)                    \
    SMNN_WARP(AdjointWarp_##label, AdjointWarp<method, 0, 0, 0>)

// Any shape: sizes that are 0 as template arguments are taken from the call.
#define SMNN_JOB(name, ...) void name(const Call* call) { run<__VA_ARGS__>(*call); }
#define SMNN_JOBS(method, label, shape, d, k, e)                                  \
    SMNN_JOB(Solve_##label, Solve<method, shape, d, k, e>)                        \
    SMNN_JOB(Factor_##label, Factor<method, shape, d, k, e>)                      \
    SMNN_JOB(Resolve_##label, Resolve<method, shape, d, k, e>)                    \
    SMNN_JOB(Adjoint_##label, Adjoint<method, shape, d, k, e>)
#define SMNN_PIECES(method, label, shape, d, k, e)                                \
    SMNN_JOB(EliminatePieces_##label, EliminatePieces<method, shape, d, k, e>)    \
    SMNN_JOB(SolveChain_##label, SolveChain<method, shape, d, k, e>)              \
    SMNN_JOB(BackPieces_##label, BackPieces<method, shape, d, k, e>)              \
    SMNN_JOB(AdjointPieces_##label, AdjointPieces<method, shape, d, k, e>)        \
    SMNN_JOB(JoinPieces_##label, JoinPieces<method, shape, d, k, e>)              \
    SMNN_JOB(BackJoined_##label, BackJoined<method, shape, d, k, e>)              \
    SMNN_JOB(AdjointJoined_##label, AdjointJoined<method, shape, d, k, e>)        \
    SMNN_JOB(AdjointChain_##label, AdjointChain<method, shape, d, k, e>)
#define SMNN_SHAPE(method, d, k, e)                                               \
    SMNN_JOBS(method, method##_##d##k##e, Shape_##d##k##e, d, k, e)               \
    SMNN_PIECES(method, method##_##d##k##e, Shape_##d##k##e, d, k, e)

typedef Shape<1, 3, 1> Shape_131;
typedef Shape<2, 2, 2> Shape_222;

SMNN_JOBS(Qr, Qr_any, AnyShape, 0, 0, 0)
SMNN_WARPS(Qr, Qr_any)
SMNN_JOB(SolveCentral_true_any, SolveCentral<true, 0, 0, 0>)
SMNN_JOB(AdjointCentral_true_any, AdjointCentral<true, 0, 0, 0>)
SMNN_SHAPE(Qr, 1, 3, 1)
SMNN_SHAPE(Qr, 2, 2, 2)

#ifndef SMNN_SINGLE  // one method only, with gradients in double
#define SMNN_GRADIENT(d, k, e) SMNN_JOB(Gradient_0_##d##k##e, Gradient<0, Shape_##d##k##e, d, k, e>)

typedef Shape<1, 1, 1> Shape_111;
typedef Shape<1, 3, 2> Shape_132;
typedef Shape<3, 3, 3> Shape_333;

SMNN_JOBS(Cholesky, Cholesky_any, AnyShape, 0, 0, 0)
SMNN_WARPS(Cholesky, Cholesky_any)
SMNN_JOB(SolveCentral_false_any, SolveCentral<false, 0, 0, 0>)
SMNN_JOB(AdjointCentral_false_any, AdjointCentral<false, 0, 0, 0>)
SMNN_JOB(Gradient_0_any, Gradient<0, AnyShape, 0, 0, 0>)
SMNN_JOB(Gradient_1_any, Gradient<1, AnyShape, 0, 0, 0>)
SMNN_GRADIENT(1, 1, 1)
SMNN_GRADIENT(1, 3, 1)
SMNN_GRADIENT(1, 3, 2)
SMNN_GRADIENT(2, 2, 2)
SMNN_GRADIENT(3, 3, 3)
SMNN_SHAPE(Qr, 1, 1, 1)
SMNN_SHAPE(Qr, 1, 3, 2)
SMNN_SHAPE(Qr, 3, 3, 3)
SMNN_SHAPE(Cholesky, 1, 1, 1)
SMNN_SHAPE(Cholesky, 1, 3, 1)
SMNN_SHAPE(Cholesky, 1, 3, 2)
SMNN_SHAPE(Cholesky, 2, 2, 2)
SMNN_SHAPE(Cholesky, 3, 3, 3)
#endif
}
