// The GPU kernels on the CPU, one system after the other (test_cuda.py compiles and calls it): some shapes known at compile
// time, any other by the general path. Scratch of a thread is checked for its end.
#include <cstring>

#include "gpu.hpp"

using namespace smnn;

template <template <class, class> class Method, class S>
static int run(bool adjoint, const Call& call, int D, int K, int E, Long threads) {
    const Constants table = constants(K, K);
    for (Long number = 0; number < call.systems; ++number) {
        double* scratch = call.scratch ? call.scratch + number % threads * workspace(D, K, E) : nullptr;
        const System<Method, S> system(call, table, number, D, K, E, scratch);
        if (adjoint) system.adjoint();
        else system.solve();
    }
    return 0;
}

template <template <class, class> class Method>
static int by_shape(bool general, bool adjoint, const Call& call, int D, int K, int E, Long threads) {
    if (general) return run<Method, AnyShape>(adjoint, call, D, K, E, threads);
    switch (D * 100 + K * 10 + E) {
        case 111: return run<Method, Shape<1, 1, 1>>(adjoint, call, D, K, E, threads);
        case 131: return run<Method, Shape<1, 3, 1>>(adjoint, call, D, K, E, threads);
        case 132: return run<Method, Shape<1, 3, 2>>(adjoint, call, D, K, E, threads);
        case 222: return run<Method, Shape<2, 2, 2>>(adjoint, call, D, K, E, threads);
        case 333: return run<Method, Shape<3, 3, 3>>(adjoint, call, D, K, E, threads);
    }
    return 1;
}

extern "C" int call_words() { return sizeof(Call) / sizeof(Long); }

// 0; 1 where the shape is not among those compiled.
extern "C" int host_run(bool cholesky, bool general, bool adjoint, const Call* call, int D, int K, int E, Long threads) {
    return cholesky ? by_shape<Cholesky>(general, adjoint, *call, D, K, E, threads)
                    : by_shape<Qr>(general, adjoint, *call, D, K, E, threads);
}
