// The kernels of the GPU backend as a C++ compiler understands them: one thread after the other on the CPU. With
// SMNN_LANES=1 a lane is a `double`, as in a thread of a GPU. test_cuda.py compiles and calls it.

#include "gpu_central.hpp"
#include "gpu_pieces.hpp"

using namespace smnn;

extern "C" {

int call_words() { return sizeof(Call) / 8; }

// Any shape: sizes that are 0 in the name are taken from the call.
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
#define SMNN_SHAPE(d, k, e)                                                       \
    typedef Shape<d, k, e> Shape_##d##k##e;                                       \
    SMNN_JOBS(Qr, Qr_##d##k##e, Shape_##d##k##e, d, k, e)                         \
    SMNN_JOBS(Cholesky, Cholesky_##d##k##e, Shape_##d##k##e, d, k, e)             \
    SMNN_PIECES(Qr, Qr_##d##k##e, Shape_##d##k##e, d, k, e)                       \
    SMNN_PIECES(Cholesky, Cholesky_##d##k##e, Shape_##d##k##e, d, k, e)           \
    SMNN_JOB(Gradient_0_##d##k##e, Gradient<0, Shape_##d##k##e, d, k, e>)

SMNN_JOBS(Qr, Qr_any, AnyShape, 0, 0, 0)
SMNN_JOBS(Cholesky, Cholesky_any, AnyShape, 0, 0, 0)
SMNN_JOB(Gradient_0_any, Gradient<0, AnyShape, 0, 0, 0>)
SMNN_JOB(Gradient_1_any, Gradient<1, AnyShape, 0, 0, 0>)
SMNN_JOB(SolveCentral_true_any, SolveCentral<true, 0, 0, 0>)
SMNN_JOB(SolveCentral_false_any, SolveCentral<false, 0, 0, 0>)
SMNN_JOB(AdjointCentral_true_any, AdjointCentral<true, 0, 0, 0>)
SMNN_JOB(AdjointCentral_false_any, AdjointCentral<false, 0, 0, 0>)

SMNN_SHAPE(1, 1, 1)
SMNN_SHAPE(1, 3, 1)
SMNN_SHAPE(1, 3, 2)
SMNN_SHAPE(2, 2, 2)
SMNN_SHAPE(3, 3, 3)
}
