// GPU kernels with one thread per system, from the first grid point to the last and back.
//
// NVRTC compiles them at run time for the shape and the architecture (backends/cuda/nvrtc.py). The tests compile the
// same functions with a C++ compiler and run them on the CPU, one thread after the other. Arguments are read with any
// strides. Buffers that a thread writes and reads again (records, constants) have the systems innermost, [grid
// point][number][system], so that accesses of neighbouring threads coalesce. Gradients are a separate kernel, over all
// grid points at once.
//
// A kernel is a `Job`: the number of threads, and what each does.
#pragma once

#include "gradients.hpp"
#include "system.hpp"

namespace smnn {
#if !defined(__CUDACC_RTC__)
inline namespace SMNN_ISA {
#endif

// Sizes that are 0 as template arguments are taken from the call.
template <template <class, class> class Method, class S, int D_, int K_, int E_>
struct SystemJob {
    static constexpr int K = K_, CENTRAL = 0;
    static SMNN_INLINE Long threads(const Call& call) { return call.systems; }
    static SMNN_INLINE System<Method, S> system(const Call& call, const Constants& table, Long number, Real* scratch) {
        return System<Method, S>(call, shape<S>(call, D_, K_, E_), table, number, scratch);
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct Solve : SystemJob<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real* scratch) {
        Solve::system(call, table, n, scratch).solve();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct Factor : SystemJob<Method, S, D, K, E> {
    static SMNN_INLINE Long threads(const Call& call) { return call.systems / call.columns; }
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real* scratch) {
        Factor::system(call, table, n * call.columns, scratch).factor();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct Resolve : SystemJob<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real* scratch) {
        Resolve::system(call, table, n, scratch).resolve();
    }
};

template <template <class, class> class Method, class S, int D, int K, int E>
struct Adjoint : SystemJob<Method, S, D, K, E> {
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real* scratch) {
        Adjoint::system(call, table, n, scratch).adjoint();
    }
};

template <int CENTRAL_, class S, int D, int K_, int E>
struct Gradient {
    static constexpr int K = K_, CENTRAL = CENTRAL_;
    static SMNN_INLINE Long threads(const Call& call) {
        return call.systems / call.columns * Gradients<S>::groups(call) * Gradients<S>::spans(call);
    }
    static SMNN_INLINE void run(const Call& call, const Constants& table, Long n, Real* scratch) {
        Gradients<S>(call, shape<S>(call, D, K, E), table, CENTRAL, n, scratch).run();
    }
};

#if defined(__CUDACC_RTC__)

constexpr int BLOCK = 32;  // a warp: occupancy is bound by registers, not by the number of blocks
template <int K, int ORDERS>
__constant__ const Constants TABLE = constants(K, ORDERS);

template <class Job>
__global__ void __launch_bounds__(BLOCK) run(const __grid_constant__ Call call) {
    const Long thread = Long(blockIdx.x) * BLOCK + threadIdx.x, running = Long(gridDim.x) * BLOCK;
    Real* scratch = call.scratch + thread * call.workspace;
    for (Long n = thread; n < Job::threads(call); n += running)
        Job::run(call, TABLE<Job::K, Job::K - Job::CENTRAL>, n, scratch);
}

#else

template <class Job>
void run(const Call& call) {
    const Constants table = constants(int(call.K), int(call.K) - Job::CENTRAL);
    for (Long n = 0; n < Job::threads(call); ++n) Job::run(call, table, n, call.scratch);
}

}  // namespace SMNN_ISA
#endif
}  // namespace smnn
